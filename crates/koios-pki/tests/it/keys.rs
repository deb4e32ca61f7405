//! Keys: written and read back, and signatures and encryption both ways against OpenSSL.

use koios_pki::{
    EcPrivateKey, EcPublicKey, EncryptionScheme, EncryptionSeed, KeyAlgorithm, KeyError, KeySpec, PrivateKey,
    PrivateKeyPem, PublicKey, SignatureScheme, WrappingSecret,
};

use crate::openssl::OpenSsl;
use crate::samples::{
    CERTIFICATE, KEY_2048, KEY_P256, KEY_P384, OTHER_KEY_2048, all_keys, pem_of, rsa, rsa_keys,
};

const SCHEMES: [(SignatureScheme, &str); 2] = [
    (SignatureScheme::RsaPkcs1Sha256, "-sigopt rsa_padding_mode:pkcs1"),
    // The salt is as long as the hash (OPC 10000-7).
    (
        SignatureScheme::RsaPssSha256,
        "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sigopt rsa_mgf1_md:sha256",
    ),
];
const ENCRYPTIONS: [(EncryptionScheme, &str); 2] =
    [(EncryptionScheme::OaepSha1, "sha1"), (EncryptionScheme::OaepSha256, "sha256")];

#[test]
fn a_key_written_and_read_back_is_the_same_key() {
    for key in all_keys() {
        let pem = key.to_pem();
        assert!(pem.secret_bytes().starts_with(b"-----BEGIN PRIVATE KEY-----\n"));
        let again = PrivateKey::from_pem(&pem).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        assert!(again.to_pem().secret_bytes() == pem.secret_bytes());
    }
    let again = PrivateKey::from_pem(&KEY_2048.to_pem()).unwrap();
    let signature = rsa(&again).sign(SignatureScheme::RsaPkcs1Sha256, b"m").unwrap();
    assert!(rsa(&KEY_2048).public_key().verify(SignatureScheme::RsaPkcs1Sha256, b"m", &signature));
}

#[test]
fn keys_are_of_the_kind_asked_for() {
    for (key, spec) in all_keys().into_iter().zip(KeySpec::ALL) {
        assert_eq!(key.algorithm(), spec.algorithm());
        assert_eq!(KeySpec::of(&key.algorithm()), Some(spec));
        assert_eq!(key.as_rsa().is_some(), key.as_ec().is_none());
        assert_eq!(key.as_ec().map(EcPrivateKey::curve), key.public_key().as_ec().map(EcPublicKey::curve));
    }
    for key in rsa_keys().map(rsa) {
        assert_eq!(u32::try_from(key.modulus_len() * 8).unwrap(), key.bits());
        assert_eq!(KeySpec::rsa(key.bits()).unwrap().algorithm(), KeyAlgorithm::Rsa { bits: key.bits() });
    }
    assert_eq!(KeySpec::rsa(1024), None);
    assert_eq!(KeySpec::default(), KeySpec::Rsa2048);
}

#[test]
fn signatures_verify_with_the_right_key_scheme_and_message_only() {
    for key in rsa_keys().map(rsa) {
        for (scheme, _) in SCHEMES {
            let signature = key.sign(scheme, b"message").unwrap();
            assert_eq!(signature.len(), key.modulus_len());
            let public = key.public_key();
            assert!(public.verify(scheme, b"message", &signature));
            assert!(!public.verify(scheme, b"massage", &signature));
            assert!(!public.verify(scheme, b"message", &signature[1..]));
            assert!(!public.verify(scheme, b"message", &[]));
            assert!(
                SCHEMES
                    .iter()
                    .all(|(other, _)| { *other == scheme || !public.verify(*other, b"message", &signature) })
            );
            assert!(!rsa(&OTHER_KEY_2048).public_key().verify(scheme, b"message", &signature));
        }
    }
}

#[test]
fn blocks_decrypt_with_the_right_key_and_scheme_only() {
    for key in rsa_keys().map(rsa) {
        for (scheme, _) in ENCRYPTIONS {
            let public = key.public_key();
            for len in [0, 1, 32, public.max_plain_len(scheme)] {
                let plain = vec![0x5A; len];
                let block = public.encrypt_block(scheme, &plain).unwrap();
                assert_eq!(block.len(), key.modulus_len());
                assert_eq!(key.decrypt_block(scheme, &block).unwrap().secret_bytes(), plain);
                for (other, _) in ENCRYPTIONS {
                    assert_eq!(key.decrypt_block(other, &block).is_ok(), other == scheme);
                }
                assert_eq!(
                    rsa(&OTHER_KEY_2048).decrypt_block(scheme, &block).err(),
                    Some(KeyError::Decryption)
                );
                assert_eq!(key.decrypt_block(scheme, &block[1..]).err(), Some(KeyError::Decryption));
            }
            let max = public.max_plain_len(scheme);
            let too_long = public.encrypt_block(scheme, &vec![0; max + 1]);
            assert_eq!(too_long, Err(KeyError::PlainTextTooLong { len: max + 1, max }));
        }
    }
    assert_eq!(rsa(&KEY_2048).public_key().max_plain_len(EncryptionScheme::OaepSha1), 256 - 42);
    assert_eq!(rsa(&KEY_2048).public_key().max_plain_len(EncryptionScheme::OaepSha256), 256 - 66);
}

#[test]
fn the_public_key_of_a_certificate_is_that_of_its_private_key() {
    let public: PublicKey = CERTIFICATE.public_key().unwrap();
    assert_eq!(&public, KEY_2048.public_key());
    assert_eq!(public.spki_der(), KEY_2048.public_key().spki_der());
    assert_ne!(&public, OTHER_KEY_2048.public_key());
}

#[test]
fn nothing_printed_about_a_key_holds_its_secret_part() {
    // PrivateKey and PrivateKeyPem have no Debug at all: see the compile_fail doctests beside them.
    let debug = format!("{:?}", KEY_2048.public_key());
    assert_eq!(debug, "PublicKey(Rsa(RsaPublicKey { bits: 2048, .. }))");
    let debug = format!("{:?}", KEY_P256.public_key());
    assert_eq!(debug, "PublicKey(Ec(EcPublicKey { curve: P256, .. }))");
}

#[test]
fn stored_bytes_that_are_no_key_are_refused() {
    let read = |bytes: &[u8]| PrivateKey::from_pem(&PrivateKeyPem::from_bytes(bytes.to_vec())).err();
    let pem = pem_of(&KEY_2048);
    let twice = [pem.as_slice(), &pem].concat();
    let cut = &pem[..pem.len() / 2];
    for bytes in [b"".as_slice(), b"garbage", &twice, cut, CERTIFICATE.to_pem().as_bytes()] {
        assert_eq!(read(bytes), Some(KeyError::Malformed));
    }
}

#[test]
fn openssl_verifies_our_signatures_and_we_verify_those_of_openssl() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("message", b"the message");
    for key in rsa_keys() {
        openssl.write("key.pem", pem_of(key));
        openssl.run("pkey -in key.pem -pubout -out public.pem");
        let key = rsa(key);
        for (scheme, options) in SCHEMES {
            openssl.write("ours", key.sign(scheme, b"the message").unwrap());
            let verdict =
                openssl.stdout(&format!("dgst -sha256 -verify public.pem {options} -signature ours message"));
            assert_eq!(verdict.trim(), "Verified OK");
            openssl.run(&format!("dgst -sha256 -sign key.pem {options} -out theirs message"));
            assert!(key.public_key().verify(scheme, b"the message", &openssl.read("theirs")));
        }
    }
}

#[test]
fn openssl_decrypts_our_blocks_and_we_decrypt_those_of_openssl() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for key in rsa_keys() {
        openssl.write("key.pem", pem_of(key));
        openssl.run("pkey -in key.pem -pubout -out public.pem");
        let key = rsa(key);
        for (scheme, hash) in ENCRYPTIONS {
            let options = format!(
                "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:{hash} -pkeyopt rsa_mgf1_md:{hash}"
            );
            let plain = vec![0xA7; key.public_key().max_plain_len(scheme)];
            openssl.write("ours", key.public_key().encrypt_block(scheme, &plain).unwrap());
            openssl.run(&format!("pkeyutl -decrypt -inkey key.pem {options} -in ours -out opened"));
            assert_eq!(openssl.read("opened"), plain);

            openssl.write("plain", &plain);
            openssl
                .run(&format!("pkeyutl -encrypt -pubin -inkey public.pem {options} -in plain -out theirs"));
            assert_eq!(key.decrypt_block(scheme, &openssl.read("theirs")).unwrap().secret_bytes(), plain);
        }
    }
}

#[test]
fn openssl_verifies_our_signatures_on_curves_and_we_verify_those_of_openssl() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("message", b"the message");
    for (key, hash, width) in [(&*KEY_P256, "sha256", 64), (&*KEY_P384, "sha384", 96)] {
        openssl.write("key.pem", pem_of(key));
        openssl.run("pkey -in key.pem -pubout -out public.pem");
        let (private, public) = (key.as_ec().unwrap(), key.public_key().as_ec().unwrap());
        openssl.write("ours", private.sign_der(b"the message").unwrap());
        let verdict = openssl.stdout(&format!("dgst -{hash} -verify public.pem -signature ours message"));
        assert_eq!(verdict.trim(), "Verified OK");
        openssl.run(&format!("dgst -{hash} -sign key.pem -out theirs message"));
        assert!(public.verify_der(b"the message", &openssl.read("theirs")));
        assert!(!public.verify_der(b"the massage", &openssl.read("theirs")));

        let fixed = private.sign_fixed(b"the message").unwrap();
        assert_eq!(fixed.len(), width);
        assert!(public.verify_fixed(b"the message", &fixed));
        assert!(!public.verify_fixed(b"the massage", &fixed));
        assert!(!public.verify_der(b"the message", &fixed));
        let other = if width == 64 { &KEY_P384 } else { &KEY_P256 };
        assert!(!other.public_key().as_ec().unwrap().verify_fixed(b"the message", &fixed));
    }
}

#[test]
fn a_wrapped_key_opens_under_its_own_secret_alone_and_shows_nothing() {
    let (secret, other) =
        (WrappingSecret::from_random_bytes(&[7; 32]), WrappingSecret::from_random_bytes(&[8; 32]));
    assert_eq!(secret.passphrase(), "07".repeat(32));
    for key in all_keys() {
        let pem = key.to_pem();
        let wrapped = pem.wrap(&secret, &EncryptionSeed::from_random_bytes([1; 64])).unwrap();
        assert!(PrivateKeyPem::is_wrapped(&wrapped) && !PrivateKeyPem::is_wrapped(pem.secret_bytes()));
        let opened = PrivateKeyPem::unwrap_from(&wrapped, &secret).unwrap();
        assert!(opened.secret_bytes() == pem.secret_bytes());
        assert_eq!(PrivateKeyPem::unwrap_from(&wrapped, &other).err(), Some(KeyError::Unwrapping));
        assert_eq!(PrivateKeyPem::unwrap_from(pem.secret_bytes(), &secret).err(), Some(KeyError::Unwrapping));
        let again = pem.wrap(&secret, &EncryptionSeed::from_random_bytes([2; 64])).unwrap();
        assert_ne!(wrapped, again);
        let plain = String::from_utf8(pem.secret_bytes().to_vec()).unwrap();
        let wrapped = String::from_utf8(wrapped).unwrap();
        assert!(plain.lines().skip(1).take(1).all(|line| !wrapped.contains(line)));
    }
}

#[test]
fn what_is_no_wrapped_key_is_refused_without_a_panic() {
    let secret = WrappingSecret::from_random_bytes(&[7; 32]);
    let seed = EncryptionSeed::from_random_bytes([1; 64]);
    let wrapped = KEY_P256.to_pem().wrap(&secret, &seed).unwrap();
    for len in 0..wrapped.len() - 1 {
        assert!(PrivateKeyPem::unwrap_from(&wrapped[..len], &secret).is_err(), "{len}");
    }
    let twice = [wrapped.as_slice(), &wrapped].concat();
    assert!(PrivateKeyPem::unwrap_from(&twice, &secret).is_err() && !PrivateKeyPem::is_wrapped(&twice));
    for none in [b"".as_slice(), b"nothing", &wrapped] {
        let refused = PrivateKeyPem::from_bytes(none.to_vec()).wrap(&secret, &seed);
        assert_eq!(refused.err(), Some(KeyError::Malformed));
    }
}

#[test]
fn openssl_opens_a_wrapped_key() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    let secret = WrappingSecret::from_random_bytes(&[0xA5; 32]);
    for key in all_keys() {
        let seed = EncryptionSeed::from_random_bytes([9; 64]);
        openssl.write("wrapped.pem", key.to_pem().wrap(&secret, &seed).unwrap());
        openssl.run(&format!("pkcs8 -in wrapped.pem -passin pass:{} -out plain.pem", secret.passphrase()));
        let opened = PrivateKey::from_pem(&PrivateKeyPem::from_bytes(openssl.read("plain.pem"))).unwrap();
        assert_eq!(opened.public_key(), key.public_key());
    }
}

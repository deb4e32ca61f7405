//! Keys: written and read back, and signatures and encryption both ways against OpenSSL.

use koios_pki::{KeyError, KeySpec, OaepHash, PrivateKey, PrivateKeyPem, PublicKey, SignatureScheme};

use crate::openssl::OpenSsl;
use crate::samples::{CERTIFICATE, KEY_2048, OTHER_KEY_2048, all_keys, pem_of};

const SCHEMES: [(SignatureScheme, &str); 2] = [
    (SignatureScheme::RsaPkcs1Sha256, "-sigopt rsa_padding_mode:pkcs1"),
    // The salt is as long as the hash (OPC 10000-7).
    (
        SignatureScheme::RsaPssSha256,
        "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sigopt rsa_mgf1_md:sha256",
    ),
];
const HASHES: [(OaepHash, &str); 2] = [(OaepHash::Sha1, "sha1"), (OaepHash::Sha256, "sha256")];

#[test]
fn a_key_written_and_read_back_is_the_same_key() {
    for key in all_keys() {
        let pem = key.to_pem();
        assert!(pem.secret_bytes().starts_with(b"-----BEGIN PRIVATE KEY-----\n"));
        let again = PrivateKey::from_pem(&pem).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        assert!(again.to_pem().secret_bytes() == pem.secret_bytes());
        let signature = again.sign(SignatureScheme::RsaPkcs1Sha256, b"m").unwrap();
        assert!(key.public_key().verify(SignatureScheme::RsaPkcs1Sha256, b"m", &signature));
    }
}

#[test]
fn keys_have_the_length_asked_for() {
    for (key, spec) in all_keys().into_iter().zip(KeySpec::ALL) {
        assert_eq!(key.bits(), spec.bits());
        assert_eq!(u32::try_from(key.modulus_len() * 8).unwrap(), spec.bits());
        assert_eq!(KeySpec::from_bits(spec.bits()), Some(spec));
    }
    assert_eq!(KeySpec::from_bits(1024), None);
    assert_eq!(KeySpec::default(), KeySpec::Rsa2048);
}

#[test]
fn signatures_verify_with_the_right_key_scheme_and_message_only() {
    for key in all_keys() {
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
            assert!(!OTHER_KEY_2048.public_key().verify(scheme, b"message", &signature));
        }
    }
}

#[test]
fn blocks_decrypt_with_the_right_key_and_hash_only() {
    for key in all_keys() {
        for (hash, _) in HASHES {
            let public = key.public_key();
            for len in [0, 1, 32, public.max_plain_len(hash)] {
                let plain = vec![0x5A; len];
                let block = public.encrypt_block(hash, &plain).unwrap();
                assert_eq!(block.len(), key.modulus_len());
                assert_eq!(*key.decrypt_block(hash, &block).unwrap(), plain);
                for (other, _) in HASHES {
                    assert_eq!(key.decrypt_block(other, &block).is_ok(), other == hash);
                }
                assert_eq!(OTHER_KEY_2048.decrypt_block(hash, &block).err(), Some(KeyError::Decryption));
                assert_eq!(key.decrypt_block(hash, &block[1..]).err(), Some(KeyError::Decryption));
            }
            let max = public.max_plain_len(hash);
            let too_long = public.encrypt_block(hash, &vec![0; max + 1]);
            assert_eq!(too_long, Err(KeyError::PlainTextTooLong { len: max + 1, max }));
        }
    }
    assert_eq!(KEY_2048.public_key().max_plain_len(OaepHash::Sha1), 256 - 42);
    assert_eq!(KEY_2048.public_key().max_plain_len(OaepHash::Sha256), 256 - 66);
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
    assert_eq!(debug, "PublicKey { bits: 2048, .. }");
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
    for key in all_keys() {
        openssl.write("key.pem", pem_of(key));
        openssl.run("pkey -in key.pem -pubout -out public.pem");
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
    for key in all_keys() {
        openssl.write("key.pem", pem_of(key));
        openssl.run("pkey -in key.pem -pubout -out public.pem");
        for (hash, name) in HASHES {
            let options = format!(
                "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:{name} -pkeyopt rsa_mgf1_md:{name}"
            );
            let plain = vec![0xA7; key.public_key().max_plain_len(hash)];
            openssl.write("ours", key.public_key().encrypt_block(hash, &plain).unwrap());
            openssl.run(&format!("pkeyutl -decrypt -inkey key.pem {options} -in ours -out opened"));
            assert_eq!(openssl.read("opened"), plain);

            openssl.write("plain", &plain);
            openssl
                .run(&format!("pkeyutl -encrypt -pubin -inkey public.pem {options} -in plain -out theirs"));
            assert_eq!(*key.decrypt_block(hash, &openssl.read("theirs")).unwrap(), plain);
        }
    }
}

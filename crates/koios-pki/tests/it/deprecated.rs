//! The RSA of the deprecated policies, judged by OpenSSL: SHA-1, PKCS#1 v1.5, keys from 1024 bits.

use koios_pki::{
    Certificate, CertificateChain, CertificateType, EncryptionScheme, FindingCode, KeyAlgorithm, KeyError,
    KeySpec, LintParams, LintRole, PrivateKey, PrivateKeyPem, ReadError, RequestParams, SignatureScheme,
    Unreadable, certificate_request, lint, read_pair, self_signed,
};

use crate::openssl::OpenSsl;
use crate::samples::{CERTIFICATE, KEY_2048, NOW, params, pem_of, rsa};

const SCHEMES: [(SignatureScheme, &str); 3] = [
    (SignatureScheme::RsaPkcs1Sha1, "-sha1"),
    (SignatureScheme::RsaPkcs1Sha256, "-sha256"),
    (
        SignatureScheme::RsaPssSha256,
        "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sigopt rsa_mgf1_md:sha256",
    ),
];
const ENCRYPTIONS: [(EncryptionScheme, &str); 3] = [
    (EncryptionScheme::Pkcs1V15, "-pkeyopt rsa_padding_mode:pkcs1"),
    (EncryptionScheme::OaepSha1, "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1"),
    (EncryptionScheme::OaepSha256, "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256"),
];
/// What the deprecated policies take; and what they do not, though a build that has them reads it.
const LENGTHS: [u32; 5] = [1024, 1031, 1536, 2048, 3072];

/// Makes `key.pem` and `public.pem`.
fn generate(openssl: &OpenSsl, bits: u32) -> PrivateKey {
    openssl.run(&format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits} -out key.pem"));
    openssl.run("pkey -in key.pem -pubout -out public.pem");
    read(openssl.read("key.pem")).unwrap()
}

fn read(pem: Vec<u8>) -> Result<PrivateKey, KeyError> {
    PrivateKey::from_pem(&PrivateKeyPem::from_bytes(pem))
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

#[test]
fn openssl_verifies_our_signatures_and_we_verify_its() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("message", b"the message");
    for bits in LENGTHS {
        let key = generate(&openssl, bits);
        let (key, public) = (rsa(&key), key.public_key().as_rsa().unwrap());
        assert_eq!((key.bits(), key.modulus_len()), (bits, usize::try_from(bits.div_ceil(8)).unwrap()));
        for (scheme, options) in SCHEMES {
            let ours = key.sign(scheme, b"the message").unwrap();
            assert_eq!(ours.len(), key.modulus_len());
            openssl.write("ours", &ours);
            let verdict =
                openssl.stdout(&format!("dgst {options} -verify public.pem -signature ours message"));
            assert_eq!(verdict.trim(), "Verified OK", "{bits} {scheme:?}");

            openssl.run(&format!("dgst {options} -sign key.pem -out theirs message"));
            let theirs = openssl.read("theirs");
            for signature in [&ours, &theirs] {
                assert!(public.verify(scheme, b"the message", signature), "{bits} {scheme:?}");
                assert!(!public.verify(scheme, b"the massage", signature));
                for bit in (0..signature.len() * 8).step_by(97) {
                    assert!(!public.verify(scheme, b"the message", &flipped(signature, bit)));
                }
                assert!(!public.verify(scheme, b"the message", &signature[1..]));
                assert!(!public.verify(scheme, b"the message", &[&[0], signature.as_slice()].concat()));
                for (other, _) in SCHEMES {
                    assert_eq!(public.verify(other, b"the message", signature), other == scheme);
                }
                let stranger = KEY_2048.public_key().as_rsa().unwrap();
                assert!(!stranger.verify(scheme, b"the message", signature));
            }
        }
    }
}

#[test]
fn openssl_decrypts_our_blocks_and_we_decrypt_its() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for bits in LENGTHS {
        let key = generate(&openssl, bits);
        let (key, public) = (rsa(&key), key.public_key().as_rsa().unwrap());
        for (scheme, options) in ENCRYPTIONS {
            let max = public.max_plain_len(scheme);
            for len in [0, 1, 32, max] {
                let plain = vec![0xA7; len];
                let ours = public.encrypt_block(scheme, &plain).unwrap();
                assert_eq!(ours.len(), key.modulus_len());
                openssl.write("ours", &ours);
                openssl.run(&format!("pkeyutl -decrypt -inkey key.pem {options} -in ours -out opened"));
                assert_eq!(openssl.read("opened"), plain, "{bits} {scheme:?}");

                openssl.write("plain", &plain);
                openssl.run(&format!(
                    "pkeyutl -encrypt -pubin -inkey public.pem {options} -in plain -out theirs"
                ));
                for block in [ours, openssl.read("theirs")] {
                    assert_eq!(key.decrypt_block(scheme, &block).unwrap().secret_bytes(), plain);
                    for bit in [0, 8, block.len() * 8 - 1] {
                        match key.decrypt_block(scheme, &flipped(&block, bit)) {
                            Err(error) => assert_eq!(error, KeyError::Decryption),
                            // Once in some hundred thousand, noise looks padded; it never is the plain text.
                            Ok(noise) => {
                                assert_eq!(scheme, EncryptionScheme::Pkcs1V15);
                                assert_ne!(noise.secret_bytes(), plain);
                            }
                        }
                    }
                }
            }
            let too_long = public.encrypt_block(scheme, &vec![0; max + 1]);
            assert_eq!(too_long, Err(KeyError::PlainTextTooLong { len: max + 1, max }));
        }
        assert_eq!(public.max_plain_len(EncryptionScheme::Pkcs1V15), key.modulus_len() - 11);
        assert_eq!(public.max_plain_len(EncryptionScheme::OaepSha1), key.modulus_len() - 42);
        assert_eq!(public.max_plain_len(EncryptionScheme::OaepSha256), key.modulus_len() - 66);
    }
}

#[test]
fn blocks_without_the_padding_of_pkcs1_are_refused() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for bits in [1024, 2048] {
        let key = generate(&openssl, bits);
        let key = rsa(&key);
        let opened = |padding: &[u8], plain: &[u8]| {
            let filling = vec![0xFF; key.modulus_len() - padding.len() - plain.len()];
            openssl.write("block", [padding, &filling, plain].concat());
            openssl
                .run("pkeyutl -encrypt -pubin -inkey public.pem -pkeyopt rsa_padding_mode:none -in block -out theirs");
            let block = key.decrypt_block(EncryptionScheme::Pkcs1V15, &openssl.read("theirs"));
            block.map(|block| block.secret_bytes().to_vec())
        };
        assert_eq!(opened(b"\0\x02", b"\0secret"), Ok(b"secret".to_vec()));
        let (eight, seven) =
            (b"\0\x02\x11\x11\x11\x11\x11\x11\x11\x11\0", b"\0\x02\x11\x11\x11\x11\x11\x11\x11\0");
        assert_eq!(opened(eight, b"").unwrap().len(), key.modulus_len() - 11);
        for (padding, plain) in [
            (seven.as_slice(), b"\0secret".as_slice()),
            (b"\0\x01", b"\0secret"),
            (b"\0\0", b"\0secret"),
            (b"\x01\x02", b"\0secret"),
            (b"\0\x02", b"secret"),
            (b"\0\x02\0", b"secret"),
        ] {
            assert_eq!(opened(padding, plain), Err(KeyError::Decryption), "{bits} {padding:?}");
        }
    }
}

#[test]
fn a_block_is_as_long_as_the_modulus() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for bits in [1024, 2048] {
        let key = generate(&openssl, bits);
        let (key, public) = (rsa(&key), key.public_key().as_rsa().unwrap());
        for (scheme, _) in ENCRYPTIONS {
            // The same number, in one byte less or more.
            let block = std::iter::repeat_with(|| public.encrypt_block(scheme, b"nonce").unwrap())
                .find(|block| block[0] == 0)
                .unwrap();
            assert_eq!(key.decrypt_block(scheme, &block).unwrap().secret_bytes(), b"nonce");
            for wrong in [&block[1..], &[&[0], block.as_slice()].concat(), &[]] {
                let refused = key.decrypt_block(scheme, wrong).err();
                assert_eq!(refused, Some(KeyError::Decryption), "{bits} {scheme:?}");
            }
        }
    }
}

#[test]
fn keys_under_1024_and_over_4096_bits_are_refused_and_none_is_made_under_2048() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for bits in [512, 1023, 5120] {
        openssl.run(&format!(
            "req -x509 -newkey rsa:{bits} -nodes -keyout key.pem -out certificate.pem -days 10 -subj /CN=a"
        ));
        let size = KeyError::UnsupportedSize { bits };
        assert_eq!(
            size.to_string(),
            format!("the RSA key has {bits} bits; the security policies take 1024 to 4096")
        );
        assert_eq!(read(openssl.read("key.pem")).err(), Some(size.clone()));
        let (certificate, key) = (openssl.read("certificate.pem"), openssl.read("key.pem"));
        let chain = CertificateChain::from_pem(&certificate).unwrap();
        assert_eq!(chain.leaf().public_key(), Err(size));
        match read_pair(&certificate, Some(&key), None).err().unwrap() {
            error @ ReadError::UnsupportedKey { .. } => {
                assert!(error.to_string().contains(&format!("an RSA key of {bits} bits")), "{error}");
            }
            other => panic!("{other}"),
        }
    }
    for spec in KeySpec::ALL {
        assert!(!matches!(spec.algorithm(), KeyAlgorithm::Rsa { bits: ..2048 }));
    }
    assert_eq!(KeySpec::rsa(1024), None);
}

#[test]
fn a_pair_of_1024_bits_is_read_in_every_form_and_found_weak_by_current_policies() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.run(
        "req -x509 -newkey rsa:1024 -sha1 -nodes -keyout key.pem -out certificate.pem -days 10 -subj /CN=a/O=b",
    );
    openssl.run("rsa -in key.pem -traditional -out pkcs1.pem");
    openssl.run("pkcs8 -topk8 -in key.pem -outform DER -passout pass:secret -out encrypted.der");
    openssl.run("pkcs12 -export -inkey key.pem -in certificate.pem -passout pass:secret -out pair.p12");
    let certificate = openssl.read("certificate.pem");
    let pairs = [("key.pem", None), ("pkcs1.pem", None), ("encrypted.der", Some("secret"))]
        .map(|(name, passphrase)| read_pair(&certificate, Some(&openssl.read(name)), passphrase).unwrap());
    let archive = read_pair(&openssl.read("pair.p12"), None, Some("secret")).unwrap();
    for (chain, key) in pairs.into_iter().chain([archive]) {
        assert!(key.matches(chain.leaf()));
        assert_eq!(key.algorithm(), KeyAlgorithm::Rsa { bits: 1024 });
        assert_eq!(chain.leaf().public_key().as_ref(), Ok(key.public_key()));
        assert!(pem_of(&key) == openssl.read("key.pem"), "kept as PKCS#8");
        assert_eq!(read(pem_of(&key)).unwrap().public_key(), key.public_key());

        let too_short = |certificate_type| {
            let mut params = LintParams::new(NOW, LintRole::Client);
            params.certificate_type = certificate_type;
            lint(&chain, &params).iter().any(|finding| finding.code == FindingCode::KeyTooShort)
        };
        assert!(too_short(None) && too_short(Some(CertificateType::RsaSha256)));
        assert!(!too_short(Some(CertificateType::RsaMin)));
    }
}

#[test]
fn certificates_and_requests_of_1024_bits_are_signed_with_sha256() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    let key = generate(&openssl, 1024);
    let certificate: Certificate = self_signed(&params(), &key).unwrap();
    assert_eq!(certificate.signature_algorithm(), "sha256WithRSAEncryption");
    assert!(certificate.is_self_signed() && key.matches(&certificate));
    openssl.write("certificate.pem", certificate.to_pem());
    let verdict = openssl
        .stdout("verify -auth_level 0 -check_ss_sig -no_check_time -CAfile certificate.pem certificate.pem");
    assert_eq!(verdict.trim(), "certificate.pem: OK");
    let request = certificate_request(&RequestParams::from_certificate(&CERTIFICATE).unwrap(), &key).unwrap();
    openssl.write("request.pem", request.to_pem());
    let output = openssl.run("req -in request.pem -noout -verify");
    let verdict = [output.stdout, output.stderr].concat();
    assert!(String::from_utf8_lossy(&verdict).contains("verify OK"));
}

#[test]
fn short_keys_whose_parts_do_not_fit_together_are_malformed() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    generate(&openssl, 1024);
    openssl.run("rsa -in key.pem -traditional -outform DER -out pkcs1.der");
    let der = openssl.read("pkcs1.der");
    let error = |der: &[u8]| read_pair(CERTIFICATE.der(), Some(der), None).err().unwrap();
    assert!(matches!(error(&der), ReadError::KeyMismatch), "{}", error(&der));
    let structure = openssl.stdout("asn1parse -inform DER -in pkcs1.der");
    let ends = structure.lines().skip(1).map(|line| {
        let number = |from: &str, to: &str| {
            let rest = &line[line.find(from).unwrap() + from.len()..];
            rest[..rest.find(to).unwrap()].trim().parse::<usize>().unwrap()
        };
        let start = line[..line.find(':').unwrap()].trim().parse::<usize>().unwrap();
        start + number("hl=", " l=") + number(" l=", "prim")
    });
    let malformed = ReadError::PrivateKeyUnreadable { reason: Unreadable::KeyMalformed };
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends.len(), 9);
    // Each of the numbers made another one: modulus, both exponents, both primes, what is computed of them.
    for end in &ends[1..] {
        assert_eq!(error(&flipped(&der, (end - 1) * 8 + 1)), malformed);
    }
    openssl.run(
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -pkeyopt rsa_keygen_primes:3 -out three.pem",
    );
    assert_eq!(error(&openssl.read("three.pem")), malformed);
}

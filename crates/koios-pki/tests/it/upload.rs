//! What people upload: every shape that is read, and every mistake that is named.

use base64ct::Encoding as _;
use koios_pki::{
    Certificate, CertificateChain, CertificateError, InputKind, PrivateKey, ReadError, Unreadable,
    read_certificates, read_pair,
};

use crate::openssl::OpenSsl;
use crate::samples::{CERTIFICATE, KEY_2048, KEY_3072, OTHER_KEY_2048, issued_certificate, pem_of};

fn pair(certificate: &[u8], key: Option<&[u8]>) -> Result<(CertificateChain, PrivateKey), ReadError> {
    read_pair(certificate, key, None)
}

/// The error of a pair that must be refused.
fn refused(certificate: &[u8], key: Option<&[u8]>) -> ReadError {
    pair(certificate, key).err().expect("refused")
}

fn certificate_error(certificate: &[u8]) -> Unreadable {
    match refused(certificate, Some(&pem_of(&KEY_2048))) {
        ReadError::CertificateUnreadable { reason } => reason,
        other => panic!("{other}"),
    }
}

fn key_error(key: &[u8]) -> Unreadable {
    match refused(CERTIFICATE.der(), Some(key)) {
        ReadError::PrivateKeyUnreadable { reason } => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn r6_a_pair_is_read_in_der_and_in_pem_told_by_content() {
    let pem = CERTIFICATE.to_pem();
    let crlf = pem.replace('\n', "\r\n");
    let with_text =
        format!("Bag Attributes\r\n    friendlyName: Press 4\nsubject=/CN=x: y\n{pem}\ntrailing text");
    let key = pem_of(&KEY_2048);
    let key_crlf = String::from_utf8(key.clone()).unwrap().replace('\n', "\r\n");
    for certificate in [CERTIFICATE.der(), pem.as_bytes(), crlf.as_bytes(), with_text.as_bytes()] {
        for key in [key.as_slice(), key_crlf.as_bytes()] {
            let (chain, key) = pair(certificate, Some(key)).unwrap();
            assert_eq!((chain.leaf(), chain.len()), (&*CERTIFICATE, 1));
            assert!(key.matches(chain.leaf()));
        }
    }
}

#[test]
fn the_key_may_stand_beside_the_certificate_in_either_order_or_in_both_parts() {
    let key = pem_of(&KEY_2048);
    let pem = CERTIFICATE.to_pem();
    let key_last = [pem.as_bytes(), &key].concat();
    let key_first = [&key, pem.as_bytes()].concat();
    for combined in [&key_last, &key_first] {
        for private_key in [None, Some(b"".as_slice()), Some(b" \r\n"), Some(combined.as_slice()), Some(&key)]
        {
            let (chain, key) = pair(combined, private_key).unwrap();
            assert_eq!(chain.leaf(), &*CERTIFICATE);
            assert!(key.matches(chain.leaf()));
        }
    }
}

#[test]
fn r6_a_key_of_another_certificate_is_refused() {
    assert_eq!(refused(CERTIFICATE.der(), Some(&pem_of(&OTHER_KEY_2048))), ReadError::KeyMismatch);
    assert_eq!(refused(CERTIFICATE.der(), Some(&pem_of(&KEY_3072))), ReadError::KeyMismatch);
}

#[test]
fn there_must_be_exactly_one_private_key() {
    let none = Err(Unreadable::NoPrivateKey);
    let reason = |certificate: &[u8], key: Option<&[u8]>| match refused(certificate, key) {
        ReadError::PrivateKeyUnreadable { reason } => Err::<(), _>(reason),
        other => panic!("{other}"),
    };
    assert_eq!(reason(CERTIFICATE.der(), None), none);
    assert_eq!(reason(CERTIFICATE.to_pem().as_bytes(), Some(b"")), none);
    let two = [pem_of(&KEY_2048), pem_of(&OTHER_KEY_2048)].concat();
    let several = Err(Unreadable::SeveralPrivateKeys { count: 2 });
    assert_eq!(reason(CERTIFICATE.der(), Some(&two)), several);
    let beside = [CERTIFICATE.to_pem().as_bytes(), &pem_of(&OTHER_KEY_2048)].concat();
    assert_eq!(reason(&beside, Some(&pem_of(&KEY_2048))), several);
    let same = [pem_of(&KEY_2048), pem_of(&KEY_2048)].concat();
    assert_eq!(reason(CERTIFICATE.der(), Some(&same)), several);
    // A file with both in it, given in both fields, holds one key.
    let both = [CERTIFICATE.to_pem().as_bytes(), &pem_of(&KEY_2048)].concat();
    assert!(pair(&both, Some(&both)).is_ok());
}

#[test]
fn chains_keep_their_order_and_the_certificate_of_the_key_comes_first() {
    let (leaf, authority) = issued_certificate(&KEY_3072, |_| {}, |_| {});
    let key = pem_of(&KEY_2048);
    let subjects = |bytes: &[u8]| {
        let (chain, _) = pair(bytes, Some(&key)).unwrap();
        chain.iter().map(|certificate| certificate.subject().to_owned()).collect::<Vec<_>>()
    };
    let pem = |certificates: &[&Certificate]| {
        certificates.iter().map(|c| c.to_pem()).collect::<String>().into_bytes()
    };
    assert_eq!(subjects(&pem(&[&leaf, &authority])), [leaf.subject(), authority.subject()]);
    assert_eq!(subjects(&[leaf.der(), authority.der()].concat()), [leaf.subject(), authority.subject()]);
    // Root first, as some tools write chains.
    assert_eq!(subjects(&pem(&[&authority, &leaf])), [leaf.subject(), authority.subject()]);
    // A stranger between them keeps its place behind the issuer.
    let (_, stranger) = issued_certificate(
        &OTHER_KEY_2048,
        |_| {},
        |params| {
            params.distinguished_name.push(rcgen::DnType::OrganizationName, "Stranger");
        },
    );
    assert_eq!(
        subjects(&pem(&[&leaf, &stranger, &authority])),
        [leaf.subject(), stranger.subject(), authority.subject()],
        "leaf first: kept as given"
    );
    assert_eq!(
        subjects(&pem(&[&stranger, &authority, &leaf])),
        [leaf.subject(), authority.subject(), stranger.subject()]
    );
    // A key that belongs to none of them.
    assert_eq!(refused(&pem(&[&leaf, &authority]), Some(&pem_of(&OTHER_KEY_2048))), ReadError::KeyMismatch);
}

#[test]
fn certificates_alone_are_read_without_a_key() {
    let (leaf, authority) = issued_certificate(&KEY_3072, |_| {}, |_| {});
    let blob = [leaf.der(), authority.der()].concat();
    assert_eq!(read_certificates(&blob), Ok(CertificateChain::new(leaf.clone(), vec![authority])));
    let beside = [&pem_of(&KEY_2048), leaf.to_pem().as_bytes()].concat();
    assert_eq!(read_certificates(&beside).unwrap().leaf(), &leaf);
    assert!(matches!(read_certificates(b""), Err(ReadError::CertificateUnreadable { .. })));
}

#[test]
fn bytes_after_a_certificate_that_are_none_are_refused() {
    let der = CERTIFICATE.der();
    for rest in [b"\0".as_slice(), b"\n", b"\r\n", b"garbage", b"0", b"\x30\x03\x02\x01\x00"] {
        assert_eq!(
            certificate_error(&[der, rest].concat()),
            Unreadable::Certificate(CertificateError::TrailingBytes { count: rest.len() }),
            "{rest:?}"
        );
    }
    let cut_off = certificate_error(&[der, &der[..100]].concat());
    assert_eq!(cut_off, Unreadable::Certificate(CertificateError::Truncated));
    let inside = [der, b"\0\0\0"].concat();
    let block = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", base64(&inside));
    assert_eq!(
        certificate_error(block.as_bytes()),
        Unreadable::Certificate(CertificateError::TrailingBytes { count: 3 })
    );
}

#[test]
fn too_much_is_refused_before_it_is_read() {
    let large = vec![b'A'; 256 * 1024 + 1];
    let too_large = Unreadable::TooLarge { len: large.len(), max: 256 * 1024 };
    assert_eq!(certificate_error(&large), too_large);
    assert_eq!(key_error(&large), too_large);
    let many = CERTIFICATE.to_pem().repeat(CertificateChain::MAX_LEN + 1);
    assert_eq!(
        certificate_error(many.as_bytes()),
        Unreadable::Certificate(CertificateError::TooMany { max: CertificateChain::MAX_LEN })
    );
    let many = CERTIFICATE.to_pem().repeat(CertificateChain::MAX_LEN);
    assert!(pair(many.as_bytes(), Some(&pem_of(&KEY_2048))).is_ok());
}

#[test]
fn what_is_given_instead_of_a_certificate_is_named() {
    let looks_like = |bytes: &[u8]| match certificate_error(bytes) {
        Unreadable::LooksLike(kind) => kind,
        other => panic!("{other}"),
    };
    assert_eq!(looks_like(b""), InputKind::Empty);
    assert_eq!(looks_like(b" \r\n\t"), InputKind::Empty);
    assert_eq!(looks_like(b"\n<!DOCTYPE html><html><body>Log in</body></html>"), InputKind::Html);
    assert_eq!(looks_like(b"<HTML>"), InputKind::Html);
    assert_eq!(looks_like("\u{FEFF}<!doctype html>".as_bytes()), InputKind::Html);
    assert_eq!(looks_like(b"<?xml version=\"1.0\"?>\n<html xmlns=\"x\">"), InputKind::Html);
    assert_eq!(looks_like(b"<!-- login -->\n<html>"), InputKind::Html);
    assert_eq!(looks_like(b"<?xml version=\"1.0\"?><key/>"), InputKind::Text);
    assert_eq!(looks_like(b"0 is how this text begins"), InputKind::Text);
    assert_eq!(looks_like(b"{\"certificate\": null}"), InputKind::Json);
    assert_eq!(looks_like(b"\x89PNG\r\n\x1a\n\0\0\0"), InputKind::Binary);
    assert_eq!(looks_like(b"ssh-rsa AAAAB3NzaC1yc2E= me@host"), InputKind::SshKey);
    assert_eq!(looks_like(base64(CERTIFICATE.der()).as_bytes()), InputKind::Base64);
    let utf16: Vec<u8> =
        [0xFEFF].into_iter().chain(CERTIFICATE.to_pem().encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(looks_like(&utf16), InputKind::Utf16Text);
    assert_eq!(looks_like(&pem_of(&KEY_2048)), InputKind::PrivateKey);
    assert_eq!(
        looks_like(b"-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n"),
        InputKind::Pem
    );
}

#[test]
fn what_openssl_makes_and_is_no_certificate_is_named_in_der_and_pem() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.write("certificate.pem", CERTIFICATE.to_pem());
    openssl.write("index", "");
    openssl
        .write("ca.cnf", "[ca]\ndefault_ca=a\n[a]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=1\n");
    for (command, pem_kind, der_kind) in [
        ("req -new -key key.pem -subj /CN=a", InputKind::CertificateRequest, InputKind::CertificateRequest),
        ("pkey -in key.pem -pubout", InputKind::PublicKey, InputKind::PublicKey),
        ("rsa -in key.pem -RSAPublicKey_out", InputKind::PublicKey, InputKind::PublicKey),
        ("pkey -in key.pem", InputKind::PrivateKey, InputKind::PrivateKey),
        ("rsa -in key.pem -traditional", InputKind::PrivateKey, InputKind::PrivateKey),
        ("pkcs8 -topk8 -in key.pem -passout pass:a", InputKind::PrivateKey, InputKind::PrivateKey),
    ] {
        for (form, kind) in [("PEM", pem_kind), ("DER", der_kind)] {
            openssl.run(&format!("{command} -outform {form} -out out"));
            assert_eq!(
                certificate_error(&openssl.read("out")),
                Unreadable::LooksLike(kind),
                "{command} {form}"
            );
        }
    }
    openssl.run("ca -config ca.cnf -gencrl -cert certificate.pem -keyfile key.pem -out crl.pem");
    openssl.run("crl -in crl.pem -outform DER -out crl.der");
    openssl.run("x509 -in certificate.pem -trustout -addtrust clientAuth -out trusted.pem");
    for (name, kind) in [
        ("crl.pem", InputKind::RevocationList),
        ("crl.der", InputKind::RevocationList),
        ("trusted.pem", InputKind::TrustedCertificate),
    ] {
        assert_eq!(certificate_error(&openssl.read(name)), Unreadable::LooksLike(kind), "{name}");
    }
}

#[test]
fn pkcs7_is_known_in_every_form_of_its_lengths() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("certificate.pem", CERTIFICATE.to_pem());
    openssl.run("crl2pkcs7 -nocrl -certfile certificate.pem -outform DER -out chain.p7b");
    let der = openssl.read("chain.p7b");
    let inside = &der[4..];
    // 30 82 xx xx, 06 09 …, A0 82 xx xx, 30 82 xx xx.
    assert_eq!((der[1], inside[..2].to_vec(), inside[11], inside[12]), (0x82, vec![0x06, 0x09], 0xA0, 0x82));
    let indefinite_inside = [&inside[..11], &[0xA0, 0x80], &inside[15..], &[0, 0]].concat();
    let len = u16::try_from(indefinite_inside.len()).unwrap().to_be_bytes();
    let short = [&[0x30, 0x82][..], &len, &indefinite_inside].concat();
    let long = [&[0x30, 0x84, 0, 0][..], &der[2..4], inside].concat();
    let indefinite = [&[0x30, 0x80][..], inside, &[0, 0]].concat();
    for (form, bytes) in [("inside", short), ("longer than need be", long), ("outside", indefinite)] {
        let chain = read_certificates(&bytes).unwrap_or_else(|error| panic!("{form}: {error}"));
        assert_eq!(chain.leaf(), &*CERTIFICATE, "{form}");
    }
}

#[test]
fn what_is_given_instead_of_a_private_key_is_named() {
    let looks_like = |bytes: &[u8]| match key_error(bytes) {
        Unreadable::LooksLike(kind) => kind,
        other => panic!("{other}"),
    };
    assert_eq!(looks_like(CERTIFICATE.der()), InputKind::Certificate);
    assert_eq!(looks_like(CERTIFICATE.to_pem().as_bytes()), InputKind::Certificate);
    assert_eq!(looks_like(b"secret"), InputKind::Text);
    assert_eq!(looks_like(b"<html>"), InputKind::Html);
    assert_eq!(looks_like(b"PuTTY-User-Key-File-3: ssh-rsa"), InputKind::SshKey);
    let cut = &pem_of(&KEY_2048)[..500];
    assert!(matches!(key_error(cut), Unreadable::Pem(_)), "{:?}", key_error(cut));
    let escaped = String::from_utf8(pem_of(&KEY_2048)).unwrap().replace('\n', "\\n");
    assert!(matches!(key_error(escaped.as_bytes()), Unreadable::Pem(_)));
    let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(key_error(garbage.as_bytes()), Unreadable::KeyMalformed);
}

#[test]
fn the_certificate_is_judged_before_the_key() {
    assert!(matches!(refused(b"x", Some(b"y")), ReadError::CertificateUnreadable { .. }));
    assert!(matches!(refused(b"x", None), ReadError::CertificateUnreadable { .. }));
    let swapped = refused(&pem_of(&KEY_2048), Some(CERTIFICATE.der()));
    assert_eq!(
        swapped.to_string(),
        "the certificate cannot be read: it looks like a private key without a certificate; give the certificate as \
         well, in its own field"
    );
}

#[test]
fn no_message_repeats_a_secret() {
    let key = String::from_utf8(pem_of(&KEY_2048)).unwrap();
    let secret_line = key.lines().nth(3).unwrap();
    let broken = key.replacen(secret_line, &format!("{secret_line}*"), 1);
    for error in [
        refused(key.as_bytes(), None),
        refused(CERTIFICATE.der(), Some(broken.as_bytes())),
        refused(CERTIFICATE.der(), Some(&pem_of(&OTHER_KEY_2048))),
        refused(CERTIFICATE.der(), Some(key.replace("PRIVATE KEY", "ODD PRIVATE KEY").as_bytes())),
    ] {
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(
                key.lines().filter(|line| !line.starts_with('-')).all(|line| !text.contains(line)),
                "{text}"
            );
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    base64ct::Base64::encode_string(bytes)
}

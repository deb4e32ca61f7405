//! Certificates that OpenSSL makes, the odd ones included: shown as they are, or refused with a clear error.

use koios_pki::{
    Certificate, CertificateChain, CertificateError, Curve, FindingCode, KeyAlgorithm, KeyError, findings,
};
use time::OffsetDateTime;

use crate::openssl::OpenSsl;
use crate::samples::{CERTIFICATE, KEY_2048, NOW, OTHER_KEY_2048, pem_of};

fn read(openssl: &OpenSsl, name: &str) -> Certificate {
    CertificateChain::from_pem(&openssl.read(name)).unwrap().leaf().clone()
}

/// A certificate for [`KEY_2048`], made by `openssl req -x509` with these options.
fn request(openssl: &OpenSsl, options: &str) -> Certificate {
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.run(&format!("req -x509 -key key.pem -out certificate.pem -days 10 {options}"));
    read(openssl, "certificate.pem")
}

fn codes(certificate: Certificate) -> Vec<FindingCode> {
    findings(&certificate.into(), OffsetDateTime::from_unix_timestamp(0).unwrap())
        .iter()
        .map(|finding| finding.code)
        .collect()
}

#[test]
fn serial_numbers_that_are_zero_negative_or_too_long_are_shown_and_reported() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for (serial, shown, finding) in [
        ("0", "00", Some(FindingCode::SerialNumberNotPositive)),
        ("-1", "-01", Some(FindingCode::SerialNumberNotPositive)),
        ("-256", "-0100", Some(FindingCode::SerialNumberNotPositive)),
        ("-128", "-80", Some(FindingCode::SerialNumberNotPositive)),
        ("0x80", "80", None),
        ("255", "FF", None),
        ("0xffffffffffffffffffffffffffffffffffffffff", "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", None),
        (
            "0x0123456789abcdef0123456789abcdef0123456789abcdef",
            "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF",
            Some(FindingCode::SerialNumberTooLong),
        ),
    ] {
        let certificate = request(&openssl, &format!("-subj /CN=a/O=b -set_serial {serial}"));
        assert_eq!(certificate.serial_number(), shown);
        let codes = codes(certificate);
        for code in [FindingCode::SerialNumberNotPositive, FindingCode::SerialNumberTooLong] {
            assert_eq!(codes.contains(&code), finding == Some(code), "{serial}: {code}");
        }
    }
}

#[test]
fn a_version_1_certificate_is_shown_and_reported() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.run("req -new -key key.pem -out request.pem -subj /CN=old/O=Plant");
    openssl.run("x509 -req -in request.pem -signkey key.pem -days 10 -out certificate.pem");
    let certificate = read(&openssl, "certificate.pem");
    assert_eq!(certificate.version(), 1);
    assert_eq!(certificate.subject(), "CN=old, O=Plant");
    assert_eq!(certificate.application_uri(), None);
    assert!(certificate.is_self_signed());
    assert!(certificate.key_usage().is_none() && certificate.basic_constraints().is_none());
    let codes = codes(certificate);
    for code in [
        FindingCode::NotVersion3,
        FindingCode::NoApplicationUri,
        FindingCode::BasicConstraintsMissing,
        FindingCode::KeyUsageIncomplete,
        FindingCode::ExtendedKeyUsageIncomplete,
        FindingCode::SelfSignedWithoutKeyCertSign,
    ] {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
}

#[test]
fn distinguished_names_keep_their_order_and_cannot_pretend() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    let subject = |options: &str| request(&openssl, options).subject().to_owned();
    assert_eq!(
        subject("-subj /C=DE/ST=Bayern/L=Ulm/O=Plant/OU=Line/CN=x"),
        "C=DE, ST=Bayern, L=Ulm, O=Plant, OU=Line, CN=x"
    );
    assert_eq!(subject("-subj /DC=example/DC=plant/CN=x"), "DC=example, DC=plant, CN=x");
    assert_eq!(subject("-subj /CN=a,O=Evil\\+b"), "CN=a\\,O=Evil\\+b");
    assert_eq!(subject("-multivalue-rdn -subj /CN=a+OU=b/O=c"), "CN=a+OU=b, O=c");
    assert_eq!(subject("-utf8 -subj /CN=Wärme"), "CN=Wärme");
    openssl.write(
        "config.cnf",
        "oid_section=oids\n[oids]\nplant=1.3.6.1.4.1.99999.1\n[req]\nprompt=no\ndistinguished_name=dn\n[dn]\nplant=x\n",
    );
    assert_eq!(subject("-config config.cnf"), "1.3.6.1.4.1.99999.1=x");
    let several = request(&openssl, "-subj /CN=first/CN=second/O=x");
    assert_eq!(several.common_name(), Some("first"));
    let empty = request(&openssl, "-subj /");
    assert_eq!((empty.subject(), empty.common_name(), empty.organization()), ("", None, None));
}

#[test]
fn every_string_type_of_a_name_is_read() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    for (mask, string) in
        [("MASK:0x0800", "BMPSTRING"), ("MASK:0x0004", "T61STRING"), ("utf8only", "UTF8STRING")]
    {
        openssl.write(
            "config.cnf",
            format!(
                "[req]\nprompt=no\nutf8=yes\nstring_mask={mask}\ndistinguished_name=dn\n[dn]\nCN=Wärme\n"
            ),
        );
        openssl.run("req -x509 -key key.pem -config config.cnf -days 10 -out certificate.pem");
        let structure = openssl.stdout("asn1parse -in certificate.pem");
        assert!(structure.contains(string), "{structure}");
        assert_eq!(read(&openssl, "certificate.pem").common_name(), Some("Wärme"), "{string}");
    }
}

#[test]
fn subject_alternative_names_keep_their_order_and_other_kinds_do_not_disturb() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    let certificate = request(
        &openssl,
        "-subj /CN=a/O=b -addext subjectAltName=email:a@b.example,DNS:one,URI:urn:x1:first,IP:192.0.2.1,\
         otherName:1.2.3.4;UTF8:x,URI:urn:x1:second,DNS:two,IP:2001:db8::1,RID:1.2.3",
    );
    assert_eq!(certificate.application_uris(), ["urn:x1:first", "urn:x1:second"]);
    assert_eq!(certificate.application_uri(), Some("urn:x1:first"));
    assert!(!certificate.is_application_uri_first());
    assert_eq!(certificate.dns_names(), ["one", "two"]);
    let addresses: Vec<_> = certificate.ip_addresses().iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["192.0.2.1", "2001:db8::1"]);
    let codes = codes(certificate);
    assert!(codes.contains(&FindingCode::ApplicationUriNotFirst));
    assert!(codes.contains(&FindingCode::SeveralApplicationUris));
    assert!(!codes.contains(&FindingCode::ExtensionMalformed));
}

#[test]
fn malformed_and_repeated_extensions_are_reported_and_hide_nothing_else() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    // An address of three bytes, a constraint that is a string, usages that are a number.
    for (extension, name) in [
        ("subjectAltName=DER:30:0C:86:05:75:72:6E:3A:78:87:03:01:02:03", "subjectAltName"),
        ("basicConstraints=DER:30:03:0C:01:41", "basicConstraints"),
        ("keyUsage=DER:02:01:01", "keyUsage"),
        ("extendedKeyUsage=DER:30:03:02:01:01", "extKeyUsage"),
        ("subjectKeyIdentifier=DER:02:01:01", "subjectKeyIdentifier"),
        ("authorityKeyIdentifier=DER:04:01:01", "authorityKeyIdentifier"),
    ] {
        let certificate = request(&openssl, &format!("-subj /CN=a/O=b -addext {extension}"));
        assert_eq!(certificate.subject(), "CN=a, O=b");
        let findings = findings(&certificate.clone().into(), NOW);
        let finding =
            findings.iter().find(|finding| finding.code == FindingCode::ExtensionMalformed).unwrap();
        assert!(finding.message.contains(name), "{}", finding.message);
        if name == "subjectAltName" {
            assert_eq!(
                certificate.application_uri(),
                Some("urn:x"),
                "the entry before the malformed one is kept"
            );
        }
    }
}

#[test]
fn an_encoded_false_in_basic_constraints_is_read_as_false() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    let constraints = |der: &str| {
        request(&openssl, &format!("-subj /CN=a/O=b -addext basicConstraints=DER:{der}"))
            .basic_constraints()
            .unwrap()
    };
    assert!(!constraints("30:03:01:01:00").ca);
    assert!(!constraints("30:00").ca);
    assert!(constraints("30:03:01:01:FF").ca);
    let authority = constraints("30:06:01:01:FF:02:01:02");
    assert_eq!((authority.ca, authority.path_len), (true, Some(2)));
}

#[test]
fn other_keys_and_signatures_are_shown_and_refused_only_where_they_are_used() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for (algorithm, key, signature, self_signed) in [
        ("EC -pkeyopt ec_paramgen_curve:P-256", KeyAlgorithmText::P256, "ecdsa-with-SHA256", true),
        ("EC -pkeyopt ec_paramgen_curve:P-384", KeyAlgorithmText::P384, "ecdsa-with-SHA256", true),
        (
            "EC -pkeyopt ec_paramgen_curve:brainpoolP256r1",
            KeyAlgorithmText::Other("1.3.36.3.3.2.8.1.1.7"),
            "ecdsa-with-SHA256",
            false,
        ),
        ("ED25519", KeyAlgorithmText::Other("1.3.101.112"), "ED25519", true),
        ("ED448", KeyAlgorithmText::Other("1.3.101.113"), "ED448", false),
    ] {
        openssl.run(&format!("genpkey -algorithm {algorithm} -out key.pem"));
        openssl.run("req -x509 -key key.pem -out certificate.pem -days 10 -subj /CN=a/O=b");
        let certificate = read(&openssl, "certificate.pem");
        match (certificate.key_algorithm(), key) {
            (KeyAlgorithm::Ec { curve: Curve::P256 }, KeyAlgorithmText::P256)
            | (KeyAlgorithm::Ec { curve: Curve::P384 }, KeyAlgorithmText::P384) => {}
            (KeyAlgorithm::Other { oid }, KeyAlgorithmText::Other(expected)) => assert_eq!(oid, expected),
            (other, _) => panic!("{algorithm}: {other:?}"),
        }
        assert_eq!(certificate.signature_algorithm(), signature);
        // Not every algorithm can be verified; one that cannot is never called self-signed.
        assert_eq!(certificate.is_self_signed(), self_signed, "{algorithm}");
        match (certificate.key_algorithm(), certificate.public_key()) {
            (KeyAlgorithm::Ec { .. }, Ok(key)) => assert_eq!(&key.algorithm(), certificate.key_algorithm()),
            (KeyAlgorithm::Other { .. }, Err(KeyError::UnsupportedAlgorithm { .. })) => {}
            (_, other) => panic!("{algorithm}: {other:?}"),
        }
        assert!(!KEY_2048.matches(&certificate));
        let is_taken = matches!(certificate.key_algorithm(), KeyAlgorithm::Ec { .. });
        assert_eq!(codes(certificate).contains(&FindingCode::KeyKindUnsupported), !is_taken, "{algorithm}");
    }
}

enum KeyAlgorithmText {
    P256,
    P384,
    Other(&'static str),
}

#[test]
fn weak_hashes_and_short_keys_are_shown_verified_and_reported() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for (bits, hash, name) in [
        (1024, "sha1", "sha1WithRSAEncryption"),
        (1024, "sha256", "sha256WithRSAEncryption"),
        (2048, "sha1", "sha1WithRSAEncryption"),
    ] {
        openssl.run(&format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits} -out key.pem"));
        openssl.run(&format!("req -x509 -key key.pem -{hash} -out certificate.pem -days 10 -subj /CN=a/O=b"));
        let certificate = read(&openssl, "certificate.pem");
        assert_eq!(certificate.key_algorithm(), &KeyAlgorithm::Rsa { bits });
        assert_eq!(certificate.signature_algorithm(), name);
        assert!(certificate.is_self_signed());
        #[cfg(not(feature = "deprecated-policies"))]
        if bits == 1024 {
            assert_eq!(certificate.public_key(), Err(KeyError::UnsupportedSize { bits }));
        }
        let codes = codes(certificate);
        assert_eq!(codes.contains(&FindingCode::WeakSignature), hash == "sha1");
        assert_eq!(codes.contains(&FindingCode::KeyTooShort), bits == 1024);
    }
    for hash in ["sha384", "sha512", "sha256 -sigopt rsa_padding_mode:pss"] {
        let certificate = request(&openssl, &format!("-subj /CN=a/O=b -{hash}"));
        assert!(certificate.is_self_signed(), "{hash}");
        assert!(!codes(certificate.clone()).contains(&FindingCode::WeakSignature));
        assert!(codes(certificate).contains(&FindingCode::UnusualSignature), "{hash}");
    }
}

#[test]
fn self_signed_needs_the_own_signature_and_not_only_the_own_name() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    let authority = request(&openssl, "-subj /CN=same/O=same");
    openssl.write("authority.pem", authority.to_pem());
    openssl.write("other.pem", pem_of(&OTHER_KEY_2048));
    openssl.run("req -new -key other.pem -out request.pem -subj /CN=same/O=same");
    openssl.run(
        "x509 -req -in request.pem -CA authority.pem -CAkey key.pem -set_serial 5 -days 10 -out leaf.pem",
    );
    let leaf = read(&openssl, "leaf.pem");
    assert!(leaf.is_self_issued() && !leaf.is_self_signed());
    assert!(leaf.is_issued_by(&authority) && !authority.is_issued_by(&leaf));
    assert!(codes(leaf).contains(&FindingCode::SignatureInvalid));
}

#[test]
fn chains_in_der_and_pem_keep_their_order() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    let first = request(&openssl, "-subj /CN=1");
    let second = request(&openssl, "-subj /CN=2");
    let blob = [first.der(), second.der(), CERTIFICATE.der()].concat();
    let chain = CertificateChain::from_der_blob(&blob, 3).unwrap();
    assert_eq!(
        chain.iter().map(Certificate::subject).collect::<Vec<_>>(),
        ["CN=1", "CN=2", CERTIFICATE.subject()]
    );
    assert_eq!((chain.leaf(), chain.issuers().len(), chain.len()), (&first, 2, 3));
    assert_eq!(chain.to_der_blob(), blob);
    assert_eq!(CertificateChain::from_pem(chain.to_pem().as_bytes()), Ok(chain));
    assert_eq!(CertificateChain::from_der_blob(&blob, 2), Err(CertificateError::TooMany { max: 2 }));
    // OpenSSL reads what we write.
    openssl.write("chain.pem", CertificateChain::from_der_blob(&blob, 3).unwrap().to_pem());
    let listed = openssl.stdout("crl2pkcs7 -nocrl -certfile chain.pem -out -");
    openssl.write("chain.p7", listed);
    assert_eq!(openssl.stdout("pkcs7 -in chain.p7 -print_certs -noout").matches("subject").count(), 3);
}

#[test]
fn bytes_that_are_no_certificate_are_refused_with_what_is_wrong() {
    let der = CERTIFICATE.der();
    assert_eq!(Certificate::from_der(&[]), Err(CertificateError::Empty));
    assert_eq!(Certificate::from_der(&der[..der.len() - 1]), Err(CertificateError::Truncated));
    assert_eq!(Certificate::from_der(&der[..1]), Err(CertificateError::Truncated));
    let trailing = [der, b"\0\0"].concat();
    assert_eq!(Certificate::from_der(&trailing), Err(CertificateError::TrailingBytes { count: 2 }));
    for rest in [b"zz".as_slice(), b"\x02\x01\x05"] {
        let blob = CertificateChain::from_der_blob(&[der, rest].concat(), 4);
        assert_eq!(blob, Err(CertificateError::TrailingBytes { count: rest.len() }));
    }
    let large = vec![0x30; Certificate::MAX_LEN + 1];
    assert!(matches!(Certificate::from_der(&large), Err(CertificateError::TooLarge { .. })));
    for garbage in [
        b"garbage".as_slice(),
        b"\x30\x00",
        b"\x30\x03\x02\x01\x01",
        &[0; 100],
        &[0xFF; 100],
        b"\x30\x80\x00\x00",
    ] {
        assert!(
            matches!(
                Certificate::from_der(garbage),
                Err(CertificateError::Malformed { .. }
                    | CertificateError::Truncated
                    | CertificateError::TrailingBytes { .. })
            ),
            "{garbage:?}"
        );
    }
    assert_eq!(CertificateChain::from_der_blob(&[], 4), Err(CertificateError::Empty));
    assert_eq!(CertificateChain::from_pem(b"no PEM"), Err(CertificateError::Empty));
}

#[test]
fn a_changed_byte_in_the_signed_part_breaks_the_signature() {
    // A letter of the Common Name: the structure stays sound.
    let der = CERTIFICATE.der();
    let position = der.windows(4).rposition(|window| window == b"Koio").unwrap();
    let mut changed = der.to_vec();
    changed[position] = b'k';
    let changed = Certificate::from_der(&changed).unwrap();
    assert!(!changed.is_self_signed());
}

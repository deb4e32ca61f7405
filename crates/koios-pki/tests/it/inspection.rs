//! What is inspected is what OpenSSL reads.

use koios_pki::{
    AttributeType, Certificate, CertificateChain, ExtensionValue, GeneralName, KeyAlgorithm,
    SignatureAlgorithm, StringKind, TimeEncoding,
};

use crate::openssl::OpenSsl;
use crate::samples::{CERTIFICATE, KEY_2048, pem_of};

fn read(openssl: &OpenSsl) -> Certificate {
    CertificateChain::from_pem(&openssl.read("certificate.pem")).unwrap().leaf().clone()
}

#[test]
fn every_extension_is_typed_and_in_the_order_of_the_certificate() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.write(
        "config.cnf",
        "[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\nCN=gw\nO=Plant\n[san]\nURI.1=urn:x:a\nDNS.1=gw01\n\
         IP.1=192.0.2.1\nemail.1=a@b.example\nRID.1=1.2.3.4\ndirName.1=dir\notherName.1=1.2.3.5;UTF8:x\n[dir]\nCN=inner\n\
         [ext]\nsubjectAltName=@san\nkeyUsage=critical,digitalSignature,keyAgreement\n\
         extendedKeyUsage=clientAuth,1.2.3.6\nbasicConstraints=critical,CA:TRUE,pathlen:3\n\
         subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid,issuer:always\n\
         crlDistributionPoints=URI:http://crl.example/a.crl\n\
         authorityInfoAccess=OCSP;URI:http://ocsp.example/,caIssuers;URI:http://ca.example/a.crt\n\
         certificatePolicies=1.2.3.7,1.2.3.8\nnameConstraints=permitted;DNS:example\n1.2.3.9=critical,DER:05:00\n",
    );
    openssl.run("req -x509 -key key.pem -config config.cnf -days 10 -set_serial -300 -out certificate.pem");
    let certificate = read(&openssl);
    let inspection = certificate.inspect();
    let key = inspection.key();

    let extensions = inspection.extensions();
    let oids: Vec<_> = extensions.iter().map(|extension| extension.oid.to_string()).collect();
    assert_eq!(
        oids,
        [
            "2.5.29.17",
            "2.5.29.15",
            "2.5.29.37",
            "2.5.29.19",
            "2.5.29.14",
            "2.5.29.35",
            "2.5.29.31",
            "1.3.6.1.5.5.7.1.1",
            "2.5.29.32",
            "2.5.29.30",
            "1.2.3.9"
        ]
    );
    let critical: Vec<_> = extensions.iter().map(|extension| extension.critical).collect();
    assert_eq!(critical.iter().filter(|critical| **critical).count(), 3);
    let ExtensionValue::SubjectAltName(names) = &extensions[0].value else { panic!("{extensions:?}") };
    assert_eq!(names[0], GeneralName::Uri("urn:x:a".to_owned()));
    assert_eq!(names[1], GeneralName::Dns("gw01".to_owned()));
    assert_eq!(names[2], GeneralName::Ip("192.0.2.1".parse().unwrap()));
    assert_eq!(names[3], GeneralName::Email("a@b.example".to_owned()));
    assert!(matches!(&names[4], GeneralName::RegisteredId(oid) if *oid == "1.2.3.4"));
    assert!(matches!(&names[5], GeneralName::Directory(name) if name.to_string() == "CN=inner"));
    assert!(matches!(&names[6], GeneralName::Other { kind } if *kind == "1.2.3.5"));
    let ExtensionValue::KeyUsage(usage) = extensions[1].value else { panic!("{extensions:?}") };
    assert_eq!(usage.names().collect::<Vec<_>>(), ["digitalSignature", "keyAgreement"]);
    let constraints = certificate.basic_constraints().unwrap();
    assert_eq!((constraints.ca, constraints.path_len, constraints.critical), (true, Some(3), true));
    assert_eq!(extensions[4].value, ExtensionValue::SubjectKeyIdentifier(key.key_identifier.to_vec()));
    let ExtensionValue::AuthorityKeyIdentifier(authority) = &extensions[5].value else {
        panic!("{extensions:?}")
    };
    assert_eq!(authority.issuer, [GeneralName::Directory(inspection.issuer().clone())]);
    assert_eq!(authority.serial_number.as_ref(), Some(&inspection.serial_number()));
    assert_eq!(
        extensions[6].value,
        ExtensionValue::CrlDistributionPoints(vec!["http://crl.example/a.crl".to_owned()])
    );
    assert_eq!(
        extensions[7].value,
        ExtensionValue::AuthorityInfoAccess {
            ocsp: vec!["http://ocsp.example/".to_owned()],
            ca_issuers: vec!["http://ca.example/a.crt".to_owned()],
        }
    );
    assert!(matches!(&extensions[8].value, ExtensionValue::CertificatePolicies(oids)
        if oids[0] == "1.2.3.7" && oids[1] == "1.2.3.8" && oids.len() == 2));
    assert_eq!(extensions[9].value, ExtensionValue::NameConstraints);
    assert_eq!(extensions[10].value, ExtensionValue::Unknown { len: 2 });

    let serial = inspection.serial_number();
    assert_eq!(
        (serial.to_string().as_str(), serial.is_negative(), serial.is_positive()),
        ("-012C", true, false)
    );
    assert_eq!((serial.as_bytes(), serial.magnitude()), (&[0xFE, 0xD4][..], vec![0x01, 0x2C]));
    assert_eq!(key.exponent, Some(vec![1, 0, 1]));
    assert_eq!(key.algorithm, KeyAlgorithm::Rsa { bits: 2048 });
    assert_eq!(key.algorithm_oid, "1.2.840.113549.1.1.1");
    assert_eq!(inspection.signature_algorithm(), SignatureAlgorithm::RsaSha256);
    assert!(inspection.names_one_signature_algorithm() && inspection.is_self_signed());
}

#[test]
fn facts_are_those_openssl_reads() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("certificate.pem", CERTIFICATE.to_pem());
    let inspection = CERTIFICATE.inspect();
    let shown = openssl
        .stdout("x509 -in certificate.pem -noout -serial -fingerprint -sha256 -subject -nameopt RFC2253");
    assert!(shown.contains(&format!("serial={}", inspection.serial_number())), "{shown}");
    let fingerprint = shown.lines().find(|line| line.contains("ingerprint")).unwrap();
    let fingerprint = fingerprint.split_once('=').unwrap().1.replace(':', "");
    assert_eq!(fingerprint, inspection.thumbprint_sha256().to_string());
    assert_eq!(inspection.der_len(), CERTIFICATE.der().len());
    assert_eq!(inspection.time_encodings(), (TimeEncoding::Utc, TimeEncoding::Utc));
    assert!(inspection.key().spki_sha256.to_string().len() == 64);
}

#[test]
fn names_are_typed_with_their_encodings_and_multi_valued_parts() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.run(
        "req -x509 -key key.pem -out certificate.pem -days 10 -multivalue-rdn -subj /C=DE/CN=a+OU=b/O=c",
    );
    let certificate = read(&openssl);
    let inspection = certificate.inspect();
    let subject = inspection.subject();
    let sizes: Vec<_> = subject.rdns().map(<[_]>::len).collect();
    assert_eq!(sizes, [1, 2, 1]);
    assert_eq!(subject.first(AttributeType::OrganizationalUnit), Some("b"));
    assert_eq!(subject.first(AttributeType::Locality), None);
    let country = &subject.attributes()[0];
    assert_eq!((country.kind, country.encoding), (AttributeType::Country, StringKind::Printable));
}

#[test]
fn times_of_both_encodings_are_read_across_the_centuries() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.run("req -new -key key.pem -out request.pem -subj /CN=old");
    openssl.write("index", "");
    openssl.run("req -x509 -key key.pem -out certificate.pem -subj /CN=long -days 36500");
    let certificate = read(&openssl);
    assert_eq!(certificate.inspect().time_encodings(), (TimeEncoding::Utc, TimeEncoding::Generalized));
    assert_eq!((certificate.validity().not_after - certificate.validity().not_before).whole_days(), 36500);
    // 1950 is the first year a UTCTime can say (RFC 5280 §4.1.2.5.1).
    let mut der = CERTIFICATE.der().to_vec();
    let at = der.windows(2).position(|window| window == [0x17, 13]).unwrap();
    der[at + 2..at + 4].copy_from_slice(b"50");
    assert_eq!(Certificate::from_der(&der).unwrap().validity().not_before.year(), 1950);
    der[at + 2..at + 6].copy_from_slice(b"5013");
    assert!(Certificate::from_der(&der).is_err(), "no month 13");
}

#[test]
fn a_certificate_can_be_shared_between_threads() {
    fn check<T: Send + Sync + 'static>(_: &T) {}
    check(&*CERTIFICATE);
    check(&CERTIFICATE.inspect());
}

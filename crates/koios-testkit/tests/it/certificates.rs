//! The factory makes what it was asked for: openssl is the judge.

use koios_testkit::{
    BasicConstraints, CertificateSpec, ExtendedKeyUsage, San, SignatureHash, TestKey, openssl,
    revocation_list,
};

fn text_of(spec: &CertificateSpec) -> String {
    openssl::certificate_text(spec.make().der())
}

#[test]
fn an_application_certificate_follows_the_profile() {
    if !openssl::available_or_skip() {
        return;
    }
    let text = text_of(&CertificateSpec::application("urn:example:a").named("Named"));
    for expected in [
        "Subject: CN=Named,O=Koios tests",
        "URI:urn:example:a, DNS:localhost, IP Address:127.0.0.1",
        "Digital Signature, Non Repudiation, Key Encipherment, Data Encipherment, Certificate Sign",
        "TLS Web Client Authentication, TLS Web Server Authentication",
        "CA:FALSE",
        "Public-Key: (2048 bit)",
        "sha256WithRSAEncryption",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
}

#[test]
fn extensions_can_be_left_out_and_reordered() {
    if !openssl::available_or_skip() {
        return;
    }
    let text = text_of(&CertificateSpec {
        organization: None,
        san: vec![San::Dns("first.example".to_owned()), San::Uri("urn:example:second".to_owned())],
        key_usage: vec![],
        extended_key_usage: vec![ExtendedKeyUsage::ServerAuth],
        basic_constraints: None,
        authority_key_identifier: false,
        ..CertificateSpec::application("urn:unused")
    });
    assert!(text.contains("DNS:first.example, URI:urn:example:second"), "{text}");
    for absent in
        ["X509v3 Key Usage", "Client Authentication", "Basic Constraints", "Authority Key Identifier", "O="]
    {
        assert!(!text.contains(absent), "{absent} is in\n{text}");
    }
}

#[test]
fn an_issued_certificate_verifies_against_its_authority_until_revoked() {
    if !openssl::available_or_skip() {
        return;
    }
    let authority = CertificateSpec::authority("An authority").make();
    let leaf = CertificateSpec::issued_application("urn:example:leaf", &authority).make();
    assert_eq!(leaf.chain(), [leaf.der().to_vec(), authority.der().to_vec()]);

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("ca.pem"), authority.pem()).unwrap();
    std::fs::write(path("leaf.pem"), leaf.pem()).unwrap();
    openssl::run(&["verify", "-CAfile", &path("ca.pem"), &path("leaf.pem")], b"");

    let list = openssl::run(&["crl", "-inform", "DER"], &revocation_list(&authority, &[&leaf]));
    std::fs::write(path("crl.pem"), list).unwrap();
    let arguments =
        ["verify", "-crl_check", "-CRLfile", &path("crl.pem"), "-CAfile", &path("ca.pem"), &path("leaf.pem")];
    let verdict = openssl::output(&arguments, b"");
    assert!(!verdict.status.success());
    assert!(String::from_utf8_lossy(&verdict.stderr).contains("certificate revoked"));
}

#[test]
fn weak_certificates_come_from_openssl() {
    if !openssl::available_or_skip() {
        return;
    }
    let sha1 = text_of(&CertificateSpec {
        signature_hash: SignatureHash::Sha1,
        ..CertificateSpec::application("urn:example:sha1")
    });
    assert!(
        sha1.contains("sha1WithRSAEncryption") && sha1.contains("URI:urn:example:sha1, DNS:localhost"),
        "{sha1}"
    );
    let short = text_of(&CertificateSpec {
        key: TestKey::shared(1024, 0),
        basic_constraints: Some(BasicConstraints::EndEntity),
        ..CertificateSpec::application("urn:example:short")
    });
    assert!(short.contains("Public-Key: (1024 bit)") && short.contains("Non Repudiation"), "{short}");
}

#[test]
fn shared_keys_are_the_same_within_a_slot_and_differ_between_slots() {
    assert_eq!(TestKey::shared(2048, 0).pem(), TestKey::shared(2048, 0).pem());
    assert_ne!(TestKey::shared(2048, 0).pem(), TestKey::shared(2048, 1).pem());
    assert!(TestKey::shared(2048, 0).pem().starts_with("-----BEGIN PRIVATE KEY-----"));
}

//! The small authority, judged by OpenSSL: chains, revocation lists, and what it refuses to sign.

use koios_pki::{
    Authority, AuthorityParams, Certificate, CertificateRequest, IssueError, KeySpec, PrivateKey,
    RequestParams, RevocationList, RevocationListParams, RevocationReason, SerialNumber, Validity,
    certificate_request,
};
use time::Duration;

use crate::openssl::OpenSsl;
use crate::samples::{CERTIFICATE, KEY_2048, KEY_3072, KEY_P256, NOW, pem_of};

fn serial(number: u8) -> SerialNumber {
    SerialNumber::from_random_bytes([number; 16])
}

fn years(count: u32) -> Validity {
    Validity::starting_at(NOW, 365 * count)
}

struct Plant {
    root: Authority,
    intermediate: Authority,
    leaf: Certificate,
}

impl Plant {
    fn new(spec: KeySpec) -> Self {
        let mut params = AuthorityParams::new("Plant root", "Plant", years(20), serial(0xF1));
        params.path_len = Some(1);
        let root = Authority::root(&params, PrivateKey::generate(spec).unwrap()).unwrap();
        let params = AuthorityParams::new("Plant CA", "Plant", years(10), serial(0x92));
        let intermediate = root.intermediate(&params, PrivateKey::generate(spec).unwrap()).unwrap();
        let request = RequestParams::from_certificate(&CERTIFICATE).unwrap();
        let request = certificate_request(&request, &PrivateKey::generate(spec).unwrap()).unwrap();
        let leaf = intermediate.issue(&request, years(1), serial(0xA3)).unwrap();
        Self { root, intermediate, leaf }
    }
}

fn list(authority: &Authority, revoked: Option<&Certificate>) -> RevocationList {
    let mut params = RevocationListParams::new(serial(9), NOW - Duration::DAY, NOW + Duration::days(30));
    if let Some(revoked) = revoked {
        params = params.revoke(revoked, NOW - Duration::HOUR, RevocationReason::KeyCompromise);
    }
    authority.revocation_list(&params).unwrap()
}

#[test]
fn openssl_accepts_chains_and_revocation_lists_and_finds_what_is_revoked() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for spec in [KeySpec::Rsa2048, KeySpec::EcP256, KeySpec::EcP384] {
        let plant = Plant::new(spec);
        openssl.write("root.pem", plant.root.certificate().to_pem());
        openssl.write("intermediate.pem", plant.intermediate.certificate().to_pem());
        openssl.write("leaf.pem", plant.leaf.to_pem());
        let verdict = |revoked: Option<&Certificate>, from_root: Option<&Certificate>| {
            let lists = list(&plant.root, from_root).to_pem() + &list(&plant.intermediate, revoked).to_pem();
            openssl.write("lists.pem", lists);
            let at = NOW.unix_timestamp();
            let output = openssl.try_run(&format!(
                "verify -x509_strict -crl_check_all -attime {at} -purpose sslclient -CAfile root.pem \
                 -untrusted intermediate.pem -CRLfile lists.pem leaf.pem"
            ));
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
        };
        assert!(verdict(None, None).contains("leaf.pem: OK"), "{spec}: {}", verdict(None, None));
        let revoked = verdict(Some(&plant.leaf), None);
        assert!(revoked.contains("certificate revoked") && revoked.contains("0 depth"), "{spec}: {revoked}");
        let revoked = verdict(None, Some(plant.intermediate.certificate()));
        assert!(revoked.contains("certificate revoked") && revoked.contains("1 depth"), "{spec}: {revoked}");

        openssl.write("list.pem", list(&plant.intermediate, Some(&plant.leaf)).to_pem());
        let text = openssl.run("crl -in list.pem -noout -text -verify -CAfile intermediate.pem");
        let text =
            String::from_utf8_lossy(&text.stdout).into_owned() + &String::from_utf8_lossy(&text.stderr);
        for part in [
            "verify OK",
            "Version 2",
            "X509v3 Authority Key Identifier",
            "X509v3 CRL Number",
            "Key Compromise",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}

#[test]
fn an_issued_certificate_says_what_was_asked_for_and_what_the_profile_wants() {
    let plant = Plant::new(KeySpec::EcP256);
    let leaf = &plant.leaf;
    assert!(leaf.is_issued_by(plant.intermediate.certificate()));
    assert_eq!(leaf.issuer(), "CN=Plant CA, O=Plant");
    assert_eq!(leaf.subject(), CERTIFICATE.subject());
    assert_eq!(leaf.application_uris(), CERTIFICATE.application_uris());
    assert!(leaf.is_application_uri_first());
    assert!(!leaf.key_usage().unwrap().key_cert_sign());
    assert!(!leaf.basic_constraints().unwrap().ca);
    let authority = leaf.authority_key_identifier().unwrap();
    assert_eq!(
        authority.key_identifier.as_deref(),
        plant.intermediate.certificate().subject_key_identifier()
    );
    assert!(authority.has_issuer_and_serial);
    let chain = plant.intermediate.chain_below(leaf.clone());
    assert_eq!(chain.len(), 3);
    assert!(chain.iter().last().unwrap().is_self_signed());
}

#[test]
fn an_authority_can_be_taken_up_again_from_its_parts() {
    let plant = Plant::new(KeySpec::EcP256);
    let key = PrivateKey::from_pem(&plant.intermediate.key().to_pem()).unwrap();
    let again = Authority::from_parts(plant.intermediate.chain().clone(), key).unwrap();
    assert_eq!(list(&again, None).issuer(), "CN=Plant CA, O=Plant");
    let refused =
        Authority::from_parts(CERTIFICATE.clone().into(), PrivateKey::from_pem(&KEY_2048.to_pem()).unwrap());
    assert!(matches!(refused.unwrap_err(), IssueError::NotAnAuthority { .. }));
    let wrong = PrivateKey::generate(KeySpec::EcP256).unwrap();
    let refused = Authority::from_parts(plant.root.chain().clone(), wrong);
    assert!(matches!(refused.unwrap_err(), IssueError::NotAnAuthority { .. }));
}

#[test]
fn an_authority_of_openssl_is_continued_with_its_names_unchanged() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("ca.key", pem_of(&KEY_2048));
    openssl.run(
        "req -x509 -key ca.key -out ca.pem -days 3650 -subj /C=DE/O=Plant/CN=Foreign \
         -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign",
    );
    let chain = koios_pki::CertificateChain::from_pem(&openssl.read("ca.pem")).unwrap();
    let now = chain.leaf().validity().not_before;
    let key = PrivateKey::from_pem(&KEY_2048.to_pem()).unwrap();
    let authority = Authority::from_parts(chain, key).unwrap();
    let request = RequestParams::from_certificate(&CERTIFICATE).unwrap();
    let request = certificate_request(&request, &KEY_2048).unwrap();
    let validity = Validity { not_before: now, not_after: now + Duration::days(10) };
    openssl.write("leaf.pem", authority.issue(&request, validity, serial(5)).unwrap().to_pem());
    let verdict = openssl.stdout("verify -x509_strict -CAfile ca.pem leaf.pem");
    assert_eq!(verdict.trim(), "leaf.pem: OK");
}

#[test]
fn what_no_authority_may_sign_is_refused() {
    let plant = Plant::new(KeySpec::Rsa2048);
    let params = RequestParams::from_certificate(&CERTIFICATE).unwrap();
    let request = certificate_request(&params, &KEY_2048).unwrap();
    let issue = |request: &CertificateRequest, validity| {
        plant.intermediate.issue(request, validity, serial(7)).unwrap_err()
    };
    assert!(matches!(issue(&request, years(11)), IssueError::OutsideOfIssuersValidity { .. }));
    let early = Validity { not_before: NOW - Duration::days(2), not_after: NOW };
    assert!(matches!(issue(&request, early), IssueError::OutsideOfIssuersValidity { .. }));
    let inverted = Validity { not_before: NOW, not_after: NOW - Duration::SECOND };
    assert!(matches!(issue(&request, inverted), IssueError::Validity));
    let longer = certificate_request(&params, &KEY_3072).unwrap();
    assert!(matches!(issue(&longer, years(1)), IssueError::KeyStrongerThanIssuers { .. }));

    let below = AuthorityParams::new("Below", "Plant", years(1), serial(8));
    let refused = plant.intermediate.intermediate(&below, PrivateKey::generate(KeySpec::EcP256).unwrap());
    assert!(matches!(refused.unwrap_err(), IssueError::NotAnAuthority { .. }));
    let mut wide = below;
    wide.path_len = None;
    let refused = plant.root.intermediate(&wide, PrivateKey::generate(KeySpec::EcP256).unwrap());
    assert!(matches!(refused.unwrap_err(), IssueError::NotAnAuthority { .. }));
    let timeless = RevocationListParams::new(serial(1), NOW, NOW);
    assert!(matches!(plant.root.revocation_list(&timeless), Err(IssueError::Validity)));

    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    for options in [
        "-subj /CN=a",
        "-subj /CN=a -addext subjectAltName=URI:urn:ex:b,URI:urn:ex:c",
        "-subj /CN=a -addext subjectAltName=URI:nothing",
        "-subj /O=a -addext subjectAltName=URI:urn:ex:b",
    ] {
        openssl.run(&format!("req -new -key key.pem -outform DER -out request.der {options}"));
        let request = CertificateRequest::from_der(&openssl.read("request.der")).unwrap();
        assert!(matches!(issue(&request, years(1)), IssueError::RequestRefused { .. }), "{options}");
    }
}

#[test]
fn usages_that_a_request_asks_for_beyond_the_profile_are_not_granted() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    let plant = Plant::new(KeySpec::Rsa2048);
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.run(
        "req -new -key key.pem -outform DER -out request.der -subj /CN=a -addext subjectAltName=URI:urn:ex:b \
         -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign,cRLSign \
         -addext extendedKeyUsage=codeSigning",
    );
    let request = CertificateRequest::from_der(&openssl.read("request.der")).unwrap();
    let certificate = plant.intermediate.issue(&request, years(1), serial(7)).unwrap();
    assert!(!certificate.basic_constraints().unwrap().ca);
    let usage = certificate.key_usage().unwrap();
    assert!(!usage.key_cert_sign() && !usage.crl_sign() && usage.digital_signature());
    assert_eq!(certificate.extended_key_usage().unwrap().purposes().len(), 2);
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[test]
fn a_subject_that_is_not_in_the_order_of_der_is_issued_byte_for_byte() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_P256));
    openssl.run(
        "req -x509 -key key.pem -outform DER -out certificate.der -multivalue-rdn -subj /O=P/CN=gw01+serialNumber=77777 \
         -addext subjectAltName=URI:urn:plant:gw01",
    );
    // Two attributes of one RDN, which DER sorts, the other way round; such certificates exist.
    let sorted: [&[u8]; 2] =
        [b"\x30\x0b\x06\x03\x55\x04\x03\x0c\x04gw01", b"\x30\x0c\x06\x03\x55\x04\x05\x13\x0577777"];
    let (sorted, unsorted) = (sorted.concat(), [sorted[1], sorted[0]].concat());
    let mut der = openssl.read("certificate.der");
    while let Some(at) = find(&der, &sorted) {
        der[at..at + sorted.len()].copy_from_slice(&unsorted);
    }
    let certificate = Certificate::from_der(&der).unwrap();
    let request =
        certificate_request(&RequestParams::from_certificate(&certificate).unwrap(), &KEY_P256).unwrap();
    assert!(find(request.der(), &unsorted).is_some());
    let plant = Plant::new(KeySpec::EcP256);
    let issued = plant.intermediate.issue(&request, years(1), serial(5)).unwrap();
    assert!(find(issued.der(), &unsorted).is_some() && find(issued.der(), &sorted).is_none());
}

#[test]
fn a_list_revokes_only_what_its_authority_issued() {
    let (plant, twin) = (Plant::new(KeySpec::EcP256), Plant::new(KeySpec::EcP256));
    // The same serial number, of an authority with the same name and another key.
    assert_eq!(plant.leaf.serial_number(), twin.leaf.serial_number());
    let params = RevocationListParams::new(serial(9), NOW, NOW + Duration::DAY);
    for foreign in [&twin.leaf, plant.intermediate.certificate()] {
        let params = params.clone().revoke(foreign, NOW, RevocationReason::KeyCompromise);
        let error = plant.intermediate.revocation_list(&params).unwrap_err();
        assert!(matches!(error, IssueError::NotIssuedHere { .. }), "{error}");
    }
    let own = params.revoke(&plant.leaf, NOW, RevocationReason::KeyCompromise);
    assert_eq!(plant.intermediate.revocation_list(&own).unwrap().revoked_count(), 1);
}

#[test]
fn an_authority_that_may_not_sign_lists_signs_none() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    let lists = |usage: &str| {
        openssl.run(&format!(
            "req -x509 -key key.pem -out authority.pem -days 10 -subj /CN=a \
             -addext basicConstraints=critical,CA:TRUE {usage}"
        ));
        let chain = koios_pki::CertificateChain::from_pem(&openssl.read("authority.pem")).unwrap();
        let at = chain.leaf().validity().not_before;
        let authority =
            Authority::from_parts(chain, PrivateKey::from_pem(&KEY_2048.to_pem()).unwrap()).unwrap();
        authority.revocation_list(&RevocationListParams::new(serial(1), at, at + Duration::DAY))
    };
    assert!(matches!(
        lists("-addext keyUsage=critical,keyCertSign"),
        Err(IssueError::MayNotSignLists { .. })
    ));
    assert!(lists("-addext keyUsage=critical,keyCertSign,cRLSign").is_ok());
    assert!(lists("").is_ok(), "without a key usage nothing is forbidden (RFC 5280 §4.2.1.3)");
}

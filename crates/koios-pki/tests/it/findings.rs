//! One fault at a time: each finding comes up for its fault, and for nothing else.

use koios_pki::{CertificateChain, Finding, FindingCode, Severity, findings, server_findings};
use rcgen::{BasicConstraints, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use time::Duration;

use crate::samples::{
    CERTIFICATE, KEY_2048, KEY_3072, KEY_4096, NOW, issued_certificate, issued_certificate_for,
    odd_certificate,
};

fn codes(findings: &[Finding]) -> Vec<FindingCode> {
    findings.iter().map(|finding| finding.code).collect()
}

fn client_codes(chain: &CertificateChain) -> Vec<FindingCode> {
    codes(&findings(chain, NOW))
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

#[test]
fn a_sound_certificate_has_no_finding() {
    assert_eq!(client_codes(&odd_certificate(|_| {})), []);
    let (leaf, authority) = issued_certificate(&KEY_3072, |_| {}, |_| {});
    assert_eq!(client_codes(&CertificateChain::new(leaf, vec![authority])), []);
}

#[test]
fn r3_the_time_is_judged_at_the_instant_given() {
    let chain: CertificateChain = CERTIFICATE.clone().into();
    let at = |instant| codes(&findings(&chain, instant));
    let validity = CERTIFICATE.validity();
    assert_eq!(at(validity.not_before - Duration::SECOND), [FindingCode::NotYetValid]);
    assert_eq!(at(validity.not_before), []);
    assert_eq!(at(validity.not_after), []);
    assert_eq!(at(validity.not_after + Duration::SECOND), [FindingCode::Expired]);
    let expired = findings(&chain, validity.not_after + Duration::SECOND).remove(0);
    assert_eq!(expired.severity, Severity::Error);
    assert_eq!(expired.message, "The certificate expired on 2029-11-22; regenerate or replace it.");
}

#[test]
fn each_fault_of_a_client_certificate_has_its_finding() {
    type Change = fn(&mut rcgen::CertificateParams);
    let cases: [(FindingCode, Severity, Change); 15] = [
        (FindingCode::NoApplicationUri, Severity::Error, |params| {
            params.subject_alt_names = vec![dns("gw01")];
        }),
        (FindingCode::ApplicationUriNotFirst, Severity::Warning, |params| {
            params.subject_alt_names = vec![dns("gw01"), uri("urn:test:a")];
        }),
        (FindingCode::SeveralApplicationUris, Severity::Warning, |params| {
            params.subject_alt_names = vec![uri("urn:test:a"), uri("urn:test:b")];
        }),
        (FindingCode::ApplicationUriInvalid, Severity::Warning, |params| {
            params.subject_alt_names = vec![uri("urn:test:with a blank")];
        }),
        (FindingCode::KeyUsageIncomplete, Severity::Warning, |params| {
            params.key_usages.retain(|usage| *usage != KeyUsagePurpose::DataEncipherment);
        }),
        (FindingCode::SelfSignedWithoutKeyCertSign, Severity::Warning, |params| {
            params.key_usages.retain(|usage| *usage != KeyUsagePurpose::KeyCertSign);
        }),
        (FindingCode::ExtendedKeyUsageIncomplete, Severity::Warning, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }),
        (FindingCode::ExtendedKeyUsageIncomplete, Severity::Warning, |params| {
            params.extended_key_usages.clear();
        }),
        (FindingCode::CaCertificate, Severity::Error, |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        }),
        (FindingCode::AuthorityKeyIdentifierMissing, Severity::Info, |params| {
            params.use_authority_key_identifier_extension = false;
        }),
        (FindingCode::OrganizationMissing, Severity::Warning, |params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, "odd");
        }),
        (FindingCode::OrganizationMissing, Severity::Warning, |params| {
            params.distinguished_name.push(DnType::OrganizationName, " ");
        }),
        (FindingCode::CommonNameMissing, Severity::Warning, |params| {
            params.distinguished_name.remove(DnType::CommonName);
        }),
        (FindingCode::SerialNumberNotPositive, Severity::Warning, |params| {
            params.serial_number = Some(vec![0].into());
        }),
        (FindingCode::SerialNumberTooLong, Severity::Warning, |params| {
            params.serial_number = Some(vec![1; 21].into());
        }),
    ];
    for (code, severity, change) in cases {
        let found = findings(&odd_certificate(change), NOW);
        assert_eq!(codes(&found), [code], "{found:?}");
        assert_eq!(found[0].severity, severity, "{code}");
        assert!(found[0].reference.contains('§'), "{code} names its clause");
        let message = &found[0].message;
        assert!(message.ends_with('.') && message.starts_with(char::is_uppercase), "{message}");
    }
    let nothing_said = odd_certificate(|params| params.is_ca = IsCa::NoCa);
    assert_eq!(
        client_codes(&nothing_said),
        [FindingCode::BasicConstraintsMissing, FindingCode::SubjectKeyIdentifierMissing]
    );
}

#[test]
fn the_links_of_a_chain_are_judged() {
    let chain_codes = |chain: CertificateChain| client_codes(&chain);
    let (leaf, authority) = issued_certificate(&KEY_3072, |_| {}, |_| {});
    assert_eq!(chain_codes(leaf.clone().into()), [FindingCode::ChainIncomplete]);
    let stranger = CERTIFICATE.clone();
    assert_eq!(
        chain_codes(CertificateChain::new(leaf.clone(), vec![stranger, authority.clone()])),
        [FindingCode::ChainOutOfOrder]
    );
    assert_eq!(
        chain_codes(CertificateChain::new(CERTIFICATE.clone(), vec![authority])),
        [FindingCode::ChainOutOfOrder],
        "nothing follows a self-signed certificate"
    );

    // The same name, another key.
    let (_, impostor) = issued_certificate(&KEY_4096, |_| {}, |_| {});
    assert_eq!(chain_codes(CertificateChain::new(leaf, vec![impostor])), [FindingCode::SignatureInvalid]);

    let chain = |key, leaf: fn(&mut rcgen::CertificateParams), issuer: fn(&mut rcgen::CertificateParams)| {
        let (leaf, authority) = issued_certificate(key, leaf, issuer);
        chain_codes(CertificateChain::new(leaf, vec![authority]))
    };
    assert_eq!(
        chain(&KEY_3072, |_| {}, |issuer| issuer.is_ca = IsCa::ExplicitNoCa),
        [FindingCode::IssuerNotCa]
    );
    assert_eq!(
        chain(&KEY_3072, |_| {}, |issuer| issuer.not_after = NOW - Duration::HOUR),
        [FindingCode::IssuerExpired, FindingCode::OutlivesIssuer]
    );
    assert_eq!(
        chain(&KEY_3072, |leaf| leaf.not_after = NOW + Duration::days(201), |_| {}),
        [FindingCode::OutlivesIssuer]
    );
    assert_eq!(
        chain(&KEY_3072, |leaf| leaf.use_authority_key_identifier_extension = false, |_| {}),
        [FindingCode::AuthorityKeyIdentifierMissing]
    );
}

#[test]
fn an_issuer_with_a_shorter_key_is_reported() {
    let (leaf, authority) = issued_certificate_for(&KEY_3072, &KEY_2048, |_| {}, |_| {});
    let chain = CertificateChain::new(leaf, vec![authority]);
    assert_eq!(client_codes(&chain), [FindingCode::IssuerKeyTooShort]);
}

#[test]
fn r16_a_servers_host_name_is_looked_for_in_its_certificate() {
    let chain: CertificateChain = CERTIFICATE.clone().into();
    let mismatch = |host: &str| {
        codes(&server_findings(&chain, host, None, NOW)).contains(&FindingCode::HostNameMismatch)
    };
    for host in [
        "gw01",
        "GW01",
        "gw01.plant.example",
        "gw01.plant.example.",
        "192.0.2.7",
        "2001:db8::7",
        "[2001:DB8:0::7]",
    ] {
        assert!(!mismatch(host), "{host}");
    }
    for host in
        ["gw02", "plant.example", "x.gw01.plant.example", "192.0.2.8", "2001:db8::8", "localhost", "", "*"]
    {
        assert!(mismatch(host), "{host}");
    }
    let message = server_findings(&chain, "gw02", None, NOW).remove(0).message;
    assert!(
        message.contains("gw02") && message.contains("gw01.plant.example, gw01, 192.0.2.7, 2001:db8::7"),
        "{message}"
    );
    let nameless = odd_certificate(|_| {});
    let message = server_findings(&nameless, "gw02", None, NOW).remove(0).message;
    assert!(message.contains("no host name"), "{message}");
}

#[test]
fn r16_a_wildcard_in_a_servers_certificate_matches_nothing() {
    let chain =
        odd_certificate(|params| params.subject_alt_names = vec![uri("urn:test:a"), dns("*.plant.example")]);
    assert_eq!(
        codes(&server_findings(&chain, "gw01.plant.example", None, NOW)),
        [FindingCode::HostNameMismatch]
    );
}

#[test]
fn r16_a_servers_application_uri_is_compared_byte_for_byte() {
    let chain = odd_certificate(|params| params.subject_alt_names = vec![uri("urn:test:A"), dns("gw01")]);
    let found = |expected| codes(&server_findings(&chain, "gw01", expected, NOW));
    assert_eq!(found(Some("urn:test:A")), []);
    assert_eq!(found(None), []);
    assert_eq!(found(Some("urn:test:a")), [FindingCode::ApplicationUriMismatch]);
    let without = odd_certificate(|params| params.subject_alt_names = vec![dns("gw01")]);
    let codes = codes(&server_findings(&without, "gw01", Some("urn:test:a"), NOW));
    assert_eq!(codes, [FindingCode::NoApplicationUri]);
}

#[test]
fn r16_a_server_needs_the_usage_of_a_server_and_no_organization() {
    let client_only = odd_certificate(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names.push(dns("gw01"));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "server");
    });
    assert_eq!(
        codes(&server_findings(&client_only, "gw01", None, NOW)),
        [FindingCode::ExtendedKeyUsageIncomplete]
    );
    let late = CERTIFICATE.validity().not_after + Duration::DAY;
    assert_eq!(
        codes(&server_findings(&CERTIFICATE.clone().into(), "gw01", None, late)),
        [FindingCode::Expired]
    );
}

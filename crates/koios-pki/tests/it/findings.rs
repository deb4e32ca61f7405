//! One fault at a time: each finding comes up for its fault, and for nothing else.

use koios_pki::{
    Certificate, CertificateChain, CertificateType, Finding, FindingCode, LintParams, LintRole, PeerStack,
    SecurityPolicy, Severity, findings, lint, server_findings,
};
use rcgen::{BasicConstraints, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use time::Duration;

use crate::openssl::OpenSsl;
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
    assert_eq!(at(validity.not_before), [FindingCode::ValidityBeganJustNow]);
    assert_eq!(at(validity.not_before + Duration::minutes(5)), []);
    assert_eq!(at(validity.not_after), []);
    assert_eq!(at(validity.not_after + Duration::SECOND), [FindingCode::Expired]);
    let expired = findings(&chain, validity.not_after + Duration::SECOND).remove(0);
    assert_eq!(expired.severity, Severity::Error);
    assert_eq!(expired.message, "The certificate expired on 2029-11-22; regenerate or replace it.");
}

#[test]
fn each_fault_of_a_client_certificate_has_its_finding() {
    type Change = fn(&mut rcgen::CertificateParams);
    let cases: [(FindingCode, Severity, Change); 26] = [
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
        (FindingCode::LegacyCaCertificate, Severity::Warning, |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        }),
        (FindingCode::CaCertificate, Severity::Error, |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
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
        (FindingCode::SerialNumberPredictable, Severity::Warning, |params| {
            params.serial_number = Some(vec![42].into());
        }),
        (FindingCode::ApplicationUriNotLowerCase, Severity::Info, |params| {
            params.subject_alt_names = vec![uri("http://Plant.example/GW")];
        }),
        (FindingCode::ApplicationUriInvalid, Severity::Warning, |params| {
            params.subject_alt_names = vec![uri("no-scheme")];
        }),
        (FindingCode::DnsNameIsAddress, Severity::Warning, |params| {
            params.subject_alt_names = vec![uri("urn:test:a"), dns("192.0.2.1")];
        }),
        (FindingCode::DnsNameWildcard, Severity::Info, |params| {
            params.subject_alt_names = vec![uri("urn:test:a"), dns("*.plant.example")];
        }),
        (FindingCode::CommonNameTooLong, Severity::Warning, |params| {
            params.distinguished_name.push(DnType::CommonName, "x".repeat(65));
        }),
        (FindingCode::DistinguishedNameEncoding, Severity::Info, |params| {
            params.distinguished_name.push(DnType::CountryName, "DE");
        }),
        (FindingCode::SubjectKeyIdentifierUnusual, Severity::Info, |params| {
            params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![1; 20]);
        }),
        (FindingCode::UnknownCriticalExtension, Severity::Error, |params| {
            let mut extension =
                rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 7], vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions.push(extension);
        }),
        (FindingCode::ValidityVeryLong, Severity::Info, |params| {
            params.not_after = NOW + Duration::days(40 * 365);
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
    let authority = odd_certificate(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages.push(KeyUsagePurpose::CrlSign);
    });
    assert_eq!(
        client_codes(&authority),
        [FindingCode::CaCertificate, FindingCode::CaCertificateSignsRevocationLists],
        "what may sign revocation lists is no legacy certificate"
    );
    let in_dns_name = odd_certificate(|params| params.subject_alt_names = vec![dns("urn:test:a")]);
    assert_eq!(
        client_codes(&in_dns_name),
        [FindingCode::ApplicationUriInDnsName, FindingCode::NoApplicationUri]
    );
    let empty = odd_certificate(|params| params.distinguished_name = rcgen::DistinguishedName::new());
    assert_eq!(client_codes(&empty), [FindingCode::SubjectEmpty]);
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
        [FindingCode::ChainOutOfOrder, FindingCode::ChainSurplus]
    );
    assert_eq!(
        chain_codes(CertificateChain::new(CERTIFICATE.clone(), vec![authority])),
        [FindingCode::ChainSurplus],
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
        [FindingCode::HostNameMismatch, FindingCode::DnsNameWildcard]
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

/// The same certificate with bytes replaced by others of the same length, where they stand for the `nth` time.
fn patched(chain: &CertificateChain, nth: usize, old: &[u8], new: &[u8]) -> CertificateChain {
    let mut der = chain.leaf().der().to_vec();
    let places: Vec<_> =
        der.windows(old.len()).enumerate().filter(|(_, window)| *window == old).map(|(at, _)| at).collect();
    der[places[nth]..][..new.len()].copy_from_slice(new);
    Certificate::from_der(&der).unwrap().into()
}

/// What a change of bytes adds to the findings, its broken signature and its other name apart.
fn codes_of_patched(nth: usize, old: &[u8], new: &[u8]) -> Vec<FindingCode> {
    let mut found = client_codes(&patched(&odd_certificate(|_| {}), nth, old, new));
    found.retain(|code| !matches!(code, FindingCode::SignatureInvalid | FindingCode::ChainIncomplete));
    found
}

#[test]
fn what_no_sound_library_writes_is_reported_as_well() {
    // sha256WithRSAEncryption inside, sha384WithRSAEncryption outside.
    let oid = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B];
    let other = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0C];
    assert_eq!(
        codes_of_patched(1, &oid, &other),
        [FindingCode::SignatureAlgorithmsDiffer, FindingCode::UnusualSignature]
    );
    // The Common Name as PrintableString with a sign that is none of its characters; as T61String.
    assert_eq!(codes_of_patched(1, b"\x0C\x03odd", b"\x13\x03o_d"), [FindingCode::DistinguishedNameEncoding]);
    assert_eq!(codes_of_patched(1, b"\x0C\x03odd", b"\x14\x03odd"), [FindingCode::DistinguishedNameEncoding]);
    // The year of the end before that of the beginning.
    assert_eq!(codes_of_patched(0, b"270303", b"250303"), [FindingCode::ValidityReversed]);
}

#[test]
fn the_type_wanted_decides_about_keys_and_signatures() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    let make = |key: &str, options: &str| {
        openssl.run(&format!("genpkey -algorithm {key} -out key.pem"));
        openssl.run(&format!(
            "req -x509 -key key.pem -out certificate.pem -days 10 -subj /CN=a/O=b {options} \
             -set_serial 0x1234 -addext subjectAltName=URI:urn:x:a -addext basicConstraints=critical,CA:FALSE \
             -addext keyUsage=critical,digitalSignature,nonRepudiation,keyEncipherment,dataEncipherment,keyCertSign"
        ));
        CertificateChain::from_pem(&openssl.read("certificate.pem")).unwrap()
    };
    let judged = |chain: &CertificateChain, certificate_type| {
        let at = chain.leaf().validity().not_after;
        let mut params = LintParams::new(at, LintRole::Client);
        params.certificate_type = certificate_type;
        let found = lint(chain, &params).into_iter().filter(|finding| {
            matches!(
                finding.code,
                FindingCode::KeyTooShort
                    | FindingCode::KeyTooLong
                    | FindingCode::KeyKindUnsupported
                    | FindingCode::WeakSignature
                    | FindingCode::UnusualSignature
                    | FindingCode::ExtendedKeyUsageIncomplete
            )
        });
        found.map(|finding| (finding.code, finding.severity)).collect::<Vec<_>>()
    };
    let (error, warning) = (Severity::Error, Severity::Warning);
    let no_usage = (FindingCode::ExtendedKeyUsageIncomplete, warning);

    let old = make("RSA -pkeyopt rsa_keygen_bits:1024", "-sha1");
    let refused = [(FindingCode::KeyTooShort, error), (FindingCode::WeakSignature, error), no_usage];
    assert_eq!(judged(&old, None), refused);
    assert_eq!(judged(&old, Some(CertificateType::RsaSha256)), refused);
    assert_eq!(
        judged(&old, Some(CertificateType::RsaMin)),
        [no_usage, (FindingCode::WeakSignature, Severity::Info)]
    );
    assert_eq!(
        judged(&old, Some(CertificateType::EccNistP256)),
        [(FindingCode::KeyKindUnsupported, error), (FindingCode::WeakSignature, error), no_usage]
    );

    let curve = make("EC -pkeyopt ec_paramgen_curve:P-256", "-sha256");
    assert_eq!(judged(&curve, Some(CertificateType::EccNistP256)), [], "the usage may be left out");
    assert_eq!(judged(&curve, None), [], "some policy takes it");
    let wanted = Some(CertificateType::EccNistP384);
    assert_eq!(judged(&curve, wanted), [(FindingCode::KeyKindUnsupported, error)]);
    assert_eq!(
        judged(&curve, Some(CertificateType::RsaSha256)),
        [(FindingCode::KeyKindUnsupported, error), (FindingCode::UnusualSignature, warning)]
    );
    let longer = make("EC -pkeyopt ec_paramgen_curve:P-384", "-sha256");
    assert_eq!(
        judged(&longer, Some(CertificateType::EccNistP384)),
        [(FindingCode::UnusualSignature, warning)],
        "the hash is not that of the curve"
    );
}

#[test]
fn a_key_longer_than_the_type_takes_is_reported() {
    let mut params = LintParams::new(NOW, LintRole::Client);
    params.certificate_type = Some(CertificateType::RsaMin);
    let longer: CertificateChain = issued_certificate_for(&KEY_3072, &KEY_3072, |_| {}, |_| {}).0.into();
    for (chain, expected) in [(CERTIFICATE.clone().into(), false), (longer, true)] {
        let found = lint(&chain, &params);
        assert_eq!(codes(&found).contains(&FindingCode::KeyTooLong), expected, "{found:?}");
    }
}

#[test]
fn md5_is_a_weak_signature_for_every_type() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", KEY_2048.to_pem().secret_bytes());
    openssl.run("req -x509 -key key.pem -out certificate.pem -days 10 -subj /CN=a -md5");
    let chain = CertificateChain::from_pem(&openssl.read("certificate.pem")).unwrap();
    for certificate_type in [None, Some(CertificateType::RsaMin), Some(CertificateType::RsaSha256)] {
        let mut params = LintParams::new(NOW, LintRole::Client);
        params.certificate_type = certificate_type;
        let found = lint(&chain, &params);
        let finding = found.iter().find(|finding| finding.code == FindingCode::WeakSignature).unwrap();
        assert_eq!(finding.severity, Severity::Error, "{certificate_type:?}");
        assert!(finding.message.contains("md5"), "{}", finding.message);
    }
}

#[test]
fn a_certificate_too_small_for_open62541_is_reported_in_a_chain_only() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.run("genpkey -algorithm ED25519 -out key.pem");
    openssl.run("req -new -key key.pem -out request.pem -subj /CN=a");
    openssl.run("x509 -req -in request.pem -key key.pem -out certificate.der -outform DER -days 10");
    let small = Certificate::from_der(&openssl.read("certificate.der")).unwrap();
    assert!(small.der().len() < 256, "{}", small.der().len());
    let alone = client_codes(&small.clone().into());
    assert!(!alone.contains(&FindingCode::CertificateTooSmall));
    let chain = CertificateChain::new(CERTIFICATE.clone(), vec![small]);
    assert!(client_codes(&chain).contains(&FindingCode::CertificateTooSmall));
}

#[test]
fn a_policy_stands_for_its_certificate_type() {
    let params = LintParams::new(NOW, LintRole::Client);
    assert_eq!(params.for_policy(SecurityPolicy::None).certificate_type, None);
    let rsa = params.for_policy(SecurityPolicy::Basic256Sha256).certificate_type;
    assert_eq!(rsa, Some(CertificateType::RsaSha256));
    assert_eq!(lint(&CERTIFICATE.clone().into(), &params), []);
    let both = LintParams::new(NOW, LintRole::Either);
    assert_eq!(lint(&CERTIFICATE.clone().into(), &both), []);
}

#[test]
fn an_application_that_is_also_a_server_needs_both_usages_and_a_host() {
    let chain = odd_certificate(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert_eq!(client_codes(&chain), []);
    assert_eq!(
        codes(&lint(&chain, &LintParams::new(NOW, LintRole::Either))),
        [FindingCode::ExtendedKeyUsageIncomplete, FindingCode::HostNameMissing]
    );
}

#[test]
fn the_rules_for_issuers_are_judged() {
    let chain = |leaf: fn(&mut rcgen::CertificateParams), issuer: fn(&mut rcgen::CertificateParams)| {
        let (leaf, authority) = issued_certificate(&KEY_3072, leaf, issuer);
        client_codes(&CertificateChain::new(leaf, vec![authority]))
    };
    assert_eq!(
        chain(|_| {}, |issuer| issuer.key_usages = vec![KeyUsagePurpose::KeyCertSign]),
        [FindingCode::IssuerKeyUsageIncomplete]
    );
    assert_eq!(
        chain(|_| {}, |issuer| issuer.use_authority_key_identifier_extension = false),
        [FindingCode::IssuerIdentifiersMissing]
    );
    assert_eq!(
        chain(|leaf| leaf.not_before = NOW - Duration::days(2), |_| {}),
        [FindingCode::BeginsBeforeIssuer]
    );
    let (leaf, authority) = issued_certificate(&KEY_3072, |_| {}, |_| {});
    let found = codes(&lint(
        &CertificateChain::new(leaf, vec![authority]),
        &LintParams::new(NOW, LintRole::Client).for_policy(SecurityPolicy::Aes256Sha256RsaPss),
    ));
    assert_eq!(found, []);

    // The authority's certificate made anew for the same key and name, with another identifier.
    let (leaf, _) = issued_certificate(&KEY_3072, |_| {}, |_| {});
    let (_, renewed) = issued_certificate(
        &KEY_3072,
        |_| {},
        |issuer| issuer.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![7; 20]),
    );
    let found = client_codes(&CertificateChain::new(leaf.clone(), vec![renewed]));
    assert_eq!(found, [FindingCode::AuthorityKeyIdentifierMismatch]);

    // The same name as PrintableString.
    let (_, authority) = issued_certificate(&KEY_3072, |_| {}, |_| {});
    let authority: CertificateChain = authority.into();
    let reencoded = patched(&authority, 1, b"\x0C\x07Test CA", b"\x13\x07Test CA");
    let found = client_codes(&CertificateChain::new(leaf, vec![reencoded.leaf().clone()]));
    assert_eq!(found, [FindingCode::IssuerNameReencoded]);
}

/// What validation refuses of issuers is not left for the first connect to find.
#[test]
fn issuers_that_validation_refuses_are_reported() {
    let (leaf, authority) = issued_certificate(&KEY_3072, |_| {}, |_| {});
    let authority: CertificateChain = authority.into();
    let with = |issuer: CertificateChain| {
        client_codes(&CertificateChain::new(leaf.clone(), vec![issuer.leaf().clone()]))
    };
    // The authority names another algorithm inside than outside.
    let oid = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B];
    let sha512 = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0D];
    let found = with(patched(&authority, 1, &oid, &sha512));
    assert_eq!(found, [FindingCode::IssuerInvalid, FindingCode::IssuerUnusualSignature]);
    // SHA-1 outside is what counts as its signature; a root's own.
    let sha1 = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x05];
    let broken = patched(&patched(&authority, 1, &oid, &sha1), 0, &oid, &sha1);
    assert_eq!(with(broken), [FindingCode::IssuerWeakSignature]);

    let (constrained_leaf, constrained) = issued_certificate(
        &KEY_3072,
        |_| {},
        |issuer| {
            let permitted_subtrees = vec![rcgen::GeneralSubtree::DnsName("plant.example".to_owned())];
            issuer.name_constraints =
                Some(rcgen::NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
        },
    );
    let found = findings(&CertificateChain::new(constrained_leaf, vec![constrained]), NOW);
    assert_eq!(codes(&found), [FindingCode::IssuerInvalid]);
    assert_eq!(found[0].severity, Severity::Error);
    assert!(found[0].message.contains("2.5.29.30"), "{}", found[0].message);
}

#[test]
fn an_issuer_without_a_name_is_reported() {
    let authority = |change: fn(&mut rcgen::CertificateParams)| {
        let (leaf, _) = issued_certificate(&KEY_3072, |_| {}, change);
        client_codes(&leaf.into())
    };
    let nameless = authority(|issuer| issuer.distinguished_name = rcgen::DistinguishedName::new());
    assert!(nameless.contains(&FindingCode::IssuerNameEmpty), "{nameless:?}");
    assert!(!authority(|_| {}).contains(&FindingCode::IssuerNameEmpty));
}

/// They are stronger than what the policies name, and refused by who follows them to the letter, as we do.
#[test]
fn longer_hashes_than_the_policies_name_are_reported() {
    let pem = String::from_utf8(KEY_2048.to_pem().secret_bytes().to_vec()).unwrap();
    for (algorithm, name) in [(&rcgen::PKCS_RSA_SHA384, "384"), (&rcgen::PKCS_RSA_SHA512, "512")] {
        let key = rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(&pem, algorithm).unwrap();
        let mut params = None;
        odd_certificate(|of_odd| params = Some(of_odd.clone()));
        let der = params.unwrap().self_signed(&key).unwrap();
        let chain: CertificateChain = Certificate::from_der(der.der()).unwrap().into();
        for policy in [None, Some(SecurityPolicy::Basic256Sha256)] {
            let params = LintParams::new(NOW, LintRole::Client);
            let found = lint(&chain, &policy.map_or(params, |policy| params.for_policy(policy)));
            assert_eq!(codes(&found), [FindingCode::UnusualSignature]);
            assert!(found[0].message.contains(name), "{}", found[0].message);
        }
    }
}

#[test]
fn a_curve_longer_than_the_issuers_is_reported() {
    let key = |algorithm| rcgen::KeyPair::generate_for(algorithm).unwrap();
    let (short, long) = (key(&rcgen::PKCS_ECDSA_P256_SHA256), key(&rcgen::PKCS_ECDSA_P384_SHA384));
    let mut authority = rcgen::CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = Certificate::from_der(authority.self_signed(&short).unwrap().der()).unwrap();
    let issuer = rcgen::Issuer::from_params(&authority, &short);
    for (key, expected) in [(&long, true), (&short, false)] {
        let leaf = rcgen::CertificateParams::default().signed_by(key, &issuer).unwrap();
        let leaf = Certificate::from_der(leaf.der()).unwrap();
        let found = client_codes(&CertificateChain::new(leaf, vec![root.clone()]));
        assert_eq!(found.contains(&FindingCode::IssuerKeyTooShort), expected, "{found:?}");
    }
}

#[test]
fn a_users_certificate_needs_neither_uri_nor_the_usages_of_an_application() {
    let user = |change: fn(&mut rcgen::CertificateParams)| {
        let chain = odd_certificate(|params| {
            params.subject_alt_names.clear();
            params.extended_key_usages.clear();
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::DataEncipherment];
            change(params);
        });
        lint(&chain, &LintParams::new(NOW, LintRole::User))
    };
    assert_eq!(user(|_| {}), []);
    let found = user(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    assert_eq!(codes(&found), [FindingCode::KeyUsageIncomplete]);
    assert_eq!((found[0].peers, found[0].reference), (&[PeerStack::Net][..], "OPC 10000-6 §6.2.3"));
    let found = user(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(codes(&found), [FindingCode::CaCertificate]);
    let found = user(|params| params.distinguished_name.remove(DnType::CommonName).then_some(()).unwrap());
    assert_eq!(codes(&found), [FindingCode::CommonNameMissing]);
}

#[test]
fn the_peers_named_are_those_that_miss_the_usage() {
    let without = |usage: KeyUsagePurpose| {
        let chain = odd_certificate(|params| params.key_usages.retain(|known| *known != usage));
        findings(&chain, NOW)[0].peers
    };
    assert_eq!(
        without(KeyUsagePurpose::DataEncipherment),
        [PeerStack::Milo, PeerStack::Net, PeerStack::S2opc]
    );
    assert_eq!(without(KeyUsagePurpose::ContentCommitment), [PeerStack::Milo, PeerStack::S2opc]);
}

#[test]
fn a_key_on_a_curve_should_have_no_usage_it_does_not_need() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let judged = |usages: &[KeyUsagePurpose]| {
        let mut params = None;
        odd_certificate(|of_odd| params = Some(of_odd.clone()));
        let mut params = params.unwrap();
        params.key_usages = usages.to_vec();
        let certificate = params.self_signed(&key).unwrap();
        client_codes(&Certificate::from_der(certificate.der()).unwrap().into())
    };
    let (sign, certify) = (KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign);
    assert_eq!(judged(&[sign, certify]), []);
    assert_eq!(judged(&[sign, certify, KeyUsagePurpose::ContentCommitment]), []);
    assert_eq!(judged(&[sign, certify, KeyUsagePurpose::KeyAgreement]), [FindingCode::KeyUsageSurplus]);
}

/// `opcua-certificates.md` §6, traps 5 and 29, and RFC 5280 §4.2.1.
#[test]
fn odd_identifiers_criticality_and_encodings_are_reported() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", KEY_2048.to_pem().secret_bytes());
    let make = |extensions: &str| {
        openssl.write(
            "certificate.cnf",
            format!(
                "[req]\ndistinguished_name=name\nprompt=no\nx509_extensions=all\n[name]\nCN=a\nO=b\n[all]\n\
                 subjectAltName={}URI:urn:test:a\nextendedKeyUsage=serverAuth,clientAuth\n{extensions}\n",
                if extensions.contains("# critical") { "critical," } else { "" }
            )
            .as_bytes(),
        );
        openssl.run(
            "req -x509 -new -key key.pem -out certificate.pem -days 10 -set_serial 0x1234 -config certificate.cnf",
        );
        let chain = CertificateChain::from_pem(&openssl.read("certificate.pem")).unwrap();
        let at = chain.leaf().validity().not_after;
        codes(&lint(&chain, &LintParams::new(at, LintRole::Client)))
    };
    let usage =
        "keyUsage=critical,digitalSignature,nonRepudiation,keyEncipherment,dataEncipherment,keyCertSign";
    let constraints = "basicConstraints=critical,CA:FALSE";
    let identifiers = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always";
    let sound = [usage, constraints, identifiers].join("\n");
    assert_eq!(make(&sound), []);
    // An encoded FALSE in the basicConstraints.
    let encoded = [usage, identifiers, "basicConstraints=critical,DER:30:03:01:01:00"].join("\n");
    assert_eq!(make(&encoded), [FindingCode::NotDer]);
    // The same bits, with a zero byte behind them.
    let trailing = ["keyUsage=critical,DER:03:03:00:F4:00", constraints, identifiers].join("\n");
    assert_eq!(make(&trailing), [FindingCode::NotDer]);
    assert_eq!(make(&format!("{sound}\n# critical")), [FindingCode::ExtensionMustNotBeCritical]);
    let critical =
        [usage, constraints, "subjectKeyIdentifier=critical,hash", "authorityKeyIdentifier=keyid:always"];
    assert_eq!(make(&critical.join("\n")), [FindingCode::ExtensionMustNotBeCritical]);
    // Right key, wrong serial number: 1 instead of 0x1234.
    let wrong =
        [usage, constraints, "subjectKeyIdentifier=hash", "authorityKeyIdentifier=DER:30:03:82:01:01"];
    assert_eq!(make(&wrong.join("\n")), [FindingCode::AuthorityKeyIdentifierMismatch]);
    let limited = format!("{sound}\nnameConstraints=critical,permitted;DNS:plant.example");
    assert_eq!(make(&limited), [FindingCode::UnknownCriticalExtension]);
}

#[test]
fn a_chain_too_large_for_the_wire_is_reported() {
    let long_uri = "urn:x:".to_owned() + &"a".repeat(240);
    let names = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names.extend((0..30).map(|_| dns(&long_uri.replace(':', "."))));
    };
    let (leaf, authority) = issued_certificate(&KEY_3072, names, |_| {});
    let found = client_codes(&CertificateChain::new(leaf, vec![authority]));
    assert_eq!(found, [FindingCode::ChainTooLarge]);
}

#[test]
fn findings_name_the_peers_known_to_refuse() {
    let chain = odd_certificate(|params| params.subject_alt_names = vec![dns("gw01"), uri("urn:test:a")]);
    assert_eq!(findings(&chain, NOW)[0].peers, [PeerStack::AsyncOpcua]);
    let expired = findings(&CERTIFICATE.clone().into(), NOW + Duration::days(9999));
    assert_eq!((expired[0].code, expired[0].peers), (FindingCode::Expired, &[][..]));
}

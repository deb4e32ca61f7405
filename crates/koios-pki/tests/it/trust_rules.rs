//! Trust validation: what each certificate of a chain must be, with the evidence when it is not.

use koios_pki::{
    Certificate, CertificateChain, CertificateType, PeerRole, SelfSignedAuthority, Suppression, Suppressions,
    TrustErrorKind, TrustStatus, UnknownRevocation, ValidationParams, ValidationStep, validate,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose,
};
use time::Duration;

use crate::openssl::OpenSsl;
use crate::samples::{
    CERTIFICATE, KEY_2048, KEY_3072, NOW, issued_certificate, issued_certificate_for, pem_of,
};
use crate::trust_pki::{Authority, client, judge, leaf_params, new_key, refusal, self_signed, trust};

#[test]
fn validity_is_checked_for_each_certificate_at_the_instant_given() {
    let root = Authority::root("Root");
    let late = |params: &mut CertificateParams| params.not_before = NOW + Duration::DAY;
    let over = |params: &mut CertificateParams| params.not_after = NOW - Duration::SECOND;
    for leaf in [root.leaf_with(late), root.leaf_with(over)] {
        let trust = trust(&[&root.certificate], &[], &[&root.list()]);
        let error = judge(&leaf, &trust).unwrap_err();
        assert_eq!((error.status(), error.depth()), (TrustStatus::TimeInvalid, 0));
        match error.kind() {
            TrustErrorKind::NotYetValid { not_before, checked_at } => {
                assert_eq!((*not_before, *checked_at), (NOW + Duration::DAY, NOW));
            }
            TrustErrorKind::Expired { not_after, checked_at } => {
                assert_eq!((*not_after, *checked_at), (NOW - Duration::SECOND, NOW));
            }
            other => panic!("{other:?}"),
        }
        let mut params = client();
        params.suppressed = Suppressions::NONE.with(Suppression::Time);
        let verified = validate(&leaf.into(), &trust, &params).unwrap();
        assert_eq!(verified.suppressed(), [error]);
    }
    let expired = Authority::root_with("Root", new_key(), over);
    let leaf = expired.leaf();
    let trust = trust(&[&expired.certificate], &[], &[&expired.list()]);
    assert_eq!(refusal(judge(&leaf, &trust)), (TrustStatus::IssuerTimeInvalid, 1));
    let mut params = client();
    params.suppressed = Suppressions::NONE.with(Suppression::Time);
    assert!(validate(&leaf.clone().into(), &trust, &params).is_err(), "the leaf's is another suppression");
    params.suppressed = Suppressions::NONE.with(Suppression::IssuerTime);
    assert!(validate(&leaf.into(), &trust, &params).is_ok());
}

#[test]
fn the_host_is_checked_for_servers_only() {
    let root = Authority::root("Root");
    let leaf = root.leaf();
    let trust = trust(&[&root.certificate], &[], &[&root.list()]);
    let with = |role, host| {
        let mut params = ValidationParams::new(NOW, role);
        params.host = Some(host);
        validate(&leaf.clone().into(), &trust, &params)
    };
    for host in ["gw01.plant.example", "GW01.Plant.Example.", "192.0.2.7"] {
        assert!(with(PeerRole::Server, host).is_ok(), "{host}");
    }
    for host in
        ["gw01", "gw02.plant.example", "192.0.2.8", "plant.example", "leaf", "", "gw01.plant.example:4840"]
    {
        let error = with(PeerRole::Server, host).unwrap_err();
        assert_eq!((error.status(), error.is_suppressible()), (TrustStatus::HostNameInvalid, true), "{host}");
        let found = vec!["gw01.plant.example".to_owned(), "192.0.2.7".to_owned()];
        assert_eq!(error.kind(), &TrustErrorKind::HostNameMismatch { expected: host.to_owned(), found });
    }
    assert!(with(PeerRole::Client, "gw02").is_ok());
}

#[test]
fn the_application_uri_is_compared_byte_for_byte_and_never_suppressed() {
    let root = Authority::root("Root");
    let leaf = root.leaf();
    let trust = trust(&[&root.certificate], &[], &[&root.list()]);
    let mut params = client();
    params.application_uri = Some("urn:test:leaf");
    assert!(validate(&leaf.clone().into(), &trust, &params).is_ok());
    params.suppressed = Suppression::ALL.into_iter().collect();
    for uri in ["urn:test:Leaf", "urn:test:leaf ", "urn:test", ""] {
        params.application_uri = Some(uri);
        let error = validate(&leaf.clone().into(), &trust, &params).unwrap_err();
        assert_eq!((error.status(), error.is_suppressible()), (TrustStatus::UriInvalid, false), "{uri}");
    }
    params.role = PeerRole::User;
    assert!(validate(&leaf.into(), &trust, &params).is_ok(), "users have none");
}

#[test]
fn usage_is_checked_by_role_and_its_critical_marks_cannot_be_suppressed() {
    let root = Authority::root("Root");
    let trust = trust(&[&root.certificate], &[], &[&root.list()]);
    let mut suppressed = client();
    suppressed.suppressed = Suppressions::NONE.with(Suppression::Usage);
    // rcgen marks key usage and basicConstraints critical, extended key usage not.
    let server_only =
        root.leaf_with(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    let error = judge(&server_only, &trust).unwrap_err();
    assert_eq!(error.status(), TrustStatus::UseNotAllowed);
    assert!(matches!(
        error.kind(),
        TrustErrorKind::ExtendedKeyUsageIncomplete { expected: "clientAuth", .. }
    ));
    assert!(validate(&server_only.clone().into(), &trust, &suppressed).is_ok());
    for (role, accepted) in [(PeerRole::Server, true), (PeerRole::Client, false), (PeerRole::User, true)] {
        let params = ValidationParams::new(NOW, role);
        assert_eq!(validate(&server_only.clone().into(), &trust, &params).is_ok(), accepted, "{role:?}");
    }
    let without = root.leaf_with(|params| params.extended_key_usages = Vec::new());
    assert!(judge(&without, &trust).is_ok(), "ECC certificates may do without");
    let wrong = root.leaf_with(|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]);
    let error = validate(&wrong.into(), &trust, &suppressed).unwrap_err();
    assert!(matches!(error.kind(), TrustErrorKind::KeyUsageIncomplete { critical: true, .. }), "{error:?}");
    assert!(!error.is_suppressible());
    let absent = root.leaf_with(|params| params.key_usages = Vec::new());
    assert_eq!(refusal(judge(&absent, &trust)), (TrustStatus::UseNotAllowed, 0));
    assert_eq!(validate(&absent.into(), &trust, &suppressed).unwrap().suppressed().len(), 1);
    let authority = root.leaf_with(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(refusal(judge(&authority, &trust)), (TrustStatus::UseNotAllowed, 0));
    let before_1_05 = root.leaf_with(|params| params.is_ca = IsCa::NoCa);
    assert!(judge(&before_1_05, &trust).is_ok());
    let formal = self_signed(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    let alone = crate::trust_pki::trust(&[&formal], &[], &[]);
    let error = judge(&formal, &alone).unwrap_err();
    assert!(matches!(error.kind(), TrustErrorKind::KeyCertSignMissing) && error.is_suppressible());
    assert!(validate(&formal.into(), &alone, &suppressed).is_ok());
}

#[test]
fn rsa_certificates_need_all_four_usages_and_an_extended_one() {
    let judge_rsa = |change: fn(&mut CertificateParams)| {
        let (leaf, authority) = issued_certificate(&KEY_2048, change, |_| {});
        let mut params = client();
        params.unknown_revocation = UnknownRevocation::Allow;
        validate(&leaf.into(), &trust(&[&authority], &[], &[]), &params)
    };
    assert_eq!(judge_rsa(|_| {}).unwrap().suppressed().len(), 1);
    let error = judge_rsa(|params| params.key_usages.truncate(1)).unwrap_err();
    let missing = vec!["nonRepudiation", "keyEncipherment", "dataEncipherment"];
    assert_eq!(error.kind(), &TrustErrorKind::KeyUsageIncomplete { missing, critical: true });
    let error = judge_rsa(|params| params.extended_key_usages = Vec::new()).unwrap_err();
    assert_eq!(error.kind(), &TrustErrorKind::ExtendedKeyUsageMissing { expected: "clientAuth" });
}

#[test]
fn what_this_crate_generates_passes_as_client() {
    let mut params = client();
    params.certificate_type = Some(CertificateType::RsaSha256);
    params.application_uri = CERTIFICATE.application_uri();
    let verified = validate(&CERTIFICATE.clone().into(), &trust(&[&CERTIFICATE], &[], &[]), &params).unwrap();
    assert!(verified.suppressed().is_empty());
}

#[test]
fn authorities_keep_to_their_constraints() {
    let constrained = |length: u8| {
        move |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length))
    };
    let root = Authority::root_with("Root", new_key(), constrained(1));
    let middle = root.authority("Middle");
    let last = middle.authority("Last");
    let leaf = last.leaf();
    let lists = [&root.list(), &middle.list(), &last.list()];
    let trusted = trust(&[&root.certificate], &[&middle.certificate, &last.certificate], &lists);
    let error = judge(&leaf, &trusted).unwrap_err();
    assert_eq!((error.status(), error.depth()), (TrustStatus::IssuerUseNotAllowed, 3));
    assert_eq!(error.kind(), &TrustErrorKind::PathTooLong { path_len: 1, found: 2, critical: true });
    assert!(judge(&middle.leaf(), &trusted).is_ok());
    let no_signing =
        Authority::root_with("Root", new_key(), |params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    let leaf = no_signing.leaf();
    let error = judge(&leaf, &trust(&[&no_signing.certificate], &[], &[&no_signing.list()])).unwrap_err();
    assert_eq!((error.status(), error.depth()), (TrustStatus::IssuerUseNotAllowed, 1));
    // Whether an authority must have a key usage is contradictory in OPC 10000-6.
    let silent = Authority::root_with("Root", new_key(), |params| params.key_usages = Vec::new());
    let leaf = silent.leaf();
    assert!(judge(&leaf, &trust(&[&silent.certificate], &[], &[&silent.list()])).is_ok());
}

#[test]
fn old_self_signed_authorities_are_accepted_only_as_the_standard_allows() {
    let make = |constraints| {
        self_signed(|params| {
            params.is_ca = IsCa::Ca(constraints);
        })
    };
    let old = make(BasicConstraints::Constrained(0));
    let unlimited = make(BasicConstraints::Unconstrained);
    let mut params = client();
    assert_eq!(refusal(judge(&old, &trust(&[&old], &[], &[]))), (TrustStatus::UseNotAllowed, 0));
    params.self_signed_authority = SelfSignedAuthority::AcceptPathLenZero;
    assert!(validate(&old.clone().into(), &trust(&[&old], &[], &[]), &params).is_ok());
    assert!(validate(&unlimited.clone().into(), &trust(&[&unlimited], &[], &[]), &params).is_err());
    params.unknown_revocation = UnknownRevocation::Allow;
    let unchecked = validate(&old.clone().into(), &trust(&[&old], &[], &[]), &params);
    assert_eq!(refusal(unchecked), (TrustStatus::UseNotAllowed, 0));
    params.unknown_revocation = UnknownRevocation::Deny;
    params.suppressed = Suppressions::NONE.with(Suppression::RevocationUnknown);
    assert!(validate(&old.clone().into(), &trust(&[&old], &[], &[]), &params).is_err());
}

#[test]
fn sha1_and_1024_bits_are_for_the_deprecated_policies_only() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for (bits, hash, found) in [(1024, "sha1", "key"), (2048, "sha1", "signature"), (1024, "sha256", "key")] {
        openssl.run(&format!(
            "req -x509 -newkey rsa:{bits} -nodes -keyout key.pem -out certificate.pem -days 10 -subj /CN=a -{hash} \
             -set_serial 0x1234 -addext subjectAltName=URI:urn:x:a -addext basicConstraints=critical,CA:FALSE \
             -addext keyUsage=critical,digitalSignature,nonRepudiation,keyEncipherment,dataEncipherment,keyCertSign \
             -addext extendedKeyUsage=clientAuth"
        ));
        let chain = CertificateChain::from_pem(&openssl.read("certificate.pem")).unwrap();
        let trusted = trust(&[chain.leaf()], &[], &[]);
        let mut params = client();
        params.at = chain.leaf().validity().not_after;
        params.certificate_type = Some(CertificateType::RsaMin);
        assert!(validate(&chain, &trusted, &params).is_ok(), "{bits} {hash}");
        for current in [None, Some(CertificateType::RsaSha256)] {
            params.certificate_type = current;
            let error = validate(&chain, &trusted, &params).unwrap_err();
            assert_eq!(error.step(), ValidationStep::SecurityPolicy, "{error}");
            match error.kind() {
                TrustErrorKind::KeyNotAllowed { .. } => assert_eq!(found, "key", "{error}"),
                TrustErrorKind::SignatureNotAllowed { .. } => assert_eq!(found, "signature", "{error}"),
                _ => panic!("{error}"),
            }
        }
    }
}

#[test]
fn the_security_policy_is_that_of_every_certificate_of_the_chain() {
    let root = Authority::root("Root");
    let leaf = root.leaf();
    let trust_root = trust(&[&root.certificate], &[], &[&root.list()]);
    let with = |certificate_type| {
        let mut params = client();
        params.certificate_type = Some(certificate_type);
        validate(&leaf.clone().into(), &trust_root, &params)
    };
    assert!(with(CertificateType::EccNistP256).is_ok());
    for other in [CertificateType::EccNistP384, CertificateType::RsaSha256, CertificateType::RsaMin] {
        let error = with(other).unwrap_err();
        assert_eq!((error.status(), error.depth()), (TrustStatus::PolicyCheckFailed, 0));
        assert!(
            matches!(error.kind(), TrustErrorKind::KeyNotAllowed { certificate_type, .. } if *certificate_type == other)
        );
    }
    let p384 = std::sync::Arc::new(rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap());
    let long = root.certify(&leaf_params(), &p384);
    let mut params = client();
    params.certificate_type = Some(CertificateType::EccNistP256);
    let error = validate(&long.clone().into(), &trust_root, &params).unwrap_err();
    assert!(matches!(error.kind(), TrustErrorKind::KeyLongerThanIssuers { .. }), "{error:?}");
    // Without a policy, the current one of the leaf's key is asked for.
    let error = judge(&long, &trust_root).unwrap_err();
    assert_eq!(error.status(), TrustStatus::PolicyCheckFailed);
    let (rsa, authority) = issued_certificate_for(&KEY_3072, &KEY_2048, |_| {}, |_| {});
    let mut params = client();
    params.unknown_revocation = UnknownRevocation::Allow;
    let trusted = trust(&[&authority], &[], &[]);
    assert_eq!(refusal(validate(&rsa.into(), &trusted, &params)).0, TrustStatus::PolicyCheckFailed);
}

#[test]
fn structure_that_is_only_shown_elsewhere_is_refused_here() {
    let root = Authority::root("Root");
    let trust_root = trust(&[&root.certificate], &[], &[&root.list()]);
    let unknown = |critical| {
        let mut extension =
            CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![0x05, 0x00]);
        extension.set_criticality(critical);
        extension
    };
    let error = judge(&root.leaf_with(|params| params.custom_extensions = vec![unknown(true)]), &trust_root)
        .unwrap_err();
    assert_eq!((error.status(), error.step()), (TrustStatus::CertificateInvalid, ValidationStep::Structure));
    assert_eq!(error.kind(), &TrustErrorKind::ExtensionUnknown { oid: "1.3.6.1.4.1.99999.1".to_owned() });
    assert!(
        judge(&root.leaf_with(|params| params.custom_extensions = vec![unknown(false)]), &trust_root).is_ok()
    );
    let malformed = CustomExtension::from_oid_content(&[2, 5, 29, 35], vec![0x04, 0x00]);
    let leaf = root.leaf_with(|params| params.custom_extensions = vec![malformed]);
    assert_eq!(refusal(judge(&leaf, &trust_root)), (TrustStatus::CertificateInvalid, 0));
    let nameless = root.leaf_with(|params| params.distinguished_name = DistinguishedName::new());
    assert_eq!(refusal(judge(&nameless, &trust_root)), (TrustStatus::CertificateInvalid, 0));
    // Name constraints are not applied, so an authority that has them is refused.
    let constrained = Authority::root_with("Root", new_key(), |params| {
        let permitted_subtrees = vec![rcgen::GeneralSubtree::DnsName("plant.example".to_owned())];
        params.name_constraints =
            Some(rcgen::NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    });
    let trusted = trust(&[&constrained.certificate], &[], &[&constrained.list()]);
    assert_eq!(refusal(judge(&constrained.leaf(), &trusted)), (TrustStatus::CertificateInvalid, 1));
}

#[test]
fn signatures_are_those_of_the_policy_as_keys_are() {
    let p384 = || std::sync::Arc::new(rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap());
    let root = Authority::root_with("Root", p384(), |_| {});
    let leaf = root.certify(&leaf_params(), &p384());
    let mixed = root.leaf();
    let trust_root = |list| trust(&[&root.certificate], &[], &[list]);
    // The helper signs its lists as P-256 keys do.
    let mut params = client();
    params.unknown_revocation = UnknownRevocation::Allow;
    assert!(validate(&leaf.into(), &trust_root(&Authority::root("Root").list()), &params).is_ok());
    assert!(validate(&mixed.into(), &trust(&[&root.certificate], &[], &[]), &params).is_ok());
    // RSA with SHA-512 is stronger than what the policies name, and yet not it.
    let pem = String::from_utf8(pem_of(&KEY_2048)).unwrap();
    let key = rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_RSA_SHA512).unwrap();
    let mut rsa = leaf_params();
    rsa.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::ContentCommitment,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::DataEncipherment,
        KeyUsagePurpose::KeyCertSign,
    ];
    let rsa = Certificate::from_der(rsa.self_signed(&key).unwrap().der()).unwrap();
    let error = judge(&rsa, &trust(&[&rsa], &[], &[])).unwrap_err();
    let certificate_type = CertificateType::RsaSha256;
    let found = "sha512WithRSAEncryption".to_owned();
    assert_eq!(error.kind(), &TrustErrorKind::SignatureNotAllowed { certificate_type, found });
    let mut params = client();
    params.suppressed = Suppressions::NONE.with(Suppression::PolicyCheck);
    assert!(validate(&rsa.clone().into(), &trust(&[&rsa], &[], &[]), &params).is_ok());
}

#[test]
fn other_versions_and_two_signature_algorithms_are_refused_before_anything_else() {
    let leaf = self_signed(|_| {});
    let kind = |from: &[u8], to: &[u8]| {
        let mut bytes = leaf.der().to_vec();
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        let error = judge(&Certificate::from_der(&bytes).unwrap(), &trust(&[&leaf], &[], &[])).unwrap_err();
        assert_eq!(error.status(), TrustStatus::CertificateInvalid);
        error.kind().clone()
    };
    let version_2 = kind(&[0xA0, 0x03, 0x02, 0x01, 0x02], &[0xA0, 0x03, 0x02, 0x01, 0x01]);
    assert_eq!(version_2, TrustErrorKind::Version { version: 2 });
    // The first is the one in the signed part.
    let sha384 = kind(&[0xCE, 0x3D, 0x04, 0x03, 0x02], &[0xCE, 0x3D, 0x04, 0x03, 0x03]);
    assert_eq!(sha384, TrustErrorKind::SignatureAlgorithmsDiffer);
}

#[test]
fn policies_bind_nobody_and_what_limits_them_is_refused() {
    let root = Authority::root("Root");
    let trust_root = trust(&[&root.certificate], &[], &[&root.list()]);
    let with = |number: u64, content: &[u8], critical| {
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, number], content.to_vec());
        extension.set_criticality(critical);
        judge(&root.leaf_with(|params| params.custom_extensions = vec![extension]), &trust_root)
    };
    // certificatePolicies with anyPolicy.
    let any_policy = [0x30, 0x08, 0x30, 0x06, 0x06, 0x04, 0x55, 0x1D, 0x20, 0x00];
    assert!(with(32, &any_policy, true).is_ok());
    // policyConstraints with requireExplicitPolicy 0.
    let explicit = [0x30, 0x03, 0x80, 0x01, 0x00];
    assert_eq!(refusal(with(36, &explicit, true)), (TrustStatus::CertificateInvalid, 0));
    // Name constraints without constraints, not critical.
    assert_eq!(refusal(with(30, &[0x30, 0x00], false)), (TrustStatus::CertificateInvalid, 0));
}

#[test]
fn users_are_checked_by_key_usage_and_revocation_alone() {
    let root = Authority::root("Root");
    let user = root.leaf_with(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
        params.subject_alt_names = Vec::new();
    });
    let mut params = ValidationParams::new(NOW, PeerRole::User);
    (params.host, params.application_uri) = (Some("gw01"), Some("urn:x"));
    let verdict = |user: &Certificate, lists: &[&koios_pki::RevocationList]| {
        validate(&user.clone().into(), &trust(&[&root.certificate], &[], lists), &params)
    };
    assert!(verdict(&user, &[&root.list()]).is_ok());
    assert_eq!(refusal(verdict(&user, &[])), (TrustStatus::RevocationUnknown, 0));
    let revoking = root.list_with(|list| list.revoke(&user));
    assert_eq!(refusal(verdict(&user, &[&revoking])), (TrustStatus::Revoked, 0));
    let wrong = root.leaf_with(|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]);
    assert_eq!(refusal(verdict(&wrong, &[&root.list()])), (TrustStatus::UseNotAllowed, 0));
    let authority = root.authority("Sub").certificate;
    assert_eq!(refusal(verdict(&authority, &[&root.list()])), (TrustStatus::UseNotAllowed, 0));
}

//! Trust validation: which chains are built, what gives trust, and which failure is told.

use koios_pki::{Certificate, Suppression, TrustErrorKind, TrustStatus, ValidationStep, validate};
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyUsagePurpose};
use time::Duration;

use crate::samples::NOW;
use crate::trust_pki::{
    Authority, chain, client, judge, leaf_params, new_key, refusal, trust, with_wrong_signature,
};

#[test]
fn a_chain_to_a_trusted_root_is_verified_and_ordered_from_leaf_to_root() {
    let root = Authority::root("Root");
    let plant = root.authority("Plant");
    let leaf = plant.leaf();
    let trust = trust(&[&root.certificate], &[&plant.certificate], &[&root.list(), &plant.list()]);
    let verified = judge(&leaf, &trust).unwrap();
    assert_eq!(verified.certificates(), [leaf.clone(), plant.certificate, root.certificate.clone()]);
    assert_eq!((verified.leaf(), verified.trusted_by()), (&leaf, &root.certificate));
    assert!(verified.suppressed().is_empty());
}

#[test]
fn a_trusted_intermediate_trusts_what_it_issued_and_still_needs_its_root() {
    let root = Authority::root("Root");
    let plant = root.authority("Plant");
    let leaf = plant.leaf();
    let lists = [&root.list(), &plant.list()];
    let verified = judge(&leaf, &trust(&[&plant.certificate], &[&root.certificate], &lists)).unwrap();
    assert_eq!(verified.trusted_by(), &plant.certificate);
    let without_root = judge(&leaf, &trust(&[&plant.certificate], &[], &lists)).unwrap_err();
    assert_eq!((without_root.status(), without_root.depth()), (TrustStatus::ChainIncomplete, 1));
    assert!(
        matches!(without_root.kind(), TrustErrorKind::IssuerMissing { issuer } if issuer == "CN=Root, O=Test")
    );
}

#[test]
fn the_chain_must_reach_a_root_even_when_the_leaf_itself_is_trusted() {
    let root = Authority::root("Root");
    let leaf = root.leaf();
    assert_eq!(
        refusal(judge(&leaf, &trust(&[&leaf], &[], &[&root.list()]))),
        (TrustStatus::ChainIncomplete, 0)
    );
    let verified = judge(&leaf, &trust(&[&leaf], &[&root.certificate], &[&root.list()])).unwrap();
    assert_eq!(verified.trusted_by(), &leaf);
}

#[test]
fn neither_the_issuer_list_nor_the_blob_gives_trust() {
    let root = Authority::root("Root");
    let leaf = root.leaf();
    let list = root.list();
    let only_issuer = judge(&leaf, &trust(&[], &[&root.certificate], &[&list])).unwrap_err();
    assert_eq!(only_issuer.status(), TrustStatus::Untrusted);
    assert!(matches!(only_issuer.kind(), TrustErrorKind::NotTrusted { root } if root == "CN=Root, O=Test"));
    let blob = chain(&leaf, &[&root.certificate]);
    assert_eq!(refusal(validate(&blob, &trust(&[], &[], &[&list]), &client())), (TrustStatus::Untrusted, 0));
    // What the blob does is complete the chain of a trusted leaf.
    assert!(validate(&blob, &trust(&[&leaf], &[], &[&list]), &client()).is_ok());
    // A root that the peer made up under the trusted one's name helps it nothing.
    let evil = Authority::root("Root");
    let evil_leaf = evil.leaf();
    let blob = chain(&evil_leaf, &[&evil.certificate]);
    let refused = validate(&blob, &trust(&[&root.certificate], &[], &[&list, &evil.list()]), &client());
    assert_eq!(refusal(refused), (TrustStatus::Untrusted, 0));
}

#[test]
fn a_self_signed_certificate_is_trusted_by_its_bytes_and_needs_no_revocation_list() {
    let key = new_key();
    let mut params = leaf_params();
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let make = |serial: u64| {
        let mut params = params.clone();
        params.serial_number = Some(serial.into());
        Certificate::from_der(params.self_signed(&*key).unwrap().der()).unwrap()
    };
    let (first, second) = (make(1), make(2));
    let verified = judge(&first, &trust(&[&first], &[], &[])).unwrap();
    assert_eq!(verified.certificates().len(), 1);
    // The same name and key in another certificate is not what was trusted.
    assert_eq!(refusal(judge(&second, &trust(&[&first], &[], &[]))), (TrustStatus::Untrusted, 0));
    assert_eq!(refusal(judge(&first, &trust(&[], &[&first], &[]))), (TrustStatus::Untrusted, 0));
    assert_eq!(
        refusal(judge(&with_wrong_signature(&first), &trust(&[&first], &[], &[]))),
        (TrustStatus::CertificateInvalid, 0)
    );
}

#[test]
fn a_trusted_application_is_no_authority_whatever_is_suppressed() {
    let key = new_key();
    let mut params = leaf_params();
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let peer = Authority::root_with("peer", key, |authority| *authority = params);
    let forged = peer.leaf_with(|leaf| leaf.distinguished_name.push(DnType::CommonName, "forged"));
    let mut params = client();
    params.suppressed = Suppression::ALL.into_iter().collect();
    let trust = trust(&[&peer.certificate], &[], &[&peer.list()]);
    let error = validate(&forged.into(), &trust, &params).unwrap_err();
    assert_eq!((error.status(), error.depth()), (TrustStatus::IssuerUseNotAllowed, 1));
    assert!(matches!(error.kind(), TrustErrorKind::NotAnAuthority) && !error.is_suppressible());
}

#[test]
fn a_wrong_signature_is_told_from_a_missing_issuer() {
    let root = Authority::root("Root");
    let leaf = root.leaf();
    let trust_root = trust(&[&root.certificate], &[], &[&root.list()]);
    let error = judge(&with_wrong_signature(&leaf), &trust_root).unwrap_err();
    assert_eq!((error.step(), error.status()), (ValidationStep::Signature, TrustStatus::CertificateInvalid));
    // An authority of the same name whose key the leaf does not ask for: its issuer is missing.
    let twin = Authority::root("Root");
    let error = judge(&leaf, &trust(&[&twin.certificate], &[], &[&twin.list()])).unwrap_err();
    assert_eq!((error.step(), error.status()), (ValidationStep::Chain, TrustStatus::ChainIncomplete));
    // Without key identifiers nothing tells the two apart.
    let bare = root.certify_bare(&leaf_params(), &new_key());
    let error = judge(&bare, &trust(&[&twin.certificate], &[], &[])).unwrap_err();
    assert_eq!(error.step(), ValidationStep::Signature);
}

#[test]
fn of_several_authorities_of_one_name_the_one_that_signed_is_found() {
    let twins: Vec<_> = (0..5).map(|_| Authority::root("Root")).collect();
    let certificates: Vec<_> = twins.iter().map(|twin| &twin.certificate).collect();
    let lists: Vec<_> = twins.iter().map(Authority::list).collect();
    let lists: Vec<_> = lists.iter().collect();
    for twin in &twins {
        for leaf in [twin.leaf(), twin.certify_bare(&leaf_params(), &new_key())] {
            let verified = judge(&leaf, &trust(&certificates, &[], &lists)).unwrap();
            assert_eq!(verified.trusted_by(), &twin.certificate);
        }
    }
}

#[test]
fn a_key_identifier_that_is_wrong_ranks_and_never_vetoes() {
    let root = Authority::root("Root");
    // The certificate of the same key and name with another subjectKeyIdentifier.
    let renamed = Authority::root_with("Root", root.key.clone(), |params| {
        params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![1, 2, 3]);
    });
    let leaf = root.leaf();
    let verified = judge(&leaf, &trust(&[&renamed.certificate], &[], &[&root.list()])).unwrap();
    assert_eq!(verified.trusted_by(), &renamed.certificate);
}

#[test]
fn cross_signed_authorities_are_followed_to_the_root_that_is_trusted() {
    let (old, new) = (Authority::root("Old"), Authority::root("New"));
    let cross = old.cross_sign(&new);
    let leaf = new.leaf();
    let lists = [&old.list(), &new.list()];
    // The peer knows the new root; we trust the old one.
    let blob = chain(&leaf, &[&new.certificate, &cross]);
    let verified = validate(&blob, &trust(&[&old.certificate], &[], &lists), &client()).unwrap();
    assert_eq!(verified.certificates(), [leaf.clone(), cross, old.certificate]);
    let verified = validate(&blob, &trust(&[&new.certificate], &[], &lists), &client()).unwrap();
    assert_eq!(verified.certificates(), [leaf, new.certificate]);
}

#[test]
fn authorities_that_certify_each_other_end_in_a_verdict() {
    let (a, b) = (Authority::root("A"), Authority::root("B"));
    let (a_by_b, b_by_a) = (b.cross_sign(&a), a.cross_sign(&b));
    let leaf = a.leaf();
    let lists = [&a.list(), &b.list()];
    let error = judge(&leaf, &trust(&[&a_by_b, &b_by_a], &[], &lists)).unwrap_err();
    assert_eq!(error.status(), TrustStatus::ChainIncomplete);
    assert!(matches!(error.kind(), TrustErrorKind::ChainLoops), "{error:?}");
    // The loop does not keep the way out from being found.
    let verified = judge(&leaf, &trust(&[&a_by_b, &b_by_a], &[&b.certificate], &lists)).unwrap();
    assert_eq!(verified.certificates().last(), Some(&b.certificate));
}

#[test]
fn chains_longer_than_ten_are_given_up() {
    let root = Authority::root("Root");
    let mut authorities = vec![root];
    for depth in 1..=9 {
        authorities.push(authorities.last().unwrap().authority(&format!("Sub {depth}")));
    }
    let issuers: Vec<_> = authorities.iter().map(|authority| &authority.certificate).collect();
    let lists: Vec<_> = authorities.iter().map(Authority::list).collect();
    let lists: Vec<_> = lists.iter().collect();
    let trust = trust(&issuers[..1], &issuers, &lists);
    assert!(judge(&authorities[8].leaf(), &trust).is_ok());
    let error = judge(&authorities[9].leaf(), &trust).unwrap_err();
    assert_eq!(error.status(), TrustStatus::ChainIncomplete);
    assert!(matches!(error.kind(), TrustErrorKind::ChainTooLong { max: 10 }));
}

#[test]
fn work_is_bounded_when_hundreds_of_authorities_share_a_name() {
    let signer = Authority::root("Root");
    let bare = signer.certify_bare(&leaf_params(), &new_key());
    let others: Vec<_> = (0..200).map(|_| Authority::root("Root").certificate).collect();
    let mut trusted: Vec<_> = others.iter().collect();
    let error = judge(&bare, &trust(&trusted, &[], &[])).unwrap_err();
    assert!(matches!(error.kind(), TrustErrorKind::TooMuchWork), "{error:?}");
    assert_eq!(error.status(), TrustStatus::ChainIncomplete);
    // A key identifier leads to the right one at once.
    trusted.push(&signer.certificate);
    assert!(judge(&signer.leaf(), &trust(&trusted, &[], &[&signer.list()])).is_ok());
}

#[test]
fn work_is_bounded_in_a_mesh_of_cross_signed_authorities() {
    let authorities: Vec<_> = (0..9).map(|number| Authority::root(&format!("CA {number}"))).collect();
    let mesh: Vec<_> = authorities
        .iter()
        .flat_map(|a| authorities.iter().filter(|b| a.certificate != b.certificate).map(|b| a.cross_sign(b)))
        .collect();
    let blob = chain(&authorities[0].leaf(), &mesh.iter().collect::<Vec<_>>());
    let error = validate(&blob, &trust(&[], &[], &[]), &client()).unwrap_err();
    assert_eq!(error.status(), TrustStatus::ChainIncomplete);
}

#[test]
fn a_name_re_encoded_by_its_authority_is_the_same_name() {
    let printable = |name: &mut DistinguishedName| {
        *name = DistinguishedName::new();
        name.push(DnType::CommonName, DnValue::PrintableString("Root".try_into().unwrap()));
        name.push(DnType::OrganizationName, DnValue::PrintableString("Test".try_into().unwrap()));
    };
    let root = Authority::root_with("Root", new_key(), |params| printable(&mut params.distinguished_name));
    // The same authority, whose name it writes as UTF8String into what it issues.
    let writing = Authority::root_with("Root", root.key.clone(), |_| {});
    let leaf = writing.leaf();
    assert!(!leaf.is_issued_by(&root.certificate), "the bytes differ");
    for list in [root.list(), writing.list()] {
        let verified = judge(&leaf, &trust(&[&root.certificate], &[], &[&list])).unwrap();
        assert_eq!(verified.trusted_by(), &root.certificate);
    }
    // A root that writes its own name in two ways is a root all the same.
    let two_ways = writing.cross_sign(&root);
    assert!(!two_ways.is_self_issued());
    let verified = judge(&leaf, &trust(&[&two_ways], &[], &[&root.list()])).unwrap();
    assert_eq!(verified.certificates(), [leaf.clone(), two_ways]);
    // Another spelling is another name.
    let other = Authority::root_with("root", root.key, |_| {});
    assert_eq!(
        refusal(judge(&leaf, &trust(&[&other.certificate], &[], &[]))),
        (TrustStatus::ChainIncomplete, 0)
    );
}

#[test]
fn the_most_telling_failure_is_given() {
    let expired = |params: &mut CertificateParams| params.not_after = NOW - Duration::SECOND;
    // One certificate of the authority is expired, the other leads to an untrusted root.
    let (trusted_root, other_root) = (Authority::root("Trusted"), Authority::root("Other"));
    let plant = other_root.authority("Plant");
    let renewed = trusted_root.authority_with("Plant", plant.key.clone(), expired);
    let leaf = plant.leaf();
    let lists = [&trusted_root.list(), &other_root.list(), &plant.list()];
    let issuers = [&plant.certificate, &renewed.certificate, &other_root.certificate];
    let error = judge(&leaf, &trust(&[&trusted_root.certificate], &issuers, &lists)).unwrap_err();
    assert_eq!((error.status(), error.depth()), (TrustStatus::IssuerTimeInvalid, 1));
    assert_eq!(error.certificate(), &renewed.certificate);
    // Within a chain the steps are taken in order, each from the leaf up.
    let leaf = plant.leaf_with(|params| {
        expired(params);
        params.key_usages = Vec::new();
    });
    let error = judge(&leaf, &trust(&[&trusted_root.certificate], &issuers, &lists)).unwrap_err();
    assert_eq!((error.status(), error.depth()), (TrustStatus::TimeInvalid, 0));
    let text = error.to_string();
    assert!(text.contains("CN=leaf") && text.contains("BadCertificateTimeInvalid"), "{text}");
}

#[test]
fn a_chain_that_needs_nothing_suppressed_is_preferred() {
    let expired = |params: &mut CertificateParams| params.not_after = NOW - Duration::SECOND;
    let root = Authority::root("Root");
    let old = root.authority_with("Plant", new_key(), expired);
    let new = root.authority_with("Plant", old.key.clone(), |_| {});
    let leaf = old.leaf();
    let mut params = client();
    params.suppressed = Suppression::ALL.into_iter().collect();
    let trust =
        trust(&[&root.certificate], &[&old.certificate, &new.certificate], &[&root.list(), &old.list()]);
    let verified = validate(&leaf.into(), &trust, &params).unwrap();
    assert!(verified.suppressed().is_empty());
    assert_eq!(verified.certificates()[1], new.certificate);
    // Where both need something, the one that needs less; in either order of the list.
    let leaf = old.leaf_with(expired);
    for issuers in [[&old.certificate, &new.certificate], [&new.certificate, &old.certificate]] {
        let lists = [&root.list(), &old.list()];
        let trust = crate::trust_pki::trust(&[&root.certificate], &issuers, &lists);
        assert_eq!(validate(&leaf.clone().into(), &trust, &params).unwrap().suppressed().len(), 1);
    }
}

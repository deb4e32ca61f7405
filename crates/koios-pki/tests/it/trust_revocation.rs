//! Revocation lists: their reading, and what they say in validation.

use koios_pki::{
    RevocationList, RevocationListError, RevocationReason, Suppression, Suppressions, TrustErrorKind,
    TrustStatus, UnknownRevocation, UnusableList, validate,
};
use rcgen::KeyUsagePurpose;
use time::Duration;

use crate::openssl::OpenSsl;
use crate::samples::NOW;
use crate::trust_pki::{
    Authority, List, chain, client, der, entry, extension, judge, leaf_params, new_key, reason, refusal,
    serial_der, trust,
};

#[test]
fn a_revoked_certificate_is_refused_with_date_and_reason_and_nothing_suppresses_it() {
    let root = Authority::root("Root");
    let leaf = root.leaf();
    let list = root.list_with(|list| list.entries.push(entry(&serial_der(&leaf), &[reason(1)])));
    let mut params = client();
    params.suppressed = Suppression::ALL.into_iter().collect();
    params.unknown_revocation = UnknownRevocation::Allow;
    let trust = trust(&[&root.certificate, &leaf], &[], &[&list]);
    let error = validate(&leaf.clone().into(), &trust, &params).unwrap_err();
    assert_eq!((error.status(), error.is_suppressible()), (TrustStatus::Revoked, false));
    let (at, reason) = (NOW - Duration::days(2), Some(RevocationReason::KeyCompromise));
    assert_eq!(error.kind(), &TrustErrorKind::Revoked { at, reason });
    assert_eq!(
        list.revocation_of(&leaf).map(|revocation| (revocation.at, revocation.reason)),
        Some((at, reason))
    );
    assert_eq!(list.revocation_of(&root.leaf()), None);
    assert!(judge(&root.leaf(), &trust).is_ok());
}

#[test]
fn a_revoked_authority_and_a_missing_list_further_up_have_statuses_of_their_own() {
    let root = Authority::root("Root");
    let plant = root.authority("Plant");
    let leaf = plant.leaf();
    let with =
        |lists: &[&RevocationList]| judge(&leaf, &trust(&[&root.certificate], &[&plant.certificate], lists));
    let revoking = root.list_with(|list| list.revoke(&plant.certificate));
    assert_eq!(refusal(with(&[&revoking, &plant.list()])), (TrustStatus::IssuerRevoked, 1));
    assert_eq!(refusal(with(&[&plant.list()])), (TrustStatus::IssuerRevocationUnknown, 1));
    assert_eq!(refusal(with(&[&root.list()])), (TrustStatus::RevocationUnknown, 0));
    assert!(with(&[&root.list(), &plant.list()]).is_ok());
}

#[test]
fn an_unknown_answer_is_allowed_by_policy_or_suppression_and_recorded() {
    let root = Authority::root("Root");
    let plant = root.authority("Plant");
    let blob = chain(&plant.leaf(), &[&plant.certificate]);
    let trust = trust(&[&root.certificate], &[], &[]);
    let mut params = client();
    assert!(validate(&blob, &trust, &params).is_err());
    params.unknown_revocation = UnknownRevocation::Allow;
    let statuses = |suppressed: &[koios_pki::TrustError]| {
        suppressed.iter().map(|error| error.status()).collect::<Vec<_>>()
    };
    let verified = validate(&blob, &trust, &params).unwrap();
    let both = [TrustStatus::RevocationUnknown, TrustStatus::IssuerRevocationUnknown];
    assert_eq!(statuses(verified.suppressed()), both);
    params.unknown_revocation = UnknownRevocation::Deny;
    params.suppressed = Suppressions::NONE.with(Suppression::RevocationUnknown);
    assert_eq!(refusal(validate(&blob, &trust, &params)), (TrustStatus::IssuerRevocationUnknown, 1));
    params.suppressed = params.suppressed.with(Suppression::IssuerRevocationUnknown);
    assert_eq!(statuses(validate(&blob, &trust, &params).unwrap().suppressed()), both);
}

/// The peer sends so much along that the work allowed ends at any point before its revocation is looked up.
#[test]
fn a_peer_cannot_use_up_the_work_to_make_its_revocation_unknown() {
    let root = Authority::root("Root");
    let plant = root.authority("Plant");
    let leaf = plant.certify_bare(&leaf_params(), &new_key());
    let junk: Vec<_> = (0..104).map(|_| root.authority("Plant").certificate).collect();
    let revoking = plant.list_with(|list| list.revoke(&leaf));
    let trust = trust(&[&root.certificate], &[], &[&root.list(), &revoking]);
    let mut params = client();
    params.unknown_revocation = UnknownRevocation::Allow;
    let mut statuses = std::collections::BTreeSet::new();
    for count in 90..junk.len() {
        let mut blob: Vec<_> = junk.iter().take(count).collect();
        blob.push(&plant.certificate);
        statuses.insert(refusal(validate(&chain(&leaf, &blob), &trust, &params)).0);
    }
    assert_eq!(
        statuses.into_iter().collect::<Vec<_>>(),
        [TrustStatus::ChainIncomplete, TrustStatus::Revoked]
    );
}

#[test]
fn an_expired_list_clears_nobody_and_its_entries_still_revoke() {
    let root = Authority::root("Root");
    let (revoked, other) = (root.leaf(), root.leaf());
    let expired = |list: &mut List| {
        list.revoke(&revoked);
        list.this_update = NOW - Duration::days(9);
        list.next_update = Some(NOW - Duration::SECOND);
    };
    let list = root.list_with(expired);
    let trust_expired = trust(&[&root.certificate], &[], &[&list]);
    let error = judge(&other, &trust_expired).unwrap_err();
    assert_eq!(error.status(), TrustStatus::RevocationUnknown);
    let (next_update, checked_at) = (NOW - Duration::SECOND, NOW);
    assert_eq!(error.kind(), &TrustErrorKind::RevocationListExpired { next_update, checked_at });
    assert_eq!(refusal(judge(&revoked, &trust_expired)), (TrustStatus::Revoked, 0));
    // A newer list that is current replaces it: the entry was taken back.
    assert!(judge(&revoked, &trust(&[&root.certificate], &[], &[&list, &root.list()])).is_ok());
    // An expired list that is newer than the current one has the last word.
    let newer = root.list_with(|list| {
        list.revoke(&revoked);
        list.this_update = NOW - Duration::hours(2);
        list.next_update = Some(NOW - Duration::hours(1));
    });
    let both = trust(&[&root.certificate], &[], &[&root.list(), &newer]);
    assert_eq!(refusal(judge(&revoked, &both)), (TrustStatus::Revoked, 0));
    assert!(judge(&other, &both).is_ok());
}

#[test]
fn of_lists_made_at_the_same_time_each_may_revoke() {
    let root = Authority::root("Root");
    let leaf = root.leaf();
    let (clearing, revoking) = (root.list(), root.list_with(|list| list.revoke(&leaf)));
    for lists in [[&clearing, &revoking], [&revoking, &clearing]] {
        assert_eq!(
            refusal(judge(&leaf, &trust(&[&root.certificate], &[], &lists))),
            (TrustStatus::Revoked, 0)
        );
    }
}

#[test]
fn a_list_of_the_future_or_without_an_end_clears_nobody() {
    let root = Authority::root("Root");
    let leaf = root.leaf();
    let kind = |change: fn(&mut List)| {
        let error = judge(&leaf, &trust(&[&root.certificate], &[], &[&root.list_with(change)])).unwrap_err();
        assert_eq!(error.status(), TrustStatus::RevocationUnknown);
        error.kind().clone()
    };
    let future = kind(|list| list.this_update = NOW + Duration::DAY);
    assert_eq!(
        future,
        TrustErrorKind::RevocationListNotYetValid { this_update: NOW + Duration::DAY, checked_at: NOW }
    );
    assert_eq!(kind(|list| list.next_update = None), TrustErrorKind::RevocationListUndated);
}

#[test]
fn a_list_counts_only_with_name_and_signature_of_the_issuer() {
    let root = Authority::root("Root");
    let leaf = root.leaf();
    let with = |list: &RevocationList| judge(&leaf, &trust(&[&root.certificate], &[], &[list]));
    // Another authority, one of the same name with another key, and one that signs with the key under another name.
    let other = Authority::root("Other").list();
    assert!(matches!(with(&other).unwrap_err().kind(), TrustErrorKind::RevocationListMissing { .. }));
    let twin = Authority::root("Root").list_with(|list| list.revoke(&leaf));
    let error = with(&twin).unwrap_err();
    assert_eq!(error.status(), TrustStatus::RevocationUnknown);
    assert!(matches!(error.kind(), TrustErrorKind::RevocationListNotSigned { .. }));
    let renamed = Authority::root_with("Other", root.key.clone(), |_| {}).list();
    assert!(matches!(with(&renamed).unwrap_err().kind(), TrustErrorKind::RevocationListMissing { .. }));
    assert!(!twin.is_issued_by(&root.certificate) && !renamed.is_issued_by(&root.certificate));
    // The right one beside them is found, in any order.
    let right = root.list();
    assert!(right.is_issued_by(&root.certificate));
    for lists in [[&twin, &other, &right], [&right, &other, &twin]] {
        assert!(judge(&leaf, &trust(&[&root.certificate], &[], &lists)).is_ok());
    }
    // The serial number alone does not make it the entry of a certificate.
    let foreign = Authority::root("Other").list_with(|list| list.revoke(&leaf));
    assert!(foreign.revocation_of(&leaf).is_none() && twin.revocation_of(&leaf).is_some());
    let mut bytes = right.der().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(with(&RevocationList::from_der(&bytes).unwrap()).is_err());
    // An authority whose key usage does not allow it to sign lists.
    let silent = Authority::root_with("Root", new_key(), |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    let error = judge(&silent.leaf(), &trust(&[&silent.certificate], &[], &[&silent.list()])).unwrap_err();
    assert!(matches!(error.kind(), TrustErrorKind::RevocationListNotAllowed { .. }));
}

#[test]
fn delta_indirect_and_partial_lists_are_ignored_whole() {
    let root = Authority::root("Root");
    let leaf = root.leaf();
    let scoped = |fields: &[u8]| extension(28, true, &der(0x30, fields));
    let certificate_issuer = extension(29, true, &[0x30, 0x00]);
    let unknown = |oid: &str| UnusableList::ExtensionUnknown { oid: oid.to_owned() };
    for (name, extensions, entry_extensions, expected) in [
        ("delta", vec![extension(27, true, &[0x02, 0x01, 0x01])], vec![], UnusableList::Delta),
        ("delta, not critical", vec![extension(27, false, &[0x02, 0x01, 0x01])], vec![], UnusableList::Delta),
        ("indirect", vec![scoped(&[0x84, 0x01, 0xFF])], vec![], UnusableList::Indirect),
        ("indirect entry", vec![], vec![certificate_issuer], UnusableList::Indirect),
        ("users only", vec![scoped(&[0x81, 0x01, 0xFF])], vec![], UnusableList::Partial),
        ("authorities only", vec![scoped(&[0x82, 0x01, 0xFF])], vec![], UnusableList::Partial),
        ("some reasons", vec![scoped(&[0x83, 0x02, 0x06, 0x40])], vec![], UnusableList::Partial),
        ("unknown extension", vec![extension(99, true, &[0x05, 0x00])], vec![], unknown("2.5.29.99")),
        ("unknown in an entry", vec![], vec![extension(23, true, &[0x05, 0x00])], unknown("2.5.29.23")),
    ] {
        let list = root.list_with(|list| {
            list.extensions = extensions;
            list.entries.push(entry(&serial_der(&leaf), &entry_extensions));
        });
        assert_eq!(list.unusable(), Some(&expected), "{name}");
        let error = judge(&leaf, &trust(&[&root.certificate], &[], &[&list])).unwrap_err();
        assert_eq!(error.status(), TrustStatus::RevocationUnknown, "{name}: neither clears nor revokes");
        assert_eq!(error.kind(), &TrustErrorKind::RevocationListUnusable { reason: expected }, "{name}");
        assert!(judge(&leaf, &trust(&[&root.certificate], &[], &[&list, &root.list()])).is_ok(), "{name}");
    }
    // A distribution point that narrows nothing, and extensions that need not be understood.
    let complete = root.list_with(|list| {
        list.extensions = vec![scoped(&[0x84, 0x01, 0x00]), extension(99, false, &[0x05, 0x00])];
    });
    assert_eq!(complete.unusable(), None);
}

#[test]
fn an_entry_that_takes_another_back_does_not_revoke_and_a_hold_does() {
    let root = Authority::root("Root");
    let leaf = root.leaf();
    let with = |codes: &[u8]| {
        let list = root.list_with(|list| {
            list.entries = codes.iter().map(|code| entry(&serial_der(&leaf), &[reason(*code)])).collect();
        });
        assert_eq!(list.revoked_count(), codes.len());
        list.revocation_of(&leaf).and_then(|revocation| revocation.reason)
    };
    assert_eq!(with(&[6]), Some(RevocationReason::CertificateHold));
    assert_eq!(with(&[8]), None);
    assert_eq!(with(&[8, 4, 8]), Some(RevocationReason::Superseded));
    assert_eq!(with(&[77]), Some(RevocationReason::Other(77)));
}

#[test]
fn serial_numbers_are_compared_as_numbers_whatever_their_length_or_sign() {
    let root = Authority::root("Root");
    for serial in
        [&[0x00][..], &[0x01], &[0x7F; 20], &[0x00, 0x80], &[0xFF], &[0x80, 0x00], &[1, 2, 3, 4, 5, 6, 7, 8]]
    {
        let list = root.list_with(|list| list.entries.push(entry(&der(0x02, serial), &[])));
        // rcgen writes positive numbers only; the others are put into the bytes.
        let leaf = root.leaf_with(|params| params.serial_number = Some(vec![0x55; serial.len()].into()));
        let mut bytes = leaf.der().to_vec();
        let placeholder = serial_der(&leaf);
        let at = bytes.windows(placeholder.len()).position(|window| window == placeholder).unwrap() + 2;
        bytes[at..at + serial.len()].copy_from_slice(serial);
        let leaf = koios_pki::Certificate::from_der(&bytes).unwrap();
        assert!(list.revocation_of(&leaf).is_some(), "{serial:02X?}");
        let near = root.list_with(|list| list.entries.push(entry(&der(0x02, &[&[5], serial].concat()), &[])));
        assert!(near.revocation_of(&leaf).is_none(), "{serial:02X?}");
    }
}

#[test]
fn every_one_of_many_entries_is_found_and_no_other() {
    let root = Authority::root("Root");
    let serial = |number: u32| {
        der(0x02, &[&[0x40], number.wrapping_mul(0x9E37_79B1).to_be_bytes().as_slice(), &[7; 8]].concat())
    };
    let list = root.list_with(|list| {
        list.entries = (0..20_000).map(|number| entry(&serial(number), &[])).collect();
    });
    assert_eq!(list.revoked_count(), 20_000);
    let certificate = |number: u32| {
        let number = serial(number)[2..].to_vec();
        root.certify(
            &{
                let mut params = leaf_params();
                params.serial_number = Some(number.into());
                params
            },
            &new_key(),
        )
    };
    for number in [0, 1, 9_999, 19_999] {
        assert!(list.revocation_of(&certificate(number)).is_some(), "{number}");
    }
    for number in [20_000, 30_000] {
        assert!(list.revocation_of(&certificate(number)).is_none(), "{number}");
    }
}

#[test]
fn a_list_shows_what_it_says() {
    let root = Authority::root("Root");
    let list = root.list_with(|list| {
        let identifier = der(0x80, &[0xAB, 0xCD]);
        list.extensions.push(extension(35, false, &der(0x30, &identifier)));
        list.revoke(&root.leaf());
    });
    assert_eq!((list.issuer(), list.number(), list.revoked_count()), ("CN=Root, O=Test", Some("07"), 1));
    assert_eq!(
        (list.this_update(), list.next_update()),
        (NOW - Duration::DAY, Some(NOW + Duration::days(30)))
    );
    assert_eq!(list.signature_algorithm(), "ecdsa-with-SHA256");
    let identifier = list.authority_key_identifier().and_then(|identifier| identifier.key_identifier.clone());
    assert_eq!(identifier, Some(vec![0xAB, 0xCD]));
    let again = RevocationList::from_pem(list.to_pem().as_bytes()).unwrap();
    assert_eq!((&again, again.sha256()), (&list, list.sha256()));
    assert!(format!("{list:?}").contains("CN=Root"));
    // Version 1, without number and extensions.
    let old = root.list_with(|list| (list.version, list.extensions) = (None, Vec::new()));
    assert_eq!(old.number(), None);
    assert!(judge(&root.leaf(), &trust(&[&root.certificate], &[], &[&old])).is_ok());
}

#[test]
fn bytes_that_are_no_list_are_refused_with_what_is_wrong() {
    let root = Authority::root("Root");
    let bytes = root.list_der(|_| {});
    let error = |bytes: &[u8]| RevocationList::from_der(bytes).unwrap_err();
    assert_eq!(error(&[]), RevocationListError::Empty);
    assert_eq!(error(&bytes[..bytes.len() - 1]), RevocationListError::Truncated);
    assert_eq!(
        error(&[&bytes, b"\0\0".as_slice()].concat()),
        RevocationListError::TrailingBytes { count: 2 }
    );
    assert!(matches!(error(root.certificate.der()), RevocationListError::Malformed { .. }));
    let large = vec![0x30; RevocationList::MAX_LEN + 1];
    assert!(matches!(error(&large), RevocationListError::TooLarge { .. }));
    let malformed: [fn(&mut List); 6] = [
        |list| list.entries.push(entry(&[0x02, 0x01, 0x01], &[reason(1), reason(8)])),
        |list| list.version = Some(2),
        |list| list.version = None,
        |list| list.entries.push(der(0x30, &[0x02, 0x01, 0x01])),
        |list| list.entries.push(vec![0x05, 0x00]),
        |list| list.issuer = vec![0x30, 0x02, 0x05, 0x00],
    ];
    for change in malformed {
        assert!(matches!(error(&root.list_der(change)), RevocationListError::Malformed { .. }));
    }
    let mut two_algorithms = bytes.clone();
    let sha256 = [0xCE, 0x3D, 0x04, 0x03, 0x02];
    let at = bytes.windows(5).position(|window| window == sha256).unwrap();
    two_algorithms[at + 4] = 0x03;
    assert!(matches!(error(&two_algorithms), RevocationListError::Malformed { .. }));
    let pem = root.list().to_pem();
    assert_eq!(RevocationList::from_pem(b"text"), Err(RevocationListError::Empty));
    assert_eq!(
        RevocationList::from_pem(root.certificate.to_pem().as_bytes()),
        Err(RevocationListError::Empty)
    );
    assert_eq!(
        RevocationList::from_pem(format!("{pem}{pem}").as_bytes()),
        Err(RevocationListError::Several { count: 2 })
    );
}

#[test]
fn openssl_and_this_crate_read_each_others_lists_alike() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    let root = Authority::root("Root");
    let leaf = root.leaf();
    let list = root.list_with(|list| list.entries.push(entry(&serial_der(&leaf), &[reason(4)])));
    openssl.write("list.der", list.der());
    openssl.write("root.pem", root.certificate.to_pem());
    let text = openssl.stdout("crl -inform DER -in list.der -noout -text");
    assert!(text.contains("Superseded") && text.contains(leaf.serial_number()), "{text}");
    openssl.run("crl -inform DER -in list.der -CAfile root.pem -noout");

    openssl.write("ca.cnf", "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\n");
    openssl.write("index", "R\t401231235959Z\t261101000000Z,keyCompromise\t01A0\tunknown\t/CN=leaf\n");
    openssl.write("number", "1F\n");
    openssl.run(
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 10 -subj /CN=CA -addext keyUsage=cRLSign",
    );
    openssl.run("ca -gencrl -config ca.cnf -cert ca.pem -keyfile ca.key -crldays 7 -out made.pem");
    let made = RevocationList::from_pem(&openssl.read("made.pem")).unwrap();
    assert_eq!((made.issuer(), made.number(), made.revoked_count()), ("CN=CA", Some("1F"), 1));
    let authority = koios_pki::CertificateChain::from_pem(&openssl.read("ca.pem")).unwrap();
    assert!(made.is_issued_by(authority.leaf()));
    assert_eq!(made.next_update().map(|next| next - made.this_update()), Some(Duration::days(7)));
}

//! Creating, naming, deleting and choosing the default.

use koios_pki::SecurityMode;
use koios_store::{
    Apply, CertificatePatch, CertificateStatus, Change, DeviceId, FileState, IdentityFilesError, StoreError,
    StoredFile,
};
use time::{Duration, OffsetDateTime};

use crate::fixture::{
    EXPIRING_SOON, Fixture, chain_with, is_not_found, key, name, new_certificate, snapshot,
};

#[tokio::test]
async fn r4_the_first_certificate_becomes_the_default_and_later_ones_do_not() {
    let fixture = Fixture::new().await;
    assert!(fixture.store.default_certificate().await.unwrap().is_none());
    assert!(fixture.certificate("First").await.is_default);
    assert!(!fixture.certificate("Second").await.is_default);
    assert_eq!(fixture.defaults().await, ["First"]);
}

#[tokio::test]
async fn r4_a_new_certificate_can_take_the_default_over() {
    let fixture = Fixture::new().await;
    let first = fixture.certificate("First").await;
    let mut new = new_certificate("Second");
    new.make_default = true;
    let second = fixture.store.create_certificate(new).await.unwrap();
    assert!(second.is_default);
    assert_eq!(second.revision, 1);
    assert_eq!(fixture.defaults().await, ["Second"]);
    assert_eq!(
        fixture.store.certificate(first.id).await.unwrap().revision,
        2,
        "it stopped being the default"
    );
}

#[tokio::test]
async fn r4_the_default_moves_and_the_answer_lists_the_devices_that_follow_it() {
    let fixture = Fixture::new().await;
    let first = fixture.certificate("First").await;
    let second = fixture.certificate("Second").await;
    let follower = fixture.device("Follower", SecurityMode::Sign, None).await;
    fixture.device("Own", SecurityMode::Sign, Some(first.id)).await;
    fixture.device("Plain", SecurityMode::None, None).await;

    let preview = fixture.store.set_default(second.id, Apply::DryRun).await.unwrap();
    assert_eq!(fixture.defaults().await, ["First"], "a dry run changes nothing");
    assert!(!preview.certificate.is_default, "and shows the certificate as it is now");

    let changed = fixture.store.set_default(second.id, Apply::Commit).await.unwrap();
    assert_eq!(changed.previous_default.id, first.id);
    assert!(changed.certificate.is_default);
    assert_eq!(changed.certificate.device_count, 1);
    let affected: Vec<DeviceId> = changed.affected_devices.iter().map(|device| device.id).collect();
    assert_eq!(affected, [follower.id]);
    assert_eq!(preview.affected_devices, changed.affected_devices);
    assert_eq!(fixture.defaults().await, ["Second"]);

    let again = fixture.store.set_default(second.id, Apply::Commit).await.unwrap();
    assert_eq!(again.certificate.revision, changed.certificate.revision, "the same again changes nothing");
    assert!(again.affected_devices.is_empty());
}

#[tokio::test]
async fn r10_the_default_is_never_deleted_not_even_as_the_only_certificate() {
    let fixture = Fixture::new().await;
    let only = fixture.certificate("Only").await;
    for apply in [Apply::DryRun, Apply::Commit] {
        let refused = fixture.store.delete_certificate(only.id, apply, None).await;
        assert!(matches!(refused, Err(StoreError::DefaultCertificateRequired { id, .. }) if id == only.id));
    }
    assert_eq!(fixture.store.load_identity(only.id).await.unwrap().chain, only.chain);
}

#[tokio::test]
async fn r10_devices_of_a_deleted_certificate_fall_back_to_the_default() {
    let fixture = Fixture::new().await;
    let default = fixture.certificate("Default").await;
    let other = fixture.certificate("Other").await;
    let secure = fixture.device("A secure one", SecurityMode::SignAndEncrypt, Some(other.id)).await;
    let plain = fixture.device("B plain one", SecurityMode::None, Some(other.id)).await;
    fixture.device("C untouched", SecurityMode::Sign, Some(default.id)).await;

    let preview = fixture.store.delete_certificate(other.id, Apply::DryRun, None).await.unwrap();
    assert!(fixture.file(other.id, 1, "private-key.pem").exists());
    assert_eq!(fixture.store.certificate(other.id).await.unwrap().device_count, 1);

    let deleted = fixture.store.delete_certificate(other.id, Apply::Commit, None).await.unwrap();
    assert_eq!(deleted.reassigned_devices, preview.reassigned_devices);
    let reassigned: Vec<_> = deleted.reassigned_devices.iter().map(|d| (d.id, d.through_default)).collect();
    assert_eq!(reassigned, [(secure.id, true), (plain.id, false)]);
    assert_eq!((deleted.now_using.id, deleted.now_using.name.as_str()), (default.id, "Default"));
    assert_eq!(fixture.store.device(secure.id).await.unwrap().certificate_id, None);
    assert_eq!(fixture.store.device(secure.id).await.unwrap().revision, 2);
    assert_eq!(fixture.store.certificate(default.id).await.unwrap().device_count, 2);
    assert!(is_not_found(fixture.store.certificate(other.id).await));
    assert!(!fixture.path().join(format!("certificates/{}", other.id)).exists(), "its private key is gone");

    let history = fixture.store.certificate_history(other.id, Default::default()).await.unwrap();
    assert_eq!(history.items.len(), 1, "the public certificate stays in the history");
    assert_eq!(history.items[0].chain, other.chain);
}

#[tokio::test]
async fn names_are_unique_without_regard_to_case_and_a_clash_stores_nothing() {
    let fixture = Fixture::new().await;
    fixture.certificate("Plant Straße").await;
    let before = snapshot(&fixture.path().join("certificates"));
    let clash = fixture.store.create_certificate(new_certificate(" PLANT STRASSE ")).await;
    assert!(matches!(clash, Err(StoreError::NameTaken { name }) if name == "PLANT STRASSE"));
    let other = fixture.certificate("Other").await;
    let mut patch = CertificatePatch::default();
    patch.name = Some(name("plant strasse"));
    let clash = fixture.store.update_certificate(other.id, patch, None).await;
    assert!(matches!(clash, Err(StoreError::NameTaken { .. })));
    assert_eq!(fixture.store.certificate(other.id).await.unwrap().name, "Other");
    assert_eq!(snapshot(&fixture.path().join("certificates")).len(), before.len() + 3);
}

#[tokio::test]
async fn a_rename_to_another_case_of_its_own_name_is_fine() {
    let fixture = Fixture::new().await;
    let record = fixture.certificate("plant a").await;
    let mut patch = CertificatePatch::default();
    patch.name = Some(name("Plant A"));
    patch.description = Some(Some("Line 1".to_owned()));
    let renamed = fixture.store.update_certificate(record.id, patch.clone(), Some(1)).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.revision), ("Plant A", 2));
    let same = fixture.store.update_certificate(record.id, patch, None).await.unwrap();
    assert_eq!(same.revision, 2, "equal values are no change");
    let mut clear = CertificatePatch::default();
    clear.description = Some(None);
    assert_eq!(fixture.store.update_certificate(record.id, clear, None).await.unwrap().description, None);
}

#[tokio::test]
async fn a_revision_that_does_not_fit_stops_every_change() {
    let fixture = Fixture::new().await;
    fixture.certificate("Default").await;
    let record = fixture.certificate("Other").await;
    let stale = |result: Result<(), StoreError>| {
        assert!(
            matches!(result, Err(StoreError::RevisionMismatch { expected: 7, current: 1 })),
            "{result:?}"
        );
    };
    let mut patch = CertificatePatch::default();
    patch.name = Some(name("New"));
    stale(fixture.store.update_certificate(record.id, patch, Some(7)).await.map(drop));
    stale(fixture.store.delete_certificate(record.id, Apply::Commit, Some(7)).await.map(drop));
    stale(fixture.store.preview_replacement(record.id, Some(7)).await.map(drop));
    let mut pair = crate::fixture::replacement();
    pair.expected_revision = Some(7);
    stale(fixture.store.replace_key_pair(record.id, pair, Apply::Commit).await.map(drop));
    assert_eq!(fixture.store.certificate(record.id).await.unwrap().revision, 1);
}

#[tokio::test]
async fn the_same_certificate_twice_is_refused_and_names_the_one_that_has_it() {
    let fixture = Fixture::new().await;
    let record = fixture.certificate("First").await;
    let mut again = new_certificate("Second");
    again.chain = record.chain.clone();
    let refused = fixture.store.create_certificate(again).await;
    assert!(
        matches!(refused, Err(StoreError::CertificateExists { id, name }) if id == record.id && name == "First")
    );
    assert_eq!(fixture.all().await.len(), 1);
}

#[tokio::test]
async fn r12_a_certificate_is_assigned_when_it_is_made_or_not_made_at_all() {
    let fixture = Fixture::new().await;
    fixture.certificate("Default").await;
    let device = fixture.device("Press", SecurityMode::Sign, None).await;
    let mut new = new_certificate("Own");
    new.assign_to = vec![device.id, "0193aaaa-0000-7000-8000-000000000000".parse().unwrap()];
    let refused = fixture.store.create_certificate(new).await;
    assert!(matches!(refused, Err(StoreError::UnknownDevice(_))));
    assert_eq!(fixture.all().await.len(), 1);
    assert_eq!(std::fs::read_dir(fixture.path().join("certificates")).unwrap().count(), 1, "no file either");

    let mut new = new_certificate("Own");
    new.assign_to = vec![device.id];
    let own = fixture.store.create_certificate(new).await.unwrap();
    assert_eq!((own.device_count, own.assigned_device_count), (1, 1));
    assert_eq!(fixture.store.device(device.id).await.unwrap().certificate_id, Some(own.id));
}

#[tokio::test]
async fn r11_counts_follow_the_effective_certificate() {
    let fixture = Fixture::new().await;
    let default = fixture.certificate("Default").await;
    let other = fixture.certificate("Other").await;
    fixture.device("1 through default", SecurityMode::Sign, None).await;
    fixture.device("2 names the default", SecurityMode::Sign, Some(default.id)).await;
    fixture.device("3 names the other", SecurityMode::SignAndEncrypt, Some(other.id)).await;
    fixture.device("4 without security", SecurityMode::None, Some(other.id)).await;
    fixture.device("5 without security", SecurityMode::None, None).await;
    let counts = |id| {
        let store = fixture.store.clone();
        async move {
            let record = store.certificate(id).await.unwrap();
            let listed = store.devices_of(id, Default::default()).await.unwrap();
            assert_eq!(listed.total, record.device_count);
            let names: Vec<_> =
                listed.items.into_iter().map(|device| (device.name, device.through_default)).collect();
            (record.device_count, record.assigned_device_count, names)
        }
    };
    let expected = vec![("1 through default".to_owned(), true), ("2 names the default".to_owned(), false)];
    assert_eq!(counts(default.id).await, (2, 1, expected));
    assert_eq!(counts(other.id).await, (1, 1, vec![("3 names the other".to_owned(), false)]));
}

#[tokio::test]
async fn r11_devices_are_assigned_and_unassigned_all_or_nothing() {
    let fixture = Fixture::new().await;
    fixture.certificate("Default").await;
    let own = fixture.certificate("Own").await;
    let one = fixture.device("One", SecurityMode::Sign, None).await.id;
    let two = fixture.device("Two", SecurityMode::Sign, Some(own.id)).await.id;
    let three = fixture.device("Three", SecurityMode::Sign, None).await.id;
    let unknown: DeviceId = "0193aaaa-0000-7000-8000-000000000000".parse().unwrap();

    let refused = fixture.store.assign_devices(own.id, &[one, unknown], &[two], Apply::Commit).await;
    assert!(matches!(refused, Err(StoreError::UnknownDevice(id)) if id == unknown));
    assert_eq!(fixture.store.device(one).await.unwrap().revision, 1);
    let refused = fixture.store.assign_devices(own.id, &[one], &[one], Apply::Commit).await;
    assert!(matches!(refused, Err(StoreError::InvalidSetting { .. })));

    let preview = fixture.store.assign_devices(own.id, &[one], &[two, three], Apply::DryRun).await.unwrap();
    assert_eq!(preview.certificate.device_count, 1, "as it is now");
    assert_eq!(fixture.store.device(one).await.unwrap().certificate_id, None);
    let done = fixture.store.assign_devices(own.id, &[one], &[two, three], Apply::Commit).await.unwrap();
    assert_eq!((&done.assigned, &done.unassigned), (&preview.assigned, &preview.unassigned));
    assert_eq!(done.assigned.iter().map(|device| device.id).collect::<Vec<_>>(), [one]);
    assert_eq!(
        done.unassigned.iter().map(|device| device.id).collect::<Vec<_>>(),
        [two],
        "three never named it"
    );
    assert_eq!(fixture.store.device(three).await.unwrap().revision, 1);
}

#[tokio::test]
async fn r3_badges_follow_clock_and_disk_in_their_fixed_order() {
    let fixture = Fixture::new().await;
    let mut new = new_certificate("Short");
    let now = OffsetDateTime::now_utc();
    new.chain = chain_with("Koios@a", "urn:koios:a:b", now, 100);
    let record = fixture.store.create_certificate(new).await.unwrap();
    let at = |days: i64| now + Duration::days(days);
    use CertificateStatus::{Expired, ExpiringSoon, MissingFiles, NotYetValid, Valid};
    assert_eq!(record.statuses(at(0), EXPIRING_SOON), [Valid]);
    assert_eq!(record.statuses(at(71), EXPIRING_SOON), [Valid, ExpiringSoon]);
    assert_eq!(record.statuses(at(101), EXPIRING_SOON), [Expired]);
    assert_eq!(record.statuses(at(-2), EXPIRING_SOON), [NotYetValid]);

    let key_file = fixture.file(record.id, 1, "private-key.pem");
    let kept = std::fs::read(&key_file).unwrap();
    std::fs::remove_file(&key_file).unwrap();
    let record = fixture.store.certificate(record.id).await.unwrap();
    assert_eq!(record.statuses(at(0), EXPIRING_SOON), [MissingFiles]);
    assert_eq!(record.statuses(at(71), EXPIRING_SOON), [MissingFiles]);
    assert_eq!(record.statuses(at(101), EXPIRING_SOON), [Expired, MissingFiles]);
    assert_eq!(record.statuses(at(-2), EXPIRING_SOON), [NotYetValid, MissingFiles]);
    assert_eq!(record.chain.leaf().common_name(), Some("Koios@a"), "all else is shown");

    std::fs::write(&key_file, kept).unwrap();
    let record = fixture.store.certificate(record.id).await.unwrap();
    assert_eq!(record.statuses(at(0), EXPIRING_SOON), [Valid], "a file put back clears the badge");
}

#[tokio::test]
async fn r3_each_missing_or_changed_file_is_seen_named_and_not_used() {
    let fixture = Fixture::new().await;
    let id = fixture.certificate("Default").await.id;
    for (file, stored) in [
        ("certificate.der", StoredFile::Certificate),
        ("chain.pem", StoredFile::Chain),
        ("private-key.pem", StoredFile::PrivateKey),
    ] {
        let path = fixture.file(id, 1, file);
        let original = std::fs::read(&path).unwrap();
        let of_key = stored == StoredFile::PrivateKey;
        let states = |state| if of_key { (FileState::Present, state) } else { (state, FileState::Present) };

        std::fs::remove_file(&path).unwrap();
        let record = fixture.store.certificate(id).await.unwrap();
        assert_eq!(
            (record.files.certificate, record.files.private_key),
            states(FileState::Missing),
            "{file}"
        );
        assert!(!record.downloadable());
        let refused = fixture.store.load_identity(id).await;
        assert!(
            matches!(&refused, Err(IdentityFilesError::Missing { file, path: at }) if *file == stored && *at == path)
        );

        let mut changed = original.clone();
        changed.push(b'\n');
        for contents in [changed, Vec::new(), vec![b'x'; 2 << 20]] {
            std::fs::write(&path, contents).unwrap();
            let record = fixture.store.certificate(id).await.unwrap();
            assert_eq!(
                (record.files.certificate, record.files.private_key),
                states(FileState::Changed),
                "{file}"
            );
            assert!(
                record.findings(OffsetDateTime::now_utc()).iter().any(|f| f.code.as_str() == "files_changed")
            );
            let refused = fixture.store.private_key_pem(id).await.map(drop);
            assert!(matches!(refused, Err(IdentityFilesError::Changed { file, .. }) if file == stored));
        }

        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let record = fixture.store.certificate(id).await.unwrap();
        assert_eq!(
            (record.files.certificate, record.files.private_key),
            states(FileState::Changed),
            "a folder"
        );
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, original).unwrap();
        assert!(fixture.store.load_identity(id).await.is_ok());
    }
}

#[tokio::test]
async fn r8_the_files_hold_leaf_chain_and_key_as_they_were_given() {
    let fixture = Fixture::new().await;
    let record = fixture.certificate("Default").await;
    let read = |file| std::fs::read(fixture.file(record.id, 1, file)).unwrap();
    assert_eq!(read("certificate.der"), record.chain.leaf().der());
    assert_eq!(read("chain.pem"), record.chain.to_pem().as_bytes());
    assert_eq!(read("private-key.pem"), key().secret_bytes());
    let identity = fixture.store.load_identity(record.id).await.unwrap();
    assert_eq!((identity.chain, identity.generation), (record.chain, 1));
    assert_eq!(identity.key.secret_bytes(), key().secret_bytes());
}

#[tokio::test]
async fn changes_are_told_after_the_commit_and_a_dry_run_tells_nothing() {
    let fixture = Fixture::new().await;
    let mut changes = fixture.store.changes();
    let default = fixture.certificate("Default").await.id;
    let other = fixture.certificate("Other").await.id;
    let device = fixture.device("Press", SecurityMode::Sign, Some(other)).await.id;
    fixture.store.delete_certificate(other, Apply::DryRun, None).await.unwrap();
    fixture.store.set_default(other, Apply::DryRun).await.unwrap();
    assert!(fixture.store.create_certificate(new_certificate("Other")).await.is_err());
    fixture.store.delete_certificate(other, Apply::Commit, None).await.unwrap();
    let mut told = Vec::new();
    while let Ok(change) = changes.try_recv() {
        told.push(change);
    }
    let expected = [
        Change::CertificateCreated(default),
        Change::DefaultChanged(default),
        Change::CertificateCreated(other),
        Change::DeviceCreated(device),
        Change::DeviceUpdated(device),
        Change::CertificateDeleted(other),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn application_uris_in_use_are_those_of_current_certificates() {
    let fixture = Fixture::new().await;
    fixture.certificate("Default").await;
    let mut new = new_certificate("Other");
    new.chain = chain_with("Koios@b", "urn:koios:b:other", OffsetDateTime::now_utc(), 10);
    let other = fixture.store.create_certificate(new).await.unwrap().id;
    assert!(fixture.store.application_uri_in_use("urn:koios:b:other").await.unwrap());
    assert!(!fixture.store.application_uri_in_use("urn:koios:b").await.unwrap());
    fixture.store.delete_certificate(other, Apply::Commit, None).await.unwrap();
    assert!(!fixture.store.application_uri_in_use("urn:koios:b:other").await.unwrap());
}

#[tokio::test]
async fn the_current_key_pair_is_that_of_the_certificate_named_or_else_of_the_default() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    assert_eq!(store.current_key_pair(None).await.unwrap(), None);
    let default = fixture.certificate("Default").await.id;
    let other = fixture.certificate("Other").await.id;
    fixture.regenerate(other).await;
    assert_eq!(store.current_key_pair(None).await.unwrap(), Some((default, 1)));
    assert_eq!(store.current_key_pair(Some(other)).await.unwrap(), Some((other, 2)));
    store.delete_certificate(other, Apply::Commit, None).await.unwrap();
    assert!(is_not_found(store.current_key_pair(Some(other)).await));
}

#[tokio::test]
async fn descriptions_and_validities_beyond_their_bounds_are_refused() {
    let fixture = Fixture::new().await;
    let mut new = new_certificate("Long");
    new.description = Some("ä".repeat(1025));
    let refused = fixture.store.create_certificate(new).await;
    assert!(matches!(refused, Err(StoreError::InvalidSetting { field: "description", .. })));
    let mut new = new_certificate("No time");
    new.validity_days = 0;
    let refused = fixture.store.create_certificate(new).await;
    assert!(matches!(refused, Err(StoreError::InvalidSetting { field: "validity_days", .. })));
    let mut new = new_certificate("Just right");
    new.description = Some("ä".repeat(1024));
    assert!(fixture.store.create_certificate(new).await.is_ok());
}

#[tokio::test]
async fn debug_of_what_carries_a_key_shows_none_of_it() {
    let fixture = Fixture::new().await;
    let id = fixture.certificate("Default").await.id;
    let identity = fixture.store.load_identity(id).await.unwrap();
    let shown = format!(
        "{:?} {:?} {:?} {identity:?}",
        fixture.store,
        new_certificate("x"),
        crate::fixture::replacement()
    );
    assert!(!shown.contains("PRIVATE") && !shown.contains("BEGIN"), "{shown}");
}

#[tokio::test]
async fn unknown_ids_are_not_found_everywhere() {
    let fixture = Fixture::new().await;
    fixture.certificate("Default").await;
    let id = "0193aaaa-0000-7000-8000-000000000000".parse().unwrap();
    let store = &fixture.store;
    assert!(is_not_found(store.certificate(id).await));
    assert!(is_not_found(store.update_certificate(id, CertificatePatch::default(), None).await));
    assert!(is_not_found(store.delete_certificate(id, Apply::Commit, None).await));
    assert!(is_not_found(store.set_default(id, Apply::Commit).await));
    assert!(is_not_found(store.assign_devices(id, &[], &[], Apply::Commit).await));
    assert!(is_not_found(store.devices_of(id, Default::default()).await));
    assert!(is_not_found(store.preview_replacement(id, None).await));
    assert!(is_not_found(store.replace_key_pair(id, crate::fixture::replacement(), Apply::Commit).await));
    let refused = store.load_identity(id).await;
    assert!(matches!(refused, Err(IdentityFilesError::Store(StoreError::NotFound { .. }))));
}

/// A folder where the key's file should be cannot be removed as a file, whoever asks.
#[tokio::test]
async fn a_change_whose_old_key_cannot_be_removed_is_in_force_and_succeeds() {
    let fixture = Fixture::new().await;
    let default = fixture.certificate("Default").await.id;
    let other = fixture.certificate("Other").await.id;
    for id in [default, other] {
        let key = fixture.file(id, 1, "private-key.pem");
        std::fs::remove_file(&key).unwrap();
        std::fs::create_dir(&key).unwrap();
    }
    assert_eq!(fixture.regenerate(default).await.certificate.generation, 2);
    fixture.store.delete_certificate(other, Apply::Commit, None).await.unwrap();
    assert!(fixture.store.certificate(other).await.is_err());
    let fixture = fixture.reopened().await;
    assert!(!fixture.path().join(format!("certificates/{default}/1")).exists(), "the next start tries again");
    assert!(!fixture.path().join(format!("certificates/{other}")).exists());
    assert_eq!(fixture.store.load_identity(default).await.unwrap().generation, 2);
}

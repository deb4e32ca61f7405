//! Another key pair in the same entry.

use koios_pki::SecurityMode;
use koios_store::{Apply, Change, EndReason, Origin, StoreError};
use time::OffsetDateTime;

use crate::fixture::{Fixture, chain, chain_with, replacement, snapshot};

#[tokio::test]
async fn r9_regenerate_keeps_id_name_assignments_and_default_and_removes_the_old_key() {
    let fixture = Fixture::new().await;
    let before = fixture.certificate("Default").await;
    let own = fixture.device("Own", SecurityMode::Sign, Some(before.id)).await;
    let fallback = fixture.device("Fallback", SecurityMode::Sign, None).await;
    fixture.device("Plain", SecurityMode::None, Some(before.id)).await;
    let mut changes = fixture.store.changes();

    let preview = fixture.store.preview_replacement(before.id, Some(1)).await.unwrap();
    assert_eq!(preview.certificate.revision, 1);
    let replaced = fixture.regenerate(before.id).await;
    let after = &replaced.certificate;
    assert_eq!((after.id, &after.name, after.is_default), (before.id, &before.name, true));
    assert_eq!((after.revision, after.generation), (2, 2));
    assert_ne!(after.chain, before.chain);
    assert_eq!((&replaced.previous, replaced.previous_origin), (&before.chain, Origin::Generated));
    let affected: Vec<_> = replaced.affected_devices.iter().map(|device| device.id).collect();
    assert_eq!(affected, [fallback.id, own.id], "by name; the one without security is not concerned");
    assert_eq!(preview.affected_devices, replaced.affected_devices);
    assert_eq!(fixture.store.device(own.id).await.unwrap().certificate_id, Some(before.id));
    assert_eq!(fixture.store.device(own.id).await.unwrap().revision, 1, "the device itself did not change");

    assert!(!fixture.file(before.id, 1, "private-key.pem").exists());
    assert!(!fixture.path().join(format!("certificates/{}/1", before.id)).exists());
    assert_eq!(fixture.store.load_identity(before.id).await.unwrap().generation, 2);
    assert_eq!(changes.try_recv(), Ok(Change::CertificateRegenerated(before.id)));

    let history = fixture.store.certificate_history(before.id, Default::default()).await.unwrap();
    assert_eq!(history.total, 1);
    let past = &history.items[0];
    assert_eq!((past.generation, &past.chain, past.reason), (1, &before.chain, EndReason::Regenerated));
    assert_eq!((past.from, past.until), (before.created_at, after.updated_at));
}

#[tokio::test]
async fn r9_regenerate_works_without_files() {
    let fixture = Fixture::new().await;
    let id = fixture.certificate("Default").await.id;
    std::fs::remove_dir_all(fixture.path().join(format!("certificates/{id}"))).unwrap();
    assert!(!fixture.store.certificate(id).await.unwrap().downloadable());
    assert!(fixture.regenerate(id).await.certificate.downloadable());
}

#[tokio::test]
async fn a_dry_run_makes_all_checks_and_touches_nothing() {
    let fixture = Fixture::new().await;
    let record = fixture.certificate("Default").await;
    let before = snapshot(&fixture.path().join("certificates"));
    let preview = fixture.store.replace_key_pair(record.id, replacement(), Apply::DryRun).await.unwrap();
    assert_eq!(
        (preview.certificate.revision, &preview.certificate.chain),
        (1, &record.chain),
        "as it is now"
    );
    assert_eq!(snapshot(&fixture.path().join("certificates")), before);
    let mut other_uri = replacement();
    other_uri.chain = chain_with("Koios@b", "urn:koios:b:other", OffsetDateTime::now_utc(), 10);
    let refused = fixture.store.replace_key_pair(record.id, other_uri, Apply::DryRun).await;
    assert!(matches!(refused, Err(StoreError::ApplicationUriChanged { .. })));
}

#[tokio::test]
async fn another_application_uri_is_refused_unless_it_is_allowed() {
    let fixture = Fixture::new().await;
    let record = fixture.certificate("Default").await;
    let before = snapshot(&fixture.path().join("certificates"));
    let other = || {
        let mut pair = replacement();
        pair.origin = Origin::Uploaded;
        pair.reason = EndReason::Replaced;
        pair.chain = chain_with("Koios@b", "urn:koios:b:other", OffsetDateTime::now_utc(), 10);
        pair
    };
    let refused = fixture.store.replace_key_pair(record.id, other(), Apply::Commit).await;
    let Err(StoreError::ApplicationUriChanged { stored, presented }) = refused else { panic!("{refused:?}") };
    assert_eq!(stored, "urn:koios:gw01.plant.example:plant-a");
    assert_eq!(presented.as_deref(), Some("urn:koios:b:other"));
    assert_eq!(snapshot(&fixture.path().join("certificates")), before);

    let mut allowed = other();
    allowed.allow_uri_change = true;
    let replaced = fixture.store.replace_key_pair(record.id, allowed, Apply::Commit).await.unwrap();
    assert_eq!(replaced.certificate.origin, Origin::Uploaded);
    assert!(fixture.store.application_uri_in_use("urn:koios:b:other").await.unwrap());
    assert!(!fixture.store.application_uri_in_use(&stored).await.unwrap());
}

#[tokio::test]
async fn a_certificate_of_another_entry_is_refused_and_its_own_restores_lost_files() {
    let fixture = Fixture::new().await;
    let first = fixture.certificate("First").await;
    let second = fixture.certificate("Second").await;
    let mut pair = replacement();
    pair.chain = first.chain.clone();
    let refused = fixture.store.replace_key_pair(second.id, pair, Apply::Commit).await;
    assert!(matches!(refused, Err(StoreError::CertificateExists { id, .. }) if id == first.id));

    std::fs::remove_file(fixture.file(first.id, 1, "private-key.pem")).unwrap();
    let mut pair = replacement();
    pair.chain = first.chain.clone();
    let restored = fixture.store.replace_key_pair(first.id, pair, Apply::Commit).await.unwrap().certificate;
    assert!(restored.downloadable());
    assert_eq!(restored.chain, first.chain);
}

#[tokio::test]
async fn its_own_certificate_again_is_refused_while_its_files_are_whole() {
    let fixture = Fixture::new().await;
    let record = fixture.certificate("Default").await;
    let again = || {
        let mut pair = replacement();
        pair.chain = record.chain.clone();
        pair
    };
    let before = snapshot(&fixture.path().join("certificates"));
    for apply in [Apply::DryRun, Apply::Commit] {
        let refused = fixture.store.replace_key_pair(record.id, again(), apply).await;
        assert!(
            matches!(&refused, Err(StoreError::CertificateExists { id, name }) if *id == record.id && *name == record.name),
            "{refused:?}"
        );
    }
    assert_eq!(fixture.store.certificate(record.id).await.unwrap().revision, record.revision);
    assert_eq!(snapshot(&fixture.path().join("certificates")), before);

    std::fs::write(fixture.file(record.id, 1, "chain.pem"), "changed").unwrap();
    let restored = fixture.store.replace_key_pair(record.id, again(), Apply::Commit).await.unwrap();
    assert!(restored.certificate.downloadable());
}

#[tokio::test]
async fn a_failed_write_of_files_leaves_the_old_pair_in_force() {
    let fixture = Fixture::new().await;
    let record = fixture.certificate("Default").await;
    // A file stands where the folder of generation 2 has to go.
    let obstacle = fixture.path().join(format!("certificates/{}/2", record.id));
    std::fs::write(&obstacle, b"in the way").unwrap();
    let failed = fixture.store.replace_key_pair(record.id, replacement(), Apply::Commit).await;
    assert!(matches!(&failed, Err(StoreError::Unavailable { path, .. }) if *path == obstacle), "{failed:?}");
    let now = fixture.store.certificate(record.id).await.unwrap();
    assert_eq!((now.revision, now.generation, now.downloadable()), (1, 1, true));
    let history = fixture.store.certificate_history(record.id, Default::default()).await.unwrap();
    assert_eq!(history.total, 0);
    std::fs::remove_file(&obstacle).unwrap();
    assert_eq!(fixture.regenerate(record.id).await.certificate.generation, 2);
}

#[tokio::test]
async fn readers_beside_a_regeneration_never_see_files_missing() {
    let fixture = Fixture::new().await;
    let id = fixture.certificate("Default").await.id;
    let store = fixture.store.clone();
    let reader = tokio::spawn(async move {
        let mut generations = std::collections::BTreeSet::new();
        while generations.last() != Some(&8) {
            assert!(store.certificate(id).await.unwrap().downloadable());
            generations.insert(store.load_identity(id).await.unwrap().generation);
        }
    });
    for _ in 1..8 {
        fixture.regenerate(id).await;
    }
    tokio::time::timeout(std::time::Duration::from_secs(60), reader).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_history_is_a_list_with_pages_newest_first() {
    let fixture = Fixture::new().await;
    let id = fixture.certificate("Default").await.id;
    for _ in 0..3 {
        fixture.regenerate(id).await;
    }
    let first = fixture.store.certificate_history(id, koios_store::PageRequest::new(2, None)).await.unwrap();
    assert_eq!(first.items.iter().map(|past| past.generation).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(first.total, 3);
    let rest = koios_store::PageRequest::new(2, first.next_cursor);
    let second = fixture.store.certificate_history(id, rest).await.unwrap();
    assert_eq!(second.items.iter().map(|past| past.generation).collect::<Vec<_>>(), [1]);
    assert_eq!(second.next_cursor, None);
}

#[tokio::test]
async fn a_chain_keeps_its_order_through_disk_and_database() {
    let fixture = Fixture::new().await;
    let mut new = crate::fixture::new_certificate("Chained");
    let (leaf, one, two) = (chain(), chain(), chain());
    let issuers = vec![one.leaf().clone(), two.leaf().clone()];
    new.chain = koios_pki::CertificateChain::new(leaf.leaf().clone(), issuers);
    let stored = new.chain.clone();
    let id = fixture.store.create_certificate(new).await.unwrap().id;
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.store.certificate(id).await.unwrap().chain, stored);
    assert_eq!(fixture.store.load_identity(id).await.unwrap().chain, stored);
}

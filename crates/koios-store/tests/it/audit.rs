//! The audit trail: listed, and verified against everything that somebody without the key can do to it.

use koios_store::{
    AuditEntry, AuditFault, AuditHead, AuditQuery, AuditResource, PageRequest, Store, StoreError,
    StoreOptions,
};
use sqlx::Connection;
use time::{Duration, OffsetDateTime};

use crate::beside::{self, sql};
use crate::fixture::Fixture;

fn start() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)
}

async fn with_entries(count: i64) -> Fixture {
    let fixture = Fixture::new().await;
    for number in 1..=count {
        let actor = if number % 2 == 0 { "admin" } else { "ci" };
        let action = if number % 3 == 0 { "device.tested" } else { "certificate.regenerated" };
        let mut entry = AuditEntry::new(start() + Duration::hours(number), actor, action);
        entry.resource = Some(AuditResource::new("certificate", format!("{}", number % 4), None));
        entry.after = Some(serde_json::json!({ "number": number }));
        entry.address = Some("127.0.0.1".to_owned());
        fixture.store.append_audit(entry).await.unwrap();
    }
    fixture
}

#[tokio::test]
async fn entries_are_listed_newest_first_filtered_and_paged() {
    let fixture = with_entries(10).await;
    let sequences = async |query: AuditQuery| {
        let page = fixture.store.audit(query).await.unwrap();
        (page.items.iter().map(|item| item.sequence).collect::<Vec<_>>(), page.total, page.next_cursor)
    };
    let mut query = AuditQuery::default();
    query.page = PageRequest::new(4, None);
    let (first, total, cursor) = sequences(query.clone()).await;
    assert_eq!((first, total), (vec![10, 9, 8, 7], 10));
    fixture.store.append_audit(AuditEntry::new(start(), "late", "x")).await.unwrap();
    query.page.cursor = cursor;
    assert_eq!(sequences(query.clone()).await.0, [6, 5, 4, 3], "what came meanwhile shifts nothing");
    query.page.cursor = Some("nowhere".to_owned());
    assert!(matches!(fixture.store.audit(query).await, Err(StoreError::InvalidCursor)));

    let filtered = |change: &dyn Fn(&mut AuditQuery)| {
        let mut query = AuditQuery::default();
        change(&mut query);
        query
    };
    let tested = filtered(&|query| query.action = Some("device.tested".to_owned()));
    assert_eq!(sequences(tested).await.0, [9, 6, 3]);
    let by_admin = filtered(&|query| query.actor = Some("admin".to_owned()));
    assert_eq!(sequences(by_admin).await, (vec![10, 8, 6, 4, 2], 5, None));
    let about = filtered(&|query| query.resource_id = Some("1".to_owned()));
    assert_eq!(sequences(about).await.0, [9, 5, 1]);
    let period = filtered(&|query| {
        query.from = Some(start() + Duration::hours(3));
        query.to = Some(start() + Duration::hours(5));
    });
    assert_eq!(sequences(period).await.0, [4, 3]);
    let newest = fixture.store.audit(filtered(&|query| query.actor = Some("ci".to_owned()))).await.unwrap();
    let entry = &newest.items[0];
    assert_eq!(entry.entry.after, Some(serde_json::json!({ "number": 9 })));
    assert_eq!((entry.hash.len(), entry.entry.address.as_deref()), (32, Some("127.0.0.1")));
}

#[tokio::test]
async fn every_change_removal_and_reordering_is_found() {
    let changes = [
        ("UPDATE audit SET actor = 'nobody' WHERE sequence = 3", vec![AuditFault::Changed { sequence: 3 }]),
        ("UPDATE audit SET address = NULL WHERE sequence = 3", vec![AuditFault::Changed { sequence: 3 }]),
        ("UPDATE audit SET after_json = '{}' WHERE sequence = 3", vec![AuditFault::Changed { sequence: 3 }]),
        ("UPDATE audit SET at = at + 1 WHERE sequence = 3", vec![AuditFault::Changed { sequence: 3 }]),
        (
            "UPDATE audit SET hash = x'0000000000000000000000000000000000000000000000000000000000000000' WHERE sequence = 3",
            vec![AuditFault::Changed { sequence: 3 }, AuditFault::Changed { sequence: 4 }],
        ),
        ("UPDATE audit SET key_id = NULL WHERE sequence = 3", vec![AuditFault::Changed { sequence: 3 }]),
        (
            "DELETE FROM audit WHERE sequence IN (3, 4)",
            vec![AuditFault::Missing { from: 3, to: 4 }, AuditFault::Changed { sequence: 5 }],
        ),
        (
            "DELETE FROM audit WHERE sequence = 1",
            vec![AuditFault::Missing { from: 1, to: 1 }, AuditFault::Changed { sequence: 2 }],
        ),
        (
            "UPDATE audit SET sequence = CASE sequence WHEN 3 THEN -4 WHEN 4 THEN -3 ELSE sequence END; \
             UPDATE audit SET sequence = -sequence WHERE sequence < 0",
            vec![
                AuditFault::Changed { sequence: 3 },
                AuditFault::Changed { sequence: 4 },
                AuditFault::Changed { sequence: 5 },
            ],
        ),
    ];
    for (statement, faults) in changes {
        let fixture = with_entries(6).await;
        let whole = fixture.store.verify_audit(&[]).await.unwrap();
        assert_eq!((whole.entries, whole.unkeyed, whole.faults), (6, 0, vec![]));
        let mut connection = beside::connect(fixture.path()).await;
        for statement in statement.split(';') {
            sqlx::query(sql(statement)).execute(&mut connection).await.unwrap();
        }
        assert_eq!(fixture.store.verify_audit(&[]).await.unwrap().faults, faults, "{statement}");
    }
}

#[tokio::test]
async fn an_end_that_was_cut_off_shows_against_a_head_that_was_noted() {
    let fixture = with_entries(6).await;
    let head = fixture.store.audit_head().await.unwrap().unwrap();
    assert_eq!(head.sequence, 6);
    assert_eq!(fixture.store.verify_audit(&[]).await.unwrap().head, Some(head.clone()));
    fixture.store.append_audit(AuditEntry::new(start(), "x", "x")).await.unwrap();
    assert!(fixture.store.verify_audit(std::slice::from_ref(&head)).await.unwrap().faults.is_empty());

    let mut connection = beside::connect(fixture.path()).await;
    sqlx::query("DELETE FROM audit WHERE sequence >= 5").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert!(
        fixture.store.verify_audit(&[]).await.unwrap().faults.is_empty(),
        "this cannot be seen from inside"
    );
    let faults = fixture.store.verify_audit(std::slice::from_ref(&head)).await.unwrap().faults;
    assert_eq!(faults, [AuditFault::HeadMissing { sequence: 6 }]);
    // Nor does a trail that grew again hold it.
    for _ in 0..3 {
        fixture.store.append_audit(AuditEntry::new(start(), "x", "x")).await.unwrap();
    }
    let faults = fixture.store.verify_audit(&[head, AuditHead::new(1, vec![0; 32])]).await.unwrap().faults;
    assert_eq!(faults, [AuditFault::HeadMissing { sequence: 6 }, AuditFault::HeadMissing { sequence: 1 }]);
}

#[tokio::test]
async fn a_lost_master_key_begins_a_new_one_and_says_what_cannot_be_verified_any_more() {
    let fixture = with_entries(2).await;
    let path = fixture.path().to_owned();
    fixture.store.clone().close().await;
    std::fs::remove_file(path.join("secrets.key")).unwrap();
    let store = Store::open(StoreOptions::new(&path)).await.unwrap();
    store.append_audit(AuditEntry::new(start(), "x", "x")).await.unwrap();
    let found = store.verify_audit(&[]).await.unwrap();
    assert_eq!((found.entries, found.faults), (3, vec![AuditFault::KeyMissing { sequence: 1 }]));
    store.close().await;
}

#[tokio::test]
async fn a_store_opened_for_reading_reads_beside_the_daemon_and_changes_nothing() {
    let fixture = with_entries(3).await;
    let reader = Store::open_for_reading(StoreOptions::new(fixture.path())).await.unwrap();
    fixture.store.append_audit(AuditEntry::new(start(), "x", "x")).await.unwrap();
    let found = reader.verify_audit(&[]).await.unwrap();
    assert_eq!((found.entries, found.faults), (4, vec![]), "what is committed meanwhile is seen");
    let refused = reader.append_audit(AuditEntry::new(start(), "x", "x")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    reader.close().await;
    fixture.store.append_audit(AuditEntry::new(start(), "x", "x")).await.unwrap();

    let nowhere = tempfile::tempdir().unwrap();
    let error = Store::open_for_reading(StoreOptions::new(nowhere.path())).await.unwrap_err();
    assert!(error.to_string().contains("koios.db"), "{error}");
    assert_eq!(std::fs::read_dir(nowhere.path()).unwrap().count(), 0, "nothing is made");
}

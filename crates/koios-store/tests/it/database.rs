//! What the database refuses by itself, whatever the code above it does.

use koios_pki::SecurityMode;
use koios_store::{
    AuditQuery, DeviceState, PageRequest, Rejection, SaidServerIdentity, StoreError, Transition,
    TrustListName,
};
use sqlx::Connection;
use sqlx::error::ErrorKind;
use time::{Duration, OffsetDateTime};

use crate::beside::{self, sql};
use crate::fixture::{Fixture, chain, is_not_found, new_certificate, replacement, settings};

#[tokio::test]
async fn r4_r10_invariants_are_held_by_the_database_too() {
    let fixture = Fixture::new().await;
    let default = fixture.certificate("Default").await.id;
    let other = fixture.certificate("Other").await.id;
    fixture.device("Press", SecurityMode::Sign, Some(other)).await;
    let mut connection = beside::connect(fixture.path()).await;
    for (statement, kind, complaint) in [
        (
            format!("UPDATE certificates SET is_default = TRUE WHERE id = '{other}'"),
            ErrorKind::UniqueViolation,
            "default",
        ),
        (
            format!("DELETE FROM certificates WHERE id = '{default}'"),
            ErrorKind::Other,
            "the default certificate is not deleted",
        ),
        (format!("DELETE FROM certificates WHERE id = '{other}'"), ErrorKind::ForeignKeyViolation, ""),
        (
            format!("UPDATE certificates SET name_key = 'default' WHERE id = '{other}'"),
            ErrorKind::UniqueViolation,
            "name_key",
        ),
        (
            "UPDATE certificates SET thumbprint_sha256 = (SELECT MIN(thumbprint_sha256) FROM certificates)"
                .to_owned(),
            ErrorKind::UniqueViolation,
            "thumbprint_sha256",
        ),
        ("UPDATE devices SET certificate_id = 'nobody'".to_owned(), ErrorKind::ForeignKeyViolation, ""),
        ("UPDATE devices SET timeout_seconds = 0".to_owned(), ErrorKind::CheckViolation, "timeout_seconds"),
        ("UPDATE devices SET password = x'00'".to_owned(), ErrorKind::CheckViolation, ""),
    ] {
        let refused = sqlx::query(sql(&statement)).execute(&mut connection).await.expect_err(&statement);
        let error = refused.as_database_error().unwrap();
        assert_eq!(error.kind(), kind, "{statement}: {error}");
        assert!(error.message().contains(complaint), "{statement}: {error}");
    }
}

#[tokio::test]
async fn a_commit_that_fails_leaves_the_old_state_and_no_files() {
    let fixture = Fixture::new().await;
    let default = fixture.certificate("Default").await;
    let mut connection = beside::connect(fixture.path()).await;
    // A reference that is looked at when the transaction commits, and then is found broken.
    let insert = "INSERT INTO broken VALUES ('nobody')";
    let mut statements = vec![
        "CREATE TABLE broken (id TEXT REFERENCES certificates (id) DEFERRABLE INITIALLY DEFERRED)".to_owned(),
    ];
    statements.extend(beside::trigger("broken_insert", "INSERT ON certificates", insert));
    statements.extend(beside::trigger("broken_update", "UPDATE ON certificates", insert));
    for statement in statements {
        sqlx::query(sql(&statement)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    let mut changes = fixture.store.changes();

    let failed = fixture.store.create_certificate(new_certificate("Other")).await;
    assert!(matches!(failed, Err(StoreError::Corrupt { .. })), "{failed:?}");
    let failed = fixture.store.replace_key_pair(default.id, replacement(), koios_store::Apply::Commit).await;
    assert!(matches!(failed, Err(StoreError::Corrupt { .. })), "{failed:?}");

    assert_eq!(fixture.all().await.len(), 1);
    assert_eq!(fixture.store.load_identity(default.id).await.unwrap().chain, default.chain);
    let folders = |path: std::path::PathBuf| std::fs::read_dir(path).unwrap().count();
    assert_eq!(folders(fixture.path().join("certificates")), 1);
    assert_eq!(folders(fixture.path().join(format!("certificates/{}", default.id))), 1);
    assert!(changes.try_recv().is_err(), "what was not committed is not told");
}

#[tokio::test]
async fn certificates_seen_anywhere_are_bounded_in_all() {
    let fixture = Fixture::new().await;
    let mut connection = beside::connect(fixture.path()).await;
    sqlx::query(sql(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 10050) \
         INSERT INTO seen_certificates SELECT 'opc.tcp://host-' || n, 'AA', x'00', 7, 7 FROM number",
    ))
    .execute(&mut connection)
    .await
    .unwrap();
    let newest = chain();
    let at = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    fixture.store.record_seen("opc.tcp://new:4840", newest.clone(), at).await.unwrap();
    let kept: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM seen_certificates")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, 10_000);
    let seen = fixture.store.seen_server_certificates("opc.tcp://new:4840").await.unwrap();
    assert_eq!(seen[0].chain, newest);
}

#[tokio::test]
async fn what_servers_say_they_are_is_kept_per_endpoint_and_bounded_in_all() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let at = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    let said = |uri: &str, product: &str| {
        let mut said = SaidServerIdentity::default();
        said.application_uri = uri.to_owned();
        said.product_name = product.to_owned();
        said
    };
    let press = "opc.tcp://press:4840";
    assert_eq!(store.server_identity(press).await.unwrap(), None);
    store.record_server_identity(press, said("urn:press", "PLC"), at).await.unwrap();
    store.record_server_identity(press, said("urn:press", ""), at).await.unwrap();
    assert_eq!(store.server_identity(press).await.unwrap(), Some(said("urn:press", "PLC")));
    store.record_server_identity(press, said("urn:lathe", ""), at).await.unwrap();
    assert_eq!(store.server_identity(press).await.unwrap(), Some(said("urn:press", "PLC")), "too soon");
    let later = at + Duration::MINUTE;
    store.record_server_identity(press, said("urn:lathe", ""), later).await.unwrap();
    assert_eq!(store.server_identity(press).await.unwrap(), Some(said("urn:lathe", "")));
    // Seen again after a day, it is not among the oldest.
    let at = later + Duration::DAY;
    store.record_server_identity(press, said("urn:lathe", ""), at).await.unwrap();

    let mut connection = beside::connect(fixture.path()).await;
    sqlx::query(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 10050) \
         INSERT INTO server_identities SELECT 'opc.tcp://host-' || n, '', '', '', '', '', 7 FROM number",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    store.record_server_identity("opc.tcp://new:4840", said("urn:new", ""), at).await.unwrap();
    let kept: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM server_identities")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, 10_000);
    assert!(store.server_identity(press).await.unwrap().is_some(), "the oldest go");
}

#[tokio::test]
async fn texts_from_elsewhere_may_hold_any_character() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let at = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    let (hostile, kept) = ("a\0b", "a\u{FFFD}b");
    let press = fixture.device("Press", SecurityMode::None, None).await.id;

    let mut said = SaidServerIdentity::default();
    said.application_name = hostile.to_owned();
    store.record_server_identity("opc.tcp://press:4840", said, at).await.unwrap();
    let said = store.server_identity("opc.tcp://press:4840").await.unwrap().unwrap();
    assert_eq!(said.application_name, kept);

    let mut transition = Transition::new(at, DeviceState::Failed);
    transition.error_message = Some(hostile.to_owned());
    store.record_transition(press, transition).await.unwrap();
    let history = store.history(press, PageRequest::default()).await.unwrap();
    assert_eq!(history.items[0].error_message.as_deref(), Some(kept));

    let rejection = Rejection::new(chain(), "server_certificate_untrusted", hostile, at);
    store.record_rejected(rejection).await.unwrap();
    let rejected = store.trust_entries(Some(TrustListName::Rejected), PageRequest::default()).await.unwrap();
    assert_eq!(rejected.items[0].reason.as_deref(), Some(kept));

    let mut settings = settings("Oven", SecurityMode::None);
    settings.description = Some(hostile.to_owned());
    let refused = store.create_device(settings, false).await;
    assert!(matches!(refused, Err(StoreError::InvalidSetting { field: "description", .. })), "{refused:?}");
    let mut query = AuditQuery::default();
    query.actor = Some(hostile.to_owned());
    assert_eq!(store.audit(query).await.unwrap().total, 0);
}

#[tokio::test]
async fn a_row_that_no_version_wrote_is_an_error_and_not_a_panic() {
    let fixture = Fixture::new().await;
    let id = fixture.certificate("Default").await.id;
    let device = fixture.device("Press", SecurityMode::Sign, None).await.id;
    let mut connection = beside::connect(fixture.path()).await;
    let corrupt = |result: Result<(), StoreError>| {
        assert!(matches!(result, Err(StoreError::Corrupt { .. })), "{result:?}");
    };
    for (column, value) in
        [("chain", "x'3000'"), ("certificate_digest", "x'00'"), ("generation", "9999999999")]
    {
        let (change, restore) = (
            format!("UPDATE certificates SET {column} = {value}"),
            format!("UPDATE certificates SET {column} = (SELECT value FROM kept)"),
        );
        sqlx::query(sql(&format!("CREATE TEMP TABLE kept AS SELECT {column} AS value FROM certificates")))
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query(sql(&change)).execute(&mut connection).await.unwrap();
        corrupt(fixture.store.certificate(id).await.map(drop));
        corrupt(
            fixture.store.replace_key_pair(id, replacement(), koios_store::Apply::Commit).await.map(drop),
        );
        sqlx::query(sql(&restore)).execute(&mut connection).await.unwrap();
        sqlx::query("DROP TABLE kept").execute(&mut connection).await.unwrap();
    }
    assert!(fixture.store.certificate(id).await.is_ok());
    for (column, value) in
        [("security_policy", "'ROT13'"), ("pinned_chain", "x'00'"), ("created_at", "9223372036854775807")]
    {
        sqlx::query(sql(&format!("UPDATE devices SET {column} = {value}")))
            .execute(&mut connection)
            .await
            .unwrap();
        corrupt(fixture.store.device(device).await.map(drop));
    }
    fixture.store.delete_device(device, None).await.unwrap();
    assert!(is_not_found(fixture.store.device(device).await), "it can still be deleted");
}

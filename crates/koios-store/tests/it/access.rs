//! Tokens, audit, repeated requests.

use koios_store::{
    AuditEntry, AuditResource, IdempotencyRecord, NewToken, OnceKey, Outcome, Permission, Role, StoredAnswer,
    TokenId,
};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::fixture::{Fixture, new_certificate, snapshot};

#[tokio::test]
async fn a_token_is_found_by_its_hash_across_a_restart() {
    let fixture = Fixture::new().await;
    let mut new = NewToken::new("pipeline", Role::Operator, [3; 32]);
    new.permissions = vec![Permission::DownloadPrivateKey];
    new.expires_at = Some(OffsetDateTime::UNIX_EPOCH + Duration::days(30_000));
    let token = fixture.store.create_token(new.clone()).await.unwrap();
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.store.token_by_hash([3; 32]).await.unwrap().as_ref(), Some(&token));
    assert_eq!(fixture.store.token_by_hash([4; 32]).await.unwrap(), None);
    assert_eq!(token.permissions, [Permission::DownloadPrivateKey]);
    assert!(fixture.store.create_token(new).await.is_err(), "one secret is one token");
}

#[test]
fn roles_are_ordered_by_what_they_may_do() {
    assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
}

#[tokio::test]
async fn the_first_start_ends_with_the_first_token() {
    let fixture = Fixture::new().await;
    assert!(fixture.store.is_first_start());
    fixture.certificate("Default").await;
    let fixture = fixture.reopened().await;
    assert!(fixture.store.is_first_start(), "a start that was cut off before the token is not over");
    fixture.store.create_token(NewToken::new("initial", Role::Admin, [1; 32])).await.unwrap();
    assert!(!fixture.store.is_first_start());
    assert!(!fixture.reopened().await.store.is_first_start());
}

#[tokio::test]
async fn the_initial_admin_token_lies_in_a_file_for_its_owner_alone() {
    let fixture = Fixture::new().await;
    let path = fixture.store.write_initial_admin_token("koios_secret").await.unwrap();
    assert_eq!(path, fixture.store.initial_admin_token_path());
    assert_eq!(path, fixture.path().join("initial-admin-token"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "koios_secret\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    }
    fixture.store.write_initial_admin_token("another").await.unwrap();
    let holders =
        snapshot(fixture.path()).into_iter().filter(|(_, bytes)| bytes.starts_with(b"koios_secret"));
    assert_eq!(holders.count(), 0);
}

#[tokio::test]
async fn audit_entries_are_numbered_without_gaps_and_the_newest_instant_is_known() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.store.newest_audit_at().await.unwrap(), None);
    let start = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    for n in [5, 9, 7] {
        let mut entry =
            AuditEntry::new(start + Duration::days(n), "admin", "certificate.private_key_downloaded");
        entry.resource = Some(AuditResource::new("certificate", "0193", Some("Default".to_owned())));
        entry.address = Some("127.0.0.1".to_owned());
        entry.after = Some(json!({ "n": n }));
        fixture.store.append_audit(entry).await.unwrap();
    }
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.store.newest_audit_at().await.unwrap(), Some(start + Duration::days(9)));
    assert_eq!(fixture.store.append_audit(AuditEntry::new(start, "admin", "x")).await.unwrap(), 4);
}

#[tokio::test]
async fn entries_of_several_callers_at_once_get_numbers_of_their_own() {
    let fixture = Fixture::new().await;
    let calls = (0..20).map(|n| {
        let store = fixture.store.clone();
        tokio::spawn(async move {
            store.append_audit(AuditEntry::new(OffsetDateTime::now_utc(), format!("{n}"), "x")).await.unwrap()
        })
    });
    let mut sequences = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        sequences.push(call.await.unwrap());
    }
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=20).collect::<Vec<i64>>());
}

#[tokio::test]
async fn an_answer_is_repeated_for_a_day_to_the_token_that_got_it() {
    let fixture = Fixture::new().await;
    let (token, other): (TokenId, TokenId) = (
        "0193aaaa-0000-7000-8000-000000000000".parse().unwrap(),
        "0193aaaa-0000-7000-8000-000000000001".parse().unwrap(),
    );
    let at = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    let headers = vec![("Location".to_owned(), "/api/v1/certificates/1".to_owned())];
    let answer = StoredAnswer::new(201, headers, b"{\"id\":1}".to_vec());
    let record = IdempotencyRecord::new(token, "key", [7; 32], answer, at);
    fixture.store.idempotency_store(record.clone()).await.unwrap();
    let mut later = record.clone();
    later.body_hash = [8; 32];
    fixture.store.idempotency_store(later).await.unwrap();

    let fixture = fixture.reopened().await;
    let lookup = |token, key: &'static str, after| {
        let store = fixture.store.clone();
        async move { store.idempotency_lookup(token, key, at + after).await.unwrap() }
    };
    assert_eq!(
        lookup(token, "key", Duration::hours(23)).await,
        Some(record.clone()),
        "the first answer stays"
    );
    assert_eq!(lookup(token, "key", Duration::hours(24)).await, None);
    assert_eq!(lookup(other, "key", Duration::ZERO).await, None);
    assert_eq!(lookup(token, "KEY", Duration::ZERO).await, None);

    let mut next_day = record;
    next_day.at = at + Duration::hours(24);
    next_day.body_hash = [9; 32];
    fixture.store.idempotency_store(next_day.clone()).await.unwrap();
    assert_eq!(lookup(token, "key", Duration::hours(25)).await, Some(next_day));
}

#[tokio::test]
async fn a_commit_notes_that_it_carries_a_request_out_and_the_answer_takes_the_place_of_the_note() {
    let fixture = Fixture::new().await;
    let token: TokenId = "0193aaaa-0000-7000-8000-000000000000".parse().unwrap();
    let at = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    let mut entry = AuditEntry::new(at, "somebody", "certificate.generated");
    entry.once = Some(OnceKey::new(token, "key", [7; 32]));
    let store = fixture.store.recording(entry);
    let certificate = store.create_certificate(new_certificate("Default")).await.unwrap();

    // Killed here.
    let fixture = fixture.reopened().await;
    let lookup = async || fixture.store.idempotency_lookup(token, "key", at).await.unwrap().unwrap();
    let known = lookup().await;
    assert_eq!(known.body_hash, [7; 32]);
    assert_eq!(known.outcome, Outcome::CarriedOut { resource_id: certificate.id.to_string() });

    let answer = StoredAnswer::new(200, Vec::new(), b"{}".to_vec());
    let record = IdempotencyRecord::new(token, "key", [7; 32], answer.clone(), at);
    fixture.store.idempotency_store(record).await.unwrap();
    assert_eq!(lookup().await.outcome, Outcome::Answered(answer.clone()));
    let later =
        IdempotencyRecord::new(token, "key", [7; 32], StoredAnswer::new(201, Vec::new(), Vec::new()), at);
    fixture.store.idempotency_store(later).await.unwrap();
    assert_eq!(lookup().await.outcome, Outcome::Answered(answer), "the first answer stays");
}

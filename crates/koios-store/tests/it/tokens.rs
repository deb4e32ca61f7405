//! Tokens: made, listed, used, revoked, also by a process beside the daemon.

use koios_store::{
    AuditEntry, Direction, IdempotencyRecord, LastAdmin, LocalTokens, NameError, NewToken, OpenError,
    PageRequest, Permission, Resource, Role, Sort, Store, StoreError, StoreOptions, StoredAnswer, Token,
    TokenQuery, TokenSortKey,
};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::fixture::Fixture;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH.saturating_add(Duration::days(20_000));

fn new(name: &str, role: Role) -> NewToken {
    let mut hash = [0; 32];
    hash.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    NewToken::new(name, role, hash)
}

async fn add(store: &Store, name: &str, role: Role) -> Token {
    store.create_token(new(name, role)).await.unwrap()
}

async fn names(store: &Store, query: TokenQuery) -> Vec<String> {
    store.tokens(query).await.unwrap().items.into_iter().map(|token| token.name).collect()
}

fn sorted(key: TokenSortKey, direction: Direction) -> TokenQuery {
    let mut query = TokenQuery::default();
    query.sort = Sort { key, direction };
    query
}

#[tokio::test]
async fn tokens_are_listed_by_age_or_name_in_pages_that_show_each_once() {
    let fixture = Fixture::new().await;
    for name in ["line b", "Line A", "line C", "line a"] {
        add(&fixture.store, name, Role::Viewer).await;
    }
    assert_eq!(names(&fixture.store, TokenQuery::default()).await, ["line b", "Line A", "line C", "line a"]);
    let by_name = sorted(TokenSortKey::Name, Direction::Ascending);
    assert_eq!(names(&fixture.store, by_name).await, ["Line A", "line a", "line b", "line C"]);
    let newest_first = sorted(TokenSortKey::CreatedAt, Direction::Descending);
    let mut query = newest_first.clone();
    let mut seen = Vec::new();
    loop {
        query.page = PageRequest::new(3, query.page.cursor.take());
        let page = fixture.store.tokens(query.clone()).await.unwrap();
        assert_eq!(page.total, 4);
        seen.extend(page.items.into_iter().map(|token| token.name));
        match page.next_cursor {
            Some(cursor) => query.page.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!(seen, names(&fixture.store, newest_first).await);
    let mut wrong = TokenQuery::default();
    wrong.page = PageRequest::new(1, Some("nonsense".to_owned()));
    assert!(matches!(fixture.store.tokens(wrong).await, Err(StoreError::InvalidCursor)));
}

#[tokio::test]
async fn a_name_follows_the_rules_of_names_and_may_be_given_twice() {
    let fixture = Fixture::new().await;
    assert_eq!(add(&fixture.store, "  Pu\u{308}mpe ", Role::Viewer).await.name, "P\u{fc}mpe");
    let mut second = new("x", Role::Viewer);
    second.name = "P\u{fc}mpe".to_owned();
    fixture.store.create_token(second).await.unwrap();
    for (name, rule) in [
        ("", NameError::Empty),
        (" \u{a0} ", NameError::Empty),
        ("a\0b", NameError::ControlCharacter),
        ("a\nb", NameError::ControlCharacter),
        (&"x".repeat(129), NameError::TooLong { chars: 129 }),
    ] {
        let refused = fixture.store.create_token(new(name, Role::Viewer)).await;
        assert!(
            matches!(&refused, Err(StoreError::InvalidName(why)) if *why == rule),
            "{name:?}: {refused:?}"
        );
    }
    assert_eq!(fixture.store.tokens(TokenQuery::default()).await.unwrap().total, 2);
}

#[tokio::test]
async fn the_newest_use_is_shown_at_once_and_written_when_the_store_says_so_or_closes() {
    let fixture = Fixture::new().await;
    let (a, b) = (add(&fixture.store, "a", Role::Viewer).await, add(&fixture.store, "b", Role::Viewer).await);
    assert_eq!(a.last_used_at, None);
    let shown = async |store: &Store, token: &Token| store.token(token.id).await.unwrap().last_used_at;
    fixture.store.note_token_use(a.id, NOW);
    assert_eq!(shown(&fixture.store, &a).await, Some(NOW));
    // Whoever else looks sees what is written.
    let beside = Store::open_for_reading(StoreOptions::new(fixture.path())).await.unwrap();
    assert_eq!(shown(&beside, &a).await, None);
    fixture.store.write_token_uses().await.unwrap();
    assert_eq!(shown(&beside, &a).await, Some(NOW));
    beside.close().await;

    fixture.store.note_token_use(a.id, NOW + Duration::MINUTE);
    fixture.store.note_token_use(b.id, NOW);
    let fixture = fixture.reopened().await;
    assert_eq!(shown(&fixture.store, &a).await, Some(NOW + Duration::MINUTE));
    assert_eq!(shown(&fixture.store, &b).await, Some(NOW));
    // One that was revoked meanwhile comes not back.
    fixture.store.revoke_token(b.id, LastAdmin::Keep, NOW).await.unwrap();
    fixture.store.note_token_use(b.id, NOW + Duration::HOUR);
    fixture.store.write_token_uses().await.unwrap();
    assert_eq!(names(&fixture.store, TokenQuery::default()).await, ["a"]);
}

#[tokio::test]
async fn a_revoked_token_is_gone_with_what_was_kept_for_it() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let (gone, other) = (add(store, "gone", Role::Operator).await, add(store, "other", Role::Admin).await);
    let answer = StoredAnswer::new(201, Vec::new(), b"{}".to_vec());
    for token in [gone.id, other.id] {
        let record = IdempotencyRecord::new(token, "key", [7; 32], answer.clone(), NOW);
        store.idempotency_store(record).await.unwrap();
    }
    assert_eq!(store.revoke_token(gone.id, LastAdmin::Keep, NOW).await.unwrap(), gone);
    assert_eq!(store.token_by_hash(new("gone", Role::Operator).secret_hash).await.unwrap(), None);
    assert_eq!(store.idempotency_lookup(gone.id, "key", NOW).await.unwrap(), None);
    assert!(store.idempotency_lookup(other.id, "key", NOW).await.unwrap().is_some());
    for result in [store.revoke_token(gone.id, LastAdmin::Revoke, NOW).await, store.token(gone.id).await] {
        assert!(matches!(&result, Err(StoreError::NotFound { resource: Resource::Token, .. })), "{result:?}");
    }
}

#[tokio::test]
async fn the_last_admin_token_with_time_left_stays_unless_that_is_meant() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let admin = add(store, "admin", Role::Admin).await;
    add(store, "operator", Role::Operator).await;
    let mut expired = new("expired", Role::Admin);
    expired.expires_at = Some(NOW);
    let expired = store.create_token(expired).await.unwrap();
    let refused = store.revoke_token(admin.id, LastAdmin::Keep, NOW).await;
    assert!(
        matches!(&refused, Err(StoreError::LastAdminToken { name, .. }) if name == "admin"),
        "{refused:?}"
    );
    // A moment earlier the other one would do.
    let earlier = NOW - Duration::SECOND;
    store.revoke_token(expired.id, LastAdmin::Keep, earlier).await.unwrap();
    assert!(store.revoke_token(admin.id, LastAdmin::Keep, earlier).await.is_err());
    store.revoke_token(admin.id, LastAdmin::Revoke, NOW).await.unwrap();
    let second = add(store, "second", Role::Admin).await;
    let third = add(store, "third", Role::Admin).await;
    // Two that revoke each other at the same moment: one of them stays.
    let (a, b) = tokio::join!(
        store.revoke_token(second.id, LastAdmin::Keep, NOW),
        store.revoke_token(third.id, LastAdmin::Keep, NOW)
    );
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
}

#[tokio::test]
async fn the_file_with_the_initial_token_goes_with_that_token_and_no_other() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let path = store.write_initial_admin_token("koios_secret").await.unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"koios_secret");
    let hash = digest.as_ref().try_into().unwrap();
    let initial = store.create_token(NewToken::new("renamed since", Role::Admin, hash)).await.unwrap();
    let other = add(store, "other", Role::Admin).await;
    store.revoke_token(other.id, LastAdmin::Keep, NOW).await.unwrap();
    assert!(!store.forget_revoked_initial_admin_token().await.unwrap());
    assert!(path.exists());
    store.revoke_token(initial.id, LastAdmin::Revoke, NOW).await.unwrap();
    assert!(!path.exists());
    // Cut off between the commit and the file: the next start finds it.
    store.write_initial_admin_token("koios_secret").await.unwrap();
    assert!(store.forget_revoked_initial_admin_token().await.unwrap());
    assert!(!path.exists());
    assert!(!store.forget_revoked_initial_admin_token().await.unwrap(), "nothing there is nothing to do");
}

#[tokio::test]
async fn each_change_is_in_the_trail_by_its_own_commit_and_a_refused_one_is_not() {
    let fixture = Fixture::new().await;
    let recording = |action: &str| fixture.store.recording(AuditEntry::new(NOW, "admin", action));
    let mut wanted = new("pipeline", Role::Admin);
    wanted.permissions = vec![Permission::DownloadPrivateKey];
    wanted.expires_at = Some(NOW + Duration::DAY);
    let token = recording("token.created").create_token(wanted.clone()).await.unwrap();
    assert!(recording("token.created").create_token(wanted).await.is_err(), "one secret is one token");
    assert!(recording("token.created").create_token(new("\0", Role::Admin)).await.is_err());
    assert!(recording("token.revoked").revoke_token(token.id, LastAdmin::Keep, NOW).await.is_err());
    recording("token.used").note_token_use(token.id, NOW);
    recording("token.used").write_token_uses().await.unwrap();
    recording("token.revoked").revoke_token(token.id, LastAdmin::Revoke, NOW).await.unwrap();
    let entries = fixture.store.audit_after(0, 10).await.unwrap();
    let value = json!({ "role": "admin", "permissions": ["download_private_key"], "expires_at": "2024-10-05T00:00:00Z" });
    let told: Vec<_> = entries.into_iter().map(|recorded| recorded.entry).collect();
    assert_eq!(told.len(), 2, "{told:#?}");
    let resource = told[0].resource.clone().unwrap();
    assert_eq!((resource.kind.as_str(), resource.id), ("token", token.id.to_string()));
    assert_eq!(resource.name.as_deref(), Some("pipeline"));
    assert_eq!(
        (told[0].action.as_str(), &told[0].before, &told[0].after),
        ("token.created", &None, &Some(value.clone()))
    );
    assert_eq!(
        (told[1].action.as_str(), &told[1].before, &told[1].after),
        ("token.revoked", &Some(value), &None)
    );
}

#[tokio::test]
async fn a_process_beside_the_daemon_adds_and_revokes_without_breaking_the_trail() {
    let fixture = Fixture::new().await;
    add(&fixture.store, "initial", Role::Admin).await;
    let busy = (0..40).map(|n| {
        let store = fixture.store.clone();
        tokio::spawn(async move {
            store.append_audit(AuditEntry::new(NOW, format!("{n}"), "busy")).await.unwrap()
        })
    });
    let busy: Vec<_> = busy.collect();
    let beside = LocalTokens::open(StoreOptions::new(fixture.path())).await.unwrap();
    let entry = |action: &str| AuditEntry::new(NOW, "koiosd token", action);
    for n in 0..10 {
        let wanted = new(&format!("token {n}"), Role::Viewer);
        let token = beside.create(wanted.clone(), entry("token.created")).await.unwrap();
        // In force at once.
        assert_eq!(fixture.store.token_by_hash(wanted.secret_hash).await.unwrap().as_ref(), Some(&token));
        if n % 2 == 0 {
            beside.revoke(token.id, LastAdmin::Keep, NOW, entry("token.revoked")).await.unwrap();
            assert_eq!(fixture.store.token_by_hash(wanted.secret_hash).await.unwrap(), None);
        }
    }
    beside.close().await;
    for call in busy {
        call.await.unwrap();
    }
    let verified = fixture.store.verify_audit(&[]).await.unwrap();
    assert_eq!((verified.entries, verified.faults), (55, vec![]));
}

#[tokio::test]
async fn a_process_beside_the_daemon_makes_nothing_and_ends_no_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    assert!(LocalTokens::open(StoreOptions::new(&nowhere)).await.is_err());
    assert!(!nowhere.exists());
    let fixture = Fixture::new().await;
    let refused = LocalTokens::open(StoreOptions::new(fixture.path())).await;
    assert!(matches!(&refused, Err(OpenError::NotSetUp { .. })), "{refused:?}");
    assert!(fixture.store.is_first_start());
}

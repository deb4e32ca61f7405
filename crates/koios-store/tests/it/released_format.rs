//! Data directories that released versions wrote must open for ever.
//!
//! `tests/fixtures/v1` was written by [`write_the_fixture_of_this_format`]. Its private key was made for it
//! and is used nowhere else.

use std::path::{Path, PathBuf};

use koios_pki::{SecurityMode, SecurityPolicy};
use koios_store::{
    Apply, AuditEntry, CertificateQuery, CheckCode, DeviceState, DeviceUser, DirectoryCheck, EndReason,
    NewToken, PageRequest, PasswordChange, Permission, Role, ServerCertificatePolicy, Store, StoreOptions,
    Transition, UserSettings,
};
use time::{Duration, OffsetDateTime};

use crate::fixture::{chain, chain_with, new_certificate, replacement, settings, snapshot};

fn fixture_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

/// A copy of the directory of format 1.
fn format_1() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, contents) in snapshot(&fixture_folder()) {
        let copy = folder.path().join(path.strip_prefix(fixture_folder()).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::write(copy, contents).unwrap();
    }
    folder
}

#[tokio::test]
#[cfg_attr(koios_postgresql, ignore = "a directory of an older version holds a SQLite file")]
async fn a_directory_of_format_1_opens_with_all_that_is_in_it() {
    require_all_of_format_1(format_1().path()).await;
}

#[tokio::test]
#[cfg(not(koios_postgresql))]
async fn a_directory_of_each_format_since_opens_with_all_that_was_in_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let migrations = sqlx::migrate::Migrator::new(folder).await.unwrap();
    let formats: Vec<i64> = migrations.iter().map(|migration| migration.version).collect();
    assert!(formats.len() > 9);
    for format in formats {
        let folder = format_1();
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("koios.db"));
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        migrations.run_to(format, &pool).await.unwrap();
        pool.close().await;
        require_all_of_format_1(folder.path()).await;
    }
}

/// What [`write_the_fixture_of_this_format`] has written is there, and works.
async fn require_all_of_format_1(folder: &Path) {
    let store = Store::open(StoreOptions::new(folder)).await.unwrap();
    assert!(!store.is_first_start());
    let now = OffsetDateTime::now_utc();
    let page = store.certificates(CertificateQuery::default(), now, Duration::ZERO).await.unwrap();
    let names: Vec<_> = page.items.iter().map(|record| (record.name.as_str(), record.is_default)).collect();
    assert_eq!(names, [("Default", true), ("Plant A Certificate", false)]);
    let (default, plant) = (&page.items[0], &page.items[1]);
    assert!(default.downloadable() && plant.downloadable());
    assert_eq!((plant.generation, plant.revision), (2, 2));
    assert_eq!(plant.chain.leaf().application_uri(), Some("urn:koios:gw01.plant.example:plant-a"));
    assert_eq!(store.load_identity(plant.id).await.unwrap().chain, plant.chain);
    let past = store.certificate_history(plant.id, PageRequest::default()).await.unwrap();
    assert_eq!((past.items[0].generation, past.items[0].reason), (1, EndReason::Regenerated));

    let devices = store.all_devices().await.unwrap();
    let press = &devices[0];
    assert_eq!((press.name.as_str(), press.enabled), ("Press 4", true));
    assert_eq!(press.certificate_id, Some(plant.id));
    assert_eq!(press.security_policy, Some(SecurityPolicy::Basic256Sha256));
    assert_eq!(press.server_certificate_policy, ServerCertificatePolicy::Pin);
    assert_eq!(press.user_identity, DeviceUser::UserName { username: "op".to_owned(), password_set: true });
    assert_eq!(store.device_password(press.id).await.unwrap().unwrap().as_str(), "fixture");
    let presented = store.presented(press.id).await.unwrap().unwrap();
    assert_eq!(press.pinned_server_certificate.as_ref(), Some(&presented.chain));
    let history = store.history(press.id, PageRequest::default()).await.unwrap();
    assert_eq!(history.items[0].state, DeviceState::Running);
    assert_eq!((devices[1].name.as_str(), devices[1].security_mode), ("Oven", SecurityMode::None));

    let token = store.token_by_hash([1; 32]).await.unwrap().unwrap();
    assert_eq!((token.role, token.permissions), (Role::Admin, vec![Permission::DownloadPrivateKey]));
    let newest = store.newest_audit_at().await.unwrap().unwrap();
    assert_eq!(store.append_audit(AuditEntry::new(newest, "test", "x")).await.unwrap(), 2);
    // The entry from before there were keys is covered by the first keyed one.
    let verified = store.verify_audit(&[]).await.unwrap();
    assert_eq!((verified.entries, verified.unkeyed, verified.faults), (2, 1, vec![]));

    // What an older version wrote is no damage; the copies made above are open to others.
    store.close().await;
    let check = DirectoryCheck::to_read(StoreOptions::new(folder)).unwrap();
    let found = check.examine(|_, _| {}).await;
    assert!(found.iter().all(|finding| finding.code == CheckCode::OpenToOthers), "{found:#?}");
}

/// Writes `tests/fixtures/v1` anew, with `KOIOS_WRITE_FIXTURES=1`. Only for a format that was not released
/// yet: a released one never changes.
#[tokio::test]
#[ignore = "writes a fixture; run by hand when a new format begins"]
async fn write_the_fixture_of_this_format() {
    if std::env::var_os("KOIOS_WRITE_FIXTURES").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(folder.path())).await.unwrap();
    let now = OffsetDateTime::now_utc();
    let mut default = new_certificate("Default");
    default.chain = chain_with("Koios@localhost", "urn:koios:localhost:default", now, 1095);
    store.create_certificate(default).await.unwrap();
    let plant = store.create_certificate(new_certificate("Plant A Certificate")).await.unwrap().id;
    store.replace_key_pair(plant, replacement(), Apply::Commit).await.unwrap();
    let mut press = settings("Press 4", SecurityMode::SignAndEncrypt);
    press.security_policy = Some(SecurityPolicy::Basic256Sha256);
    press.certificate_id = Some(plant);
    press.user_identity = UserSettings::UserName {
        username: "op".to_owned(),
        password: PasswordChange::Set(zeroize::Zeroizing::new("fixture".to_owned())),
    };
    let press = store.create_device(press, true).await.unwrap().id;
    store.create_device(settings("Oven", SecurityMode::None), false).await.unwrap();
    let server = chain();
    store.record_presented(press, server.clone(), now).await.unwrap();
    store.pin_server_certificate(press, server).await.unwrap();
    store.record_transition(press, Transition::new(now, DeviceState::Running)).await.unwrap();
    let mut token = NewToken::new("initial", Role::Admin, [1; 32]);
    token.permissions = vec![Permission::DownloadPrivateKey];
    store.create_token(token).await.unwrap();
    store.append_audit(AuditEntry::new(now, "initial", "device.created")).await.unwrap();
    store.close().await;

    let target = fixture_folder();
    if target.exists() {
        std::fs::remove_dir_all(&target).unwrap();
    }
    for (path, contents) in snapshot(folder.path()) {
        let relative = path.strip_prefix(folder.path()).unwrap();
        if relative == Path::new("koios.lock") {
            continue;
        }
        let copy = target.join(relative);
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::write(copy, contents).unwrap();
    }
}

//! Opening a data directory, in whatever state it is.

use std::path::Path;

use koios_store::{AuditQuery, OpenError, Store, StoreError, StoreOptions};

use crate::beside::{self, sql};
use crate::fixture::{Fixture, new_certificate};

async fn open(path: &Path) -> Result<Store, OpenError> {
    Store::open(StoreOptions::new(path)).await
}

/// A closed store with a certificate, and its data directory.
async fn closed() -> (tempfile::TempDir, std::path::PathBuf) {
    let fixture = Fixture::new().await;
    fixture.certificate("Default").await;
    let path = fixture.path().to_owned();
    fixture.store.close().await;
    (fixture.folder, path)
}

#[tokio::test]
async fn a_directory_is_in_use_by_one_store_at_a_time_and_the_refusal_names_the_process() {
    let fixture = Fixture::new().await;
    let Err(error) = open(fixture.path()).await else { panic!("opened twice") };
    assert!(matches!(&error, OpenError::InUse { pid: Some(pid), .. } if *pid == std::process::id()));
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    let path = fixture.path().to_owned();
    let other_handle = fixture.store.clone();
    fixture.store.close().await;
    let again = open(&path).await.expect("closing lets the directory go");
    assert!(matches!(other_handle.counts().await, Err(StoreError::Interrupted)));
    assert_eq!(again.counts().await.unwrap().certificates, 0);
}

#[cfg(unix)]
#[tokio::test]
async fn folders_are_for_the_owner_alone_and_so_are_keys_and_database() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new().await;
    let id = fixture.certificate("Default").await.id;
    let mode = |path: &str| {
        let path = fixture.path().join(path.replace("ID", &id.to_string()));
        std::fs::metadata(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            .permissions()
            .mode()
            & 0o7777
    };
    for folder in ["", "certificates", "certificates/ID", "certificates/ID/1"] {
        assert_eq!(mode(folder), 0o700, "{folder}");
    }
    let companions = if cfg!(koios_postgresql) { &[][..] } else { &["koios.db-wal", "koios.db-shm"] };
    let secrets = ["koios.db", "koios.lock", "secrets.key", "certificates/ID/1/private-key.pem"];
    for secret in secrets.iter().chain(companions) {
        assert_eq!(mode(secret), 0o600, "{secret}");
    }
    for public in ["certificates/ID/1/certificate.der", "certificates/ID/1/chain.pem"] {
        assert_eq!(mode(public), 0o644, "{public}");
    }
    assert_eq!(std::fs::metadata(fixture.path().join("secrets.key")).unwrap().len(), 32);
}

#[cfg(unix)]
#[tokio::test]
async fn a_secrets_key_that_others_can_read_is_closed_to_them() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = closed().await;
    let key = path.join("secrets.key");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    open(&path).await.unwrap();
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    // Below a file no folder can be made, whoever asks.
    for path in [file.clone(), file.join("data")] {
        let Err(error) = open(&path).await else { panic!("opened {}", path.display()) };
        assert!(matches!(&error, OpenError::NotWritable { path: named, .. } if *named == path), "{error:?}");
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
}

#[tokio::test]
async fn a_damaged_database_is_refused_with_what_to_do_and_left_as_it_is() {
    let (_folder, path) = closed().await;
    let database = path.join("koios.db");
    let whole = std::fs::read(&database).unwrap();
    // One page each, the first with the header spared: SQLite would read most of them long after the start.
    let torn = (1..whole.len() / 4096).map(|page| {
        let mut torn = whole.clone();
        torn[page * 4096..(page + 1) * 4096].fill(0xA5);
        torn
    });
    for damaged in torn.chain([b"this is no database, but a longer text file".to_vec()]) {
        std::fs::write(&database, &damaged).unwrap();
        let Err(error) = open(&path).await else { panic!("opened a damaged database") };
        assert!(matches!(&error, OpenError::Damaged { path, .. } if *path == database), "{error:?}");
        assert!(error.to_string().contains("backup"), "{error}");
        assert_eq!(std::fs::read(&database).unwrap(), damaged);
    }
    std::fs::write(&database, whole).unwrap();
    assert_eq!(open(&path).await.unwrap().counts().await.unwrap().certificates, 1);
}

#[tokio::test]
async fn certificates_without_a_database_are_not_taken_for_leftovers() {
    let (_folder, path) = closed().await;
    std::fs::remove_file(path.join("koios.db")).unwrap();
    for round in 0..2 {
        let Err(error) = open(&path).await else { panic!("opened a directory that lost its database") };
        assert!(matches!(error, OpenError::Damaged { .. }), "{round}: {error:?}");
    }
    assert_eq!(std::fs::read_dir(path.join("certificates")).unwrap().count(), 1, "the keys are still there");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let (_folder, path) = closed().await;
    {
        let mut connection = beside::connect(&path).await;
        sqlx::query(sql(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'from the future', TRUE, x'00', 0)",
        ))
        .execute(&mut connection)
        .await
        .unwrap();
        sqlx::Connection::close(connection).await.unwrap();
    }
    let Err(error) = open(&path).await else { panic!("opened a newer database") };
    assert!(matches!(error, OpenError::NewerFormat { format: 9999, .. }), "{error:?}");
}

#[tokio::test]
async fn a_secrets_key_of_another_length_is_refused_with_what_to_do() {
    let (_folder, path) = closed().await;
    std::fs::write(path.join("secrets.key"), b"short").unwrap();
    let Err(error) = open(&path).await else { panic!("opened with half a key") };
    assert!(
        matches!(&error, OpenError::Damaged { path: named, .. } if named.ends_with("secrets.key")),
        "{error:?}"
    );
    assert_eq!(std::fs::read(path.join("secrets.key")).unwrap(), b"short");
}

#[tokio::test]
async fn leftovers_are_swept_and_what_is_current_or_foreign_is_not() {
    let fixture = Fixture::new().await;
    let id = fixture.certificate("Default").await.id;
    fixture.regenerate(id).await;
    let certificates = fixture.path().join("certificates");
    let stray = [format!("{id}/1"), format!("{id}/3"), "0193aaaa-0000-7000-8000-000000000000/1".to_owned()];
    let foreign = [format!("{id}/notes"), format!("{id}/02"), "lost+found".to_owned()];
    for folder in stray.iter().chain(&foreign) {
        std::fs::create_dir_all(certificates.join(folder)).unwrap();
        std::fs::write(certificates.join(folder).join("private-key.pem"), b"left over").unwrap();
    }
    let fixture = fixture.reopened().await;
    for folder in &stray {
        assert!(!certificates.join(folder).exists(), "{folder}");
    }
    for folder in &foreign {
        assert!(certificates.join(folder).exists(), "{folder}");
    }
    assert!(!certificates.join("0193aaaa-0000-7000-8000-000000000000").exists());
    assert_eq!(fixture.store.load_identity(id).await.unwrap().generation, 2);
}

/// The files of a key pair, by content.
fn pair(folder: &Path) -> Vec<Vec<u8>> {
    ["certificate.der", "chain.pem", "private-key.pem"]
        .map(|file| std::fs::read(folder.join(file)).unwrap())
        .to_vec()
}

#[tokio::test]
#[cfg_attr(koios_postgresql, ignore = "a copy of the SQLite file is a backup here")]
async fn key_pairs_that_a_restored_older_database_does_not_know_are_moved_aside_and_not_deleted() {
    let fixture = Fixture::new().await;
    let id = fixture.certificate("Default").await.id;
    let data = fixture.path().to_owned();
    fixture.store.clone().close().await;
    let backup = std::fs::read(data.join("koios.db")).unwrap();
    let mut fixture = fixture.reopened().await;
    fixture.regenerate(id).await;
    let other = fixture.certificate("Other").await.id;
    let certificates = data.join("certificates");
    let regenerated = pair(&certificates.join(format!("{id}/2")));
    let unknown = pair(&certificates.join(format!("{other}/1")));
    // Restored twice: what was saved the first time is not lost the second time.
    for round in 0..2 {
        fixture.store.clone().close().await;
        std::fs::write(data.join("koios.db"), &backup).unwrap();
        fixture = fixture.reopened().await;
        assert_eq!(pair(&data.join(format!("orphaned/{id}-2"))), regenerated);
        assert_eq!(pair(&data.join(format!("orphaned/{other}-1"))), unknown);
        assert_eq!(std::fs::read_dir(&certificates).unwrap().count(), 1);
        assert_eq!(data.join(format!("orphaned/{id}-2-2")).exists(), round == 1);
        fixture.regenerate(id).await;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(data.join("orphaned")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
    }
}

#[tokio::test]
#[cfg_attr(koios_postgresql, ignore = "a copy of the SQLite file is a backup here")]
async fn a_database_without_certificates_beside_key_pairs_is_refused_and_they_stay() {
    let fixture = Fixture::new().await;
    let data = fixture.path().to_owned();
    fixture.store.clone().close().await;
    let empty = std::fs::read(data.join("koios.db")).unwrap();
    let fixture = fixture.reopened().await;
    fixture.certificate("Default").await;
    fixture.certificate("Other").await;
    fixture.store.clone().close().await;
    std::fs::write(data.join("koios.db"), empty).unwrap();
    let Err(error) = open(&data).await else { panic!("opened with a database of another directory") };
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert_eq!(std::fs::read_dir(data.join("certificates")).unwrap().count(), 2);
}

#[tokio::test]
async fn a_relative_data_directory_becomes_an_absolute_one() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let relative = Path::new(folder.path().file_name().unwrap());
    let store = open(relative).await.unwrap();
    assert_eq!(store.data_dir(), std::env::current_dir().unwrap().join(relative));
    store.close().await;
}

#[tokio::test]
async fn a_store_that_works_says_that_it_can_be_written() {
    let fixture = Fixture::new().await;
    fixture.store.check_writable().await.unwrap();
    assert!(!fixture.path().join(".write-probe").exists());
    std::fs::create_dir(fixture.path().join(".write-probe")).unwrap();
    let refused = fixture.store.check_writable().await;
    assert!(
        matches!(&refused, Err(StoreError::Unavailable { path, .. }) if path.starts_with(fixture.path())),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_database_that_breaks_while_open_is_an_error_with_its_path() {
    let fixture = Fixture::new().await;
    {
        let mut connection = beside::connect(fixture.path()).await;
        sqlx::query("DROP TABLE certificate_history").execute(&mut connection).await.unwrap();
        sqlx::Connection::close(connection).await.unwrap();
    }
    fixture.certificate("Default").await;
    let other = fixture.store.create_certificate(new_certificate("Other")).await.unwrap().id;
    let refused = fixture.store.delete_certificate(other, koios_store::Apply::Commit, None).await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    assert!(fixture.store.load_identity(other).await.is_ok(), "and the key is still there");
}

#[tokio::test]
async fn a_directory_that_comes_from_another_machine_leaves_a_trace_once() {
    let folder = tempfile::tempdir().unwrap();
    let machine = folder.path().join("machine-id");
    let opened = async |id: Option<&str>| {
        match id {
            Some(id) => std::fs::write(&machine, format!("{id}\n")).unwrap(),
            None => std::fs::remove_file(&machine).unwrap(),
        }
        let mut options = StoreOptions::new(folder.path().join("data"));
        options.machine_id.clone_from(&machine);
        let store = Store::open(options).await.unwrap();
        let trail = store.audit(AuditQuery::default()).await.unwrap();
        store.close().await;
        trail.items.iter().map(|item| item.entry.action.clone()).collect::<Vec<_>>()
    };
    let (one, two) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210");
    assert!(opened(Some(one)).await.is_empty(), "a new directory comes from nowhere");
    assert!(opened(Some(one)).await.is_empty());
    assert_eq!(opened(Some(two)).await, ["data_directory.moved"]);
    assert_eq!(opened(Some(two)).await, ["data_directory.moved"], "said once");
    // A container without an id says nothing.
    assert_eq!(opened(Some("uninitialized")).await.len(), 1);
    assert_eq!(opened(None).await.len(), 1);
    let database = std::fs::read(folder.path().join("data/koios.db")).unwrap();
    assert!(!database.windows(32).any(|window| window == two.as_bytes()), "the id itself is not kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_ask_at_once_whether_it_can_be_written_do_not_disturb_each_other() {
    let fixture = Fixture::new().await;
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let store = fixture.store.clone();
            tokio::spawn(async move { store.check_writable().await })
        })
        .collect();
    for asked in asking {
        asked.await.unwrap().unwrap();
    }
}

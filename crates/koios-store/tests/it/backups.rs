//! Backups: made beside a store that changes, restored whole or not at all.

use std::path::{Path, PathBuf};

use koios_pki::{PrivateKey, SecurityMode};
use koios_store::{
    Apply, AuditEntry, BackupError, BackupOrder, CertificateId, Device, Difference, DifferenceKind,
    FileState, OpenError, PasswordChange, RestoreOrder, Restored, Store, StoreOptions, TrustListName,
    UserSettings, back_up, restore,
};
use sqlx::Connection;
use zeroize::Zeroizing;

use crate::beside::{self, sql};
use crate::fixture::{Fixture, chain, replacement, settings, snapshot};

const PASSPHRASE: &str = "correct horse battery staple";

fn passphrase(text: &str) -> Option<Zeroizing<String>> {
    Some(Zeroizing::new(text.to_owned()))
}

async fn with_password(store: &Store) -> Device {
    let mut press = settings("Press 4", SecurityMode::SignAndEncrypt);
    press.user_identity = UserSettings::UserName {
        username: "op".to_owned(),
        password: PasswordChange::Set(Zeroizing::new("hunter2".to_owned())),
    };
    store.create_device(press, true).await.unwrap()
}

/// A plant: two certificates, a device with a password, a trusted server and an entry of the audit trail.
async fn plant() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.certificate("Default").await;
    fixture.certificate("Plant A").await;
    with_password(&fixture.store).await;
    fixture.store.add_to_trust_list(TrustListName::Trusted, chain().leaf().clone()).await.unwrap();
    let entry = AuditEntry::new(time::OffsetDateTime::now_utc(), "test", "test.made");
    fixture.store.append_audit(entry).await.unwrap();
    fixture
}

impl Fixture {
    fn backup_file(&self) -> PathBuf {
        self.folder.path().join("backup.tar")
    }

    async fn back_up(&self) -> PathBuf {
        let file = self.backup_file();
        let mut order = BackupOrder::new(self.path(), &file);
        order.replace = true;
        assert_eq!(back_up(order).await.unwrap().left_out, []);
        file
    }
}

async fn open(folder: &Path) -> Store {
    Store::open(StoreOptions::new(folder)).await.unwrap()
}

async fn restore_into(folder: &Path, file: &Path) -> Restored {
    restore(RestoreOrder::new(folder, file)).await.unwrap()
}

/// Runs a statement on the database of a store that is closed, where references need not be good.
async fn tamper(folder: &Path, statement: &'static str) {
    let mut connection = beside::connect_unchecked(folder).await;
    sqlx::query(sql(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Everything loads, belongs together, and is as it was written.
async fn require_whole(store: &Store) {
    let mut query = koios_store::CertificateQuery::default();
    query.page.limit = 500;
    let now = time::OffsetDateTime::now_utc();
    let records = store.certificates(query, now, time::Duration::ZERO).await.unwrap().items;
    assert_eq!(records.iter().filter(|record| record.is_default).count(), 1);
    for record in records {
        let identity = store.load_identity(record.id).await.unwrap();
        assert_eq!(identity.chain, record.chain);
        assert!(PrivateKey::from_pem(&identity.key).unwrap().matches(identity.chain.leaf()));
    }
    for device in store.all_devices().await.unwrap() {
        assert_eq!(store.device_password(device.id).await.unwrap().unwrap().as_str(), "hunter2");
    }
    assert_eq!(store.verify_audit(&[]).await.unwrap().faults, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_made_while_certificates_are_regenerated_restores_whole() {
    let fixture = plant().await;
    let ids: Vec<CertificateId> = fixture.all().await.into_iter().map(|record| record.id).collect();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let store = fixture.store.clone();
    let load = tokio::spawn(async move {
        let mut stopped = stopped;
        let mut rounds = 0_usize;
        while stopped.try_recv().is_err() {
            let entry = AuditEntry::new(time::OffsetDateTime::now_utc(), "test", "certificate.regenerated");
            let store = store.recording(entry);
            for id in &ids {
                store.replace_key_pair(*id, replacement(), Apply::Commit).await.unwrap();
            }
            if rounds.is_multiple_of(3) {
                store.add_to_trust_list(TrustListName::Trusted, chain().leaf().clone()).await.unwrap();
            }
            rounds += 1;
        }
        rounds
    });
    let mut last_generations = Vec::new();
    for round in 0..6 {
        let file = fixture.back_up().await;
        let folder = fixture.folder.path().join(format!("restored {round}"));
        let restored = restore_into(&folder, &file).await;
        assert_eq!((restored.warnings, restored.kept), (vec![], None));
        let store = open(&folder).await;
        require_whole(&store).await;
        assert!(store.trust_lists().await.unwrap().certificates(TrustListName::Trusted).count() >= 1);
        let default = store.default_certificate().await.unwrap().unwrap();
        last_generations.push(default.generation);
        store.close().await;
    }
    stop.send(()).unwrap();
    assert!(load.await.unwrap() > 0);
    assert!(last_generations.is_sorted(), "{last_generations:?}");
    assert!(
        last_generations.first() < last_generations.last(),
        "they changed meanwhile: {last_generations:?}"
    );
}

#[tokio::test]
async fn what_was_there_before_is_kept_and_what_differs_is_said() {
    let fixture = plant().await;
    let file = fixture.back_up().await;
    let plant_a = fixture.all().await.into_iter().find(|record| record.name == "Plant A").unwrap();
    fixture.regenerate(plant_a.id).await;
    let now = fixture.store.certificate(plant_a.id).await.unwrap();
    fixture.certificate("Later").await;
    let token = koios_store::NewToken::new("ci", koios_store::Role::Viewer, [7; 32]);
    fixture.store.create_token(token).await.unwrap();
    fixture.store.delete_device(fixture.store.all_devices().await.unwrap()[0].id, None).await.unwrap();
    let data_dir = fixture.path().to_owned();

    let in_use = restore(RestoreOrder::new(&data_dir, &file)).await;
    match in_use {
        Err(BackupError::Open(OpenError::InUse { pid, .. })) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    let Fixture { store, folder } = fixture;
    store.close().await;
    let before = snapshot(&data_dir);
    let mut order = RestoreOrder::new(&data_dir, &file);
    order.apply = Apply::DryRun;
    let shown = restore(order).await.unwrap();
    assert_eq!(snapshot(&data_dir), before, "a dry run changes nothing");

    let restored = restore_into(&data_dir, &file).await;
    assert_eq!(restored.differences, shown.differences);
    assert_eq!(restored.warnings, Vec::<String>::new());
    assert!(
        restored
            .differences
            .contains(&Difference::Device { kind: DifferenceKind::Added, name: "Press 4".to_owned() })
    );
    assert!(
        restored
            .differences
            .contains(&Difference::Token { kind: DifferenceKind::Removed, name: "ci".to_owned() })
    );
    let certificates: Vec<_> = restored
        .differences
        .iter()
        .filter_map(|difference| match difference {
            Difference::Certificate { kind, name, present, restored } => {
                Some((*kind, name.as_str(), *present, *restored))
            }
            _ => None,
        })
        .collect();
    let old = Some(plant_a.chain.leaf().thumbprint_sha256());
    let present = Some(now.chain.leaf().thumbprint_sha256());
    assert!(certificates.contains(&(DifferenceKind::Changed, "Plant A", present, old)), "{certificates:?}");
    assert!(certificates.iter().any(|(kind, name, _, restored)| {
        (*kind, *name, restored.is_none()) == (DifferenceKind::Removed, "Later", true)
    }));
    assert_eq!(certificates.len(), 2);

    let store = open(&data_dir).await;
    require_whole(&store).await;
    assert_eq!(store.certificate(plant_a.id).await.unwrap().chain, plant_a.chain);
    store.close().await;
    // The directory from before is a data directory itself.
    let kept = restored.kept.unwrap();
    let store = open(&kept).await;
    assert_eq!(store.certificate(plant_a.id).await.unwrap().chain, now.chain);
    store.close().await;
    drop(folder);
}

#[tokio::test]
async fn a_backup_that_is_not_as_it_was_written_changes_nothing() {
    let fixture = plant().await;
    let plain = std::fs::read(fixture.back_up().await).unwrap();
    let data_dir = fixture.path().to_owned();
    let Fixture { store, folder } = fixture;
    store.close().await;
    let before = snapshot(&data_dir);
    let file = folder.path().join("changed.tar");
    let refused = async |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let result = restore(RestoreOrder::new(&data_dir, &file)).await;
        matches!(result, Err(BackupError::Damaged { .. } | BackupError::Format { .. }))
    };
    let step = (plain.len() / 150).max(1);
    for index in (0..plain.len()).step_by(step) {
        let mut changed = plain.clone();
        changed[index] ^= 0x10;
        assert!(refused(&changed).await, "{index} was changed");
        assert!(refused(&plain[..index]).await, "cut off at {index}");
    }
    assert!(refused(&plain[..plain.len() - 1]).await);
    assert!(refused(&[&plain[..], b"\0"].concat()).await);
    assert!(refused(b"").await);
    let mut after = snapshot(&data_dir);
    // Its content says who held the lock last.
    after.retain(|(path, _)| !path.ends_with("koios.lock"));
    assert!(before.iter().filter(|(path, _)| !path.ends_with("koios.lock")).eq(after.iter()));
    std::fs::write(&file, &plain).unwrap();
    restore_into(&data_dir, &file).await;
}

#[tokio::test]
async fn an_encrypted_backup_opens_with_its_passphrase_alone() {
    let fixture = plant().await;
    let file = fixture.backup_file();
    let mut order = BackupOrder::new(fixture.path(), &file);
    order.passphrase = passphrase(PASSPHRASE);
    back_up(order).await.unwrap();
    let bytes = std::fs::read(&file).unwrap();
    for plain in [b"PRIVATE KEY".as_slice(), b"Press 4", b"SQLite", b"manifest"] {
        assert!(!bytes.windows(plain.len()).any(|window| window == plain));
    }
    let target = fixture.folder.path().join("restored");
    let attempt = async |bytes: &[u8], given: Option<&str>| {
        std::fs::write(&file, bytes).unwrap();
        let mut order = RestoreOrder::new(&target, &file);
        order.passphrase = given.and_then(passphrase);
        restore(order).await
    };
    assert!(matches!(attempt(&bytes, None).await, Err(BackupError::PassphraseRequired)));
    assert!(matches!(attempt(&bytes, Some("wrong")).await, Err(BackupError::PassphraseWrong)));
    for index in [200, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        let result = attempt(&changed, Some(PASSPHRASE)).await;
        assert!(matches!(result, Err(BackupError::Damaged { .. })), "{index}: {result:?}");
    }
    let cut_off = attempt(&bytes[..bytes.len() - 100], Some(PASSPHRASE)).await;
    assert!(matches!(cut_off, Err(BackupError::Damaged { .. })), "{cut_off:?}");
    assert!(!target.join("koios.db").exists());
    attempt(&bytes, Some(PASSPHRASE)).await.unwrap();
    let store = open(&target).await;
    require_whole(&store).await;
    store.close().await;

    // Somebody may have put another file in its place.
    let plain = std::fs::read(fixture.back_up().await).unwrap();
    assert!(matches!(attempt(&plain, Some(PASSPHRASE)).await, Err(BackupError::NotEncrypted)));
}

#[tokio::test]
async fn what_does_not_belong_together_is_refused() {
    let other = PrivateKey::generate(koios_pki::KeySpec::EcP256).unwrap().to_pem();
    for case in ["no default", "another key", "a dangling reference"] {
        let fixture = plant().await;
        let record = fixture.store.default_certificate().await.unwrap().unwrap();
        let key = fixture.file(record.id, 1, "private-key.pem");
        let data_dir = fixture.path().to_owned();
        let Fixture { store, folder } = fixture;
        store.close().await;
        match case {
            "no default" => tamper(&data_dir, "UPDATE certificates SET is_default = FALSE").await,
            "another key" => {
                std::fs::write(&key, other.secret_bytes()).unwrap();
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, other.secret_bytes());
                let statement = format!(
                    "UPDATE certificates SET private_key_digest = x'{}' WHERE is_default",
                    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
                );
                tamper(&data_dir, statement.leak()).await;
            }
            _ => {
                let statement = "UPDATE devices SET certificate_id = '01a20942-dc09-754a-894b-05d34bef4f4e'";
                tamper(&data_dir, statement).await;
            }
        }
        let file = folder.path().join("backup.tar");
        back_up(BackupOrder::new(&data_dir, &file)).await.unwrap();
        let result = restore(RestoreOrder::new(folder.path().join("restored"), &file)).await;
        match result {
            Err(BackupError::Contradictory { problems }) => assert_eq!(problems.len(), 1, "{problems:?}"),
            other => panic!("{case}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_missing_file_keeps_no_plant_from_its_backup() {
    let fixture = plant().await;
    let record = fixture.store.default_certificate().await.unwrap().unwrap();
    std::fs::remove_file(fixture.file(record.id, 1, "private-key.pem")).unwrap();
    let file = fixture.backup_file();
    let done = back_up(BackupOrder::new(fixture.path(), &file)).await.unwrap();
    assert_eq!(done.left_out.len(), 1);
    assert_eq!(done.left_out[0].path, format!("certificates/{}/1/private-key.pem", record.id));
    let target = fixture.folder.path().join("restored");
    let restored = restore_into(&target, &file).await;
    assert_eq!(restored.warnings.len(), 1, "{:?}", restored.warnings);
    let store = open(&target).await;
    let files = store.certificate(record.id).await.unwrap().files;
    assert_eq!((files.certificate, files.private_key), (FileState::Present, FileState::Missing));
    store.close().await;
}

#[tokio::test]
async fn a_file_that_is_there_is_replaced_only_when_told() {
    let fixture = plant().await;
    let file = fixture.backup_file();
    std::fs::write(&file, "something else").unwrap();
    let result = back_up(BackupOrder::new(fixture.path(), &file)).await;
    assert!(matches!(&result, Err(BackupError::Exists { path }) if *path == file), "{result:?}");
    assert_eq!(std::fs::read(&file).unwrap(), b"something else");
    fixture.back_up().await;
    assert_ne!(std::fs::read(&file).unwrap(), b"something else");

    let nowhere = fixture.folder.path().join("not mounted/backup.tar");
    let result = back_up(BackupOrder::new(fixture.path(), &nowhere)).await;
    assert!(matches!(result, Err(BackupError::File { .. })), "{result:?}");
    let result =
        back_up(BackupOrder::new(fixture.folder.path().join("no data"), file.with_extension("2"))).await;
    assert!(matches!(result, Err(BackupError::Open(_))), "{result:?}");
    let names: Vec<_> =
        std::fs::read_dir(fixture.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the data and one backup: {names:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn secrets_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let fixture = plant().await;
    let record = fixture.store.default_certificate().await.unwrap().unwrap();
    fixture.store.write_initial_admin_token("token").await.unwrap();
    let file = fixture.back_up().await;
    assert_eq!(mode(&file), 0o600);
    let target = fixture.folder.path().join("restored");
    restore_into(&target, &file).await;
    let kept = restore_into(&target, &file).await.kept.unwrap();
    for folder in [&target, &kept] {
        let path = |name: &str| folder.join(name);
        for secret in ["koios.db", "secrets.key", "initial-admin-token"] {
            assert_eq!(mode(&path(secret)), 0o600, "{secret}");
        }
        let generation = path(&format!("certificates/{}/1", record.id));
        assert_eq!(mode(&generation.join("private-key.pem")), 0o600);
        assert_eq!(mode(&generation.join("certificate.der")), 0o644);
        for private in [folder, &path("certificates"), &generation, &path("trust/trusted/certs")] {
            assert_eq!(mode(private), 0o700, "{}", private.display());
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_root_restores_belongs_to_the_owner_of_the_directory() {
    use std::os::unix::fs::{MetadataExt, chown};
    let fixture = plant().await;
    let file = fixture.back_up().await;
    let target = fixture.folder.path().join("restored");
    std::fs::create_dir(&target).unwrap();
    if chown(&target, Some(12_345), Some(23_456)).is_err() {
        eprintln!("SKIPPED: only root can give files away");
        return;
    }
    restore_into(&target, &file).await;
    let mut folders = vec![target.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = std::fs::metadata(&path).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (12_345, 23_456), "{}", path.display());
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
}

#[tokio::test]
#[cfg_attr(koios_postgresql, ignore = "a directory of an older version holds a SQLite file")]
async fn a_directory_of_an_older_format_is_backed_up_as_it_is() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1");
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old");
    for (path, contents) in snapshot(&fixture) {
        let copy = old.join(path.strip_prefix(&fixture).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::write(copy, contents).unwrap();
    }
    let before = snapshot(&old);
    let file = folder.path().join("backup.tar");
    back_up(BackupOrder::new(&old, &file)).await.unwrap();
    assert_eq!(snapshot(&old), before);
    let target = folder.path().join("restored");
    assert_eq!(restore_into(&target, &file).await.certificates, 2);
    let store = open(&target).await;
    assert_eq!(store.all_devices().await.unwrap().len(), 2);
    assert_eq!(store.verify_audit(&[]).await.unwrap().faults, []);
    store.close().await;
}

#[tokio::test]
async fn the_trail_says_that_a_backup_was_restored() {
    let fixture = plant().await;
    let file = fixture.back_up().await;
    let target = fixture.folder.path().join("restored");
    restore_into(&target, &file).await;
    let store = open(&target).await;
    let entries = store.audit_after(0, 100).await.unwrap();
    assert_eq!(entries.last().unwrap().entry.action, "backup.restored");
    store.close().await;
}

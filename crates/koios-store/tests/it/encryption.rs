//! Encryption at rest: no private key in plain form on the disk, and the master key from outside.

use std::path::{Path, PathBuf};

use koios_pki::{KeySpec, PrivateKey, PrivateKeyPem, SecurityMode};
use koios_store::{
    Apply, AuditEntry, BackupError, BackupOrder, CertificateId, CheckCode, DirectoryCheck, InstallAnswer,
    MasterKey, NewMasterKey, OpenError, PasswordChange, RestoreOrder, Store, StoreOptions, UserSettings,
    back_up, restore,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::fixture::{key, new_certificate, replacement, settings, snapshot};
use crate::requests::{answer, new_key, request};

const PASSWORD: &str = "hunter2-of-press-4";

fn master(byte: u8) -> MasterKey {
    MasterKey::parse(&[byte; 32], format!("key {byte}")).unwrap()
}

fn entry(action: &str) -> AuditEntry {
    AuditEntry::new(OffsetDateTime::now_utc(), "test", action)
}

/// A data directory, opened in several ways.
struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn options(&self, master_key: Option<MasterKey>, encryption_at_rest: bool) -> StoreOptions {
        let mut options = StoreOptions::new(self.path());
        options.master_key = master_key;
        options.encryption_at_rest = encryption_at_rest;
        options
    }

    async fn plain(&self) -> Store {
        Store::open(self.options(None, false)).await.unwrap()
    }

    async fn encrypted(&self, byte: u8) -> Store {
        Store::open(self.options(Some(master(byte)), true)).await.unwrap()
    }

    async fn refused(&self, master_key: Option<MasterKey>, encryption_at_rest: bool) -> OpenError {
        Store::open(self.options(master_key, encryption_at_rest)).await.expect_err("it is refused")
    }

    async fn findings(&self, master_key: Option<MasterKey>) -> Vec<(CheckCode, String)> {
        let check = DirectoryCheck::to_read(self.options(master_key, true)).unwrap();
        let findings = check.examine(|_, _| {}).await;
        findings.into_iter().map(|finding| (finding.code, finding.subject)).collect()
    }

    fn has(&self, file: &str) -> bool {
        self.path().join(file).exists()
    }
}

/// Two certificates, one with a request for a new key, and a device with a password.
async fn fill(store: &Store) -> (CertificateId, PrivateKey) {
    let first = store.create_certificate(new_certificate("Default")).await.unwrap();
    store.create_certificate(new_certificate("Plant A")).await.unwrap();
    store.replace_key_pair(first.id, replacement(), Apply::Commit).await.unwrap();
    let record = store.certificate(first.id).await.unwrap();
    let requested = new_key();
    store.stage_request(first.id, request(&record, &requested), Some(requested.to_pem())).await.unwrap();
    let mut press = settings("Press 4", SecurityMode::SignAndEncrypt);
    press.user_identity = UserSettings::UserName {
        username: "op".to_owned(),
        password: PasswordChange::Set(Zeroizing::new(PASSWORD.to_owned())),
    };
    store.create_device(press, true).await.unwrap();
    store.append_audit(entry("test.made")).await.unwrap();
    (first.id, requested)
}

/// Everything opens: keys, the request's too, the password, the audit trail.
async fn require_whole(store: &Store, id: CertificateId, requested: &PrivateKey) {
    require_open(store).await;
    let pending = store.pending_request(id).await.unwrap();
    let mut install = InstallAnswer::new(pending.request, answer(requested, 9).into(), 90);
    install.allow_uri_change = true;
    store.install_certificate(id, install, Apply::DryRun).await.unwrap();
}

/// What needs no writing.
async fn require_open(store: &Store) {
    for record in store.all_certificates().await {
        let identity = store.load_identity(record).await.unwrap();
        assert!(identity.key.secret_bytes() == key().secret_bytes());
        assert!(PrivateKey::from_pem(&identity.key).unwrap().matches(identity.chain.leaf()));
    }
    for device in store.all_devices().await.unwrap() {
        assert_eq!(store.device_password(device.id).await.unwrap().unwrap().as_str(), PASSWORD);
    }
    assert_eq!(store.verify_audit(&[]).await.unwrap().faults, []);
}

trait AllCertificates {
    async fn all_certificates(&self) -> Vec<CertificateId>;
}

impl AllCertificates for Store {
    async fn all_certificates(&self) -> Vec<CertificateId> {
        let mut query = koios_store::CertificateQuery::default();
        query.page.limit = 500;
        let page = self.certificates(query, OffsetDateTime::now_utc(), time::Duration::ZERO).await.unwrap();
        page.items.into_iter().map(|record| record.id).collect()
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    snapshot(folder).into_iter().map(|(path, _)| path).collect()
}

/// What must not be found: a line from the middle of each key's text and the bytes it stands for, the password, the master
/// keys.
fn secrets(requested: &PrivateKey) -> Vec<Vec<u8>> {
    let mut secrets = vec![PASSWORD.as_bytes().to_vec(), vec![1; 32], "01".repeat(32).into_bytes()];
    for pem in [key(), requested.to_pem()] {
        let text = String::from_utf8(pem.secret_bytes().to_vec()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        secrets.push(lines[lines.len() / 2].as_bytes().to_vec());
        secrets.push(b"BEGIN PRIVATE KEY".to_vec());
        let der = <base64ct::Base64 as base64ct::Encoding>::decode_vec(&lines[1..lines.len() - 1].concat());
        let der = der.unwrap();
        secrets.push(der[der.len() / 2..][..24].to_vec());
    }
    secrets
}

fn found_in(folder: &Path, secrets: &[Vec<u8>]) -> Vec<PathBuf> {
    let holds = |contents: &[u8]| {
        secrets.iter().any(|secret| contents.windows(secret.len()).any(|window| window == secret))
    };
    let found = snapshot(folder).into_iter().filter(|(_, contents)| holds(contents));
    found.map(|(path, _)| path).collect()
}

fn key_files(folder: &Path) -> Vec<PathBuf> {
    files_below(folder).into_iter().filter(|path| path.ends_with("private-key.pem")).collect()
}

fn all_encrypted(folder: &Path) -> bool {
    key_files(folder).iter().all(|path| PrivateKeyPem::is_wrapped(&std::fs::read(path).unwrap()))
}

#[tokio::test]
async fn keys_lie_encrypted_and_open_and_no_secret_is_anywhere_in_the_directory() {
    let directory = Directory::new();
    let store = directory.encrypted(1).await;
    let (id, requested) = fill(&store).await;
    require_whole(&store, id, &requested).await;
    // With the write-ahead log, and then without it.
    assert_eq!(found_in(&directory.path(), &secrets(&requested)), Vec::<PathBuf>::new());
    store.close().await;
    assert_eq!(found_in(&directory.path(), &secrets(&requested)), Vec::<PathBuf>::new());
    assert!(all_encrypted(&directory.path()) && key_files(&directory.path()).len() == 3);
    assert!(!directory.has("secrets.key"), "there is no master key beside what it protects");
    assert_eq!(directory.findings(Some(master(1))).await, []);
    require_whole(&directory.encrypted(1).await, id, &requested).await;
}

#[tokio::test]
async fn an_installed_answer_keeps_its_key_encrypted() {
    let directory = Directory::new();
    let store = directory.encrypted(1).await;
    let (id, requested) = fill(&store).await;
    let pending = store.pending_request(id).await.unwrap();
    let mut install = InstallAnswer::new(pending.request, answer(&requested, 9).into(), 90);
    install.allow_uri_change = true;
    store.install_certificate(id, install, Apply::Commit).await.unwrap();
    let identity = store.load_identity(id).await.unwrap();
    assert!(identity.key.secret_bytes() == requested.to_pem().secret_bytes());
    assert!(all_encrypted(&directory.path()));
    assert_eq!(found_in(&directory.path(), &secrets(&requested)), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn turning_it_on_converts_in_place_and_turning_it_off_decrypts_nothing_unasked() {
    let directory = Directory::new();
    let store = directory.plain().await;
    let (id, requested) = fill(&store).await;
    let before = store.certificate(id).await.unwrap();
    store.close().await;
    assert_eq!(key_files(&directory.path()).len(), 3);
    assert!(!found_in(&directory.path(), &secrets(&requested)).is_empty(), "the search finds what is there");

    let store = directory.encrypted(1).await;
    let after = store.certificate(id).await.unwrap();
    assert_eq!(
        (after.generation, after.revision, &after.chain),
        (before.generation, before.revision, &before.chain)
    );
    assert!(after.downloadable(), "the files are the stored ones");
    require_whole(&store, id, &requested).await;
    store.close().await;
    assert_eq!(found_in(&directory.path(), &secrets(&requested)), Vec::<PathBuf>::new());
    assert!(all_encrypted(&directory.path()) && !directory.has("secrets.key"));
    assert_eq!(directory.findings(Some(master(1))).await, []);

    // The setting was lost: what is encrypted stays so, and so do new keys.
    let store = Store::open(directory.options(Some(master(1)), false)).await.unwrap();
    store.create_certificate(new_certificate("Plant B")).await.unwrap();
    require_whole(&store, id, &requested).await;
    assert!(all_encrypted(&directory.path()));
    let decrypted = store.decrypt_private_keys(entry("encryption_at_rest.off")).await.unwrap();
    assert_eq!((decrypted.files, decrypted.left), (4, vec![]));
    let store = Store::open(directory.options(Some(master(1)), false)).await.unwrap();
    require_whole(&store, id, &requested).await;
    for path in key_files(&directory.path()) {
        assert!(!PrivateKeyPem::is_wrapped(&std::fs::read(&path).unwrap()));
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    let actions: Vec<String> = {
        let page = store.audit(koios_store::AuditQuery::default()).await.unwrap();
        page.items.into_iter().map(|entry| entry.entry.action).collect()
    };
    for action in ["master_key.replaced", "encryption_at_rest.on", "encryption_at_rest.off"] {
        assert!(actions.iter().any(|known| known == action), "{action} is not in {actions:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_not_the_stored_one_is_neither_converted_nor_lost() {
    let directory = Directory::new();
    let store = directory.plain().await;
    let (id, _) = fill(&store).await;
    let generation = store.certificate(id).await.unwrap().generation;
    store.close().await;
    let path = directory.path().join(format!("certificates/{id}/{generation}/private-key.pem"));
    let stored = std::fs::read(&path).unwrap();
    let strange = PrivateKey::generate(KeySpec::EcP256).unwrap().to_pem();
    std::fs::write(&path, strange.secret_bytes()).unwrap();
    directory.encrypted(1).await.close().await;
    assert_eq!(std::fs::read(&path).unwrap(), strange.secret_bytes());
    // Put back, it is the stored one, and the next start encrypts it.
    std::fs::write(&path, &stored).unwrap();
    let codes: Vec<CheckCode> =
        directory.findings(Some(master(1))).await.into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, [CheckCode::KeyNotEncrypted]);
    let store = directory.encrypted(1).await;
    assert!(PrivateKeyPem::is_wrapped(&std::fs::read(&path).unwrap()));
    store.load_identity(id).await.unwrap();
    store.close().await;
    assert_eq!(directory.findings(Some(master(1))).await, []);
}

#[tokio::test]
async fn no_other_master_key_and_none_opens_the_directory() {
    let directory = Directory::new();
    let store = directory.encrypted(1).await;
    let (id, requested) = fill(&store).await;
    store.close().await;
    let before = files_below(&directory.path());
    for (given, said) in [(None, "none is given"), (Some(master(2)), "key 2")] {
        let error = directory.refused(given.clone(), true).await;
        assert!(matches!(&error, OpenError::MasterKey { .. }) && error.to_string().contains(said), "{error}");
        let read = Store::open_for_reading(directory.options(given.clone(), true)).await.err().unwrap();
        assert!(matches!(read, OpenError::MasterKey { .. }), "{read}");
        let codes: Vec<CheckCode> =
            directory.findings(given).await.into_iter().map(|(code, _)| code).collect();
        assert!(
            matches!(codes.first(), Some(CheckCode::MasterKeyMissing | CheckCode::MasterKeyWrong)),
            "{codes:?}"
        );
    }
    assert_eq!(
        files_below(&directory.path()),
        before,
        "nothing was made meanwhile, such as a new secrets.key"
    );
    require_open(&Store::open_for_reading(directory.options(Some(master(1)), false)).await.unwrap()).await;
    require_whole(&directory.encrypted(1).await, id, &requested).await;
}

#[tokio::test]
async fn a_rotation_changes_no_file_of_a_key_and_the_old_key_opens_nothing() {
    let directory = Directory::new();
    let store = directory.encrypted(1).await;
    let (id, requested) = fill(&store).await;
    let files: Vec<Vec<u8>> =
        key_files(&directory.path()).iter().map(|path| std::fs::read(path).unwrap()).collect();
    store.replace_master_key(NewMasterKey::External(master(2)), entry("master_key.replaced")).await.unwrap();
    assert!(matches!(directory.refused(Some(master(1)), true).await, OpenError::MasterKey { .. }));
    let store = directory.encrypted(2).await;
    require_whole(&store, id, &requested).await;
    let after: Vec<Vec<u8>> =
        key_files(&directory.path()).iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert_eq!(after, files);

    store.replace_master_key(NewMasterKey::InDataDirectory, entry("master_key.replaced")).await.unwrap();
    assert!(directory.has("secrets.key") && !directory.has("secrets.key.next"));
    let inside = std::fs::read(directory.path().join("secrets.key")).unwrap();
    let store = Store::open(directory.options(None, true)).await.unwrap();
    require_whole(&store, id, &requested).await;
    store.replace_master_key(NewMasterKey::InDataDirectory, entry("master_key.replaced")).await.unwrap();
    assert_ne!(std::fs::read(directory.path().join("secrets.key")).unwrap(), inside);
    let store = Store::open(directory.options(None, true)).await.unwrap();
    require_whole(&store, id, &requested).await;
}

#[tokio::test]
async fn a_rotation_in_the_directory_that_was_cut_off_is_completed_or_taken_back() {
    let directory = Directory::new();
    let store = directory.plain().await;
    let (id, requested) = fill(&store).await;
    store.close().await;
    let (current, next) = (directory.path().join("secrets.key"), directory.path().join("secrets.key.next"));
    let old = std::fs::read(&current).unwrap();

    // Before the commit: the next key is there and opens nothing.
    std::fs::write(&next, [9; 32]).unwrap();
    let store = directory.plain().await;
    require_whole(&store, id, &requested).await;
    assert!(!next.exists() && std::fs::read(&current).unwrap() == old);

    // After the commit, before the rename: the old key opens nothing any more.
    store.replace_master_key(NewMasterKey::InDataDirectory, entry("master_key.replaced")).await.unwrap();
    let new = std::fs::read(&current).unwrap();
    std::fs::rename(&current, &next).unwrap();
    std::fs::write(&current, &old).unwrap();
    let read = Store::open_for_reading(directory.options(None, false)).await.unwrap();
    require_open(&read).await;
    drop(read);
    let store = directory.plain().await;
    require_whole(&store, id, &requested).await;
    assert!(!next.exists() && std::fs::read(&current).unwrap() == new);
}

#[tokio::test]
async fn a_lost_key_in_the_directory_is_no_reason_to_begin_anew_while_keys_are_encrypted() {
    let directory = Directory::new();
    let store = Store::open(directory.options(None, true)).await.unwrap();
    let (id, requested) = fill(&store).await;
    store.close().await;
    let path = directory.path().join("secrets.key");
    let stored = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(directory.refused(None, true).await, OpenError::Damaged { .. }));
    assert!(!path.exists(), "no new key takes its place");
    std::fs::write(&path, [3; 32]).unwrap();
    assert!(matches!(directory.refused(None, true).await, OpenError::Damaged { .. }));
    std::fs::write(&path, stored).unwrap();
    let store = Store::open(directory.options(None, true)).await.unwrap();
    require_whole(&store, id, &requested).await;
}

#[tokio::test]
async fn the_file_of_the_directory_given_as_the_one_from_outside_is_kept() {
    let directory = Directory::new();
    let store = directory.plain().await;
    let (id, requested) = fill(&store).await;
    store.close().await;
    let path = directory.path().join("secrets.key");
    let given = MasterKey::parse(&std::fs::read(&path).unwrap(), "secrets.key").unwrap();
    for _ in 0..2 {
        let store = Store::open(directory.options(Some(given.clone()), true)).await.unwrap();
        require_whole(&store, id, &requested).await;
        store.close().await;
        assert!(path.exists());
    }
}

#[tokio::test]
async fn a_backup_of_an_encrypted_directory_opens_with_its_master_key_alone() {
    let directory = Directory::new();
    let store = directory.encrypted(1).await;
    let (id, requested) = fill(&store).await;
    let file = directory.0.path().join("backup.tar");
    assert_eq!(back_up(BackupOrder::new(directory.path(), &file)).await.unwrap().left_out, []);
    store.replace_master_key(NewMasterKey::External(master(2)), entry("master_key.replaced")).await.unwrap();
    let backup = std::fs::read(&file).unwrap();
    for secret in secrets(&requested) {
        assert!(!backup.windows(secret.len()).any(|window| window == secret));
    }

    let target = directory.0.path().join("restored");
    for given in [None, Some(master(2))] {
        let mut order = RestoreOrder::new(&target, &file);
        order.master_key = given;
        let refused = restore(order).await.err().unwrap();
        assert!(matches!(refused, BackupError::MasterKey { .. }), "{refused}");
    }
    let mut order = RestoreOrder::new(&target, &file);
    order.master_key = Some(master(1));
    assert_eq!(restore(order).await.unwrap().warnings, Vec::<String>::new());
    let mut options = StoreOptions::new(&target);
    options.master_key = Some(master(1));
    require_whole(&Store::open(options).await.unwrap(), id, &requested).await;
    assert!(all_encrypted(&target));
}

#[tokio::test]
async fn a_backup_from_before_comes_back_encrypted_and_sealed_under_the_key_from_outside() {
    let directory = Directory::new();
    let store = directory.plain().await;
    let (id, requested) = fill(&store).await;
    let file = directory.0.path().join("backup.tar");
    back_up(BackupOrder::new(directory.path(), &file)).await.unwrap();
    store.close().await;
    let target = directory.0.path().join("restored");
    let mut order = RestoreOrder::new(&target, &file);
    order.master_key = Some(master(1));
    order.encryption_at_rest = true;
    restore(order).await.unwrap();
    assert_eq!(found_in(&target, &secrets(&requested)), Vec::<PathBuf>::new());
    assert!(all_encrypted(&target) && key_files(&target).len() == 3 && !target.join("secrets.key").exists());
    let mut options = StoreOptions::new(&target);
    options.master_key = Some(master(1));
    options.encryption_at_rest = true;
    let store = Store::open(options.clone()).await.unwrap();
    require_whole(&store, id, &requested).await;
    store.close().await;
    let check = DirectoryCheck::to_read(options).unwrap();
    assert_eq!(check.examine(|_, _| {}).await, []);
}

/// What root does to the files of the daemon's user must not lock that user out.
#[tokio::test]
async fn files_that_root_writes_anew_stay_those_of_the_daemons_user() {
    use std::os::unix::fs::{MetadataExt, chown};

    const USER: u32 = 65_534;
    if std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() != 0) {
        eprintln!("SKIPPED: only root can give files away");
        return;
    }
    let directory = Directory::new();
    let store = directory.plain().await;
    let (id, requested) = fill(&store).await;
    store.close().await;
    let give = |path: &Path| chown(path, Some(USER), Some(USER)).unwrap();
    give(&directory.path());
    files_below(&directory.path()).iter().for_each(|path| give(path));
    let all_are_the_users = || {
        for path in files_below(&directory.path()) {
            assert_eq!(std::fs::metadata(&path).unwrap().uid(), USER, "{}", path.display());
        }
    };

    let store = Store::open(directory.options(None, true)).await.unwrap();
    store.replace_master_key(NewMasterKey::InDataDirectory, entry("master_key.replaced")).await.unwrap();
    all_are_the_users();
    assert!(all_encrypted(&directory.path()));
    let store = Store::open(directory.options(None, false)).await.unwrap();
    store.decrypt_private_keys(entry("encryption_at_rest.off")).await.unwrap();
    all_are_the_users();
    require_whole(&directory.plain().await, id, &requested).await;
}

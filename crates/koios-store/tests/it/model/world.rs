//! The store under test, and what outlives it: directories, keys from outside, backups.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use koios_pki::{Certificate, CertificateRequest, PrivateKey, PrivateKeyPem};
use koios_store::{
    AuditEntry, BackupOrder, CertificateQuery, CertificateRecord, MasterKey, NewMasterKey, RestoreOrder,
    Store, StoreOptions, back_up, restore,
};
use tempfile::TempDir;
use time::OffsetDateTime;

use super::Model;
use crate::fixture::{EXPIRING_SOON, chain, snapshot};

/// A backup, what the store held then, and what opens it.
struct Kept {
    file: PathBuf,
    model: Model,
    master: Option<u8>,
    encrypted: bool,
}

pub(super) struct World {
    folder: TempDir,
    pub(super) data: PathBuf,
    pub(super) store: Store,
    /// Server certificates that are trusted and rejected.
    pub(super) servers: Vec<Certificate>,
    /// The master key from outside, if any.
    master: Option<u8>,
    encrypted: bool,
    kept: Option<Kept>,
    /// The keys of requests for a new one, by their public halves.
    requested: HashMap<Vec<u8>, PrivateKey>,
    /// Counts directories, backups and keys, so that each is a new one.
    count: u8,
}

impl World {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let store = Store::open(StoreOptions::new(&data)).await.unwrap();
        let servers = (0..3).map(|_| chain().leaf().clone()).collect();
        Self {
            folder,
            data,
            store,
            servers,
            master: None,
            encrypted: false,
            kept: None,
            requested: HashMap::new(),
            count: 0,
        }
    }

    pub(super) fn options(&self) -> StoreOptions {
        let mut options = StoreOptions::new(&self.data);
        options.master_key = self.master.map(master_key);
        options.encryption_at_rest = self.encrypted;
        options
    }

    pub(super) async fn all(&self) -> Vec<CertificateRecord> {
        let mut query = CertificateQuery::default();
        query.page.limit = 500;
        self.store.certificates(query, OffsetDateTime::now_utc(), EXPIRING_SOON).await.unwrap().items
    }

    pub(super) async fn reopen(&mut self) {
        self.store.clone().close().await;
        self.store = Store::open(self.options()).await.unwrap();
    }

    /// The files as they are while the store is open, write-ahead log included, are what a killed process leaves.
    pub(super) async fn crash(&mut self) {
        let number = self.next();
        let copy = self.folder.path().join(format!("data {number}"));
        for (path, contents) in snapshot(&self.data) {
            let to = copy.join(path.strip_prefix(&self.data).unwrap());
            make_private(to.parent().unwrap());
            std::fs::copy(&path, &to).unwrap();
            assert_eq!(std::fs::read(&to).unwrap().len(), contents.len());
        }
        self.store.clone().close().await;
        self.data = copy;
        self.store = Store::open(self.options()).await.unwrap();
    }

    pub(super) async fn encrypt(&mut self) {
        self.encrypted = true;
        self.reopen().await;
    }

    pub(super) async fn decrypt(&mut self) {
        if !self.encrypted {
            return;
        }
        self.encrypted = false;
        self.reopen().await;
        let decrypted = self.store.clone().decrypt_private_keys(entry()).await.unwrap();
        assert_eq!(decrypted.left, Vec::<PathBuf>::new());
        self.store = Store::open(self.options()).await.unwrap();
    }

    pub(super) async fn rotate(&mut self, external: bool) {
        let master = external.then(|| self.next());
        let new =
            master.map_or(NewMasterKey::InDataDirectory, |byte| NewMasterKey::External(master_key(byte)));
        self.store.clone().replace_master_key(new, entry()).await.unwrap();
        self.master = master;
        self.store = Store::open(self.options()).await.unwrap();
    }

    pub(super) async fn back_up(&mut self, model: &Model) {
        let number = self.next();
        let file = self.folder.path().join(format!("backup {number}"));
        assert_eq!(back_up(BackupOrder::new(&self.data, &file)).await.unwrap().left_out, []);
        self.kept = Some(Kept { file, model: model.clone(), master: self.master, encrypted: self.encrypted });
    }

    /// Puts the last backup in the place of everything, with the keys of its day.
    pub(super) async fn restore(&mut self, model: &mut Model) {
        let Some(kept) = self.kept.take() else { return };
        self.store.clone().close().await;
        (self.master, self.encrypted) = (kept.master, kept.encrypted);
        let mut order = RestoreOrder::new(&self.data, &kept.file);
        order.master_key = kept.master.map(master_key);
        order.encryption_at_rest = kept.encrypted;
        assert_eq!(restore(order).await.unwrap().warnings, Vec::<String>::new());
        *model = kept.model.clone();
        self.store = Store::open(self.options()).await.unwrap();
        // On PostgreSQL a backup names a schema, which the restored directory uses from now on.
        if cfg!(not(koios_postgresql)) {
            self.kept = Some(kept);
        }
    }

    pub(super) fn keep_requested(&mut self, key: PrivateKey) {
        self.requested.insert(key.public_key().spki_der().to_vec(), key);
    }

    /// The key that a request is for.
    pub(super) fn requested(&self, request: &CertificateRequest) -> &PrivateKey {
        &self.requested[request.public_key().spki_der()]
    }

    pub(super) fn require_form_of_keys(&self) {
        for (path, contents) in snapshot(&self.data.join("certificates")) {
            if path.ends_with("private-key.pem") {
                assert_eq!(PrivateKeyPem::is_wrapped(&contents), self.encrypted, "{}", path.display());
            }
        }
        assert_eq!(self.data.join("secrets.key").exists(), self.master.is_none());
    }

    fn next(&mut self) -> u8 {
        self.count += 1;
        self.count
    }
}

fn master_key(byte: u8) -> MasterKey {
    MasterKey::parse(&[byte; 32], format!("key {byte}")).unwrap()
}

fn entry() -> AuditEntry {
    AuditEntry::new(OffsetDateTime::now_utc(), "test", "test")
}

fn make_private(folder: &Path) {
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder).unwrap();
}

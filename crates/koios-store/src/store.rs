//! The handle on a data directory.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{RwLock, broadcast};

use crate::atomic::{self, Access};
use crate::audit::{AuditEntry, AuditKey};
use crate::blocking::{run_blocking, store_blocking};
use crate::certificates::EndReason;
use crate::certificates::overview::FilesSeen;
use crate::change::Change;
use crate::database::{Connection, Database, DatabaseResult};
use crate::directory_lock::DirectoryLock;
use crate::encryption_at_rest::Encryption;
use crate::error::{OpenError, StoreError, with_causes};
use crate::event::{Committed, Listeners};
use crate::fault::Faults;
use crate::hashed_files::HashedFiles;
use crate::id::CertificateId;
use crate::key_files::{KeyFiles, KeyForm};
use crate::layout::{DATABASE, Layout};
use crate::listing::Listing;
use crate::machine::MACHINE_ID;
use crate::master_key::{self, MasterKey, SetUp};
use crate::removed_keys::{self, Presence};
use crate::secrets::SecretsKey;
use crate::tokens::TokenUses;
use crate::trust_lists::{self, Folders};
use crate::write::Write;
use crate::{data_key, facts, file_system, key_conversion, leftovers, restore};

/// The fact that the first start is over.
const SET_UP: &str = "set up";

/// Where the data lies.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The data directory; created with mode 0700 when it does not exist.
    pub data_dir: PathBuf,
    /// The file that tells this machine from others (machine-id(5)).
    pub machine_id: PathBuf,
    /// The key under which secrets are sealed; `None`: the one in the data directory (`secrets.key`), which is made when
    /// there is none. Once one from outside was given, it is needed at every opening ([`Store::replace_master_key`]).
    pub master_key: Option<MasterKey>,
    /// Whether private keys are encrypted, with AES-256 under a key that is sealed under the master key. The first opening
    /// with it encrypts those that are there; leaving it off later decrypts none ([`Store::decrypt_private_keys`]).
    pub encryption_at_rest: bool,
}

impl StoreOptions {
    /// A store in that directory, with its master key in it, and private keys in plain form.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            machine_id: PathBuf::from(MACHINE_ID),
            master_key: None,
            encryption_at_rest: false,
        }
    }
}

/// Whether a change is carried out or only shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a change happens or it does not")]
pub enum Apply {
    /// Carry it out.
    Commit,
    /// Make every check and compute the answer, then roll back; no file is touched.
    DryRun,
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Certificates.
    pub certificates: u64,
    /// Devices.
    pub devices: u64,
    /// Devices that connect by themselves.
    pub enabled_devices: u64,
}

/// A handle on a data directory; clones are handles on the same one.
///
/// Calls that change something go on when the caller stops waiting for them. They need a tokio runtime.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    /// What every change through this handle adds to the audit trail.
    pub(crate) audit: Option<Arc<AuditEntry>>,
    /// The revision that what is changed through this handle must have.
    pub(crate) expected_revision: Option<i64>,
}

/// What all handles share.
pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) database: Database,
    pub(crate) secrets: SecretsKey,
    pub(crate) key_files: Arc<KeyFiles>,
    audit_key: Arc<AuditKey>,
    /// Whoever compares rows with files reads; whoever makes another generation current and removes the old
    /// one writes.
    pub(crate) files: RwLock<()>,
    /// Held by whoever writes or removes the folder of a generation, from the choice of its number until nothing is left
    /// to remove, so that no other change takes a number whose folder is about to go. Taken before a write begins.
    pub(crate) generations: tokio::sync::Mutex<()>,
    probing: tokio::sync::Mutex<()>,
    pub(crate) set_up: AtomicBool,
    pub(crate) trust: Folders,
    pub(crate) hashed: Arc<HashedFiles>,
    pub(crate) listing: Arc<Listing>,
    pub(crate) files_seen: Mutex<Option<FilesSeen>>,
    pub(crate) token_uses: TokenUses,
    listeners: Listeners,
    lock: Mutex<Option<DirectoryLock>>,
    pub(crate) faults: Faults,
}

impl Store {
    /// Opens a data directory, or makes a new one.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way.
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        let data_dir = options.data_dir.clone();
        let (layout, lock) = blocking_open(move || prepare(&data_dir)).await?;
        let database = Database::open(&layout.database()).await?;
        let failed = |error| OpenError::store(&layout, error);
        let found = Found::read(&database).await.map_err(failed)?;
        let Found { known, set_up: depends, encryption } = found;
        let is_set_up = known.set_up;
        trust_lists::take_back_file_moves(&database, &layout).await.map_err(failed)?;
        let (gone, trust) = {
            let layout = layout.clone();
            blocking_open(move || {
                leftovers::sweep(&layout, &known)?;
                let mut gone: Vec<_> = known.removed.into_values().flatten().collect();
                gone.retain(|key| key.presence(&layout) == Presence::Gone);
                let trust =
                    Folders::open(&layout).map_err(|source| OpenError::io(&layout.trust(), source))?;
                Ok((gone, trust))
            })
            .await?
        };
        removed_keys::forget(&database, &gone).await.map_err(failed)?;
        key_conversion::settle(&database, &layout).await.map_err(failed)?;
        let secrets = master_key::settle(&layout, &database, options.master_key.as_ref(), depends).await?;
        let keys = async {
            let audit_key = AuditKey::open(&database, &secrets).await?;
            let data_key = data_key::open(&database, &secrets).await?;
            let form = encryption.form(options.encryption_at_rest);
            Ok((audit_key, KeyFiles::new(Some(data_key), form)))
        };
        let (audit_key, key_files) = keys.await.map_err(failed)?;
        let keys = Keys { secrets, audit: audit_key, files: key_files };
        let store = Self::assembled(layout, database, keys, trust, Some(lock), is_set_up);
        let finish = async {
            store.settle_encryption(options.encryption_at_rest, encryption).await?;
            store.notice_machine(&options.machine_id).await
        };
        finish.await.map_err(|error| OpenError::store(&store.inner.layout, error))?;
        Ok(store)
    }

    /// Opens a data directory to read it, also beside a running daemon; whatever would change something fails.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way: the directory and its database must be there, in the present format.
    pub async fn open_for_reading(options: StoreOptions) -> Result<Self, OpenError> {
        let root = std::path::absolute(&options.data_dir)
            .map_err(|source| OpenError::io(&options.data_dir, source))?;
        let layout = Layout::new(root);
        restore::require_settled(&layout)?;
        let database = Database::open_for_reading(&layout.database()).await?;
        let failed = |error| OpenError::store(&layout, error);
        let secrets = master_key::for_reading(&layout, &database, options.master_key.as_ref()).await?;
        let keys = async {
            let audit_key = AuditKey::for_reading(&database, &secrets).await?;
            let data_key = data_key::newest(&mut *database.read().await?, &secrets).await?;
            Ok((audit_key, KeyFiles::new(data_key, KeyForm::Encrypted)))
        };
        let (audit_key, key_files) = keys.await.map_err(failed)?;
        let keys = Keys { secrets, audit: audit_key, files: key_files };
        let trust = {
            let layout = layout.clone();
            blocking_open(move || Ok(Folders::look_once(&layout))).await?
        };
        Ok(Self::assembled(layout, database, keys, trust, None, true))
    }

    /// Opens a data directory for small changes that touch no file of a certificate, also beside a running daemon.
    ///
    /// Neither takes the lock nor settles anything: the daemon may be doing so.
    pub(crate) async fn open_beside(options: StoreOptions) -> Result<Self, OpenError> {
        let root = std::path::absolute(&options.data_dir)
            .map_err(|source| OpenError::io(&options.data_dir, source))?;
        let layout = Layout::new(root);
        restore::require_settled(&layout)?;
        let database = Database::open_beside(&layout.database()).await?;
        let failed = |error| OpenError::store(&layout, error);
        let set_up = async { facts::read(&mut *database.read().await?, SET_UP).await };
        if set_up.await.map_err(failed)?.is_none() {
            return Err(OpenError::NotSetUp { path: layout.root().to_owned() });
        }
        let secrets = master_key::for_reading(&layout, &database, options.master_key.as_ref()).await?;
        let audit_key = AuditKey::in_use(&database, &secrets).await.map_err(failed)?;
        let audit_key = audit_key.ok_or_else(|| OpenError::MasterKey {
            path: layout.root().to_owned(),
            problem: "the master key does not open the key of the audit trail".to_owned(),
            remedy: "start the daemon once, which begins a new one and says so",
        })?;
        let keys = Keys { secrets, audit: audit_key, files: KeyFiles::new(None, KeyForm::Encrypted) };
        let trust = {
            let layout = layout.clone();
            blocking_open(move || Ok(Folders::look_once(&layout))).await?
        };
        // By now the database's files are open: a restore that began meanwhile moved others.
        restore::require_settled(&layout)?;
        Ok(Self::assembled(layout, database, keys, trust, None, true))
    }

    fn assembled(
        layout: Layout,
        database: Database,
        keys: Keys,
        trust: Folders,
        lock: Option<DirectoryLock>,
        set_up: bool,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                layout,
                database,
                secrets: keys.secrets,
                key_files: Arc::new(keys.files),
                audit_key: Arc::new(keys.audit),
                files: RwLock::new(()),
                generations: tokio::sync::Mutex::new(()),
                probing: tokio::sync::Mutex::new(()),
                set_up: AtomicBool::new(set_up),
                trust,
                hashed: Arc::default(),
                listing: Arc::default(),
                files_seen: Mutex::default(),
                token_uses: TokenUses::default(),
                listeners: Listeners::default(),
                lock: Mutex::new(lock),
                faults: Faults::default(),
            }),
            audit: None,
            expected_revision: None,
        }
    }

    /// A handle through which these are refused with [`StoreError::RevisionMismatch`] when the certificate or device has
    /// another revision: [`Store::set_default`], [`Store::assign_devices`], [`Store::stage_request`],
    /// [`Store::drop_request`], [`Store::set_enabled`], [`Store::approve`] and [`Store::forget_pin`]. Other changes are told
    /// the revision as an argument.
    #[must_use]
    pub fn expecting(&self, revision: Option<i64>) -> Self {
        Self { expected_revision: revision, ..self.clone() }
    }

    /// Whether setting up is not done yet: it is done when the first token is stored
    /// ([`Store::create_token`]).
    ///
    /// So make the default certificate first and the token last, and look whether a default exists: a start
    /// that was cut off in between is a first start again.
    #[must_use]
    pub fn is_first_start(&self) -> bool {
        !self.inner.set_up.load(Ordering::Acquire)
    }

    /// The data directory, as an absolute path.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.inner.layout.root()
    }

    /// Waits for the running write, writes everything back and lets the directory go; other handles fail from
    /// then on.
    pub async fn close(self) {
        if let Err(error) = self.write_token_uses().await {
            tracing::warn!(error = with_causes(&error), "when tokens were used last could not be written");
        }
        self.inner.database.close().await;
        drop(self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Every change from now on, after its commit.
    ///
    /// A receiver that lags behind by 1,024 changes loses some, is told so, and must then read everything
    /// anew.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner.listeners.to_changes()
    }

    /// What every commit from now on does, told with what there is to say of it, in the order of the commits.
    ///
    /// Nothing is told that was not committed, and nothing that was committed is left out. A receiver that lags behind by
    /// 1,024 commits loses some, is told so, and must then read everything anew. While nobody listens, nothing is made.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.inner.listeners.to_events()
    }

    /// How much there is of everything.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like, when the database cannot be read.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        self.reading(async {
            let (certificates, devices, enabled): (i64, i64, i64) = sqlx::query_as(
                "SELECT (SELECT COUNT(*) FROM certificates), (SELECT COUNT(*) FROM devices), \
                 (SELECT COUNT(*) FROM devices WHERE enabled)",
            )
            .fetch_one(&mut *self.inner.database.read().await?)
            .await
            .database()?;
            Ok(Counts {
                certificates: count(certificates),
                devices: count(devices),
                enabled_devices: count(enabled),
            })
        })
        .await
    }

    /// Whether directory and database can be written right now.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] or [`StoreError::Unavailable`] with the path that cannot.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        let store = self.clone();
        self.run(async move {
            store.probe().await?;
            store.inner.database.settle().await?;
            let mut write = store.begin().await?;
            sqlx::query("INSERT INTO facts (fact, value) VALUES ('write probe', '')")
                .execute(write.connection())
                .await
                .database()?;
            write.finish(Apply::DryRun).await
        })
        .await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        // Two at once would be in each other's way.
        let _probing = self.inner.probing.lock().await;
        let path = self.inner.layout.write_probe();
        self.blocking(move |_| probe(&path).map_err(|source| StoreError::io(&path, source))).await
    }

    /// Runs a change to its end, whether or not the caller keeps waiting.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        match tokio::spawn(work).await {
            Ok(Ok(done)) => Ok(done),
            // Rare, and a large future.
            Ok(Err(error)) => Err(Box::pin(self.told(error)).await),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(StoreError::Interrupted),
            },
        }
    }

    /// Completes the error of a change.
    pub(crate) async fn told(&self, error: StoreError) -> StoreError {
        let error = match &error {
            // SQLite says of some writes that fail for want of room only that they fail: the disk itself tells.
            StoreError::Unavailable { path, .. } if path.as_os_str() == DATABASE => {
                match self.probe().await {
                    Err(full @ StoreError::StorageFull { .. }) => full,
                    _ => error,
                }
            }
            _ => error,
        };
        error.located(self.inner.layout.root())
    }

    /// Completes the errors of something that only reads.
    pub(crate) async fn reading<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        work.await.map_err(|error| error.located(self.inner.layout.root()))
    }

    pub(crate) async fn begin(&self) -> Result<Write, StoreError> {
        let Inner { database, listeners, audit_key, .. } = &*self.inner;
        let audit = self.audit.as_deref().cloned();
        Write::begin(database, listeners.clone(), audit, Arc::clone(audit_key)).await
    }

    /// Runs file work where it may block.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Layout) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        store_blocking(move || work(&inner.layout)).await
    }
}

/// The keys of an open store.
struct Keys {
    secrets: SecretsKey,
    audit: AuditKey,
    files: KeyFiles,
}

impl Inner {
    /// Tells a change that no commit brings.
    pub(crate) fn announce(&self, change: Change) {
        self.listeners.tell(change);
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("data_dir", &self.data_dir()).finish_non_exhaustive()
    }
}

/// A number that `COUNT` gave, which is never negative.
pub(crate) fn count(counted: i64) -> u64 {
    u64::try_from(counted).unwrap_or(0)
}

/// Makes the directory ready and takes its lock.
fn prepare(data_dir: &Path) -> Result<(Layout, DirectoryLock), OpenError> {
    let not_writable = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::not_writable(&path, source)
    };
    let root = std::path::absolute(data_dir).map_err(not_writable(data_dir))?;
    atomic::create_folder(&root).map_err(not_writable(&root))?;
    file_system::require_local(&root)?;
    let layout = Layout::new(root);
    let lock = DirectoryLock::acquire(&layout)?;
    restore::settle(&layout)?;
    probe(&layout.write_probe()).map_err(not_writable(layout.root()))?;
    atomic::create_folder(&layout.certificates()).map_err(not_writable(&layout.certificates()))?;
    refuse_lost_database(&layout)?;
    Ok((layout, lock))
}

fn probe(path: &Path) -> std::io::Result<()> {
    atomic::remove_file(path)?;
    // An empty file fits on a full disk.
    atomic::write_new(path, &[0; 4096], Access::Secret)?;
    atomic::remove_file(path)
}

/// Certificates without a database: a start would take their folders, with the only copies of the keys, for
/// leftovers.
fn refuse_lost_database(layout: &Layout) -> Result<(), OpenError> {
    let path = layout.database();
    let lost = std::fs::metadata(&path).map_or(true, |metadata| metadata.len() == 0);
    if lost && leftovers::any(layout) {
        return Err(OpenError::Damaged {
            path,
            problem: "it is missing or empty, but there are certificates beside it".to_owned(),
            remedy: "restore koios.db from a backup, or move the folder \"certificates\" away to begin anew",
            source: None,
        });
    }
    Ok(())
}

/// What a start needs to know from the database.
pub(crate) struct Found {
    pub(crate) known: leftovers::Known,
    pub(crate) set_up: SetUp,
    pub(crate) encryption: Encryption,
}

impl Found {
    pub(crate) async fn read(database: &Database) -> Result<Self, StoreError> {
        let connection: &mut Connection = &mut *database.read().await?;
        let rows: Vec<(String, i64)> = sqlx::query_as("SELECT id, generation FROM certificates")
            .fetch_all(&mut *connection)
            .await
            .database()?;
        let id = |text: String, column: &'static str| {
            text.parse::<CertificateId>().map_err(|source| StoreError::corrupt(column, source))
        };
        let generations = |rows: Vec<(String, i64)>, columns: [&'static str; 2]| {
            let [id_column, generation_column] = columns;
            rows.into_iter()
                .map(|(text, generation)| {
                    let generation = u32::try_from(generation)
                        .map_err(|source| StoreError::corrupt(generation_column, source))?;
                    Ok((id(text, id_column)?, generation))
                })
                .collect::<Result<_, StoreError>>()
        };
        let current = generations(rows, ["certificates.id", "certificates.generation"])?;
        let staged: Vec<(String, i64)> = sqlx::query_as(
            "SELECT certificate_id, generation FROM certificate_requests WHERE generation IS NOT NULL",
        )
        .fetch_all(&mut *connection)
        .await
        .database()?;
        let staged =
            generations(staged, ["certificate_requests.certificate_id", "certificate_requests.generation"])?;
        let mut removed: HashMap<_, Vec<_>> = HashMap::new();
        for key in removed_keys::all(&mut *connection).await? {
            removed.entry((key.id, key.generation)).or_default().push(key);
        }
        let deleted: Vec<String> =
            sqlx::query_scalar("SELECT certificate_id FROM certificate_history WHERE reason = $1")
                .bind(EndReason::Deleted.as_str())
                .fetch_all(&mut *connection)
                .await
                .database()?;
        let deleted = deleted
            .into_iter()
            .map(|text| id(text, "certificate_history.certificate_id"))
            .collect::<Result<_, StoreError>>()?;
        let (passwords, set_up): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM devices WHERE password IS NOT NULL), \
             (SELECT COUNT(*) FROM facts WHERE fact = 'set up')",
        )
        .fetch_one(&mut *connection)
        .await
        .database()?;
        let known = leftovers::Known { current, staged, removed, deleted, set_up: set_up > 0 };
        let encryption = Encryption::read(connection).await?;
        let set_up = SetUp { passwords_stored: passwords > 0, keys_encrypted: encryption != Encryption::Off };
        Ok(Self { known, set_up, encryption })
    }
}

pub(crate) async fn blocking_open<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    run_blocking(work)
        .await
        .map_err(|error| OpenError::Unavailable { path: PathBuf::new(), source: error.into() })?
}

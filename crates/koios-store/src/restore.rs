//! Restoring a backup: it is read, verified and unpacked whole beside the present files, which then make room in one step.

mod differences;
mod swap;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::atomic::{self, Access};
use crate::audit::AuditEntry;
use crate::backup::{self, BackupError, Manifest, Place, Unpacked, Verified, blocking, unpack};
use crate::database::Database;
use crate::directory_lock::DirectoryLock;
use crate::error::{OpenError, StoreError, StoredFile, with_causes};
use crate::instant;
use crate::key_files::{KeyFile, KeyFiles, KeyForm};
use crate::layout::Layout;
use crate::master_key::{self, MasterKey, SetUp};
use crate::owner;
use crate::progress::Progress;
use crate::store::{Apply, Store, StoreOptions};
use crate::{data_key, file_system, key_conversion};

pub use differences::{Difference, DifferenceKind};
pub(crate) use swap::{KEPT_BY_RESTORE, require_settled, settle};

/// What is restored where.
#[derive(Clone)]
#[non_exhaustive]
pub struct RestoreOrder {
    /// The data directory, which no daemon may be using; it is made when it is not there.
    pub data_dir: PathBuf,
    /// The backup.
    pub file: PathBuf,
    /// Opens the backup.
    pub passphrase: Option<Zeroizing<String>>,
    /// The master key in force, where it is kept outside of the data directory ([`StoreOptions::master_key`]). A backup that
    /// was made under `secrets.key` comes to be sealed under this one.
    pub master_key: Option<MasterKey>,
    /// Whether private keys are encrypted on their way ([`StoreOptions::encryption_at_rest`]).
    pub encryption_at_rest: bool,
    /// Whether it is restored, or only said what restoring it would change, also beside a running daemon.
    pub apply: Apply,
    /// Whom the work tells how far it has come.
    pub progress: Progress,
}

impl RestoreOrder {
    /// Restores an unencrypted backup.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>, file: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            file: file.into(),
            passphrase: None,
            master_key: None,
            encryption_at_rest: false,
            apply: Apply::Commit,
            progress: Progress::default(),
        }
    }
}

impl std::fmt::Debug for RestoreOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestoreOrder")
            .field("data_dir", &self.data_dir)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// What was restored, or would be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Restored {
    /// When the backup was made.
    pub created_at: OffsetDateTime,
    /// By which version.
    pub koios_version: String,
    /// How many certificates it holds.
    pub certificates: usize,
    /// How many devices it holds.
    pub devices: usize,
    /// What is different from the present data directory.
    pub differences: Vec<Difference>,
    /// What was not well when the backup was made, and what of the present directory could not be compared.
    pub warnings: Vec<String>,
    /// Where the files lie that were there before; `None` when there were none, and for a dry run.
    pub kept: Option<PathBuf>,
}

/// Restores a backup into a data directory, or says what that would change.
///
/// All of the backup is verified before anything changes. The files that were there stay in a folder of the data directory
/// ([`Restored::kept`]). When the process ends on the way, the directory is as it was, or the next start completes it.
///
/// # Errors
/// [`BackupError`] says what is wrong; the data directory is as it was.
pub async fn restore(order: RestoreOrder) -> Result<Restored, BackupError> {
    let root =
        std::path::absolute(&order.data_dir).map_err(|source| OpenError::io(&order.data_dir, source))?;
    let layout = Layout::new(root);
    match order.apply {
        Apply::DryRun => look(&layout, order).await,
        Apply::Commit => carry_out(&layout, order).await,
    }
}

async fn look(layout: &Layout, order: RestoreOrder) -> Result<Restored, BackupError> {
    require_settled(layout)?;
    // Not in the data directory, in which nothing is to change. No private key comes here.
    let folder = Temporary::new()?;
    let (unpacked, verified) = read(order, Layout::new(folder.0.clone())).await?;
    Ok(compare(layout, &unpacked, &verified).await)
}

async fn carry_out(layout: &Layout, order: RestoreOrder) -> Result<Restored, BackupError> {
    let prepared = {
        let layout = layout.clone();
        blocking(move || Ok(prepare(&layout)?))
    };
    let _lock = prepared.await?;
    let staging = Layout::new(layout.restoring());
    let result = stage(layout, &staging, order).await;
    if result.is_err() {
        // A start would do it as well.
        let _ = atomic::remove_folder(staging.root());
    }
    let mut restored = result?;
    let kept = swap::begin(layout, instant::now())?;
    settle(layout)?;
    restored.kept = kept.is_dir().then_some(kept);
    Ok(restored)
}

/// Takes the directory, which may be new, and makes room in it.
fn prepare(layout: &Layout) -> Result<DirectoryLock, OpenError> {
    let root = layout.root();
    atomic::create_folder(root).map_err(|source| OpenError::not_writable(root, source))?;
    file_system::require_local(root)?;
    let lock = DirectoryLock::acquire(layout)?;
    owner::give(&layout.lock(), root).map_err(|source| OpenError::io(&layout.lock(), source))?;
    settle(layout)?;
    let staging = layout.restoring();
    atomic::create_folder(&staging).map_err(|source| OpenError::not_writable(&staging, source))?;
    Ok(lock)
}

/// Everything but the swap: what is in `staging` afterwards is on the disk and opens.
async fn stage(layout: &Layout, staging: &Layout, order: RestoreOrder) -> Result<Restored, BackupError> {
    let options = StoreOptions {
        master_key: order.master_key.clone(),
        encryption_at_rest: order.encryption_at_rest,
        ..StoreOptions::new(staging.root())
    };
    let progress = order.progress.clone();
    let (unpacked, verified) = read(order, staging.clone()).await?;
    let restored = compare(layout, &unpacked, &verified).await;
    let manifest = unpacked.manifest.clone();
    {
        let (staging, unpacked, progress) = (staging.clone(), Arc::clone(&unpacked), progress.clone());
        blocking(move || {
            Ok(write_files(&staging, &progress, &unpacked.files, |place| !place.is_private_key())?)
        })
        .await?;
    }
    let encrypted = match options.encryption_at_rest {
        true => {
            progress.tell("encrypting private keys", 0, None);
            encrypt_keys(staging, &options, &unpacked).await?
        }
        false => BTreeMap::new(),
    };
    {
        let staging = staging.clone();
        blocking(move || {
            write_files(&staging, &progress, &encrypted, Place::is_private_key)?;
            // What is there in its encrypted form already is not written in plain form, not even for a moment.
            let plain: Vec<_> =
                unpacked.files.iter().filter(|(name, _)| !encrypted.contains_key(*name)).collect();
            Ok(write_files(&staging, &progress, plain, Place::is_private_key)?)
        })
        .await?;
    }
    // The proof that a daemon can start with it; and whoever reads the trail sees that time went back here.
    let store = Store::open(options).await?;
    let recorded = store.append_audit(entry(&manifest)).await;
    store.close().await;
    recorded?;
    let (staging, root) = (staging.clone(), layout.root().to_owned());
    blocking(move || Ok(seal(&staging, &root)?)).await?;
    Ok(restored)
}

fn entry(manifest: &Manifest) -> AuditEntry {
    let made = manifest.created_at.format(&time::format_description::well_known::Rfc3339).ok();
    let mut entry = AuditEntry::new(instant::now(), "koios", "backup.restored");
    entry.after = Some(serde_json::json!({ "created_at": made, "koios_version": manifest.koios_version }));
    entry
}

/// Reads the backup and verifies it; its database comes to lie in `folder`.
async fn read(order: RestoreOrder, folder: Layout) -> Result<(Arc<Unpacked>, Verified), BackupError> {
    let database_path = folder.database();
    let path = database_path.clone();
    let (master_key, progress) = (order.master_key.clone(), order.progress.clone());
    let unpacked = blocking(move || {
        let passphrase = order.passphrase.as_ref().map(|text| text.as_str());
        unpack(&order.file, passphrase, &path, &order.progress).map(Arc::new)
    })
    .await?;
    let database = Database::open(&database_path).await.map_err(|error| match error {
        OpenError::Damaged { problem, .. } => BackupError::damaged(format!("koios.db: {problem}")),
        OpenError::NewerFormat { format, .. } => BackupError::Format { format },
        other => other.into(),
    })?;
    let verified = backup::verify(&database, &unpacked, master_key.as_ref(), &progress).await;
    database.close().await;
    let verified = verified.map_err(|error| match error {
        BackupError::Store(StoreError::Corrupt { what, .. }) => {
            BackupError::damaged(format!("its database holds something unreadable in {what}"))
        }
        BackupError::Store(StoreError::Damaged { source, .. }) => {
            BackupError::damaged(format!("koios.db: {source}"))
        }
        other => other,
    })?;
    Ok((unpacked, verified))
}

async fn compare(layout: &Layout, unpacked: &Unpacked, verified: &Verified) -> Restored {
    let mut warnings = verified.warnings.clone();
    let differences = match differences::with_present(layout, unpacked, &verified.rows).await {
        Ok(differences) => differences,
        Err(error) => {
            warnings.push(format!(
                "the present data directory cannot be compared, all of it would be replaced: {}",
                with_causes(&error)
            ));
            differences::with_nothing(&verified.rows)
        }
    };
    Restored {
        created_at: unpacked.manifest.created_at,
        koios_version: unpacked.manifest.koios_version.clone(),
        certificates: verified.rows.certificates.len(),
        devices: verified.rows.devices.len(),
        differences,
        warnings,
        kept: None,
    }
}

/// The private keys of the backup that are in plain form, encrypted. Rows that name them follow at the next opening.
async fn encrypt_keys(
    staging: &Layout,
    options: &StoreOptions,
    unpacked: &Arc<Unpacked>,
) -> Result<BTreeMap<String, Zeroizing<Vec<u8>>>, BackupError> {
    let database = Database::open(&staging.database()).await?;
    let encrypted = async {
        let depends = SetUp { passwords_stored: false, keys_encrypted: false };
        let secrets = master_key::settle(staging, &database, options.master_key.as_ref(), depends).await?;
        let keys = KeyFiles::new(Some(data_key::open(&database, &secrets).await?), KeyForm::Encrypted);
        let unpacked = Arc::clone(unpacked);
        let encrypted = blocking(move || {
            let mut encrypted = Vec::new();
            for (name, contents) in &unpacked.files {
                let file = KeyFile::from_bytes(contents.to_vec());
                let Some(Place::Certificate(id, generation, StoredFile::PrivateKey)) = Place::parse(name)
                else {
                    continue;
                };
                if file.is_encrypted() {
                    continue;
                }
                let Ok(pem) = keys.key_of(file) else { continue };
                encrypted.push((name.clone(), id, generation, keys.file_of(&pem)?));
            }
            Ok(encrypted)
        })
        .await?;
        let (_turn, mut write) = database.write().await?;
        for (_, id, generation, file) in &encrypted {
            key_conversion::insert(&mut write, *id, *generation, file.digest()).await?;
        }
        database.commit(write).await?;
        Ok(encrypted.into_iter().map(|(name, _, _, file)| (name, file.into_bytes())).collect())
    };
    let encrypted = encrypted.await;
    database.close().await;
    encrypted
}

fn write_files<'a, I: ExactSizeIterator<Item = (&'a String, &'a Zeroizing<Vec<u8>>)>>(
    staging: &Layout,
    progress: &Progress,
    files: impl IntoIterator<IntoIter = I>,
    wanted: impl Fn(Place) -> bool,
) -> Result<(), StoreError> {
    let files = files.into_iter();
    for (name, contents) in progress.over("writing files", files) {
        let path = staging.root().join(name);
        let Some(place) = Place::parse(name).filter(|place| wanted(*place)) else { continue };
        let access = match place {
            Place::Trust { .. } => Access::Public,
            Place::Certificate(..) if !place.is_private_key() => Access::Public,
            _ => Access::Secret,
        };
        let written = path
            .parent()
            .map_or(Ok(()), atomic::create_folder)
            .and_then(|()| atomic::write_new(&path, contents, access));
        written.map_err(|source| StoreError::io(&path, source))?;
    }
    Ok(())
}

/// Takes away what opening left, and waits until every folder is on the disk.
fn seal(staging: &Layout, root: &Path) -> Result<(), StoreError> {
    let lock = staging.lock();
    atomic::remove_file(&lock).map_err(|source| StoreError::io(&lock, source))?;
    owner::give_all(staging.root(), root).map_err(|source| StoreError::io(staging.root(), source))?;
    sync_tree(staging.root()).map_err(|source| StoreError::io(staging.root(), source))
}

fn sync_tree(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    atomic::sync_folder(folder)
}

/// A private folder that goes when it is dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Result<Self, OpenError> {
        let path = std::env::temp_dir().join(format!("koios-restore-{}", Uuid::now_v7()));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|source| OpenError::io(&path, source))?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = atomic::remove_folder(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "this temporary folder cannot be removed");
        }
    }
}

//! A backup: one file that holds everything a data directory needs, as it was at one moment, also beside a running daemon.
//!
//! It is a tar archive: first [`manifest`](Manifest), which names every other member with its SHA-256, then the files in
//! the layout of the data directory, so that unpacking it with any tar gives a data directory. Under a passphrase the
//! archive is encrypted in the format of age. All of it is secret either way: it holds the private keys.

mod archive;
mod collect;
mod encryption;
#[cfg(feature = "fuzzing")]
mod fuzzing;
mod manifest;
mod rows;
mod unpack;
mod verify;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::atomic::{self, Access};
use crate::error::{OpenError, StoreError};
use crate::file_digest::hex;
use crate::instant;
use crate::layout::{DATABASE, Layout};
use crate::progress::Progress;
use collect::Collected;
use encryption::Encryptor;
use manifest::ManifestMember;

#[cfg(feature = "fuzzing")]
pub use fuzzing::fuzz;

pub(crate) use collect::{blocking, database_files};
pub(crate) use manifest::{Manifest, Place};
pub(crate) use rows::Rows;
pub(crate) use unpack::{Unpacked, unpack};
pub(crate) use verify::{Verified, verify};

/// Which data directory goes into which file.
#[derive(Clone)]
#[non_exhaustive]
pub struct BackupOrder {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The file to write.
    pub file: PathBuf,
    /// Encrypts the file.
    pub passphrase: Option<Zeroizing<String>>,
    /// Whether a file that is there is replaced.
    pub replace: bool,
    /// Whom the work tells how far it has come.
    pub progress: Progress,
}

impl BackupOrder {
    /// An unencrypted backup into a new file.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>, file: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            file: file.into(),
            passphrase: None,
            replace: false,
            progress: Progress::default(),
        }
    }
}

impl std::fmt::Debug for BackupOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackupOrder").field("file", &self.file).finish_non_exhaustive()
    }
}

/// What a backup holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackupDone {
    /// Certificates.
    pub certificates: usize,
    /// Devices.
    pub devices: usize,
    /// The length of the file, in bytes.
    pub bytes: u64,
    /// What belongs to it and could not be read.
    pub left_out: Vec<LeftOut>,
}

/// A file that a backup lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LeftOut {
    /// Its place below the data directory.
    pub path: String,
    /// Why it is not there.
    pub why: String,
}

/// Why a backup was not made or not restored. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// What it holds does not belong together.
    #[error("what the backup holds does not belong together: {}", .problems.join("; "))]
    Contradictory {
        /// What is wrong; at most a hundred sentences.
        problems: Vec<String>,
    },
    /// It is cut off, was changed, or never was a backup.
    #[error("the file is no backup of Koios, or a damaged one: {problem}")]
    Damaged {
        /// What is wrong with it.
        problem: String,
    },
    /// There is a file of that name.
    #[error("{} exists; choose another name, or replace it with --force", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("{} cannot be used", .path.display())]
    File {
        /// The file or its folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A newer version made it.
    #[error("a newer version made the backup (format {format}); restore it with that version")]
    Format {
        /// Its format.
        format: i64,
    },
    /// The master key that it was made under is not given.
    #[error(
        "the secrets in the backup are sealed under a master key from outside of the data directory: {problem}; give the one \
         that was in force when the backup was made"
    )]
    MasterKey {
        /// What is wrong.
        problem: String,
    },
    /// A passphrase is given for a file that is not encrypted, so that it may not be the one that is meant.
    #[error("the backup is not encrypted; restore it without a passphrase, if it is the one that you mean")]
    NotEncrypted,
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is encrypted.
    #[error("the backup is encrypted; its passphrase is needed")]
    PassphraseRequired,
    /// Another passphrase opens it.
    #[error("the passphrase is not the one of this backup")]
    PassphraseWrong,
    /// It cannot be read.
    #[error("the backup cannot be read")]
    Read(#[source] io::Error),
    /// The data directory cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data directory never came to rest.
    #[error(
        "the data directory kept changing, or a change of the trust lists was cut off; start the daemon, if none runs, and try again"
    )]
    Unsettled,
}

impl BackupError {
    pub(crate) fn damaged(problem: impl Into<String>) -> Self {
        Self::Damaged { problem: problem.into() }
    }

    /// What reading the file came to.
    fn read(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::damaged("it is cut off"),
            io::ErrorKind::InvalidData => Self::damaged(error.to_string()),
            _ => Self::Read(error),
        }
    }

    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// Writes a backup of a data directory into one file of mode 0600, which is there whole or not at all.
///
/// # Errors
/// [`BackupError`] says what is in the way.
pub async fn back_up(order: BackupOrder) -> Result<BackupDone, BackupError> {
    let root = std::path::absolute(&order.data_dir).map_err(BackupError::file(&order.data_dir))?;
    let layout = Layout::new(root);
    crate::restore::require_settled(&layout)?;
    let (order, folder) = blocking(move || {
        let folder = WorkFolder::beside(&order.file)?;
        require_free(&order)?;
        Ok((order, folder))
    })
    .await?;
    let snapshot = folder.path.join(DATABASE);
    let collected = collect::collect(&layout, &snapshot, &order.progress).await?;
    blocking(move || {
        let done = write(&order, &folder, &snapshot, collected)?;
        folder.remove();
        Ok(done)
    })
    .await
}

fn require_free(order: &BackupOrder) -> Result<(), BackupError> {
    if !order.replace && std::fs::symlink_metadata(&order.file).is_ok() {
        return Err(BackupError::Exists { path: order.file.clone() });
    }
    Ok(())
}

fn write(
    order: &BackupOrder,
    folder: &WorkFolder,
    snapshot: &Path,
    collected: Collected,
) -> Result<BackupDone, BackupError> {
    let Collected { rows, files, left_out } = collected;
    let (size, sha256) = digest_of(snapshot).map_err(BackupError::file(snapshot))?;
    let mut members = vec![ManifestMember { path: DATABASE.to_owned(), size, sha256 }];
    for (path, contents) in &files {
        let sha256 = hex(digest::digest(&digest::SHA256, contents).as_ref());
        let size = u64::try_from(contents.len()).unwrap_or(u64::MAX);
        members.push(ManifestMember { path: path.clone(), size, sha256 });
    }
    let manifest = Manifest::new(instant::now(), members, left_out.clone());
    let path = folder.path.join("backup");
    let failed = BackupError::file(&path);
    let written = (|| {
        atomic::write_new(&path, b"", Access::Secret)?;
        let file = BufWriter::new(File::options().append(true).open(&path)?);
        let file = match &order.passphrase {
            None => write_archive(file, &manifest, snapshot, &files, &order.progress)?,
            Some(passphrase) => {
                let out = Encryptor::new(file, passphrase)?;
                write_archive(out, &manifest, snapshot, &files, &order.progress)?.finish()?
            }
        };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        file.metadata().map(|metadata| metadata.len())
    })();
    let bytes = written.map_err(failed)?;
    require_free(order)?;
    std::fs::rename(&path, &order.file)
        .and_then(|()| atomic::sync_folder(&folder_of(&order.file)))
        .map_err(BackupError::file(&order.file))?;
    Ok(BackupDone { certificates: rows.certificates.len(), devices: rows.devices.len(), bytes, left_out })
}

fn write_archive<W: Write>(
    mut out: W,
    manifest: &Manifest,
    snapshot: &Path,
    files: &std::collections::BTreeMap<String, Zeroizing<Vec<u8>>>,
    progress: &Progress,
) -> io::Result<W> {
    let modified = u64::try_from(manifest.created_at.unix_timestamp()).unwrap_or(0);
    let text = serde_json::to_vec_pretty(manifest)?;
    let length = u64::try_from(text.len()).map_err(io::Error::other)?;
    archive::append(&mut out, manifest::MANIFEST, length, modified, text.as_slice())?;
    for member in progress.over("writing files", &manifest.members) {
        match files.get(&member.path) {
            Some(contents) => {
                archive::append(&mut out, &member.path, member.size, modified, contents.as_slice())?;
            }
            None => archive::append(&mut out, &member.path, member.size, modified, File::open(snapshot)?)?,
        }
    }
    archive::finish(&mut out)?;
    Ok(out)
}

fn digest_of(path: &Path) -> io::Result<(u64, String)> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut file = BufReader::new(File::open(path)?);
    let mut piece = vec![0; 64 * 1024];
    let mut length = 0_u64;
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((length, hex(context.finish().as_ref())));
        }
        context.update(piece.get(..read).unwrap_or_default());
        length = length.saturating_add(u64::try_from(read).unwrap_or(0));
    }
}

/// The folder of a file, which may be named without one.
fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A private folder beside the file to write, on the same file system; what it holds is taken away with it.
struct WorkFolder {
    path: PathBuf,
    /// Tells a backup under way from one that was cut off.
    _lock: File,
}

impl WorkFolder {
    fn beside(file: &Path) -> Result<Self, BackupError> {
        let nameless = || io::Error::new(io::ErrorKind::InvalidInput, "it names no file");
        let name = file.file_name().ok_or_else(nameless).map_err(BackupError::file(file))?;
        let mut folder_name = std::ffi::OsString::from(".");
        folder_name.push(name);
        folder_name.push(".partial");
        let parent = folder_of(file);
        let path = parent.join(folder_name);
        let opened = (|| {
            // The folder of the backup is not made: a path that is not there may be a disk that is not mounted.
            match std::fs::metadata(&parent)? {
                metadata if metadata.is_dir() => atomic::create_folder(&path)?,
                _ => return Err(io::ErrorKind::NotADirectory.into()),
            }
            let lock = File::options().create(true).truncate(false).write(true).open(path.join("lock"))?;
            lock.try_lock().map_err(|_| io::Error::other("another backup into this file is under way"))?;
            // What a backup that was cut off has left.
            for leftover in database_files(&path.join(DATABASE)).iter().chain([&path.join("backup")]) {
                atomic::remove_file(leftover)?;
            }
            Ok(lock)
        })();
        let lock = opened.map_err(BackupError::file(&path))?;
        Ok(Self { path, _lock: lock })
    }

    fn remove(self) {
        drop(self);
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if let Err(error) = atomic::remove_folder(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "this folder of a backup cannot be removed");
        }
    }
}

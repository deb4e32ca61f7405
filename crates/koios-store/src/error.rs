//! What can go wrong, with the evidence a person needs.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use koios_pki::Sha256Thumbprint;

use crate::certificate::FileState;
use crate::id::{CertificateId, DeviceId, TokenId};
use crate::layout::Layout;
use crate::name::NameError;
use crate::trust_lists::TrustListName;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// A kind of thing that can be looked up by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// A certificate.
    Certificate,
    /// A device.
    Device,
    /// A revocation list.
    RevocationList,
    /// A server certificate in the trust lists.
    ServerCertificate,
    /// An access token.
    Token,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Device => "device",
            Self::RevocationList => "revocation list",
            Self::ServerCertificate => "server certificate",
            Self::Token => "token",
        })
    }
}

/// Why a data directory was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A file in the directory is not what it should be; starting could lose what is left.
    #[error("{} is damaged: {problem}; {remedy}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        remedy: &'static str,
        /// What the system or the database said.
        #[source]
        source: Option<BoxError>,
    },
    /// Another process holds the directory.
    #[error("the data directory {} is in use by another process ({})", .path.display(), describe_pid(.pid.as_ref()))]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// The process that holds it, where it said so.
        pid: Option<u32>,
    },
    /// The master key is not there, or another one.
    #[error("{} cannot be opened: {problem}; {remedy}", .path.display())]
    MasterKey {
        /// The data directory, or `secrets.key` in it.
        path: PathBuf,
        /// What is wrong with the key.
        problem: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The directory lies on a file system of another machine, on which SQLite's write-ahead log gets
    /// corrupted (<https://sqlite.org/wal.html>, section 1).
    #[error("the data directory {} lies on a network file system ({file_system}); move it to a local disk", .path.display())]
    NetworkFileSystem {
        /// The data directory.
        path: PathBuf,
        /// Name of the file system, such as `nfs`.
        file_system: &'static str,
    },
    /// A newer version of this program wrote the database.
    #[error("{} was written by a newer version (format {format}); start that version, or restore a backup", .path.display())]
    NewerFormat {
        /// The database.
        path: PathBuf,
        /// The migration that this version does not know.
        format: i64,
    },
    /// An older version wrote the database, and reading does not change it.
    #[error("{} was written by an older version; start the daemon once, which brings it to the present format", .path.display())]
    OlderFormat {
        /// The database.
        path: PathBuf,
    },
    /// No daemon has finished its first start there yet.
    #[error("the data directory {} is not set up yet; start the daemon once", .path.display())]
    NotSetUp {
        /// The data directory.
        path: PathBuf,
    },
    /// The directory cannot be created or written.
    #[error("the data directory {} cannot be written; make it writable for this user, or choose another one", .path.display())]
    NotWritable {
        /// What could not be created or written.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No room is left.
    #[error("no space is left for {}", .path.display())]
    StorageFull {
        /// What could not be written.
        path: PathBuf,
        /// What the system or the database said.
        #[source]
        source: BoxError,
    },
    /// The file system or the database failed otherwise.
    #[error("{} cannot be used", .path.display())]
    Unavailable {
        /// The file or folder.
        path: PathBuf,
        /// What the system or the database said.
        #[source]
        source: BoxError,
    },
}

fn describe_pid(pid: Option<&u32>) -> String {
    pid.map_or_else(|| "which did not say its process id".to_owned(), |pid| format!("process id {pid}"))
}

/// Why a call on an open store failed.
///
/// Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The new certificate has another application URI than the one it would replace.
    #[error("the application URI would change from {stored} to {}", .presented.as_deref().unwrap_or("none"))]
    ApplicationUriChanged {
        /// The application URI of the current certificate.
        stored: String,
        /// The application URI of the new one.
        presented: Option<String>,
    },
    /// This very certificate is in the store already.
    #[error("this certificate is already stored, as {name:?}")]
    CertificateExists {
        /// Its id.
        id: CertificateId,
        /// Its name.
        name: String,
    },
    /// A row does not hold what this version can have written.
    #[error("the database holds something unreadable in {what}")]
    Corrupt {
        /// Table and column, or what the database said.
        what: String,
        /// What the reader of that value said.
        #[source]
        source: Option<BoxError>,
    },
    /// The database is damaged, or the disk does not give it back: SQLite says the same of both.
    #[error("{} is damaged, or cannot be read", .path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: BoxError,
    },
    /// The default certificate is not deleted; make another one the default first.
    #[error("{name:?} is the default certificate; make another one the default before deleting it")]
    DefaultCertificateRequired {
        /// The default certificate.
        id: CertificateId,
        /// Its name.
        name: String,
    },
    /// The store was closed, or the runtime shut down, before the call was done.
    #[error("the store was closed before the call was done")]
    Interrupted,
    /// The cursor is not one that this list handed out in this order.
    #[error("the cursor does not belong to this list and order")]
    InvalidCursor,
    /// No other admin token has time left: nobody could administer any more.
    #[error("{name:?} is the last admin token that has not expired")]
    LastAdminToken {
        /// Its id.
        id: TokenId,
        /// Its name.
        name: String,
    },
    /// The list holds this certificate or revocation list already.
    #[error("this {resource} is already in the list {list}")]
    InTrustList {
        /// What it is.
        resource: Resource,
        /// The list.
        list: TrustListName,
    },
    /// A name breaks the rules of names.
    #[error(transparent)]
    InvalidName(#[from] NameError),
    /// A value outside its range.
    #[error("{field}: {reason}")]
    InvalidSetting {
        /// The field, as in the REST contract.
        field: &'static str,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// Another certificate (or device) has that name; case makes no difference.
    #[error("the name {name:?} is taken")]
    NameTaken {
        /// The name asked for.
        name: String,
    },
    /// No certificate request waits for an answer, or another one than the caller means.
    #[error("no such certificate request is pending for {name:?}")]
    NoPendingRequest {
        /// The certificate.
        id: CertificateId,
        /// Its name.
        name: String,
    },
    /// There is nothing of that id.
    #[error("there is no {resource} {id}")]
    NotFound {
        /// What was looked for.
        resource: Resource,
        /// The id looked for.
        id: String,
    },
    /// The stored password cannot be decrypted with the current `secrets.key`.
    #[error(
        "the password of device {device} cannot be decrypted with the present secrets.key; enter it again"
    )]
    PasswordUnreadable {
        /// The device.
        device: DeviceId,
    },
    /// A certificate request waits for an answer already.
    #[error("a certificate request is pending for {name:?}; install the answer, or drop the request first")]
    RequestPending {
        /// The certificate.
        id: CertificateId,
        /// Its name.
        name: String,
    },
    /// The resource changed since the caller read it.
    #[error("revision {expected} was expected, the present one is {current}")]
    RevisionMismatch {
        /// What the caller expected.
        expected: i64,
        /// What is stored.
        current: i64,
    },
    /// No room is left on the disk.
    #[error("no space is left for {}", .path.display())]
    StorageFull {
        /// What could not be written.
        path: PathBuf,
        /// What the system or the database said.
        #[source]
        source: BoxError,
    },
    /// The server certificate to approve is not the one the server presented last.
    #[error("the server last presented {}, not {approved}", presented_text(.presented.as_ref()))]
    ThumbprintMismatch {
        /// The thumbprint the caller approved.
        approved: Sha256Thumbprint,
        /// The thumbprint presented last; `None` when none was seen yet.
        presented: Option<Sha256Thumbprint>,
    },
    /// The file system or the database does not work at the moment.
    #[error("{} cannot be used", .path.display())]
    Unavailable {
        /// The file or folder.
        path: PathBuf,
        /// What the system or the database said.
        #[source]
        source: BoxError,
    },
    /// A device names a certificate that does not exist.
    #[error("there is no certificate {0} to assign")]
    UnknownCertificate(CertificateId),
    /// A list of devices names one that does not exist.
    #[error("there is no device {0} to assign a certificate to")]
    UnknownDevice(DeviceId),
}

fn presented_text(thumbprint: Option<&Sha256Thumbprint>) -> String {
    thumbprint.map_or_else(|| "no certificate".to_owned(), ToString::to_string)
}

impl StoreError {
    pub(crate) fn not_found(resource: Resource, id: impl fmt::Display) -> Self {
        Self::NotFound { resource, id: id.to_string() }
    }

    pub(crate) fn corrupt(what: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Corrupt { what: what.into(), source: Some(source.into()) }
    }

    /// Makes the path of a file inside the data directory a whole one.
    pub(crate) fn located(self, data_dir: &Path) -> Self {
        match self {
            Self::Damaged { path, source } => Self::Damaged { path: data_dir.join(path), source },
            Self::StorageFull { path, source } => Self::StorageFull { path: data_dir.join(path), source },
            Self::Unavailable { path, source } => Self::Unavailable { path: data_dir.join(path), source },
            other => other,
        }
    }

    /// The error for a file operation that failed.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::StorageFull { path, source: source.into() }
            }
            _ => Self::Unavailable { path, source: source.into() },
        }
    }
}

impl OpenError {
    /// The error for a database that cannot be read, or a file that cannot be written, while a directory is opened.
    pub(crate) fn store(layout: &Layout, error: StoreError) -> Self {
        match error.located(layout.root()) {
            StoreError::Corrupt { what, source } => Self::Damaged {
                path: layout.database(),
                problem: format!("it holds something unreadable in {what}"),
                remedy: "restore koios.db from a backup",
                source,
            },
            StoreError::Damaged { path, source } => Self::Damaged {
                path,
                problem: "it is damaged, or cannot be read".to_owned(),
                remedy: "look at the disk, then restore koios.db from a backup",
                source: Some(source),
            },
            StoreError::StorageFull { path, source } => Self::StorageFull { path, source },
            StoreError::Unavailable { path, source } => Self::Unavailable { path, source },
            other => Self::Unavailable { path: layout.database(), source: other.into() },
        }
    }

    /// The error for what could not be created or written in the data directory.
    pub(crate) fn not_writable(path: &Path, source: io::Error) -> Self {
        match Self::io(path, source) {
            Self::Unavailable { path, source } => match source.downcast::<io::Error>() {
                Ok(source) => Self::NotWritable { path, source: *source },
                Err(source) => Self::Unavailable { path, source },
            },
            other => other,
        }
    }

    /// The error for a file operation that failed.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::StorageFull { path, source: source.into() }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { path, source }
            }
            _ => Self::Unavailable { path, source: source.into() },
        }
    }
}

/// One of the files of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoredFile {
    /// `certificate.der`, the leaf.
    Certificate,
    /// `chain.pem`, leaf first.
    Chain,
    /// `private-key.pem`.
    PrivateKey,
}

impl StoredFile {
    /// The name of the file.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate.der",
            Self::Chain => "chain.pem",
            Self::PrivateKey => "private-key.pem",
        }
    }
}

/// Why the files of a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityFilesError {
    /// A file is there, but not the one that was stored.
    #[error("{} is not the file that was stored; put the original back, or regenerate the certificate", .path.display())]
    Changed {
        /// Which of the files.
        file: StoredFile,
        /// Where it lies.
        path: PathBuf,
    },
    /// A file is not there, or cannot be read.
    #[error("{} is missing; put it back, or regenerate the certificate", .path.display())]
    Missing {
        /// Which of the files.
        file: StoredFile,
        /// Where it should lie.
        path: PathBuf,
    },
    /// The store itself failed, or there is no such certificate.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IdentityFilesError {
    /// What the state of a file that is not as it was stored means.
    pub(crate) fn of(file: StoredFile, state: FileState, path: PathBuf) -> Self {
        match state {
            FileState::Changed => Self::Changed { file, path },
            _ => Self::Missing { file, path },
        }
    }

    /// The same for a change that needs the file: what is there and cannot be read now is not taken for missing, since who
    /// is told so would make another key.
    pub(crate) fn of_needed(file: StoredFile, state: FileState, path: PathBuf) -> Self {
        match std::fs::symlink_metadata(&path) {
            _ if state != FileState::Missing => Self::of(file, state, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::of(file, state, path),
            Err(error) => StoreError::io(&path, error).into(),
            Ok(_) => StoreError::Unavailable { path, source: "it is there and cannot be read".into() }.into(),
        }
    }
}

/// An error and its causes on one line: `Display` never repeats a source.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_one_that_does_not_work() {
        let path = Path::new("/data/koios.db");
        let error = |kind: io::ErrorKind| StoreError::io(path, kind.into());
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            assert!(matches!(error(kind), StoreError::StorageFull { path: named, .. } if named == path));
        }
        for kind in [io::ErrorKind::ReadOnlyFilesystem, io::ErrorKind::PermissionDenied, io::ErrorKind::Other]
        {
            assert!(matches!(error(kind), StoreError::Unavailable { path: named, .. } if named == path));
        }
        let read_only = OpenError::io(path, io::ErrorKind::ReadOnlyFilesystem.into());
        assert!(matches!(read_only, OpenError::NotWritable { .. }));
    }

    #[test]
    fn a_message_does_not_repeat_its_source() {
        let error = StoreError::io(Path::new("/data/x"), io::Error::other("the cable is out"));
        assert_eq!(error.to_string(), "/data/x cannot be used");
        assert_eq!(error.source().unwrap().to_string(), "the cable is out");
    }
}

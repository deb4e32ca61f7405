//! A server's PKI folder, as its operator sees it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where a server keeps what it trusts and what it has refused.
#[derive(Clone, Debug)]
pub struct PkiFolders {
    /// The folder that holds all the others.
    pub root: PathBuf,
    /// Certificates in this folder are trusted.
    pub trusted: PathBuf,
    /// The server puts refused certificates here; `None` where the stack keeps none on disk (asyncua).
    pub rejected: Option<PathBuf>,
    /// Certificates of issuers, for building chains; `None` where the stack knows none (async-opcua).
    pub issuers: Option<PathBuf>,
    /// Revocation lists of trusted authorities; `None` where the stack knows none (async-opcua).
    pub revocation_lists: Option<PathBuf>,
}

impl PkiFolders {
    pub(crate) fn create(&self) -> io::Result<()> {
        fs::create_dir_all(&self.trusted)?;
        for folder in [&self.rejected, &self.issuers, &self.revocation_lists].into_iter().flatten() {
            fs::create_dir_all(folder)?;
        }
        Ok(())
    }

    /// The files in the rejected folder, sorted by name.
    pub fn rejected_files(&self) -> Vec<PathBuf> {
        self.rejected.as_deref().map_or_else(Vec::new, files_in)
    }

    /// The files in the trusted folder, sorted by name.
    pub fn trusted_files(&self) -> Vec<PathBuf> {
        files_in(&self.trusted)
    }

    /// The rejected file whose name carries this SHA-1 thumbprint (hexadecimal, any case).
    pub fn rejected_file(&self, sha1: &str) -> Option<PathBuf> {
        self.rejected_files().into_iter().find(|path| name_carries(path, sha1))
    }

    pub(crate) fn trusted_file(&self, sha1: &str) -> Option<PathBuf> {
        self.trusted_files().into_iter().find(|path| name_carries(path, sha1))
    }
}

/// Writes a private key that only its owner reads.
pub(crate) fn write_private_key(path: &Path, pem: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // The mode counts for new files only: an old one is replaced.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(pem.as_bytes())
}

fn name_carries(path: &Path, sha1: &str) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().to_ascii_lowercase().contains(&sha1.to_ascii_lowercase()))
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

//! Secrets that a command takes: from a file, never from the command line, which every user of the machine can read.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// A secret in a file: an editor's line end does not belong to it.
pub(crate) fn first_line(path: &Path) -> io::Result<Zeroizing<String>> {
    let text = fs::read_to_string(path).map(Zeroizing::new)?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// Why a file with a passphrase is of no use.
#[derive(Debug, thiserror::Error)]
#[error("there is no passphrase in {}", .path.display())]
pub struct PassphraseError {
    path: PathBuf,
    /// What the system said.
    #[source]
    source: io::Error,
}

/// A passphrase in a file. An empty one would be a mistake: it protects nothing, and opens nothing.
pub(crate) fn passphrase(path: &Path) -> Result<Zeroizing<String>, PassphraseError> {
    let failed = |source| PassphraseError { path: path.to_owned(), source };
    let text = first_line(path).map_err(failed)?;
    match text.is_empty() {
        true => Err(failed(io::Error::new(io::ErrorKind::InvalidData, "its first line is empty"))),
        false => Ok(text),
    }
}

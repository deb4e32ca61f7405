//! Secrets that a command takes: from a file, never from the command line, which every user of the machine can read.

use std::{fs, io, path::Path};

use zeroize::Zeroizing;

/// A secret in a file: an editor's line end does not belong to it.
pub(crate) fn first_line(path: &Path) -> io::Result<Zeroizing<String>> {
    let text = fs::read_to_string(path).map(Zeroizing::new)?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

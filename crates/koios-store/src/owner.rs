//! Whose the restored files are: when root restores, the daemon's user must be able to use them all the same.

use std::io;
use std::path::Path;

/// Gives a file or folder to the owner of `root`.
#[cfg(unix)]
pub(super) fn give(path: &Path, root: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, lchown};

    let wanted = std::fs::metadata(root)?;
    let present = std::fs::symlink_metadata(path)?;
    match (present.uid(), present.gid()) == (wanted.uid(), wanted.gid()) {
        true => Ok(()),
        false => lchown(path, Some(wanted.uid()), Some(wanted.gid())),
    }
}

#[cfg(not(unix))]
pub(super) fn give(_path: &Path, _root: &Path) -> io::Result<()> {
    Ok(())
}

/// Gives a folder with all that is in it to the owner of `root`.
pub(super) fn give_all(folder: &Path, root: &Path) -> io::Result<()> {
    give(folder, root)?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => give_all(&entry.path(), root)?,
            false => give(&entry.path(), root)?,
        }
    }
    Ok(())
}

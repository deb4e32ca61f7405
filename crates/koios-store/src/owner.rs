//! Whose the files are that a command writes: when root restores or imports, the daemon's user must be able to use them all the same.

use std::io;
use std::path::Path;

/// Gives a file or folder to the owner of `root`; whether it was another's.
#[cfg(unix)]
pub(crate) fn give(path: &Path, root: &Path) -> io::Result<bool> {
    use std::os::unix::fs::{MetadataExt, lchown};

    let wanted = std::fs::metadata(root)?;
    let present = std::fs::symlink_metadata(path)?;
    match (present.uid(), present.gid()) == (wanted.uid(), wanted.gid()) {
        true => Ok(false),
        false => lchown(path, Some(wanted.uid()), Some(wanted.gid())).map(|()| true),
    }
}

#[cfg(not(unix))]
pub(crate) fn give(_path: &Path, _root: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Gives what has the owner of `sample` to that of `root`; what is not there, nobody owns.
#[cfg(unix)]
pub(crate) fn give_what_is_like(sample: &Path, path: &Path, root: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;

    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if found.uid() == std::fs::symlink_metadata(sample)?.uid() => give(path, root).map(drop),
        Ok(_) => Ok(()),
    }
}

#[cfg(not(unix))]
pub(crate) fn give_what_is_like(_sample: &Path, _path: &Path, _root: &Path) -> io::Result<()> {
    Ok(())
}

/// Gives a folder with all that is in it to the owner of `root`.
pub(crate) fn give_all(folder: &Path, root: &Path) -> io::Result<()> {
    give(folder, root)?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => give_all(&entry.path(), root)?,
            false => give(&entry.path(), root).map(drop)?,
        }
    }
    Ok(())
}

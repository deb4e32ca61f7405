//! The only writer of files: what it has written is on the disk, whole, and readable by whom it should be.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::owner;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody who gets to the folder: mode 0644.
    Public,
    /// The owner alone: mode 0600.
    Secret,
}

impl Access {
    #[cfg(unix)]
    fn mode(self) -> u32 {
        match self {
            Self::Public => 0o644,
            Self::Secret => 0o600,
        }
    }
}

/// Creates a folder, and its parents, for the owner alone (mode 0700); one that exists is left as it is.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Writes a file that must not exist yet, and waits until it is on the disk; its folder is the caller's to
/// sync.
pub(crate) fn write_new(path: &Path, contents: &[u8], access: Access) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, access.mode());
    let mut file = options.open(path)?;
    restrict(&file, access)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// Writes a file in one step: whoever reads it sees what was there before or the new contents, whole.
///
/// It belongs to whom the file before it did, or else its folder: a command that root runs must not take it from the daemon's
/// user.
pub(crate) fn replace(path: &Path, contents: &[u8], access: Access) -> io::Result<()> {
    let temporary = replacement(path);
    remove_file(&temporary)?;
    write_new(&temporary, contents, access)?;
    keep_owner(&temporary, path)?;
    std::fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

fn keep_owner(temporary: &Path, path: &Path) -> io::Result<()> {
    let like = if path.symlink_metadata().is_ok() { Some(path) } else { path.parent() };
    let Some(like) = like else { return Ok(()) };
    match owner::give(temporary, like) {
        // Another user than root gives nothing away, and has what it could write.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Ok(true) => File::open(temporary)?.sync_all(),
        other => other.map(drop),
    }
}

/// Removes what a [`replace`] that was cut off left behind.
pub(crate) fn discard_replacement(path: &Path) -> io::Result<()> {
    remove_file(&replacement(path))
}

fn replacement(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Sets the mode whatever the umask says.
pub(crate) fn restrict(file: &File, access: Access) -> io::Result<()> {
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(access.mode()))?;
    #[cfg(not(unix))]
    let _ = (file, access);
    Ok(())
}

/// Waits until the entries of a folder are on the disk.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened as a file, and needs no syncing.
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Removes a file; one that is not there is fine.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    absent_is_fine(std::fs::remove_file(path))
}

/// Removes a folder with all that is in it; one that is not there is fine.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    absent_is_fine(std::fs::remove_dir_all(path))
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_has_the_new_contents_and_no_leftover_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        replace(&path, b"one", Access::Secret).unwrap();
        std::fs::write(path.with_extension("new"), b"left by a crash").unwrap();
        replace(&path, b"two", Access::Secret).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_never_replaces_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_new(&path, b"one", Access::Public).unwrap();
        let error = write_new(&path, b"two", Access::Public).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
    }

    #[cfg(unix)]
    #[test]
    fn modes_are_what_access_says() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode =
            |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o7777;
        create_folder(&folder.path().join("a/b")).unwrap();
        write_new(&folder.path().join("public"), b"", Access::Public).unwrap();
        write_new(&folder.path().join("secret"), b"", Access::Secret).unwrap();
        assert_eq!((mode("a"), mode("a/b"), mode("public"), mode("secret")), (0o700, 0o700, 0o644, 0o600));
    }
}

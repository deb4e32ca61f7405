//! What kind of file system the data directory lies on.
//!
//! SQLite's write-ahead log needs shared memory between its users and locks that hold; over a network neither
//! is certain, and databases get corrupted (<https://sqlite.org/wal.html>, section 1). The kind is read with
//! `statfs`, through `rustix`, because the standard library has no way to ask.

use std::path::Path;

use crate::error::OpenError;

/// What a data directory can expect of its file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Local,
    /// Of another machine.
    Network(&'static str),
    /// Of this machine, but gone after a restart.
    Transient(&'static str),
    /// Perhaps of another machine: the kind alone does not tell.
    Doubtful(&'static str),
}

/// Refuses a network file system; logs a warning for one that forgets, or may be one of another machine.
pub(crate) fn require_local(path: &Path) -> Result<(), OpenError> {
    match kind_of(path)? {
        Kind::Local => {}
        Kind::Network(file_system) => {
            return Err(OpenError::NetworkFileSystem { path: path.to_owned(), file_system });
        }
        Kind::Transient(file_system) => {
            tracing::warn!(
                path = %path.display(), file_system,
                "the data directory does not outlive this container or machine; put it on a volume"
            );
        }
        Kind::Doubtful(file_system) => {
            tracing::warn!(
                path = %path.display(), file_system,
                "the data directory may lie on another machine, where the database can get damaged"
            );
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn kind_of(path: &Path) -> Result<Kind, OpenError> {
    let statistics = rustix::fs::statfs(path).map_err(|errno| OpenError::io(path, errno.into()))?;
    // The width of the field differs between platforms; all values of statfs(2) are of 32 bits.
    Ok(classify(i128::from(statistics.f_type) & 0xFFFF_FFFF))
}

#[cfg(not(target_os = "linux"))]
fn kind_of(_path: &Path) -> Result<Kind, OpenError> {
    Ok(Kind::Local)
}

/// The numbers are those of `statfs(2)` and of Linux' `magic.h`.
#[cfg(target_os = "linux")]
fn classify(magic: i128) -> Kind {
    match magic {
        0x6969 => Kind::Network("nfs"),
        0x517B => Kind::Network("smb"),
        0xFE53_4D42 => Kind::Network("smb2"),
        0xFF53_4D42 => Kind::Network("cifs"),
        0x5346_414F | 0x6B41_4653 => Kind::Network("afs"),
        0x7375_7245 => Kind::Network("coda"),
        0x00C3_6400 => Kind::Network("ceph"),
        0x0BD0_0BD0 => Kind::Network("lustre"),
        0x4750_4653 => Kind::Network("gpfs"),
        0x794C_7630 => Kind::Transient("overlayfs"),
        0x0102_1994 => Kind::Transient("tmpfs"),
        0x8584_58F6 => Kind::Transient("ramfs"),
        0x6573_5546 => Kind::Doubtful("fuse"),
        0x0102_1997 => Kind::Doubtful("9p"),
        _ => Kind::Local,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_other_machines_are_told_from_local_ones() {
        assert_eq!(classify(0x6969), Kind::Network("nfs"));
        assert_eq!(classify(0xFF53_4D42), Kind::Network("cifs"));
        assert_eq!(classify(0xEF53), Kind::Local, "ext4");
        assert_eq!(classify(0x5846_5342), Kind::Local, "xfs");
        assert_eq!(classify(0x794C_7630), Kind::Transient("overlayfs"));
    }

    #[test]
    fn the_file_system_of_an_absent_folder_is_an_error_with_its_path() {
        let path = Path::new("/nonexistent/koios");
        assert!(matches!(kind_of(path), Err(OpenError::Unavailable { path: named, .. }) if named == path));
    }
}

//! What files held when they were last read: as long as a file's stamp stays, it is not read again to show a badge.
//!
//! What is used is always read and compared; this only spares looking at thousands of files, private keys among them, each
//! time somebody opens a list.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::file_digest::FileDigest;
use crate::file_stamp::FileStamp;

/// Remembered digests of files, by path.
#[derive(Debug, Default)]
pub(crate) struct HashedFiles(Mutex<HashMap<PathBuf, (FileStamp, FileDigest)>>);

/// Beyond this many, paths of generations that are long gone are forgotten with all others.
const MOST: usize = 200_000;

impl HashedFiles {
    /// The digest of the file as it is now, without reading it, where that is known.
    pub(crate) fn digest(&self, path: &Path) -> Option<FileDigest> {
        let stamp = FileStamp::of(&std::fs::metadata(path).ok()?);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(path).filter(|(known, _)| *known == stamp).map(|(_, digest)| *digest)
    }

    /// Remembers what a file held whose stamp was taken before it was read.
    pub(crate) fn remember(&self, path: PathBuf, stamp: FileStamp, digest: FileDigest) {
        if !stamp.is_settled() {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(path, (stamp, digest));
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_file_that_has_just_been_written_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"one").unwrap();
        let hashed = HashedFiles::default();
        let stamp = FileStamp::of(&std::fs::metadata(&path).unwrap());
        hashed.remember(path.clone(), stamp, FileDigest::of(b"one"));
        assert_eq!(hashed.digest(&path), None);
        // Nor is one that only says it is old.
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_times(FileTimes::new().set_modified(hour_ago)).unwrap();
        let stamp = FileStamp::of(&std::fs::metadata(&path).unwrap());
        hashed.remember(path.clone(), stamp, FileDigest::of(b"one"));
        assert_eq!(hashed.digest(&path), None);
    }

    #[test]
    fn another_stamp_is_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"one").unwrap();
        let hashed = HashedFiles::default();
        let stamp = FileStamp::of(&std::fs::metadata(&path).unwrap());
        hashed.0.lock().unwrap().insert(path.clone(), (stamp, FileDigest::of(b"one")));
        assert_eq!(hashed.digest(&path), Some(FileDigest::of(b"one")));
        // Another file of the same length in its place.
        std::fs::write(folder.path().join("other"), b"two").unwrap();
        std::fs::rename(folder.path().join("other"), &path).unwrap();
        assert_eq!(hashed.digest(&path), None);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(hashed.digest(&path), None);
    }
}

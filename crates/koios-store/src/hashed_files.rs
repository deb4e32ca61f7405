//! What files held when they were last read: as long as a file's stamp stays, it is not read again to show a badge.
//!
//! What is used is always read and compared; this only spares looking at thousands of files, private keys among them, each
//! time somebody opens a list.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::StoredFile;
use crate::file_digest::FileDigest;
use crate::file_stamp::FileStamp;
use crate::id::CertificateId;

/// A file of a generation, which a path would name at greater length.
pub(crate) type FileKey = (CertificateId, u32, StoredFile);

type Known = HashMap<FileKey, (FileStamp, FileDigest)>;

/// Remembered digests of files.
#[derive(Debug, Default)]
pub(crate) struct HashedFiles {
    known: Mutex<Known>,
    /// How often a file was looked at.
    #[cfg(test)]
    pub(crate) looks: std::sync::atomic::AtomicUsize,
}

/// Beyond this many, files of generations that are long gone are forgotten with all others.
const MOST: usize = 200_000;

impl HashedFiles {
    /// The digest of the file as it is now, without reading it, where that is known.
    ///
    /// A file that is not what it was is forgotten.
    pub(crate) fn digest(&self, file: FileKey, path: &Path) -> Option<FileDigest> {
        #[cfg(test)]
        self.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let stamp = std::fs::metadata(path).map(|metadata| FileStamp::of(&metadata));
        let mut known = self.lock();
        match (known.get(&file), stamp) {
            (Some((known, digest)), Ok(stamp)) if *known == stamp => Some(*digest),
            (Some(_), _) => {
                known.remove(&file);
                None
            }
            (None, _) => None,
        }
    }

    /// What the file held when it was last looked at, and still held the same as at the time before.
    pub(crate) fn last_seen(&self, file: FileKey) -> Option<FileDigest> {
        self.lock().get(&file).map(|(_, digest)| *digest)
    }

    /// Remembers what a file held whose stamp was taken before it was read.
    pub(crate) fn remember(&self, file: FileKey, stamp: FileStamp, digest: FileDigest) {
        if stamp.is_settled() {
            self.insert(file, stamp, digest);
        }
    }

    /// The file was read and is not what it was: whoever asks next must look.
    pub(crate) fn forget(&self, file: FileKey) {
        self.lock().remove(&file);
    }

    pub(crate) fn insert(&self, file: FileKey, stamp: FileStamp, digest: FileDigest) {
        let mut known = self.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(file, (stamp, digest));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
        let key = (CertificateId::generate(), 1, StoredFile::Chain);
        let stamp = FileStamp::of(&std::fs::metadata(&path).unwrap());
        hashed.remember(key, stamp, FileDigest::of(b"one"));
        assert_eq!(hashed.digest(key, &path), None);
        // Nor is one that only says it is old.
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_times(FileTimes::new().set_modified(hour_ago)).unwrap();
        let stamp = FileStamp::of(&std::fs::metadata(&path).unwrap());
        hashed.remember(key, stamp, FileDigest::of(b"one"));
        assert_eq!(hashed.digest(key, &path), None);
    }

    #[test]
    fn another_stamp_is_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"one").unwrap();
        let hashed = HashedFiles::default();
        let key = (CertificateId::generate(), 1, StoredFile::Chain);
        let stamp = FileStamp::of(&std::fs::metadata(&path).unwrap());
        hashed.insert(key, stamp, FileDigest::of(b"one"));
        assert_eq!(hashed.digest(key, &path), Some(FileDigest::of(b"one")));
        // Another file of the same length in its place.
        std::fs::write(folder.path().join("other"), b"two").unwrap();
        std::fs::rename(folder.path().join("other"), &path).unwrap();
        assert_eq!(hashed.digest(key, &path), None);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(hashed.digest(key, &path), None);
    }
}

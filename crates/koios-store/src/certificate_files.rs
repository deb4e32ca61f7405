//! The files of a certificate: one folder per generation, written whole before the commit that makes it
//! current.

use std::io;
use std::path::Path;

use koios_pki::{CertificateChain, PrivateKeyPem};

use crate::atomic::{self, Access};
use crate::certificate::{FileState, FileStates};
use crate::error::{StoreError, StoredFile};
use crate::file_digest::FileDigest;
use crate::file_stamp::FileStamp;
use crate::hashed_files::HashedFiles;
use crate::id::CertificateId;
use crate::key_files::{self, KeyFile, KeyFiles};
use crate::layout::Layout;

/// Longest certificate file that is read; what an upload may carry (256 KiB) fits twice, as PEM.
pub(crate) const MAX_BYTES: u64 = 1024 * 1024;

/// What each file must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) certificate: FileDigest,
    pub(crate) chain: FileDigest,
    pub(crate) private_key: FileDigest,
}

/// The files of a new generation, still in memory.
pub(crate) struct GenerationFiles {
    certificate_der: Vec<u8>,
    chain_pem: String,
    key: KeyFile,
}

impl GenerationFiles {
    pub(crate) fn new(chain: &CertificateChain, key: KeyFile) -> Self {
        Self { certificate_der: chain.leaf().der().to_vec(), chain_pem: chain.to_pem(), key }
    }

    pub(crate) fn digests(&self) -> Digests {
        Digests {
            certificate: FileDigest::of(&self.certificate_der),
            chain: FileDigest::of(self.chain_pem.as_bytes()),
            private_key: self.key.digest(),
        }
    }

    /// Writes the folder of the generation and waits until it is on the disk: files first, then their
    /// folders.
    ///
    /// Takes what an earlier, cut-off attempt left there out of the way; the caller makes sure that the
    /// generation is not current.
    pub(crate) fn write(
        &self,
        layout: &Layout,
        id: CertificateId,
        generation: u32,
    ) -> Result<(), StoreError> {
        let folder = layout.generation(id, generation);
        self.try_write(layout, &folder, id, generation).map_err(|source| StoreError::io(&folder, source))
    }

    fn try_write(
        &self,
        layout: &Layout,
        folder: &Path,
        id: CertificateId,
        generation: u32,
    ) -> io::Result<()> {
        atomic::remove_folder(folder)?;
        atomic::create_folder(folder)?;
        let path = |file| layout.file(id, generation, file);
        atomic::write_new(&path(StoredFile::Certificate), &self.certificate_der, Access::Public)?;
        atomic::write_new(&path(StoredFile::Chain), self.chain_pem.as_bytes(), Access::Public)?;
        key_files::write(layout, id, generation, &self.key)?;
        sync_folders(layout, id, folder)
    }
}

/// The key of a certificate request, still in memory: a generation that an authority's answer may complete.
pub(crate) struct StagedKey {
    key: KeyFile,
    generation: u32,
}

impl StagedKey {
    pub(crate) fn new(key: KeyFile, generation: u32) -> Self {
        Self { key, generation }
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) fn digest(&self) -> FileDigest {
        self.key.digest()
    }

    /// Writes the key into its folder and waits until it is on the disk, as [`GenerationFiles::write`].
    pub(crate) fn write(&self, layout: &Layout, id: CertificateId) -> Result<(), StoreError> {
        let folder = layout.generation(id, self.generation);
        let write = || {
            atomic::remove_folder(&folder)?;
            atomic::create_folder(&folder)?;
            key_files::write(layout, id, self.generation, &self.key)?;
            sync_folders(layout, id, &folder)
        };
        write().map_err(|source| StoreError::io(&folder, source))
    }
}

/// From the folder of a generation up to the data directory.
fn sync_folders(layout: &Layout, id: CertificateId, folder: &Path) -> io::Result<()> {
    atomic::sync_folder(folder)?;
    atomic::sync_folder(&layout.certificate(id))?;
    atomic::sync_folder(&layout.certificates())?;
    atomic::sync_folder(layout.root())
}

/// Which files are looked at to say how they are.
///
/// Whatever is used is read and compared each time, all three files of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// All three.
    All,
    /// The two that a badge is about, `certificate.der` and `private-key.pem`, for lists of many certificates. `chain.pem`
    /// begins with the same certificate and Koios reads it for nothing but this: it counts as it was last seen, and is looked
    /// at when it was not seen yet or was not the stored one.
    Badges,
}

/// What the disk says about the files of a generation. A file whose stamp is that of its last reading is not read again.
pub(crate) fn states(
    layout: &Layout,
    hashed: &HashedFiles,
    (id, generation): (CertificateId, u32),
    digests: &Digests,
    look: Look,
) -> FileStates {
    let folder = layout.generation(id, generation);
    let state = |file: StoredFile, wanted: FileDigest, look: Look| {
        let key = (id, generation, file);
        if look == Look::Badges && hashed.last_seen(key) == Some(wanted) {
            return FileState::Present;
        }
        let path = folder.join(file.file_name());
        if let Some(digest) = hashed.digest(key, &path) {
            return if digest == wanted { FileState::Present } else { FileState::Changed };
        }
        let stamp = std::fs::metadata(&path).map(|metadata| FileStamp::of(&metadata));
        let digest = match file {
            StoredFile::PrivateKey => key_files::read(layout, id, generation).map(|file| file.digest()),
            _ => key_files::read_bounded(&path, MAX_BYTES).map(|contents| FileDigest::of(&contents)),
        };
        match digest {
            Ok(digest) => {
                if let Ok(stamp) = stamp {
                    hashed.remember(key, stamp, digest);
                }
                if digest == wanted { FileState::Present } else { FileState::Changed }
            }
            Err(error) => unreadable(&error),
        }
    };
    let certificate = state(StoredFile::Certificate, digests.certificate, Look::All);
    let chain = state(StoredFile::Chain, digests.chain, look);
    let private_key = state(StoredFile::PrivateKey, digests.private_key, Look::All);
    // The order of the variants is from good to bad.
    FileStates { certificate: certificate.max(chain), private_key }
}

/// The private key of a generation, if its file is the stored one.
pub(crate) fn read_key(
    layout: &Layout,
    keys: &KeyFiles,
    id: CertificateId,
    generation: u32,
    digest: FileDigest,
) -> Result<PrivateKeyPem, FileState> {
    match key_files::read(layout, id, generation) {
        // A file that was stored under another data key came here with rows of another directory.
        Ok(file) if file.digest() == digest => keys.key_of(file).map_err(|_| FileState::Changed),
        Ok(_) => Err(FileState::Changed),
        Err(error) => Err(unreadable(&error)),
    }
}

/// Which file of a generation is not the stored one, if any; certificate files before the key.
pub(crate) fn first_fault(
    layout: &Layout,
    id: CertificateId,
    generation: u32,
    digests: &Digests,
) -> Option<(StoredFile, FileState)> {
    [(StoredFile::Certificate, digests.certificate), (StoredFile::Chain, digests.chain)]
        .into_iter()
        .map(|(file, digest)| {
            let contents = key_files::read_bounded(&layout.file(id, generation, file), MAX_BYTES);
            (file, public_file_state(contents, digest))
        })
        .find(|(_, state)| *state != FileState::Present)
}

fn public_file_state(contents: io::Result<Vec<u8>>, digest: FileDigest) -> FileState {
    match contents {
        Ok(contents) if FileDigest::of(&contents) == digest => FileState::Present,
        Ok(_) => FileState::Changed,
        Err(error) => unreadable(&error),
    }
}

/// A file that cannot be read.
fn unreadable(error: &io::Error) -> FileState {
    match error.kind() {
        // Too long, or not a plain file: something else lies there.
        io::ErrorKind::InvalidData => FileState::Changed,
        _ => FileState::Missing,
    }
}

/// Removes a generation that is no longer, or never became, current: the key first.
pub(crate) fn remove_generation(layout: &Layout, id: CertificateId, generation: u32) -> io::Result<()> {
    key_files::remove(layout, id, generation)?;
    atomic::remove_folder(&layout.generation(id, generation))
}

/// Removes a generation that never became current, and the certificate's folder when nothing else is in it.
pub(crate) fn discard(layout: &Layout, id: CertificateId, generation: u32) -> io::Result<()> {
    remove_generation(layout, id, generation)?;
    match std::fs::remove_dir(layout.certificate(id)) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Removes a certificate's folder with all generations: the key of the current one first.
pub(crate) fn remove_certificate(layout: &Layout, id: CertificateId, generation: u32) -> io::Result<()> {
    remove_generation(layout, id, generation)?;
    atomic::remove_folder(&layout.certificate(id))
}

/// The change is in force, so its caller is told of success; the old key is the operator's to remove.
pub(crate) fn tell_old_key_remains(path: &Path, error: &io::Error) {
    tracing::error!(
        path = %path.display(),
        %error,
        "the change is in force, but the old private key could not be removed; remove it by hand, the next start \
         tries again"
    );
}

/// Whether the key of a generation is there with something in it, which may be the only copy: it is written last, and
/// alone when it is staged for a request.
pub(crate) fn holds_key(layout: &Layout, id: CertificateId, generation: u32) -> bool {
    std::fs::metadata(layout.file(id, generation, StoredFile::PrivateKey))
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    const FILES: [StoredFile; 3] = [StoredFile::Certificate, StoredFile::Chain, StoredFile::PrivateKey];

    struct Fixture {
        _folder: tempfile::TempDir,
        layout: Layout,
        hashed: HashedFiles,
        id: CertificateId,
        digests: Digests,
    }

    impl Fixture {
        /// Files that were written and read long ago.
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let layout = Layout::new(folder.path().to_owned());
            let id = CertificateId::generate();
            std::fs::create_dir_all(layout.generation(id, 1)).unwrap();
            let of = |file: StoredFile| FileDigest::of(file.file_name().as_bytes());
            let digests = Digests {
                certificate: of(StoredFile::Certificate),
                chain: of(StoredFile::Chain),
                private_key: of(StoredFile::PrivateKey),
            };
            let fixture = Self { _folder: folder, layout, hashed: HashedFiles::default(), id, digests };
            FILES.into_iter().for_each(|file| fixture.put(file));
            fixture
        }

        /// Writes what the file must hold, in place, and remembers it as if that were long ago.
        fn put(&self, file: StoredFile) {
            std::fs::write(self.path(file), file.file_name()).unwrap();
            self.hashed.insert(
                (self.id, 1, file),
                FileStamp::of(&std::fs::metadata(self.path(file)).unwrap()),
                FileDigest::of(file.file_name().as_bytes()),
            );
        }

        fn path(&self, file: StoredFile) -> std::path::PathBuf {
            self.layout.file(self.id, 1, file)
        }

        fn states(&self, look: Look) -> FileStates {
            states(&self.layout, &self.hashed, (self.id, 1), &self.digests, look)
        }

        /// How many files a look looks at.
        fn looks(&self, look: Look) -> usize {
            let before = self.hashed.looks.load(Ordering::Relaxed);
            self.states(look);
            self.hashed.looks.load(Ordering::Relaxed) - before
        }
    }

    #[test]
    fn a_badge_costs_a_look_at_two_files_and_a_certificate_alone_at_three() {
        let fixture = Fixture::new();
        assert!(fixture.states(Look::Badges).all_present());
        assert_eq!((fixture.looks(Look::Badges), fixture.looks(Look::All)), (2, 3));
    }

    #[test]
    fn a_badge_shows_at_once_what_happens_to_certificate_and_key() {
        for file in [StoredFile::Certificate, StoredFile::PrivateKey] {
            let fixture = Fixture::new();
            let path = fixture.path(file);
            let other = fixture.path(StoredFile::Chain).with_extension("other");
            let swapped = "x".repeat(file.file_name().len());
            let changes: [(&str, &dyn Fn(), FileState); 4] = [
                ("removed", &|| std::fs::remove_file(&path).unwrap(), FileState::Missing),
                ("truncated", &|| std::fs::write(&path, "").unwrap(), FileState::Changed),
                ("overwritten in place", &|| std::fs::write(&path, &swapped).unwrap(), FileState::Changed),
                (
                    "replaced by another of the same length",
                    &|| {
                        std::fs::write(&other, &swapped).unwrap();
                        std::fs::rename(&other, &path).unwrap();
                    },
                    FileState::Changed,
                ),
            ];
            for (what, change, expected) in changes {
                change();
                let FileStates { certificate, private_key } = fixture.states(Look::Badges);
                assert_eq!(certificate.max(private_key), expected, "{what}: {file:?}");
                fixture.put(file);
                assert!(fixture.states(Look::Badges).all_present(), "{what}, and put back");
            }
        }
    }

    /// The third file: what a badge says of it is as old as the last look at all, once that was good; never after a bad one.
    #[test]
    fn a_chain_that_was_seen_changed_or_missing_is_looked_at_until_it_is_back() {
        type Change = fn(&Path);
        let changes: [(Change, FileState); 2] = [
            (|path| std::fs::write(path, "other").unwrap(), FileState::Changed),
            (|path| std::fs::remove_file(path).unwrap(), FileState::Missing),
        ];
        for (change, expected) in changes {
            let fixture = Fixture::new();
            change(&fixture.path(StoredFile::Chain));
            assert!(fixture.states(Look::Badges).all_present(), "not looked at");
            assert_eq!(fixture.states(Look::All).certificate, expected);
            assert_eq!(fixture.states(Look::Badges).certificate, expected);
            std::fs::write(fixture.path(StoredFile::Chain), StoredFile::Chain.file_name()).unwrap();
            assert!(fixture.states(Look::Badges).all_present(), "clears without another look at all");
        }
    }

    #[test]
    fn a_chain_that_nobody_has_looked_at_is_looked_at() {
        let fixture = Fixture::new();
        fixture.hashed.forget((fixture.id, 1, StoredFile::Chain));
        std::fs::write(fixture.path(StoredFile::Chain), "other").unwrap();
        assert_eq!(fixture.states(Look::Badges).certificate, FileState::Changed);
    }
}

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

/// What the disk says about the files of a generation. A file whose stamp is that of its last reading is not read again.
pub(crate) fn states(
    layout: &Layout,
    hashed: &HashedFiles,
    id: CertificateId,
    generation: u32,
    digests: &Digests,
) -> FileStates {
    let state = |file: StoredFile, wanted: FileDigest| {
        let path = layout.file(id, generation, file);
        if let Some(digest) = hashed.digest(&path) {
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
                    hashed.remember(path, stamp, digest);
                }
                if digest == wanted { FileState::Present } else { FileState::Changed }
            }
            Err(error) => unreadable(&error),
        }
    };
    let certificate = state(StoredFile::Certificate, digests.certificate);
    let chain = state(StoredFile::Chain, digests.chain);
    let private_key = state(StoredFile::PrivateKey, digests.private_key);
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

//! Where private keys lie: the one seam behind which another place for them would fit.
//!
//! Nothing else in this crate looks at a key's bytes, and this only carries them; [`koios_pki`] encrypts and decrypts.

use std::fs::File;
use std::io::{self, Read};

use koios_pki::{EncryptionSeed, KeyError, PrivateKeyPem, WrappingSecret};
use zeroize::Zeroizing;

use crate::atomic::{self, Access};
use crate::error::{StoreError, StoredFile};
use crate::file_digest::FileDigest;
use crate::id::CertificateId;
use crate::layout::Layout;

/// Longest key file that is read; an RSA key of 4096 bits takes 3.3 KB.
pub(crate) const MAX_BYTES: u64 = 64 * 1024;

/// The contents of a file that holds a private key, in plain form or encrypted; overwritten when dropped.
pub(crate) struct KeyFile(Zeroizing<Vec<u8>>);

impl KeyFile {
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn digest(&self) -> FileDigest {
        FileDigest::of(&self.0)
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        PrivateKeyPem::is_wrapped(&self.0)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// In which form the files of new keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyForm {
    /// PKCS#8.
    Plain,
    /// PKCS#8, encrypted under the data key.
    Encrypted,
}

/// Makes files of keys, and keys of files.
pub(crate) struct KeyFiles {
    /// `None` where the master key is not at hand: what is encrypted stays shut.
    data_key: Option<WrappingSecret>,
    form: KeyForm,
}

impl KeyFiles {
    pub(crate) fn new(data_key: Option<WrappingSecret>, form: KeyForm) -> Self {
        Self { data_key, form }
    }

    pub(crate) fn form(&self) -> KeyForm {
        self.form
    }

    /// What is to be written for a key.
    pub(crate) fn file_of(&self, key: &PrivateKeyPem) -> Result<KeyFile, StoreError> {
        let unusable = |source| StoreError::corrupt("a private key that cannot be encrypted", source);
        match self.form {
            KeyForm::Plain => Ok(KeyFile::from_bytes(key.secret_bytes().to_vec())),
            KeyForm::Encrypted => {
                let mut seed = [0; 64];
                aws_lc_rs::rand::fill(&mut seed)
                    .map_err(|source| StoreError::corrupt("the system's source of randomness", source))?;
                let data_key = self.data_key.as_ref().ok_or(KeyError::Encryption).map_err(unusable)?;
                let wrapped = key.wrap(data_key, &EncryptionSeed::from_random_bytes(seed));
                wrapped.map(KeyFile::from_bytes).map_err(unusable)
            }
        }
    }

    /// The key in a file, in whichever form it is.
    pub(crate) fn key_of(&self, mut file: KeyFile) -> Result<PrivateKeyPem, KeyError> {
        match (file.is_encrypted(), &self.data_key) {
            (true, Some(data_key)) => PrivateKeyPem::unwrap_from(file.bytes(), data_key),
            (true, None) => Err(KeyError::Unwrapping),
            (false, _) => Ok(PrivateKeyPem::from_bytes(std::mem::take(&mut *file.0))),
        }
    }

    /// Whether it opens files that are encrypted.
    pub(crate) fn opens_encrypted(&self) -> bool {
        self.data_key.is_some()
    }
}

impl std::fmt::Debug for KeyFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFiles").field("form", &self.form).finish_non_exhaustive()
    }
}

/// Writes the key of a new generation, whose folder is there, and waits until it is on the disk.
pub(crate) fn write(layout: &Layout, id: CertificateId, generation: u32, key: &KeyFile) -> io::Result<()> {
    atomic::write_new(&layout.file(id, generation, StoredFile::PrivateKey), key.bytes(), Access::Secret)
}

/// Writes the key of a generation in another form, in one step.
pub(crate) fn rewrite(layout: &Layout, id: CertificateId, generation: u32, key: &KeyFile) -> io::Result<()> {
    atomic::replace(&layout.file(id, generation, StoredFile::PrivateKey), key.bytes(), Access::Secret)
}

/// Reads the file of a generation's key, whatever lies there: the caller compares its digest.
pub(crate) fn read(layout: &Layout, id: CertificateId, generation: u32) -> io::Result<KeyFile> {
    read_bounded(&layout.file(id, generation, StoredFile::PrivateKey), MAX_BYTES).map(KeyFile::from_bytes)
}

/// Removes the key of a generation and waits until that is on the disk; one that is not there is fine.
pub(crate) fn remove(layout: &Layout, id: CertificateId, generation: u32) -> io::Result<()> {
    atomic::remove_file(&layout.file(id, generation, StoredFile::PrivateKey))?;
    match atomic::sync_folder(&layout.generation(id, generation)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Reads a plain file of at most `max` bytes into memory that is allocated once, so that no copies stay
/// behind.
pub(crate) fn read_bounded(path: &std::path::Path, max: u64) -> io::Result<Vec<u8>> {
    let metadata = std::fs::metadata(path)?;
    // A pipe would make the reader wait for ever.
    if !metadata.is_file() || metadata.len() > max {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let length = usize::try_from(metadata.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut bytes = Vec::with_capacity(length.saturating_add(1));
    File::open(path)?.take(metadata.len()).read_to_end(&mut bytes)?;
    Ok(bytes)
}

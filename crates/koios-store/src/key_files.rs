//! Where private keys lie: the one seam behind which another place for them would fit.
//!
//! Nothing else in this crate looks at a key's bytes, and this only carries them.

use std::fs::File;
use std::io::{self, Read};

use koios_pki::PrivateKeyPem;

use crate::atomic::{self, Access};
use crate::error::StoredFile;
use crate::file_digest::FileDigest;
use crate::id::CertificateId;
use crate::layout::Layout;

/// Longest key file that is read; an RSA key of 4096 bits takes 3.3 KB.
pub(crate) const MAX_BYTES: u64 = 64 * 1024;

/// SHA-256 of the file that holds the key.
pub(crate) fn digest(key: &PrivateKeyPem) -> FileDigest {
    FileDigest::of(key.secret_bytes())
}

/// Writes the key of a new generation, whose folder is there, and waits until it is on the disk.
pub(crate) fn write(
    layout: &Layout,
    id: CertificateId,
    generation: u32,
    key: &PrivateKeyPem,
) -> io::Result<()> {
    atomic::write_new(
        &layout.file(id, generation, StoredFile::PrivateKey),
        key.secret_bytes(),
        Access::Secret,
    )
}

/// Reads the key of a generation, whatever lies there: the caller compares its digest.
pub(crate) fn read(layout: &Layout, id: CertificateId, generation: u32) -> io::Result<PrivateKeyPem> {
    read_bounded(&layout.file(id, generation, StoredFile::PrivateKey), MAX_BYTES)
        .map(PrivateKeyPem::from_bytes)
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

//! The certificate and key that the daemon itself made for its listener.
//!
//! They belong to this machine's listener and to nothing that is stored: a backup leaves them out, a restore leaves them where
//! they are. Whatever makes them unreadable costs a new certificate and nothing else.

use std::fmt;
use std::io;
use std::path::PathBuf;

use koios_pki::PrivateKeyPem;

use crate::atomic::{self, Access};
use crate::certificate_files;
use crate::error::StoreError;
use crate::key_files::{self, KeyFile, KeyForm, read_bounded};
use crate::layout::Layout;
use crate::store::Store;

/// The certificate, which whoever connects may be given.
pub(crate) const CERTIFICATE: &str = "certificate.pem";

/// Its key; under encryption at rest, encrypted like all others.
pub(crate) const PRIVATE_KEY: &str = "private-key.pem";

/// What a writing that was cut off leaves beside them.
pub(crate) const MOMENTARY: [&str; 2] = ["certificate.new", "private-key.new"];

/// A certificate for the listener and its key; whether they belong together is the reader's to see.
#[expect(clippy::exhaustive_structs, reason = "a certificate and its key")]
pub struct TlsIdentity {
    /// PEM.
    pub certificate: Vec<u8>,
    /// PKCS#8 in PEM.
    pub private_key: PrivateKeyPem,
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsIdentity([key elided])")
    }
}

impl Store {
    /// The certificate that was made for the listener; `None` when there is none, or its key cannot be opened any more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn tls_identity(&self) -> Result<Option<TlsIdentity>, StoreError> {
        let keys = self.inner.key_files.clone();
        self.blocking(move |layout| {
            let Some(certificate) = read(layout.tls_certificate(), certificate_files::MAX_BYTES)? else {
                return Ok(None);
            };
            let path = layout.tls_private_key();
            let Some(file) = read(path.clone(), key_files::MAX_BYTES)?.map(KeyFile::from_bytes) else {
                return Ok(None);
            };
            let is_encrypted = file.is_encrypted();
            let Ok(private_key) = keys.key_of(file) else { return Ok(None) };
            if keys.form() == KeyForm::Encrypted && !is_encrypted {
                let encrypted = keys.file_of(&private_key)?;
                atomic::replace(&path, encrypted.bytes(), Access::Secret)
                    .map_err(|source| StoreError::io(&path, source))?;
            }
            Ok(Some(TlsIdentity { certificate, private_key }))
        })
        .await
    }

    /// Keeps a certificate for the listener in the place of the one before; answers where it lies.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like.
    pub async fn write_tls_identity(&self, identity: TlsIdentity) -> Result<PathBuf, StoreError> {
        let store = self.clone();
        self.run(async move {
            let keys = store.inner.key_files.clone();
            store
                .blocking(move |layout| write(layout, &keys.file_of(&identity.private_key)?, &identity))
                .await
        })
        .await
    }
}

/// Cut off between the two, they do not belong together, and another one is made.
fn write(layout: &Layout, key: &KeyFile, identity: &TlsIdentity) -> Result<PathBuf, StoreError> {
    let folder = layout.tls();
    let (certificate, private_key) = (layout.tls_certificate(), layout.tls_private_key());
    atomic::create_folder(&folder)
        .and_then(|()| atomic::replace(&private_key, key.bytes(), Access::Secret))
        .and_then(|()| atomic::replace(&certificate, &identity.certificate, Access::Public))
        .map_err(|source| StoreError::io(&folder, source))?;
    Ok(certificate)
}

fn read(path: PathBuf, longest: u64) -> Result<Option<Vec<u8>>, StoreError> {
    match read_bounded(&path, longest) {
        Ok(bytes) => Ok(Some(bytes)),
        // What is not a file of ours is written anew.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
            Ok(None)
        }
        Err(error) => Err(StoreError::io(&path, error)),
    }
}

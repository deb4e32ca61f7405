//! Encryption at rest: whether private keys lie encrypted, and the way from one to the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::audit::AuditEntry;
use crate::database::Connection;
use crate::error::{StoreError, with_causes};
use crate::instant;
use crate::key_files::{KeyFiles, KeyForm};
use crate::store::{Apply, Store};
use crate::{data_key, facts, key_conversion, restore};

/// How far the encryption of private keys has come.
const FACT: &str = "encryption at rest";

/// Whether private keys lie encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    Off,
    /// New ones are; others may not be yet.
    Begun,
    On,
}

impl Encryption {
    pub(crate) async fn read(connection: &mut Connection) -> Result<Self, StoreError> {
        match facts::read(connection, FACT).await?.as_deref() {
            None => Ok(Self::Off),
            Some("begun") => Ok(Self::Begun),
            Some("on") => Ok(Self::On),
            Some(other) => Err(StoreError::corrupt("facts.value", format!("unknown: {other:?}"))),
        }
    }

    async fn write(self, connection: &mut Connection) -> Result<(), StoreError> {
        match self {
            Self::Off => facts::forget(connection, FACT).await,
            Self::Begun => facts::write(connection, FACT, "begun").await,
            Self::On => facts::write(connection, FACT, "on").await,
        }
    }

    /// In which form new keys are written.
    pub(crate) fn form(self, wanted: bool) -> KeyForm {
        if wanted || self != Self::Off { KeyForm::Encrypted } else { KeyForm::Plain }
    }
}

/// What decrypting the private keys came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DecryptedKeys {
    /// How many files are in plain form now.
    pub files: usize,
    /// Files that are encrypted still: they are not the stored ones, or cannot be read.
    pub left: Vec<PathBuf>,
}

impl Store {
    /// Encrypts what is to be encrypted and is not.
    pub(crate) async fn settle_encryption(
        &self,
        wanted: bool,
        encryption: Encryption,
    ) -> Result<(), StoreError> {
        if !wanted && encryption != Encryption::Off {
            tracing::warn!(
                "encryption_at_rest is off, but private keys are encrypted and stay so; `koiosd decrypt-keys` writes them in \
                 plain form"
            );
        }
        if encryption == Encryption::On || (!wanted && encryption == Encryption::Off) {
            return Ok(());
        }
        if encryption == Encryption::Off {
            self.note(Encryption::Begun, AuditEntry::new(instant::now(), "koios", "encryption_at_rest.on"))
                .await?;
        }
        let inner = &self.inner;
        match key_conversion::convert(&inner.database, &inner.layout, &inner.key_files).await {
            Ok(converted) if converted.left.is_empty() => {
                let (_turn, mut write) = inner.database.write().await?;
                Encryption::On.write(&mut write).await?;
                inner.database.commit(write).await?;
                if converted.files > 0 {
                    tracing::info!(
                        files = converted.files,
                        "encrypted the private keys; what was written before may still be found on the disk and in backups: \
                         regenerate the certificates where that matters"
                    );
                }
                self.tell_of_plain_copies();
            }
            Ok(converted) => {
                for path in converted.left {
                    tracing::warn!(
                        path = %path.display(),
                        "this private key is not the one that was stored, or cannot be read, and is not encrypted; the next \
                         start tries again"
                    );
                }
            }
            Err(error) => tracing::error!(
                error = with_causes(&error),
                "not every private key could be encrypted; new ones are, and the next start goes on with the others"
            ),
        }
        Ok(())
    }

    /// Writes the private keys in plain form, and closes the store. A process that ends on the way leaves them readable; the
    /// next start encrypts them again.
    ///
    /// `entry` goes to the audit trail.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like: some keys may be in plain form then.
    pub async fn decrypt_private_keys(self, entry: AuditEntry) -> Result<DecryptedKeys, StoreError> {
        let store = self.clone();
        let result = self.run(async move { store.decrypt(entry).await }).await;
        self.close().await;
        result
    }

    async fn decrypt(&self, entry: AuditEntry) -> Result<DecryptedKeys, StoreError> {
        let inner = &self.inner;
        let data_key = data_key::newest(&mut *inner.database.read().await?, &inner.secrets).await?;
        let data_key =
            data_key.ok_or_else(|| StoreError::corrupt("data_keys", "the master key does not open it"))?;
        self.note(Encryption::Begun, entry).await?;
        let keys = Arc::new(KeyFiles::new(Some(data_key), KeyForm::Plain));
        let converted = key_conversion::convert(&inner.database, &inner.layout, &keys).await?;
        if converted.left.is_empty() {
            let (_turn, mut write) = inner.database.write().await?;
            Encryption::Off.write(&mut write).await?;
            inner.database.commit(write).await?;
        }
        Ok(DecryptedKeys { files: converted.files, left: converted.left })
    }

    async fn note(&self, encryption: Encryption, entry: AuditEntry) -> Result<(), StoreError> {
        let mut write = self.recording(entry).begin().await?;
        encryption.write(write.connection()).await?;
        write.finish(Apply::Commit).await
    }

    /// Keys that no row names are not ours to change.
    fn tell_of_plain_copies(&self) {
        for folder in plain_copies(self.inner.layout.root(), &self.inner.layout.orphaned()) {
            tracing::warn!(
                path = %folder.display(),
                "this folder may hold private keys in plain form: put them to use or delete them"
            );
        }
    }
}

/// Folders in which earlier starts and restores kept what was there.
fn plain_copies(root: &Path, orphaned: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let kept = entries.filter(|entry| {
        entry.file_name().as_encoded_bytes().starts_with(restore::KEPT_BY_RESTORE.as_bytes())
    });
    kept.map(|entry| entry.path()).chain(orphaned.is_dir().then(|| orphaned.to_owned())).collect()
}

//! The keys of the seals.

use aws_lc_rs::hmac;

use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::sealed_keys::{InUse, SealedKeys};
use crate::secrets::{KEY_LEN, SecretsKey};

/// The key with which entries are sealed now, or were once.
#[derive(Clone)]
pub(crate) struct AuditKey {
    id: i64,
    key: hmac::Key,
}

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl AuditKey {
    /// The newest key, or a new one when there is none or the master key does not open it.
    pub(crate) async fn open(database: &Database, secrets: &SecretsKey) -> Result<Self, StoreError> {
        let InUse { id, key, replaces_lost } = SealedKeys::AUDIT.open(database, secrets).await?;
        if replaces_lost {
            tracing::warn!(
                "the key of the audit trail cannot be opened with the present master key; entries from now on have a new \
                 one, and the older ones cannot be verified"
            );
        }
        Ok(Self::of(id, key.as_ref()))
    }

    /// A key for a store that writes nothing: never used.
    pub(crate) async fn for_reading(database: &Database, secrets: &SecretsKey) -> Result<Self, StoreError> {
        let keys = Self::all(&mut *database.read().await?, secrets).await?;
        Ok(keys.into_iter().last().unwrap_or_else(|| Self::of(0, &[0; KEY_LEN])))
    }

    /// The newest key; `None` when there is none, or the master key does not open it.
    pub(crate) async fn in_use(
        database: &Database,
        secrets: &SecretsKey,
    ) -> Result<Option<Self>, StoreError> {
        let newest = SealedKeys::AUDIT.newest(&mut *database.read().await?).await?;
        Ok(newest.and_then(|sealed| Some(Self::of(sealed.id, sealed.open(secrets)?.as_ref()))))
    }

    /// Every key that the master key opens.
    pub(crate) async fn all(
        connection: &mut Connection,
        secrets: &SecretsKey,
    ) -> Result<Vec<Self>, StoreError> {
        let keys = SealedKeys::AUDIT.all(connection).await?.into_iter();
        Ok(keys.filter_map(|sealed| Some(Self::of(sealed.id, sealed.open(secrets)?.as_ref()))).collect())
    }

    fn of(id: i64, bytes: &[u8]) -> Self {
        Self { id, key: hmac::Key::new(hmac::HMAC_SHA256, bytes) }
    }

    pub(super) fn id(&self) -> i64 {
        self.id
    }

    pub(super) fn key(&self) -> &hmac::Key {
        &self.key
    }

    #[cfg(test)]
    pub(super) fn of_test(byte: u8) -> Self {
        Self::of(1, &[byte; KEY_LEN])
    }
}

//! The keys of the seals: random, kept sealed under the master key, so that a change of the master key re-wraps them and
//! no hash changes.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::database::{Connection, Database, DatabaseResult};
use crate::error::StoreError;
use crate::instant;
use crate::secrets::SecretsKey;

const KEY_LEN: usize = 32;

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
        let newest: Option<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT id, sealed FROM audit_keys ORDER BY id DESC LIMIT 1")
                .fetch_optional(&mut *database.read().await?)
                .await
                .database()?;
        let last = newest.as_ref().map_or(0, |(id, _)| *id);
        if let Some((id, sealed)) = newest {
            match Self::unsealed(id, &sealed, secrets) {
                Some(key) => return Ok(key),
                None => tracing::warn!(
                    "the key of the audit trail cannot be opened with the present master key; entries from now on have a \
                     new one, and the older ones cannot be verified"
                ),
            }
        }
        Self::create(database, secrets, last.saturating_add(1)).await
    }

    /// A key for a store that writes nothing: never used.
    pub(crate) async fn for_reading(database: &Database, secrets: &SecretsKey) -> Result<Self, StoreError> {
        let keys = Self::all(&mut *database.read().await?, secrets).await?;
        Ok(keys.into_iter().last().unwrap_or_else(|| Self::of(0, &[0; KEY_LEN])))
    }

    /// Every key that the master key opens.
    pub(crate) async fn all(
        connection: &mut Connection,
        secrets: &SecretsKey,
    ) -> Result<Vec<Self>, StoreError> {
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as("SELECT id, sealed FROM audit_keys ORDER BY id")
            .fetch_all(connection)
            .await
            .database()?;
        Ok(rows.into_iter().filter_map(|(id, sealed)| Self::unsealed(id, &sealed, secrets)).collect())
    }

    async fn create(database: &Database, secrets: &SecretsKey, id: i64) -> Result<Self, StoreError> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        aws_lc_rs::rand::fill(bytes.as_mut())
            .map_err(|source| StoreError::corrupt("the system's source of randomness", source))?;
        let sealed = secrets.seal_bytes(&associated_data(id), bytes.as_ref())?;
        let (_turn, mut write) = database.write().await?;
        sqlx::query("INSERT INTO audit_keys (id, sealed, created_at) VALUES ($1, $2, $3)")
            .bind(id)
            .bind(sealed)
            .bind(instant::to_micros(instant::now()))
            .execute(&mut *write)
            .await
            .database()?;
        database.commit(write).await?;
        Ok(Self::of(id, bytes.as_ref()))
    }

    fn unsealed(id: i64, sealed: &[u8], secrets: &SecretsKey) -> Option<Self> {
        let bytes = secrets.open_bytes(&associated_data(id), sealed)?;
        (bytes.len() == KEY_LEN).then(|| Self::of(id, &bytes))
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

pub(crate) fn associated_data(id: i64) -> Vec<u8> {
    [b"koios audit key ".as_slice(), &id.to_be_bytes()].concat()
}

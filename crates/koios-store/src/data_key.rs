//! The key that files of private keys are encrypted with: random, kept sealed under the master key, so that a change of the
//! master key re-wraps it and no file changes.

use koios_pki::WrappingSecret;
use zeroize::Zeroizing;

use crate::database::{Connection, Database, DatabaseResult};
use crate::error::StoreError;
use crate::instant;
use crate::secrets::{KEY_LEN, SecretsKey};

/// The newest key; `None` when there is none, or the master key does not open it.
pub(crate) async fn newest(
    connection: &mut Connection,
    secrets: &SecretsKey,
) -> Result<Option<WrappingSecret>, StoreError> {
    Ok(newest_sealed(connection).await?.and_then(|(id, sealed)| unsealed(id, &sealed, secrets)))
}

/// The newest key, or a new one when there is none or the master key does not open it.
pub(crate) async fn open(database: &Database, secrets: &SecretsKey) -> Result<WrappingSecret, StoreError> {
    let newest = newest_sealed(&mut *database.read().await?).await?;
    let last = newest.as_ref().map_or(0, |(id, _)| *id);
    match newest.and_then(|(id, sealed)| unsealed(id, &sealed, secrets)) {
        Some(secret) => Ok(secret),
        None => create(database, secrets, last.saturating_add(1)).await,
    }
}

/// A key for a store that writes nothing: never used where the master key does not open the stored one.
pub(crate) async fn for_reading(
    database: &Database,
    secrets: &SecretsKey,
) -> Result<WrappingSecret, StoreError> {
    let newest = newest(&mut *database.read().await?, secrets).await?;
    Ok(newest.unwrap_or_else(|| WrappingSecret::from_random_bytes(&[0; KEY_LEN])))
}

async fn newest_sealed(connection: &mut Connection) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
    sqlx::query_as("SELECT id, sealed FROM data_keys ORDER BY id DESC LIMIT 1")
        .fetch_optional(connection)
        .await
        .database()
}

async fn create(database: &Database, secrets: &SecretsKey, id: i64) -> Result<WrappingSecret, StoreError> {
    let mut bytes = Zeroizing::new([0; KEY_LEN]);
    aws_lc_rs::rand::fill(bytes.as_mut())
        .map_err(|source| StoreError::corrupt("the system's source of randomness", source))?;
    let sealed = secrets.seal_bytes(&associated_data(id), bytes.as_ref())?;
    let (_turn, mut write) = database.write().await?;
    sqlx::query("INSERT INTO data_keys (id, sealed, created_at) VALUES ($1, $2, $3)")
        .bind(id)
        .bind(sealed)
        .bind(instant::to_micros(instant::now()))
        .execute(&mut *write)
        .await
        .database()?;
    database.commit(write).await?;
    Ok(WrappingSecret::from_random_bytes(&bytes))
}

fn unsealed(id: i64, sealed: &[u8], secrets: &SecretsKey) -> Option<WrappingSecret> {
    let bytes = secrets.open_bytes(&associated_data(id), sealed)?;
    bytes.first_chunk().filter(|_| bytes.len() == KEY_LEN).map(WrappingSecret::from_random_bytes)
}

pub(crate) fn associated_data(id: i64) -> Vec<u8> {
    [b"koios data key ".as_slice(), &id.to_be_bytes()].concat()
}

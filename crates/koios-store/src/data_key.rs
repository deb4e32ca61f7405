//! The key that files of private keys are encrypted with.

use koios_pki::WrappingSecret;

use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::sealed_keys::SealedKeys;
use crate::secrets::SecretsKey;

/// The newest key; `None` when there is none, or the master key does not open it.
pub(crate) async fn newest(
    connection: &mut Connection,
    secrets: &SecretsKey,
) -> Result<Option<WrappingSecret>, StoreError> {
    let newest = SealedKeys::DATA.newest(connection).await?;
    Ok(newest.and_then(|key| key.open(secrets)).map(|key| WrappingSecret::from_random_bytes(&key)))
}

/// The newest key, or a new one when there is none or the master key does not open it.
pub(crate) async fn open(database: &Database, secrets: &SecretsKey) -> Result<WrappingSecret, StoreError> {
    let key = SealedKeys::DATA.open(database, secrets).await?.key;
    Ok(WrappingSecret::from_random_bytes(&key))
}

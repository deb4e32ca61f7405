//! Changing the master key: everything that is sealed is sealed anew, in one commit.

use crate::atomic::{self, Access};
use crate::audit::{self, AuditEntry, AuditKey};
use crate::database::{Connection, Database, DatabaseResult};
use crate::error::{StoreError, with_causes};
use crate::id::DeviceId;
use crate::layout::Layout;
use crate::sealed_keys::SealedKeys;
use crate::secrets::{self, SecretsKey};
use crate::store::Store;

use super::MasterKey;
use super::settle::{Place, note_place, remove_kept_keys};

/// Which master key takes the place of the present one.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a key is inside of the data directory or outside")]
pub enum NewMasterKey {
    /// One that is kept outside of the data directory.
    External(MasterKey),
    /// A new random one, in `secrets.key`.
    InDataDirectory,
}

impl Store {
    /// Puts another master key in the place of the present one and closes the store.
    ///
    /// One commit seals everything anew; a process that ends on the way leaves the old key in force or the new one. No file
    /// of a private key is written. What was sealed under a key that is lost already stays lost.
    ///
    /// `entry` goes to the audit trail.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like: the present key stays in force.
    pub async fn replace_master_key(self, new: NewMasterKey, entry: AuditEntry) -> Result<(), StoreError> {
        let store = self.clone();
        let result = self.run(async move { store.replace_master(new, entry).await }).await;
        self.close().await;
        result
    }

    async fn replace_master(&self, new: NewMasterKey, entry: AuditEntry) -> Result<(), StoreError> {
        let (key, place) = match &new {
            NewMasterKey::External(master) => (master.secrets_key().ok_or_else(unusable)?, Place::External),
            NewMasterKey::InDataDirectory => (self.blocking(write_next).await?, Place::DataDirectory),
        };
        rewrap(&self.inner.database, &self.inner.secrets, &key, place, entry).await?;
        // Committed: what does not come about now, the next start does.
        let settled = match place {
            Place::External => self.blocking(remove_kept_keys).await,
            Place::DataDirectory => self.blocking(put_next_in_place).await,
        };
        if let Err(error) = settled {
            tracing::warn!(
                error = with_causes(&error),
                "the new master key is in force; the next start clears up"
            );
        }
        Ok(())
    }
}

fn unusable() -> StoreError {
    StoreError::corrupt("the new master key", "it cannot be used")
}

/// Writes a new key beside the present one.
fn write_next(layout: &Layout) -> Result<SecretsKey, StoreError> {
    let path = layout.next_secrets_key();
    let bytes = secrets::random_key()?;
    atomic::replace(&path, bytes.as_ref(), Access::Secret).map_err(|source| StoreError::io(&path, source))?;
    SecretsKey::from_bytes(bytes.as_ref()).ok_or_else(unusable)
}

pub(super) fn put_next_in_place(layout: &Layout) -> Result<(), StoreError> {
    let path = layout.secrets_key();
    std::fs::rename(layout.next_secrets_key(), &path)
        .and_then(|()| atomic::sync_folder(layout.root()))
        .map_err(|source| StoreError::io(&path, source))
}

/// Seals everything that `old` opens under `new`; the rest is left as it is.
pub(super) async fn rewrap(
    database: &Database,
    old: &SecretsKey,
    new: &SecretsKey,
    place: Place,
    entry: AuditEntry,
) -> Result<(), StoreError> {
    let (_turn, mut write) = database.write().await?;
    let connection: &mut Connection = &mut write;
    // The key of the audit trail stays the same: it is one of those that are sealed anew.
    if let Some(key) = AuditKey::all(&mut *connection, old).await?.pop() {
        audit::append(&mut *connection, entry, &key).await?;
    }
    for kind in SealedKeys::ALL {
        kind.rewrap(&mut *connection, old, new).await?;
    }
    let passwords: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT id, password FROM devices WHERE password IS NOT NULL")
            .fetch_all(&mut *connection)
            .await
            .database()?;
    for (id, sealed) in passwords {
        let device: DeviceId = id.parse().map_err(|source| StoreError::corrupt("devices.id", source))?;
        if let Some(sealed) = old.seal_anew(new, &secrets::associated_data(device), &sealed)? {
            sqlx::query("UPDATE devices SET password = $2 WHERE id = $1")
                .bind(id)
                .bind(sealed)
                .execute(&mut *connection)
                .await
                .database()?;
        }
    }
    note_place(connection, place).await?;
    database.commit(write).await
}

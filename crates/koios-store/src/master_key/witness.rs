//! What tells whether a key is the master key: something that only that one opens.

use crate::database::{Connection, DatabaseResult};
use crate::error::StoreError;
use crate::secrets::SecretsKey;
use crate::{audit, data_key};

/// A sealed key of the database.
#[derive(Debug)]
pub(crate) struct Witness {
    associated_data: Vec<u8>,
    sealed: Vec<u8>,
}

impl Witness {
    /// The newest sealed key; `None` in a database in which nothing was ever sealed.
    pub(crate) async fn find(connection: &mut Connection) -> Result<Option<Self>, StoreError> {
        let data_key: Option<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT id, sealed FROM data_keys ORDER BY id DESC LIMIT 1")
                .fetch_optional(&mut *connection)
                .await
                .database()?;
        if let Some((id, sealed)) = data_key {
            return Ok(Some(Self { associated_data: data_key::associated_data(id), sealed }));
        }
        // A database that an earlier version wrote last.
        let audit_key: Option<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT id, sealed FROM audit_keys ORDER BY id DESC LIMIT 1")
                .fetch_optional(connection)
                .await
                .database()?;
        Ok(audit_key.map(|(id, sealed)| Self { associated_data: audit::key_associated_data(id), sealed }))
    }

    pub(crate) fn opens(&self, key: &SecretsKey) -> bool {
        key.open_bytes(&self.associated_data, &self.sealed).is_some()
    }
}

//! Random keys that the database keeps, sealed under the master key, so that a change of the master key re-wraps them and
//! nothing that was made with them changes.

use zeroize::Zeroizing;

use crate::database::{Connection, Database, DatabaseResult};
use crate::error::StoreError;
use crate::instant;
use crate::secrets::{self, KEY_LEN, SecretsKey};

/// A key as long as the master key.
pub(crate) type Key = Zeroizing<[u8; KEY_LEN]>;

/// What keys are for. Each kind has a table of its own; the key with the highest id is in use.
#[derive(Debug)]
pub(crate) struct SealedKeys {
    /// All of them, in the order of their ids.
    select: &'static str,
    insert: &'static str,
    update: &'static str,
    /// Begins what each is sealed to.
    purpose: &'static str,
}

/// The key in use.
pub(crate) struct InUse {
    pub(crate) id: i64,
    pub(crate) key: Key,
    /// Whether it takes the place of one that the master key does not open.
    pub(crate) replaces_lost: bool,
}

/// A key of the database, still sealed.
#[derive(Debug)]
pub(crate) struct SealedKey {
    pub(crate) id: i64,
    associated_data: Vec<u8>,
    sealed: Vec<u8>,
}

impl SealedKeys {
    /// What files of private keys are encrypted with.
    pub(crate) const DATA: Self = Self {
        select: "SELECT id, sealed FROM data_keys ORDER BY id",
        insert: "INSERT INTO data_keys (id, sealed, created_at) VALUES ($1, $2, $3)",
        update: "UPDATE data_keys SET sealed = $2 WHERE id = $1",
        purpose: "koios data key ",
    };

    /// What entries of the audit trail are sealed to one another with.
    pub(crate) const AUDIT: Self = Self {
        select: "SELECT id, sealed FROM audit_keys ORDER BY id",
        insert: "INSERT INTO audit_keys (id, sealed, created_at) VALUES ($1, $2, $3)",
        update: "UPDATE audit_keys SET sealed = $2 WHERE id = $1",
        purpose: "koios audit key ",
    };

    /// Every kind.
    pub(crate) const ALL: [&'static Self; 2] = [&Self::DATA, &Self::AUDIT];

    /// All of them, the oldest first.
    pub(crate) async fn all(&self, connection: &mut Connection) -> Result<Vec<SealedKey>, StoreError> {
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(self.select).fetch_all(connection).await.database()?;
        let key = |(id, sealed)| SealedKey { id, associated_data: self.associated_data(id), sealed };
        Ok(rows.into_iter().map(key).collect())
    }

    /// The one in use.
    pub(crate) async fn newest(&self, connection: &mut Connection) -> Result<Option<SealedKey>, StoreError> {
        Ok(self.all(connection).await?.pop())
    }

    /// The one in use, opened; or a new one when there is none or the master key does not open it.
    pub(crate) async fn open(&self, database: &Database, secrets: &SecretsKey) -> Result<InUse, StoreError> {
        let newest = self.newest(&mut *database.read().await?).await?;
        let Some(newest) = newest else {
            return Ok(InUse { id: 1, key: self.create(database, secrets, 1).await?, replaces_lost: false });
        };
        if let Some(key) = newest.open(secrets) {
            return Ok(InUse { id: newest.id, key, replaces_lost: false });
        }
        let id = newest.id.saturating_add(1);
        Ok(InUse { id, key: self.create(database, secrets, id).await?, replaces_lost: true })
    }

    async fn create(&self, database: &Database, secrets: &SecretsKey, id: i64) -> Result<Key, StoreError> {
        let key = secrets::random_key()?;
        let sealed = secrets.seal_bytes(&self.associated_data(id), key.as_ref())?;
        let (_turn, mut write) = database.write().await?;
        sqlx::query(self.insert)
            .bind(id)
            .bind(sealed)
            .bind(instant::to_micros(instant::now()))
            .execute(&mut *write)
            .await
            .database()?;
        database.commit(write).await?;
        Ok(key)
    }

    /// Seals all that `old` opens under `new`; the rest is left as it is.
    pub(crate) async fn rewrap(
        &self,
        connection: &mut Connection,
        old: &SecretsKey,
        new: &SecretsKey,
    ) -> Result<(), StoreError> {
        for key in self.all(&mut *connection).await? {
            if let Some(sealed) = old.seal_anew(new, &key.associated_data, &key.sealed)? {
                sqlx::query(self.update)
                    .bind(key.id)
                    .bind(sealed)
                    .execute(&mut *connection)
                    .await
                    .database()?;
            }
        }
        Ok(())
    }

    fn associated_data(&self, id: i64) -> Vec<u8> {
        [self.purpose.as_bytes(), &id.to_be_bytes()].concat()
    }
}

impl SealedKey {
    /// `None` when this is not the master key that it is sealed under.
    pub(crate) fn open(&self, secrets: &SecretsKey) -> Option<Key> {
        let bytes = secrets.open_bytes(&self.associated_data, &self.sealed)?;
        let mut key = Key::default();
        key.copy_from_slice(bytes.get(..KEY_LEN).filter(|_| bytes.len() == KEY_LEN)?);
        Some(key)
    }
}

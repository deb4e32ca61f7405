//! Keys that a commit gave up and whose files must go, also when the program ends before that is done.

use std::io::ErrorKind;

use crate::database::{Connection, Database, DatabaseResult};
use crate::error::StoreError;
use crate::file_digest::FileDigest;
use crate::id::CertificateId;
use crate::key_files;
use crate::layout::Layout;

/// A key that was given up. Another one may lie in its place since: the digest tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemovedKey {
    pub(crate) id: CertificateId,
    pub(crate) generation: u32,
    digest: FileDigest,
}

impl RemovedKey {
    /// What the disk says about its file.
    pub(crate) fn presence(&self, layout: &Layout) -> Presence {
        match key_files::read(layout, self.id, self.generation) {
            Ok(file) if file.digest() == self.digest => Presence::There,
            Ok(_) => Presence::Gone,
            // Something that is no key of ours lies there.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {
                Presence::Gone
            }
            Err(_) => Presence::Unreadable,
        }
    }
}

/// Whether a key that was given up still lies in its place; of several for one place the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Presence {
    /// Or another file is there.
    Gone,
    /// It may be there: nothing about its folder may be decided now.
    Unreadable,
    There,
}

/// Notes that the key is to go once this is committed.
pub(crate) async fn insert(
    connection: &mut Connection,
    id: CertificateId,
    generation: u32,
    digest: FileDigest,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO removed_keys (certificate_id, generation, private_key_digest) VALUES ($1, $2, $3) \
         ON CONFLICT DO NOTHING",
    )
    .bind(id.to_string())
    .bind(i64::from(generation))
    .bind(digest.as_bytes())
    .execute(connection)
    .await
    .database()?;
    Ok(())
}

/// All of them.
pub(crate) async fn all(connection: &mut Connection) -> Result<Vec<RemovedKey>, StoreError> {
    let rows: Vec<(String, i64, Vec<u8>)> =
        sqlx::query_as("SELECT certificate_id, generation, private_key_digest FROM removed_keys")
            .fetch_all(connection)
            .await
            .database()?;
    let keys = rows.into_iter().map(|(id, generation, digest)| {
        Ok(RemovedKey {
            id: id.parse().map_err(|source| StoreError::corrupt("removed_keys.certificate_id", source))?,
            generation: u32::try_from(generation)
                .map_err(|source| StoreError::corrupt("removed_keys.generation", source))?,
            digest: FileDigest::from_bytes(&digest, "removed_keys.private_key_digest")?,
        })
    });
    keys.collect()
}

/// Forgets those whose files are gone.
pub(crate) async fn forget(database: &Database, gone: &[RemovedKey]) -> Result<(), StoreError> {
    if gone.is_empty() {
        return Ok(());
    }
    let (_turn, mut write) = database.write().await?;
    for key in gone {
        sqlx::query(
            "DELETE FROM removed_keys WHERE certificate_id = $1 AND generation = $2 AND private_key_digest = $3",
        )
        .bind(key.id.to_string())
        .bind(i64::from(key.generation))
        .bind(key.digest.as_bytes())
        .execute(&mut *write)
        .await
        .database()?;
    }
    database.commit(write).await
}

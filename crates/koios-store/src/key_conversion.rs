//! Bringing the files of private keys into another form, encrypted or plain, each in its place.
//!
//! A row holds the hash of its key's file, so both change: what a file is about to become is committed first, then the file
//! is written anew in one step, then the row follows. Whoever finds such a note sees by the file whether that happened.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use crate::atomic;
use crate::blocking::store_blocking;
use crate::database::{Connection, Database, DatabaseResult};
use crate::error::{StoreError, StoredFile};
use crate::file_digest::FileDigest;
use crate::id::CertificateId;
use crate::key_files::{self, KeyFile, KeyFiles, KeyForm};
use crate::layout::Layout;

/// Files between two commits.
const BATCH: usize = 100;

/// What became of the files.
#[derive(Debug, Default)]
pub(crate) struct Converted {
    pub(crate) files: usize,
    /// Files that are in the other form still: they are not the stored ones, or cannot be read.
    pub(crate) left: Vec<PathBuf>,
}

/// A key in use, or one that waits for an authority's answer.
#[derive(Clone, Copy, Debug)]
struct StoredKey {
    id: CertificateId,
    generation: u32,
    digest: FileDigest,
}

impl StoredKey {
    fn of((id, generation, digest): (String, i64, Vec<u8>)) -> Result<Self, StoreError> {
        Ok(Self {
            id: id.parse().map_err(|source| StoreError::corrupt("certificates.id", source))?,
            generation: u32::try_from(generation)
                .map_err(|source| StoreError::corrupt("certificates.generation", source))?,
            digest: FileDigest::from_bytes(&digest, "certificates.private_key_digest")?,
        })
    }

    fn path(&self, layout: &Layout) -> PathBuf {
        layout.file(self.id, self.generation, StoredFile::PrivateKey)
    }
}

/// Completes what a process did not come to the end of.
pub(crate) async fn settle(database: &Database, layout: &Layout) -> Result<(), StoreError> {
    let noted: Vec<(String, i64, Vec<u8>)> =
        sqlx::query_as("SELECT certificate_id, generation, private_key_digest FROM key_conversions")
            .fetch_all(&mut *database.read().await?)
            .await
            .database()?;
    if noted.is_empty() {
        return Ok(());
    }
    let noted = noted.into_iter().map(StoredKey::of).collect::<Result<Vec<_>, _>>()?;
    let layout = layout.clone();
    let written = store_blocking(move || {
        let mut done = Vec::new();
        for key in noted {
            let path = key.path(&layout);
            match key_files::read(&layout, key.id, key.generation) {
                Ok(file) if file.digest() == key.digest => done.push(key),
                Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {
                    return Err(StoreError::io(&path, error));
                }
                _ => atomic::discard_replacement(&path).map_err(|source| StoreError::io(&path, source))?,
            }
        }
        Ok(done)
    });
    let written = written.await?;
    let (_turn, mut write) = database.write().await?;
    let connection: &mut Connection = &mut write;
    for key in written {
        let (id, generation) = (key.id.to_string(), i64::from(key.generation));
        sqlx::query("UPDATE certificates SET private_key_digest = $3 WHERE id = $1 AND generation = $2")
            .bind(&id)
            .bind(generation)
            .bind(key.digest.as_bytes())
            .execute(&mut *connection)
            .await
            .database()?;
        sqlx::query(
            "UPDATE certificate_requests SET private_key_digest = $3 WHERE certificate_id = $1 AND generation = $2",
        )
        .bind(&id)
        .bind(generation)
        .bind(key.digest.as_bytes())
        .execute(&mut *connection)
        .await
        .database()?;
    }
    sqlx::query("DELETE FROM key_conversions").execute(&mut *connection).await.database()?;
    database.commit(write).await
}

/// Brings every file of a key into the form of `keys`. Nothing else may be writing.
pub(crate) async fn convert(
    database: &Database,
    layout: &Layout,
    keys: &Arc<KeyFiles>,
) -> Result<Converted, StoreError> {
    let stored: Vec<(String, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT id, generation, private_key_digest FROM certificates UNION ALL \
         SELECT certificate_id, generation, private_key_digest FROM certificate_requests WHERE generation IS NOT NULL",
    )
    .fetch_all(&mut *database.read().await?)
    .await
    .database()?;
    let stored = stored.into_iter().map(StoredKey::of).collect::<Result<Vec<_>, _>>()?;
    let mut converted = Converted::default();
    for batch in stored.chunks(BATCH) {
        let planned = {
            let (layout, keys, batch) = (layout.clone(), Arc::clone(keys), batch.to_vec());
            store_blocking(move || Ok(plan(&layout, &keys, &batch))).await?
        };
        converted.left.extend(planned.left);
        if planned.files.is_empty() {
            continue;
        }
        converted.files = converted.files.saturating_add(planned.files.len());
        note(database, &planned.files).await?;
        let written = {
            let layout = layout.clone();
            let write_all = move || {
                planned.files.iter().try_for_each(|(key, file)| {
                    key_files::rewrite(&layout, key.id, key.generation, file)
                        .map_err(|source| StoreError::io(&key.path(&layout), source))
                })
            };
            store_blocking(write_all).await
        };
        // Also after a failure: the rows of the files that are written follow them.
        settle(database, layout).await?;
        written?;
    }
    Ok(converted)
}

struct Planned {
    files: Vec<(StoredKey, KeyFile)>,
    left: Vec<PathBuf>,
}

fn plan(layout: &Layout, keys: &KeyFiles, batch: &[StoredKey]) -> Planned {
    let mut planned = Planned { files: Vec::new(), left: Vec::new() };
    for key in batch {
        let file = match key_files::read(layout, key.id, key.generation) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(_) => {
                planned.left.push(key.path(layout));
                continue;
            }
        };
        if file.is_encrypted() == (keys.form() == KeyForm::Encrypted) {
            continue;
        }
        let made = match file.digest() == key.digest {
            true => keys.key_of(file).ok().and_then(|pem| keys.file_of(&pem).ok()),
            false => None,
        };
        match made {
            Some(made) => planned.files.push((StoredKey { digest: made.digest(), ..*key }, made)),
            None => planned.left.push(key.path(layout)),
        }
    }
    planned
}

/// Commits what the files are about to be.
async fn note(database: &Database, files: &[(StoredKey, KeyFile)]) -> Result<(), StoreError> {
    let (_turn, mut write) = database.write().await?;
    let connection: &mut Connection = &mut write;
    for (key, _) in files {
        insert(connection, key.id, key.generation, key.digest).await?;
    }
    database.commit(write).await
}

/// Notes what the file of a key is about to be.
pub(crate) async fn insert(
    connection: &mut Connection,
    id: CertificateId,
    generation: u32,
    digest: FileDigest,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO key_conversions (certificate_id, generation, private_key_digest) VALUES ($1, $2, $3) \
         ON CONFLICT (certificate_id, generation) DO UPDATE SET private_key_digest = excluded.private_key_digest",
    )
    .bind(id.to_string())
    .bind(i64::from(generation))
    .bind(digest.as_bytes())
    .execute(connection)
    .await
    .database()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use koios_pki::{
        CertificateChain, KeySpec, PrivateKey, SelfSignedParams, SerialNumber, Validity, self_signed,
    };

    use super::*;
    use crate::{Name, NewCertificate, Origin, Store, StoreOptions, data_key};

    fn pair() -> (CertificateChain, PrivateKey) {
        let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
        let params = SelfSignedParams::new(
            "Koios@test",
            "Koios",
            "urn:koios:test:a".parse().unwrap(),
            Validity::starting_at(time::OffsetDateTime::now_utc(), 365),
            SerialNumber::from_random_bytes([7; 16]),
        );
        (self_signed(&params, &key).unwrap().into(), key)
    }

    /// A directory with one certificate whose conversion was planned and noted.
    async fn noted(folder: &std::path::Path) -> (Layout, Vec<(StoredKey, KeyFile)>, StoredKey) {
        let store = Store::open(StoreOptions::new(folder)).await.unwrap();
        let (chain, key) = pair();
        let new = NewCertificate::new(Name::parse("A").unwrap(), Origin::Generated, chain, key.to_pem(), 365);
        let id = store.create_certificate(new).await.unwrap().id;
        let inner = &store.inner;
        let data_key = data_key::open(&inner.database, &inner.secrets).await.unwrap();
        let keys = KeyFiles::new(Some(data_key), KeyForm::Encrypted);
        let file = key_files::read(&inner.layout, id, 1).unwrap();
        let before = StoredKey { id, generation: 1, digest: file.digest() };
        let planned = plan(&inner.layout, &keys, &[before]);
        assert_eq!((planned.files.len(), planned.left.len()), (1, 0));
        note(&inner.database, &planned.files).await.unwrap();
        let layout = inner.layout.clone();
        store.close().await;
        (layout, planned.files, before)
    }

    async fn is_whole(folder: &std::path::Path, id: CertificateId) -> bool {
        let store = Store::open(StoreOptions::new(folder)).await.unwrap();
        let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM key_conversions")
            .fetch_one(&mut *store.inner.database.read().await.unwrap())
            .await
            .unwrap();
        let loads = store.load_identity(id).await.is_ok();
        store.close().await;
        loads && left == 0
    }

    #[tokio::test]
    async fn a_conversion_that_ended_before_its_file_was_written_never_was() {
        let folder = tempfile::tempdir().unwrap();
        let (layout, _, key) = noted(folder.path()).await;
        // What a write that was cut off leaves.
        let half = key.path(&layout).with_extension("new");
        std::fs::write(&half, "half").unwrap();
        assert!(is_whole(folder.path(), key.id).await && !half.exists());
        assert!(!key_files::read(&layout, key.id, 1).unwrap().is_encrypted());
    }

    #[tokio::test]
    async fn a_conversion_that_ended_after_its_file_was_written_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        let (layout, planned, key) = noted(folder.path()).await;
        let (_, file) = planned.first().unwrap();
        key_files::rewrite(&layout, key.id, 1, file).unwrap();
        assert!(is_whole(folder.path(), key.id).await);
        assert!(key_files::read(&layout, key.id, 1).unwrap().is_encrypted());
    }

    #[tokio::test]
    async fn a_file_that_is_neither_is_left_for_a_person_to_look_at() {
        let folder = tempfile::tempdir().unwrap();
        let (layout, _, key) = noted(folder.path()).await;
        std::fs::write(key.path(&layout), "other").unwrap();
        assert!(!is_whole(folder.path(), key.id).await);
        assert_eq!(std::fs::read(key.path(&layout)).unwrap(), b"other");
    }
}

//! Reading one certificate, and the key pair itself.

use std::sync::Arc;

use koios_pki::PrivateKeyPem;

use crate::certificate::{CertificateRecord, StoredIdentity};
use crate::certificate_files::{self, Look};
use crate::certificates::row::CertificateRow;
use crate::database::DatabaseResult;
use crate::error::{IdentityFilesError, Resource, StoreError, StoredFile};
use crate::hashed_files::HashedFiles;
use crate::id::CertificateId;
use crate::key_files::KeyFiles;
use crate::layout::Layout;
use crate::store::Store;

impl Store {
    /// One certificate.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`] and its like.
    pub async fn certificate(&self, id: CertificateId) -> Result<CertificateRecord, StoreError> {
        self.reading(async {
            let _files = self.inner.files.read().await;
            let row = CertificateRow::find(&mut *self.inner.database.read().await?, id).await?;
            self.observed_one(row).await
        })
        .await
    }

    /// Certificates by their ids, as a list shows them; those that do not exist are left out.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn certificates_by_id(
        &self,
        ids: &[CertificateId],
    ) -> Result<Vec<CertificateRecord>, StoreError> {
        self.reading(async {
            let _files = self.inner.files.read().await;
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            let rows = CertificateRow::find_all(&mut *self.inner.database.read().await?, &ids).await?;
            self.observed(rows, Look::Badges).await
        })
        .await
    }

    /// The default certificate; `None` when there is no certificate at all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn default_certificate(&self) -> Result<Option<CertificateRecord>, StoreError> {
        self.reading(async {
            let _files = self.inner.files.read().await;
            let row = CertificateRow::find_default(&mut *self.inner.database.read().await?).await?;
            match row {
                Some(row) => self.observed_one(row).await.map(Some),
                None => Ok(None),
            }
        })
        .await
    }

    /// Which certificate a device uses that names this one or none, and which key pair of it; `None` when it names none and
    /// there is no default. Looks at no file.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the certificate named does not exist; [`StoreError::Unavailable`] and its like.
    pub async fn current_key_pair(
        &self,
        named: Option<CertificateId>,
    ) -> Result<Option<(CertificateId, u32)>, StoreError> {
        self.reading(async {
            let mut connection = self.inner.database.read().await?;
            let query = match named {
                Some(id) => sqlx::query_as("SELECT id, generation FROM certificates WHERE id = $1")
                    .bind(id.to_string()),
                None => sqlx::query_as("SELECT id, generation FROM certificates WHERE is_default"),
            };
            let row: Option<(String, i64)> = query.fetch_optional(&mut *connection).await.database()?;
            let Some((id, generation)) = row else {
                return named.map_or(Ok(None), |id| Err(StoreError::not_found(Resource::Certificate, id)));
            };
            let id = id.parse().map_err(|source| StoreError::corrupt("certificates.id", source))?;
            let generation = u32::try_from(generation)
                .map_err(|source| StoreError::corrupt("certificates.generation", source))?;
            Ok(Some((id, generation)))
        })
        .await
    }

    /// Whether a certificate in the store has this application URI.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn application_uri_in_use(&self, uri: &str) -> Result<bool, StoreError> {
        self.reading(async {
            let found: Option<String> =
                sqlx::query_scalar("SELECT id FROM certificates WHERE application_uri = $1 LIMIT 1")
                    .bind(uri)
                    .fetch_optional(&mut *self.inner.database.read().await?)
                    .await
                    .database()?;
            Ok(found.is_some())
        })
        .await
    }

    /// Reads a certificate's key pair from disk, if all its files are the stored ones.
    ///
    /// # Errors
    /// [`IdentityFilesError::Missing`] or [`IdentityFilesError::Changed`] names the first file that is not as
    /// it was stored; [`StoreError::NotFound`] and its like.
    pub async fn load_identity(&self, id: CertificateId) -> Result<StoredIdentity, IdentityFilesError> {
        self.reading(async {
            let _files = self.inner.files.read().await;
            let row = CertificateRow::find_uncounted(&mut *self.inner.database.read().await?, id).await?;
            let (keys, hashed) = (Arc::clone(&self.inner.key_files), Arc::clone(&self.inner.hashed));
            self.blocking(move |layout| read_identity(layout, &keys, &hashed, id, &row)).await
        })
        .await?
    }

    /// Reads a certificate's private key for download, if all its files are the stored ones.
    ///
    /// # Errors
    /// As [`Store::load_identity`].
    pub async fn private_key_pem(&self, id: CertificateId) -> Result<PrivateKeyPem, IdentityFilesError> {
        self.load_identity(id).await.map(|identity| identity.key)
    }
}

fn read_identity(
    layout: &Layout,
    keys: &KeyFiles,
    hashed: &HashedFiles,
    id: CertificateId,
    row: &CertificateRow,
) -> Result<Result<StoredIdentity, IdentityFilesError>, StoreError> {
    let (generation, digests, chain) = (row.generation()?, row.digests()?, row.chain()?);
    let fault = |(file, state)| {
        hashed.forget((id, generation, file));
        IdentityFilesError::of(file, state, layout.file(id, generation, file))
    };
    if let Some(first) = certificate_files::first_fault(layout, id, generation, &digests) {
        return Ok(Err(fault(first)));
    }
    Ok(certificate_files::read_key(layout, keys, id, generation, digests.private_key)
        .map(|key| StoredIdentity { name: row.name.clone(), chain, key, generation })
        .map_err(|state| fault((StoredFile::PrivateKey, state))))
}

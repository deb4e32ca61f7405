//! Certificate requests: the pending key is staged in a generation folder of its own, and the pair in use stays in use
//! until the authority's answer is installed.

use std::fmt;
use std::sync::Arc;

use koios_pki::{CertificateChain, CertificateRequest, PrivateKeyPem};
use time::OffsetDateTime;

use crate::certificate::Origin;
use crate::certificate_files::{self, StagedKey};
use crate::certificates::row::CertificateRow;
use crate::certificates::{EndReason, ReplacePair, Replaced};
use crate::database::{Connection, DatabaseResult};
use crate::error::{IdentityFilesError, StoreError, StoredFile};
use crate::fault::FaultPoint;
use crate::file_digest::FileDigest;
use crate::id::CertificateId;
use crate::instant;
use crate::removed_keys;
use crate::store::{Apply, Store};

/// A certificate request that waits for an authority's answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PendingRequest {
    /// What the authority is asked to sign.
    pub request: CertificateRequest,
    /// Whether it is for a new key, and not for the one in use.
    pub new_key: bool,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// An authority's answer to a pending request.
#[non_exhaustive]
pub struct InstallAnswer {
    /// The request it answers; it must still be the pending one.
    pub request: CertificateRequest,
    /// Leaf first; the leaf is of the request's key.
    pub chain: CertificateChain,
    /// Length of validity that a regeneration repeats, in days.
    pub validity_days: u32,
    /// Refused with [`StoreError::RevisionMismatch`] when the certificate has another one.
    pub expected_revision: Option<i64>,
    /// Whether the application URI may change, or go.
    pub allow_uri_change: bool,
}

impl InstallAnswer {
    /// For any revision, and keeping the application URI.
    #[must_use]
    pub fn new(request: CertificateRequest, chain: CertificateChain, validity_days: u32) -> Self {
        Self { request, chain, validity_days, expected_revision: None, allow_uri_change: false }
    }
}

impl fmt::Debug for InstallAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstallAnswer").field("request", &self.request).finish_non_exhaustive()
    }
}

impl Store {
    /// Keeps a request that an authority is to answer; with `new_key`, its private key, else it is for the key in use.
    ///
    /// The key is on the disk, in a folder of its own, before this returns. Certificate and key in use stay as they are.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::RequestPending`] when one is waiting already,
    /// [`StoreError::RevisionMismatch`] ([`Store::expecting`]);
    /// [`StoreError::StorageFull`] and its like. Nothing is stored then.
    pub async fn stage_request(
        &self,
        id: CertificateId,
        request: CertificateRequest,
        new_key: Option<PrivateKeyPem>,
    ) -> Result<PendingRequest, StoreError> {
        let store = self.clone();
        self.run(store.stage(id, request, new_key)).await
    }

    async fn stage(
        self,
        id: CertificateId,
        request: CertificateRequest,
        new_key: Option<PrivateKeyPem>,
    ) -> Result<PendingRequest, StoreError> {
        let new_key = match new_key {
            Some(key) => Some(self.key_file(key).await?),
            None => None,
        };
        let _generations = self.inner.generations.lock().await;
        let mut write = self.begin().await?;
        let row = CertificateRow::find(write.connection(), id).await?;
        row.require_revision(self.expected_revision)?;
        if RequestRow::find(write.connection(), id).await?.is_some() {
            return Err(StoreError::RequestPending { id, name: row.name });
        }
        let now = instant::now();
        let generation = row.generation()?.saturating_add(1);
        let staged = new_key.map(|key| StagedKey::new(key, generation));
        sqlx::query(
            "INSERT INTO certificate_requests (certificate_id, request, generation, private_key_digest, created_at) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id.to_string())
        .bind(request.der())
        .bind(staged.as_ref().map(|key| i64::from(key.generation())))
        .bind(staged.as_ref().map(|key| key.digest().as_bytes().to_vec()))
        .bind(instant::to_micros(now))
        .execute(write.connection())
        .await
        .database()?;
        let pending = PendingRequest { request, new_key: staged.is_some(), created_at: now };

        let Some(staged) = staged else {
            write.finish(Apply::Commit).await?;
            return Ok(pending);
        };
        let generation = staged.generation();
        self.inner.faults.pass(FaultPoint::BeforeFiles).await;
        let written = self.blocking(move |layout| staged.write(layout, id)).await;
        self.inner.faults.pass(FaultPoint::BeforeCommit).await;
        let committed = match written {
            Ok(()) => write.finish(Apply::Commit).await,
            Err(error) => {
                drop(write);
                Err(error)
            }
        };
        if let Err(error) = committed {
            self.discard_staged(id, generation).await;
            return Err(error);
        }
        self.inner.faults.pass(FaultPoint::AfterCommit).await;
        Ok(pending)
    }

    /// The request that waits for an authority's answer.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::NoPendingRequest`]; [`StoreError::Unavailable`] and its like.
    pub async fn pending_request(&self, id: CertificateId) -> Result<PendingRequest, StoreError> {
        self.reading(async {
            let connection: &mut Connection = &mut *self.inner.database.read().await?;
            let certificate = CertificateRow::find(connection, id).await?;
            RequestRow::require(connection, id, certificate.name).await?.pending()
        })
        .await
    }

    /// Drops the request that waits for an authority's answer, and its new key, whose file is gone when this returns.
    ///
    /// # Errors
    /// [`StoreError::RevisionMismatch`] ([`Store::expecting`]); else as [`Store::pending_request`].
    pub async fn drop_request(&self, id: CertificateId) -> Result<PendingRequest, StoreError> {
        let store = self.clone();
        self.run(async move {
            let _generations = store.inner.generations.lock().await;
            let mut write = store.begin().await?;
            let certificate = CertificateRow::find(write.connection(), id).await?;
            certificate.require_revision(store.expected_revision)?;
            let row = RequestRow::require(write.connection(), id, certificate.name).await?;
            let pending = row.pending()?;
            let staged = row.staged()?;
            delete(write.connection(), id).await?;
            if let Some((generation, digest)) = staged {
                removed_keys::insert(write.connection(), id, generation, digest).await?;
            }
            let _files = store.inner.files.write().await;
            write.finish(Apply::Commit).await?;
            store.inner.faults.pass(FaultPoint::AfterCommit).await;
            if let Some((generation, _)) = staged {
                store.remove_old_generation(id, generation).await?;
            }
            Ok(pending)
        })
        .await
    }

    /// Puts an authority's answer in the place of a certificate's present pair, with the key the request was for.
    ///
    /// One commit makes certificate and key current and ends the request; what [`Store::replace_key_pair`] says of names,
    /// history and the old key holds here too.
    ///
    /// # Errors
    /// [`StoreError::NoPendingRequest`] when `answer.request` is not (or no longer) the pending one;
    /// [`IdentityFilesError::Missing`] and [`IdentityFilesError::Changed`] when the file of the key is not as it was stored;
    /// as [`Store::replace_key_pair`] else.
    pub async fn install_certificate(
        &self,
        id: CertificateId,
        answer: InstallAnswer,
        apply: Apply,
    ) -> Result<Replaced, IdentityFilesError> {
        let store = self.clone();
        match self.run(async move { Ok(store.install(id, answer, apply).await) }).await? {
            Err(IdentityFilesError::Store(error)) => Err(Box::pin(self.told(error)).await.into()),
            installed => installed,
        }
    }

    async fn install(
        self,
        id: CertificateId,
        answer: InstallAnswer,
        apply: Apply,
    ) -> Result<Replaced, IdentityFilesError> {
        let InstallAnswer { request, chain, validity_days, expected_revision, allow_uri_change } = answer;
        let _generations = self.inner.generations.lock().await;
        let mut write = self.begin().await?;
        let certificate = CertificateRow::find(write.connection(), id).await?;
        let row = RequestRow::require(write.connection(), id, certificate.name.clone()).await?;
        if row.request != request.der() {
            return Err(StoreError::NoPendingRequest { id, name: certificate.name }.into());
        }
        let (generation, digest) = match row.staged()? {
            Some(staged) => staged,
            None => (certificate.generation()?, certificate.digests()?.private_key),
        };
        let keys = Arc::clone(&self.inner.key_files);
        let key = self.blocking(move |layout| {
            let file = StoredFile::PrivateKey;
            Ok(certificate_files::read_key(layout, &keys, id, generation, digest).map_err(|state| {
                IdentityFilesError::of_needed(file, state, layout.file(id, generation, file))
            }))
        });
        let key = key.await??;
        let mut pair = ReplacePair::new(Origin::Issued, chain, key, validity_days, EndReason::Installed);
        pair.expected_revision = expected_revision;
        pair.allow_uri_change = allow_uri_change;
        Ok(self.replace_within(write, id, pair, apply).await?)
    }

    /// Removes a staged key whose request did not come about.
    async fn discard_staged(&self, id: CertificateId, generation: u32) {
        // After a failed commit it is uncertain which state holds: a pending key is not removed.
        let pending = async {
            self.inner.database.settle().await?;
            RequestRow::find(&mut *self.inner.database.read().await?, id).await
        };
        if !matches!(pending.await, Ok(None)) {
            return;
        }
        self.discard_generation(id, generation).await;
    }
}

/// A row of the table `certificate_requests`.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub(crate) struct RequestRow {
    pub(crate) certificate_id: String,
    pub(crate) request: Vec<u8>,
    generation: Option<i64>,
    private_key_digest: Option<Vec<u8>>,
    created_at: i64,
}

impl RequestRow {
    pub(crate) async fn find(
        connection: &mut Connection,
        id: CertificateId,
    ) -> Result<Option<Self>, StoreError> {
        sqlx::query_as(
            "SELECT certificate_id, request, generation, private_key_digest, created_at FROM certificate_requests \
             WHERE certificate_id = $1",
        )
        .bind(id.to_string())
        .fetch_optional(connection)
        .await
        .database()
    }

    pub(crate) async fn all(connection: &mut Connection) -> Result<Vec<Self>, StoreError> {
        sqlx::query_as(
            "SELECT certificate_id, request, generation, private_key_digest, created_at FROM certificate_requests",
        )
        .fetch_all(connection)
        .await
        .database()
    }

    async fn require(
        connection: &mut Connection,
        id: CertificateId,
        name: String,
    ) -> Result<Self, StoreError> {
        Self::find(connection, id).await?.ok_or(StoreError::NoPendingRequest { id, name })
    }

    pub(crate) fn pending(&self) -> Result<PendingRequest, StoreError> {
        Ok(PendingRequest {
            request: CertificateRequest::from_der(&self.request)
                .map_err(|source| StoreError::corrupt("certificate_requests.request", source))?,
            new_key: self.generation.is_some(),
            created_at: instant::from_micros(self.created_at, "certificate_requests.created_at")?,
        })
    }

    /// Where the new key is staged; `None` when the request is for the key in use.
    pub(crate) fn generation(&self) -> Result<Option<u32>, StoreError> {
        self.generation
            .map(|generation| {
                u32::try_from(generation)
                    .map_err(|source| StoreError::corrupt("certificate_requests.generation", source))
            })
            .transpose()
    }

    /// The new key: where it is staged, and what its file holds.
    pub(crate) fn staged(&self) -> Result<Option<(u32, FileDigest)>, StoreError> {
        let (Some(generation), Some(digest)) = (self.generation()?, self.private_key_digest.as_deref())
        else {
            return Ok(None);
        };
        let digest = FileDigest::from_bytes(digest, "certificate_requests.private_key_digest")?;
        Ok(Some((generation, digest)))
    }
}

/// What the audit trail says of a request that ended without an answer.
pub(crate) const DROPPED: &str = "certificate.request_dropped";

/// Ends a request without an answer.
pub(crate) async fn delete(connection: &mut Connection, id: CertificateId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM certificate_requests WHERE certificate_id = $1")
        .bind(id.to_string())
        .execute(connection)
        .await
        .database()?;
    Ok(())
}

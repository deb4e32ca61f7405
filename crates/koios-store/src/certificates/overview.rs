//! All certificates at once, for whoever counts them again and again.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use koios_pki::Validity;
use time::{Duration, OffsetDateTime};

use crate::certificate::{CertificateStatus, statuses};
use crate::certificate_files::{self, Look};
use crate::error::StoreError;
use crate::id::CertificateId;
use crate::store::Store;

/// Between two batches, whoever replaces a key pair has a turn.
const BATCH: usize = 500;

/// All certificates, without their chains.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CertificateOverview {
    /// In no order.
    pub certificates: Vec<CertificateGlance>,
    /// When the last look at their files ended.
    pub files_seen_at: Instant,
}

/// What a look from afar tells of a certificate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CertificateGlance {
    /// Its id.
    pub id: CertificateId,
    /// Its name.
    pub name: String,
    /// From when until when.
    pub validity: Validity,
    /// Whether its files were all there, and the stored ones, when they were last looked at.
    pub files_present: bool,
}

impl CertificateGlance {
    /// The badges at the instant `now`, as [`crate::CertificateRecord::statuses`] with the files as they were last seen.
    #[must_use]
    pub fn statuses(&self, now: OffsetDateTime, expiring_soon: Duration) -> Vec<CertificateStatus> {
        statuses(self.validity, self.files_present, now, expiring_soon)
    }
}

/// What the last look at all files found.
#[derive(Clone, Debug)]
pub(crate) struct FilesSeen {
    at: Instant,
    faulty: Arc<HashSet<CertificateId>>,
}

impl Store {
    /// Looks at all files of every certificate, and reads those that are not as they were.
    ///
    /// To be done now and then: what [`Store::certificate_overview`] says of files, and what a list of certificates says of
    /// `chain.pem`, is as old as this.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn look_at_files(&self) -> Result<(), StoreError> {
        self.reading(self.see_files()).await.map(drop)
    }

    /// All certificates, with their files as they were last looked at; looks at them when nobody has yet.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn certificate_overview(&self) -> Result<CertificateOverview, StoreError> {
        self.reading(async {
            let seen = self.inner.files_seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let FilesSeen { at, faulty } = match seen {
                Some(seen) => seen,
                None => self.see_files().await?,
            };
            let certificates = self.listed(move |lists| {
                let glances = lists.certificates.iter().map(|certificate| {
                    let id = CertificateId::from_uuid(certificate.id);
                    CertificateGlance {
                        id,
                        name: certificate.name.to_string(),
                        validity: certificate.validity,
                        files_present: !faulty.contains(&id),
                    }
                });
                Ok(glances.collect())
            });
            Ok(CertificateOverview { certificates: certificates.await?, files_seen_at: at })
        })
        .await
    }

    async fn see_files(&self) -> Result<FilesSeen, StoreError> {
        let ids =
            self.listed(|lists| Ok(lists.certificates.iter().map(|c| c.id).collect::<Vec<_>>())).await?;
        let mut faulty = HashSet::new();
        for batch in ids.chunks(BATCH) {
            let _files = self.inner.files.read().await;
            let batch = batch.to_vec();
            // Replaced ones have other files now, deleted ones none.
            let current = self.listed(move |lists| {
                let certificates = batch.iter().filter_map(|id| lists.certificates.get(*id));
                Ok(certificates.map(|certificate| certificate.files()).collect::<Vec<_>>())
            });
            let (current, hashed) = (current.await?, Arc::clone(&self.inner.hashed));
            let found = self.blocking(move |layout| {
                let look = |(id, generation, digests): &_| {
                    certificate_files::states(layout, &hashed, (*id, *generation), digests, Look::All)
                };
                let faulty = current.iter().filter(|files| !look(files).all_present());
                Ok(faulty.map(|(id, ..)| *id).collect::<Vec<_>>())
            });
            faulty.extend(found.await?);
        }
        let seen = FilesSeen { at: Instant::now(), faulty: Arc::new(faulty) };
        *self.inner.files_seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen.clone());
        Ok(seen)
    }
}

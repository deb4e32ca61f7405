//! The list of certificates: searched, filtered and sorted.
//!
//! Statuses follow from the clock and the disk, so filtering happens here and not in the database, as does searching;
//! else a page is what an index finds. Chains are read for the page that is shown only.

use std::sync::Arc;

use sqlx::FromRow;
use time::{Duration, OffsetDateTime};

use koios_pki::Validity;

use crate::certificate::{CertificateRecord, CertificateStatus, statuses};
use crate::certificate_files::{self, Digests};
use crate::certificates::row::{CertificateRow, certificate_counts, uncounted};
use crate::certificates::{CertificateQuery, CertificateSortKey};
use crate::database::{Connection, DatabaseResult, QueryBuilder};
use crate::error::StoreError;
use crate::file_digest::FileDigest;
use crate::hashed_files::HashedFiles;
use crate::instant;
use crate::layout::Layout;
use crate::name::fold;
use crate::page::{Entry, Keyset, Page, PageRequest, Sort, SortValue, paginate};
use crate::store::Store;

/// What searching, filtering and sorting need of a row.
#[derive(Debug, FromRow)]
struct Summary {
    id: String,
    name: String,
    description: Option<String>,
    generation: i64,
    certificate_digest: Vec<u8>,
    chain_digest: Vec<u8>,
    private_key_digest: Vec<u8>,
    common_name: Option<String>,
    application_uri: Option<String>,
    not_before: i64,
    not_after: i64,
    thumbprint_sha1: String,
    thumbprint_sha256: String,
    created_at: i64,
    assigned: i64,
    through_default: i64,
}

macro_rules! summaries {
    ($counts:expr) => {
        concat!(
            "SELECT c.id, c.name, c.description, c.generation, c.certificate_digest, c.chain_digest, ",
            "c.private_key_digest, c.common_name, c.application_uri, c.not_before, c.not_after, c.thumbprint_sha1, ",
            "c.thumbprint_sha256, c.created_at, ",
            $counts,
            " FROM certificates c"
        )
    };
}

const SUMMARIES: &str = summaries!(certificate_counts!());

/// Counting the devices of ten thousand certificates takes longer than all the rest.
const UNCOUNTED_SUMMARIES: &str = summaries!(uncounted!());

impl Store {
    /// A page of the certificates asked for, as they are at the instant `now`; `expiring_soon` is how long
    /// before its end a certificate counts as [`CertificateStatus::ExpiringSoon`].
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`]; [`StoreError::Unavailable`] and its like.
    pub async fn certificates(
        &self,
        query: CertificateQuery,
        now: OffsetDateTime,
        expiring_soon: Duration,
    ) -> Result<Page<CertificateRecord>, StoreError> {
        self.reading(self.list(query, now, expiring_soon)).await
    }

    async fn list(
        &self,
        query: CertificateQuery,
        now: OffsetDateTime,
        expiring_soon: Duration,
    ) -> Result<Page<CertificateRecord>, StoreError> {
        let _files = self.inner.files.read().await;
        let CertificateQuery { q, statuses: wanted, sort, page } = query;
        let q = q.map(|q| fold(q.trim())).filter(|q| !q.is_empty());
        let column = Some(sort.key).filter(|_| q.is_none() && wanted.is_empty()).and_then(indexed_column);
        let ids = match column {
            Some(column) => {
                let mut connection = self.inner.database.read().await?;
                by_order(&mut connection, column, sort, &page).await?
            }
            None => {
                let mut found = self.summaries(sort.key).await?;
                if let Some(q) = q {
                    found.retain(|summary| summary.mentions(&q));
                }
                if !wanted.is_empty() {
                    let hashed = Arc::clone(&self.inner.hashed);
                    let fitting = move |layout: &Layout| {
                        with_status((layout, &hashed), found, &wanted, now, expiring_soon)
                    };
                    found = self.blocking(fitting).await?;
                }
                let entries = found.into_iter().map(|summary| Entry {
                    value: summary.sort_value(sort.key),
                    id: summary.id.clone(),
                    item: summary.id,
                });
                paginate(entries.collect(), sort.key.as_str(), sort.direction, &page)?
            }
        };
        let mut rows = CertificateRow::find_all(&mut *self.inner.database.read().await?, &ids.items).await?;
        // One that was deleted since the list was read is left out.
        let rows = ids.items.iter().filter_map(|id| rows.remove(id)).collect();
        let records = self.observed(rows).await?;
        Ok(ids.with_items(records))
    }

    async fn summaries(&self, sort: CertificateSortKey) -> Result<Vec<Summary>, StoreError> {
        let text = if sort == CertificateSortKey::DeviceCount { SUMMARIES } else { UNCOUNTED_SUMMARIES };
        sqlx::query_as(text).fetch_all(&mut *self.inner.database.read().await?).await.database()
    }
}

/// The column whose index has the certificates in that order.
fn indexed_column(key: CertificateSortKey) -> Option<&'static str> {
    match key {
        CertificateSortKey::Name => Some("name_key"),
        CertificateSortKey::NotAfter => Some("not_after"),
        CertificateSortKey::CreatedAt => Some("created_at"),
        // Folded, and counted: no column has them.
        CertificateSortKey::CommonName | CertificateSortKey::DeviceCount => None,
    }
}

/// The ids of a page as the database's own indexes find it.
async fn by_order(
    connection: &mut Connection,
    column: &'static str,
    sort: Sort<CertificateSortKey>,
    page: &PageRequest,
) -> Result<Page<String>, StoreError> {
    let keyset = Keyset { column, sort_name: sort.key.as_str(), direction: sort.direction, request: page };
    let mut query =
        QueryBuilder::new("SELECT id, name_key, not_after, created_at FROM certificates WHERE TRUE");
    keyset.cut(&mut query)?;
    let places: Vec<Place> = query.build_query_as().fetch_all(&mut *connection).await.database()?;
    let total: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM certificates").fetch_one(connection).await.database()?;
    let page = keyset.page(places, total, |last| (last.sort_value(sort.key), last.id.clone()))?;
    Ok(page.map(|place| place.id))
}

/// A row's place in the orders that the database has.
#[derive(Debug, FromRow)]
struct Place {
    id: String,
    name_key: String,
    not_after: i64,
    created_at: i64,
}

impl Place {
    fn sort_value(&self, key: CertificateSortKey) -> SortValue {
        match key {
            CertificateSortKey::NotAfter => SortValue::Number(self.not_after),
            CertificateSortKey::CreatedAt => SortValue::Number(self.created_at),
            _ => SortValue::Text(self.name_key.clone()),
        }
    }
}

fn with_status(
    disk: (&Layout, &HashedFiles),
    found: Vec<Summary>,
    wanted: &[CertificateStatus],
    now: OffsetDateTime,
    expiring_soon: Duration,
) -> Result<Vec<Summary>, StoreError> {
    let mut kept = Vec::new();
    for summary in found {
        let statuses = summary.statuses(disk, now, expiring_soon)?;
        if statuses.iter().any(|status| wanted.contains(status)) {
            kept.push(summary);
        }
    }
    Ok(kept)
}

impl Summary {
    /// Whether `q`, which is folded, is part of anything one would search for.
    fn mentions(&self, q: &str) -> bool {
        [
            Some(&self.name),
            self.description.as_ref(),
            self.common_name.as_ref(),
            self.application_uri.as_ref(),
            Some(&self.thumbprint_sha1),
            Some(&self.thumbprint_sha256),
        ]
        .into_iter()
        .flatten()
        .any(|text| fold(text).contains(q))
    }

    fn sort_value(&self, key: CertificateSortKey) -> SortValue {
        match key {
            CertificateSortKey::Name => SortValue::Text(fold(&self.name)),
            CertificateSortKey::CommonName => {
                SortValue::Text(self.common_name.as_deref().map(fold).unwrap_or_default())
            }
            CertificateSortKey::NotAfter => SortValue::Number(self.not_after),
            CertificateSortKey::DeviceCount => {
                SortValue::Number(self.assigned.saturating_add(self.through_default))
            }
            CertificateSortKey::CreatedAt => SortValue::Number(self.created_at),
        }
    }

    fn statuses(
        &self,
        (layout, hashed): (&Layout, &HashedFiles),
        now: OffsetDateTime,
        expiring_soon: Duration,
    ) -> Result<Vec<CertificateStatus>, StoreError> {
        let id = self.id.parse().map_err(|source| StoreError::corrupt("certificates.id", source))?;
        let generation = u32::try_from(self.generation)
            .map_err(|source| StoreError::corrupt("certificates.generation", source))?;
        let digests = Digests {
            certificate: FileDigest::from_bytes(&self.certificate_digest, "certificates.certificate_digest")?,
            chain: FileDigest::from_bytes(&self.chain_digest, "certificates.chain_digest")?,
            private_key: FileDigest::from_bytes(&self.private_key_digest, "certificates.private_key_digest")?,
        };
        let validity = Validity {
            not_before: instant::from_micros(self.not_before, "certificates.not_before")?,
            not_after: instant::from_micros(self.not_after, "certificates.not_after")?,
        };
        let present = certificate_files::states(layout, hashed, id, generation, &digests).all_present();
        Ok(statuses(validity.status_at(now), validity.not_after, present, now, expiring_soon))
    }
}

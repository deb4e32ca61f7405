//! The list of certificates: searched, filtered and sorted.
//!
//! A page in an order that the database has is what an index finds; any other is made in memory. Chains are read for the page
//! that is shown only, files are looked at for it, and for a status that depends on them.

use std::collections::HashSet;
use std::sync::Arc;

use koios_pki::Validity;
use sqlx::FromRow;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::certificate::{CertificateRecord, CertificateStatus, statuses};
use crate::certificate_files::{self, Look};
use crate::certificates::row::CertificateRow;
use crate::certificates::{CertificateQuery, CertificateSortKey};
use crate::database::{Connection, DatabaseResult, QueryBuilder};
use crate::error::StoreError;
use crate::listing::{CertificateOrder, ListedCertificate, Lists, Search};
use crate::page::{Direction, Keyset, Page, PageRequest, Sort, SortValue};
use crate::store::Store;

impl Store {
    /// A page of the certificates asked for, as they are at the instant `now`; `expiring_soon` is how long
    /// before its end a certificate counts as [`CertificateStatus::ExpiringSoon`].
    ///
    /// Of each certificate, two files are looked at: `chain.pem` counts as it was last seen when that was the stored one
    /// ([`Store::look_at_files`]).
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`]; [`StoreError::Unavailable`] and its like.
    pub async fn certificates(
        &self,
        query: CertificateQuery,
        now: OffsetDateTime,
        expiring_soon: Duration,
    ) -> Result<Page<CertificateRecord>, StoreError> {
        self.reading(self.list(query, Clock { now, expiring_soon })).await
    }

    async fn list(
        &self,
        query: CertificateQuery,
        clock: Clock,
    ) -> Result<Page<CertificateRecord>, StoreError> {
        let _files = self.inner.files.read().await;
        let CertificateQuery { q, statuses: wanted, sort, page } = query;
        let search = Search::of(q.as_deref());
        let column = Some(sort.key)
            .filter(|_| search.is_none() && wanted.is_empty())
            .and_then(|_| indexed_column(sort));
        let ids = match column {
            Some(column) => {
                let mut connection = self.inner.database.read().await?;
                by_order(&mut connection, column, sort, &page).await?
            }
            None => {
                let chosen = match (search, wanted.is_empty()) {
                    (None, true) => None,
                    (Some(search), true) => Some(self.listed(move |lists| Ok(found(lists, &search))).await?),
                    (search, false) => Some(self.with_status(search, wanted, clock).await?),
                };
                let ids = self.listed(move |lists| in_order(lists, sort, &page, chosen.as_ref())).await?;
                ids.map(|id| id.to_string())
            }
        };
        let rows = CertificateRow::find_all(&mut *self.inner.database.read().await?, &ids.items).await?;
        let records = self.observed(rows, Look::Badges).await?;
        Ok(ids.with_items(records))
    }

    /// The certificates with one of the wanted statuses. Only where the clock leaves that open, files are looked at.
    ///
    /// The caller holds `files` for reading.
    async fn with_status(
        &self,
        search: Option<Search>,
        wanted: Vec<CertificateStatus>,
        clock: Clock,
    ) -> Result<HashSet<Uuid>, StoreError> {
        let judge = move |lists: &Lists| {
            let (mut fitting, mut open) = (HashSet::new(), Vec::new());
            for certificate in lists.certificates.iter() {
                if !search.as_ref().is_none_or(|search| search.finds(&certificate.text)) {
                    continue;
                }
                let fits = |files_present| {
                    let has = clock.statuses(certificate.validity, files_present);
                    has.iter().any(|status| wanted.contains(status))
                };
                match (fits(true), fits(false)) {
                    (true, true) => drop(fitting.insert(certificate.id)),
                    (false, false) => {}
                    (when_present, _) => open.push((certificate.files(), when_present)),
                }
            }
            Ok((fitting, open))
        };
        let (mut fitting, open) = self.listed(judge).await?;
        let hashed = Arc::clone(&self.inner.hashed);
        self.blocking(move |layout| {
            let looked_at = open.into_iter().filter(|((id, generation, digests), when_present)| {
                let files =
                    certificate_files::states(layout, &hashed, (*id, *generation), digests, Look::Badges);
                files.all_present() == *when_present
            });
            fitting.extend(looked_at.map(|((id, ..), _)| id.as_uuid()));
            Ok(fitting)
        })
        .await
    }
}

/// What statuses depend on beside the certificate and its files.
#[derive(Clone, Copy)]
struct Clock {
    now: OffsetDateTime,
    expiring_soon: Duration,
}

impl Clock {
    fn statuses(self, validity: Validity, files_present: bool) -> Vec<CertificateStatus> {
        statuses(validity, files_present, self.now, self.expiring_soon)
    }
}

/// The certificates that a search finds.
fn found(lists: &Lists, search: &Search) -> HashSet<Uuid> {
    let found = lists.certificates.iter().filter(|certificate| search.finds(&certificate.text));
    found.map(|certificate| certificate.id).collect()
}

/// The page of those chosen, or of all.
fn in_order(
    lists: &Lists,
    Sort { key, direction }: Sort<CertificateSortKey>,
    page: &PageRequest,
    chosen: Option<&HashSet<Uuid>>,
) -> Result<Page<Uuid>, StoreError> {
    let fits = |certificate: &ListedCertificate| chosen.is_none_or(|chosen| chosen.contains(&certificate.id));
    let order = match key {
        CertificateSortKey::Name => CertificateOrder::Name,
        CertificateSortKey::CommonName => CertificateOrder::CommonName,
        CertificateSortKey::NotAfter => CertificateOrder::NotAfter,
        CertificateSortKey::CreatedAt => CertificateOrder::CreatedAt,
        // Another default changes the counts of two certificates without a change of any device.
        CertificateSortKey::DeviceCount => {
            let count = |certificate: &ListedCertificate| lists.device_count(certificate.id);
            return lists.certificates.page_by_number((count, key.as_str(), direction), page, fits);
        }
    };
    lists.certificates.page((order, key.as_str(), direction), page, fits)
}

/// The column whose index has the certificates in that order.
fn indexed_column(Sort { key, direction }: Sort<CertificateSortKey>) -> Option<&'static str> {
    match (key, direction) {
        (CertificateSortKey::Name, _) => Some("name_key"),
        // Many may have the same value, and among them ids always ascend.
        (CertificateSortKey::NotAfter, Direction::Ascending) => Some("not_after"),
        (CertificateSortKey::CreatedAt, Direction::Ascending) => Some("created_at"),
        // Folded, and counted: no column has them.
        _ => None,
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

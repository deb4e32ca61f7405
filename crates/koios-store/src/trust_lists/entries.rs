//! The trust lists as they are shown.

use std::collections::HashSet;

use koios_pki::{Certificate, CertificateChain, Sha256Thumbprint};
use sqlx::FromRow;
use time::OffsetDateTime;

use super::{Filed, RevocationListEntry, TrustEntry, TrustListName, TrustLists};
use crate::certificates::row::parse_chain;
use crate::database::{Connection, DatabaseResult};
use crate::devices::row::{devices_rejecting, devices_shown};
use crate::error::{Resource, StoreError};
use crate::instant;
use crate::name::fold;
use crate::page::{Direction, Entry, Page, PageRequest, SortValue, paginate};
use crate::store::Store;

impl Store {
    /// A page of the trust lists, or of one of them, by list and common name.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`]; [`StoreError::Unavailable`] and its like.
    pub async fn trust_entries(
        &self,
        list: Option<TrustListName>,
        page: PageRequest,
    ) -> Result<Page<TrustEntry>, StoreError> {
        self.reading(async {
            let lists = self.trust_lists().await?;
            let mut shown = HashSet::new();
            let filed = lists.certificates.iter().filter(|filed| list.is_none_or(|list| filed.list == list));
            // The same certificate may lie in two files.
            let filed = filed.filter(|filed| shown.insert((filed.list, filed.item.thumbprint_sha256())));
            let entries = filed.map(entry).collect();
            let page = paginate(entries, "name", Direction::Ascending, &page)?;
            let mut connection = self.inner.database.read().await?;
            let mut items = Vec::with_capacity(page.items.len());
            for filed in &page.items {
                items.push(describe(&mut connection, filed.list, &filed.item).await?);
            }
            Ok(page.with_items(items))
        })
        .await
    }

    /// What is known of a certificate in one of the lists.
    pub(super) async fn trust_entry_in(
        &self,
        lists: &TrustLists,
        list: TrustListName,
        thumbprint: Sha256Thumbprint,
    ) -> Result<TrustEntry, StoreError> {
        let filed = lists.files_of(thumbprint).find(|filed| filed.list == list);
        let filed = filed.ok_or_else(|| StoreError::not_found(Resource::ServerCertificate, thumbprint))?;
        describe(&mut *self.inner.database.read().await?, list, &filed.item).await
    }

    /// A page of the revocation lists, by authority.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`]; [`StoreError::Unavailable`] and its like.
    pub async fn revocation_lists(&self, page: PageRequest) -> Result<Page<RevocationListEntry>, StoreError> {
        let lists = self.trust_lists().await?;
        let mut shown = HashSet::new();
        let filed = lists.revocation_lists.iter().filter(|filed| shown.insert(filed.item.sha256()));
        let entries = filed.map(|filed| Entry {
            value: SortValue::Text(fold(filed.item.issuer())),
            id: filed.item.sha256().to_string(),
            item: filed,
        });
        let page = paginate(entries.collect(), "issuer", Direction::Ascending, &page)?;
        Ok(page.map(|filed| lists.describe_revocation_list(filed)))
    }

    /// One revocation list.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`] and its like.
    pub async fn revocation_list(&self, sha256: Sha256Thumbprint) -> Result<RevocationListEntry, StoreError> {
        let lists = self.trust_lists().await?;
        let filed = lists.revocation_lists.iter().find(|filed| filed.item.sha256() == sha256);
        filed
            .map(|filed| lists.describe_revocation_list(filed))
            .ok_or_else(|| StoreError::not_found(Resource::RevocationList, sha256))
    }
}

impl TrustLists {
    fn describe_revocation_list(&self, filed: &Filed<koios_pki::RevocationList>) -> RevocationListEntry {
        let authorities = [TrustListName::Trusted, TrustListName::Issuer];
        let mut authorities = authorities.into_iter().flat_map(|list| self.certificates(list));
        RevocationListEntry {
            list: filed.list,
            issuer_known: authorities.any(|authority| filed.item.is_issued_by(authority)),
            revocation_list: filed.item.clone(),
        }
    }
}

fn entry(filed: &Filed<Certificate>) -> Entry<&Filed<Certificate>> {
    let position = TrustListName::ALL.iter().position(|list| *list == filed.list).unwrap_or_default();
    let name = fold(filed.item.common_name().unwrap_or_default());
    Entry {
        value: SortValue::Text(format!("{position}{name}")),
        id: filed.item.thumbprint_sha256().to_string(),
        item: filed,
    }
}

#[derive(FromRow)]
struct RejectedRow {
    chain: Vec<u8>,
    reason_code: Option<String>,
    reason: String,
    first_seen: i64,
    last_seen: i64,
}

async fn describe(
    connection: &mut Connection,
    list: TrustListName,
    certificate: &Certificate,
) -> Result<TrustEntry, StoreError> {
    let thumbprint = certificate.thumbprint_sha256();
    let sightings = sightings(connection, thumbprint).await?;
    let mut entry = TrustEntry {
        list,
        chain: CertificateChain::from(certificate.clone()),
        reason_code: None,
        reason: None,
        devices: Vec::new(),
        first_seen: sightings.map(|(first, _)| first),
        last_seen: sightings.map(|(_, last)| last),
    };
    if list != TrustListName::Rejected {
        entry.devices = devices_shown(connection, thumbprint).await?;
        return Ok(entry);
    }
    entry.devices = devices_rejecting(connection, thumbprint).await?;
    let row: Option<RejectedRow> = sqlx::query_as(
        "SELECT chain, reason_code, reason, first_seen, last_seen FROM rejected_certificates \
         WHERE thumbprint_sha256 = $1",
    )
    .bind(thumbprint.to_string())
    .fetch_optional(connection)
    .await
    .database()?;
    let Some(row) = row else { return Ok(entry) };
    entry.chain = parse_chain(&row.chain, "rejected_certificates.chain")?;
    // A person may reject what no server has presented.
    if sightings.is_none() && row.reason_code.is_some() {
        entry.first_seen = Some(instant::from_micros(row.first_seen, "rejected_certificates.first_seen")?);
        entry.last_seen = Some(instant::from_micros(row.last_seen, "rejected_certificates.last_seen")?);
    }
    entry.reason_code = row.reason_code;
    entry.reason = Some(row.reason);
    Ok(entry)
}

/// When any server presented it first and last.
async fn sightings(
    connection: &mut Connection,
    thumbprint: Sha256Thumbprint,
) -> Result<Option<(OffsetDateTime, OffsetDateTime)>, StoreError> {
    let (first, last): (Option<i64>, Option<i64>) = sqlx::query_as(
        "SELECT MIN(first_seen), MAX(last_seen) FROM seen_certificates WHERE thumbprint_sha256 = $1",
    )
    .bind(thumbprint.to_string())
    .fetch_one(connection)
    .await
    .database()?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
    Ok(Some((
        instant::from_micros(first, "seen_certificates.first_seen")?,
        instant::from_micros(last, "seen_certificates.last_seen")?,
    )))
}

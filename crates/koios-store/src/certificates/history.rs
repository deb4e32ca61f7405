//! Key pairs that are no longer current: their public certificates stay, for whoever asks what a server once
//! trusted.

use time::OffsetDateTime;

use crate::certificates::row::{CertificateRow, parse_chain};
use crate::certificates::{EndReason, PastGeneration};
use crate::database::{Connection, DatabaseResult};
use crate::error::StoreError;
use crate::id::CertificateId;
use crate::instant;
use crate::page::{Direction, Entry, Page, PageRequest, SortValue, paginate};
use crate::store::Store;

/// Keeps what a row's key pair was.
pub(crate) async fn record_end(
    connection: &mut Connection,
    row: &CertificateRow,
    now: OffsetDateTime,
    reason: EndReason,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO certificate_history (certificate_id, generation, name, origin, chain, thumbprint_sha256, \
         current_from, current_until, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(row.id()?.to_string())
    .bind(i64::from(row.generation()?))
    .bind(&row.name)
    .bind(row.origin()?.as_str())
    .bind(&row.chain)
    .bind(row.chain()?.leaf().thumbprint_sha256().to_string())
    .bind(row.installed_at)
    .bind(instant::to_micros(now))
    .bind(reason.as_str())
    .execute(connection)
    .await
    .database()?;
    Ok(())
}

impl Store {
    /// The past key pairs of a certificate, newest first; a deleted certificate's as well, an unknown id has
    /// none.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`]; [`StoreError::Unavailable`] and its like.
    pub async fn certificate_history(
        &self,
        id: CertificateId,
        page: PageRequest,
    ) -> Result<Page<PastGeneration>, StoreError> {
        self.reading(async {
            let rows: Vec<(i64, Vec<u8>, i64, i64, String)> = sqlx::query_as(
                "SELECT generation, chain, current_from, current_until, reason FROM certificate_history \
                 WHERE certificate_id = $1",
            )
            .bind(id.to_string())
            .fetch_all(&mut *self.inner.database.read().await?)
            .await
            .database()?;
            let entries = rows
                .into_iter()
                .map(|row| Entry { value: SortValue::Number(row.0), id: row.0.to_string(), item: row })
                .collect();
            let page = paginate(entries, "generation", Direction::Descending, &page)?;
            let items = page.items.iter().map(past_generation).collect::<Result<_, _>>()?;
            Ok(page.with_items(items))
        })
        .await
    }
}

fn past_generation(
    (generation, chain, from, until, reason): &(i64, Vec<u8>, i64, i64, String),
) -> Result<PastGeneration, StoreError> {
    Ok(PastGeneration {
        generation: u32::try_from(*generation)
            .map_err(|source| StoreError::corrupt("certificate_history.generation", source))?,
        chain: parse_chain(chain, "certificate_history.chain")?,
        from: instant::from_micros(*from, "certificate_history.current_from")?,
        until: instant::from_micros(*until, "certificate_history.current_until")?,
        reason: EndReason::from_name(reason).ok_or_else(|| StoreError::Corrupt {
            what: "certificate_history.reason".to_owned(),
            source: None,
        })?,
    })
}

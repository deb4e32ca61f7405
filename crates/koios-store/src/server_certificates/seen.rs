//! What servers presented: last, per device; ever, per endpoint and in bounded number.

use koios_pki::CertificateChain;
use time::{Duration, OffsetDateTime};

use crate::certificates::row::parse_chain;
use crate::database::{Connection, DatabaseResult};
use crate::devices::row::DeviceRow;
use crate::error::StoreError;
use crate::event::{DeviceName, StoreEvent};
use crate::id::DeviceId;
use crate::instant;
use crate::server_certificates::{Presented, SeenServerCertificate};
use crate::store::{Apply, Store};

/// How many certificates of one endpoint are kept: years of yearly renewals, and no more for a server that
/// presents a new one each time.
const KEPT_PER_ENDPOINT: i64 = 16;

/// How many certificates are kept in all, so that discovery of ever new addresses does not fill the disk.
const KEPT_IN_ALL: i64 = 10_000;

/// The same certificate again is written at most this often: a thousand devices that try every ten seconds
/// must not mean a hundred syncs of the disk a second.
const RESOLUTION: Duration = Duration::MINUTE;

impl Store {
    /// Notes which certificate a device's server presented, and that it was seen at the device's endpoint.
    ///
    /// The same certificate again within a minute is not written again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::StorageFull`] and its like.
    pub async fn record_presented(
        &self,
        device: DeviceId,
        chain: CertificateChain,
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let known = self.presented(device).await?;
        if known.is_some_and(|known| known.chain == chain && is_recent(known.seen_at, at)) {
            return Ok(());
        }
        let store = self.clone();
        self.run(async move {
            let mut write = store.begin().await?;
            let row = DeviceRow::find(write.connection(), device).await?;
            let before = presented(write.connection(), device).await?;
            sqlx::query(
                "INSERT INTO presented_certificates (device_id, chain, thumbprint_sha256, seen_at) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (device_id) DO UPDATE SET chain = excluded.chain, \
                 thumbprint_sha256 = excluded.thumbprint_sha256, seen_at = excluded.seen_at",
            )
            .bind(device.to_string())
            .bind(chain.to_der_blob())
            .bind(chain.leaf().thumbprint_sha256().to_string())
            .bind(instant::to_micros(at))
            .execute(write.connection())
            .await
            .database()?;
            if note_seen(write.connection(), &row.endpoint_url, &chain, at).await? {
                write.tell(StoreEvent::ServerCertificateSeen {
                    endpoint_url: row.endpoint_url.clone(),
                    certificate: Box::new(chain.leaf().clone()),
                    device: Some(DeviceName::of(&row)?),
                });
            }
            let before = before.map(|before| before.chain.leaf().thumbprint_sha256());
            if let Some(before) = before.filter(|before| *before != chain.leaf().thumbprint_sha256()) {
                let pinned = row.device()?.pinned_server_certificate;
                write.tell(StoreEvent::ServerCertificateChanged {
                    device: DeviceName::of(&row)?,
                    endpoint_url: row.endpoint_url,
                    certificate: Box::new(chain.leaf().clone()),
                    previous_thumbprint_sha256: before,
                    pinned_thumbprint_sha256: pinned.map(|pinned| pinned.leaf().thumbprint_sha256()),
                });
            }
            write.finish(Apply::Commit).await
        })
        .await
    }

    /// Notes that a certificate was seen at an endpoint that need not be any device's: by discovery, or by a
    /// Test of settings that are not stored.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like.
    pub async fn record_seen(
        &self,
        endpoint_url: &str,
        chain: CertificateChain,
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        let endpoint_url = endpoint_url.to_owned();
        self.run(async move {
            let mut write = store.begin().await?;
            if note_seen(write.connection(), &endpoint_url, &chain, at).await? {
                let certificate = Box::new(chain.leaf().clone());
                write.tell(StoreEvent::ServerCertificateSeen { endpoint_url, certificate, device: None });
            }
            write.finish(Apply::Commit).await
        })
        .await
    }

    /// The certificate a device's server presented last.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`] and its like.
    pub async fn presented(&self, device: DeviceId) -> Result<Option<Presented>, StoreError> {
        self.reading(async {
            let mut connection = self.inner.database.read().await?;
            DeviceRow::find(&mut connection, device).await?;
            presented(&mut connection, device).await
        })
        .await
    }

    /// The server certificates seen at an endpoint, the one seen last first; at most 16.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn seen_server_certificates(
        &self,
        endpoint_url: &str,
    ) -> Result<Vec<SeenServerCertificate>, StoreError> {
        self.reading(async { seen_at(&mut *self.inner.database.read().await?, endpoint_url).await }).await
    }
}

/// The certificates seen at an endpoint, the one seen last first.
pub(super) async fn seen_at(
    connection: &mut Connection,
    endpoint_url: &str,
) -> Result<Vec<SeenServerCertificate>, StoreError> {
    let rows: Vec<(Vec<u8>, i64, i64)> = sqlx::query_as(
        "SELECT chain, first_seen, last_seen FROM seen_certificates WHERE endpoint_url = $1 \
         ORDER BY last_seen DESC, thumbprint_sha256",
    )
    .bind(endpoint_url)
    .fetch_all(connection)
    .await
    .database()?;
    let seen = rows.into_iter().map(|(chain, first_seen, last_seen)| {
        Ok(SeenServerCertificate {
            endpoint_url: endpoint_url.to_owned(),
            chain: parse_chain(&chain, "seen_certificates.chain")?,
            first_seen: instant::from_micros(first_seen, "seen_certificates.first_seen")?,
            last_seen: instant::from_micros(last_seen, "seen_certificates.last_seen")?,
        })
    });
    seen.collect()
}

pub(super) async fn presented(
    connection: &mut Connection,
    device: DeviceId,
) -> Result<Option<Presented>, StoreError> {
    let row: Option<(Vec<u8>, i64)> =
        sqlx::query_as("SELECT chain, seen_at FROM presented_certificates WHERE device_id = $1")
            .bind(device.to_string())
            .fetch_optional(connection)
            .await
            .database()?;
    let Some((chain, seen_at)) = row else { return Ok(None) };
    Ok(Some(Presented {
        chain: parse_chain(&chain, "presented_certificates.chain")?,
        seen_at: instant::from_micros(seen_at, "presented_certificates.seen_at")?,
    }))
}

/// Forgets what a device's server presented last.
pub(crate) async fn forget_presented(
    connection: &mut Connection,
    device: DeviceId,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM presented_certificates WHERE device_id = $1")
        .bind(device.to_string())
        .execute(connection)
        .await
        .database()?;
    Ok(())
}

/// Whether an instant lies less than [`RESOLUTION`] before another one, and not behind it.
fn is_recent(known: OffsetDateTime, at: OffsetDateTime) -> bool {
    known <= at && at - known < RESOLUTION
}

/// Notes a certificate at an endpoint; says whether it was not known there.
async fn note_seen(
    connection: &mut Connection,
    endpoint_url: &str,
    chain: &CertificateChain,
    at: OffsetDateTime,
) -> Result<bool, StoreError> {
    let thumbprint = chain.leaf().thumbprint_sha256().to_string();
    let seen_again = sqlx::query(
        "UPDATE seen_certificates SET chain = $3, last_seen = $4 WHERE endpoint_url = $1 AND thumbprint_sha256 = $2",
    )
    .bind(endpoint_url)
    .bind(&thumbprint)
    .bind(chain.to_der_blob())
    .bind(instant::to_micros(at))
    .execute(&mut *connection)
    .await
    .database()?;
    // Thousands of devices connect at a start, and counting takes longer the more were seen: only a new one makes more.
    if seen_again.rows_affected() > 0 {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO seen_certificates (endpoint_url, thumbprint_sha256, chain, first_seen, last_seen) \
         VALUES ($1, $2, $3, $4, $4)",
    )
    .bind(endpoint_url)
    .bind(&thumbprint)
    .bind(chain.to_der_blob())
    .bind(instant::to_micros(at))
    .execute(&mut *connection)
    .await
    .database()?;
    sqlx::query(
        "DELETE FROM seen_certificates WHERE endpoint_url = $1 AND thumbprint_sha256 NOT IN (SELECT thumbprint_sha256 \
         FROM seen_certificates WHERE endpoint_url = $1 ORDER BY last_seen DESC, thumbprint_sha256 LIMIT $2)",
    )
    .bind(endpoint_url)
    .bind(KEPT_PER_ENDPOINT)
    .execute(&mut *connection)
    .await
    .database()?;
    let (all,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM seen_certificates")
        .fetch_one(&mut *connection)
        .await
        .database()?;
    if all > KEPT_IN_ALL {
        sqlx::query(
            "DELETE FROM seen_certificates WHERE (endpoint_url, thumbprint_sha256) NOT IN (SELECT endpoint_url, \
             thumbprint_sha256 FROM seen_certificates ORDER BY last_seen DESC, endpoint_url, thumbprint_sha256 \
             LIMIT $1)",
        )
        .bind(KEPT_IN_ALL)
        .execute(connection)
        .await
        .database()?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_the_notes() {
        let known = datetime!(2026-11-23 10:00:00 UTC);
        assert!(is_recent(known, known + Duration::seconds(59)));
        assert!(!is_recent(known, known + Duration::MINUTE));
        assert!(!is_recent(known, known - Duration::SECOND));
    }
}

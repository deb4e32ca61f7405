//! Rejected server certificates: kept in bounded number, with the reason and whose connection it was.

use std::collections::HashSet;

use koios_pki::{Certificate, CertificateChain, Sha256Thumbprint};
use time::{Duration, OffsetDateTime};

use super::files::{certificates_folder, file_name};
use super::{Rejection, TrustListName, TrustLists};
use crate::atomic::{self, Access};
use crate::database::{Connection, DatabaseResult, storable};
use crate::error::StoreError;
use crate::event::{DeviceName, StoreEvent};
use crate::id::DeviceId;
use crate::instant;
use crate::layout::Layout;
use crate::store::{Apply, Store};
use crate::write::Write;

/// How many rejected certificates are kept, the newest: enough for a plant that was set up anew, and no more for a
/// server that presents another one each time.
const KEPT: usize = 200;

/// The same refusal again is written at most this often: devices try every ten seconds.
const RESOLUTION: Duration = Duration::MINUTE;

/// What is said of a certificate that a person has rejected.
const BY_HAND: &str = "An administrator has rejected it";

impl Store {
    /// Keeps a server certificate that was refused, with the reason; the same again within a minute is not written
    /// again, nor another one by a device when all that are kept are as recent. One in the trusted or issuer list is
    /// not put among the rejected: it was refused for what is wrong with it now, and the device says so.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like.
    pub async fn record_rejected(&self, rejection: Rejection) -> Result<(), StoreError> {
        if self.is_recent(&rejection).await? {
            return Ok(());
        }
        let store = self.clone();
        self.run(async move {
            let thumbprint = rejection.chain.leaf().thumbprint_sha256();
            let lists = store.trust_lists().await?;
            if is_listed(&lists, thumbprint) {
                return Ok(());
            }
            if lists.holds(TrustListName::Rejected, thumbprint) {
                // Nobody who looks at the lists waits for the disk meanwhile.
                let mut write = store.begin().await?;
                note(&mut write, &rejection).await?;
                return write.finish(Apply::Commit).await;
            }
            if rejection.device.is_some() && store.is_full_of_recent(rejection.at).await? {
                return Ok(());
            }
            let mut seen = store.lock_trust_lists().await;
            let lists = store.look_at_trust_lists(&mut seen).await?;
            if is_listed(&lists, thumbprint) {
                return Ok(());
            }
            if !lists.holds(TrustListName::Rejected, thumbprint) {
                let leaf = rejection.chain.leaf().clone();
                // Before the rows: a file without a reason is shown, a reason without a file is not.
                store.blocking(move |layout| write(layout, &leaf)).await?;
            }
            let mut write = store.begin().await?;
            note(&mut write, &rejection).await?;
            let surplus = surplus(write.connection(), &lists, thumbprint).await?;
            write.finish(Apply::Commit).await?;
            store.blocking(move |layout| remove(layout, &lists, &surplus)).await?;
            store.look_at_trust_lists(&mut seen).await.map(drop)
        })
        .await
    }

    /// Whether all that may be kept was rejected within the last minute: each one more would push out one whose device
    /// brings it back in seconds, for as long as more are rejected than kept.
    async fn is_full_of_recent(&self, at: OffsetDateTime) -> Result<bool, StoreError> {
        let mut connection = self.inner.database.read().await?;
        let (count, oldest): (i64, Option<i64>) =
            sqlx::query_as("SELECT COUNT(*), MIN(last_seen) FROM rejected_certificates")
                .fetch_one(&mut *connection)
                .await
                .database()?;
        let Some(oldest) = oldest.filter(|_| usize::try_from(count).is_ok_and(|count| count >= KEPT)) else {
            return Ok(false);
        };
        let oldest = instant::from_micros(oldest, "rejected_certificates.last_seen")?;
        Ok((Duration::ZERO..RESOLUTION).contains(&(at - oldest)))
    }

    /// Takes a certificate that somebody has approved from the rejected ones, when no device rejects it any more.
    pub(crate) async fn forget_if_nobody_rejects(
        &self,
        thumbprint: Sha256Thumbprint,
    ) -> Result<(), StoreError> {
        let mut seen = self.lock_trust_lists().await;
        let lists = self.look_at_trust_lists(&mut seen).await?;
        if !lists.holds(TrustListName::Rejected, thumbprint) {
            return Ok(());
        }
        let mut write = self.begin().await?;
        let (rejecting,): (i64,) =
            sqlx::query_as("SELECT COUNT(*) FROM rejected_by WHERE thumbprint_sha256 = $1")
                .bind(thumbprint.to_string())
                .fetch_one(write.connection())
                .await
                .database()?;
        if rejecting > 0 {
            return Ok(());
        }
        forget_rejected(write.connection(), thumbprint).await?;
        write.finish(Apply::Commit).await?;
        self.blocking(move |layout| remove(layout, &lists, &[thumbprint])).await?;
        self.look_at_trust_lists(&mut seen).await.map(drop)
    }

    async fn is_recent(&self, rejection: &Rejection) -> Result<bool, StoreError> {
        self.reading(async {
            let mut connection = self.inner.database.read().await?;
            let Some((code, at)) = newest(&mut connection, rejection).await? else { return Ok(false) };
            let at = instant::from_micros(at, "rejected_by.at")?;
            let age = rejection.at - at;
            Ok(code.as_deref() == Some(&rejection.code) && (Duration::ZERO..RESOLUTION).contains(&age))
        })
        .await
    }
}

/// Whether it is in a list that a person keeps.
fn is_listed(lists: &TrustLists, thumbprint: Sha256Thumbprint) -> bool {
    lists.holds(TrustListName::Trusted, thumbprint) || lists.holds(TrustListName::Issuer, thumbprint)
}

/// The code of the same certificate's last refusal by the same device, or by anybody, and its instant.
async fn newest(
    connection: &mut Connection,
    rejection: &Rejection,
) -> Result<Option<(Option<String>, i64)>, StoreError> {
    let thumbprint = rejection.chain.leaf().thumbprint_sha256().to_string();
    match rejection.device {
        Some(device) => {
            sqlx::query_as(
                "SELECT reason_code, at FROM rejected_by WHERE thumbprint_sha256 = $1 AND device_id = $2",
            )
            .bind(thumbprint)
            .bind(device.to_string())
            .fetch_optional(connection)
            .await
        }
        None => {
            sqlx::query_as(
                "SELECT reason_code, last_seen FROM rejected_certificates WHERE thumbprint_sha256 = $1",
            )
            .bind(thumbprint)
            .fetch_optional(connection)
            .await
        }
    }
    .database()
}

/// Notes that a person has rejected it.
pub(super) async fn note_rejected_by_hand(
    write: &mut Write,
    certificate: Certificate,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    write.tell(StoreEvent::ServerCertificateRejected {
        certificate: Box::new(certificate.clone()),
        device: None,
        code: None,
        reason: BY_HAND.to_owned(),
    });
    upsert(write.connection(), &certificate.into(), None, BY_HAND, at).await
}

async fn note(write: &mut Write, rejection: &Rejection) -> Result<(), StoreError> {
    let Rejection { chain, device, code, reason, at } = rejection;
    let before = newest(write.connection(), rejection).await?;
    if before.is_none_or(|(before, _)| before.as_ref() != Some(code)) {
        let device = match device {
            Some(device) => DeviceName::find(write.connection(), *device).await?,
            None => None,
        };
        write.tell(StoreEvent::ServerCertificateRejected {
            certificate: Box::new(chain.leaf().clone()),
            device,
            code: Some(code.clone()),
            reason: reason.clone(),
        });
    }
    let connection = write.connection();
    upsert(connection, chain, Some(code), reason, *at).await?;
    let Some(device) = device else { return Ok(()) };
    sqlx::query(
        "INSERT INTO rejected_by (thumbprint_sha256, device_id, reason_code, at) \
         SELECT $1, id, $3, $4 FROM devices WHERE id = $2 \
         ON CONFLICT (thumbprint_sha256, device_id) DO UPDATE SET reason_code = excluded.reason_code, \
         at = excluded.at",
    )
    .bind(chain.leaf().thumbprint_sha256().to_string())
    .bind(device.to_string())
    .bind(code)
    .bind(instant::to_micros(*at))
    .execute(connection)
    .await
    .database()?;
    Ok(())
}

async fn upsert(
    connection: &mut Connection,
    chain: &CertificateChain,
    code: Option<&str>,
    reason: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO rejected_certificates (thumbprint_sha256, chain, reason_code, reason, first_seen, last_seen) \
         VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (thumbprint_sha256) DO UPDATE SET chain = excluded.chain, \
         reason_code = excluded.reason_code, reason = excluded.reason, last_seen = excluded.last_seen",
    )
    .bind(chain.leaf().thumbprint_sha256().to_string())
    .bind(chain.to_der_blob())
    .bind(code)
    .bind(storable(reason))
    .bind(instant::to_micros(at))
    .execute(connection)
    .await
    .database()?;
    Ok(())
}

/// Forgets why a certificate was rejected.
pub(super) async fn forget_rejected(
    connection: &mut Connection,
    thumbprint: Sha256Thumbprint,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM rejected_certificates WHERE thumbprint_sha256 = $1")
        .bind(thumbprint.to_string())
        .execute(connection)
        .await
        .database()?;
    Ok(())
}

/// Forgets that a device has rejected a certificate that it now pins.
pub(crate) async fn forget_rejection(
    connection: &mut Connection,
    device: DeviceId,
    thumbprint: Sha256Thumbprint,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM rejected_by WHERE thumbprint_sha256 = $1 AND device_id = $2")
        .bind(thumbprint.to_string())
        .bind(device.to_string())
        .execute(connection)
        .await
        .database()?;
    Ok(())
}

/// Forgets rows without a file and those beyond the bound; answers which files are to go with them.
async fn surplus(
    connection: &mut Connection,
    lists: &TrustLists,
    newest: Sha256Thumbprint,
) -> Result<Vec<Sha256Thumbprint>, StoreError> {
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT thumbprint_sha256 FROM rejected_certificates ORDER BY last_seen DESC, thumbprint_sha256",
    )
    .fetch_all(&mut *connection)
    .await
    .database()?;
    let mut known: Vec<Sha256Thumbprint> = rows.iter().filter_map(|text| text.parse().ok()).collect();
    let with_row: HashSet<Sha256Thumbprint> = known.iter().copied().collect();
    let mut gone: Vec<Sha256Thumbprint> = known
        .extract_if(.., |thumbprint| {
            *thumbprint != newest && !lists.holds(TrustListName::Rejected, *thumbprint)
        })
        .collect();
    // Files that somebody put there have no row, and go first.
    let strangers = lists.certificates(TrustListName::Rejected).map(Certificate::thumbprint_sha256);
    let strangers: Vec<_> = strangers.filter(|thumbprint| !with_row.contains(thumbprint)).collect();
    let kept: Vec<_> = known.into_iter().chain(strangers).collect();
    gone.extend(kept.iter().skip(KEPT));
    for thumbprint in &gone {
        forget_rejected(connection, *thumbprint).await?;
    }
    Ok(gone)
}

fn write(layout: &Layout, leaf: &Certificate) -> Result<(), StoreError> {
    let name = file_name(leaf.common_name().unwrap_or_default(), &leaf.thumbprint_sha1().to_string(), "der");
    let path = layout.root().join(certificates_folder(TrustListName::Rejected)).join(name);
    atomic::replace(&path, leaf.der(), Access::Public).map_err(|source| StoreError::io(&path, source))
}

fn remove(layout: &Layout, lists: &TrustLists, surplus: &[Sha256Thumbprint]) -> Result<(), StoreError> {
    for thumbprint in surplus {
        let files = lists.files_of(*thumbprint).filter(|filed| filed.list == TrustListName::Rejected);
        for filed in files {
            let path = layout.root().join(&filed.path);
            atomic::remove_file(&path).map_err(|source| StoreError::io(&path, source))?;
        }
    }
    Ok(())
}

//! Pins: the server certificate a device knows its server by.

use koios_pki::{CertificateChain, Sha256Thumbprint};
use serde_json::json;

use crate::certificates::row::require_revision;
use crate::change::Change;
use crate::database::DatabaseResult;
use crate::device::DeviceRef;
use crate::devices::row::{DeviceRow, device_ref};
use crate::error::StoreError;
use crate::id::DeviceId;
use crate::instant;
use crate::server_certificates::PinOutcome;
use crate::store::{Apply, Store};
use crate::trust_lists::forget_rejection;
use crate::write::Write;

impl Store {
    /// Pins the first server certificate a device met; one that is pinned already stays.
    ///
    /// The caller has seen the server prove that it holds the key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`] and its like.
    pub async fn pin_server_certificate(
        &self,
        device: DeviceId,
        chain: CertificateChain,
    ) -> Result<PinOutcome, StoreError> {
        let store = self.clone();
        self.run(async move {
            let mut write = store.begin().await?;
            let row = DeviceRow::find(write.connection(), device).await?;
            if let Some(pinned) = row.device()?.pinned_server_certificate {
                return Ok(PinOutcome::AlreadyPinned(pinned));
            }
            let after = json!({ "thumbprint_sha256": chain.leaf().thumbprint_sha256().to_string() });
            write.describe(Some(row.audit_resource()), None, Some(after));
            set_pin(&mut write, row, Some(chain.to_der_blob())).await?;
            write.announce(Change::ServerCertificatePinned(device));
            write.finish(Apply::Commit).await?;
            Ok(PinOutcome::Pinned)
        })
        .await
    }

    /// Forgets the server certificate a device knows; without one nothing changes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::RevisionMismatch`] ([`Store::expecting`]); [`StoreError::Unavailable`] and
    /// its like.
    pub async fn forget_pin(&self, device: DeviceId) -> Result<(), StoreError> {
        let store = self.clone();
        self.run(async move {
            let mut write = store.begin().await?;
            let row = DeviceRow::find(write.connection(), device).await?;
            require_revision(row.revision, store.expected_revision)?;
            if set_pin(&mut write, row, None).await? {
                write.announce(Change::PinForgotten(device));
            }
            write.finish(Apply::Commit).await
        })
        .await
    }

    /// Pins the server certificate that was presented last, if it is the one a person looked at; for all
    /// devices whose server presented that same one last, when asked to. Answers the devices whose pin
    /// changed.
    ///
    /// # Errors
    /// [`StoreError::ThumbprintMismatch`] when another one, or none, was presented last,
    /// [`StoreError::RevisionMismatch`] ([`Store::expecting`]);
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`] and its like.
    pub async fn approve(
        &self,
        device: DeviceId,
        thumbprint: Sha256Thumbprint,
        all_devices_with_it: bool,
    ) -> Result<Vec<DeviceRef>, StoreError> {
        let store = self.clone();
        self.run(async move {
            let pinned = store.clone().pin_presented(device, thumbprint, all_devices_with_it).await?;
            // The approval stands; what is shown among the rejected decides nothing.
            let unrecorded = Self { audit: None, ..store };
            if let Err(error) = unrecorded.forget_if_nobody_rejects(thumbprint).await {
                tracing::warn!(%error, "an approved server certificate is still shown among the rejected");
            }
            Ok(pinned)
        })
        .await
    }

    async fn pin_presented(
        self,
        device: DeviceId,
        thumbprint: Sha256Thumbprint,
        all_devices_with_it: bool,
    ) -> Result<Vec<DeviceRef>, StoreError> {
        let mut write = self.begin().await?;
        let looked_at = DeviceRow::find(write.connection(), device).await?;
        require_revision(looked_at.revision, self.expected_revision)?;
        let presented = super::seen::presented(write.connection(), device).await?;
        match presented.map(|presented| presented.chain.leaf().thumbprint_sha256()) {
            Some(presented) if presented == thumbprint => {}
            presented => return Err(StoreError::ThumbprintMismatch { approved: thumbprint, presented }),
        }
        let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
            "SELECT device_id, chain FROM presented_certificates WHERE thumbprint_sha256 = $1 ORDER BY device_id",
        )
        .bind(thumbprint.to_string())
        .fetch_all(write.connection())
        .await
        .database()?;
        let mut pinned = Vec::new();
        for (id, chain) in rows {
            let id = id
                .parse()
                .map_err(|source| StoreError::corrupt("presented_certificates.device_id", source))?;
            if id != device && !all_devices_with_it {
                continue;
            }
            forget_rejection(write.connection(), id, thumbprint).await?;
            let row = DeviceRow::find(write.connection(), id).await?;
            let pin = row.device()?.pinned_server_certificate;
            if pin.is_some_and(|pin| pin.leaf().thumbprint_sha256() == thumbprint) {
                continue;
            }
            set_pin(&mut write, row, Some(chain)).await?;
            write.announce(Change::ServerCertificateApproved(id));
            pinned.push(device_ref(write.connection(), id).await?);
        }
        write.finish(Apply::Commit).await?;
        Ok(pinned)
    }
}

async fn set_pin(
    write: &mut Write,
    before: DeviceRow,
    pinned_chain: Option<Vec<u8>>,
) -> Result<bool, StoreError> {
    let mut after = DeviceRow { pinned_chain, ..before.clone() };
    after.update(write.connection(), &before, instant::now()).await
}

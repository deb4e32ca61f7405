//! Deleting a certificate: its devices fall back to the default.

use crate::certificate_files;
use crate::certificates::history::record_end;
use crate::certificates::request::{self, RequestRow};
use crate::certificates::row::CertificateRow;
use crate::certificates::{Deleted, EndReason};
use crate::change::Change;
use crate::database::DatabaseResult;
use crate::devices::row::{Users, assign_certificate, device_refs};
use crate::error::StoreError;
use crate::event::StoreEvent;
use crate::fault::FaultPoint;
use crate::id::CertificateId;
use crate::instant;
use crate::store::{Apply, Store};
use serde_json::json;

impl Store {
    /// Deletes a certificate that is not the default; devices that named it name none afterwards.
    ///
    /// Its public certificate goes into the history; its private key's file is gone when this returns.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::RevisionMismatch`],
    /// [`StoreError::DefaultCertificateRequired`]; [`StoreError::Unavailable`] and its like, with nothing
    /// changed. A key that cannot be removed after the commit is an error in the log: the certificate *is* deleted.
    pub async fn delete_certificate(
        &self,
        id: CertificateId,
        apply: Apply,
        expected_revision: Option<i64>,
    ) -> Result<Deleted, StoreError> {
        let store = self.clone();
        self.run(store.delete(id, apply, expected_revision)).await
    }

    async fn delete(
        self,
        id: CertificateId,
        apply: Apply,
        expected_revision: Option<i64>,
    ) -> Result<Deleted, StoreError> {
        let _generations = self.inner.generations.lock().await;
        let mut write = self.begin().await?;
        let row = CertificateRow::find(write.connection(), id).await?;
        row.require_revision(expected_revision)?;
        if row.is_default {
            return Err(StoreError::DefaultCertificateRequired { id, name: row.name });
        }
        let default = CertificateRow::find_default(write.connection()).await?.ok_or_else(|| {
            StoreError::Corrupt { what: "certificates: there is no default".to_owned(), source: None }
        })?;
        let mut reassigned_devices = device_refs(write.connection(), Users::Naming(id)).await?;
        let now = instant::now();
        for device in &mut reassigned_devices {
            assign_certificate(write.connection(), device.id, None, now).await?;
            device.through_default = device.security_mode.needs_certificate();
            write.announce(Change::DeviceUpdated(device.id));
        }
        record_end(write.connection(), &row, now, EndReason::Deleted).await?;
        if RequestRow::find(write.connection(), id).await?.is_some() {
            write.record_too(request::DROPPED);
        }
        sqlx::query("DELETE FROM certificates WHERE id = $1")
            .bind(id.to_string())
            .execute(write.connection())
            .await
            .database()?;
        write.announce(Change::CertificateDeleted(id));
        let before = json!({ "thumbprint_sha256": row.chain()?.leaf().thumbprint_sha256().to_string() });
        let reassigned: Vec<_> = reassigned_devices.iter().map(|device| device.id.to_string()).collect();
        let after = json!({ "reassigned_devices": reassigned });
        write.describe(Some(row.audit_resource()), Some(before), Some(after));
        let deleted = Deleted { id, reassigned_devices, now_using: default.certificate_name()? };
        write.tell(StoreEvent::CertificateDeleted {
            certificate: row.certificate_name()?,
            thumbprint_sha256: row.chain()?.leaf().thumbprint_sha256(),
            reassigned_devices: deleted.reassigned_devices.clone(),
            now_using: deleted.now_using.clone(),
        });
        if apply == Apply::DryRun {
            write.finish(apply).await?;
            return Ok(deleted);
        }

        let generation = row.generation()?;
        let _files = self.inner.files.write().await;
        write.finish(Apply::Commit).await?;
        self.inner.faults.pass(FaultPoint::AfterCommit).await;
        self.blocking(move |layout| {
            if let Err(error) = certificate_files::remove_certificate(layout, id, generation) {
                certificate_files::tell_old_key_remains(&layout.certificate(id), &error);
            }
            Ok(())
        })
        .await?;
        Ok(deleted)
    }
}

//! The default certificate, and what people call certificates.

use crate::certificate::CertificateRecord;
use crate::certificates::row::{self, CertificateRow};
use crate::certificates::{CertificatePatch, DefaultChanged};
use crate::change::Change;
use crate::database::DatabaseResult;
use crate::devices::row::{Users, device_refs};
use crate::error::StoreError;
use crate::event::StoreEvent;
use crate::id::CertificateId;
use crate::instant;
use crate::store::{Apply, Store};
use serde_json::json;

impl Store {
    /// Makes a certificate the default; the one that is it already changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::RevisionMismatch`] ([`Store::expecting`]); [`StoreError::Unavailable`] and
    /// its like.
    pub async fn set_default(&self, id: CertificateId, apply: Apply) -> Result<DefaultChanged, StoreError> {
        let store = self.clone();
        self.run(store.change_default(id, apply)).await
    }

    async fn change_default(self, id: CertificateId, apply: Apply) -> Result<DefaultChanged, StoreError> {
        let mut write = self.begin().await?;
        let row = CertificateRow::find(write.connection(), id).await?;
        row.require_revision(self.expected_revision)?;
        let previous = CertificateRow::find_default(write.connection()).await?.ok_or_else(|| {
            StoreError::Corrupt { what: "certificates: there is no default".to_owned(), source: None }
        })?;
        let previous_default = previous.certificate_name()?;
        if previous_default.id == id {
            let certificate = self.observed_one(row).await?;
            return Ok(DefaultChanged { certificate, previous_default, affected_devices: Vec::new() });
        }
        let affected_devices = device_refs(write.connection(), Users::ThroughDefault).await?;
        let before = json!({ "default_certificate_id": previous_default.id.to_string() });
        let after = json!({ "default_certificate_id": id.to_string() });
        write.describe(Some(row.audit_resource()), Some(before), Some(after));
        let row = match apply {
            Apply::DryRun => row,
            Apply::Commit => {
                row::move_default(write.connection(), id, instant::now()).await?;
                write.announce(Change::DefaultChanged(id));
                CertificateRow::find(write.connection(), id).await?
            }
        };
        let certificate = self.observed_one(row).await?;
        write.tell(StoreEvent::DefaultChanged {
            certificate: Box::new(certificate.clone()),
            previous: Some(previous_default.clone()),
        });
        write.finish(apply).await?;
        Ok(DefaultChanged { certificate, previous_default, affected_devices })
    }

    /// Changes name or description; what is equal to what is stored changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::RevisionMismatch`], [`StoreError::NameTaken`],
    /// [`StoreError::InvalidSetting`] for the description; [`StoreError::Unavailable`] and its like.
    pub async fn update_certificate(
        &self,
        id: CertificateId,
        patch: CertificatePatch,
        expected_revision: Option<i64>,
    ) -> Result<CertificateRecord, StoreError> {
        let store = self.clone();
        self.run(store.rename(id, patch, expected_revision)).await
    }

    async fn rename(
        self,
        id: CertificateId,
        patch: CertificatePatch,
        expected_revision: Option<i64>,
    ) -> Result<CertificateRecord, StoreError> {
        let mut write = self.begin().await?;
        let row = CertificateRow::find(write.connection(), id).await?;
        row.require_revision(expected_revision)?;
        let name = patch.name.as_ref().filter(|name| name.as_str() != row.name);
        let description = patch.description.filter(|description| *description != row.description);
        if name.is_none() && description.is_none() {
            return self.observed_one(row).await;
        }
        if let Some(name) = name {
            row::require_free_name(write.connection(), name, Some(id)).await?;
            sqlx::query("UPDATE certificates SET name = $2, name_key = $3 WHERE id = $1")
                .bind(id.to_string())
                .bind(name.as_str())
                .bind(name.folded())
                .execute(write.connection())
                .await
                .database()?;
        }
        if let Some(description) = description {
            row::require_description(description.as_deref())?;
            sqlx::query("UPDATE certificates SET description = $2 WHERE id = $1")
                .bind(id.to_string())
                .bind(description)
                .execute(write.connection())
                .await
                .database()?;
        }
        sqlx::query("UPDATE certificates SET revision = revision + 1, updated_at = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(instant::to_micros(instant::now()))
            .execute(write.connection())
            .await
            .database()?;
        write.announce(Change::CertificateUpdated(id));
        let updated = CertificateRow::find(write.connection(), id).await?;
        let shown = |row: &CertificateRow| Some(json!({ "name": row.name, "description": row.description }));
        write.describe(Some(updated.audit_resource()), shown(&row), shown(&updated));
        let record = self.observed_one(updated).await?;
        write.tell(StoreEvent::CertificateUpdated(Box::new(record.clone())));
        write.finish(Apply::Commit).await?;
        Ok(record)
    }
}

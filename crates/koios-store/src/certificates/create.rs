//! Adding a certificate.

use std::sync::Arc;

use koios_pki::PrivateKeyPem;

use crate::audit::AuditResource;
use crate::certificate::CertificateRecord;
use crate::certificate_files::{Digests, GenerationFiles};
use crate::certificates::NewCertificate;
use crate::certificates::row::{self, CertificateRow};
use crate::change::Change;
use crate::database::{Connection, DatabaseResult, storable};
use crate::devices::row::assign_certificate;
use crate::error::StoreError;
use crate::event::StoreEvent;
use crate::fault::FaultPoint;
use crate::id::CertificateId;
use crate::instant;
use crate::key_files::KeyFile;
use crate::store::{Apply, Store};
use crate::write::Write;
use serde_json::json;

impl Store {
    /// Adds a certificate, its files included; the first one becomes the default.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`], [`StoreError::CertificateExists`], [`StoreError::UnknownDevice`],
    /// [`StoreError::InvalidSetting`] for the description or a validity of 0 days;
    /// [`StoreError::StorageFull`] and its like. Nothing is stored then.
    pub async fn create_certificate(&self, new: NewCertificate) -> Result<CertificateRecord, StoreError> {
        let store = self.clone();
        self.run(store.create(new)).await
    }

    async fn create(self, new: NewCertificate) -> Result<CertificateRecord, StoreError> {
        let NewCertificate { name, description, origin, chain, key, validity_days, make_default, assign_to } =
            new;
        row::require_description(description.as_deref())?;
        require_validity_days(validity_days)?;
        let key = self.key_file(key).await?;
        let id = CertificateId::generate();
        let now = instant::now();
        let mut write = self.begin().await?;
        row::require_new_certificate(write.connection(), &chain, None).await?;
        row::require_free_name(write.connection(), &name, None).await?;
        let previous_default = CertificateRow::find_default(write.connection()).await?;
        let previous_default = previous_default.map(|row| row.certificate_name()).transpose()?;
        let first = previous_default.is_none();

        let files = GenerationFiles::new(&chain, key);
        let leaf = chain.leaf();
        let Digests { certificate, chain: chain_digest, private_key } = files.digests();
        sqlx::query(
            "INSERT INTO certificates (id, revision, name, name_key, description, is_default, origin, generation, chain, \
             certificate_digest, chain_digest, private_key_digest, common_name, application_uri, not_before, not_after, \
             thumbprint_sha1, thumbprint_sha256, validity_days, created_at, updated_at, installed_at) VALUES ($1, 1, $2, \
             $3, $4, $5, $6, 1, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18, $18)",
        )
        .bind(id.to_string())
        .bind(name.as_str())
        .bind(name.folded())
        .bind(description)
        .bind(first)
        .bind(origin.as_str())
        .bind(chain.to_der_blob())
        .bind(certificate.as_bytes())
        .bind(chain_digest.as_bytes())
        .bind(private_key.as_bytes())
        .bind(leaf.common_name().map(storable))
        .bind(leaf.application_uri().map(storable))
        .bind(instant::to_micros(leaf.validity().not_before))
        .bind(instant::to_micros(leaf.validity().not_after))
        .bind(leaf.thumbprint_sha1().to_string())
        .bind(leaf.thumbprint_sha256().to_string())
        .bind(i64::from(validity_days))
        .bind(instant::to_micros(now))
        .execute(write.connection())
        .await
        .database()?;

        write.announce(Change::CertificateCreated(id));
        let resource = AuditResource::new("certificate", id.to_string(), Some(name.as_str().to_owned()));
        let after =
            json!({ "thumbprint_sha256": leaf.thumbprint_sha256().to_string(), "origin": origin.as_str() });
        write.describe(Some(resource), None, Some(after));
        if make_default && !first {
            row::move_default(write.connection(), id, now).await?;
            // Still the first revision: the certificate was never anything else.
            restart_revision(write.connection(), id).await?;
        }
        if make_default || first {
            write.announce(Change::DefaultChanged(id));
        }
        let mut assigned = Vec::new();
        for device in assign_to {
            if assign_certificate(write.connection(), device, Some(id), now).await? {
                assigned.push(device);
            }
        }

        let created = self.write_generation(&mut write, id, 1, files).await;
        let committed = match created {
            Ok(record) => {
                write.tell(StoreEvent::CertificateCreated(Box::new(record.clone())));
                if record.is_default {
                    let certificate = Box::new(record.clone());
                    write.tell(StoreEvent::DefaultChanged { certificate, previous: previous_default });
                }
                for device in assigned {
                    write.announce(Change::DeviceUpdated(device));
                }
                write.finish(Apply::Commit).await.map(|()| record)
            }
            Err(error) => {
                drop(write);
                Err(error)
            }
        };
        if committed.is_err() {
            self.discard_generation(id, 1).await;
        }
        committed
    }

    /// What is to be written for a key.
    pub(crate) async fn key_file(&self, key: PrivateKeyPem) -> Result<KeyFile, StoreError> {
        let keys = Arc::clone(&self.inner.key_files);
        self.blocking(move |_| keys.file_of(&key)).await
    }

    /// Writes the files of the generation whose row stands in `write`, and shows the certificate as it will be
    /// once that is committed.
    pub(crate) async fn write_generation(
        &self,
        write: &mut Write,
        id: CertificateId,
        generation: u32,
        files: GenerationFiles,
    ) -> Result<CertificateRecord, StoreError> {
        self.inner.faults.pass(FaultPoint::BeforeFiles).await;
        let written = self.blocking(move |layout| files.write(layout, id, generation)).await;
        self.inner.faults.pass(FaultPoint::BeforeCommit).await;
        written?;
        let row = CertificateRow::find(write.connection(), id).await?;
        self.observed_one(row).await
    }

    /// Removes the files of a generation whose change did not come about; what stays is swept at the next
    /// start.
    pub(crate) async fn discard_generation(&self, id: CertificateId, generation: u32) {
        // After a failed commit it is uncertain which state holds: nothing current may be removed, nor what may be current
        // after a sudden end.
        let current = async {
            self.inner.database.settle().await?;
            let row = CertificateRow::find(&mut *self.inner.database.read().await?, id).await;
            match row {
                Ok(row) => Ok(row.generation()? == generation),
                Err(StoreError::NotFound { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        };
        if !matches!(current.await, Ok(false)) {
            return;
        }
        let removed = self
            .blocking(move |layout| {
                let folder = layout.generation(id, generation);
                crate::certificate_files::discard(layout, id, generation)
                    .map_err(|source| StoreError::io(&folder, source))
            })
            .await;
        if let Err(error) = removed {
            tracing::warn!(%error, "files of a change that failed stay until the next start");
        }
    }
}

async fn restart_revision(connection: &mut Connection, id: CertificateId) -> Result<(), StoreError> {
    sqlx::query("UPDATE certificates SET revision = 1 WHERE id = $1")
        .bind(id.to_string())
        .execute(connection)
        .await
        .database()?;
    Ok(())
}

pub(crate) fn require_validity_days(days: u32) -> Result<(), StoreError> {
    if days == 0 {
        return Err(StoreError::InvalidSetting { field: "validity_days", reason: "at least 1 day" });
    }
    Ok(())
}

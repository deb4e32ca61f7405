//! Another key pair in the same entry: regenerate, replace, install.

use koios_pki::CertificateChain;
use serde_json::json;

use crate::certificate_files::{self, Digests, GenerationFiles};
use crate::certificates::create::require_validity_days;
use crate::certificates::history::record_end;
use crate::certificates::request::{self, RequestRow};
use crate::certificates::row::{self, CertificateRow};
use crate::certificates::{EndReason, ReplacePair, Replaced};
use crate::change::Change;
use crate::database::{Connection, DatabaseResult, storable};
use crate::devices::row::{Users, device_refs};
use crate::error::StoreError;
use crate::event::StoreEvent;
use crate::fault::FaultPoint;
use crate::id::CertificateId;
use crate::instant;
use crate::store::{Apply, Store};
use crate::write::Write;

impl Store {
    /// Puts another key pair in the place of a certificate's present one.
    ///
    /// Id, name, description, assignments and being the default stay; the old certificate goes into the
    /// history, and the old private key's file is gone when this returns. The same chain again is taken only
    /// while its files are missing or changed, to put them back.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::RevisionMismatch`], [`StoreError::ApplicationUriChanged`],
    /// [`StoreError::CertificateExists`] when another entry holds the new one, or this one does with all its
    /// files, [`StoreError::InvalidSetting`] for a validity of 0 days; [`StoreError::StorageFull`] and its like, with nothing changed.
    /// A key that cannot be removed after the commit is an error in the log: the change *is* in force.
    pub async fn replace_key_pair(
        &self,
        id: CertificateId,
        pair: ReplacePair,
        apply: Apply,
    ) -> Result<Replaced, StoreError> {
        let store = self.clone();
        self.run(store.replace(id, pair, apply)).await
    }

    /// What [`Store::replace_key_pair`] would answer, when there is no new pair yet to make all checks with.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::RevisionMismatch`]; [`StoreError::Unavailable`] and its like.
    pub async fn preview_replacement(
        &self,
        id: CertificateId,
        expected_revision: Option<i64>,
    ) -> Result<Replaced, StoreError> {
        self.reading(async {
            let _files = self.inner.files.read().await;
            let mut connection = self.inner.database.read().await?;
            let row = CertificateRow::find(&mut connection, id).await?;
            row.require_revision(expected_revision)?;
            let request = RequestRow::find(&mut connection, id).await?;
            let mut answer = self.as_it_is(&mut connection, id, row).await?;
            answer.request_dropped = matches!(request.map(|row| row.generation()).transpose()?, Some(None));
            Ok(answer)
        })
        .await
    }

    async fn as_it_is(
        &self,
        connection: &mut Connection,
        id: CertificateId,
        row: CertificateRow,
    ) -> Result<Replaced, StoreError> {
        Ok(Replaced {
            previous: row.chain()?,
            previous_origin: row.origin()?,
            affected_devices: device_refs(connection, Users::Of(id)).await?,
            request_dropped: false,
            certificate: self.observed_one(row).await?,
        })
    }

    async fn replace(
        self,
        id: CertificateId,
        pair: ReplacePair,
        apply: Apply,
    ) -> Result<Replaced, StoreError> {
        let _generations = self.inner.generations.lock().await;
        let write = self.begin().await?;
        self.replace_within(write, id, pair, apply).await
    }

    /// Replaces the pair in a change that has begun, while the caller holds `generations`.
    pub(crate) async fn replace_within(
        &self,
        mut write: Write,
        id: CertificateId,
        pair: ReplacePair,
        apply: Apply,
    ) -> Result<Replaced, StoreError> {
        require_validity_days(pair.validity_days)?;
        let old = CertificateRow::find(write.connection(), id).await?;
        old.require_revision(pair.expected_revision)?;
        require_same_uri(&old.chain()?, &pair.chain, pair.allow_uri_change)?;
        row::require_new_certificate(write.connection(), &pair.chain, Some(id)).await?;
        let mut answer = self.as_it_is(write.connection(), id, old.clone()).await?;
        let request = RequestRow::find(write.connection(), id).await?;
        let staged = request.as_ref().map(RequestRow::generation).transpose()?;
        // A request for the key in use ends with that key.
        answer.request_dropped = pair.reason != EndReason::Installed && staged == Some(None);
        if answer.previous == pair.chain && answer.certificate.downloadable() {
            return Err(StoreError::CertificateExists { id, name: old.name });
        }
        if apply == Apply::DryRun {
            write.finish(apply).await?;
            return Ok(answer);
        }

        let ReplacePair { origin, chain, key, validity_days, reason, .. } = pair;
        let files = GenerationFiles::new(&chain, self.key_file(key).await?);
        let old_generation = old.generation()?;
        let staged = staged.flatten();
        let generation = old_generation.max(staged.unwrap_or(0)).saturating_add(1);
        let now = instant::now();
        record_end(write.connection(), &old, now, reason).await?;
        if answer.request_dropped || reason == EndReason::Installed {
            request::delete(write.connection(), id).await?;
        }
        if answer.request_dropped {
            write.record_too(request::DROPPED);
        }
        let Digests { certificate, chain: chain_digest, private_key } = files.digests();
        let leaf = chain.leaf();
        sqlx::query(
            "UPDATE certificates SET revision = revision + 1, origin = $2, generation = $3, chain = $4, \
             certificate_digest = $5, chain_digest = $6, private_key_digest = $7, common_name = $8, application_uri = $9, \
             not_before = $10, not_after = $11, thumbprint_sha1 = $12, thumbprint_sha256 = $13, validity_days = $14, \
             updated_at = $15, installed_at = $15 WHERE id = $1",
        )
        .bind(id.to_string())
        .bind(origin.as_str())
        .bind(i64::from(generation))
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
        write.announce(Change::CertificateRegenerated(id));
        let thumbprint = |text: String| Some(json!({ "thumbprint_sha256": text }));
        let after = thumbprint(leaf.thumbprint_sha256().to_string());
        write.describe(
            Some(old.audit_resource()),
            thumbprint(answer.previous.leaf().thumbprint_sha256().to_string()),
            after,
        );

        let certificate = match self.write_generation(&mut write, id, generation, files).await {
            Ok(certificate) => certificate,
            Err(error) => {
                drop(write);
                self.discard_generation(id, generation).await;
                return Err(error);
            }
        };

        write.tell(StoreEvent::CertificateRegenerated {
            certificate: Box::new(certificate.clone()),
            previous: answer.previous.clone(),
            reason,
            affected_devices: answer.affected_devices.clone(),
        });
        // Readers see the old row with the old files or the new row with the new ones.
        let _files = self.inner.files.write().await;
        if let Err(error) = write.finish(Apply::Commit).await {
            self.discard_generation(id, generation).await;
            return Err(error);
        }
        self.inner.faults.pass(FaultPoint::AfterCommit).await;
        self.remove_old_generation(id, old_generation).await?;
        if let (EndReason::Installed, Some(staged)) = (reason, staged) {
            self.remove_old_generation(id, staged).await?;
        }
        Ok(Replaced { certificate, ..answer })
    }

    /// Removes a generation that a commit made obsolete; one that stays is an error in the log.
    pub(crate) async fn remove_old_generation(
        &self,
        id: CertificateId,
        generation: u32,
    ) -> Result<(), StoreError> {
        self.blocking(move |layout| {
            if let Err(error) = certificate_files::remove_generation(layout, id, generation) {
                certificate_files::tell_old_key_remains(&layout.generation(id, generation), &error);
            }
            Ok(())
        })
        .await
    }
}

/// A device is known to its server by the application URI: a change must be meant.
///
/// A certificate that had none gains one freely.
fn require_same_uri(
    stored: &CertificateChain,
    presented: &CertificateChain,
    allow_uri_change: bool,
) -> Result<(), StoreError> {
    let (Some(stored), presented) = (stored.leaf().application_uri(), presented.leaf().application_uri())
    else {
        return Ok(());
    };
    if allow_uri_change || presented == Some(stored) {
        return Ok(());
    }
    Err(StoreError::ApplicationUriChanged {
        stored: stored.to_owned(),
        presented: presented.map(ToOwned::to_owned),
    })
}

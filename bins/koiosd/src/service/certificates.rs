//! Certificates: what can be asked of them and done with them.

mod generation;
mod regeneration;
mod request;
mod subject;
mod upload;

use std::sync::Arc;

use koios_pki::{EncryptionSeed, HostName, KeyError, PrivateKey, PrivateKeyPem};
use koios_store::{
    Apply, Assigned, CertificateId, CertificatePatch, CertificateQuery, CertificateRecord, CertificateStatus,
    DefaultChanged, Deleted, DeviceId, DeviceRef, Name, Page, PageRequest, PastGeneration, Resource, Store,
    StoreError,
};
use time::{Duration, OffsetDateTime};
use tokio::sync::{Mutex, Semaphore};
use zeroize::Zeroizing;

use super::{
    access::{Access, Caller, KeyForm},
    error::ServiceError,
};
use crate::config::LiveSettings;

pub(crate) use generation::{GenerateOrder, KeyOrder};
pub(crate) use regeneration::{RegenerateOrder, Regenerated};
pub(crate) use request::{InstallOrder, RequestOrder};
pub(crate) use upload::{ReplaceOrder, UploadOrder, UploadedPair, judge_length, length_in_days};

/// Most characters of a description.
const DESCRIPTION_MAX_CHARS: usize = 1024;

/// Far beyond what anybody types; bounds what is hashed.
const PASSPHRASE_MAX_CHARS: usize = 1024;

/// Makes, changes and hands out certificates.
#[derive(Debug)]
pub(crate) struct Certificates {
    access: Access,
    settings: LiveSettings,
    store: Store,
    system_host: Arc<HostName>,
    /// Key generation takes a processor for up to seconds: one at a time per processor, the others wait their turn.
    generators: Semaphore,
    /// Held from choosing a free application URI to its commit, so that no two certificates choose the same.
    naming: Mutex<()>,
}

impl Certificates {
    pub(crate) fn new(store: Store, settings: LiveSettings, system_host: Arc<HostName>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            access: Access::new(store.clone()),
            settings,
            store,
            system_host,
            generators: Semaphore::new(processors),
            naming: Mutex::new(()),
        }
    }

    /// How long before its end a certificate is `expiring_soon`.
    pub(crate) fn expiring_soon(&self) -> Duration {
        self.settings.now().expiring_soon()
    }

    pub(crate) async fn list(
        &self,
        query: CertificateQuery,
    ) -> Result<Page<CertificateRecord>, ServiceError> {
        Ok(self.store.certificates(query, OffsetDateTime::now_utc(), self.expiring_soon()).await?)
    }

    pub(crate) async fn detail(&self, id: CertificateId) -> Result<CertificateRecord, ServiceError> {
        Ok(self.store.certificate(id).await?)
    }

    /// Changes name or description; `None` leaves a field as it is.
    pub(crate) async fn patch(
        &self,
        id: CertificateId,
        name: Option<&str>,
        description: Option<Option<String>>,
        expected_revision: Option<i64>,
        caller: &Caller,
    ) -> Result<CertificateRecord, ServiceError> {
        let mut patch = CertificatePatch::default();
        patch.name = name.map(parse_name).transpose()?;
        patch.description = description.map(check_description).transpose()?;
        let store = self.store.recording(caller.entry("certificate.updated"));
        Ok(store.update_certificate(id, patch, expected_revision).await?)
    }

    pub(crate) async fn delete(
        &self,
        id: CertificateId,
        apply: Apply,
        expected_revision: Option<i64>,
        caller: &Caller,
    ) -> Result<Deleted, ServiceError> {
        let record = self.store.certificate(id).await?;
        let store = self.access.recording(caller, "certificate.deleted", &record);
        Ok(store.delete_certificate(id, apply, expected_revision).await?)
    }

    /// Makes a certificate the default; one that servers refuse at the moment only when `force` is set.
    pub(crate) async fn set_default(
        &self,
        id: CertificateId,
        force: bool,
        apply: Apply,
        expected_revision: Option<i64>,
        caller: &Caller,
    ) -> Result<DefaultChanged, ServiceError> {
        let record = self.store.certificate(id).await.map_err(|error| match error {
            StoreError::NotFound { resource: Resource::Certificate, .. } => {
                ServiceError::UnknownCertificate { field: "id", id }
            }
            other => other.into(),
        })?;
        expect_revision(&record, expected_revision)?;
        if !record.is_default && !force {
            let statuses = record.statuses(OffsetDateTime::now_utc(), self.expiring_soon());
            if !statuses.contains(&CertificateStatus::Valid) {
                return Err(ServiceError::CertificateNotUsable { statuses });
            }
        }
        let store = self.store.recording(caller.entry("certificate.default_changed"));
        Ok(store.expecting(expected_revision).set_default(id, apply).await?)
    }

    pub(crate) async fn devices(
        &self,
        id: CertificateId,
        page: PageRequest,
    ) -> Result<Page<DeviceRef>, ServiceError> {
        Ok(self.store.devices_of(id, page).await?)
    }

    /// The key pairs that a certificate had before, newest first.
    pub(crate) async fn history(
        &self,
        id: CertificateId,
        page: PageRequest,
    ) -> Result<Page<PastGeneration>, ServiceError> {
        self.store.certificate(id).await?;
        Ok(self.store.certificate_history(id, page).await?)
    }

    pub(crate) async fn assign(
        &self,
        id: CertificateId,
        assign: &[DeviceId],
        unassign: &[DeviceId],
        apply: Apply,
        expected_revision: Option<i64>,
        caller: &Caller,
    ) -> Result<Assigned, ServiceError> {
        if let Some(both) = assign.iter().find(|device| unassign.contains(device)) {
            let detail = format!("the device {both} cannot be assigned and unassigned at once");
            return Err(ServiceError::invalid_field("unassign", detail));
        }
        let record = self.store.certificate(id).await?;
        expect_revision(&record, expected_revision)?;
        let store = self.store.recording(caller.entry("certificate.assigned"));
        Ok(store.expecting(expected_revision).assign_devices(id, assign, unassign, apply).await?)
    }

    /// A certificate whose files are all there.
    pub(crate) async fn downloadable(&self, id: CertificateId) -> Result<CertificateRecord, ServiceError> {
        let record = self.store.certificate(id).await?;
        if record.downloadable() {
            return Ok(record);
        }
        // Reading the files says which one it is.
        match self.store.load_identity(id).await {
            Ok(_) => Ok(record),
            Err(error) => Err(error.into()),
        }
    }

    /// The private key, encrypted under a passphrase; recorded before it leaves.
    pub(crate) async fn encrypted_private_key(
        &self,
        id: CertificateId,
        passphrase: Zeroizing<String>,
        caller: &Caller,
    ) -> Result<(CertificateRecord, PrivateKeyPem), ServiceError> {
        let form = KeyForm::EncryptedPkcs8;
        self.under_passphrase(id, passphrase, (caller, form), |key, _, passphrase, seed| {
            key.to_encrypted_pem(passphrase, seed)
        })
        .await
    }

    /// Key and certificates as PKCS#12 under a passphrase; recorded before they leave.
    pub(crate) async fn bundle(
        &self,
        id: CertificateId,
        passphrase: Zeroizing<String>,
        caller: &Caller,
    ) -> Result<(CertificateRecord, Vec<u8>), ServiceError> {
        let form = KeyForm::Pkcs12;
        self.under_passphrase(id, passphrase, (caller, form), |key, record, passphrase, seed| {
            key.to_pkcs12(&record.chain, &record.name, passphrase, seed)
        })
        .await
    }

    /// Deriving a key from a passphrase is slow on purpose: it waits its turn with the generators, off the REST threads.
    async fn under_passphrase<T: Send + 'static>(
        &self,
        id: CertificateId,
        passphrase: Zeroizing<String>,
        (caller, form): (&Caller, KeyForm),
        write: fn(&PrivateKey, &CertificateRecord, &str, &EncryptionSeed) -> Result<T, KeyError>,
    ) -> Result<(CertificateRecord, T), ServiceError> {
        expect_passphrase(&passphrase)?;
        let (record, pem) = self.private_key(id, form, caller).await?;
        let seed = encryption_seed()?;
        let _turn = self.generators.acquire().await.ok();
        let written = tokio::task::spawn_blocking(move || {
            let written = write(&PrivateKey::from_pem(&pem)?, &record, &passphrase, &seed)?;
            Ok::<_, KeyError>((record, written))
        });
        Ok(written.await.map_err(ServiceError::Interrupted)??)
    }

    /// The private key, for backup; recorded before it leaves.
    pub(crate) async fn private_key(
        &self,
        id: CertificateId,
        form: KeyForm,
        caller: &Caller,
    ) -> Result<(CertificateRecord, PrivateKeyPem), ServiceError> {
        let record = self.downloadable(id).await?;
        let key = self.store.private_key_pem(id).await?;
        self.access.record_key_download(caller, &record, form).await?;
        Ok((record, key))
    }
}

/// A check before what is done for a change; the store makes it once more, within the change.
fn expect_revision(record: &CertificateRecord, expected: Option<i64>) -> Result<(), StoreError> {
    match expected {
        Some(expected) if expected != record.revision => {
            Err(StoreError::RevisionMismatch { expected, current: record.revision })
        }
        _ => Ok(()),
    }
}

fn expect_passphrase(passphrase: &str) -> Result<(), ServiceError> {
    match passphrase.chars().count() {
        0 => Err(ServiceError::invalid_field("passphrase", "must not be empty")),
        1..=PASSPHRASE_MAX_CHARS => Ok(()),
        _ => Err(ServiceError::invalid_field("passphrase", "may have at most 1024 characters")),
    }
}

fn encryption_seed() -> Result<EncryptionSeed, ServiceError> {
    let mut bytes = [0; 64];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| ServiceError::NoRandomness)?;
    Ok(EncryptionSeed::from_random_bytes(bytes))
}

fn parse_name(text: &str) -> Result<Name, ServiceError> {
    Ok(Name::parse(text).map_err(StoreError::from)?)
}

/// Checked here, before a key is generated in vain; an empty description is none.
fn check_description(text: Option<String>) -> Result<Option<String>, ServiceError> {
    let text = text.filter(|text| !text.trim().is_empty());
    if text.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_MAX_CHARS) {
        return Err(ServiceError::invalid_field("description", "may have at most 1024 characters"));
    }
    Ok(text)
}

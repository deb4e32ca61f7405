//! Signatures whose bodies are being written.
#![expect(
    clippy::todo,
    clippy::missing_errors_doc,
    missing_docs,
    clippy::unused_async,
    reason = "in the making"
)]
use std::path::PathBuf;

use koios_pki::{CertificateChain, PrivateKeyPem, Sha256Thumbprint};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::*;

impl Store {
    pub async fn create_certificate(&self, _new: NewCertificate) -> Result<CertificateRecord, StoreError> {
        todo!()
    }
    pub async fn replace_key_pair(
        &self,
        _id: CertificateId,
        _pair: ReplacePair,
        _apply: Apply,
    ) -> Result<Replaced, StoreError> {
        todo!()
    }
    /// What regenerating would do, without a key pair to do it with.
    pub async fn preview_replacement(
        &self,
        _id: CertificateId,
        _expected_revision: Option<i64>,
    ) -> Result<Replaced, StoreError> {
        todo!()
    }
    pub async fn certificate(&self, _id: CertificateId) -> Result<CertificateRecord, StoreError> {
        todo!()
    }
    pub async fn certificates(
        &self,
        _query: CertificateQuery,
        _now: OffsetDateTime,
        _expiring_soon: Duration,
    ) -> Result<Page<CertificateRecord>, StoreError> {
        todo!()
    }
    pub async fn update_certificate(
        &self,
        _id: CertificateId,
        _patch: CertificatePatch,
        _expected_revision: Option<i64>,
    ) -> Result<CertificateRecord, StoreError> {
        todo!()
    }
    pub async fn delete_certificate(
        &self,
        _id: CertificateId,
        _apply: Apply,
        _expected_revision: Option<i64>,
    ) -> Result<Deleted, StoreError> {
        todo!()
    }
    pub async fn set_default(&self, _id: CertificateId, _apply: Apply) -> Result<DefaultChanged, StoreError> {
        todo!()
    }
    pub async fn default_certificate(&self) -> Result<Option<CertificateRecord>, StoreError> {
        todo!()
    }
    pub async fn assign_devices(
        &self,
        _id: CertificateId,
        _assign: &[DeviceId],
        _unassign: &[DeviceId],
        _apply: Apply,
    ) -> Result<Assigned, StoreError> {
        todo!()
    }
    pub async fn devices_of(
        &self,
        _id: CertificateId,
        _page: PageRequest,
    ) -> Result<Page<DeviceRef>, StoreError> {
        todo!()
    }
    pub async fn application_uri_in_use(&self, _uri: &str) -> Result<bool, StoreError> {
        todo!()
    }
    pub async fn certificate_history(
        &self,
        _id: CertificateId,
        _page: PageRequest,
    ) -> Result<Page<PastGeneration>, StoreError> {
        todo!()
    }
    pub async fn load_identity(&self, _id: CertificateId) -> Result<StoredIdentity, IdentityFilesError> {
        todo!()
    }
    /// As `load_identity`, the key alone.
    pub async fn private_key_pem(&self, _id: CertificateId) -> Result<PrivateKeyPem, IdentityFilesError> {
        todo!()
    }

    pub async fn create_device(
        &self,
        _settings: DeviceSettings,
        _enabled: bool,
    ) -> Result<Device, StoreError> {
        todo!()
    }
    pub async fn device(&self, _id: DeviceId) -> Result<Device, StoreError> {
        todo!()
    }
    pub async fn devices(&self, _query: DeviceQuery) -> Result<Page<Device>, StoreError> {
        todo!()
    }
    pub async fn all_devices(&self) -> Result<Vec<Device>, StoreError> {
        todo!()
    }
    pub async fn enabled_devices(&self) -> Result<Vec<Device>, StoreError> {
        todo!()
    }
    pub async fn update_device(
        &self,
        _id: DeviceId,
        _settings: DeviceSettings,
        _expected_revision: Option<i64>,
    ) -> Result<Device, StoreError> {
        todo!()
    }
    pub async fn delete_device(
        &self,
        _id: DeviceId,
        _expected_revision: Option<i64>,
    ) -> Result<(), StoreError> {
        todo!()
    }
    pub async fn set_enabled(&self, _id: DeviceId, _enabled: bool) -> Result<Device, StoreError> {
        todo!()
    }
    pub async fn device_password(&self, _id: DeviceId) -> Result<Option<Zeroizing<String>>, StoreError> {
        todo!()
    }
    /// All or nothing; `bool` = enabled.
    pub async fn import_devices(
        &self,
        _devices: Vec<(DeviceSettings, bool)>,
        _apply: Apply,
    ) -> Result<Vec<DeviceRef>, ImportError> {
        todo!()
    }

    pub async fn pin_server_certificate(
        &self,
        _device: DeviceId,
        _chain: CertificateChain,
    ) -> Result<PinOutcome, StoreError> {
        todo!()
    }
    pub async fn forget_pin(&self, _device: DeviceId) -> Result<(), StoreError> {
        todo!()
    }
    /// Answers the devices that pin the certificate now and did not before.
    pub async fn approve(
        &self,
        _device: DeviceId,
        _thumbprint: Sha256Thumbprint,
        _all_devices_with_it: bool,
    ) -> Result<Vec<DeviceRef>, StoreError> {
        todo!()
    }
    pub async fn record_presented(
        &self,
        _device: DeviceId,
        _chain: CertificateChain,
        _at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        todo!()
    }
    /// As `record_presented` for an endpoint that no device names (discovery, ad-hoc Tests).
    pub async fn record_seen(
        &self,
        _endpoint_url: &str,
        _chain: CertificateChain,
        _at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        todo!()
    }
    pub async fn presented(&self, _device: DeviceId) -> Result<Option<Presented>, StoreError> {
        todo!()
    }
    pub async fn seen_server_certificates(
        &self,
        _endpoint_url: &str,
    ) -> Result<Vec<SeenServerCertificate>, StoreError> {
        todo!()
    }
    pub async fn record_transition(
        &self,
        _device: DeviceId,
        _transition: Transition,
    ) -> Result<(), StoreError> {
        todo!()
    }
    pub async fn history(
        &self,
        _device: DeviceId,
        _page: PageRequest,
    ) -> Result<Page<Transition>, StoreError> {
        todo!()
    }

    /// The first token ends the first start (`is_first_start`).
    pub async fn create_token(&self, _new: NewToken) -> Result<Token, StoreError> {
        todo!()
    }
    pub async fn token_by_hash(&self, _secret_hash: [u8; 32]) -> Result<Option<Token>, StoreError> {
        todo!()
    }
    /// Writes `initial-admin-token` (0600) and answers its path.
    pub async fn write_initial_admin_token(&self, _token: &str) -> Result<PathBuf, StoreError> {
        todo!()
    }
    pub fn initial_admin_token_path(&self) -> PathBuf {
        todo!()
    }

    /// Answers the entry's sequence number.
    pub async fn append_audit(&self, _entry: AuditEntry) -> Result<i64, StoreError> {
        todo!()
    }
    pub async fn newest_audit_at(&self) -> Result<Option<OffsetDateTime>, StoreError> {
        todo!()
    }
    pub async fn idempotency_lookup(
        &self,
        _token: TokenId,
        _key: &str,
        _now: OffsetDateTime,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        todo!()
    }
    pub async fn idempotency_store(&self, _record: IdempotencyRecord) -> Result<(), StoreError> {
        todo!()
    }
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        todo!()
    }
    /// Whether the directory and the database can be written right now (readiness).
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        todo!()
    }
}

//! The collection of certificates: what can be asked of it, and what it answers.

mod assignment;
mod create;
mod default;
mod delete;
mod history;
mod list;
pub(crate) mod overview;
mod read;
mod replace;
pub(crate) mod request;
pub(crate) mod row;

use std::fmt;

pub use self::overview::{CertificateGlance, CertificateOverview};
pub use self::request::{InstallAnswer, PendingRequest};
use koios_pki::{CertificateChain, PrivateKeyPem};
use time::OffsetDateTime;

use crate::certificate::{CertificateName, CertificateRecord, CertificateStatus, Origin};
use crate::device::DeviceRef;
use crate::id::{CertificateId, DeviceId};
use crate::name::Name;
use crate::page::{PageRequest, Sort};

/// A certificate to add.
///
/// Chain and key must belong together: `koios-pki` made or judged them; the store does not read private keys.
#[non_exhaustive]
pub struct NewCertificate {
    /// Unique among certificates.
    pub name: Name,
    /// At most 1,024 characters.
    pub description: Option<String>,
    /// Where the pair comes from.
    pub origin: Origin,
    /// Leaf first.
    pub chain: CertificateChain,
    /// The leaf's private key.
    pub key: PrivateKeyPem,
    /// Length of validity that a regeneration repeats, in days.
    pub validity_days: u32,
    /// Whether it becomes the default; the first certificate does anyway.
    pub make_default: bool,
    /// Devices that name it from now on.
    pub assign_to: Vec<DeviceId>,
}

impl NewCertificate {
    /// Without description and devices, and not to be the default.
    #[must_use]
    pub fn new(
        name: Name,
        origin: Origin,
        chain: CertificateChain,
        key: PrivateKeyPem,
        validity_days: u32,
    ) -> Self {
        Self {
            name,
            description: None,
            origin,
            chain,
            key,
            validity_days,
            make_default: false,
            assign_to: Vec::new(),
        }
    }
}

impl fmt::Debug for NewCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewCertificate")
            .field("name", &self.name)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

text_enum! {
    /// Why a key pair stopped being the current one.
    pub enum EndReason {
        /// A new pair was generated in its place.
        Regenerated = "regenerated",
        /// Another pair was uploaded in its place.
        Replaced = "replaced",
        /// A certification authority's answer took its place.
        Installed = "installed",
        /// The certificate was deleted.
        Deleted = "deleted",
    }
}

/// A key pair that is to take another one's place.
#[non_exhaustive]
pub struct ReplacePair {
    /// Where the pair comes from.
    pub origin: Origin,
    /// Leaf first.
    pub chain: CertificateChain,
    /// The leaf's private key.
    pub key: PrivateKeyPem,
    /// Length of validity that a regeneration repeats, in days.
    pub validity_days: u32,
    /// What the history says about the pair that goes.
    pub reason: EndReason,
    /// Refused with [`crate::StoreError::RevisionMismatch`] when the certificate has another one.
    pub expected_revision: Option<i64>,
    /// Whether the application URI may change, or go.
    pub allow_uri_change: bool,
}

impl ReplacePair {
    /// For any revision, and keeping the application URI.
    #[must_use]
    pub fn new(
        origin: Origin,
        chain: CertificateChain,
        key: PrivateKeyPem,
        validity_days: u32,
        reason: EndReason,
    ) -> Self {
        Self { origin, chain, key, validity_days, reason, expected_revision: None, allow_uri_change: false }
    }
}

impl fmt::Debug for ReplacePair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplacePair")
            .field("origin", &self.origin)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// A key pair took another one's place, or would.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Replaced {
    /// The certificate after the change; in a dry run as it is now.
    pub certificate: CertificateRecord,
    /// The chain that was, or still is, current.
    pub previous: CertificateChain,
    /// Where the previous pair came from.
    pub previous_origin: Origin,
    /// Devices whose server must trust the new certificate.
    pub affected_devices: Vec<DeviceRef>,
    /// Whether a certificate request for the old key ended with that key.
    pub request_dropped: bool,
}

/// Changes to what people call a certificate; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CertificatePatch {
    /// The new name.
    pub name: Option<Name>,
    /// The new description; `Some(None)` removes it.
    pub description: Option<Option<String>>,
}

/// A certificate was deleted, or would be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deleted {
    /// The certificate.
    pub id: CertificateId,
    /// Devices that named it, and now name none.
    pub reassigned_devices: Vec<DeviceRef>,
    /// The default, which those devices use from now on.
    pub now_using: CertificateName,
}

/// The default moved, or would.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DefaultChanged {
    /// The new default; in a dry run as it is now.
    pub certificate: CertificateRecord,
    /// The default before; the same certificate when nothing changed.
    pub previous_default: CertificateName,
    /// Devices that use another certificate than before.
    pub affected_devices: Vec<DeviceRef>,
}

/// Devices were assigned to a certificate, or would be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Assigned {
    /// The certificate after the change; in a dry run as it is now.
    pub certificate: CertificateRecord,
    /// The devices asked for, all of which name the certificate now.
    pub assigned: Vec<DeviceRef>,
    /// Those of the devices asked for that named it, and no longer do.
    pub unassigned: Vec<DeviceRef>,
}

text_enum! {
    /// What a list of certificates is sorted by.
    #[derive(Default)]
    pub enum CertificateSortKey {
        /// The name, without regard to case.
        #[default]
        Name = "name",
        /// The common name, without regard to case; without one first.
        CommonName = "common_name",
        /// The end of validity.
        NotAfter = "not_after",
        /// [`CertificateRecord::device_count`].
        DeviceCount = "device_count",
        /// When it was added.
        CreatedAt = "created_at",
    }
}

/// Which certificates to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CertificateQuery {
    /// Part of name, description, common name, application URI or a thumbprint, without regard to case.
    pub q: Option<String>,
    /// Certificates with at least one of these statuses; all when empty.
    pub statuses: Vec<CertificateStatus>,
    /// Their order.
    pub sort: Sort<CertificateSortKey>,
    /// Which part of them.
    pub page: PageRequest,
}

/// A key pair that is no longer current; its private key is gone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PastGeneration {
    /// Which key pair of the certificate it was.
    pub generation: u32,
    /// Leaf first.
    pub chain: CertificateChain,
    /// When it became current.
    pub from: OffsetDateTime,
    /// When it stopped being current.
    pub until: OffsetDateTime,
    /// Why.
    pub reason: EndReason,
}

//! Certificates as clients see them.

use koios_pki::{Certificate, Curve, KeyAlgorithm};
use koios_store::{
    Assigned, CertificateName, CertificateRecord, DefaultChanged, Deleted, FileState, Replaced,
};
use serde::Serialize;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    api::{
        device_ref::{DeviceRefBody, represent_all},
        words,
    },
    service::certificates::Regenerated,
};

/// A client certificate with everything but its private key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Certificate)]
pub(crate) struct CertificateBody {
    id: Uuid,
    /// Counts the changes; the same as `ETag`.
    revision: i64,
    name: String,
    #[schema(required = true)]
    description: Option<String>,
    is_default: bool,
    #[schema(value_type = words::CertificateOrigin)]
    origin: &'static str,
    /// One or more.
    #[schema(value_type = Vec<words::CertificateStatus>)]
    statuses: Vec<&'static str>,
    #[schema(required = true)]
    common_name: Option<String>,
    #[schema(required = true)]
    organization: Option<String>,
    subject: String,
    issuer: String,
    self_signed: bool,
    #[schema(required = true)]
    application_uri: Option<String>,
    dns_names: Vec<String>,
    ip_addresses: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    not_before: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    not_after: OffsetDateTime,
    /// Whole days left, rounded down; negative after expiry.
    expires_in_days: i64,
    key: KeyBody,
    signature_algorithm: String,
    /// Hexadecimal.
    serial_number: String,
    /// Upper-case hexadecimal.
    thumbprint_sha1: String,
    /// Upper-case hexadecimal.
    thumbprint_sha256: String,
    chain_length: usize,
    /// Devices whose effective certificate this is.
    device_count: u64,
    /// Devices that name this certificate.
    assigned_device_count: u64,
    files: FilesBody,
    findings: Vec<FindingBody>,
    /// Which key pair this is; the first is 1.
    generation: u32,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// The key that a certificate holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyBody {
    #[schema(value_type = words::KeyAlgorithm)]
    algorithm: String,
    /// The length of an RSA key.
    #[schema(required = true)]
    bits: Option<u32>,
    /// Of an elliptic-curve key.
    #[schema(required = true, value_type = Option<words::EllipticCurve>)]
    curve: Option<&'static str>,
}

/// Which files are on disk, as they were stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CertificateFiles)]
pub(crate) struct FilesBody {
    certificate: bool,
    private_key: bool,
    downloadable: bool,
}

/// Something about a certificate that a peer may dislike.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
pub(crate) struct FindingBody {
    #[schema(value_type = words::FindingCode)]
    code: &'static str,
    #[schema(value_type = words::FindingSeverity)]
    severity: &'static str,
    /// What it is and what to do.
    message: String,
    /// The clause that asks for it.
    reference: &'static str,
    /// Stacks of servers known to refuse for it, by name; empty when none is known, or all that follow the clause.
    peers: Vec<&'static str>,
}

/// A certificate where it is only mentioned.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CertificateName)]
pub(crate) struct CertificateNameBody {
    id: Uuid,
    name: String,
}

/// A key pair that is no longer current, or would not be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviousPair {
    thumbprint_sha1: String,
    thumbprint_sha256: String,
    #[serde(with = "time::serde::rfc3339")]
    not_after: OffsetDateTime,
}

/// A new key pair took another one's place, or would.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegeneratedBody {
    certificate: CertificateBody,
    previous: PreviousPair,
    /// Devices whose servers must trust the new certificate.
    affected_devices: Vec<DeviceRefBody>,
    /// What that means for their servers.
    message: String,
    /// Whether a self-signed certificate took the place of one that a certification authority had signed.
    was_ca_issued: bool,
    /// Whether a certificate request for the key that went ended with it.
    request_dropped: bool,
    dry_run: bool,
}

/// A certificate is gone, or would be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedBody {
    deleted: Uuid,
    /// Devices that named it.
    reassigned_devices: Vec<DeviceRefBody>,
    /// What those devices use now.
    now_using: CertificateNameBody,
    dry_run: bool,
}

/// The default moved, or would.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DefaultChangedBody {
    certificate: CertificateBody,
    previous_default: CertificateNameBody,
    /// Devices that use another certificate than before.
    affected_devices: Vec<DeviceRefBody>,
    dry_run: bool,
}

/// Devices were assigned, or would be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssignedBody {
    certificate: CertificateBody,
    assigned: Vec<DeviceRefBody>,
    unassigned: Vec<DeviceRefBody>,
    dry_run: bool,
}

/// Shows certificates at one instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    now: OffsetDateTime,
    expiring_soon: Duration,
    dry_run: bool,
}

impl View {
    pub(crate) fn new(expiring_soon: Duration) -> Self {
        Self { now: OffsetDateTime::now_utc(), expiring_soon, dry_run: false }
    }

    pub(crate) fn dry_run(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }

    pub(crate) fn certificate(&self, record: &CertificateRecord) -> CertificateBody {
        let leaf = record.chain.leaf();
        let validity = leaf.validity();
        CertificateBody {
            id: record.id.as_uuid(),
            revision: record.revision,
            name: record.name.clone(),
            description: record.description.clone(),
            is_default: record.is_default,
            origin: record.origin.as_str(),
            statuses: record
                .statuses(self.now, self.expiring_soon)
                .iter()
                .map(|status| status.as_str())
                .collect(),
            common_name: leaf.common_name().map(str::to_owned),
            organization: leaf.organization().map(str::to_owned),
            subject: leaf.subject().to_owned(),
            issuer: leaf.issuer().to_owned(),
            self_signed: leaf.is_self_signed(),
            application_uri: leaf.application_uri().map(str::to_owned),
            dns_names: leaf.dns_names().to_vec(),
            ip_addresses: leaf.ip_addresses().iter().map(ToString::to_string).collect(),
            not_before: validity.not_before,
            not_after: validity.not_after,
            expires_in_days: validity.whole_days_left(self.now),
            key: leaf.key_algorithm().into(),
            signature_algorithm: leaf.signature_algorithm().to_owned(),
            serial_number: leaf.serial_number().to_owned(),
            thumbprint_sha1: leaf.thumbprint_sha1().to_string(),
            thumbprint_sha256: leaf.thumbprint_sha256().to_string(),
            chain_length: record.chain.len(),
            device_count: record.device_count,
            assigned_device_count: record.assigned_device_count,
            files: FilesBody {
                certificate: record.files.certificate == FileState::Present,
                private_key: record.files.private_key == FileState::Present,
                downloadable: record.downloadable(),
            },
            findings: record.findings(self.now).into_iter().map(Into::into).collect(),
            generation: record.generation,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }

    pub(crate) fn regenerated(&self, regenerated: Regenerated) -> RegeneratedBody {
        let Regenerated { replaced, was_ca_issued } = regenerated;
        RegeneratedBody {
            certificate: self.certificate(&replaced.certificate),
            previous: replaced.previous.leaf().into(),
            request_dropped: replaced.request_dropped,
            message: self.trust_warning(&replaced, was_ca_issued),
            affected_devices: represent_all(replaced.affected_devices),
            was_ca_issued,
            dry_run: self.dry_run,
        }
    }

    pub(crate) fn deleted(&self, deleted: Deleted) -> DeletedBody {
        DeletedBody {
            deleted: deleted.id.as_uuid(),
            reassigned_devices: represent_all(deleted.reassigned_devices),
            now_using: deleted.now_using.into(),
            dry_run: self.dry_run,
        }
    }

    pub(crate) fn default_changed(&self, changed: DefaultChanged) -> DefaultChangedBody {
        DefaultChangedBody {
            certificate: self.certificate(&changed.certificate),
            previous_default: changed.previous_default.into(),
            affected_devices: represent_all(changed.affected_devices),
            dry_run: self.dry_run,
        }
    }

    pub(crate) fn assigned(&self, assigned: Assigned) -> AssignedBody {
        AssignedBody {
            certificate: self.certificate(&assigned.certificate),
            assigned: represent_all(assigned.assigned),
            unassigned: represent_all(assigned.unassigned),
            dry_run: self.dry_run,
        }
    }

    /// What people must know before their plant stands still.
    fn trust_warning(&self, replaced: &Replaced, was_ca_issued: bool) -> String {
        let (leaf, previous) = (replaced.certificate.chain.leaf(), replaced.previous.leaf());
        // In a dry run the record is still the present one.
        let what = if self.dry_run {
            "would get a new certificate"
        } else if leaf.public_key().is_ok() && leaf.public_key() == previous.public_key() {
            "has a new certificate for the same key"
        } else {
            "has a new key and certificate"
        };
        let authority = if self.dry_run || leaf.is_self_signed() {
            String::new()
        } else {
            format!(" or its authority {:?}", leaf.issuer())
        };
        let whose = match replaced.affected_devices.len() {
            0 => "No device uses it at the moment; a server that is to accept it must trust it first."
                .to_owned(),
            1 => format!(
                "The server of 1 device rejects connections until it trusts the new certificate{authority}."
            ),
            devices => format!(
                "The servers of {devices} devices reject connections until they trust the new certificate{authority}."
            ),
        };
        let was_of_authority = if was_ca_issued {
            " The certificate before was signed by a certification authority: servers that trusted the authority must \
             trust this one itself."
        } else {
            ""
        };
        format!(
            "{:?} {what}. {whose} Download it, have it trusted there, and plan a maintenance window.{was_of_authority}",
            replaced.certificate.name
        )
    }
}

impl From<&KeyAlgorithm> for KeyBody {
    fn from(algorithm: &KeyAlgorithm) -> Self {
        match algorithm {
            KeyAlgorithm::Rsa { bits } => {
                Self { algorithm: "rsa".to_owned(), bits: Some(*bits), curve: None }
            }
            KeyAlgorithm::Ec { curve } => {
                let curve = match curve {
                    Curve::P256 => Some("p256"),
                    Curve::P384 => Some("p384"),
                    _ => None,
                };
                Self { algorithm: "ec".to_owned(), bits: None, curve }
            }
            KeyAlgorithm::Other { oid } => Self { algorithm: oid.clone(), bits: None, curve: None },
            _ => Self { algorithm: "unknown".to_owned(), bits: None, curve: None },
        }
    }
}

impl From<koios_pki::Finding> for FindingBody {
    fn from(finding: koios_pki::Finding) -> Self {
        Self {
            code: finding.code.as_str(),
            severity: finding.severity.as_str(),
            message: finding.message,
            reference: finding.reference,
            peers: finding.peers.iter().map(|peer| peer.name()).collect(),
        }
    }
}

impl From<CertificateName> for CertificateNameBody {
    fn from(certificate: CertificateName) -> Self {
        Self { id: certificate.id.as_uuid(), name: certificate.name }
    }
}

impl From<&Certificate> for PreviousPair {
    fn from(leaf: &Certificate) -> Self {
        Self {
            thumbprint_sha1: leaf.thumbprint_sha1().to_string(),
            thumbprint_sha256: leaf.thumbprint_sha256().to_string(),
            not_after: leaf.validity().not_after,
        }
    }
}

//! A certificate as it is stored: the row, and what the disk says about its files.

use std::fmt;

use koios_pki::{CertificateChain, Finding, FindingCode, PrivateKeyPem, Severity, Validity, ValidityStatus};
use time::{Duration, OffsetDateTime};

use crate::id::CertificateId;

text_enum! {
    /// Where a certificate's key pair came from.
    pub enum Origin {
        /// Made here.
        Generated = "generated",
        /// A pair was uploaded.
        Uploaded = "uploaded",
        /// A certification authority answered a request made here.
        Issued = "issued",
        /// Taken over from another product's folders.
        Imported = "imported",
    }
}

text_enum! {
    /// A status badge; several can stand together, in the order in which they are declared.
    pub enum CertificateStatus {
        /// Inside its validity period, and both files are there.
        Valid = "valid",
        /// Past its end.
        Expired = "expired",
        /// Before its start.
        NotYetValid = "not_yet_valid",
        /// Valid, but not for long; stands beside [`CertificateStatus::Valid`].
        ExpiringSoon = "expiring_soon",
        /// A file is missing, or is not the one that was stored.
        MissingFiles = "missing_files",
    }
}

text_enum! {
    /// What the disk says about a file at the moment of the call.
    pub enum FileState {
        /// The file that was stored is there.
        Present = "present",
        /// There is no such file, or it cannot be read.
        Missing = "missing",
        /// There is a file, but its SHA-256 is not the stored one.
        Changed = "changed",
    }
}

/// The state of a certificate's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileStates {
    /// `certificate.der` and `chain.pem`: the worse of the two; of `chain.pem`, a list tells what was seen last.
    pub certificate: FileState,
    /// `private-key.pem`.
    pub private_key: FileState,
}

impl FileStates {
    /// Whether all files are there and are the stored ones.
    #[must_use]
    pub fn all_present(&self) -> bool {
        self.certificate == FileState::Present && self.private_key == FileState::Present
    }

    /// Whether a file is there that is not the stored one.
    #[must_use]
    pub fn any_changed(&self) -> bool {
        self.certificate == FileState::Changed || self.private_key == FileState::Changed
    }
}

/// A certificate: everything but its private key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CertificateRecord {
    /// Its id, for as long as it exists.
    pub id: CertificateId,
    /// Counts the changes of name, description, key pair and being the default.
    pub revision: i64,
    /// Unique without regard to case.
    pub name: String,
    /// Free text of its owner.
    pub description: Option<String>,
    /// Whether devices that name no certificate use this one.
    pub is_default: bool,
    /// Where the present key pair came from.
    pub origin: Origin,
    /// Which key pair this is; the first is 1.
    pub generation: u32,
    /// Leaf first. Comes from the row, so it is there even when the files are not.
    pub chain: CertificateChain,
    /// What the disk said when this record was read.
    pub files: FileStates,
    /// Devices whose effective certificate this is: mode other than `none`, the default's fallback devices
    /// included.
    pub device_count: u64,
    /// Devices that name this certificate, mode other than `none`.
    pub assigned_device_count: u64,
    /// Length of validity that a regeneration repeats, in days.
    pub validity_days: u32,
    /// When the certificate was added.
    pub created_at: OffsetDateTime,
    /// When `revision` last changed.
    pub updated_at: OffsetDateTime,
}

impl CertificateRecord {
    /// Whether certificate and private key can be downloaded: both files are there.
    #[must_use]
    pub fn downloadable(&self) -> bool {
        self.files.all_present()
    }

    /// The badges at the instant `now`; never empty.
    #[must_use]
    pub fn statuses(&self, now: OffsetDateTime, expiring_soon: Duration) -> Vec<CertificateStatus> {
        statuses(self.chain.leaf().validity(), self.files.all_present(), now, expiring_soon)
    }

    /// What a server may dislike about the certificate, and whether its files were tampered with.
    #[must_use]
    pub fn findings(&self, now: OffsetDateTime) -> Vec<Finding> {
        let mut findings = koios_pki::findings(&self.chain, now);
        if self.files.any_changed() {
            findings.push(Finding::new(
                FindingCode::FilesChanged,
                Severity::Error,
                "A file on disk is not the one that was stored; put the original back, or regenerate or replace the \
                 certificate",
                "Koios",
            ));
        }
        findings
    }
}

/// The badges of a certificate.
pub(crate) fn statuses(
    validity: Validity,
    files_present: bool,
    now: OffsetDateTime,
    expiring_soon: Duration,
) -> Vec<CertificateStatus> {
    let mut statuses = Vec::with_capacity(2);
    match validity.status_at(now) {
        ValidityStatus::Expired => statuses.push(CertificateStatus::Expired),
        ValidityStatus::NotYetValid => statuses.push(CertificateStatus::NotYetValid),
        _ if files_present => {
            statuses.push(CertificateStatus::Valid);
            if validity.not_after - now <= expiring_soon {
                statuses.push(CertificateStatus::ExpiringSoon);
            }
        }
        _ => {}
    }
    if !files_present {
        statuses.push(CertificateStatus::MissingFiles);
    }
    statuses
}

/// A certificate's name and id, where more would be too much.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateName {
    /// Its id.
    pub id: CertificateId,
    /// Its name.
    pub name: String,
}

/// A key pair read from disk and found to be the stored one.
#[non_exhaustive]
pub struct StoredIdentity {
    /// The certificate's name.
    pub name: String,
    /// Leaf first.
    pub chain: CertificateChain,
    /// The private key, unread.
    pub key: PrivateKeyPem,
    /// Which key pair of the certificate this is.
    pub generation: u32,
}

impl fmt::Debug for StoredIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, chain, key: _, generation } = self;
        f.debug_struct("StoredIdentity")
            .field("name", name)
            .field("chain", chain)
            .field("key", &"[private key elided]")
            .field("generation", generation)
            .finish()
    }
}

//! What an examination found, and what can be done about it.

use std::fmt;
use std::path::PathBuf;

use koios_pki::Severity;

use crate::error::with_causes;

text_enum! {
    /// A part of a data directory, in the order in which they are examined.
    pub enum CheckPart {
        /// The folder: who may read what, and what is in it that is not ours.
        Directory = "directory",
        /// `koios.db`: pages, indexes, references between rows.
        Database = "database",
        /// The master key: `secrets.key`, or one from outside.
        Secrets = "secrets",
        /// Certificates: rows, files, key pairs, requests, the default, and folders that no row names.
        Certificates = "certificates",
        /// Devices: their certificates and passwords.
        Devices = "devices",
        /// The folders of the trust lists.
        TrustLists = "trust_lists",
        /// The audit trail.
        Audit = "audit",
    }
}

impl CheckPart {
    /// What is being done while it is examined.
    pub(super) fn under_way(self) -> &'static str {
        match self {
            Self::Directory => "checking the directory",
            Self::Database => "checking the database",
            Self::Secrets => "checking the master key",
            Self::Certificates => "checking certificates",
            Self::Devices => "checking devices",
            Self::TrustLists => "checking trust lists",
            Self::Audit => "checking the audit trail",
        }
    }
}

text_enum! {
    /// What is wrong.
    pub enum CheckCode {
        /// The audit trail is not as it was written.
        AuditFault = "audit_fault",
        /// A row of a certificate holds what no version wrote.
        CertificateRowUnreadable = "certificate_row_unreadable",
        /// The database is damaged.
        DatabaseDamaged = "database_damaged",
        /// The database holds no certificate, but there are files of several beside it.
        DatabaseForeign = "database_foreign",
        /// Another version wrote the database.
        DatabaseFormat = "database_format",
        /// There is no database, or an empty one.
        DatabaseMissing = "database_missing",
        /// There are certificates, and none is the default.
        DefaultMissing = "default_missing",
        /// A device names a certificate that does not exist.
        DeviceCertificateMissing = "device_certificate_missing",
        /// A row of a device holds what no version wrote.
        DeviceRowUnreadable = "device_row_unreadable",
        /// A file is not the one that was stored.
        FileChanged = "file_changed",
        /// A file is not there.
        FileMissing = "file_missing",
        /// Not a file of Koios.
        FileNotOurs = "file_not_ours",
        /// A file is there and cannot be read.
        FileUnreadable = "file_unreadable",
        /// A private key is that of another certificate.
        KeyOfAnotherCertificate = "key_of_another_certificate",
        /// A restore kept what was there before it.
        KeptByRestore = "kept_by_restore",
        /// A private key is in plain form, though private keys are to be encrypted.
        KeyNotEncrypted = "key_not_encrypted",
        /// What is stored as a private key is none that this build reads.
        KeyUnreadable = "key_unreadable",
        /// A file that is needed for a moment only was left behind.
        LeftoverFile = "leftover_file",
        /// A change of the trust lists did not come to its end.
        LeftoverFileMoves = "leftover_file_moves",
        /// A key pair that is no longer in use is still there.
        LeftoverGeneration = "leftover_generation",
        /// The master key is kept outside of the directory, and not given.
        MasterKeyMissing = "master_key_missing",
        /// The master key that is given is not the one that secrets are sealed under.
        MasterKeyWrong = "master_key_wrong",
        /// The directory lies on another machine.
        NetworkFileSystem = "network_file_system",
        /// Something could not be examined.
        NotExamined = "not_examined",
        /// Others than the owner may get at what they should not.
        OpenToOthers = "open_to_others",
        /// A key pair that was moved aside waits for a decision.
        OrphanedKeyPair = "orphaned_key_pair",
        /// A file belongs to another user than the directory.
        OwnerDiffers = "owner_differs",
        /// Passwords cannot be decrypted.
        PasswordUnreadable = "password_unreadable",
        /// Rows name rows that do not exist.
        ReferenceBroken = "reference_broken",
        /// The answer to a certificate request cannot be installed.
        RequestUnusable = "request_unusable",
        /// Rows hold certificates that cannot be read.
        RowsUnreadable = "rows_unreadable",
        /// `secrets.key` does not hold a key.
        SecretsKeyDamaged = "secrets_key_damaged",
        /// `secrets.key` is not there.
        SecretsKeyMissing = "secrets_key_missing",
        /// Several certificates are the default.
        SeveralDefaults = "several_defaults",
        /// A file of the trust lists cannot be read and is left out.
        TrustFileUnreadable = "trust_file_unreadable",
        /// No row names the folder of a key pair.
        UnknownGeneration = "unknown_generation",
    }
}

impl CheckCode {
    /// How much it matters: an error means that something does not work, or may be lost; a warning, that somebody should
    /// do something. A directory is content when there is neither.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::FileNotOurs | Self::KeptByRestore | Self::LeftoverFile | Self::OrphanedKeyPair => {
                Severity::Info
            }
            Self::DatabaseFormat
            | Self::KeyNotEncrypted
            | Self::LeftoverFileMoves
            | Self::LeftoverGeneration
            | Self::OpenToOthers
            | Self::RequestUnusable
            | Self::TrustFileUnreadable
            | Self::UnknownGeneration => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

text_enum! {
    /// A mend that cannot lose anything.
    pub enum RepairKind {
        /// Remove a file that is needed for a moment only.
        ClearLeftover = "clear_leftover",
        /// Move a key pair that no row names to the folder `orphaned`.
        MoveAside = "move_aside",
        /// Put the files of the trust lists back to where they were before a change that did not come to its end.
        TakeBackFileMoves = "take_back_file_moves",
        /// Take all rights away from everybody but the owner.
        TightenMode = "tighten_mode",
    }
}

/// A mend that [`crate::DirectoryCheck::repair`] carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repair {
    /// What is done.
    pub kind: RepairKind,
    /// To what.
    pub path: PathBuf,
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = match self.kind {
            RepairKind::ClearLeftover => "removed",
            RepairKind::MoveAside => "moved to the folder \"orphaned\":",
            RepairKind::TakeBackFileMoves => "put files back to where they were in",
            RepairKind::TightenMode => "closed to everybody but its owner:",
        };
        write!(f, "{done} {}", self.path.display())
    }
}

/// Something that is not as it should be. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckFinding {
    /// In which part.
    pub part: CheckPart,
    /// What it is, for programs.
    pub code: CheckCode,
    /// About what: a path below the data directory, a certificate, a device.
    pub subject: String,
    /// What is wrong, for a person.
    pub problem: String,
    /// What to do about it; empty where nothing need be done.
    pub remedy: String,
    /// The mend, where there is one that cannot lose anything.
    pub repair: Option<Repair>,
}

impl CheckFinding {
    pub(super) fn new(
        part: CheckPart,
        code: CheckCode,
        subject: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            part,
            code,
            subject: subject.into(),
            problem: problem.into(),
            remedy: remedy.into(),
            repair: None,
        }
    }

    /// Something that could not be examined.
    pub(super) fn not_examined(
        part: CheckPart,
        subject: impl Into<String>,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        let remedy = "see to what stands in the way, and check again";
        Self::new(part, CheckCode::NotExamined, subject, with_causes(error), remedy)
    }

    pub(super) fn mended_by(mut self, kind: RepairKind, path: impl Into<PathBuf>) -> Self {
        self.repair = Some(Repair { kind, path: path.into() });
        self
    }

    /// How much it matters.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

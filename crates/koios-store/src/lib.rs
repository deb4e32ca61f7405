//! What Koios keeps: certificates, devices and the default, in one data directory.
//!
//! [`Store`] is a cheap handle on SQLite (`koios.db`) plus files; it is the only code that touches the
//! directory.
//!
//! - Certificates and their default: [`Store::create_certificate`], [`Store::replace_key_pair`],
//!   [`Store::set_default`].
//! - Devices, pins and history: [`Store::create_device`], [`Store::approve`], [`Store::record_transition`].
//! - What servers say they are, and what they have answered: [`Store::record_server_identity`],
//!   [`Store::record_attempt_evidence`].
//! - Trust lists, in folders that other tools may change too: [`Store::trust_lists`], [`Store::add_to_trust_list`],
//!   [`Store::record_rejected`].
//! - Access: [`Store::create_token`], [`Store::revoke_token`], beside a running daemon [`LocalTokens`];
//!   [`Store::idempotency_store`].
//! - Events, told with what there is to say of them: [`Store::events`]; certificates that end soon:
//!   [`Store::warn_of_expiry`].
//! - Backups, also beside a running daemon: [`back_up`], [`restore()`].
//! - Identities of other products: [`look_for_identities`], [`Store::import_identities`].
//! - Audit: [`Store::append_audit`], [`Store::recording`], [`Store::verify_audit`].
//! - What is wrong with a directory, in whatever state it is: [`DirectoryCheck`].
//!
//! A write is one transaction. Its files are on disk before the commit, its [`Change`]s are sent after it,
//! and a caller who stops waiting stops neither. What is on disk is looked at on each call ([`FileStates`]); lists
//! look at two of the three files of each certificate ([`Store::certificates`]).
//!
//! Lists are searched, filtered and sorted in memory, brought up to date by what each commit notes; the first one
//! reads everything ([`Store::prepare_lists`]).
//!
//! # Examples
//! ```
//! use koios_store::{DeviceSettings, Name, Store, StoreOptions};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let store = Store::open(StoreOptions::new(folder.path().join("data"))).await?;
//! let mut changes = store.changes();
//! let settings = DeviceSettings::new(Name::parse("Press 4")?, "opc.tcp://press4:4840/");
//! let device = store.create_device(settings, true).await?;
//! assert_eq!(changes.recv().await?, koios_store::Change::DeviceCreated(device.id));
//! assert_eq!(store.enabled_devices().await?, [device]);
//! store.close().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![warn(missing_debug_implementations)]
#![warn(clippy::exhaustive_enums)]
#![warn(clippy::exhaustive_structs)]
#![warn(clippy::unwrap_used)]
#![warn(clippy::expect_used)]
#![warn(clippy::panic)]
#![warn(clippy::indexing_slicing)]
#![warn(clippy::as_conversions)]
#![warn(clippy::missing_errors_doc)]
#![warn(clippy::missing_panics_doc)]
#![warn(clippy::print_stdout)]
#![warn(clippy::print_stderr)]

#[macro_use]
mod text_enum;
mod tls_identity;

mod atomic;
mod attempt_evidence;
mod audit;
mod backup;
mod blocking;
mod certificate;
mod certificate_files;
mod certificates;
mod change;
mod check;
mod data_key;
mod database;
mod device;
mod device_history;
mod devices;
mod directory_lock;
mod encryption_at_rest;
mod error;
mod event;
mod expiry;
mod facts;
mod fault;
mod file_digest;
mod file_stamp;
mod file_system;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hashed_files;
mod id;
mod idempotency;
mod import;
mod instant;
mod key_conversion;
mod key_files;
mod layout;
mod leftovers;
mod listing;
mod machine;
mod master_key;
mod name;
mod owner;
mod page;
mod progress;
mod removed_keys;
mod restore;
mod row_changes;
mod sealed_keys;
mod secrets;
mod server_certificates;
mod server_identities;
mod store;
mod tokens;
mod trust_lists;
mod write;

pub use attempt_evidence::AttemptEvidence;
pub use audit::{
    AuditEntry, AuditFault, AuditHead, AuditQuery, AuditResource, AuditVerification, RecordedEntry,
};
pub use backup::{BackupDone, BackupError, BackupOrder, LeftOut, back_up};
pub use certificate::{
    CertificateName, CertificateRecord, CertificateStatus, FileState, FileStates, Origin, StoredIdentity,
};
pub use certificates::{
    Assigned, CertificateGlance, CertificateOverview, CertificatePatch, CertificateQuery, CertificateSortKey,
    DefaultChanged, Deleted, EndReason, InstallAnswer, NewCertificate, PastGeneration, PendingRequest,
    ReplacePair, Replaced,
};
pub use change::Change;
pub use check::{CheckCode, CheckFinding, CheckPart, DirectoryCheck, Repair, RepairKind};
pub use device::{
    Device, DeviceRef, DeviceSettings, DeviceUser, PasswordChange, ServerCertificatePolicy, UserSettings,
};
pub use device_history::{DeviceState, Transition};
pub use devices::{DeviceFilter, DeviceQuery, DeviceSortKey, ImportCode, ImportError, ImportProblem};
pub use encryption_at_rest::DecryptedKeys;
pub use error::{IdentityFilesError, OpenError, Resource, StoreError, StoredFile};
pub use event::{Committed, DeviceName, StoreEvent};
pub use expiry::ExpiryWarning;
pub use id::{CertificateId, DeviceId, InvalidId, TokenId};
pub use idempotency::{IdempotencyRecord, OnceKey, Outcome, StoredAnswer};
pub use import::{
    FileNote, ForeignLayout, ForeignPki, IdentityOutcome, ImportOptions, ImportOrder, ImportRefused,
    ImportReport, ImportedFile, ImportedIdentity, ImportedTrust, PairRules, Refusal, ServerTrust, TrustItem,
    TrustOutcome, look_for_identities,
};
pub use master_key::{MasterKey, MasterKeyError, NewMasterKey};
pub use name::{Name, NameError};
pub use page::{Direction, Page, PageRequest, Sort};
pub use progress::{Progress, Step};
pub use restore::{Difference, DifferenceKind, RestoreOrder, Restored, restore};
pub use server_certificates::{PinOutcome, Presented, SeenEndpoint, SeenServerCertificate};
pub use server_identities::SaidServerIdentity;
pub use store::{Apply, Counts, Store, StoreOptions};
pub use tls_identity::TlsIdentity;
pub use tokens::{LastAdmin, LocalTokens, NewToken, Permission, Role, Token, TokenQuery, TokenSortKey};
pub use trust_lists::{Rejection, RevocationListEntry, TrustEntry, TrustListName, TrustLists};

//! OPC UA application instance certificates: keys, generation, parsing, inspection and findings.
#![forbid(unsafe_code)]
#![warn(
    missing_docs,
    missing_debug_implementations,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod application_uri;
pub use application_uri::{ApplicationUri, ApplicationUriError};
mod certificate;
pub use certificate::{
    AuthorityKeyIdentifier, BasicConstraints, Certificate, CertificateError, ExtendedKeyUsage, KeyUsage,
};
mod chain;
pub use chain::CertificateChain;
mod finding;
pub use finding::{Finding, FindingCode, Severity, findings, server_findings};
mod host_name;
pub use host_name::{HostName, HostNameError, common_name_for};
mod issue;
pub use issue::{IssueError, SelfSignedParams, self_signed};
mod key;
pub use key::{KeyError, KeySpec, PrivateKey, PrivateKeyPem};
mod pem;
pub use pem::PemError;
mod public_key;
pub use public_key::{Curve, KeyAlgorithm, OaepHash, PublicKey, SignatureScheme};
mod security;
pub use security::{SecurityMode, SecurityPolicy};
mod serial_number;
pub use serial_number::SerialNumber;
mod slug;
pub use slug::slug;
mod thumbprint;
pub use thumbprint::{Sha1Thumbprint, Sha256Thumbprint, ThumbprintError};
mod upload;
pub use upload::{InputKind, ReadError, Unreadable, read_certificates, read_pair};
mod validity;
pub use validity::{VALIDITY_BACKDATE, Validity, ValidityStatus};

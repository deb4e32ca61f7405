//! OPC UA application instance certificates: keys, generation, parsing, inspection and findings.
//!
//! An OPC UA client shows a server a certificate that says who it is (OPC 10000-6 §6.2.2). This crate makes such
//! certificates, reads those of others, and says what a peer may dislike about them. It is pure: no files, network,
//! clock, environment or async; time and serial numbers are arguments, bytes go in and values come out.
//!
//! - **Make**: [`PrivateKey::generate`], then [`self_signed`] from [`SelfSignedParams`]. Names come from
//!   [`HostName`], [`common_name_for`], [`ApplicationUri::for_certificate`] and [`slug()`].
//! - **Read**: [`Certificate::from_der`] and [`CertificateChain::from_der_blob`] for what a peer sends;
//!   [`read_pair`] and [`read_certificates`] for what a person uploads, in any form they have it in.
//! - **Judge**: [`Certificate::validity`] at an instant the caller gives, [`lint`] by role, certificate type and peer,
//!   [`Certificate::inspect`] for everything a certificate says. They advise; whether to trust is decided elsewhere.
//! - **Use**: [`PrivateKey`] signs and decrypts, [`PublicKey`] verifies and encrypts, as the [`SecurityPolicy`] says.
//!
//! RSA keys of 2048 to 4096 bits are used, on aws-lc-rs; other keys are read and shown.
//!
//! # Example
//!
//! ```
//! use koios_pki::{
//!     ApplicationUri, HostName, KeySpec, PrivateKey, SelfSignedParams, SerialNumber, Validity, ValidityStatus,
//!     common_name_for, findings, read_pair, self_signed, slug,
//! };
//! use time::macros::datetime;
//!
//! let now = datetime!(2026-11-23 10:00 UTC);
//! let host = HostName::parse("gw01.plant.example")?;
//! let mut params = SelfSignedParams::new(
//!     common_name_for(&host)?,
//!     "Koios",
//!     ApplicationUri::for_certificate(&host, &slug("Plant A Certificate")),
//!     Validity::starting_at(now, 1095),
//!     SerialNumber::from_random_bytes([0x5A; 16]), // of a random generator
//! );
//! params.dns_names = vec![host.to_string()];
//!
//! let key = PrivateKey::generate(KeySpec::Rsa2048)?;
//! let certificate = self_signed(&params, &key)?;
//! assert_eq!(certificate.subject(), "CN=Koios@gw01.plant.example, O=Koios");
//! assert_eq!(certificate.application_uri(), Some("urn:koios:gw01.plant.example:plant-a-certificate"));
//! assert_eq!(certificate.validity().status_at(now), ValidityStatus::Valid);
//!
//! // What is written can be read back, as a pair that belongs together and has no fault.
//! let pem = key.to_pem();
//! let (chain, key) = read_pair(certificate.der(), Some(pem.secret_bytes()), None)?;
//! assert!(key.matches(chain.leaf()));
//! assert!(findings(&chain, now).is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Secrets
//!
//! Private keys are values of two types, [`PrivateKey`] and [`PrivateKeyPem`], that cannot be cloned, printed or
//! serialised and are overwritten in memory when dropped. No error says anything about a key's value.
//!
//! # Input of others
//!
//! Everything read is taken for hostile: sizes, counts and the work that an encrypted key may ask for are bounded, and
//! no input makes a reader panic (held by property tests and fuzzing). Certificates that break RFC 5280 where a reader
//! can live with it are shown, and their faults are findings.
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
mod ber;
mod certificate;
pub use certificate::{
    Attribute, AttributeType, AuthorityKeyIdentifier, BasicConstraints, Certificate, CertificateError,
    DistinguishedName, ExtendedKeyUsage, KeyUsage, StringKind,
};
mod chain;
pub use chain::CertificateChain;
mod distinguished_names;
mod encryption;
pub use encryption::EncryptionSeed;
mod finding;
pub use finding::{
    Finding, FindingCode, LintParams, LintRole, PeerStack, Severity, findings, lint, server_findings,
};
mod host_name;
pub use host_name::{HostName, HostNameError, common_name_for};
mod authority;
pub use authority::{Authority, AuthorityParams, RevocationListParams, Revoked};
mod inspection;
pub use inspection::{
    CertificateSerial, Extension, ExtensionValue, GeneralName, Inspection, KeyDetails, Oid,
    SignatureAlgorithm, TimeEncoding,
};
mod issue;
pub use issue::{IssueError, SelfSignedParams, self_signed};
mod key;
pub use key::{EcPrivateKey, KeyError, KeySpec, PrivateKey, PrivateKeyPem, RsaPrivateKey};
mod pem;
pub use pem::PemError;
mod pkcs12;
mod pkcs7;
mod profile;
pub use profile::Profile;
mod public_key;
pub use public_key::{Curve, EcPublicKey, KeyAlgorithm, OaepHash, PublicKey, RsaPublicKey, SignatureScheme};
mod request;
pub use request::{CertificateRequest, RequestError, RequestParams, certificate_request};
mod revocation_list;
pub use revocation_list::{Revocation, RevocationList, RevocationListError, RevocationReason, UnusableList};
mod security;
pub use security::{CertificateType, SecurityMode, SecurityPolicy};
mod serial_number;
pub use serial_number::SerialNumber;
mod slug;
pub use slug::slug;
mod thumbprint;
pub use thumbprint::{Sha1Thumbprint, Sha256Thumbprint, ThumbprintError};
mod tlv;
mod trust;
pub use trust::{
    PeerRole, SelfSignedAuthority, Suppression, Suppressions, TrustError, TrustErrorKind, TrustList,
    TrustStatus, UnknownRevocation, ValidationParams, ValidationStep, VerifiedChain, validate,
};
mod upload;
pub use upload::{InputKind, ReadError, Unreadable, read_certificates, read_pair};
mod validity;
pub use validity::{VALIDITY_BACKDATE, Validity, ValidityStatus};

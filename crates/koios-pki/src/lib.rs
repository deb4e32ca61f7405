//! OPC UA application instance certificates: keys, generation, requests, an authority, parsing, inspection, findings and
//! trust.
//!
//! An OPC UA client shows a server a certificate that says who it is (OPC 10000-6 §6.2.2): the server must have it, or
//! its authority, in its trust list, and the client must hold its private key. Most of what goes wrong in a plant goes
//! wrong here, in four ways, and this crate has a room for each:
//!
//! - **The certificate is not as OPC UA wants it.** The application's URI must be the first entry of the subject
//!   alternative name, the one the session gives; a self-signed certificate needs `keyCertSign` and still must not be an
//!   authority; its key must be of the kind and length that the [`SecurityPolicy`] takes. [`self_signed`] makes it right,
//!   as a [`Profile`] says; [`lint`] tells what is wrong with one, by role, policy and peer, with the clause and the
//!   remedy.
//! - **It comes in the wrong form.** [`read_pair`] and [`read_certificates`] take what people have: DER, PEM, bundles,
//!   chains, PKCS#7, PKCS#12, keys of every common kind, encrypted or not. Content decides, not a file's name; what
//!   cannot be used is called what it is ("a certificate request", "an HTML page"). [`read_contents`] takes files of which
//!   nobody knows what they hold, such as those in the folders of another product. [`Certificate::inspect`] shows all that
//!   a certificate says.
//! - **The plant has an authority.** [`certificate_request`] asks it for a certificate (PKCS#10) that keeps names and URI;
//!   [`PrivateKey::matches`] finds the key of its answer. [`Authority`] is a small one for tests and for plants without.
//! - **It is not trusted.** [`validate`] takes the eleven steps of OPC 10000-4 §6.1.3 with a [`TrustList`] and gives a
//!   [`VerifiedChain`], which says what was overlooked, or a [`TrustError`], which says what failed on which
//!   certificate and has one status code.
//!
//! The crate is pure: no files, network, clock, environment or async. Bytes go in and values come out; the instant and
//! serial numbers are arguments; what needs randomness of its own (making keys, signing with
//! ECDSA or PSS, encrypting with RSA) draws it from the cryptographic library. RSA keys of 2048 to 4096 bits and
//! elliptic curve keys on P-256 and P-384 are made and used, on aws-lc-rs; other keys are read and shown.
//!
//! # A certificate of one's own
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
//! # Certificates of others
//!
//! ```
//! use koios_pki::{
//!     Authority, AuthorityParams, KeySpec, PeerRole, PrivateKey, RequestParams, RevocationListParams, RevocationReason,
//!     SerialNumber, TrustList, TrustStatus, ValidationParams, Validity, certificate_request, validate,
//! };
//! use time::{Duration, macros::datetime};
//!
//! let now = datetime!(2026-11-23 10:00 UTC);
//! let serial = |number| SerialNumber::from_random_bytes([number; 16]); // of a random generator
//! let ten_years = Validity::starting_at(now, 3650);
//! let authority =
//!     Authority::root(&AuthorityParams::new("Plant CA", "Plant", ten_years, serial(1)), PrivateKey::generate(KeySpec::EcP256)?)?;
//!
//! // A server asks for a certificate and shows it with that of its authority.
//! let key = PrivateKey::generate(KeySpec::EcP256)?;
//! let mut params = RequestParams::new("Press 4", "Plant", "urn:plant:press-4".parse()?)?;
//! params.dns_names = vec!["press4.plant.example".to_owned()];
//! let certificate = authority.issue(&certificate_request(&params, &key)?, Validity::starting_at(now, 365), serial(2))?;
//! let chain = authority.chain_below(certificate.clone());
//!
//! // A client trusts the authority, and must have its revocation list.
//! let list = RevocationListParams::new(serial(1), now, now + Duration::days(30));
//! let mut trust = TrustList::default();
//! trust.trusted.push(authority.certificate().clone());
//! trust.revocation_lists.push(authority.revocation_list(&list)?);
//! let mut server = ValidationParams::new(now, PeerRole::Server);
//! server.host = Some("press4.plant.example");
//! server.application_uri = Some("urn:plant:press-4");
//! assert_eq!(validate(&chain, &trust, &server)?.trusted_by(), authority.certificate());
//!
//! let list = list.revoke(&certificate, now, RevocationReason::KeyCompromise);
//! trust.revocation_lists = vec![authority.revocation_list(&list)?];
//! let error = validate(&chain, &trust, &server).unwrap_err();
//! assert_eq!(error.status(), TrustStatus::Revoked);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Secrets
//!
//! Private keys are values of types that cannot be cloned, printed or serialised and are overwritten in memory when
//! dropped. No error says anything about a key's value. A key leaves as PKCS#8, plain ([`PrivateKey::to_pem`]) or
//! encrypted with a passphrase, or with its certificates as PKCS#12.
//!
//! # Input of others
//!
//! Everything read is taken for hostile: sizes, depths, counts, signatures to check and the work that an encrypted key
//! may ask for are bounded, and no input makes a reader panic (held by property tests and fuzzing). Certificates that
//! break RFC 5280 where a reader can live with it are shown, and their faults are findings. Validation is judged beside
//! OpenSSL and by NIST's path validation tests. Certificate policies, name constraints, delta and indirect revocation
//! lists are not supported: a chain that needs one of them is refused, a delta list is left aside.
//!
//! # Features
//!
//! `deprecated-policies`, off by default, has the RSA that `Basic128Rsa15` and `Basic256` need for old PLCs: keys from
//! 1024 bits, which are read and used and never made, signatures with SHA-1, encryption after PKCS#1 v1.5. It brings
//! along the `rsa` crate, whose secret operations leak their timing (RUSTSEC-2023-0071); keys from 2048 bits are used
//! by it for signatures with SHA-1 only. What certificates are judged by stays the same.
//!
//! Types of other crates in the public API: instants are [`time::OffsetDateTime`].
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
#[cfg(feature = "deprecated-policies")]
mod deprecated;
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
pub use issue::{
    IssueError, SelfSignedParams, Subject, WebServerParams, self_signed, self_signed_web_server,
};
mod key;
pub use key::{
    DecryptedBlock, EcPrivateKey, KeyError, KeySpec, PrivateKey, PrivateKeyPem, RsaPrivateKey, WrappingSecret,
};
mod pem;
pub use pem::PemError;
mod pkcs12;
mod pkcs7;
mod profile;
pub use profile::Profile;
mod public_key;
pub use public_key::{
    Curve, EcPublicKey, EncryptionScheme, KeyAlgorithm, PublicKey, RsaPublicKey, SignatureScheme,
};
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
pub use upload::{
    FileContents, InputKind, ReadError, Unreadable, read_certificates, read_contents, read_pair,
};
mod validity;
pub use validity::{VALIDITY_BACKDATE, Validity, ValidityStatus};

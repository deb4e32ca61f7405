//! Why a certificate is not trusted, with the evidence.

use std::fmt;

use time::OffsetDateTime;

use super::{TrustStatus, ValidationStep};
use crate::revocation_list::{RevocationReason, UnusableList};
use crate::{Certificate, CertificateType, KeyAlgorithm};

/// A failed check: which one, on which certificate, and what was found there.
///
/// Where several chains fail, [`crate::validate`] gives the most telling failure: one of a chain that reached a root
/// before one of a chain that did not, and among those the one that came furthest in the order of the steps. The
/// failure of a chain is its first one, step by step, and within a step from the leaf up.
#[derive(Clone, PartialEq, Eq)]
pub struct TrustError(Box<Failure>);

#[derive(Clone, PartialEq, Eq)]
struct Failure {
    certificate: Certificate,
    depth: usize,
    kind: TrustErrorKind,
}

impl TrustError {
    pub(crate) fn new(certificate: &Certificate, depth: usize, kind: TrustErrorKind) -> Self {
        Self(Box::new(Failure { certificate: certificate.clone(), depth, kind }))
    }

    /// The step that failed.
    pub fn step(&self) -> ValidationStep {
        self.0.kind.step()
    }

    /// The one OPC UA status of the failure; where there are two, that for the leaf or that for its issuers.
    pub fn status(&self) -> TrustStatus {
        self.step().status(self.depth() > 0)
    }

    /// The certificate at fault.
    pub fn certificate(&self) -> &Certificate {
        &self.0.certificate
    }

    /// Where it stands in the chain: 0 for the peer's own certificate, 1 for its issuer, and so on.
    pub fn depth(&self) -> usize {
        self.0.depth
    }

    /// What was expected and what was found.
    pub fn kind(&self) -> &TrustErrorKind {
        &self.0.kind
    }

    /// Whether an administrator may choose to accept this failure (OPC 10000-4 §6.1.3).
    ///
    /// A wrong usage may be accepted unless the certificate marks the extension critical; that an issuer is no
    /// authority is never accepted, because any trusted peer could then issue certificates.
    pub fn is_suppressible(&self) -> bool {
        self.0.kind.is_suppressible()
    }
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.depth() == 0 { "certificate" } else { "issuer" };
        write!(f, "{role} \"{}\": {} ({})", self.certificate().subject(), self.kind(), self.status())
    }
}

impl fmt::Debug for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustError")
            .field("status", &self.status())
            .field("step", &self.step())
            .field("depth", &self.depth())
            .field("certificate", self.certificate())
            .field("kind", self.kind())
            .finish()
    }
}

impl std::error::Error for TrustError {}

/// What a check expected and what it found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustErrorKind {
    // Step 1.
    /// Not version 3 of X.509, which every OPC UA certificate is.
    #[error("it is of X.509 version {version}, not 3")]
    Version {
        /// The version.
        version: u8,
    },
    /// Subject or issuer is an empty name.
    #[error("its {field} is empty")]
    NameEmpty {
        /// `subject` or `issuer`.
        field: &'static str,
    },
    /// A known extension cannot be read, or stands there twice.
    #[error("its extension {name} is malformed or repeated")]
    ExtensionMalformed {
        /// The extension's name in X.509.
        name: &'static str,
    },
    /// An extension that must be understood (RFC 5280 §4.2) and is not.
    #[error("its extension {oid} must be understood and is not")]
    ExtensionUnknown {
        /// The extension's object identifier, dotted.
        oid: String,
    },
    /// The signature algorithm inside of the signed part is another than outside of it (RFC 5280 §4.1.1.2).
    #[error("it names two signature algorithms")]
    SignatureAlgorithmsDiffer,

    // Step 2.
    /// No certificate at hand issued it.
    #[error("its issuer \"{issuer}\" is missing")]
    IssuerMissing {
        /// The issuer it names.
        issuer: String,
    },
    /// Its issuers lead in a circle.
    #[error("its issuers lead in a circle")]
    ChainLoops,
    /// No root within the length a chain may have.
    #[error("its chain has more than {max} certificates")]
    ChainTooLong {
        /// The limit.
        max: usize,
    },
    /// More ways to try than are worth it.
    #[error("too many certificates or revocation lists might be its issuer's")]
    TooMuchWork,

    // Step 3.
    /// The signature does not verify with the key of the certificate it names as its issuer, or is of an algorithm that
    /// nothing here verifies.
    #[error("its {algorithm} signature by \"{issuer}\" does not verify")]
    SignatureInvalid {
        /// The algorithm it names, or its dotted object identifier.
        algorithm: String,
        /// The issuer whose key was tried.
        issuer: String,
    },

    // Step 4.
    /// A key the security policy does not allow.
    #[error("its key is {found}, which {certificate_type} does not allow")]
    KeyNotAllowed {
        /// The type of certificate the security policy asks for.
        certificate_type: CertificateType,
        /// The key.
        found: KeyAlgorithm,
    },
    /// A key of a kind no security policy knows.
    #[error("its key is {found}, which no certificate type allows")]
    KeyUnknown {
        /// The key.
        found: KeyAlgorithm,
    },
    /// A signature the security policy does not allow.
    #[error("it is signed with {found}, which {certificate_type} does not allow")]
    SignatureNotAllowed {
        /// The type of certificate the security policy asks for.
        certificate_type: CertificateType,
        /// The signature algorithm.
        found: String,
    },
    /// A key longer than that of its issuer (OPC 10000-6 §6.1).
    #[error("its key, {found}, is longer than that of its issuer, {issuer}")]
    KeyLongerThanIssuers {
        /// Its key.
        found: KeyAlgorithm,
        /// The issuer's key.
        issuer: KeyAlgorithm,
    },

    // Step 5.
    /// Neither it nor an authority above it is in the trusted list.
    #[error("neither it nor an authority above it is trusted; the chain ends at \"{root}\"")]
    NotTrusted {
        /// The root of the chain that was built.
        root: String,
    },

    // Step 6.
    /// Its validity has not begun.
    #[error("it is valid from {not_before} on, checked at {checked_at}")]
    NotYetValid {
        /// The first valid instant.
        not_before: OffsetDateTime,
        /// The instant checked.
        checked_at: OffsetDateTime,
    },
    /// Its validity has ended.
    #[error("it was valid until {not_after}, checked at {checked_at}")]
    Expired {
        /// The last valid instant.
        not_after: OffsetDateTime,
        /// The instant checked.
        checked_at: OffsetDateTime,
    },

    // Step 7.
    /// It does not name the host.
    #[error("it is not made for the host \"{expected}\" but for: {}", listed(found))]
    HostNameMismatch {
        /// The host of the URL.
        expected: String,
        /// The DNS names and IP addresses it holds.
        found: Vec<String>,
    },

    // Step 8.
    /// It does not hold the application's URI.
    #[error("it does not hold the application URI \"{expected}\" but: {}", listed(found))]
    ApplicationUriMismatch {
        /// The URI the application gives.
        expected: String,
        /// The URIs it holds.
        found: Vec<String>,
    },

    // Step 9.
    /// The key usage lacks what the role needs.
    #[error("its key usage lacks {}", missing.join(", "))]
    KeyUsageIncomplete {
        /// The missing bits, as X.509 names them.
        missing: Vec<&'static str>,
        /// Whether the extension is critical.
        critical: bool,
    },
    /// There is no key usage.
    #[error("it has no key usage")]
    KeyUsageMissing,
    /// A self-signed application certificate without keyCertSign (OPC 10000-6 §6.2.2).
    #[error("it is self-signed and its key usage lacks keyCertSign")]
    KeyCertSignMissing,
    /// The extended key usage lacks what the role needs.
    #[error("its extended key usage lacks {expected}")]
    ExtendedKeyUsageIncomplete {
        /// `serverAuth` or `clientAuth`.
        expected: &'static str,
        /// The purposes it holds, as dotted object identifiers.
        found: Vec<String>,
        /// Whether the extension is critical.
        critical: bool,
    },
    /// There is no extended key usage on an RSA certificate, which needs one.
    #[error("it has no extended key usage, and needs {expected}")]
    ExtendedKeyUsageMissing {
        /// `serverAuth` or `clientAuth`.
        expected: &'static str,
    },
    /// The peer's own certificate is that of an authority.
    #[error("it is the certificate of an authority, not of an application or user")]
    IsAuthority {
        /// Whether basicConstraints is critical.
        critical: bool,
    },
    /// An issuer is no authority; never suppressible.
    #[error("it is not the certificate of an authority")]
    NotAnAuthority,
    /// More authorities below one than it allows.
    #[error("it allows {path_len} authorities below it, and there are {found}")]
    PathTooLong {
        /// What basicConstraints allows.
        path_len: u8,
        /// How many there are.
        found: usize,
        /// Whether basicConstraints is critical.
        critical: bool,
    },

    // Step 10.
    /// There is no revocation list of its issuer.
    #[error("there is no revocation list of its issuer \"{issuer}\"")]
    RevocationListMissing {
        /// The issuer.
        issuer: String,
    },
    /// The lists of its issuer's name are not signed by its issuer.
    #[error("the revocation list named for its issuer \"{issuer}\" is not signed by it")]
    RevocationListNotSigned {
        /// The issuer.
        issuer: String,
    },
    /// Its issuer may not sign revocation lists.
    #[error("the key usage of its issuer \"{issuer}\" does not allow it to sign revocation lists")]
    RevocationListNotAllowed {
        /// The issuer.
        issuer: String,
    },
    /// The newest list of its issuer is expired.
    #[error("the revocation list of its issuer was to be replaced by {next_update}, checked at {checked_at}")]
    RevocationListExpired {
        /// When the next list was due.
        next_update: OffsetDateTime,
        /// The instant checked.
        checked_at: OffsetDateTime,
    },
    /// The list of its issuer is from after the instant checked.
    #[error("the revocation list of its issuer is of {this_update}, checked at {checked_at}")]
    RevocationListNotYetValid {
        /// When the list was made.
        this_update: OffsetDateTime,
        /// The instant checked.
        checked_at: OffsetDateTime,
    },
    /// The list of its issuer says nothing of how long it is good for (RFC 5280 §5.1.2.5).
    #[error("the revocation list of its issuer does not say when the next one is due")]
    RevocationListUndated,
    /// The list of its issuer is not a complete one.
    #[error("the revocation list of its issuer cannot be used: {reason}")]
    RevocationListUnusable {
        /// Why.
        reason: UnusableList,
    },

    // Step 11.
    /// It is on the revocation list of its issuer.
    #[error("it was revoked on {at}{}", reason.map_or_else(String::new, |reason| format!(" ({reason})")))]
    Revoked {
        /// When it was revoked, by the list.
        at: OffsetDateTime,
        /// Why, if the list says so.
        reason: Option<RevocationReason>,
    },
}

impl TrustErrorKind {
    /// The step that finds this.
    pub fn step(&self) -> ValidationStep {
        match self {
            Self::Version { .. }
            | Self::NameEmpty { .. }
            | Self::ExtensionMalformed { .. }
            | Self::ExtensionUnknown { .. }
            | Self::SignatureAlgorithmsDiffer => ValidationStep::Structure,
            Self::IssuerMissing { .. } | Self::ChainLoops | Self::ChainTooLong { .. } | Self::TooMuchWork => {
                ValidationStep::Chain
            }
            Self::SignatureInvalid { .. } => ValidationStep::Signature,
            Self::KeyNotAllowed { .. }
            | Self::KeyUnknown { .. }
            | Self::SignatureNotAllowed { .. }
            | Self::KeyLongerThanIssuers { .. } => ValidationStep::SecurityPolicy,
            Self::NotTrusted { .. } => ValidationStep::Trust,
            Self::NotYetValid { .. } | Self::Expired { .. } => ValidationStep::Validity,
            Self::HostNameMismatch { .. } => ValidationStep::HostName,
            Self::ApplicationUriMismatch { .. } => ValidationStep::ApplicationUri,
            Self::KeyUsageIncomplete { .. }
            | Self::KeyUsageMissing
            | Self::KeyCertSignMissing
            | Self::ExtendedKeyUsageIncomplete { .. }
            | Self::ExtendedKeyUsageMissing { .. }
            | Self::IsAuthority { .. }
            | Self::NotAnAuthority
            | Self::PathTooLong { .. } => ValidationStep::Usage,
            Self::RevocationListMissing { .. }
            | Self::RevocationListNotSigned { .. }
            | Self::RevocationListNotAllowed { .. }
            | Self::RevocationListExpired { .. }
            | Self::RevocationListNotYetValid { .. }
            | Self::RevocationListUndated
            | Self::RevocationListUnusable { .. } => ValidationStep::RevocationList,
            Self::Revoked { .. } => ValidationStep::Revocation,
        }
    }

    fn is_suppressible(&self) -> bool {
        match self.step() {
            ValidationStep::Structure
            | ValidationStep::Chain
            | ValidationStep::Signature
            | ValidationStep::Trust
            | ValidationStep::ApplicationUri
            | ValidationStep::Revocation => false,
            ValidationStep::SecurityPolicy
            | ValidationStep::Validity
            | ValidationStep::HostName
            | ValidationStep::RevocationList => true,
            ValidationStep::Usage => !matches!(
                self,
                Self::NotAnAuthority
                    | Self::KeyUsageIncomplete { critical: true, .. }
                    | Self::ExtendedKeyUsageIncomplete { critical: true, .. }
                    | Self::IsAuthority { critical: true }
                    | Self::PathTooLong { critical: true, .. }
            ),
        }
    }
}

fn listed(found: &[String]) -> String {
    if found.is_empty() { "none".to_owned() } else { found.join(", ") }
}

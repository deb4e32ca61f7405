//! Why a use case failed, in words of the domain; `api::error` says what that is over HTTP.

use std::time::Duration;

use koios_opcua::{PlanError, TestError};
use koios_pki::{
    ApplicationUriError, CertificateError, HostNameError, IssueError, KeyError, ReadError,
    RevocationListError,
};
use koios_store::{CertificateId, CertificateStatus, IdentityFilesError, StoreError};

/// A use case failed; nothing has changed, unless the variant says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ServiceError {
    /// Only an admin may do that.
    #[error("only an admin may choose {what}")]
    AdminNeeded { what: &'static str },
    /// A certificate that no server will accept at the moment is not made the default unless forced.
    #[error("the certificate is {}", names(.statuses))]
    CertificateNotUsable { statuses: Vec<CertificateStatus> },
    /// An authority certified another key than the one the request was for.
    #[error("the certificate is not of the key that the request was made for")]
    AnswerOfAnotherKey,
    /// The certificate's files cannot be used.
    #[error(transparent)]
    Files(#[from] IdentityFilesError),
    /// No certificate can be made for this host.
    #[error("the host name cannot be used")]
    HostName(#[from] HostNameError),
    /// The same key was used for another request.
    #[error("this Idempotency-Key was used for another request")]
    IdempotencyKeyReused,
    /// The work was cut off, by a panic or because the daemon stops.
    #[error("the work was cut off")]
    Interrupted(#[source] tokio::task::JoinError),
    /// A field does not fit.
    #[error("{field}: {detail}")]
    InvalidField { field: &'static str, detail: String },
    /// Several fields do not fit.
    #[error("{} fields do not fit", .0.len())]
    InvalidFields(Vec<FieldFault>),
    /// No certificate could be made.
    #[error("no certificate could be made")]
    Issue(#[from] IssueError),
    /// No key could be made or used.
    #[error("no key could be made")]
    Key(#[from] KeyError),
    /// What is measured could not be written down.
    #[error("the metrics could not be written")]
    Metrics(#[source] std::fmt::Error),
    /// A token would grant more than the one that makes it has.
    #[error("a token grants only what its creator holds, and yours {lacks}")]
    NotHeld { field: &'static str, lacks: &'static str },
    /// The system has no random numbers for us.
    #[error("the system's random numbers are not available")]
    NoRandomness,
    /// No request can be made that says what the certificate says.
    #[error("no certificate request can be made for this certificate: {reason}")]
    NotRequestable { reason: String },
    /// A stored password would travel elsewhere, or less protected.
    #[error("{reason}, so the stored password must be sent again")]
    PasswordRequired { reason: &'static str },
    /// No attempt could be made with what is stored.
    #[error("no attempt could be made with what is stored")]
    Plan(#[source] PlanError),
    /// An uploaded pair was refused.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An uploaded revocation list was refused.
    #[error("the revocation list cannot be read: {0}")]
    RevocationList(#[from] RevocationListError),
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The daemon stops.
    #[error("the daemon is stopping")]
    Stopping,
    /// What was stored cannot be read.
    #[error("a stored certificate cannot be read")]
    StoredCertificate(#[from] CertificateError),
    /// The target lies in none of the networks that the configuration allows.
    #[error("the target's address is in none of the networks that Koios may connect to")]
    TargetNotAllowed,
    /// As many attempts run already as may run at once.
    #[error("as many Tests and discoveries run already as may run at once")]
    TooManyAtOnce,
    /// Too many tokens from that address were wrong.
    #[error("too many tokens from this address were wrong")]
    TooManyWrongTokens { retry_after: Duration },
    /// As many listen to events already as may.
    #[error("as many streams of events are open already as may be")]
    TooManyStreams,
    /// As many tickets are unused as may be.
    #[error("too many tickets are unused")]
    TooManyTickets,
    /// A field names a certificate that does not exist.
    #[error("there is no certificate {id}")]
    UnknownCertificate { field: &'static str, id: CertificateId },
}

/// One field that does not fit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FieldFault {
    pub(crate) field: &'static str,
    pub(crate) detail: String,
}

impl ServiceError {
    pub(crate) fn invalid_field(field: &'static str, detail: impl Into<String>) -> Self {
        Self::InvalidField { field, detail: detail.into() }
    }

    pub(crate) fn application_uri(error: &ApplicationUriError) -> Self {
        Self::invalid_field("application_uri", error.to_string())
    }
}

impl From<PlanError> for ServiceError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Store(error) => Self::Store(error),
            other => Self::Plan(other),
        }
    }
}

impl From<TestError> for ServiceError {
    fn from(error: TestError) -> Self {
        match error {
            TestError::Busy => Self::TooManyAtOnce,
            TestError::Plan(error) => error.into(),
            _ => Self::Store(StoreError::Interrupted),
        }
    }
}

fn names(statuses: &[CertificateStatus]) -> String {
    statuses.iter().map(|status| status.as_str().replace('_', " ")).collect::<Vec<_>>().join(" and ")
}

//! The one table from failures of the domain to failures of the API.

use koios_pki::ReadError;
use koios_store::{IdentityFilesError, Resource, StoreError};

use super::{ApiError, Code, FieldError};
use crate::{error_chain::error_chain, service::error::ServiceError};

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        match &error {
            ServiceError::Store(error) => from_store(error),
            ServiceError::Files(error) => from_files(error),
            ServiceError::Read(error) => from_read(error),
            ServiceError::AdminNeeded { .. } => Self::new(
                Code::Forbidden,
                format!("{}; ask one, or use a token with the role admin.", sentence(&error)),
            ),
            ServiceError::CertificateNotUsable { .. } => Self::new(
                Code::CertificateNotUsable,
                format!(
                    "{}; servers will refuse it. Send \"force\": true to make it the default anyway.",
                    sentence(&error)
                ),
            ),
            ServiceError::AnswerOfAnotherKey => Self::of_field(
                Code::KeyMismatch,
                "certificate",
                format!("{}; send the authority's answer to the pending request.", sentence(&error)),
            ),
            ServiceError::NotRequestable { .. } => Self::new(
                Code::CertificateNotUsable,
                format!("{}; regenerate it, then make the request.", sentence(&error)),
            ),
            ServiceError::HostName(reason) => {
                Self::of_field(Code::HostnameInvalid, "hostname", sentence(reason))
            }
            ServiceError::IdempotencyKeyReused => Self::of_field(
                Code::IdempotencyKeyReused,
                "Idempotency-Key",
                "This key was used for another request within the last 24 hours; choose a new one.",
            ),
            ServiceError::InvalidField { field, detail } => Self::invalid_field(*field, detail.clone()),
            ServiceError::InvalidFields(faults) => Self::invalid_fields(
                faults.iter().map(|fault| FieldError::new(fault.field, fault.detail.clone())).collect(),
            ),
            ServiceError::NotHeld { field, .. } => Self::of_field(
                Code::Forbidden,
                *field,
                format!("{}; ask for less, or use a token that holds it.", sentence(&error)),
            ),
            ServiceError::PasswordRequired { .. } => Self::of_field(
                Code::PasswordRequired,
                "user_identity.password",
                format!("{}.", sentence(&error)),
            ),
            ServiceError::RevocationList(_) => {
                Self::of_field(Code::CrlUnreadable, "crl", format!("{}.", sentence(&error)))
            }
            ServiceError::TargetNotAllowed => Self::of_field(
                Code::TargetNotAllowed,
                "endpoint_url",
                format!("{}; the setting test_allowed_networks lists them.", sentence(&error)),
            ),
            ServiceError::TooManyAtOnce => {
                Self::rate_limited(format!("{}; wait for one to end, then try again.", sentence(&error)))
            }
            ServiceError::TooManyWrongTokens { retry_after } => {
                let detail = format!(
                    "{}; tokens that worked from here within the last hour go on working. Wait, then send a valid one.",
                    sentence(&error)
                );
                Self::rate_limited(detail).retry_after(*retry_after)
            }
            ServiceError::TooManyStreams => {
                Self::rate_limited(format!("{}; close one, then try again.", sentence(&error)))
            }
            ServiceError::TooManyTickets => {
                Self::rate_limited(format!("{}; they last half a minute, try again then.", sentence(&error)))
            }
            ServiceError::Stopping => {
                Self::new(Code::Stopping, format!("{}; try again when it has started.", sentence(&error)))
            }
            ServiceError::UnknownCertificate { field, .. } => {
                Self::of_field(Code::UnknownCertificate, *field, format!("{}.", sentence(&error)))
            }
            ServiceError::Interrupted(_)
            | ServiceError::Issue(_)
            | ServiceError::Key(_)
            | ServiceError::Metrics(_)
            | ServiceError::NoRandomness
            | ServiceError::Plan(_)
            | ServiceError::StoredCertificate(_) => Self::internal(&error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        from_store(&error)
    }
}

impl From<IdentityFilesError> for ApiError {
    fn from(error: IdentityFilesError) -> Self {
        from_files(&error)
    }
}

fn from_store(error: &StoreError) -> ApiError {
    match error {
        StoreError::NotFound { .. } => ApiError::new(Code::NotFound, format!("{}.", sentence(error))),
        StoreError::ApplicationUriChanged { .. } => ApiError::new(
            Code::ApplicationUriChanged,
            format!(
                "{}; servers may refuse it. Send allow_uri_change=true if that is meant.",
                sentence(error)
            ),
        ),
        StoreError::CertificateExists { .. } => {
            ApiError::new(Code::CertificateExists, format!("{}.", sentence(error)))
        }
        StoreError::DefaultCertificateRequired { .. } => {
            ApiError::new(Code::DefaultCertificateRequired, format!("{}.", sentence(error)))
        }
        StoreError::InTrustList { resource, .. } => {
            let code = match resource {
                Resource::RevocationList => Code::CrlExists,
                _ => Code::CertificateExists,
            };
            ApiError::new(code, format!("{}.", sentence(error)))
        }
        StoreError::InvalidCursor => {
            ApiError::invalid_field("cursor", "is not a next_cursor of this list in this order")
        }
        StoreError::InvalidName(reason) => ApiError::invalid_field("name", reason.to_string()),
        StoreError::InvalidSetting { field, reason } => ApiError::invalid_field(*field, *reason),
        StoreError::LastAdminToken { .. } => ApiError::new(
            Code::LastAdminToken,
            format!(
                "{}: nobody could administer any more. Create another admin token, then revoke this one with it; on the \
                 daemon's machine, koiosd token revoke --force does without.",
                sentence(error)
            ),
        ),
        StoreError::NameTaken { .. } => {
            let detail = format!("{}; case makes no difference. Choose another one.", sentence(error));
            ApiError::of_field(Code::NameTaken, "name", detail)
        }
        StoreError::NoPendingRequest { .. } => {
            let detail = format!("{}; make one with POST /certificates/{{id}}/csr.", sentence(error));
            ApiError::new(Code::NoPendingRequest, detail)
        }
        StoreError::RequestPending { .. } => {
            ApiError::new(Code::OperationInProgress, format!("{}.", sentence(error)))
        }
        StoreError::RevisionMismatch { current, .. } => ApiError::new(
            Code::RevisionMismatch,
            format!("It was changed meanwhile: its revision is {current}. Read it again, then decide."),
        ),
        StoreError::ThumbprintMismatch { .. } => {
            let detail = format!("{}. Look at it again before approving.", sentence(error));
            ApiError::of_field(Code::ThumbprintMismatch, "thumbprint_sha256", detail)
        }
        StoreError::UnknownCertificate(_) => {
            ApiError::of_field(Code::UnknownCertificate, "certificate_id", format!("{}.", sentence(error)))
        }
        StoreError::UnknownDevice(_) => ApiError::new(Code::UnknownDevice, format!("{}.", sentence(error))),
        StoreError::StorageFull { .. } => logged(
            error,
            Code::StorageFull,
            "No space is left on the daemon's disk, so nothing was changed. Free some, then try again.",
        ),
        StoreError::Damaged { .. } | StoreError::Unavailable { .. } => logged(
            error,
            Code::StorageUnavailable,
            "The data directory cannot be read or written at the moment. The log has more under this request id.",
        ),
        StoreError::Interrupted => ApiError::new(Code::Stopping, "The daemon is stopping."),
        StoreError::Corrupt { .. } | StoreError::PasswordUnreadable { .. } => ApiError::internal(error),
        _ => ApiError::internal(error),
    }
}

fn from_files(error: &IdentityFilesError) -> ApiError {
    match error {
        IdentityFilesError::Store(error) => from_store(error),
        // Without the path: it is the daemon's own affair, the log has it.
        _ => logged(
            error,
            Code::FilesMissing,
            "The certificate's files are not on disk as they were stored; regenerate or replace the certificate.",
        ),
    }
}

fn from_read(error: &ReadError) -> ApiError {
    let (code, field) = match error {
        ReadError::CertificateUnreadable { .. } => (Code::CertificateUnreadable, "certificate"),
        ReadError::PrivateKeyUnreadable { .. } => (Code::PrivateKeyUnreadable, "private_key"),
        ReadError::PassphraseRequired => (Code::PassphraseRequired, "passphrase"),
        ReadError::PassphraseWrong => (Code::PassphraseWrong, "passphrase"),
        ReadError::UnsupportedKey { .. } => (Code::UnsupportedKey, "private_key"),
        ReadError::KeyMismatch => (Code::KeyMismatch, "private_key"),
        _ => return ApiError::internal(error),
    };
    ApiError::of_field(code, field, format!("{}.", sentence(error)))
}

fn logged(error: &(dyn std::error::Error + 'static), code: Code, detail: &str) -> ApiError {
    tracing::warn!(error = error_chain(error), "a request failed");
    ApiError::new(code, detail)
}

/// An error's own words as the beginning of a sentence.
fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

//! Failures as the client sees them: `application/problem+json` (RFC 9457).
//!
//! The only module that knows which HTTP status belongs to which failure.

mod from_service;

use std::{error::Error, fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{ALLOW, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::request_id::RequestId;
use crate::error_chain::error_chain;

/// The media type of failures (RFC 9457 §3).
pub(crate) const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// What a handler answers.
pub(crate) type ApiResult = Result<HttpResponse, ApiError>;

/// Every failure of the REST API. A closed list: clients may match on it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ErrorCode)]
pub(crate) enum Code {
    ApplicationUriChanged,
    CertificateExists,
    CertificateNotUsable,
    CertificateUnreadable,
    CrlExists,
    CrlUnreadable,
    DefaultCertificateRequired,
    FilesMissing,
    Forbidden,
    HostnameInvalid,
    IdempotencyKeyReused,
    Internal,
    InvalidField,
    KeyMismatch,
    LastAdminToken,
    MalformedRequest,
    MethodNotAllowed,
    NameTaken,
    NoPendingRequest,
    NotFound,
    NotReady,
    OperationInProgress,
    PassphraseRequired,
    PassphraseWrong,
    PasswordRequired,
    PayloadTooLarge,
    PrivateKeyUnreadable,
    RateLimited,
    RevisionMismatch,
    Starting,
    Stopping,
    StorageFull,
    StorageUnavailable,
    TargetNotAllowed,
    ThumbprintMismatch,
    Unauthenticated,
    UnknownCertificate,
    UnknownDevice,
    UnsupportedKey,
    UnsupportedMediaType,
}

impl Code {
    /// The HTTP status that goes with the code.
    pub(crate) fn status(self) -> u16 {
        self.status_and_title().0.as_u16()
    }

    /// The code in words.
    pub(crate) fn title(self) -> &'static str {
        self.status_and_title().1
    }

    /// The status line that goes with the code, and its title.
    fn status_and_title(self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::MalformedRequest => (S::BAD_REQUEST, "Malformed request"),
            Self::Unauthenticated => (S::UNAUTHORIZED, "A valid token is required"),
            Self::Forbidden => (S::FORBIDDEN, "Not allowed"),
            Self::TargetNotAllowed => (S::FORBIDDEN, "Target not allowed"),
            Self::NotFound => (S::NOT_FOUND, "Not found"),
            Self::FilesMissing => (S::NOT_FOUND, "Files missing"),
            Self::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "Method not allowed"),
            Self::NameTaken => (S::CONFLICT, "Name taken"),
            Self::CertificateExists => (S::CONFLICT, "Certificate exists already"),
            Self::CrlExists => (S::CONFLICT, "Revocation list exists already"),
            Self::DefaultCertificateRequired => (S::CONFLICT, "The default certificate is required"),
            Self::LastAdminToken => (S::CONFLICT, "The last admin token is required"),
            Self::ThumbprintMismatch => (S::CONFLICT, "Thumbprint does not match"),
            Self::NoPendingRequest => (S::CONFLICT, "No pending request"),
            Self::OperationInProgress => (S::CONFLICT, "Operation in progress"),
            Self::RevisionMismatch => (S::PRECONDITION_FAILED, "Changed meanwhile"),
            Self::PayloadTooLarge => (S::PAYLOAD_TOO_LARGE, "Body too large"),
            Self::UnsupportedMediaType => (S::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type"),
            Self::InvalidField => (S::UNPROCESSABLE_ENTITY, "Invalid field"),
            Self::KeyMismatch => (S::UNPROCESSABLE_ENTITY, "Key does not belong to the certificate"),
            Self::CertificateUnreadable => (S::UNPROCESSABLE_ENTITY, "Certificate unreadable"),
            Self::CrlUnreadable => (S::UNPROCESSABLE_ENTITY, "Revocation list unreadable"),
            Self::PrivateKeyUnreadable => (S::UNPROCESSABLE_ENTITY, "Private key unreadable"),
            Self::PassphraseRequired => (S::UNPROCESSABLE_ENTITY, "Passphrase required"),
            Self::PassphraseWrong => (S::UNPROCESSABLE_ENTITY, "Passphrase wrong"),
            Self::UnsupportedKey => (S::UNPROCESSABLE_ENTITY, "Unsupported key"),
            Self::HostnameInvalid => (S::UNPROCESSABLE_ENTITY, "Host name invalid"),
            Self::CertificateNotUsable => (S::UNPROCESSABLE_ENTITY, "Certificate not usable"),
            Self::ApplicationUriChanged => (S::UNPROCESSABLE_ENTITY, "Application URI changed"),
            Self::UnknownCertificate => (S::UNPROCESSABLE_ENTITY, "Unknown certificate"),
            Self::UnknownDevice => (S::UNPROCESSABLE_ENTITY, "Unknown device"),
            Self::PasswordRequired => (S::UNPROCESSABLE_ENTITY, "Password required"),
            Self::IdempotencyKeyReused => (S::UNPROCESSABLE_ENTITY, "Idempotency key reused"),
            Self::RateLimited => (S::TOO_MANY_REQUESTS, "Too many requests"),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "Internal error"),
            Self::StorageFull => (S::SERVICE_UNAVAILABLE, "Storage full"),
            Self::StorageUnavailable => (S::SERVICE_UNAVAILABLE, "Storage unavailable"),
            Self::Starting => (S::SERVICE_UNAVAILABLE, "Starting"),
            Self::Stopping => (S::SERVICE_UNAVAILABLE, "Stopping"),
            Self::NotReady => (S::SERVICE_UNAVAILABLE, "Not ready"),
        }
    }
}

/// One field that does not fit.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Where, as a path: `key.bits`, `assign_to[1]`, the name of a query parameter or header.
    pub(crate) field: String,
    /// What kind of failure it is.
    pub(crate) code: Code,
    /// What is wrong with it, and what would do.
    pub(crate) detail: String,
    /// Of which of several things in the request, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) index: Option<usize>,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), code: Code::InvalidField, detail: detail.into(), index: None }
    }
}

/// The body of every failure (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Identifies the kind of problem: `urn:koios:problem:<code>`.
    #[serde(rename = "type")]
    problem_type: String,
    /// The kind of problem in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened and what to do, for a person.
    detail: String,
    /// The kind of problem, for a program.
    code: Code,
    /// Finds the request in the daemon's log; the header `X-Request-Id` says the same.
    request_id: String,
    /// The fields concerned, if any.
    errors: Vec<FieldError>,
    /// More that a route says about its failures.
    #[serde(flatten)]
    #[schema(ignore)]
    extension: Map<String, Value>,
}

/// A failure on its way to the client.
#[derive(Debug)]
pub(crate) struct ApiError {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    extension: Option<Box<Map<String, Value>>>,
    header: Option<(HeaderName, String)>,
}

impl ApiError {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), extension: None, header: None }
    }

    /// A failure of one field that has its own code.
    pub(crate) fn of_field(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let error = FieldError { field: field.into(), code, detail: detail.clone(), index: None };
        Self { code, detail, errors: vec![error], extension: None, header: None }
    }

    pub(crate) fn invalid_field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError::new(field, detail)])
    }

    pub(crate) fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] if only.field.is_empty() => only.detail.clone(),
            [only] => format!("{}: {}", only.field, only.detail),
            several => format!("{} fields do not fit, see errors", several.len()),
        };
        Self { code: Code::InvalidField, detail, errors, extension: None, header: None }
    }

    /// Says more beside the standard members (RFC 9457 §3.2).
    pub(crate) fn with_extension(mut self, name: &str, value: Value) -> Self {
        self.extension.get_or_insert_default().insert(name.to_owned(), value);
        self
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Code::MalformedRequest, detail)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(Code::NotFound, "There is nothing here; check the path and the id.")
    }

    pub(crate) fn method_not_allowed(allow: &str) -> Self {
        Self {
            header: Some((ALLOW, allow.to_owned())),
            ..Self::new(Code::MethodNotAllowed, format!("This path answers {allow} only."))
        }
    }

    pub(crate) fn unauthenticated(detail: &str, challenge: &str) -> Self {
        let header = Some((WWW_AUTHENTICATE, challenge.to_owned()));
        Self { header, ..Self::new(Code::Unauthenticated, detail) }
    }

    pub(crate) fn ticket_refused() -> Self {
        let detail = "This ticket was used, is too old or unknown; ask for a new one.";
        Self::unauthenticated(detail, "Bearer realm=\"koios\"")
    }

    pub(crate) fn payload_too_large(limit: usize) -> Self {
        Self::new(Code::PayloadTooLarge, format!("The body may have at most {limit} bytes."))
    }

    /// Seconds later there may be room: attempts end by themselves.
    pub(crate) fn rate_limited(detail: impl Into<String>) -> Self {
        Self { header: Some((RETRY_AFTER, "1".to_owned())), ..Self::new(Code::RateLimited, detail) }
    }

    /// Says when it may be better.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        // Rounded up: who comes back then must not be early.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self { header: Some((RETRY_AFTER, seconds.max(1).to_string())), ..self }
    }

    pub(crate) fn unsupported_media_type(expected: &str) -> Self {
        Self::new(
            Code::UnsupportedMediaType,
            format!("Send the body as {expected}, and say so in Content-Type."),
        )
    }

    /// Something that should not happen: the log has the causes, the client only the request id.
    pub(crate) fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = error_chain(error), "a request failed");
        Self::internal_unexplained()
    }

    /// As [`Self::internal`], for a failure that is in the log already.
    pub(crate) fn internal_unexplained() -> Self {
        Self::new(Code::Internal, "Internal error. The log has more under this request id.")
    }

    /// What the OpenAPI document shows of it.
    pub(crate) fn example(&self, request_id: &str) -> Value {
        serde_json::to_value(self.problem(request_id.to_owned())).unwrap_or_default()
    }

    fn problem(&self, request_id: String) -> Problem {
        Problem {
            problem_type: format!("urn:koios:problem:{}", self.code),
            title: self.code.title(),
            status: self.code.status(),
            detail: self.detail.clone(),
            code: self.code,
            request_id,
            errors: self.errors.clone(),
            extension: self.extension.as_deref().cloned().unwrap_or_default(),
        }
    }

    /// The answer to the request with this id.
    pub(crate) fn response(&self, request_id: RequestId) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some((name, value)) = &self.header {
            response.insert_header((name, value.as_str()));
        }
        match serde_json::to_vec(&self.problem(request_id.to_string())) {
            Ok(body) => response.content_type(PROBLEM_MEDIA_TYPE).body(body),
            // A problem is text and numbers: it always has a JSON form.
            Err(_) => response.finish(),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> Self {
        Self::invalid_fields(vec![error])
    }
}

impl Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code.status_and_title().0
    }

    fn error_response(&self) -> HttpResponse {
        self.response(RequestId::current())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_the_status_of_the_contract() {
        use Code as C;
        for (status, codes) in [
            (400, &[C::MalformedRequest][..]),
            (401, &[C::Unauthenticated]),
            (403, &[C::Forbidden, C::TargetNotAllowed]),
            (404, &[C::NotFound, C::FilesMissing]),
            (405, &[C::MethodNotAllowed]),
            (
                409,
                &[
                    C::NameTaken,
                    C::CertificateExists,
                    C::DefaultCertificateRequired,
                    C::ThumbprintMismatch,
                    C::NoPendingRequest,
                    C::OperationInProgress,
                ],
            ),
            (412, &[C::RevisionMismatch]),
            (413, &[C::PayloadTooLarge]),
            (415, &[C::UnsupportedMediaType]),
            (
                422,
                &[
                    C::InvalidField,
                    C::KeyMismatch,
                    C::CertificateUnreadable,
                    C::PrivateKeyUnreadable,
                    C::PassphraseRequired,
                    C::PassphraseWrong,
                    C::UnsupportedKey,
                    C::HostnameInvalid,
                    C::CertificateNotUsable,
                    C::ApplicationUriChanged,
                    C::UnknownCertificate,
                    C::UnknownDevice,
                    C::PasswordRequired,
                    C::IdempotencyKeyReused,
                ],
            ),
            (429, &[C::RateLimited]),
            (500, &[C::Internal]),
            (503, &[C::StorageFull, C::StorageUnavailable, C::Starting, C::Stopping, C::NotReady]),
        ] {
            for code in codes {
                assert_eq!(code.status_and_title().0.as_u16(), status, "{code}");
            }
        }
    }
}

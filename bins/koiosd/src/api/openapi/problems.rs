//! An example of every failure, made of the type that is answered.

use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema,
    openapi::{RefOr, Schema},
};

use crate::api::error::{ApiError, Code};

/// The request id of the examples.
pub(super) const REQUEST_ID: &str = "01938a3e-77d0-7aa1-8b1e-0c2f4d5e6f70";

/// Each code with the problem that it is answered in.
pub(super) fn examples() -> Value {
    let mut examples = Map::new();
    for code in all() {
        let problem = problem(code).example(REQUEST_ID);
        examples.insert(code.to_string(), json!({ "summary": code.title(), "value": problem }));
    }
    examples.into()
}

/// Every code, from the enumeration of the document itself.
fn all() -> Vec<Code> {
    let RefOr::T(Schema::Object(schema)) = Code::schema() else { return Vec::new() };
    let words = schema.enum_values.unwrap_or_default();
    words.into_iter().filter_map(|word| serde_json::from_value(word).ok()).collect()
}

fn problem(code: Code) -> ApiError {
    use Code as C;
    let (field, detail) = match code {
        C::ApplicationUriChanged => (
            None,
            "The application URI would change; servers may refuse it. Send allow_uri_change=true if that is meant.",
        ),
        C::CertificateExists => (None, "This certificate is stored already, as \"Plant A Certificate\"."),
        C::CertificateNotUsable => (
            None,
            "The certificate is expired; servers will refuse it. Send \"force\": true to make it the default anyway.",
        ),
        C::CertificateUnreadable => (Some("certificate"), "There is no certificate in what was sent."),
        C::CrlExists => (None, "This revocation list is there already."),
        C::CrlUnreadable => (Some("crl"), "There is no revocation list in what was sent."),
        C::DefaultCertificateRequired => {
            (None, "The default certificate cannot be deleted; make another one the default first.")
        }
        C::FilesMissing => (
            None,
            "The certificate's files are not on disk as they were stored; regenerate or replace the certificate.",
        ),
        C::Forbidden => (None, "This needs a token with the role operator."),
        C::HostnameInvalid => {
            (Some("hostname"), "A host name has letters, digits, hyphens and dots; no port and no blanks.")
        }
        C::IdempotencyKeyReused => (
            Some("Idempotency-Key"),
            "This key was used for another request within the last 24 hours; choose a new one.",
        ),
        C::Internal => return ApiError::internal_unexplained(),
        C::InvalidField => return ApiError::invalid_field("limit", "must be a whole number from 1 to 500"),
        C::KeyMismatch => (Some("private_key"), "The private key does not belong to the certificate."),
        C::LastAdminToken => {
            (None, "This is the last admin token; create another one first, then revoke it.")
        }
        C::MalformedRequest => (None, "The body is not JSON in UTF-8 (line 1, column 12)."),
        C::MethodNotAllowed => return ApiError::method_not_allowed("GET, HEAD, PATCH, DELETE"),
        C::NameTaken => (
            Some("name"),
            "The name \"Plant A Certificate\" is taken; case makes no difference. Choose another one.",
        ),
        C::NoPendingRequest => (None, "No request is pending; make one with POST /certificates/{id}/csr."),
        C::NotFound => return ApiError::not_found(),
        C::NotReady => (None, "The daemon cannot work at the moment; GET /readyz says why."),
        C::OperationInProgress => {
            (None, "A request for a new key is pending already; drop it or install its answer first.")
        }
        C::PassphraseRequired => (Some("passphrase"), "The private key is encrypted; send its passphrase."),
        C::PassphraseWrong => (Some("passphrase"), "The passphrase does not open the private key."),
        C::PasswordRequired => (
            Some("user_identity.password"),
            "The stored password does not travel to another address; send it again.",
        ),
        C::PayloadTooLarge => return ApiError::payload_too_large(crate::api::body::JSON_LIMIT),
        C::PrivateKeyUnreadable => {
            (Some("private_key"), "There is not exactly one private key in what was sent.")
        }
        C::RateLimited => {
            return ApiError::rate_limited("8 Tests run already; wait for one to end, then try again.");
        }
        C::RevisionMismatch => {
            (None, "It was changed meanwhile: its revision is 4. Read it again, then decide.")
        }
        C::Starting => (None, "The daemon is starting."),
        C::Stopping => (None, "The daemon is stopping."),
        C::StorageFull => (
            None,
            "No space is left on the daemon's disk, so nothing was changed. Free some, then try again.",
        ),
        C::StorageUnavailable => (
            None,
            "The data directory cannot be read or written at the moment. The log has more under this request id.",
        ),
        C::TargetNotAllowed => {
            (Some("endpoint_url"), "This address is in no network that test_allowed_networks names.")
        }
        C::ThumbprintMismatch => (
            Some("thumbprint_sha256"),
            "The server presented another certificate last. Look at it again before approving.",
        ),
        C::Unauthenticated => {
            return ApiError::unauthenticated(
                "Send a token: Authorization: Bearer <token>.",
                "Bearer realm=\"koios\"",
            );
        }
        C::UnknownCertificate => (Some("certificate_id"), "There is no certificate with this id."),
        C::UnknownDevice => (Some("assign_to[0]"), "There is no device with this id."),
        C::UnsupportedKey => (Some("key.bits"), "RSA keys have 2048, 3072 or 4096 bits."),
        C::UnsupportedMediaType => return ApiError::unsupported_media_type("application/json"),
    };
    match field {
        Some(field) => ApiError::of_field(code, field, detail),
        None => ApiError::new(code, detail),
    }
}

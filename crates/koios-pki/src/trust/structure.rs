//! Step 1: structure and mandatory fields (OPC 10000-6 §6.2.2, RFC 5280 §4.1).

use super::TrustErrorKind;
use crate::Certificate;

/// What [`Certificate::from_der`] lets pass so that it can be shown, and what must not pass here.
///
/// A serial number of zero or below is not among it: consumers are to survive it (RFC 5280 §4.1.2.2).
pub(crate) fn fault(certificate: &Certificate) -> Option<TrustErrorKind> {
    if certificate.version() != 3 {
        return Some(TrustErrorKind::Version { version: certificate.version() });
    }
    if certificate.subject().is_empty() {
        return Some(TrustErrorKind::NameEmpty { field: "subject" });
    }
    if certificate.issuer().is_empty() {
        return Some(TrustErrorKind::NameEmpty { field: "issuer" });
    }
    if let Some(malformed) = certificate.malformed_extensions().first() {
        return Some(TrustErrorKind::ExtensionMalformed { name: malformed.0 });
    }
    if let Some(oid) = certificate.limiting_extensions().first() {
        return Some(TrustErrorKind::ExtensionUnknown { oid: oid.clone() });
    }
    (!certificate.names_one_signature_algorithm()).then_some(TrustErrorKind::SignatureAlgorithmsDiffer)
}

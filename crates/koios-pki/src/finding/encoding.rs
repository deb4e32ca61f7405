//! Checks of how a certificate is written.

use super::{APPLICATION_CERTIFICATE, Collected, FindingCode};
use crate::{Certificate, Extension, ExtensionValue, TimeEncoding};

pub(super) fn check(certificate: &Certificate, found: &mut Collected) {
    if certificate.version() != 3 {
        found.error(
            FindingCode::NotVersion3,
            APPLICATION_CERTIFICATE,
            format!(
                "The certificate is of X.509 version {} and so has no application URI; make one of version 3.",
                certificate.version()
            ),
        );
    }
    if let Some(extension) = certificate.malformed_extensions().first() {
        found.error(
            FindingCode::ExtensionMalformed,
            "RFC 5280 §4.2",
            format!(
                "The extension {} is malformed or stands there twice; make a new certificate.",
                extension.0
            ),
        );
    }
    let serial = certificate.serial_number();
    if serial.starts_with('-') || serial.bytes().all(|digit| digit == b'0') {
        found.warning(
            FindingCode::SerialNumberNotPositive,
            "RFC 5280 §4.1.2.2",
            "The serial number is zero or negative, which some servers refuse to read; make a new certificate.",
        );
    }
    if serial.trim_start_matches('-').len() > 2 * 20 {
        found.warning(
            FindingCode::SerialNumberTooLong,
            "RFC 5280 §4.1.2.2",
            "The serial number has more than 20 octets, which some servers refuse to read; make a new certificate.",
        );
    }
    let magnitude = certificate.inspect().serial_number().magnitude();
    if magnitude.len() == 1 && !serial.starts_with('-') {
        let remedy = found.remedy("Make a new certificate with a random one.");
        found.warning(
            FindingCode::SerialNumberPredictable,
            "RFC 5280 §4.1.2.2",
            format!(
                "The serial number is {serial}, which others of the same issuer are likely to have as well; peers mistake \
                 them for each other. {remedy}"
            ),
        );
    }
    if !certificate.names_one_signature_algorithm() {
        let remedy = found.remedy("Have it signed anew.");
        found.error(
            FindingCode::SignatureAlgorithmsDiffer,
            "RFC 5280 §4.1.1.2",
            format!(
                "The certificate names two different signature algorithms, inside and outside of its signed part. {remedy}"
            ),
        );
    }
    if let Some(unknown) = certificate.limiting_extensions().first() {
        let remedy = found.remedy("Have it issued without.");
        found.error(
            FindingCode::UnknownCriticalExtension,
            "RFC 5280 §4.2",
            format!(
                "The extension {unknown} limits the certificate in a way that peers do not know or do not apply, so they must \
                 refuse it. {remedy}"
            ),
        );
    }
    let has_subject = !certificate.subject_name().is_empty();
    if let Some(name) =
        certificate.extensions().iter().find_map(|extension| wrongly_critical(extension, has_subject))
    {
        found.info(
            FindingCode::ExtensionMustNotBeCritical,
            "RFC 5280 §4.2.1",
            format!(
                "The extension {name} is marked critical, which RFC 5280 does not want; nothing needs to be done unless a peer \
                 refuses it."
            ),
        );
    }
    if let Some(what) = certificate.not_der() {
        found.info(
            FindingCode::NotDer,
            "X.690 §11",
            format!(
                "The certificate is not written in DER throughout ({what}); peers that encode it anew break its signature. \
                 Nothing needs to be done unless a peer refuses it."
            ),
        );
    }
    let validity = certificate.validity();
    let (first, second) = certificate.time_encodings();
    for (instant, encoding) in [(validity.not_before, first), (validity.not_after, second)] {
        if encoding == TimeEncoding::Generalized && instant.year() < 2050 {
            found.info(
                FindingCode::TimeEncodingUnusual,
                "RFC 5280 §4.1.2.5",
                "A time before the year 2050 is encoded as GeneralizedTime instead of UTCTime; nothing needs to be done \
                 unless a peer cannot read it.",
            );
        }
    }
}

/// RFC 5280 §4.2.1.1, §4.2.1.2 and §4.2.1.6.
fn wrongly_critical(extension: &Extension, has_subject: bool) -> Option<&'static str> {
    let must_not = match extension.value {
        ExtensionValue::SubjectKeyIdentifier(_) | ExtensionValue::AuthorityKeyIdentifier(_) => true,
        ExtensionValue::SubjectAltName(_) => has_subject,
        _ => false,
    };
    extension.name.filter(|_| extension.critical && must_not)
}

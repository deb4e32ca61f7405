//! Checks of the first certificate of a chain.

use time::OffsetDateTime;

use super::{APPLICATION_CERTIFICATE, Collected, FindingCode, POLICIES, VALIDATION};
use crate::{ApplicationUri, Certificate, KeyAlgorithm, ValidityStatus};

pub(super) fn check_validity(
    certificate: &Certificate,
    now: OffsetDateTime,
    found: &mut Collected,
    remedy: &str,
) {
    let validity = certificate.validity();
    match validity.status_at(now) {
        ValidityStatus::Valid => {}
        ValidityStatus::Expired => found.error(
            FindingCode::Expired,
            VALIDATION,
            format!("The certificate expired on {}; {remedy}.", validity.not_after.date()),
        ),
        ValidityStatus::NotYetValid => found.error(
            FindingCode::NotYetValid,
            VALIDATION,
            format!(
                "The certificate is valid from {} on only; check the clocks, or wait until then.",
                validity.not_before.date()
            ),
        ),
    }
}

pub(super) fn check_encoding(certificate: &Certificate, found: &mut Collected) {
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
}

pub(super) fn check_key_and_signature(certificate: &Certificate, found: &mut Collected) {
    match certificate.key_algorithm() {
        KeyAlgorithm::Rsa { bits } if *bits < 2048 => found.error(
            FindingCode::KeyTooShort,
            POLICIES,
            format!("The RSA key has {bits} bits; every current policy wants at least 2048. Make a new key."),
        ),
        KeyAlgorithm::Rsa { bits } if *bits > 4096 => found.error(
            FindingCode::KeyTooLong,
            POLICIES,
            format!("The RSA key has {bits} bits; every current policy takes at most 4096. Make a new key."),
        ),
        KeyAlgorithm::Rsa { .. } => {}
        other => found.error(
            FindingCode::KeyKindUnsupported,
            POLICIES,
            format!("The key is no RSA key ({other}), as the policies used here want one. Make an RSA key."),
        ),
    }
    let algorithm = certificate.signature_algorithm();
    let is_weak = ["md2", "md5", "sha1"].iter().any(|hash| algorithm.starts_with(hash))
        || algorithm == "ecdsa-with-SHA1";
    if is_weak {
        found.error(
            FindingCode::WeakSignature,
            POLICIES,
            format!("The certificate is signed with {algorithm}; servers want SHA-256. Have it signed anew."),
        );
    } else if !USUAL_SIGNATURES.contains(&algorithm) {
        found.warning(
            FindingCode::UnusualSignature,
            POLICIES,
            format!(
                "The certificate is signed with {algorithm}, which the security policies do not name; have it signed \
                 with sha256WithRSAEncryption."
            ),
        );
    }
    if certificate.is_self_issued() && !certificate.is_self_signed() && USUAL_SIGNATURES.contains(&algorithm)
    {
        found.error(
            FindingCode::SignatureInvalid,
            VALIDATION,
            "The certificate names itself as issuer, but its own key did not sign it: it was damaged, or its issuer \
             bears the same name. Replace it.",
        );
    }
}

pub(super) fn check_application_uri(certificate: &Certificate, found: &mut Collected) {
    let Some(uri) = certificate.application_uri() else {
        found.error(
            FindingCode::NoApplicationUri,
            APPLICATION_CERTIFICATE,
            "The certificate holds no application URI, which servers compare with the session's. Regenerate it, or \
             have one issued with a URI in the subject alternative name.",
        );
        return;
    };
    if let Err(error) = ApplicationUri::parse(uri) {
        found.warning(
            FindingCode::ApplicationUriInvalid,
            APPLICATION_CERTIFICATE,
            format!("Some servers drop the certificate's application URI: {error}."),
        );
    }
    if !certificate.is_application_uri_first() {
        found.warning(
            FindingCode::ApplicationUriNotFirst,
            APPLICATION_CERTIFICATE,
            "The application URI is not the first entry of the subject alternative name; some servers read the first \
             entry only. Have it issued with the URI first.",
        );
    }
    let count = certificate.application_uris().len();
    if count > 1 {
        found.warning(
            FindingCode::SeveralApplicationUris,
            APPLICATION_CERTIFICATE,
            format!("The certificate holds {count} URIs; most servers compare the first one only. Keep one."),
        );
    }
}

pub(super) fn check_key_usage(certificate: &Certificate, found: &mut Collected) {
    let usage = certificate.key_usage();
    let missing: Vec<_> = [
        ("digitalSignature", usage.is_some_and(|usage| usage.digital_signature())),
        ("nonRepudiation", usage.is_some_and(|usage| usage.non_repudiation())),
        ("keyEncipherment", usage.is_some_and(|usage| usage.key_encipherment())),
        ("dataEncipherment", usage.is_some_and(|usage| usage.data_encipherment())),
    ]
    .into_iter()
    .filter_map(|(name, present)| (!present).then_some(name))
    .collect();
    // The four are those of RSA; a key of another kind has its own finding.
    if !missing.is_empty() && matches!(certificate.key_algorithm(), KeyAlgorithm::Rsa { .. }) {
        found.warning(
            FindingCode::KeyUsageIncomplete,
            APPLICATION_CERTIFICATE,
            format!(
                "The key usage lacks {}; some peers refuse that. Have it issued with it.",
                missing.join(", ")
            ),
        );
    }
    if certificate.is_self_signed() && !usage.is_some_and(|usage| usage.key_cert_sign()) {
        found.warning(
            FindingCode::SelfSignedWithoutKeyCertSign,
            APPLICATION_CERTIFICATE,
            "The certificate is self-signed but its key usage lacks keyCertSign; some peers refuse that. Make a new \
             certificate with it.",
        );
    }
}

pub(super) fn check_client_usage(certificate: &Certificate, found: &mut Collected) {
    if !certificate.extended_key_usage().is_some_and(|usage| usage.client_auth()) {
        found.warning(
            FindingCode::ExtendedKeyUsageIncomplete,
            APPLICATION_CERTIFICATE,
            "The extended key usage lacks clientAuth; some servers refuse such a client. Have it issued with it.",
        );
    }
}

pub(super) fn check_basic_constraints(certificate: &Certificate, found: &mut Collected) {
    match certificate.basic_constraints() {
        None => found.warning(
            FindingCode::BasicConstraintsMissing,
            APPLICATION_CERTIFICATE,
            "The certificate has no basicConstraints, which newer peers look for. Have it issued with cA FALSE.",
        ),
        Some(constraints) if constraints.ca => found.error(
            FindingCode::CaCertificate,
            APPLICATION_CERTIFICATE,
            "The certificate is one of an authority (cA TRUE); peers refuse it for an application. Make one with cA \
             FALSE.",
        ),
        Some(_) => {}
    }
}

pub(super) fn check_names_and_identifiers(certificate: &Certificate, found: &mut Collected) {
    if certificate.common_name().is_none_or(|name| name.trim().is_empty()) {
        found.warning(
            FindingCode::CommonNameMissing,
            APPLICATION_CERTIFICATE,
            "The subject has no Common Name, which some servers demand. Have it issued with one.",
        );
    }
    if certificate.organization().is_none_or(|name| name.trim().is_empty()) {
        found.warning(
            FindingCode::OrganizationMissing,
            APPLICATION_CERTIFICATE,
            "The subject has no Organization, which the specification demands. Have it issued with one.",
        );
    }
    if certificate.subject_key_identifier().is_none() {
        found.info(
            FindingCode::SubjectKeyIdentifierMissing,
            "RFC 5280 §4.2.1.2",
            "The certificate has no subjectKeyIdentifier; nothing needs to be done.",
        );
    }
    if certificate.authority_key_identifier().is_none() {
        if certificate.is_self_issued() {
            found.info(
                FindingCode::AuthorityKeyIdentifierMissing,
                APPLICATION_CERTIFICATE,
                "The certificate has no authorityKeyIdentifier, which self-signed ones should have; nothing needs to \
                 be done unless a server refuses it.",
            );
        } else {
            found.warning(
                FindingCode::AuthorityKeyIdentifierMissing,
                APPLICATION_CERTIFICATE,
                "The certificate has no authorityKeyIdentifier; servers on .NET cannot link it to its issuer. Have it \
                 issued with one.",
            );
        }
    }
}

/// The policies name SHA-256; its longer siblings are taken wherever it is. Curves have theirs.
const USUAL_SIGNATURES: [&str; 6] = [
    "sha256WithRSAEncryption",
    "sha384WithRSAEncryption",
    "sha512WithRSAEncryption",
    "ecdsa-with-SHA256",
    "ecdsa-with-SHA384",
    "ED25519",
];

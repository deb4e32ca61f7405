//! Checks of the first certificate of a chain.

use time::Duration;

use super::{APPLICATION_CERTIFICATE, Collected, FindingCode, LintParams, LintRole, VALIDATION, chain, peer};
use crate::{ApplicationUri, Certificate, KeyAlgorithm, Sha1Thumbprint, Sha256Thumbprint, ValidityStatus};

pub(super) fn check_validity(certificate: &Certificate, params: &LintParams<'_>, found: &mut Collected) {
    let validity = certificate.validity();
    let remedy = match params.role {
        LintRole::Server { .. } => "the server's operator must renew it",
        _ => "regenerate or replace it",
    };
    if validity.not_after < validity.not_before {
        found.error(
            FindingCode::ValidityReversed,
            "RFC 5280 §4.1.2.5",
            format!("The certificate's validity ends before it begins, so it is never valid; {remedy}."),
        );
        return;
    }
    match validity.status_at(params.at) {
        ValidityStatus::Valid if params.at - validity.not_before < JUST_NOW && found.own => found.warning(
            FindingCode::ValidityBeganJustNow,
            VALIDATION,
            "The certificate is valid since a few minutes only; peers whose clocks are behind refuse it for now. Wait, or \
             have certificates begin a day earlier.",
        ),
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
    if validity.not_after - validity.not_before > VERY_LONG {
        found.info(
            FindingCode::ValidityVeryLong,
            APPLICATION_CERTIFICATE,
            "The certificate is valid for more than 20 years, longer than its key is likely to be safe; make the next one \
             for a shorter time.",
        );
    }
}

pub(super) fn check_application_uri(certificate: &Certificate, found: &mut Collected) {
    let Some(uri) = certificate.application_uri() else {
        if certificate.dns_names().iter().any(|name| ApplicationUri::parse(name).is_ok()) {
            found.error(
                FindingCode::ApplicationUriInDnsName,
                APPLICATION_CERTIFICATE,
                "The application URI stands among the host names (dNSName), where no peer looks for it. Have it issued as \
                 uniformResourceIdentifier.",
            );
        }
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
    if has_upper_case(uri) {
        found.info(
            FindingCode::ApplicationUriNotLowerCase,
            "OPC 10000-3 §4.2",
            "The scheme or the domain of the application URI has upper-case letters, though it is compared letter for \
             letter; write the next one in lower case.",
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

/// Whether scheme or domain has upper-case letters; those of a URN are its prefix and namespace.
fn has_upper_case(uri: &str) -> bool {
    let (scheme, rest) = uri.split_once(':').unwrap_or((uri, ""));
    let domain = match rest.strip_prefix("//") {
        Some(authority) => authority.split(['/', '?', '#']).next(),
        None if scheme.eq_ignore_ascii_case("urn") => rest.split(':').next(),
        None if scheme.eq_ignore_ascii_case("tag") => rest.split(',').next(),
        None => None,
    };
    [Some(scheme), domain]
        .into_iter()
        .flatten()
        .any(|part| part.bytes().any(|byte| byte.is_ascii_uppercase()))
}

pub(super) fn check_key_usage(certificate: &Certificate, role: LintRole<'_>, found: &mut Collected) {
    let usage = certificate.key_usage();
    let is_user = role == LintRole::User;
    let is_rsa = matches!(certificate.key_algorithm(), KeyAlgorithm::Rsa { .. });
    let wanted: &[&str] = match (is_rsa, is_user) {
        (true, false) => &["digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment"],
        // .NET asks for the second one (`opcua-certificates.md` §6, trap 21).
        (true, true) => &["digitalSignature", "dataEncipherment"],
        // Keys that sign only.
        (false, _) => &["digitalSignature"],
    };
    let has = |name: &&&str| usage.is_some_and(|usage| usage.names().any(|set| set == **name));
    let missing: Vec<_> = wanted.iter().filter(|name| !has(name)).copied().collect();
    if !missing.is_empty() {
        found.warning_of(
            FindingCode::KeyUsageIncomplete,
            if is_user { USER_CERTIFICATE } else { APPLICATION_CERTIFICATE },
            peer::refusing_without(&missing, is_user),
            format!(
                "The key usage lacks {}; some peers refuse that. Have it issued with it.",
                missing.join(", ")
            ),
        );
    }
    if let Some(usage) = usage.filter(|_| matches!(certificate.key_algorithm(), KeyAlgorithm::Ec { .. })) {
        let surplus: Vec<_> =
            usage.names().filter(|name| !["digitalSignature", "keyCertSign"].contains(name)).collect();
        // nonRepudiation is harmless (`opcua-certificates.md` §7).
        if surplus.iter().any(|name| *name != "nonRepudiation") {
            found.info(
                FindingCode::KeyUsageSurplus,
                APPLICATION_CERTIFICATE,
                format!(
                    "The key usage holds {}, which a key on a curve does not need in OPC UA and should not have; nothing \
                     needs to be done.",
                    surplus.join(", ")
                ),
            );
        }
    }
    if usage.is_some_and(|usage| !usage.is_critical()) {
        found.info(
            FindingCode::KeyUsageNotCritical,
            "RFC 5280 §4.2.1.3",
            "The key usage is not marked critical, which RFC 5280 asks for; nothing needs to be done.",
        );
    }
    if !is_user && certificate.is_self_signed() && !usage.is_some_and(|usage| usage.key_cert_sign()) {
        found.warning(
            FindingCode::SelfSignedWithoutKeyCertSign,
            APPLICATION_CERTIFICATE,
            "The certificate is self-signed but its key usage lacks keyCertSign; some peers refuse that. Make a new \
             certificate with it.",
        );
    }
}

pub(super) fn check_client_usage(certificate: &Certificate, found: &mut Collected) {
    if is_usage_left_out(certificate) {
        return;
    }
    if !certificate.extended_key_usage().is_some_and(|usage| usage.client_auth()) {
        found.warning(
            FindingCode::ExtendedKeyUsageIncomplete,
            APPLICATION_CERTIFICATE,
            "The extended key usage lacks clientAuth; some servers refuse such a client. Have it issued with it.",
        );
    }
}

pub(super) fn check_both_usages(certificate: &Certificate, found: &mut Collected) {
    if is_usage_left_out(certificate) {
        return;
    }
    if !certificate.extended_key_usage().is_some_and(|usage| usage.client_auth() && usage.server_auth()) {
        found.warning(
            FindingCode::ExtendedKeyUsageIncomplete,
            APPLICATION_CERTIFICATE,
            "The extended key usage lacks clientAuth or serverAuth; some peers refuse it in one of the roles. Have it \
             issued with both.",
        );
    }
}

/// Certificates with keys of elliptic curves may do without the extension.
pub(super) fn is_usage_left_out(certificate: &Certificate) -> bool {
    let is_rsa = matches!(certificate.key_algorithm(), KeyAlgorithm::Rsa { .. });
    !is_rsa && certificate.extended_key_usage().is_none()
}

pub(super) fn check_basic_constraints(certificate: &Certificate, found: &mut Collected) {
    let Some(constraints) = certificate.basic_constraints() else {
        found.warning(
            FindingCode::BasicConstraintsMissing,
            APPLICATION_CERTIFICATE,
            "The certificate has no basicConstraints, which newer peers look for. Have it issued with cA FALSE.",
        );
        return;
    };
    if !constraints.ca {
        if constraints.path_len.is_some() {
            found.info(
                FindingCode::PathLengthWithoutCa,
                "RFC 5280 §4.2.1.9",
                "The basicConstraints hold a pathLen, which only an authority's may; have the next one issued without.",
            );
        }
        return;
    }
    let signs_lists = certificate.key_usage().is_some_and(|usage| usage.crl_sign());
    if constraints.path_len == Some(0) && certificate.is_self_signed() && !signs_lists {
        found.warning(
            FindingCode::LegacyCaCertificate,
            APPLICATION_CERTIFICATE,
            "The certificate is self-signed with cA TRUE and pathLen 0, as older applications made them; peers take it \
             only where they are configured to. Make one with cA FALSE.",
        );
    } else {
        found.error(
            FindingCode::CaCertificate,
            APPLICATION_CERTIFICATE,
            "The certificate is one of an authority (cA TRUE); peers refuse it for an application. Make one with cA \
             FALSE.",
        );
    }
    if signs_lists {
        found.error(
            FindingCode::CaCertificateSignsRevocationLists,
            APPLICATION_CERTIFICATE,
            "The certificate is one of an authority and may sign revocation lists (cRLSign); peers take it for nothing \
             but an authority. Make one with cA FALSE and without cRLSign.",
        );
    }
}

pub(super) fn check_identifiers(certificate: &Certificate, found: &mut Collected) {
    check_subject_key_identifier(certificate, found);
    let Some(authority) = certificate.authority_key_identifier() else {
        if certificate.is_self_issued() {
            found.info(
                FindingCode::AuthorityKeyIdentifierMissing,
                APPLICATION_CERTIFICATE,
                "The certificate has no authorityKeyIdentifier, which self-signed ones should have; nothing needs to \
                 be done unless a peer refuses it.",
            );
        } else {
            let remedy = found.remedy("Have it issued with one.");
            found.warning(
                FindingCode::AuthorityKeyIdentifierMissing,
                APPLICATION_CERTIFICATE,
                format!(
                    "The certificate has no authorityKeyIdentifier; peers on .NET cannot link it to its issuer. {remedy}"
                ),
            );
        }
        return;
    };
    if certificate.is_self_signed()
        && let Some(what) = chain::differing_part(authority, certificate)
    {
        let remedy = found.remedy("Make a new certificate.");
        found.warning(
            FindingCode::AuthorityKeyIdentifierMismatch,
            "RFC 5280 §4.2.1.1",
            format!(
                "The certificate is self-signed, but its authorityKeyIdentifier names {what} than its own; some peers look \
                 for another issuer. {remedy}"
            ),
        );
    }
}

fn check_subject_key_identifier(certificate: &Certificate, found: &mut Collected) {
    let Some(identifier) = certificate.subject_key_identifier() else {
        found.info(
            FindingCode::SubjectKeyIdentifierMissing,
            "RFC 5280 §4.2.1.2",
            "The certificate has no subjectKeyIdentifier; nothing needs to be done.",
        );
        return;
    };
    // RFC 7093 §2 (1) and (4) hash with SHA-256, the key alone or with its algorithm.
    let is_sha256 = |bytes: &[u8]| Sha256Thumbprint::of(bytes).as_bytes().starts_with(identifier);
    let is_sha1 = identifier == Sha1Thumbprint::of(certificate.spki_bits()).as_bytes();
    let is_usual = is_sha1
        || identifier.len() >= 20
            && (is_sha256(certificate.spki_bits()) || is_sha256(certificate.spki_der()));
    if !is_usual {
        found.info(
            FindingCode::SubjectKeyIdentifierUnusual,
            "RFC 5280 §4.2.1.2",
            "The subjectKeyIdentifier is no usual hash of the key; nothing needs to be done as long as certificates and \
             revocation lists name the same one.",
        );
    }
}

/// A peer's clock may well be that far behind (`opcua-certificates.md` §6, trap 25).
const JUST_NOW: Duration = Duration::minutes(5);
const USER_CERTIFICATE: &str = "OPC 10000-6 §6.2.3";
/// Our own limit: no clause names one.
const VERY_LONG: Duration = Duration::days(20 * 366);

//! Checks of an authority's certificate (OPC 10000-6 §6.2.4).

use super::{Collected, FindingCode, LintParams, POLICIES, VALIDATION, chain, key};
use crate::{Certificate, trust};

pub(super) fn check(issuer: &Certificate, params: &LintParams<'_>, found: &mut Collected) {
    let name = issuer.subject();
    if let Some(fault) = trust::structure_fault(issuer) {
        found.error(
            FindingCode::IssuerInvalid,
            VALIDATION,
            format!(
                "The certificate of the issuer {name} is refused by peers that validate: {fault}. Have the authority's \
                 certificate made anew."
            ),
        );
    }
    if issuer.is_self_signed()
        && let Some(authority) = issuer.authority_key_identifier()
        && let Some(what) = chain::differing_part(authority, issuer)
    {
        found.warning(
            FindingCode::AuthorityKeyIdentifierMismatch,
            "RFC 5280 §4.2.1.1",
            format!(
                "The issuer {name} is a root, but its authorityKeyIdentifier names {what} than its own; some peers look \
                 for another issuer. Have the authority's certificate made anew."
            ),
        );
    }
    if issuer.basic_constraints().is_some_and(|constraints| constraints.ca && !constraints.critical) {
        found.info(
            FindingCode::IssuerBasicConstraintsNotCritical,
            "RFC 5280 §4.2.1.9",
            format!(
                "The basicConstraints of the issuer {name} are not marked critical, which RFC 5280 asks for; nothing needs \
                 to be done unless a peer refuses it."
            ),
        );
    }
    match issuer.key_usage() {
        Some(usage) if !usage.key_cert_sign() || !usage.crl_sign() => found.warning(
            FindingCode::IssuerKeyUsageIncomplete,
            "RFC 5280 §4.2.1.3",
            format!(
                "The key usage of the issuer {name} lacks {}; some peers refuse what it issued. Have the authority's \
                 certificate made anew.",
                if usage.key_cert_sign() { "cRLSign" } else { "keyCertSign" }
            ),
        ),
        Some(_) => {}
        None => found.info(
            FindingCode::IssuerKeyUsageIncomplete,
            "RFC 5280 §4.2.1.3",
            format!(
                "The issuer {name} has no key usage, which should be keyCertSign and cRLSign; nothing needs to be done \
                 unless a peer refuses it."
            ),
        ),
    }
    if issuer.subject_key_identifier().is_none() || issuer.authority_key_identifier().is_none() {
        found.info(
            FindingCode::IssuerIdentifiersMissing,
            "OPC 10000-6 §6.2.4",
            format!(
                "The issuer {name} lacks a subjectKeyIdentifier or an authorityKeyIdentifier; nothing needs to be done \
                 unless a peer cannot build the chain."
            ),
        );
    }
    if !key::is_supported(issuer.key_algorithm(), params.certificate_type) {
        found.error(
            FindingCode::IssuerKeyUnsupported,
            POLICIES,
            format!(
                "The key of the issuer {name} ({}) is none that the security policies take, which holds for every \
                 certificate of a chain. Use another authority.",
                issuer.key_algorithm()
            ),
        );
    }
    check_signature(issuer, params, found);
}

/// The security policies name the signatures of every certificate of a chain; peers differ about what a root puts on
/// itself, which proves nothing.
fn check_signature(issuer: &Certificate, params: &LintParams<'_>, found: &mut Collected) {
    let name = issuer.subject();
    let algorithm = issuer.inspect().signature_algorithm();
    if algorithm.is_broken() {
        let message = format!(
            "The certificate of the issuer {name} is signed with {algorithm}; peers want SHA-256 throughout the chain. Have \
             it signed anew."
        );
        if issuer.is_self_issued() {
            found.warning(FindingCode::IssuerWeakSignature, POLICIES, message);
        } else {
            found.error(FindingCode::IssuerWeakSignature, POLICIES, message);
        }
    } else if !key::is_usual(algorithm, params.certificate_type) {
        found.warning(
            FindingCode::IssuerUnusualSignature,
            POLICIES,
            format!(
                "The certificate of the issuer {name} is signed with {algorithm}, which the security policies do not name; \
                 some peers refuse the chain. Have it signed anew."
            ),
        );
    }
}

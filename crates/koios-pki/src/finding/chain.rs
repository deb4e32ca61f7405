//! Checks of the links between the certificates of a chain.

use super::{APPLICATION_CERTIFICATE, Collected, FindingCode, LintParams, VALIDATION, issuer};
use crate::{AuthorityKeyIdentifier, Certificate, CertificateChain, GeneralName, ValidityStatus};

pub(super) fn check(chain: &CertificateChain, params: &LintParams<'_>, found: &mut Collected) {
    for (certificate, issuer) in chain.iter().zip(chain.issuers()) {
        if !certificate.is_self_issued() && certificate.is_named_issuer(issuer) {
            check_link(certificate, issuer, params, found);
            issuer::check(issuer, params, found);
        } else if is_same_text(certificate, issuer) {
            found.error(
                FindingCode::IssuerNameReencoded,
                "RFC 5280 §4.1.2.4",
                format!(
                    "The name of the issuer {} is written with other bytes than in the issuer's own certificate; peers that \
                     compare bytes cannot build the chain. The authority must copy its subject unchanged.",
                    issuer.subject()
                ),
            );
        } else if certificate.is_self_issued() {
            found.warning(
                FindingCode::ChainSurplus,
                "OPC 10000-6 §6.2.6",
                "A certificate follows one that is its own issuer, so it belongs to no chain; leave it away.",
            );
        } else {
            found.warning(
                FindingCode::ChainOutOfOrder,
                "OPC 10000-6 §6.2.6",
                "A certificate of the chain is not followed by the one that issued it; upload the chain leaf first, \
                 root last.",
            );
        }
    }
    check_size(chain, found);
    if !chain.leaf().is_self_issued() && chain.issuers().is_empty() {
        found.info(
            FindingCode::ChainIncomplete,
            VALIDATION,
            "The certificate was issued by an authority whose certificate was not given along; peers that do not know \
             the authority cannot build the chain. Give the issuers' certificates as well.",
        );
    }
}

/// What peers do with a chain as it goes over the wire (`opcua-certificates.md` §6, traps 13 and 15).
fn check_size(chain: &CertificateChain, found: &mut Collected) {
    let len: usize = chain.iter().map(|certificate| certificate.der().len()).sum();
    if len > MAX_WIRE_LEN {
        found.warning(
            FindingCode::ChainTooLarge,
            "OPC 10000-6 §6.2.6",
            format!(
                "The chain has {len} bytes; peers on .NET take at most {MAX_WIRE_LEN} and leave away issuers beyond that. \
                 Use shorter keys, or have the peers know the issuers."
            ),
        );
    }
    if !chain.issuers().is_empty() && chain.iter().any(|certificate| certificate.der().len() < 256) {
        found.warning(
            FindingCode::CertificateTooSmall,
            "OPC 10000-6 §6.2.6",
            "A certificate of the chain has fewer than 256 bytes; open62541 cannot tell where it ends. Give the leaf \
             alone.",
        );
    }
}

fn is_same_text(certificate: &Certificate, issuer: &Certificate) -> bool {
    certificate.issuer_der() != issuer.subject_der() && certificate.issuer() == issuer.subject()
}

/// What an authorityKeyIdentifier names otherwise than `issuer` has it.
pub(super) fn differing_part(
    authority: &AuthorityKeyIdentifier,
    issuer: &Certificate,
) -> Option<&'static str> {
    let key_differs = match (authority.key_identifier.as_deref(), issuer.subject_key_identifier()) {
        (Some(named), Some(own)) => named != own,
        _ => false,
    };
    let serial_differs =
        authority.serial_number.as_ref().is_some_and(|serial| *serial != issuer.inspect().serial_number());
    // It is the issuer's issuer that stands there.
    let name_differs = authority
        .issuer
        .iter()
        .any(|name| matches!(name, GeneralName::Directory(name) if name != issuer.issuer_name()));
    match (key_differs, serial_differs || name_differs) {
        (true, _) => Some("another key"),
        (false, true) => Some("another issuer name or serial number"),
        (false, false) => None,
    }
}

fn check_authority_key_identifier(certificate: &Certificate, issuer: &Certificate, found: &mut Collected) {
    let Some(authority) = certificate.authority_key_identifier() else { return };
    if let Some(what) = differing_part(authority, issuer) {
        let remedy = found.remedy("Have it issued anew, or give the right issuer.");
        found.error(
            FindingCode::AuthorityKeyIdentifierMismatch,
            "RFC 5280 §4.2.1.1",
            format!(
                "The authorityKeyIdentifier of {} does not fit its issuer ({what}); peers cannot link the two. {remedy}",
                certificate.subject()
            ),
        );
    }
}

fn check_link(
    certificate: &Certificate,
    issuer: &Certificate,
    params: &LintParams<'_>,
    found: &mut Collected,
) {
    if certificate.is_issued_by(issuer) {
        check_authority_key_identifier(certificate, issuer, found);
    } else {
        found.error(
            FindingCode::SignatureInvalid,
            VALIDATION,
            format!(
                "The signature on the certificate {} does not verify with the key of its issuer; the chain holds \
                 another certificate of the same name. Give the right one.",
                certificate.subject()
            ),
        );
    }
    if !issuer.basic_constraints().is_some_and(|constraints| constraints.ca) {
        found.error(
            FindingCode::IssuerNotCa,
            "OPC 10000-6 §6.2.4",
            format!(
                "The issuer {} is not marked as an authority (cA TRUE); peers refuse it.",
                issuer.subject()
            ),
        );
    }
    if issuer.validity().status_at(params.at) != ValidityStatus::Valid {
        found.error(
            FindingCode::IssuerExpired,
            VALIDATION,
            format!("The certificate of the issuer {} is not valid now; have it renewed.", issuer.subject()),
        );
    }
    if certificate.validity().not_after > issuer.validity().not_after {
        found.warning(
            FindingCode::OutlivesIssuer,
            APPLICATION_CERTIFICATE,
            format!(
                "The certificate is valid until {}, its issuer only until {}; it must be renewed before that.",
                certificate.validity().not_after.date(),
                issuer.validity().not_after.date()
            ),
        );
    }
    if certificate.validity().not_before < issuer.validity().not_before {
        found.info(
            FindingCode::BeginsBeforeIssuer,
            "RFC 5280 §4.1.2.5",
            format!(
                "The certificate is valid from an earlier instant on than its issuer, which is valid from {} on; nothing \
                 needs to be done.",
                issuer.validity().not_before.date()
            ),
        );
    }
    if certificate.key_algorithm().is_longer_than(issuer.key_algorithm()) {
        found.warning(
            FindingCode::IssuerKeyTooShort,
            "OPC 10000-6 §6.1",
            format!(
                "The issuer's key ({}) is shorter than that of the certificate it issued ({}), which the specification \
                 forbids. Use a shorter key, or an issuer with a longer one.",
                issuer.key_algorithm(),
                certificate.key_algorithm()
            ),
        );
    }
}

/// What .NET takes as a sender's certificate (`opcua-certificates.md` §6, trap 15).
const MAX_WIRE_LEN: usize = 7500;

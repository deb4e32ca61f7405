//! Checks of the links between the certificates of a chain.

use time::OffsetDateTime;

use super::{APPLICATION_CERTIFICATE, Collected, FindingCode, VALIDATION};
use crate::{Certificate, CertificateChain, KeyAlgorithm, ValidityStatus};

pub(super) fn check(chain: &CertificateChain, now: OffsetDateTime, found: &mut Collected) {
    for (certificate, issuer) in chain.iter().zip(chain.issuers()) {
        if certificate.is_self_issued() || !certificate.is_named_issuer(issuer) {
            found.warning(
                FindingCode::ChainOutOfOrder,
                "OPC 10000-6 §6.2.6",
                "A certificate of the chain is not followed by the one that issued it; upload the chain leaf first, \
                 root last.",
            );
        } else {
            check_link(certificate, issuer, now, found);
        }
    }
    if !chain.leaf().is_self_issued() && chain.issuers().is_empty() {
        found.info(
            FindingCode::ChainIncomplete,
            VALIDATION,
            "The certificate was issued by an authority whose certificate was not given along; peers that do not know \
             the authority cannot build the chain. Give the issuers' certificates as well.",
        );
    }
}

fn check_link(certificate: &Certificate, issuer: &Certificate, now: OffsetDateTime, found: &mut Collected) {
    if !certificate.is_issued_by(issuer) {
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
    if issuer.validity().status_at(now) != ValidityStatus::Valid {
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
    if let (KeyAlgorithm::Rsa { bits }, KeyAlgorithm::Rsa { bits: issuer_bits }) =
        (certificate.key_algorithm(), issuer.key_algorithm())
        && issuer_bits < bits
    {
        found.warning(
            FindingCode::IssuerKeyTooShort,
            "OPC 10000-6 §6.1",
            format!(
                "The issuer's key has {issuer_bits} bits, fewer than the {bits} of the certificate it issued, which \
                 the specification forbids. Use a shorter key, or an issuer with a longer one."
            ),
        );
    }
}

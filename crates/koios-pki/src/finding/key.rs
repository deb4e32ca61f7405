//! Checks of the key and of the signature, by the certificate types that security policies want.

use super::{Collected, FindingCode, POLICIES, VALIDATION};
use crate::{Certificate, CertificateType, Curve, KeyAlgorithm, SecurityPolicy, SignatureAlgorithm};

pub(super) fn check(certificate: &Certificate, wanted: Option<CertificateType>, found: &mut Collected) {
    check_key(certificate, wanted, found);
    check_signature(certificate, wanted, found);
}

/// Whether a certificate of the type, or of a type any current policy takes, may have the key.
pub(super) fn is_supported(key: &KeyAlgorithm, wanted: Option<CertificateType>) -> bool {
    match wanted {
        Some(wanted) => wanted.allows_key(key),
        None => current_types().any(|current| current.allows_key(key)),
    }
}

fn check_key(certificate: &Certificate, wanted: Option<CertificateType>, found: &mut Collected) {
    let key = certificate.key_algorithm();
    if is_supported(key, wanted) {
        return;
    }
    match key {
        KeyAlgorithm::Rsa { bits } if is_supported(&RSA_2048, wanted) => {
            let whose = wanted
                .map_or_else(|| "every current policy".to_owned(), |wanted| format!("the type {wanted}"));
            let remedy = found.remedy("Make a new key.");
            if *bits < 2048 {
                let least = if wanted == Some(CertificateType::RsaMin) { 1024 } else { 2048 };
                found.error(
                    FindingCode::KeyTooShort,
                    POLICIES,
                    format!("The RSA key has {bits} bits; {whose} wants at least {least}. {remedy}"),
                );
            } else {
                let most = if wanted == Some(CertificateType::RsaMin) { 2048 } else { 4096 };
                found.error(
                    FindingCode::KeyTooLong,
                    POLICIES,
                    format!("The RSA key has {bits} bits; {whose} takes at most {most}. {remedy}"),
                );
            }
        }
        other => {
            let remedy = match wanted {
                None => "Make an RSA key, or one on P-256 or P-384.",
                Some(CertificateType::RsaMin | CertificateType::RsaSha256) => "Make an RSA key.",
                Some(CertificateType::EccNistP256) => "Make a key on P-256.",
                Some(CertificateType::EccNistP384) => "Make a key on P-384.",
            };
            let remedy = found.remedy(remedy);
            found.error(
                FindingCode::KeyKindUnsupported,
                POLICIES,
                wanted.map_or_else(
                    || format!("No security policy takes the key ({other}). {remedy}"),
                    |wanted| format!("The type {wanted} does not take the key ({other}). {remedy}"),
                ),
            );
        }
    }
}

fn check_signature(certificate: &Certificate, wanted: Option<CertificateType>, found: &mut Collected) {
    let algorithm = certificate.inspect().signature_algorithm();
    let is_tolerated = wanted == Some(CertificateType::RsaMin) && algorithm == SignatureAlgorithm::RsaSha1;
    if is_tolerated {
        found.info(
            FindingCode::WeakSignature,
            POLICIES,
            "The certificate is signed with SHA-1, which the type RsaMin allows and no current policy does; nothing needs \
             to be done as long as only deprecated policies are used.",
        );
    } else if algorithm.is_broken() {
        let remedy = found.remedy("Have it signed anew.");
        found.error(
            FindingCode::WeakSignature,
            POLICIES,
            format!("The certificate is signed with {algorithm}; peers want SHA-256. {remedy}"),
        );
    } else if !is_usual(algorithm, wanted) || !fits_curve(certificate, algorithm) {
        let name = match (wanted, certificate.key_algorithm()) {
            (
                Some(CertificateType::EccNistP256 | CertificateType::EccNistP384),
                KeyAlgorithm::Ec { curve },
            ) => ecdsa_for(*curve),
            (None, KeyAlgorithm::Ec { curve }) if algorithm != SignatureAlgorithm::RsaPss => {
                ecdsa_for(*curve)
            }
            _ => SignatureAlgorithm::RsaSha256,
        };
        found.warning(
            FindingCode::UnusualSignature,
            POLICIES,
            format!(
                "The certificate is signed with {algorithm}, which the security policies do not name for it; have it \
                 signed with {name}."
            ),
        );
    }
    if certificate.is_self_issued() && !certificate.is_self_signed() && is_verifiable(algorithm) {
        found.error(
            FindingCode::SignatureInvalid,
            VALIDATION,
            "The certificate names itself as issuer, but its own key did not sign it: it was damaged, or its issuer \
             bears the same name. Replace it.",
        );
    }
}

/// The policies name SHA-256 for RSA, and for curves the hash of each.
pub(super) fn is_usual(algorithm: SignatureAlgorithm, wanted: Option<CertificateType>) -> bool {
    use SignatureAlgorithm::{EcdsaSha256, EcdsaSha384, Ed25519, RsaSha1, RsaSha256};
    let rsa = algorithm == RsaSha256;
    let curves = matches!(algorithm, EcdsaSha256 | EcdsaSha384);
    match wanted {
        Some(CertificateType::RsaMin) => rsa || algorithm == RsaSha1,
        Some(CertificateType::RsaSha256) => rsa,
        Some(CertificateType::EccNistP256 | CertificateType::EccNistP384) => curves,
        None => rsa || curves || algorithm == Ed25519,
    }
}

/// Whether a signature that does not verify here is a wrong one.
fn is_verifiable(algorithm: SignatureAlgorithm) -> bool {
    use SignatureAlgorithm::{RsaSha384, RsaSha512};
    is_usual(algorithm, None) || matches!(algorithm, RsaSha384 | RsaSha512)
}

/// A self-signed certificate's hash is that of its curve; an issued one's is its issuer's affair.
fn fits_curve(certificate: &Certificate, algorithm: SignatureAlgorithm) -> bool {
    match certificate.key_algorithm() {
        KeyAlgorithm::Ec { curve } if certificate.is_self_issued() => algorithm == ecdsa_for(*curve),
        _ => true,
    }
}

const fn ecdsa_for(curve: Curve) -> SignatureAlgorithm {
    match curve {
        Curve::P256 => SignatureAlgorithm::EcdsaSha256,
        Curve::P384 => SignatureAlgorithm::EcdsaSha384,
    }
}

fn current_types() -> impl Iterator<Item = CertificateType> {
    SecurityPolicy::SECURE.into_iter().filter_map(SecurityPolicy::certificate_type)
}

const RSA_2048: KeyAlgorithm = KeyAlgorithm::Rsa { bits: 2048 };

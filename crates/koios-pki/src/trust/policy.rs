//! Step 4: keys and signatures are those of the security policy (OPC 10000-7, OPC 10000-6 §6.1).

use super::TrustErrorKind;
use crate::{Certificate, CertificateType, Curve, KeyAlgorithm};

/// The type every certificate of the chain must be of: the given one, else the current one of the leaf's key.
pub(super) fn certificate_type(
    given: Option<CertificateType>,
    leaf: &Certificate,
) -> Result<CertificateType, TrustErrorKind> {
    match (given, leaf.key_algorithm()) {
        (Some(given), _) => Ok(given),
        (None, KeyAlgorithm::Rsa { .. }) => Ok(CertificateType::RsaSha256),
        (None, KeyAlgorithm::Ec { curve: Curve::P256 }) => Ok(CertificateType::EccNistP256),
        (None, KeyAlgorithm::Ec { curve: Curve::P384 }) => Ok(CertificateType::EccNistP384),
        (None, found) => Err(TrustErrorKind::KeyUnknown { found: found.clone() }),
    }
}

/// All that is wrong with `certificate`, which `issuer` signed.
pub(super) fn faults(
    certificate_type: CertificateType,
    certificate: &Certificate,
    issuer: &Certificate,
) -> impl Iterator<Item = TrustErrorKind> {
    let key = certificate.key_algorithm();
    let key_fault = (!certificate_type.allows_key(key))
        .then(|| TrustErrorKind::KeyNotAllowed { certificate_type, found: key.clone() });
    let signature = certificate.signature_algorithm();
    let signature_fault = (!allows_signature(certificate_type, signature, issuer.key_algorithm()))
        .then(|| TrustErrorKind::SignatureNotAllowed { certificate_type, found: signature.to_owned() });
    let length_fault = key.is_longer_than(issuer.key_algorithm()).then(|| {
        TrustErrorKind::KeyLongerThanIssuers { found: key.clone(), issuer: issuer.key_algorithm().clone() }
    });
    [key_fault, signature_fault, length_fault].into_iter().flatten()
}

/// The deprecated RSA policies demand SHA-1 and take SHA-256 in practice; the others name one algorithm, which for
/// elliptic curves is that of the signing curve.
fn allows_signature(certificate_type: CertificateType, signature: &str, issuer_key: &KeyAlgorithm) -> bool {
    match certificate_type {
        CertificateType::RsaMin => {
            matches!(signature, "sha1WithRSAEncryption" | "sha256WithRSAEncryption")
        }
        CertificateType::RsaSha256 => signature == "sha256WithRSAEncryption",
        CertificateType::EccNistP256 | CertificateType::EccNistP384 => match issuer_key {
            KeyAlgorithm::Ec { curve: Curve::P256 } => signature == "ecdsa-with-SHA256",
            KeyAlgorithm::Ec { curve: Curve::P384 } => signature == "ecdsa-with-SHA384",
            _ => false,
        },
    }
}

use der::asn1::ObjectIdentifier;

use super::{CertificateError, layout, signature};
use crate::tlv::{self, Elements};
use crate::{EcPublicKey, KeyAlgorithm, KeyError, PublicKey, RsaPublicKey, public_key};

/// The key of a certificate or request as far as it is needed to verify with it; its bits stay where they are.
pub(crate) struct SubjectPublicKey {
    pub(crate) algorithm: KeyAlgorithm,
    oid: ObjectIdentifier,
    verification_key: signature::CachedKey,
}

impl SubjectPublicKey {
    /// Reads the parts of a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7); `parameters` are encoded, empty when absent.
    pub(crate) fn read(
        oid: ObjectIdentifier,
        parameters: &[u8],
        bits: &[u8],
    ) -> Result<Self, CertificateError> {
        let algorithm = if oid == pkcs1::ALGORITHM_OID {
            let bits = public_key::pkcs1_bits(bits).map_err(|_| CertificateError::PublicKeyMalformed)?;
            KeyAlgorithm::Rsa { bits }
        } else if oid == public_key::EC_PUBLIC_KEY {
            let curve = Elements::new(parameters).expect(tlv::OBJECT_IDENTIFIER);
            let curve = curve.and_then(|curve| layout::object_identifier(curve.content)).ok();
            match curve.and_then(public_key::curve_of) {
                Some(curve) => KeyAlgorithm::Ec { curve },
                None => KeyAlgorithm::Other { oid: curve.unwrap_or(oid).to_string() },
            }
        } else {
            KeyAlgorithm::Other { oid: oid.to_string() }
        };
        Ok(Self { algorithm, oid, verification_key: signature::CachedKey::default() })
    }

    /// Whether the key, whose bits are given, verifies `signature` over `message`.
    pub(crate) fn verifies(
        &self,
        bits: &[u8],
        algorithm: ObjectIdentifier,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let cache = &self.verification_key;
        signature::verifies(algorithm, &self.algorithm, self.oid, bits, cache, message, signature)
    }

    pub(crate) fn to_public_key(&self, bits: &[u8]) -> Result<PublicKey, KeyError> {
        match &self.algorithm {
            KeyAlgorithm::Rsa { .. } => RsaPublicKey::from_pkcs1_der(bits).map(PublicKey::from_rsa),
            KeyAlgorithm::Ec { curve } => EcPublicKey::from_point(*curve, bits).map(PublicKey::from_ec),
            other @ KeyAlgorithm::Other { .. } => {
                Err(KeyError::UnsupportedAlgorithm { algorithm: other.to_string() })
            }
        }
    }
}

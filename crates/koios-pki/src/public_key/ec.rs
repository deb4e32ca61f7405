use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED,
    ParsedPublicKey, VerificationAlgorithm,
};
use der::Encode as _;
use der::asn1::BitStringRef;
use x509_cert::spki::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::{EC_PUBLIC_KEY, oid_of};
use crate::{Curve, KeyError};

/// A public key on P-256 or P-384 that verifies ECDSA with the hash of its curve's length (OPC 10000-7).
///
/// Cheap to clone; parsed once.
#[derive(Clone)]
pub struct EcPublicKey {
    curve: Curve,
    spki_der: std::sync::Arc<[u8]>,
    der: ParsedPublicKey,
    fixed: ParsedPublicKey,
}

impl EcPublicKey {
    /// Reads an uncompressed point (SEC 1 §2.3.3), as certificates hold it.
    pub(crate) fn from_point(curve: Curve, point: &[u8]) -> Result<Self, KeyError> {
        // OPC 10000-6 §6.2.2 wants points uncompressed, and equal keys must have equal bytes.
        if point.first() != Some(&UNCOMPRESSED) {
            return Err(KeyError::Malformed);
        }
        let spki = || {
            let algorithm = AlgorithmIdentifier { oid: EC_PUBLIC_KEY, parameters: Some(oid_of(curve)) };
            SubjectPublicKeyInfo { algorithm, subject_public_key: BitStringRef::from_bytes(point)? }.to_der()
        };
        let (der, fixed) = algorithms(curve);
        let parsed = |algorithm| ParsedPublicKey::new(algorithm, point).map_err(|_| KeyError::Malformed);
        Ok(Self {
            curve,
            spki_der: spki().map_err(|_| KeyError::Malformed)?.into(),
            der: parsed(der)?,
            fixed: parsed(fixed)?,
        })
    }

    /// The curve.
    pub const fn curve(&self) -> Curve {
        self.curve
    }

    /// Whether `signature`, a DER `ECDSA-Sig-Value` (RFC 3279 §2.2.3), over `message` was made with this key's private
    /// half.
    pub fn verify_der(&self, message: &[u8], signature: &[u8]) -> bool {
        self.der.verify_sig(message, signature).is_ok()
    }

    /// Whether `signature`, r and s as OPC UA puts them on the wire (OPC 10000-6 §6.8.1), over `message` was made with
    /// this key's private half.
    pub fn verify_fixed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.fixed.verify_sig(message, signature).is_ok()
    }

    /// The `SubjectPublicKeyInfo` in DER (RFC 5280 §4.1.2.7).
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }
}

impl PartialEq for EcPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki_der() == other.spki_der()
    }
}

impl Eq for EcPublicKey {}

impl fmt::Debug for EcPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcPublicKey").field("curve", &self.curve).finish_non_exhaustive()
    }
}

fn algorithms(curve: Curve) -> (&'static dyn VerificationAlgorithm, &'static dyn VerificationAlgorithm) {
    match curve {
        Curve::P256 => (&ECDSA_P256_SHA256_ASN1, &ECDSA_P256_SHA256_FIXED),
        Curve::P384 => (&ECDSA_P384_SHA384_ASN1, &ECDSA_P384_SHA384_FIXED),
    }
}

/// SEC 1 §2.3.3.
const UNCOMPRESSED: u8 = 4;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
};
use zeroize::Zeroizing;

use crate::{Curve, EcPublicKey, KeyError};

/// An elliptic-curve private key on P-256 or P-384: signs with the hash of its curve's length (OPC 10000-7).
///
/// It comes out of [`crate::PrivateKey::as_ec`] and, like that one, cannot be cloned, printed or serialised.
#[expect(missing_debug_implementations, reason = "a private key is never printed")]
pub struct EcPrivateKey {
    /// The library fixes the form of signatures when it reads a key.
    der: EcdsaKeyPair,
    fixed: EcdsaKeyPair,
    public_key: EcPublicKey,
}

impl EcPrivateKey {
    pub(super) fn generate(curve: Curve) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        Self::new(curve, EcdsaKeyPair::generate(algorithms(curve).0).map_err(|_| KeyError::Generation)?)
    }

    /// Reads a DER `ECPrivateKey` (RFC 5915 §3) on `curve`, with or without the name of its curve.
    pub(super) fn from_sec1_der(curve: Curve, der: &[u8]) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        // A key whose own parameters contradict `curve` is refused by the library.
        let key = EcdsaKeyPair::from_private_key_der(algorithms(curve).0, der);
        Self::new(curve, key.map_err(|_| KeyError::Malformed)?)
    }

    /// The key, and itself as PKCS#8.
    fn new(curve: Curve, key: EcdsaKeyPair) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        let public_key = EcPublicKey::from_point(curve, key.public_key().as_ref())?;
        let encoded = key.to_pkcs8v1().map_err(|_| KeyError::Encoding)?;
        let pkcs8 = Zeroizing::new(encoded.as_ref().to_vec());
        let fixed = EcdsaKeyPair::from_pkcs8(algorithms(curve).1, &pkcs8).map_err(|_| KeyError::Malformed)?;
        Ok((Self { der: key, fixed, public_key }, pkcs8))
    }

    /// The public half.
    pub fn public_key(&self) -> &EcPublicKey {
        &self.public_key
    }

    /// The curve.
    pub fn curve(&self) -> Curve {
        self.public_key.curve()
    }

    /// Signs `message`, which is hashed here, as X.509 writes signatures: a DER `ECDSA-Sig-Value` (RFC 3279 §2.2.3).
    ///
    /// # Errors
    /// [`KeyError::Signing`] when the cryptographic library refuses.
    pub fn sign_der(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        sign(&self.der, message)
    }

    /// Signs `message`, which is hashed here, as OPC UA puts signatures on the wire: r and s, each as long as the
    /// curve's field (OPC 10000-6 §6.8.1).
    ///
    /// # Errors
    /// [`KeyError::Signing`] when the cryptographic library refuses.
    pub fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        sign(&self.fixed, message)
    }
}

fn sign(key: &EcdsaKeyPair, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    let signature = key.sign(&SystemRandom::new(), message).map_err(|_| KeyError::Signing)?;
    Ok(signature.as_ref().to_vec())
}

const fn algorithms(curve: Curve) -> (&'static EcdsaSigningAlgorithm, &'static EcdsaSigningAlgorithm) {
    match curve {
        Curve::P256 => (&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P256_SHA256_FIXED_SIGNING),
        Curve::P384 => (&ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P384_SHA384_FIXED_SIGNING),
    }
}

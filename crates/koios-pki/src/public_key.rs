use std::fmt;

use crate::{Certificate, KeyError};

/// How an RSA key signs (OPC 10000-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PSS with SHA-256, MGF1-SHA-256 and a salt of 32 bytes.
    RsaPssSha256,
}

/// The hash of RSAES-OAEP, used for label and MGF1 alike (OPC 10000-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OaepHash {
    /// SHA-1: `Basic256Sha256`, `Aes128_Sha256_RsaOaep`.
    Sha1,
    /// SHA-256: `Aes256_Sha256_RsaPss`.
    Sha256,
}

/// The kind of public key a certificate holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// RSA.
    Rsa {
        /// The length of the modulus.
        bits: u32,
    },
    /// An elliptic curve this crate knows by name.
    Ec {
        /// The curve.
        curve: Curve,
    },
    /// Anything else.
    Other {
        /// The algorithm's object identifier, or that of the curve, dotted.
        oid: String,
    },
}

/// An elliptic curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
}

/// An RSA public key of 2048 to 4096 bits.
#[derive(Clone)]
pub struct PublicKey {
    spki_der: Vec<u8>,
}

impl PublicKey {
    /// Whether `signature` over `message` was made with this key's private half.
    pub fn verify(&self, _scheme: SignatureScheme, _message: &[u8], _signature: &[u8]) -> bool {
        todo!()
    }

    /// Encrypts one block with RSAES-OAEP.
    ///
    /// # Errors
    /// When `plain` is too long for one block.
    pub fn encrypt_block(&self, _hash: OaepHash, _plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        todo!()
    }

    /// The longest plain text [`PublicKey::encrypt_block`] takes, in bytes.
    pub fn max_plain_len(&self, _hash: OaepHash) -> usize {
        todo!()
    }

    /// The length of the modulus, of a signature and of an encrypted block, in bytes.
    pub fn modulus_len(&self) -> usize {
        todo!()
    }

    /// The length of the modulus, in bits.
    pub fn bits(&self) -> u32 {
        todo!()
    }

    /// The `SubjectPublicKeyInfo` in DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    pub(crate) fn of(_certificate: &Certificate) -> Result<Self, KeyError> {
        todo!()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki_der == other.spki_der
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").finish_non_exhaustive()
    }
}

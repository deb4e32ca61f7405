use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{
    self, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256,
    RsaSignatureEncoding,
};

use crate::KeyError;

/// An RSA public key of 2048 to 4096 bits, as the security policies demand (OPC 10000-7).
///
/// Cheap to clone; parsed once.
#[derive(Clone)]
pub struct RsaPublicKey(Arc<Parsed>);

struct Parsed {
    spki_der: Vec<u8>,
    bits: u32,
    pkcs1: ParsedPublicKey,
    pss: ParsedPublicKey,
    oaep: OaepPublicEncryptingKey,
}

impl RsaPublicKey {
    /// Reads an `RSAPublicKey` (RFC 8017 §A.1.1).
    pub(crate) fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let bits = pkcs1_bits(der)?;
        if !SUPPORTED_BITS.contains(&bits) {
            return Err(KeyError::UnsupportedSize { bits });
        }
        let malformed = |_| KeyError::Malformed;
        let spki = rsa::PublicKey::from_der(der).map_err(malformed)?;
        let spki_der = spki.as_der().map_err(|_| KeyError::Malformed)?.as_ref().to_vec();
        let encrypting = PublicEncryptingKey::from_der(&spki_der).map_err(malformed)?;
        Ok(Self(Arc::new(Parsed {
            bits,
            pkcs1: ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).map_err(malformed)?,
            pss: ParsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, der).map_err(malformed)?,
            oaep: OaepPublicEncryptingKey::new(encrypting).map_err(|_| KeyError::Malformed)?,
            spki_der,
        })))
    }

    /// Whether `signature` over `message` was made with this key's private half.
    pub fn verify(&self, scheme: SignatureScheme, message: &[u8], signature: &[u8]) -> bool {
        let key = match scheme {
            SignatureScheme::RsaPkcs1Sha256 => &self.0.pkcs1,
            SignatureScheme::RsaPssSha256 => &self.0.pss,
        };
        key.verify_sig(message, signature).is_ok()
    }

    /// Encrypts one block of at most [`RsaPublicKey::max_plain_len`] bytes with RSAES-OAEP (RFC 8017 §7.1).
    ///
    /// The result has [`RsaPublicKey::modulus_len`] bytes.
    ///
    /// # Errors
    /// [`KeyError::PlainTextTooLong`], or [`KeyError::Encryption`] when the cryptographic library refuses.
    pub fn encrypt_block(&self, scheme: EncryptionScheme, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        let max = self.max_plain_len(scheme);
        if plain.len() > max {
            return Err(KeyError::PlainTextTooLong { len: plain.len(), max });
        }
        let mut block = vec![0; self.0.oaep.ciphertext_size()];
        let written = self
            .0
            .oaep
            .encrypt(scheme.algorithm(), plain, &mut block, None)
            .map_err(|_| KeyError::Encryption)?
            .len();
        block.truncate(written);
        Ok(block)
    }

    /// The longest plain text [`RsaPublicKey::encrypt_block`] takes, in bytes.
    pub fn max_plain_len(&self, scheme: EncryptionScheme) -> usize {
        self.0.oaep.max_plaintext_size(scheme.algorithm())
    }

    /// The length of the modulus, which is that of a signature and of an encrypted block, in bytes.
    pub fn modulus_len(&self) -> usize {
        self.0.oaep.key_size_bytes()
    }

    /// The length of the modulus, in bits.
    pub fn bits(&self) -> u32 {
        self.0.bits
    }

    /// The `SubjectPublicKeyInfo` in DER (RFC 5280 §4.1.2.7).
    pub fn spki_der(&self) -> &[u8] {
        &self.0.spki_der
    }
}

impl PartialEq for RsaPublicKey {
    fn eq(&self, other: &Self) -> bool {
        // Written by ourselves from modulus and exponent, so equal keys have equal bytes.
        self.spki_der() == other.spki_der()
    }
}

impl Eq for RsaPublicKey {}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaPublicKey").field("bits", &self.0.bits).finish_non_exhaustive()
    }
}

/// How an RSA key signs messages (OPC 10000-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5 with SHA-256: `Basic256Sha256`, `Aes128_Sha256_RsaOaep`, and every certificate.
    RsaPkcs1Sha256,
    /// RSASSA-PSS with SHA-256, MGF1-SHA-256 and a salt of 32 bytes: `Aes256_Sha256_RsaPss`.
    RsaPssSha256,
}

impl SignatureScheme {
    pub(crate) fn encoding(self) -> &'static RsaSignatureEncoding {
        match self {
            Self::RsaPkcs1Sha256 => &RSA_PKCS1_SHA256,
            Self::RsaPssSha256 => &RSA_PSS_SHA256,
        }
    }
}

/// How an RSA key encrypts secrets (OPC 10000-7); an OAEP hash is that of label and MGF1 alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncryptionScheme {
    /// RSAES-OAEP with SHA-1: `Basic256Sha256`, `Aes128_Sha256_RsaOaep`.
    OaepSha1,
    /// RSAES-OAEP with SHA-256: `Aes256_Sha256_RsaPss`.
    OaepSha256,
}

impl EncryptionScheme {
    pub(crate) fn algorithm(self) -> &'static OaepAlgorithm {
        match self {
            Self::OaepSha1 => &OAEP_SHA1_MGF1SHA1,
            Self::OaepSha256 => &OAEP_SHA256_MGF1SHA256,
        }
    }
}

/// The length of the modulus in bits of an `RSAPublicKey`, of any size.
pub(crate) fn pkcs1_bits(der: &[u8]) -> Result<u32, KeyError> {
    let key = pkcs1::RsaPublicKeyRef::try_from(der).map_err(|_| KeyError::Malformed)?;
    let modulus = key.modulus.as_bytes();
    let leading = modulus.first().map_or(0, |byte| byte.leading_zeros());
    let bytes = u32::try_from(modulus.len()).map_err(|_| KeyError::Malformed)?;
    bytes.checked_mul(8).and_then(|bits| bits.checked_sub(leading)).ok_or(KeyError::Malformed)
}

/// What every current RSA policy allows (OPC 10000-7; `SecurityPolicy::rsa_key_bits`).
const SUPPORTED_BITS: std::ops::RangeInclusive<u32> = 2048..=4096;

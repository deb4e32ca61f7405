use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
#[cfg(feature = "deprecated-policies")]
use aws_lc_rs::rsa::Pkcs1PublicEncryptingKey;
use aws_lc_rs::rsa::{
    self, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256};

use crate::KeyError;
#[cfg(feature = "deprecated-policies")]
use crate::deprecated::{self, ShortPublicKey};

/// An RSA public key of 2048 to 4096 bits, as the security policies demand (OPC 10000-7); with the feature
/// `deprecated-policies` from 1024 bits.
///
/// Cheap to clone; parsed once.
#[derive(Clone)]
pub struct RsaPublicKey(Arc<Parsed>);

struct Parsed {
    spki_der: Vec<u8>,
    bits: u32,
    parts: Parts,
}

enum Parts {
    /// The library has the key.
    Library(Library),
    #[cfg(feature = "deprecated-policies")]
    Short(ShortPublicKey),
}

/// The key for each thing that the library does with it.
struct Library {
    pkcs1: ParsedPublicKey,
    pss: ParsedPublicKey,
    oaep: OaepPublicEncryptingKey,
    /// It shares the key of `oaep`.
    #[cfg(feature = "deprecated-policies")]
    pkcs1_encryption: Pkcs1PublicEncryptingKey,
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
        #[cfg(feature = "deprecated-policies")]
        if deprecated::is_short(bits) {
            let parts = Parts::Short(ShortPublicKey::from_spki_der(&spki_der)?);
            return Ok(Self(Arc::new(Parsed { spki_der, bits, parts })));
        }
        let parts = Parts::Library(Library::new(der, &spki_der)?);
        Ok(Self(Arc::new(Parsed { spki_der, bits, parts })))
    }

    /// Whether `signature` over `message` was made with this key's private half.
    pub fn verify(&self, scheme: SignatureScheme, message: &[u8], signature: &[u8]) -> bool {
        match (&self.0.parts, scheme) {
            (Parts::Library(key), SignatureScheme::RsaPkcs1Sha256) => {
                key.pkcs1.verify_sig(message, signature).is_ok()
            }
            (Parts::Library(key), SignatureScheme::RsaPssSha256) => {
                key.pss.verify_sig(message, signature).is_ok()
            }
            #[cfg(feature = "deprecated-policies")]
            (Parts::Library(_), SignatureScheme::RsaPkcs1Sha1) => {
                deprecated::verifies_sha1(&self.0.spki_der, message, signature)
            }
            #[cfg(feature = "deprecated-policies")]
            (Parts::Short(key), scheme) => key.verify(&self.0.spki_der, scheme, message, signature),
        }
    }

    /// Encrypts one block of at most [`RsaPublicKey::max_plain_len`] bytes (RFC 8017 §7).
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
        match (&self.0.parts, scheme) {
            (Parts::Library(key), EncryptionScheme::OaepSha1) => key.encrypt_oaep(&OAEP_SHA1_MGF1SHA1, plain),
            (Parts::Library(key), EncryptionScheme::OaepSha256) => {
                key.encrypt_oaep(&OAEP_SHA256_MGF1SHA256, plain)
            }
            #[cfg(feature = "deprecated-policies")]
            (Parts::Library(key), EncryptionScheme::Pkcs1V15) => key.encrypt_pkcs1(plain),
            #[cfg(feature = "deprecated-policies")]
            (Parts::Short(key), scheme) => key.encrypt(scheme, plain),
        }
    }

    /// The longest plain text [`RsaPublicKey::encrypt_block`] takes, in bytes.
    pub fn max_plain_len(&self, scheme: EncryptionScheme) -> usize {
        self.modulus_len().saturating_sub(scheme.padding_len())
    }

    /// The length of the modulus, which is that of a signature and of an encrypted block, in bytes.
    pub fn modulus_len(&self) -> usize {
        match &self.0.parts {
            Parts::Library(key) => key.oaep.key_size_bytes(),
            #[cfg(feature = "deprecated-policies")]
            Parts::Short(key) => key.modulus_len(),
        }
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

impl Library {
    fn new(der: &[u8], spki_der: &[u8]) -> Result<Self, KeyError> {
        let malformed = |_| KeyError::Malformed;
        let encrypting = PublicEncryptingKey::from_der(spki_der).map_err(malformed)?;
        Ok(Self {
            pkcs1: ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).map_err(malformed)?,
            pss: ParsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, der).map_err(malformed)?,
            #[cfg(feature = "deprecated-policies")]
            pkcs1_encryption: Pkcs1PublicEncryptingKey::new(encrypting.clone())
                .map_err(|_| KeyError::Malformed)?,
            oaep: OaepPublicEncryptingKey::new(encrypting).map_err(|_| KeyError::Malformed)?,
        })
    }

    fn encrypt_oaep(&self, algorithm: &'static OaepAlgorithm, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut block = vec![0; self.oaep.ciphertext_size()];
        let written =
            self.oaep.encrypt(algorithm, plain, &mut block, None).map_err(|_| KeyError::Encryption)?.len();
        block.truncate(written);
        Ok(block)
    }

    #[cfg(feature = "deprecated-policies")]
    fn encrypt_pkcs1(&self, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut block = vec![0; self.pkcs1_encryption.ciphertext_size()];
        let written =
            self.pkcs1_encryption.encrypt(plain, &mut block).map_err(|_| KeyError::Encryption)?.len();
        block.truncate(written);
        Ok(block)
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
    /// RSASSA-PKCS1-v1_5 with SHA-1: `Basic128Rsa15`, `Basic256`.
    #[cfg(feature = "deprecated-policies")]
    RsaPkcs1Sha1,
    /// RSASSA-PKCS1-v1_5 with SHA-256: `Basic256Sha256`, `Aes128_Sha256_RsaOaep`, and every certificate.
    RsaPkcs1Sha256,
    /// RSASSA-PSS with SHA-256, MGF1-SHA-256 and a salt of 32 bytes: `Aes256_Sha256_RsaPss`.
    RsaPssSha256,
}

/// How an RSA key encrypts secrets (OPC 10000-7); an OAEP hash is that of label and MGF1 alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncryptionScheme {
    /// RSAES-OAEP with SHA-1: `Basic256Sha256`, `Aes128_Sha256_RsaOaep`; and the deprecated `Basic256`.
    OaepSha1,
    /// RSAES-OAEP with SHA-256: `Aes256_Sha256_RsaPss`.
    OaepSha256,
    /// RSAES-PKCS1-v1_5: `Basic128Rsa15`.
    #[cfg(feature = "deprecated-policies")]
    Pkcs1V15,
}

impl EncryptionScheme {
    /// The bytes of a block that are never plain text (RFC 8017 §7.1.1, §7.2.1).
    const fn padding_len(self) -> usize {
        match self {
            Self::OaepSha1 => 2 * 20 + 2,
            Self::OaepSha256 => 2 * 32 + 2,
            #[cfg(feature = "deprecated-policies")]
            Self::Pkcs1V15 => 11,
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

/// What the RSA policies of this build allow (OPC 10000-7; `SecurityPolicy::rsa_key_bits`).
const SUPPORTED_BITS: std::ops::RangeInclusive<u32> = LEAST_RSA_BITS..=4096;
pub(crate) const LEAST_RSA_BITS: u32 = if cfg!(feature = "deprecated-policies") { 1024 } else { 2048 };

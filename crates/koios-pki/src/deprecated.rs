//! The RSA of the deprecated policies `Basic128Rsa15` and `Basic256` (OPC 10000-7), as far as it is theirs alone.
//!
//! aws-lc-rs verifies SHA-1, and encrypts and decrypts after PKCS#1 v1.5 from 2048 bits. It does not sign with SHA-1, and
//! does nothing but verify with shorter keys: that is left to the `rsa` crate, whose arithmetic takes a time that depends
//! on its secrets (RUSTSEC-2023-0071, the Marvin attack; no release of 0.9 is free of it). That is accepted here
//!
//! - because it is asked for: the feature is off by default, and current policies never come here;
//! - because little is at stake: what a client decrypts is the nonce of a handshake, never a password;
//! - only as long as there are PLCs that have no other policy: without one they would be reached in clear.
//!
//! Each use of a private key is blinded, so that the one who sends a block does not choose what is computed with it. That a
//! block of PKCS#1 v1.5 is refused says something about its plain text, whoever decrypts it (Bleichenbacher's attack):
//! callers answer a refusal like any other damage.
//!
//! Keys are overwritten when they are dropped; what the crate computes in between is not.

use std::sync::OnceLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    UnparsedPublicKey, VerificationAlgorithm,
};
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _};
use rsa::pss::{Signature, VerifyingKey};
use rsa::rand_core::OsRng;
use rsa::sha2::Sha256;
use rsa::signature::Verifier as _;
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use rsa::{Oaep, Pkcs1v15Encrypt, Pkcs1v15Sign, Pss};
use sha1::{Digest as _, Sha1};
use zeroize::Zeroizing;

use crate::{EncryptionScheme, KeyError, SignatureScheme};

/// Whether a key is too short for aws-lc-rs.
pub(crate) const fn is_short(bits: u32) -> bool {
    bits < 2048
}

/// Whether `signature` over `message` is RSASSA-PKCS1-v1_5 with SHA-1 by the key, of any supported length.
pub(crate) fn verifies_sha1(spki_der: &[u8], message: &[u8], signature: &[u8]) -> bool {
    verifies(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, spki_der, message, signature)
}

fn verifies(
    algorithm: &'static dyn VerificationAlgorithm,
    spki_der: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    UnparsedPublicKey::new(algorithm, spki_der).verify(message, signature).is_ok()
}

/// A public key under 2048 bits.
pub(crate) struct ShortPublicKey(rsa::RsaPublicKey);

impl ShortPublicKey {
    pub(crate) fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        rsa::RsaPublicKey::from_public_key_der(der).map(Self).map_err(|_| KeyError::Malformed)
    }

    pub(crate) fn modulus_len(&self) -> usize {
        self.0.size()
    }

    /// Verifies with aws-lc-rs what it verifies; `spki_der` is this key.
    pub(crate) fn verify(
        &self,
        spki_der: &[u8],
        scheme: SignatureScheme,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        match scheme {
            SignatureScheme::RsaPkcs1Sha1 => verifies_sha1(spki_der, message, signature),
            SignatureScheme::RsaPkcs1Sha256 => {
                verifies(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, spki_der, message, signature)
            }
            SignatureScheme::RsaPssSha256 => Signature::try_from(signature).is_ok_and(|signature| {
                VerifyingKey::<Sha256>::new(self.0.clone()).verify(message, &signature).is_ok()
            }),
        }
    }

    pub(crate) fn encrypt(&self, scheme: EncryptionScheme, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        let rng = &mut OsRng;
        let block = match scheme {
            EncryptionScheme::OaepSha1 => self.0.encrypt(rng, Oaep::new::<Sha1>(), plain),
            EncryptionScheme::OaepSha256 => self.0.encrypt(rng, Oaep::new::<Sha256>(), plain),
            EncryptionScheme::Pkcs1V15 => self.0.encrypt(rng, Pkcs1v15Encrypt, plain),
        };
        block.map_err(|_| KeyError::Encryption)
    }
}

/// A private key that the `rsa` crate computes with.
pub(crate) struct DeprecatedPrivateKey(rsa::RsaPrivateKey);

impl DeprecatedPrivateKey {
    /// The key, and itself as PKCS#8; from a DER `RSAPrivateKey` (RFC 8017 §A.1.2).
    pub(crate) fn from_pkcs1_der(der: &[u8]) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        let malformed = |_| KeyError::Malformed;
        let key = Self::new(rsa::RsaPrivateKey::from_pkcs1_der(der).map_err(malformed)?)?;
        // It fails for a prime that divides the other one, thus for a key that is none.
        let pkcs8 = key.0.to_pkcs8_der().map_err(|_| KeyError::Malformed)?.to_bytes();
        // The crate computes three of the numbers anew; those that come out otherwise did not fit.
        if pkcs8.ends_with(der) { Ok((key, pkcs8)) } else { Err(KeyError::Malformed) }
    }

    fn new(key: rsa::RsaPrivateKey) -> Result<Self, KeyError> {
        let mut lengths = key.primes().iter().map(rsa::BigUint::bits);
        match (lengths.next(), lengths.next()) {
            (Some(p), Some(q)) if p.abs_diff(q) <= MAX_PRIME_LENGTH_DIFFERENCE => Ok(Self(key)),
            _ => Err(KeyError::Malformed),
        }
    }

    pub(crate) fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let rng = &mut OsRng;
        let signature = match scheme {
            SignatureScheme::RsaPkcs1Sha1 => {
                self.0.sign_with_rng(rng, Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(message))
            }
            SignatureScheme::RsaPkcs1Sha256 => {
                self.0.sign_with_rng(rng, Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message))
            }
            SignatureScheme::RsaPssSha256 => {
                self.0.sign_with_rng(rng, Pss::new_blinded::<Sha256>(), &Sha256::digest(message))
            }
        };
        signature.map_err(|_| KeyError::Signing)
    }

    pub(crate) fn decrypt(
        &self,
        scheme: EncryptionScheme,
        block: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        // The crate reads a number of any length, and so would take a block without its leading zero (RFC 8017 §7.2.2).
        if block.len() != self.0.size() {
            return Err(KeyError::Decryption);
        }
        let rng = &mut OsRng;
        let plain = match scheme {
            EncryptionScheme::OaepSha1 => self.0.decrypt_blinded(rng, Oaep::new::<Sha1>(), block),
            EncryptionScheme::OaepSha256 => self.0.decrypt_blinded(rng, Oaep::new::<Sha256>(), block),
            EncryptionScheme::Pkcs1V15 => self.0.decrypt_blinded(rng, Pkcs1v15Encrypt, block),
        };
        plain.map(Zeroizing::new).map_err(|_| KeyError::Decryption)
    }
}

/// What signs with SHA-1 for a key that aws-lc-rs has; made when it is first needed, which it hardly ever is.
#[derive(Default)]
pub(crate) struct Sha1Signer(OnceLock<Option<DeprecatedPrivateKey>>);

impl Sha1Signer {
    /// Signs with `key`, always the same one.
    pub(crate) fn sign(&self, key: &KeyPair, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let key = self.0.get_or_init(|| {
            let der = key.as_der().ok()?;
            DeprecatedPrivateKey::new(rsa::RsaPrivateKey::from_pkcs8_der(der.as_ref()).ok()?).ok()
        });
        key.as_ref().ok_or(KeyError::Signing)?.sign(SignatureScheme::RsaPkcs1Sha1, message)
    }
}

/// The crate adds the first prime until it passes the second one: were they of very different lengths, which no generator
/// makes, it would not come to an end.
const MAX_PRIME_LENGTH_DIFFERENCE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_would_take_for_ever_to_compute_with_is_malformed() {
        let number = |bytes: &[u8]| rsa::BigUint::from_bytes_be(bytes);
        let e = number(&[1, 0, 1]);
        // Odd numbers do for primes here.
        for (short, is_taken) in [(64, true), (63, false), (8, false)] {
            let p = [[0xB5].as_slice(), &vec![0; short - 2], &[0x5D]].concat();
            let q = [[0xC1].as_slice(), &vec![0; 126 - short], &[0x0F]].concat();
            let key = rsa::RsaPrivateKey::from_p_q(number(&p), number(&q), e.clone()).unwrap();
            assert_eq!(key.n().bits(), 1024);
            assert_eq!(DeprecatedPrivateKey::new(key).is_ok(), is_taken, "{short}");
        }
    }

    #[test]
    fn the_crate_overwrites_its_keys_when_they_are_dropped() {
        fn assert_overwritten<T: zeroize::ZeroizeOnDrop>() {}
        assert_overwritten::<rsa::RsaPrivateKey>();
    }
}

//! What each security policy means in bytes (OPC 10000-7, profiles of the category Security).

use aws_lc_rs::{aead, cipher, digest, hkdf, hmac};
use koios_pki::{Curve, EncryptionScheme, PublicKey, SecurityPolicy, SignatureScheme};

/// The algorithms of a policy that secures; [`SecurityPolicy::None`] has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Algorithms {
    pub(crate) asymmetric: Asymmetric,
    /// The hash of the key derivation.
    pub(crate) derivation: Mac,
    pub(crate) symmetric: Symmetric,
}

/// What certificates do for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asymmetric {
    /// They sign, and what is sent to them is encrypted.
    Rsa(RsaAlgorithms),
    /// They sign; secrets come from ephemeral keys on this curve (OPC 10000-6 §6.8).
    Ecc(EphemeralCurve),
}

/// The curve of ephemeral keys; certificates of `ECC_nistP256` may lie on P-384.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EphemeralCurve {
    P256,
    P384,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RsaAlgorithms {
    pub(crate) signature: SignatureScheme,
    /// The signature's name in CreateSession and ActivateSession.
    signature_uri: &'static str,
    pub(crate) encryption: EncryptionScheme,
    /// The encryption's name in a user token.
    pub(crate) encryption_uri: &'static str,
    /// `SecureChannelNonceLength`, in bytes.
    pub(crate) nonce_len: usize,
}

impl RsaAlgorithms {
    /// Whether to say that a block does not decrypt says nothing about its plain text: with OAEP, not after PKCS#1 v1.5.
    pub(crate) const fn decryption_is_plain(&self) -> bool {
        matches!(self.encryption, EncryptionScheme::OaepSha1 | EncryptionScheme::OaepSha256)
    }
}

/// How messages are protected with the keys of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symmetric {
    /// A keyed hash; in mode `SignAndEncrypt` AES-CBC after it.
    Cbc {
        mac: Mac,
        /// `DerivedSignatureKeyLength`, in bytes.
        signing_key_len: usize,
        /// Length of the AES key, in bytes.
        encryption_key_len: usize,
    },
    /// Authenticated encryption does both, and alone signs in mode `Sign`.
    Aead(Aead),
}

/// A keyed hash, by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mac {
    #[cfg(feature = "deprecated-policies")]
    Sha1,
    Sha256,
    Sha384,
}

/// An algorithm of authenticated encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aead {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

/// The lengths of what is derived for one direction, in this order and in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyLengths {
    pub(crate) signing: usize,
    pub(crate) encryption: usize,
    pub(crate) vector: usize,
}

impl KeyLengths {
    pub(crate) const fn sum(self) -> usize {
        self.signing + self.encryption + self.vector
    }
}

/// Whether this build has the algorithms of a policy. It lacks those of `Basic128Rsa15` and `Basic256` unless it was built
/// with the feature `deprecated-policies`.
pub const fn is_spoken(policy: SecurityPolicy) -> bool {
    matches!(policy, SecurityPolicy::None) || Algorithms::of(policy).is_some()
}

/// [`Algorithms::binds_sessions`] of a policy; not of one that has no algorithms.
pub(crate) const fn binds_sessions(policy: SecurityPolicy) -> bool {
    match Algorithms::of(policy) {
        Some(algorithms) => algorithms.binds_sessions(),
        None => false,
    }
}

impl Algorithms {
    pub(crate) const fn of(policy: SecurityPolicy) -> Option<Self> {
        use EphemeralCurve::{P256, P384};
        Some(match policy {
            SecurityPolicy::Basic256Sha256 => Self::rsa(RSA_PKCS1, 32),
            SecurityPolicy::Aes128Sha256RsaOaep => Self::rsa(RSA_PKCS1, 16),
            SecurityPolicy::Aes256Sha256RsaPss => Self::rsa(RSA_PSS, 32),
            #[cfg(feature = "deprecated-policies")]
            SecurityPolicy::Basic128Rsa15 => Self::deprecated(RSA_15, 16, 16),
            #[cfg(feature = "deprecated-policies")]
            SecurityPolicy::Basic256 => Self::deprecated(RSA_PKCS1_SHA1, 24, 32),
            SecurityPolicy::EccNistP256 => Self::ecc(P256, Symmetric::cbc(Mac::Sha256, 16)),
            SecurityPolicy::EccNistP384 => Self::ecc(P384, Symmetric::cbc(Mac::Sha384, 32)),
            SecurityPolicy::EccNistP256AesGcm => Self::ecc(P256, Symmetric::Aead(Aead::Aes128Gcm)),
            SecurityPolicy::EccNistP384AesGcm => Self::ecc(P384, Symmetric::Aead(Aead::Aes256Gcm)),
            SecurityPolicy::EccNistP256ChaChaPoly => Self::ecc(P256, Symmetric::Aead(Aead::ChaCha20Poly1305)),
            SecurityPolicy::EccNistP384ChaChaPoly => Self::ecc(P384, Symmetric::Aead(Aead::ChaCha20Poly1305)),
            _ => return None,
        })
    }

    const fn rsa(algorithms: RsaAlgorithms, encryption_key_len: usize) -> Self {
        Self {
            asymmetric: Asymmetric::Rsa(algorithms),
            derivation: Mac::Sha256,
            symmetric: Symmetric::cbc(Mac::Sha256, encryption_key_len),
        }
    }

    #[cfg(feature = "deprecated-policies")]
    const fn deprecated(
        algorithms: RsaAlgorithms,
        signing_key_len: usize,
        encryption_key_len: usize,
    ) -> Self {
        Self {
            asymmetric: Asymmetric::Rsa(algorithms),
            derivation: Mac::Sha1,
            symmetric: Symmetric::Cbc { mac: Mac::Sha1, signing_key_len, encryption_key_len },
        }
    }

    const fn ecc(curve: EphemeralCurve, symmetric: Symmetric) -> Self {
        let derivation = match curve {
            EphemeralCurve::P256 => Mac::Sha256,
            EphemeralCurve::P384 => Mac::Sha384,
        };
        Self { asymmetric: Asymmetric::Ecc(curve), derivation, symmetric }
    }

    /// Whether the `SecureChannelEnhancements` of 1.05.07 hold: renewals chain their keys to those before, and sessions
    /// are bound to their channel (OPC 10000-6 §6.7.5, §6.8.1).
    pub(crate) const fn binds_sessions(&self) -> bool {
        matches!(self.symmetric, Symmetric::Aead(_))
    }

    /// The hash of a certificate in the proofs of a session that is bound to its channel.
    pub(crate) fn hash(&self, certificate: &[u8]) -> digest::Digest {
        let algorithm = match self.derivation {
            #[cfg(feature = "deprecated-policies")]
            Mac::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Mac::Sha256 => &digest::SHA256,
            Mac::Sha384 => &digest::SHA384,
        };
        digest::digest(algorithm, certificate)
    }

    /// The name of certificates' signatures in CreateSession and ActivateSession. Those on curves have none: the policy
    /// says all, and stacks have differed about what to call them.
    pub(crate) const fn signature_uri(&self) -> &'static str {
        match self.asymmetric {
            Asymmetric::Rsa(rsa) => rsa.signature_uri,
            Asymmetric::Ecc(_) => "",
        }
    }

    /// Whether `signature` over `message` was made with the private half of `key`, as the policy signs.
    pub(crate) fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        match self.asymmetric {
            Asymmetric::Rsa(rsa) => {
                key.as_rsa().is_some_and(|key| key.verify(rsa.signature, message, signature))
            }
            Asymmetric::Ecc(_) => key.as_ec().is_some_and(|key| key.verify_fixed(message, signature)),
        }
    }
}

impl Mac {
    /// In bytes.
    pub(crate) const fn len(self) -> usize {
        match self {
            #[cfg(feature = "deprecated-policies")]
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    pub(crate) fn hmac(self) -> hmac::Algorithm {
        match self {
            #[cfg(feature = "deprecated-policies")]
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
        }
    }

    pub(crate) fn hkdf(self) -> hkdf::Algorithm {
        match self {
            #[cfg(feature = "deprecated-policies")]
            Self::Sha1 => hkdf::HKDF_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hkdf::HKDF_SHA256,
            Self::Sha384 => hkdf::HKDF_SHA384,
        }
    }
}

impl Symmetric {
    /// With a signing key as long as its hash, as in all current policies.
    const fn cbc(mac: Mac, encryption_key_len: usize) -> Self {
        Self::Cbc { mac, signing_key_len: mac.len(), encryption_key_len }
    }

    pub(crate) const fn key_lengths(self) -> KeyLengths {
        match self {
            Self::Cbc { signing_key_len, encryption_key_len, .. } => {
                KeyLengths { signing: signing_key_len, encryption: encryption_key_len, vector: AES_BLOCK_LEN }
            }
            Self::Aead(aead) => {
                KeyLengths { signing: 0, encryption: aead.key_len(), vector: aead::NONCE_LEN }
            }
        }
    }
}

impl Aead {
    const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => cipher::AES_128_KEY_LEN,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    pub(crate) fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }
}

impl EphemeralCurve {
    /// The length of a public key as it travels: X and Y, in bytes.
    pub(crate) const fn public_key_len(self) -> usize {
        match self {
            Self::P256 => 64,
            Self::P384 => 96,
        }
    }
}

/// How long a signature of a certificate's key is, in bytes.
pub(crate) const fn ecdsa_len(curve: Curve) -> usize {
    match curve {
        Curve::P256 => 64,
        Curve::P384 => 96,
        // On no other curve is there a key.
        _ => 0,
    }
}

/// Length of an AES block and of the initialisation vector, in bytes.
pub(crate) const AES_BLOCK_LEN: usize = 16;

const RSA_PKCS1: RsaAlgorithms = RsaAlgorithms {
    signature: SignatureScheme::RsaPkcs1Sha256,
    signature_uri: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    encryption: EncryptionScheme::OaepSha1,
    encryption_uri: "http://www.w3.org/2001/04/xmlenc#rsa-oaep",
    nonce_len: 32,
};
const RSA_PSS: RsaAlgorithms = RsaAlgorithms {
    signature: SignatureScheme::RsaPssSha256,
    signature_uri: "http://opcfoundation.org/UA/security/rsa-pss-sha2-256",
    encryption: EncryptionScheme::OaepSha256,
    encryption_uri: "http://opcfoundation.org/UA/security/rsa-oaep-sha2-256",
    nonce_len: 32,
};
#[cfg(feature = "deprecated-policies")]
const RSA_PKCS1_SHA1: RsaAlgorithms = RsaAlgorithms {
    signature: SignatureScheme::RsaPkcs1Sha1,
    signature_uri: "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
    ..RSA_PKCS1
};
#[cfg(feature = "deprecated-policies")]
const RSA_15: RsaAlgorithms = RsaAlgorithms {
    encryption: EncryptionScheme::Pkcs1V15,
    encryption_uri: "http://www.w3.org/2001/04/xmlenc#rsa-1_5",
    nonce_len: 16,
    ..RSA_PKCS1_SHA1
};

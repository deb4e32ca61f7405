//! What each security policy means in bytes (OPC 10000-7, profiles of the category Security).

use aws_lc_rs::{hkdf, hmac};
use koios_pki::{Curve, OaepHash, PublicKey, SecurityPolicy, SignatureScheme};

/// The algorithms of a policy that secures; [`SecurityPolicy::None`] has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Algorithms {
    pub(crate) asymmetric: Asymmetric,
    pub(crate) mac: Mac,
    /// Length of the AES key, in bytes.
    pub(crate) encryption_key_len: usize,
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
    pub(crate) encryption: OaepHash,
    /// The encryption's name in a user token.
    pub(crate) encryption_uri: &'static str,
}

/// The keyed hash of symmetric messages, by its hash; that of the key derivation too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mac {
    Sha256,
    Sha384,
}

impl Algorithms {
    pub(crate) const fn of(policy: SecurityPolicy) -> Option<Self> {
        Some(match policy {
            SecurityPolicy::Basic256Sha256 => Self::rsa(RSA_PKCS1, 32),
            SecurityPolicy::Aes128Sha256RsaOaep => Self::rsa(RSA_PKCS1, 16),
            SecurityPolicy::Aes256Sha256RsaPss => Self::rsa(RSA_PSS, 32),
            SecurityPolicy::EccNistP256 => Self {
                asymmetric: Asymmetric::Ecc(EphemeralCurve::P256),
                mac: Mac::Sha256,
                encryption_key_len: 16,
            },
            SecurityPolicy::EccNistP384 => Self {
                asymmetric: Asymmetric::Ecc(EphemeralCurve::P384),
                mac: Mac::Sha384,
                encryption_key_len: 32,
            },
            _ => return None,
        })
    }

    const fn rsa(algorithms: RsaAlgorithms, encryption_key_len: usize) -> Self {
        Self { asymmetric: Asymmetric::Rsa(algorithms), mac: Mac::Sha256, encryption_key_len }
    }

    /// The name of certificates' signatures in CreateSession and ActivateSession. Those on curves have none: the policy
    /// says all, and stacks have differed about what to call them.
    pub(crate) const fn signature_uri(&self) -> &'static str {
        match self.asymmetric {
            Asymmetric::Rsa(rsa) => rsa.signature_uri,
            Asymmetric::Ecc(_) => "",
        }
    }

    /// Whether a signature that is said to be of the algorithm `uri` may be ours: some stacks leave the name out.
    pub(crate) fn is_signature_uri(&self, uri: &str) -> bool {
        uri.is_empty()
            || match self.asymmetric {
                Asymmetric::Rsa(rsa) => uri == rsa.signature_uri,
                Asymmetric::Ecc(_) => [ECDSA_SHA256_URI, ECDSA_SHA384_URI].contains(&uri),
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
    /// In bytes, that of its key too.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    pub(crate) fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
        }
    }

    pub(crate) fn hkdf(self) -> hkdf::Algorithm {
        match self {
            Self::Sha256 => hkdf::HKDF_SHA256,
            Self::Sha384 => hkdf::HKDF_SHA384,
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
/// `SecureChannelNonceLength` of the RSA policies, in bytes.
pub(crate) const NONCE_LEN: usize = 32;

const RSA_PKCS1: RsaAlgorithms = RsaAlgorithms {
    signature: SignatureScheme::RsaPkcs1Sha256,
    signature_uri: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    encryption: OaepHash::Sha1,
    encryption_uri: "http://www.w3.org/2001/04/xmlenc#rsa-oaep",
};
const RSA_PSS: RsaAlgorithms = RsaAlgorithms {
    signature: SignatureScheme::RsaPssSha256,
    signature_uri: "http://opcfoundation.org/UA/security/rsa-pss-sha2-256",
    encryption: OaepHash::Sha256,
    encryption_uri: "http://opcfoundation.org/UA/security/rsa-oaep-sha2-256",
};
const ECDSA_SHA256_URI: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
const ECDSA_SHA384_URI: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384";

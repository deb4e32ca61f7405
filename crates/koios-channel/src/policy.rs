//! What each security policy means in bytes (OPC 10000-7, profiles of the category Security).

use koios_pki::{OaepHash, SecurityPolicy, SignatureScheme};

/// The algorithms of a policy that secures; [`SecurityPolicy::None`] has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Algorithms {
    pub(crate) signature: SignatureScheme,
    /// The signature's name in CreateSession and ActivateSession.
    pub(crate) signature_uri: &'static str,
    pub(crate) encryption: OaepHash,
    /// The encryption's name in a user token.
    pub(crate) encryption_uri: &'static str,
    /// Length of the AES key, in bytes.
    pub(crate) encryption_key_len: usize,
}

impl Algorithms {
    pub(crate) const fn of(policy: SecurityPolicy) -> Option<Self> {
        Some(match policy {
            SecurityPolicy::Basic256Sha256 => Self {
                signature: SignatureScheme::RsaPkcs1Sha256,
                signature_uri: RSA_SHA256_URI,
                encryption: OaepHash::Sha1,
                encryption_uri: RSA_OAEP_URI,
                encryption_key_len: 32,
            },
            SecurityPolicy::Aes128Sha256RsaOaep => Self {
                signature: SignatureScheme::RsaPkcs1Sha256,
                signature_uri: RSA_SHA256_URI,
                encryption: OaepHash::Sha1,
                encryption_uri: RSA_OAEP_URI,
                encryption_key_len: 16,
            },
            SecurityPolicy::Aes256Sha256RsaPss => Self {
                signature: SignatureScheme::RsaPssSha256,
                signature_uri: RSA_PSS_SHA256_URI,
                encryption: OaepHash::Sha256,
                encryption_uri: RSA_OAEP_SHA256_URI,
                encryption_key_len: 32,
            },
            _ => return None,
        })
    }
}

/// Whether `policy` allows an RSA key of `bits` bits.
pub(crate) fn allows_key(policy: SecurityPolicy, bits: u32) -> bool {
    policy.rsa_key_bits().is_none_or(|allowed| allowed.contains(&bits))
}

/// Length of HMAC-SHA-256 and of its key, in bytes: the same in all three policies.
pub(crate) const MAC_LEN: usize = 32;
/// Length of an AES block and of the initialisation vector, in bytes.
pub(crate) const AES_BLOCK_LEN: usize = 16;
/// `SecureChannelNonceLength` of the RSA policies, in bytes.
pub(crate) const NONCE_LEN: usize = 32;

const RSA_OAEP_SHA256_URI: &str = "http://opcfoundation.org/UA/security/rsa-oaep-sha2-256";
const RSA_OAEP_URI: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep";
const RSA_PSS_SHA256_URI: &str = "http://opcfoundation.org/UA/security/rsa-pss-sha2-256";
const RSA_SHA256_URI: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

use std::fmt;
use std::sync::Arc;

use koios_pki::{
    Certificate, CertificateChain, EcPrivateKey, KeyAlgorithm, PrivateKey, PublicKey, RsaPrivateKey,
    SecurityMode, SecurityPolicy, Sha1Thumbprint,
};

use crate::error::Fault;
use crate::policy::{Algorithms, Asymmetric, ecdsa_len};

/// Our certificate, its chain and its private key: who we are on a secure channel.
pub struct ClientIdentity {
    chain: CertificateChain,
    key: OwnKey,
    thumbprint: Sha1Thumbprint,
}

impl ClientIdentity {
    /// Joins a certificate chain, leaf first, with the leaf's private key.
    ///
    /// # Errors
    /// When the key is not the private half of the leaf's.
    pub fn new(chain: CertificateChain, key: PrivateKey) -> Result<Self, IdentityError> {
        if !key.matches(chain.leaf()) {
            return Err(IdentityError::KeyMismatch { subject: chain.leaf().subject().to_owned() });
        }
        let algorithm = key.algorithm();
        let key = match &algorithm {
            KeyAlgorithm::Ec { .. } => key.into_ec().map(OwnKey::Ec),
            _ => key.into_rsa().map(OwnKey::Rsa),
        };
        let key = key.ok_or(IdentityError::KeyKind { key: algorithm })?;
        Ok(Self { thumbprint: chain.leaf().thumbprint_sha1(), chain, key })
    }

    /// The certificates, leaf first.
    pub const fn chain(&self) -> &CertificateChain {
        &self.chain
    }

    /// Our certificate.
    pub fn leaf(&self) -> &Certificate {
        self.chain.leaf()
    }

    /// The leaf's SHA-1 thumbprint, by which a peer addresses us (OPC 10000-6 §6.7.2.3).
    pub const fn thumbprint(&self) -> Sha1Thumbprint {
        self.thumbprint
    }

    pub(crate) const fn key(&self) -> &OwnKey {
        &self.key
    }
}

/// Our private key, without the encoding it came in.
pub(crate) enum OwnKey {
    Rsa(RsaPrivateKey),
    Ec(EcPrivateKey),
}

impl OwnKey {
    pub(crate) fn algorithm(&self) -> KeyAlgorithm {
        match self {
            Self::Rsa(key) => KeyAlgorithm::Rsa { bits: key.bits() },
            Self::Ec(key) => KeyAlgorithm::Ec { curve: key.curve() },
        }
    }

    /// In bytes.
    pub(crate) fn signature_len(&self) -> usize {
        match self {
            Self::Rsa(key) => key.modulus_len(),
            Self::Ec(key) => ecdsa_len(key.curve()),
        }
    }

    /// Whether one operation may take more than about a millisecond of CPU. With 2048 bits of RSA a signature takes a
    /// third of that, and the answer to an OPN, which is the most that is computed at once, two thirds.
    pub(crate) fn is_costly(&self) -> bool {
        matches!(self, Self::Rsa(key) if key.bits() > 2048)
    }

    /// Signs as the policy does. With RSA: milliseconds.
    pub(crate) fn sign(&self, algorithms: &Algorithms, message: &[u8]) -> Result<Vec<u8>, Fault> {
        let signature = match (self, algorithms.asymmetric) {
            (Self::Rsa(key), Asymmetric::Rsa(rsa)) => key.sign(rsa.signature, message).ok(),
            (Self::Ec(key), Asymmetric::Ecc(_)) => key.sign_fixed(message).ok(),
            _ => None,
        };
        signature.ok_or(Fault::Crypto { operation: "signing" })
    }

    pub(crate) const fn as_rsa(&self) -> Option<&RsaPrivateKey> {
        match self {
            Self::Rsa(key) => Some(key),
            Self::Ec(_) => None,
        }
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("subject", &self.leaf().subject()).finish_non_exhaustive()
    }
}

/// Why certificate and key make no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the certificate {subject:?}")]
    KeyMismatch {
        /// The certificate's subject.
        subject: String,
    },
    /// A key that no policy spoken here takes.
    #[error(
        "the private key is of the kind {key}; the security policies take RSA keys and keys on P-256 and P-384"
    )]
    KeyKind {
        /// What kind of key it is.
        key: KeyAlgorithm,
    },
}

/// How a channel is to be protected.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Security {
    /// Not at all: what is said may be read and changed by anybody on the network.
    None,
    /// Signed, or signed and encrypted.
    Secure {
        /// The algorithms.
        policy: SecurityPolicy,
        /// Whether messages are encrypted too.
        mode: SecurityMode,
        /// Who we are.
        identity: Arc<ClientIdentity>,
        /// The certificate the server must prove to hold, **judged by the caller**; only its leaf counts here.
        server_certificate: CertificateChain,
        /// Which of our certificates are sent.
        sending: CertificateSending,
    },
}

impl Security {
    /// The mode of the channel.
    pub const fn mode(&self) -> SecurityMode {
        match self {
            Self::None => SecurityMode::None,
            Self::Secure { mode, .. } => *mode,
        }
    }

    /// Whether a step with our key may take more than about a millisecond of CPU.
    pub(crate) fn is_costly(&self) -> bool {
        match self {
            Self::None => false,
            // What signs with SHA-1 is slow with any key.
            Self::Secure { policy, identity, .. } => policy.is_deprecated() || identity.key.is_costly(),
        }
    }

    /// The policy of the channel.
    pub const fn policy(&self) -> SecurityPolicy {
        match self {
            Self::None => SecurityPolicy::None,
            Self::Secure { policy, .. } => *policy,
        }
    }
}

/// Where our issuers' certificates are sent along with our own.
///
/// The chain helps servers that know only the root, and troubles a few: asyncua answers the chain in `CreateSession`
/// with `BadInternalError`, async-opcua the chain in `OpenSecureChannel` with `BadCertificateInvalid`. A caller that
/// meets one of these connects again with the next form. Without issuers all three are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateSending {
    /// The chain in `OpenSecureChannel` and in `CreateSession`.
    #[default]
    Chain,
    /// The chain in `OpenSecureChannel`, the leaf in `CreateSession`.
    LeafInSession,
    /// The leaf alone in both.
    LeafOnly,
}

/// The other end of a secured channel, its key parsed once.
pub(crate) struct Peer {
    leaf: Certificate,
    thumbprint: Sha1Thumbprint,
    key: PublicKey,
}

impl Peer {
    /// # Errors
    /// When the key is not one `policy` allows.
    pub(crate) fn new(leaf: &Certificate, policy: SecurityPolicy) -> Result<Self, Fault> {
        let key = leaf.public_key().map_err(|error| Fault::ServerKey { detail: error.to_string() })?;
        require_key(&key, policy)?;
        Ok(Self { thumbprint: leaf.thumbprint_sha1(), leaf: leaf.clone(), key })
    }

    pub(crate) fn leaf_der(&self) -> &[u8] {
        self.leaf.der()
    }

    pub(crate) const fn thumbprint(&self) -> Sha1Thumbprint {
        self.thumbprint
    }

    pub(crate) const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The length of its signatures, in bytes.
    pub(crate) fn signature_len(&self) -> usize {
        match (self.key.as_rsa(), self.key.as_ec()) {
            (Some(key), _) => key.modulus_len(),
            (_, Some(key)) => ecdsa_len(key.curve()),
            _ => 0,
        }
    }

    /// # Errors
    /// When the key is not one `policy` allows, which may be another than the channel's.
    pub(crate) fn require(&self, policy: SecurityPolicy) -> Result<(), Fault> {
        require_key(&self.key, policy)
    }

    /// Whether a blob of certificates, leaf first, begins with this peer's leaf.
    ///
    /// DER is self-delimiting: a blob that begins with the leaf's bytes has the leaf as its first certificate. Servers
    /// send the leaf in one message and the chain in another, so leaf is compared with leaf.
    pub(crate) fn is_leaf_of(&self, blob: &[u8]) -> bool {
        blob.starts_with(self.leaf_der())
    }
}

fn require_key(key: &PublicKey, policy: SecurityPolicy) -> Result<(), Fault> {
    if policy.allows_key(&key.algorithm()) {
        return Ok(());
    }
    Err(Fault::ServerKey { detail: format!("{} with {policy}", key.algorithm()) })
}

use std::fmt;
use std::sync::Arc;

use koios_pki::{
    Certificate, CertificateChain, KeyAlgorithm, PrivateKey, RsaPrivateKey, RsaPublicKey, SecurityMode,
    SecurityPolicy, Sha1Thumbprint,
};

use crate::error::Fault;
use crate::policy;

/// Our certificate, its chain and its private key: who we are on a secure channel.
pub struct ClientIdentity {
    chain: CertificateChain,
    key: RsaPrivateKey,
    thumbprint: Sha1Thumbprint,
}

impl ClientIdentity {
    /// Joins a certificate chain, leaf first, with the leaf's private key.
    ///
    /// # Errors
    /// When the key is not the private half of the leaf's, or is not one of RSA.
    pub fn new(chain: CertificateChain, key: PrivateKey) -> Result<Self, IdentityError> {
        if !key.matches(chain.leaf()) {
            return Err(IdentityError::KeyMismatch { subject: chain.leaf().subject().to_owned() });
        }
        let algorithm = key.algorithm();
        let key = key.into_rsa().ok_or(IdentityError::KeyKind { key: algorithm })?;
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

    pub(crate) const fn key(&self) -> &RsaPrivateKey {
        &self.key
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
    #[error("the private key is of the kind {key}; the security policies spoken here take RSA keys")]
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
    key: RsaPublicKey,
}

impl Peer {
    /// # Errors
    /// When the key is not one `policy` allows.
    pub(crate) fn new(leaf: &Certificate, policy: SecurityPolicy) -> Result<Self, Fault> {
        let key = leaf.public_key().map_err(|error| Fault::ServerKey { detail: error.to_string() })?;
        let Some(key) = key.as_rsa().cloned() else {
            return Err(Fault::ServerKey { detail: format!("{} with {policy}", key.algorithm()) });
        };
        if !policy::allows_key(policy, key.bits()) {
            return Err(Fault::ServerKey { detail: format!("{} bits with {policy}", key.bits()) });
        }
        Ok(Self { thumbprint: leaf.thumbprint_sha1(), leaf: leaf.clone(), key })
    }

    pub(crate) fn leaf_der(&self) -> &[u8] {
        self.leaf.der()
    }

    pub(crate) const fn thumbprint(&self) -> Sha1Thumbprint {
        self.thumbprint
    }

    pub(crate) const fn key(&self) -> &RsaPublicKey {
        &self.key
    }

    /// Whether a blob of certificates, leaf first, begins with this peer's leaf.
    ///
    /// DER is self-delimiting: a blob that begins with the leaf's bytes has the leaf as its first certificate. Servers
    /// send the leaf in one message and the chain in another, so leaf is compared with leaf.
    pub(crate) fn is_leaf_of(&self, blob: &[u8]) -> bool {
        blob.starts_with(self.leaf_der())
    }
}

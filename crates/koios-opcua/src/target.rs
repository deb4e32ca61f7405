//! Everything one attempt needs, as values.

use std::sync::Arc;
use std::time::Duration;

use koios_channel::{ClientIdentity, EndpointUrl, SecurityMode, SecurityPolicy, UserIdentity};
use koios_pki::CertificateChain;

use crate::deprecated_policies::DeprecatedPolicies;
use crate::earlier::EarlierAttempt;
use crate::server_certificate::{ServerTrust, ServerValidation};
use crate::target_networks::TargetNetworks;

/// What to connect to, and as whom.
///
/// The ApplicationUri is a value of its own, so that a test can present one that does not fit the certificate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Target {
    /// The server, as the user typed it.
    pub endpoint_url: EndpointUrl,
    /// How messages are to be protected.
    pub security_mode: SecurityMode,
    /// The policy; `None` takes the best one offered. Not looked at in mode `None`.
    pub security_policy: Option<SecurityPolicy>,
    /// Who we are.
    pub client: ClientCertificate,
    /// The ApplicationUri that the session states.
    pub application_uri: String,
    /// Who the session is for.
    pub user: UserIdentity,
    /// Which server certificates are accepted.
    pub server_trust: ServerTrust,
    /// What they are validated against.
    pub server_validation: ServerValidation,
    /// The bound of the whole attempt.
    pub timeout: Duration,
    /// How long the server is to keep a session that says nothing.
    pub session_timeout: Duration,
    /// Whether a deprecated policy may be named.
    pub deprecated_policies: DeprecatedPolicies,
    /// Where the connection may lead.
    pub networks: TargetNetworks,
    /// What earlier attempts at this server have shown: evidence for the verdict, nothing else.
    pub earlier: Vec<EarlierAttempt>,
}

impl Target {
    /// Mode `None`, anonymous, any first server certificate, ten seconds.
    #[must_use]
    pub fn new(endpoint_url: EndpointUrl, application_uri: impl Into<String>) -> Self {
        Self {
            endpoint_url,
            security_mode: SecurityMode::None,
            security_policy: None,
            client: ClientCertificate::NotNeeded,
            application_uri: application_uri.into(),
            user: UserIdentity::Anonymous,
            server_trust: ServerTrust::Pin { expected: None },
            server_validation: ServerValidation::default(),
            timeout: Duration::from_secs(10),
            session_timeout: Duration::from_secs(60),
            deprecated_policies: DeprecatedPolicies::Refused,
            networks: TargetNetworks::default(),
            earlier: Vec::new(),
        }
    }

    /// The same in a secure mode with this identity; the ApplicationUri is the one of its certificate, if it has one.
    #[must_use]
    pub fn secured(mut self, mode: SecurityMode, identity: Arc<ClientIdentity>) -> Self {
        if let Some(uri) = identity.leaf().application_uri() {
            uri.clone_into(&mut self.application_uri);
        }
        self.security_mode = mode;
        self.client = ClientCertificate::Ready { identity, label: None };
        self
    }
}

/// The certificate to present.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientCertificate {
    /// The mode is `None`.
    NotNeeded,
    /// A secure mode, and no certificate in the system.
    None,
    /// There is one, and it cannot be used.
    Unavailable {
        /// Why.
        reason: UnavailableReason,
        /// What a person needs to know of it: which file, which key. Holds no secret.
        detail: String,
        /// Which certificate.
        label: Option<CertificateLabel>,
        /// The certificate, where it could be read.
        chain: Option<CertificateChain>,
    },
    /// Certificate and key, loaded for this attempt.
    Ready {
        /// Both.
        identity: Arc<ClientIdentity>,
        /// Which certificate.
        label: Option<CertificateLabel>,
    },
}

impl ClientCertificate {
    /// The certificate, where it could be read.
    #[must_use]
    pub fn chain(&self) -> Option<&CertificateChain> {
        match self {
            Self::Ready { identity, .. } => Some(identity.chain()),
            Self::Unavailable { chain, .. } => chain.as_ref(),
            Self::NotNeeded | Self::None => None,
        }
    }

    /// Its name, where it has one.
    #[must_use]
    pub fn label(&self) -> Option<&CertificateLabel> {
        match self {
            Self::Ready { label, .. } | Self::Unavailable { label, .. } => label.as_ref(),
            Self::NotNeeded | Self::None => None,
        }
    }
}

/// Why a certificate cannot be used.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum UnavailableReason {
    /// A file is missing, unreadable, or not the one stored.
    Files,
    /// The private key belongs to another certificate.
    KeyMismatch,
    /// The key is of a size that no policy allows.
    KeySize,
    /// The key is of a kind that this version does not support.
    KeyType,
}

/// By what name the caller knows a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CertificateLabel {
    /// The caller's id, as text.
    pub id: String,
    /// The caller's name for it.
    pub name: String,
}

impl CertificateLabel {
    /// A label of id and name.
    #[must_use]
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into() }
    }
}

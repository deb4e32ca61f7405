//! The two halves of a session's handshake: what each side proves to the other (OPC 10000-4 §5.7).

mod binding;
mod downgrade;
mod encrypted_secret;
mod user_token;

use std::time::Duration;

use self::binding::Binding;
use crate::channel::Channel;
use crate::error::Fault;
use crate::keys::{CertificateSending, Security};
use crate::policy::Algorithms;
use crate::service::{RequestHeader, SignedKey, response};
use crate::{Limits, SecurityPolicy, SessionRequest, UserIdentity};

/// A session that was asked for.
pub(crate) struct RequestedSession {
    request: SessionRequest,
    nonce: Vec<u8>,
    /// Our certificates as they were sent; empty without security.
    certificates: Vec<u8>,
    /// The policy of the secret that a user may have to send, if it is one on a curve.
    secrets_policy: Option<SecurityPolicy>,
}

impl RequestedSession {
    pub(crate) fn new(request: SessionRequest, security: &Security, nonce: Vec<u8>) -> Self {
        let certificates = match security {
            Security::None => Vec::new(),
            Security::Secure { identity, sending: CertificateSending::Chain, .. } => {
                identity.chain().to_der_blob()
            }
            Security::Secure { identity, .. } => identity.leaf().der().to_vec(),
        };
        let secrets_policy = user_token::secrets_policy(&request.endpoint, security);
        Self { request, nonce, certificates, secrets_policy }
    }

    pub(crate) fn encode(&self, header: RequestHeader, limits: &Limits) -> Result<Vec<u8>, Fault> {
        let Self { request, nonce, certificates, secrets_policy } = self;
        header.create_session(request, nonce, certificates, limits.max_message, *secrets_policy)
    }

    /// Checks what the server answered.
    ///
    /// With security: its certificate is the endpoint's, its signature covers our certificate and nonce, its nonce is
    /// long enough, and its endpoints are those of discovery. Without security an attacker could forge all of them,
    /// so none is worth a refusal.
    pub(crate) fn check(self, channel: &Channel, answer: response::CreatedSession) -> Result<Session, Fault> {
        if let (Security::Secure { policy, identity, .. }, Some(peer)) = (channel.security(), channel.peer())
        {
            let algorithms = Algorithms::of(*policy).ok_or(Fault::NotReady)?;
            if !peer.is_leaf_of(&answer.certificates) {
                return Err(Fault::ServerCertificateDiffers);
            }
            let binding = Binding::of(channel, &self.nonce, &answer.nonce);
            let signs = |message: &[u8]| algorithms.verify(peer.key(), message, &answer.signature);
            let holds = match binding {
                Some(binding) => signs(&binding.server_message()),
                None => {
                    let signs = |certificates: &[u8]| signs(&[certificates, &self.nonce].concat());
                    // OPC 10000-4 says the leaf; open62541 signs over all that it was sent.
                    let leaf = identity.leaf().der();
                    signs(leaf) || (self.certificates != leaf && signs(&self.certificates))
                }
            };
            if !holds {
                return Err(Fault::BadSignature);
            }
            // Small servers answer no list at all; there is nothing to compare then, and nothing an attacker could
            // have done to this signed answer.
            if !self.request.expected_endpoints.is_empty() && !answer.endpoints.is_empty() {
                downgrade::check(
                    &self.request.expected_endpoints,
                    &answer.endpoints,
                    &self.request.endpoint,
                )?;
            }
        }
        let mut session = Session {
            timeout: answer.timeout,
            client_nonce: self.nonce,
            server_nonce: Vec::new(),
            server_key: None,
            secrets_policy: self.secrets_policy,
            endpoint: self.request.endpoint,
        };
        session.note_proofs(channel, answer.nonce, answer.ephemeral_key)?;
        Ok(session)
    }
}

/// A session the server has created.
pub(crate) struct Session {
    pub(crate) timeout: Duration,
    client_nonce: Vec<u8>,
    server_nonce: Vec<u8>,
    /// The server's ephemeral key for the user's secret.
    server_key: Option<Vec<u8>>,
    secrets_policy: Option<SecurityPolicy>,
    endpoint: crate::Endpoint,
}

impl Session {
    /// Takes what the next activation is made with: the server's nonce, and a key when one was asked for.
    pub(crate) fn note_proofs(
        &mut self,
        channel: &Channel,
        nonce: Vec<u8>,
        key: Option<SignedKey>,
    ) -> Result<(), Fault> {
        (self.server_nonce, self.server_key) = (Vec::new(), None);
        if let (Some(algorithms), Some(peer)) = (Algorithms::of(channel.security().policy()), channel.peer())
        {
            check_server_nonce(&nonce)?;
            let is_forged = |key: &SignedKey| !algorithms.verify(peer.key(), &key.public, &key.signature);
            if self.secrets_policy.is_some() && key.as_ref().is_some_and(is_forged) {
                return Err(Fault::BadSignature);
            }
        }
        self.server_nonce = nonce;
        self.server_key = self.secrets_policy.and(key).map(|key| key.public);
        Ok(())
    }

    /// Whether the session may go on, on this channel: one that protects as the channel did on which it was created.
    pub(crate) fn fits(&self, security: &Security) -> bool {
        self.endpoint.security_mode == Some(security.mode())
            && self.endpoint.security_policy == Some(security.policy())
    }

    /// Our proof that we hold our certificate's key, and the user's token. Signs with RSA: milliseconds.
    pub(crate) fn activation(
        &self,
        header: RequestHeader,
        channel: &Channel,
        user: &UserIdentity,
        limits: &Limits,
    ) -> Result<Vec<u8>, Fault> {
        let security = channel.security();
        let binding = Binding::of(channel, &self.client_nonce, &self.server_nonce);
        let circumstances = user_token::Circumstances {
            endpoint: &self.endpoint,
            security,
            peer: channel.peer(),
            server_nonce: &self.server_nonce,
            server_key: self.server_key.as_deref(),
            binding: binding.as_ref(),
            time: header.time,
            limits,
        };
        let user = circumstances.token_for(user)?;
        let signature = match (security, channel.peer()) {
            (Security::Secure { policy, identity, .. }, Some(peer)) => {
                let algorithms = Algorithms::of(*policy).ok_or(Fault::NotReady)?;
                check_server_nonce(&self.server_nonce)?;
                let message = match &binding {
                    Some(binding) => binding.client_message(),
                    None => [peer.leaf_der(), &self.server_nonce].concat(),
                };
                Some((algorithms.signature_uri(), identity.key().sign(&algorithms, &message)?))
            }
            _ => None,
        };
        header.activate_session(signature, user, self.secrets_policy)
    }
}

fn check_server_nonce(nonce: &[u8]) -> Result<(), Fault> {
    if nonce.len() < MIN_SERVER_NONCE_LEN {
        return Err(Fault::ServerNonce { len: nonce.len() });
    }
    Ok(())
}

/// OPC 10000-4 §5.7.2: at least 32 bytes.
const MIN_SERVER_NONCE_LEN: usize = 32;

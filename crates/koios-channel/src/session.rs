//! The two halves of a session's handshake: what each side proves to the other (OPC 10000-4 §5.7).

mod downgrade;
mod encrypted_secret;
mod user_token;

use std::time::Duration;

use crate::channel::Channel;
use crate::error::Fault;
use crate::keys::{CertificateSending, Security};
use crate::policy::Algorithms;
use crate::service::{RequestHeader, response};
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
            let algorithm = &answer.signature_algorithm;
            if !algorithms.is_signature_uri(algorithm) {
                return Err(Fault::unexpected(format!("a server signature of the algorithm {algorithm:?}")));
            }
            let signs = |certificates: &[u8]| {
                let message = [certificates, &self.nonce].concat();
                algorithms.verify(peer.key(), &message, &answer.signature)
            };
            // OPC 10000-4 says the leaf; open62541 signs over all that it was sent.
            let leaf = identity.leaf().der();
            if !signs(leaf) && (self.certificates == leaf || !signs(&self.certificates)) {
                return Err(Fault::BadSignature);
            }
            check_server_nonce(&answer.nonce)?;
            if let (Some(_), Some(key)) = (self.secrets_policy, &answer.ephemeral_key)
                && !algorithms.verify(peer.key(), &key.public, &key.signature)
            {
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
        Ok(Session {
            timeout: answer.timeout,
            server_nonce: answer.nonce,
            server_key: self.secrets_policy.and(answer.ephemeral_key).map(|key| key.public),
            endpoint: self.request.endpoint,
        })
    }
}

/// A session the server has created.
pub(crate) struct Session {
    pub(crate) timeout: Duration,
    server_nonce: Vec<u8>,
    /// The server's ephemeral key for the user's secret.
    server_key: Option<Vec<u8>>,
    endpoint: crate::Endpoint,
}

impl Session {
    /// Our proof that we hold our certificate's key, and the user's token. Signs with RSA: milliseconds.
    pub(crate) fn activation(
        &self,
        header: RequestHeader,
        channel: &Channel,
        user: &UserIdentity,
        limits: &Limits,
    ) -> Result<Vec<u8>, Fault> {
        let security = channel.security();
        let circumstances = user_token::Circumstances {
            endpoint: &self.endpoint,
            security,
            peer: channel.peer(),
            server_nonce: &self.server_nonce,
            server_key: self.server_key.as_deref(),
            time: header.time,
            limits,
        };
        let user = circumstances.token_for(user)?;
        let signature = match (security, channel.peer()) {
            (Security::Secure { policy, identity, .. }, Some(peer)) => {
                let algorithms = Algorithms::of(*policy).ok_or(Fault::NotReady)?;
                let message = [peer.leaf_der(), &self.server_nonce].concat();
                Some((algorithms.signature_uri(), identity.key().sign(&algorithms, &message)?))
            }
            _ => None,
        };
        header.activate_session(signature, user)
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

//! Our client: who knows where to go, and with what.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use koios_channel::{
    CertificateSending, ClientIdentity, Deadline, EndpointUrl, Limits, Security, SecurityMode,
    SecurityPolicy, Session, SessionRequest, UserIdentity, connect, resolve,
};
use koios_pki::{CertificateChain, PrivateKey, PrivateKeyPem};
use serde_json::Value;

use crate::Result;
use crate::scene::APPLICATION_URI;

pub(crate) struct Visitor {
    pub(crate) url: EndpointUrl,
    pub(crate) addresses: Vec<SocketAddr>,
    identity: Arc<ClientIdentity>,
    server_certificate: CertificateChain,
    pub(crate) request: SessionRequest,
}

impl Visitor {
    /// As [`Task`](crate::client::Task) writes it.
    pub(crate) async fn from_json(configuration: &Value, deadline: Deadline) -> Result<Self> {
        let text = |name: &str| configuration[name].as_str().ok_or_else(|| format!("{name} is missing"));
        let (certificate, key) = (text("certificateFile")?, text("privateKeyFile")?);
        Self::new(text("url")?, certificate.as_ref(), key.as_ref(), deadline).await
    }

    /// Fetches the endpoints.
    pub(crate) async fn new(
        url: &str,
        certificate: &Path,
        private_key: &Path,
        deadline: Deadline,
    ) -> Result<Self> {
        let url = EndpointUrl::parse(url)?;
        let chain = CertificateChain::from_pem(&fs::read(certificate)?)?;
        let key = PrivateKey::from_pem(&PrivateKeyPem::from_bytes(fs::read(private_key)?))?;
        let identity = Arc::new(ClientIdentity::new(chain, key)?);

        let addresses = resolve(&url, deadline).await?;
        let transport = connect(&addresses, deadline).await?.hello(&url, Limits::default(), deadline).await?;
        let mut discovery = transport.open(Security::None, deadline).await?;
        let endpoints = discovery.get_endpoints(&url, deadline).await?;
        discovery.close(deadline).await;
        let endpoint = endpoints
            .iter()
            .find(|endpoint| {
                endpoint.security_policy == Some(SecurityPolicy::Basic256Sha256)
                    && endpoint.security_mode == Some(SecurityMode::SignAndEncrypt)
            })
            .ok_or("the server offers no such endpoint")?;
        let blob = endpoint.server_certificate.as_deref().ok_or("the endpoint has no certificate")?;
        let server_certificate = CertificateChain::from_der_blob(blob, 10)?;
        let mut request = SessionRequest::new(url.clone(), endpoint.clone(), APPLICATION_URI);
        request.expected_endpoints = endpoints.clone();
        Ok(Self { url, addresses, identity, server_certificate, request })
    }

    pub(crate) fn security(&self) -> Security {
        Security::Secure {
            policy: SecurityPolicy::Basic256Sha256,
            mode: SecurityMode::SignAndEncrypt,
            identity: Arc::clone(&self.identity),
            server_certificate: self.server_certificate.clone(),
            sending: CertificateSending::Chain,
        }
    }

    /// Connects, and opens a session.
    pub(crate) async fn open(&self, deadline: Deadline) -> Result<Session> {
        let connection = connect(&self.addresses, deadline).await?;
        let transport = connection.hello(&self.url, Limits::default(), deadline).await?;
        let channel = transport.open(self.security(), deadline).await?;
        let created = channel.create_session(self.request.clone(), deadline).await?;
        Ok(created.activate(&UserIdentity::Anonymous, deadline).await?)
    }
}

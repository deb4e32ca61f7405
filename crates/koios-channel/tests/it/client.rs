//! What the tests do as clients.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use koios_channel::{
    CertificateSending, ChannelError, ClientIdentity, CreatedSession, Deadline, Endpoint, EndpointUrl,
    Limits, SecureChannel, Security, SecurityMode, SecurityPolicy, Session, SessionRequest, Transport,
    UserIdentity, connect, resolve,
};
use koios_pki::{Certificate, CertificateChain, PrivateKey, PrivateKeyPem};
use koios_testkit::{CertificateSpec, Server, TestCertificate};

pub(crate) const APPLICATION_URI: &str = "urn:koios:test:client";

/// Generous: the tests share a machine.
pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// The RSA key lengths of [`certificate`].
pub(crate) const KEY_BITS: [u32; 3] = [2048, 3072, 4096];
/// Those, and keys on P-256 and P-384.
const ALL_KEY_BITS: [u32; 5] = [2048, 3072, 4096, 256, 384];

/// A certificate every server of the tests accepts once it trusts it; the same one in all tests.
pub(crate) fn certificate(key_bits: u32) -> TestCertificate {
    static CERTIFICATES: LazyLock<[TestCertificate; 5]> = LazyLock::new(|| {
        ALL_KEY_BITS.map(|bits| CertificateSpec::application(APPLICATION_URI).with_shared_key(bits, 0).make())
    });
    let at = ALL_KEY_BITS.iter().position(|bits| *bits == key_bits).unwrap();
    CERTIFICATES[at].clone()
}

pub(crate) fn identity(certificate: &TestCertificate) -> Arc<ClientIdentity> {
    let mut chain = certificate.chain().into_iter().map(|der| Certificate::from_der(&der).unwrap());
    let leaf = chain.next().unwrap();
    let key = PrivateKeyPem::from_bytes(certificate.key_pem().as_bytes().to_vec());
    let chain = CertificateChain::new(leaf, chain.collect());
    Arc::new(ClientIdentity::new(chain, PrivateKey::from_pem(&key).unwrap()).unwrap())
}

pub(crate) fn url(server: &Server) -> EndpointUrl {
    EndpointUrl::parse(&server.endpoint_url).unwrap()
}

pub(crate) async fn hello(url: &EndpointUrl, deadline: Deadline) -> Result<Transport, ChannelError> {
    let addresses = resolve(url, deadline).await?;
    connect(&addresses, deadline).await?.hello(url, Limits::default(), deadline).await
}

pub(crate) async fn discover(url: &EndpointUrl) -> Result<Vec<Endpoint>, ChannelError> {
    let mut channel = hello(url, soon()).await?.open(Security::None, soon()).await?;
    let endpoints = channel.get_endpoints(url, soon()).await?;
    channel.close(soon()).await;
    Ok(endpoints)
}

/// A client that has looked at a server's endpoints.
pub(crate) struct Client {
    pub(crate) url: EndpointUrl,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) identity: Arc<ClientIdentity>,
    pub(crate) sending: CertificateSending,
}

impl Client {
    pub(crate) async fn of(server: &Server, certificate: &TestCertificate) -> Self {
        let url = url(server);
        let endpoints = discover(&url).await.unwrap();
        Self { url, endpoints, identity: identity(certificate), sending: CertificateSending::Chain }
    }

    pub(crate) fn endpoint(&self, policy: SecurityPolicy, mode: SecurityMode) -> Endpoint {
        let fits = |e: &&Endpoint| {
            e.is_opc_tcp() && e.security_policy == Some(policy) && e.security_mode == Some(mode)
        };
        self.endpoints.iter().find(fits).unwrap_or_else(|| panic!("no {policy} {mode}")).clone()
    }

    pub(crate) async fn open(
        &self,
        policy: SecurityPolicy,
        mode: SecurityMode,
    ) -> Result<SecureChannel, ChannelError> {
        hello(&self.url, soon()).await?.open(self.security(policy, mode), soon()).await
    }

    fn security(&self, policy: SecurityPolicy, mode: SecurityMode) -> Security {
        match mode {
            SecurityMode::None => Security::None,
            _ => Security::Secure {
                policy,
                mode,
                identity: Arc::clone(&self.identity),
                server_certificate: server_chain(&self.endpoint(policy, mode)),
                sending: self.sending,
            },
        }
    }

    pub(crate) async fn create(
        &self,
        policy: SecurityPolicy,
        mode: SecurityMode,
    ) -> Result<CreatedSession, ChannelError> {
        let channel = self.open(policy, mode).await?;
        channel.create_session(self.request(policy, mode), soon()).await
    }

    fn request(&self, policy: SecurityPolicy, mode: SecurityMode) -> SessionRequest {
        let mut request = SessionRequest::new(self.url.clone(), self.endpoint(policy, mode), APPLICATION_URI);
        request.expected_endpoints.clone_from(&self.endpoints);
        request
    }

    /// A session on a connection that is there already.
    pub(crate) async fn session_on(
        &self,
        transport: Transport,
        policy: SecurityPolicy,
        mode: SecurityMode,
        user: &UserIdentity,
    ) -> Result<Session, ChannelError> {
        let channel = transport.open(self.security(policy, mode), soon()).await?;
        let created = channel.create_session(self.request(policy, mode), soon()).await?;
        created.activate(user, soon()).await
    }

    pub(crate) async fn session(
        &self,
        policy: SecurityPolicy,
        mode: SecurityMode,
        user: &UserIdentity,
    ) -> Result<Session, ChannelError> {
        self.create(policy, mode).await?.activate(user, soon()).await
    }
}

pub(crate) fn server_chain(endpoint: &Endpoint) -> CertificateChain {
    CertificateChain::from_der_blob(endpoint.server_certificate.as_ref().unwrap(), 10).unwrap()
}

//! async-opcua's client, as far as these tests need it.

use std::fs;
use std::time::Duration;

use koios_testkit::{Mode, Policy, Server, TestCertificate};
use opcua::client::{ClientBuilder, IdentityToken, Password};
use opcua::types::{
    AttributeId, EndpointDescription, MessageSecurityMode, NodeId, ReadValueId, StatusCode,
    TimestampsToReturn, UserTokenPolicy, VariableId,
};

/// How a client comes in.
pub(crate) struct Visit<'a> {
    pub(crate) certificate: &'a TestCertificate,
    pub(crate) application_uri: &'a str,
    /// `None` for no security.
    pub(crate) security: Option<(Policy, Mode)>,
    pub(crate) user: Option<(&'a str, &'a str)>,
}

impl<'a> Visit<'a> {
    pub(crate) fn with(certificate: &'a TestCertificate) -> Self {
        Self {
            certificate,
            application_uri: APPLICATION_URI,
            security: Some((Policy::Basic256Sha256, Mode::SignAndEncrypt)),
            user: None,
        }
    }

    /// Connects, opens a session, reads the server's state, and leaves; what the client library says on failure.
    pub(crate) fn pay(&self, server: &Server) -> Result<(), StatusCode> {
        self.pay_to(&server.endpoint_url)
    }

    pub(crate) fn pay_to(&self, endpoint_url: &str) -> Result<(), StatusCode> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let result = runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(30), self.connect(endpoint_url))
                .await
                .expect("an answer in time")
        });
        runtime.shutdown_background();
        result
    }

    async fn connect(&self, endpoint_url: &str) -> Result<(), StatusCode> {
        let folder = tempfile::tempdir().unwrap();
        let (certificate_file, key_file) = (folder.path().join("own.der"), folder.path().join("own.pem"));
        fs::write(&certificate_file, self.certificate.der()).unwrap();
        fs::write(&key_file, self.certificate.key_pem()).unwrap();
        let mut client = ClientBuilder::new()
            .application_name("testkit's own tests")
            .application_uri(self.application_uri)
            .product_uri("urn:koios:test")
            .create_sample_keypair(false)
            .pki_dir(folder.path())
            .certificate_path(&certificate_file)
            .private_key_path(&key_file)
            .trust_server_certs(true)
            .verify_server_certs(false)
            .session_retry_limit(0)
            .request_timeout(Duration::from_secs(10))
            .client()
            .expect("a valid configuration");
        let (policy, mode) = match self.security {
            None => ("None", MessageSecurityMode::None),
            Some((Policy::Basic256Sha256, mode)) => ("Basic256Sha256", security_mode(mode)),
            Some((Policy::Aes128Sha256RsaOaep, mode)) => ("Aes128-Sha256-RsaOaep", security_mode(mode)),
            Some((Policy::Aes256Sha256RsaPss, mode)) => ("Aes256-Sha256-RsaPss", security_mode(mode)),
            Some((policy, _)) => panic!("this client has no {}", policy.name()),
        };
        let endpoint: EndpointDescription = (endpoint_url, policy, mode, UserTokenPolicy::anonymous()).into();
        let token = match self.user {
            None => IdentityToken::Anonymous,
            Some((user, password)) => IdentityToken::UserName(user.to_owned(), Password::new(password)),
        };
        let (session, event_loop) =
            client.connect_to_matching_endpoint(endpoint, token).await.map_err(|error| error.status())?;
        let mut event_loop = event_loop.spawn();
        tokio::select! {
            connected = session.wait_for_connection() => assert!(connected, "the client says that it is connected"),
            ended = &mut event_loop => return Err(ended.expect("the client does not panic")),
        }
        let state = ReadValueId {
            node_id: NodeId::from(VariableId::Server_ServerStatus_State),
            attribute_id: AttributeId::Value as u32,
            ..Default::default()
        };
        let values = session.read(&[state], TimestampsToReturn::Neither, 0.0).await?;
        assert!(values[0].value.is_some(), "the server's state has a value");
        session.disconnect().await?;
        // The loop ends with the connection; its status says nothing new.
        let _ = event_loop.await;
        Ok(())
    }
}

fn security_mode(mode: Mode) -> MessageSecurityMode {
    match mode {
        Mode::Sign => MessageSecurityMode::Sign,
        Mode::SignAndEncrypt => MessageSecurityMode::SignAndEncrypt,
    }
}

/// The URI of the clients in these tests.
pub(crate) const APPLICATION_URI: &str = "urn:koios:test:client";

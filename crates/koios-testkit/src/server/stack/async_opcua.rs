//! async-opcua 0.19 (Rust), inside the test process: always there.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use opcua::crypto::{CertificateStore, SecurityPolicy, X509};
use opcua::server::{ANONYMOUS_USER_TOKEN_ID, ServerBuilder, ServerConfig, ServerEndpoint, ServerUserToken};
use opcua::types::{BuildInfo, MessageSecurityMode};
use tokio::sync::oneshot;

use super::{Ability, Implementation};
use crate::pki_folders::write_private_key;
use crate::server::{Mode, Policy, ServerCertificate, ServerOptions};
use crate::{PkiFolders, TestCertificate};

pub(super) struct Fixture;

impl Implementation for Fixture {
    fn name(&self) -> &'static str {
        "async-opcua"
    }

    fn abilities(&self) -> &'static [Ability] {
        // It trusts certificates one by one, and sends one of its own.
        &[Ability::KeepsRejected, Ability::LimitsSessions, Ability::LiveTrust]
    }

    fn missing(&self) -> Option<String> {
        None
    }

    fn folders(&self, root: PathBuf) -> PkiFolders {
        PkiFolders {
            trusted: root.join("trusted"),
            rejected: Some(root.join("rejected")),
            issuers: None,
            revocation_lists: None,
            root,
        }
    }

    /// The one name under which it finds a certificate: `CN=<common name> [<sha1>].der`.
    fn file_name(&self, der: &[u8]) -> String {
        CertificateStore::cert_file_name(&X509::from_der(der).expect("a certificate"))
    }

    fn start(
        &self,
        options: &ServerOptions,
        certificate: &TestCertificate,
        pki: &PkiFolders,
    ) -> (u16, super::Running) {
        let running = Running::start(options, certificate, pki);
        (running.port, super::Running::InProcess(running))
    }
}

/// A server on a thread and a runtime of its own, so that a test's runtime can be of any kind.
#[derive(Debug)]
pub(in crate::server) struct Running {
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(options: &ServerOptions, certificate: &TestCertificate, pki: &PkiFolders) -> Self {
        assert!(
            !matches!(options.certificate, ServerCertificate::Chain),
            "async-opcua's server cannot send a certificate chain"
        );
        let listener = bind(options.port);
        let port = listener.local_addr().expect("a bound listener has an address").port();
        listener.set_nonblocking(true).expect("a listener can be non-blocking");
        write_own_certificate(certificate, pki);
        // The builder itself cannot go to another thread, its configuration can.
        let config = builder(options, pki, port).config().clone();

        let (stop, stopped) = oneshot::channel();
        let (started, is_started) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("async-opcua".to_owned())
            .spawn(move || {
                serve(config, build_info(), listener, &started, async {
                    // Dropping the sender says it as well.
                    let _ = stopped.await;
                });
            })
            .expect("a thread starts");
        is_started.recv().expect("the server starts; its reason stands above");
        Self { port, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there has been printed there.
            let _ = thread.join();
        }
    }
}

pub(in crate::server) fn bind(port: u16) -> TcpListener {
    // A fixed port may still be in use by the server that was there a moment ago.
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < end, "port {port} cannot be opened: {error}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn build_info() -> BuildInfo {
    BuildInfo {
        product_uri: "urn:koios:test".into(),
        manufacturer_name: "Koios tests".into(),
        product_name: "async-opcua fixture".into(),
        software_version: "0.19".into(),
        ..BuildInfo::default()
    }
}

/// Runs a server on a runtime of its own until that future ends.
pub(in crate::server) fn serve(
    config: ServerConfig,
    build_info: BuildInfo,
    listener: TcpListener,
    started: &mpsc::Sender<()>,
    until: impl Future<Output = ()>,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener within a runtime");
        let (server, _handle) =
            ServerBuilder::from_config(config).build_info(build_info).build().expect("a valid configuration");
        // The port is bound: a client that comes before the first `accept` waits in its queue.
        started.send(()).expect("the starter waits");
        tokio::select! {
            result = server.run_with(listener) => result.expect("the server runs"),
            () = until => {}
        }
    });
    // Ends the tasks of the connections too: a server that is gone, not one that says goodbye.
    runtime.shutdown_timeout(Duration::from_secs(5));
}

fn write_own_certificate(certificate: &TestCertificate, pki: &PkiFolders) {
    let own = pki.root.join(OWN_CERTIFICATE);
    fs::create_dir_all(own.parent().expect("a file in a folder")).expect("a writable PKI folder");
    fs::write(own, certificate.der()).expect("a writable PKI folder");
    write_private_key(&pki.root.join(PRIVATE_KEY), certificate.key_pem()).expect("a writable PKI folder");
}

fn builder(options: &ServerOptions, pki: &PkiFolders, port: u16) -> ServerBuilder {
    let mut builder = ServerBuilder::new()
        .application_name(&options.application_name)
        .application_uri(&options.application_uri)
        .product_uri("urn:koios:test")
        .create_sample_keypair(false)
        .pki_dir(&pki.root)
        .certificate_path(OWN_CERTIFICATE)
        .private_key_path(PRIVATE_KEY)
        .trust_client_certs(false)
        .check_cert_time(true)
        .host("127.0.0.1")
        .port(port)
        .discovery_urls(vec!["/".to_owned()]);
    if let Some(limit) = options.max_sessions {
        builder = builder.max_sessions(usize::try_from(limit).expect("a small number"));
    }
    let millis = |duration: Duration| u32::try_from(duration.as_millis()).expect("a short time");
    if let Some(lifetime) = options.token_lifetime {
        builder = builder.max_secure_channel_token_lifetime_ms(millis(lifetime));
    }
    if let Some(timeout) = options.session_timeout {
        builder = builder.max_session_timeout_ms(millis(timeout).into());
    }
    let mut users = Vec::new();
    if options.anonymous {
        users.push(ANONYMOUS_USER_TOKEN_ID.to_owned());
    }
    for (user, password) in &options.users {
        builder = builder.add_user_token(user, ServerUserToken::user_pass(user, password));
        users.push(user.clone());
    }
    if options.none_endpoint {
        builder = builder.add_endpoint("none", ServerEndpoint::new_none("/", &users));
    }
    for policy in &options.policies {
        for mode in &options.modes {
            let id = format!("{}-{}", policy.name(), mode.name());
            let endpoint = ServerEndpoint::new("/", security_policy(*policy), security_mode(*mode), &users);
            builder = builder.add_endpoint(id, endpoint);
        }
    }
    builder
}

pub(in crate::server) fn security_policy(policy: Policy) -> SecurityPolicy {
    match policy {
        Policy::Aes128Sha256RsaOaep => SecurityPolicy::Aes128Sha256RsaOaep,
        Policy::Aes256Sha256RsaPss => SecurityPolicy::Aes256Sha256RsaPss,
        Policy::Basic128Rsa15 => SecurityPolicy::Basic128Rsa15,
        Policy::Basic256 => SecurityPolicy::Basic256,
        Policy::Basic256Sha256 => SecurityPolicy::Basic256Sha256,
        Policy::EccNistP256
        | Policy::EccNistP256AesGcm
        | Policy::EccNistP256ChaChaPoly
        | Policy::EccNistP384 => panic!("async-opcua has no policies on curves"),
    }
}

pub(in crate::server) fn security_mode(mode: Mode) -> MessageSecurityMode {
    match mode {
        Mode::Sign => MessageSecurityMode::Sign,
        Mode::SignAndEncrypt => MessageSecurityMode::SignAndEncrypt,
    }
}

/// Within the PKI folder.
const OWN_CERTIFICATE: &str = "own/cert.der";
const PRIVATE_KEY: &str = "private/private.pem";

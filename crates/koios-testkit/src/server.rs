//! Real OPC UA servers, each with a PKI folder of its own.

mod child;
pub(crate) mod foreign;
mod prosys;
pub use prosys::ProsysStandIn;
mod stack;
pub use stack::{Ability, Stack, bench_client};

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use stack::Running;

use crate::{CertificateSpec, PkiFolders, San, TestCertificate, TestKey, skip};

/// A security policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "OPC 10000-7 names them")]
pub enum Policy {
    Aes128Sha256RsaOaep,
    Aes256Sha256RsaPss,
    Basic128Rsa15,
    Basic256,
    Basic256Sha256,
    EccNistP256,
    EccNistP256AesGcm,
    EccNistP256ChaChaPoly,
    EccNistP384,
}

impl Policy {
    /// Those for RSA keys, without the deprecated ones.
    pub const RSA: [Self; 3] = [Self::Basic256Sha256, Self::Aes128Sha256RsaOaep, Self::Aes256Sha256RsaPss];

    /// The last part of its URI: `Aes128_Sha256_RsaOaep`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes128Sha256RsaOaep => "Aes128_Sha256_RsaOaep",
            Self::Aes256Sha256RsaPss => "Aes256_Sha256_RsaPss",
            Self::Basic128Rsa15 => "Basic128Rsa15",
            Self::Basic256 => "Basic256",
            Self::Basic256Sha256 => "Basic256Sha256",
            Self::EccNistP256 => "ECC_nistP256",
            Self::EccNistP256AesGcm => "ECC_nistP256_AesGcm",
            Self::EccNistP256ChaChaPoly => "ECC_nistP256_ChaChaPoly",
            Self::EccNistP384 => "ECC_nistP384",
        }
    }

    /// Its URI.
    pub fn uri(self) -> String {
        format!("http://opcfoundation.org/UA/SecurityPolicy#{}", self.name())
    }
}

/// A message security mode that protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "OPC 10000-4 §7.20 names them")]
pub enum Mode {
    Sign,
    SignAndEncrypt,
}

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sign, Self::SignAndEncrypt];

    /// As OPC UA writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sign => "Sign",
            Self::SignAndEncrypt => "SignAndEncrypt",
        }
    }
}

/// How a server is to be; the default is a well-configured one.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The name it tells its clients.
    pub application_name: String,
    /// The URI it tells its clients, also in its certificate.
    pub application_uri: String,
    /// Size of its RSA key: 2048, 3072 or 4096 bits; 256 or 384 for a key on P-256 or P-384.
    pub key_bits: u32,
    /// Its certificate.
    pub certificate: ServerCertificate,
    /// The policies it offers; none (with `none_endpoint`) makes a server without security.
    pub policies: Vec<Policy>,
    /// The modes it offers with each policy.
    pub modes: Vec<Mode>,
    /// Whether it also accepts sessions without security. Discovery works without security always.
    pub none_endpoint: bool,
    /// Whether anonymous users may come in.
    pub anonymous: bool,
    /// User names with their passwords.
    pub users: Vec<(String, String)>,
    /// TCP port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// How many sessions it has at most ([`Ability::LimitsSessions`]); enough when `None`.
    pub max_sessions: Option<u32>,
    /// Client certificates (DER) that it trusts from the start. For an authority's certificate, those with
    /// [`Ability::Authorities`] trust what it has issued.
    pub trusted: Vec<Vec<u8>>,
    /// Certificates of issuers (DER) that it knows without trusting them ([`Ability::Authorities`]; asyncua does not look).
    pub issuers: Vec<Vec<u8>>,
    /// Revocation lists (DER) that it knows ([`Ability::Authorities`]).
    pub revocation_lists: Vec<Vec<u8>>,
    /// The URL of a client to which it connects as well, by reverse connect ([`Ability::ReverseConnect`]).
    pub reverse_connect: Option<String>,
    /// The longest life of a channel's token that it grants (async-opcua and open62541).
    pub token_lifetime: Option<Duration>,
    /// The longest silence of a session that it grants (async-opcua and open62541).
    pub session_timeout: Option<Duration>,
    /// Whether it trusts every client (open62541 only): for benchmarks in which clients change their certificates.
    pub trusts_any: bool,
    /// Its PKI folder; a temporary one, removed with the server, when `None`.
    pub pki_dir: Option<PathBuf>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            application_name: "Koios test server".to_owned(),
            application_uri: "urn:koios:test:server".to_owned(),
            key_bits: 2048,
            certificate: ServerCertificate::Good,
            policies: Policy::RSA.to_vec(),
            modes: Mode::ALL.to_vec(),
            none_endpoint: false,
            anonymous: true,
            users: vec![("op".to_owned(), "secret".to_owned())],
            port: 0,
            max_sessions: None,
            trusted: vec![],
            issuers: vec![],
            revocation_lists: vec![],
            reverse_connect: None,
            token_lifetime: None,
            session_timeout: None,
            trusts_any: false,
            pki_dir: None,
        }
    }
}

impl ServerOptions {
    /// The default, with these client certificates trusted from the start.
    pub fn trusting(certificates: &[&TestCertificate]) -> Self {
        let trusted = certificates.iter().map(|certificate| certificate.der().to_vec()).collect();
        Self { trusted, ..Self::default() }
    }

    /// A server that knows no security: a None endpoint and nothing else.
    pub fn without_security() -> Self {
        Self { policies: vec![], modes: vec![], none_endpoint: true, ..Self::default() }
    }
}

/// What certificate a server presents.
#[derive(Clone, Debug)]
pub enum ServerCertificate {
    /// Issued by an authority, sent together with the authority's certificate ([`Ability::SendsChain`]).
    Chain,
    /// Self-signed, expired yesterday.
    Expired,
    /// This one, whatever it is.
    Given(TestCertificate),
    /// Self-signed, valid, with this host's names.
    Good,
    /// As `Good`, with another key than `Good` has: the server has been set up anew.
    Replaced,
    /// Self-signed, valid, for a host of another name.
    WrongHost,
}

impl ServerCertificate {
    /// The certificate that a server with these options presents.
    pub fn make(&self, options: &ServerOptions) -> TestCertificate {
        // Slots of the shared keys that clients in tests do not use.
        let key = |slot| TestKey::shared(options.key_bits, slot);
        let mut good = CertificateSpec {
            key: key(200),
            ..CertificateSpec::application(&options.application_uri).named(&options.application_name)
        };
        // Servers advertise this name instead of the address at which they are found.
        good.san.extend(host_name().map(San::Dns));
        match self {
            Self::Chain => {
                let authority = CertificateSpec::authority("Koios test server authority")
                    .with_shared_key(2048, 202)
                    .make();
                CertificateSpec {
                    key: key(200),
                    ..CertificateSpec::issued_application(&options.application_uri, &authority)
                        .named(&options.application_name)
                }
                .make()
            }
            Self::Expired => good.expired().make(),
            Self::Given(certificate) => certificate.clone(),
            Self::Good => good.make(),
            Self::Replaced => CertificateSpec { key: key(201), ..good }.make(),
            Self::WrongHost => CertificateSpec {
                san: vec![
                    San::Uri(options.application_uri.clone()),
                    San::Dns("another-host.example".to_owned()),
                ],
                ..good
            }
            .make(),
        }
    }
}

/// Why a server cannot be started here.
#[derive(Clone, Debug)]
pub struct Unavailable {
    /// What was to be started.
    pub stack: Stack,
    /// Why not, for a person.
    pub reason: String,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not available: {}", self.stack, self.reason)
    }
}

impl std::error::Error for Unavailable {}

/// Starts a server; it answers when this returns.
///
/// # Errors
///
/// When the stack is not installed on this machine; never for [`Stack::AsyncOpcua`].
///
/// # Panics
///
/// Under `KOIOS_REQUIRE_INTEROP=1`, when the stack is not installed; always, when it is there and does not start.
pub fn start(stack: Stack, options: ServerOptions) -> Result<Server, Unavailable> {
    let result = Server::start(stack, options);
    if let Err(unavailable) = &result {
        assert!(!skip::interop_is_required(), "{unavailable}, and KOIOS_REQUIRE_INTEROP=1 demands it");
    }
    result
}

/// Starts a server, or reports the running test as skipped: on `None` the test returns.
///
/// # Panics
///
/// As [`start`].
pub fn start_or_skip(stack: Stack, options: ServerOptions) -> Option<Server> {
    match start(stack, options) {
        Ok(server) => {
            skip::ran(stack.name());
            Some(server)
        }
        Err(unavailable) => {
            skip(stack.name(), &unavailable.reason);
            None
        }
    }
}

/// A running OPC UA server, stopped when dropped.
#[derive(Debug)]
pub struct Server {
    /// `opc.tcp://127.0.0.1:<port>/`.
    pub endpoint_url: String,
    /// Its PKI folder.
    pub pki: PkiFolders,
    stack: Stack,
    options: ServerOptions,
    certificate: TestCertificate,
    /// `None` while it is stopped.
    running: Option<Running>,
    _temporary: Option<TempDir>,
}

impl Server {
    fn start(stack: Stack, mut options: ServerOptions) -> Result<Self, Unavailable> {
        if let Some(reason) = stack.implementation().missing() {
            return Err(Unavailable { stack, reason });
        }
        let (root, temporary) = match &options.pki_dir {
            Some(root) => (root.clone(), None),
            None => {
                let folder = tempfile::Builder::new().prefix("koios-").tempdir().expect("a temporary folder");
                (folder.path().to_owned(), Some(folder))
            }
        };
        let pki = stack.implementation().folders(root);
        pki.create().expect("a writable PKI folder");
        let certificate = options.certificate.make(&options);
        let mut server = Self {
            endpoint_url: String::new(),
            pki,
            stack,
            options: options.clone(),
            certificate,
            running: None,
            _temporary: temporary,
        };
        for der in options.trusted.drain(..) {
            server.trust_der(&der);
        }
        server.resume();
        Ok(server)
    }

    /// The TCP port; it stays the same over [`stop`](Self::stop) and [`resume`](Self::resume).
    pub fn port(&self) -> u16 {
        self.options.port
    }

    /// Which implementation it is.
    pub fn stack(&self) -> Stack {
        self.stack
    }

    /// The name it tells its clients.
    pub fn application_name(&self) -> &str {
        &self.options.application_name
    }

    /// The URI it tells its clients.
    pub fn application_uri(&self) -> &str {
        &self.options.application_uri
    }

    /// Its own certificate.
    pub fn certificate(&self) -> &TestCertificate {
        &self.certificate
    }

    /// Stops it: the port is closed, connections are cut.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Starts it again after [`stop`](Self::stop), on the same port, with the same PKI folder.
    ///
    /// # Panics
    ///
    /// When it is running already, or does not start.
    pub fn resume(&mut self) {
        assert!(self.running.is_none(), "the server is running");
        let implementation = self.stack.implementation();
        let (port, running) = implementation.start(&self.options, &self.certificate, &self.pki);
        self.options.port = port;
        self.endpoint_url = format!("opc.tcp://127.0.0.1:{port}/");
        self.running = Some(running);
    }

    /// Stops it and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.resume();
    }

    /// Stops it, gives it another certificate, and starts it again on the same port.
    pub fn replace_certificate(&mut self, certificate: ServerCertificate) {
        self.stop();
        self.certificate = certificate.make(&self.options);
        self.options.certificate = certificate;
        self.resume();
    }

    /// The files that the server has put into its rejected folder.
    pub fn rejected_certificates(&self) -> Vec<PathBuf> {
        self.pki.rejected_files()
    }

    /// Waits until the server has rejected the certificate with this SHA-1 thumbprint (hexadecimal, any case), and
    /// returns the file.
    ///
    /// # Panics
    ///
    /// When no such file appears within ten seconds, or the stack writes none (asyncua).
    #[track_caller]
    pub fn wait_for_rejected(&self, sha1: &str) -> PathBuf {
        assert!(self.pki.rejected.is_some(), "{} keeps no rejected certificates", self.stack);
        wait_for(|| self.pki.rejected_file(sha1))
            .unwrap_or_else(|| panic!("{sha1} is not among the rejected: {:?}", self.rejected_certificates()))
    }

    /// Does what the server's operator would do: moves the file with this SHA-1 thumbprint from the rejected to the
    /// trusted folder, under its name; returns where it is now.
    ///
    /// # Panics
    ///
    /// As [`wait_for_rejected`](Self::wait_for_rejected).
    #[track_caller]
    pub fn trust_rejected(&self, sha1: &str) -> PathBuf {
        let rejected = self.wait_for_rejected(sha1);
        let trusted = self.pki.trusted.join(rejected.file_name().expect("a file has a name"));
        fs::rename(&rejected, &trusted).expect("both folders are on one file system");
        trusted
    }

    /// Puts this certificate (DER) into the trusted folder under the name that the stack wants, and takes it out of the
    /// rejected folder.
    ///
    /// Without [`Ability::LiveTrust`] the server notices at its next start. node-opcua watches its folders and may need up to
    /// two seconds.
    pub fn trust_der(&self, der: &[u8]) -> PathBuf {
        let trusted = self.pki.trusted.join(self.stack.implementation().file_name(der));
        fs::write(&trusted, der).expect("a writable trusted folder");
        if let Some(rejected) = self.pki.rejected_file(&crate::certificate::sha1(der)) {
            fs::remove_file(rejected).expect("a writable rejected folder");
        }
        trusted
    }

    /// Takes the certificate with this SHA-1 thumbprint (hexadecimal, any case) out of the trusted folder.
    ///
    /// # Panics
    ///
    /// When it is not there.
    #[track_caller]
    pub fn distrust(&self, sha1: &str) {
        let file = self.pki.trusted_file(sha1).unwrap_or_else(|| panic!("{sha1} is not among the trusted"));
        fs::remove_file(file).expect("a writable trusted folder");
    }

    /// Suspends the process: its sockets stay open, nothing answers. Child processes only.
    ///
    /// # Panics
    ///
    /// When the server runs inside the test process.
    pub fn freeze(&self) {
        self.child().freeze();
    }

    /// Lets a suspended process go on.
    ///
    /// # Panics
    ///
    /// When the server runs inside the test process.
    pub fn thaw(&self) {
        self.child().thaw();
    }

    /// What the server has printed; empty for async-opcua.
    pub fn log(&self) -> String {
        match &self.running {
            Some(Running::Child(child)) => child.log(),
            Some(Running::InProcess(_)) | None => String::new(),
        }
    }

    fn child(&self) -> &child::Child {
        match &self.running {
            Some(Running::Child(child)) => child,
            Some(Running::InProcess(_)) | None => {
                panic!("{} runs in no process of its own now", self.stack)
            }
        }
    }
}

/// This machine's name, when it can stand in a certificate.
fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
    let fits =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    (fits && name != "localhost").then_some(name)
}

/// Asks until there is an answer, for ten seconds at most.
fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > end {
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

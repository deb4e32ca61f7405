//! A stand-in for the Prosys OPC UA Simulation Server, which cannot be had everywhere.

mod gate;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use opcua::server::{ANONYMOUS_USER_TOKEN_ID, ServerBuilder, ServerConfig, ServerEndpoint};
use opcua::types::BuildInfo;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::host_name;
use super::stack::async_opcua::{bind, security_mode, security_policy, serve};
use crate::pki_folders::write_private_key;
use crate::{CertificateSpec, Mode, Policy, San, TestCertificate, TestKey};

/// A server with the identity, the endpoints, the PKI folder and the file names of the Prosys OPC UA Simulation Server.
///
/// Sessions are async-opcua's. Before it stands what decides whether a client's certificate is trusted, as the product's
/// stack does it: at OpenSecureChannel, by what lies in `<PKI>/CA/certs` and `<PKI>/CA/rejected` at that moment. A stranger
/// is answered `Bad_SecurityChecksFailed`, and its certificate filed as `CA/rejected/<SHA-1 in upper-case hex>.der`; a copy
/// that stays there is a veto. It stops when dropped.
#[derive(Debug)]
pub struct ProsysStandIn {
    /// `opc.tcp://127.0.0.1:<port>/OPCUA/SimulationServer`.
    pub endpoint_url: String,
    folders: Folders,
    certificate: TestCertificate,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _state: TempDir,
}

impl ProsysStandIn {
    /// Starts it on this port of 127.0.0.1 (0 takes a free one) with its PKI in that folder; it answers when this returns.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    ///
    /// # Panics
    ///
    /// When the port stays taken.
    pub fn start(pki_dir: &Path, port: u16) -> io::Result<Self> {
        let folders = Folders::create(pki_dir)?;
        let identity = Identity::of_this_host();
        let certificate = identity.certificate();
        folders.keep_own(&identity, &certificate)?;
        let state = tempfile::Builder::new().prefix("prosys-stand-in-").tempdir()?;
        let (front, back) = listeners(port);
        let address = front.local_addr()?;
        front.set_nonblocking(true)?;
        back.set_nonblocking(true)?;
        let config = configuration(&identity, &certificate, state.path(), address.port())?;

        let (stop, stopped) = oneshot::channel();
        let (started, is_started) = mpsc::channel();
        let gate = gate::Gate::new(folders.clone(), back.local_addr()?);
        let thread = thread::Builder::new().name("prosys-stand-in".to_owned()).spawn(move || {
            serve(config, build_info(), back, &started, async {
                tokio::select! {
                    result = gate.run(front) => result.expect("the port stays open"),
                    _ = stopped => {}
                }
            });
        })?;
        is_started.recv().expect("the server starts; its reason stands above");
        Ok(Self {
            endpoint_url: format!("opc.tcp://{address}{PATH}"),
            folders,
            certificate,
            stop: Some(stop),
            thread: Some(thread),
            _state: state,
        })
    }

    /// `<PKI>/CA/certs`: what lies here is trusted.
    pub fn trusted(&self) -> &Path {
        &self.folders.trusted
    }

    /// `<PKI>/CA/rejected`: refused certificates, and a veto for as long as they lie here.
    pub fn rejected(&self) -> &Path {
        &self.folders.rejected
    }

    /// Its own certificate.
    pub fn certificate(&self) -> &TestCertificate {
        &self.certificate
    }
}

impl Drop for ProsysStandIn {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there has been printed there.
            let _ = thread.join();
        }
    }
}

/// Where the product keeps certificates.
#[derive(Clone, Debug)]
struct Folders {
    trusted: PathBuf,
    rejected: PathBuf,
    private: PathBuf,
}

impl Folders {
    fn create(pki_dir: &Path) -> io::Result<Self> {
        let authority = pki_dir.join("CA");
        let folders = Self {
            trusted: authority.join("certs"),
            rejected: authority.join("rejected"),
            private: authority.join("private"),
        };
        for folder in [&folders.trusted, &folders.rejected, &folders.private] {
            fs::create_dir_all(folder)?;
        }
        Ok(folders)
    }

    fn keep_own(&self, identity: &Identity, certificate: &TestCertificate) -> io::Result<()> {
        let name = format!("{}_{KEY_BITS}", identity.application_name);
        fs::write(self.private.join(format!("{name}.der")), certificate.der())?;
        write_private_key(&self.private.join(format!("{name}.pem")), certificate.key_pem())
    }
}

struct Identity {
    application_name: String,
    application_uri: String,
}

impl Identity {
    fn of_this_host() -> Self {
        let host = host_name().unwrap_or_else(|| "localhost".to_owned());
        Self {
            application_name: format!("SimulationServer@{host}"),
            application_uri: format!("urn:{host}:OPCUA:SimulationServer"),
        }
    }

    fn certificate(&self) -> TestCertificate {
        let mut spec = CertificateSpec {
            // A slot that no client in tests uses.
            key: TestKey::shared(KEY_BITS, 203),
            ..CertificateSpec::application(&self.application_uri).named(&self.application_name)
        };
        spec.san.extend(host_name().map(San::Dns));
        spec.make()
    }
}

/// One port on two loopback addresses: async-opcua announces the port that it listens at, and wants it in every HELLO.
fn listeners(port: u16) -> (TcpListener, TcpListener) {
    for _ in 0..100 {
        let front = bind(port);
        let port = front.local_addr().expect("a bound listener has an address").port();
        if let Ok(back) = TcpListener::bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), port))) {
            return (front, back);
        }
    }
    panic!("no port is free on both 127.0.0.1 and 127.0.0.2");
}

fn configuration(
    identity: &Identity,
    certificate: &TestCertificate,
    state: &Path,
    port: u16,
) -> io::Result<ServerConfig> {
    fs::write(state.join("own.der"), certificate.der())?;
    write_private_key(&state.join("own.pem"), certificate.key_pem())?;
    let users = [ANONYMOUS_USER_TOKEN_ID.to_owned()];
    let mut builder = ServerBuilder::new()
        .application_name(&identity.application_name)
        .application_uri(&identity.application_uri)
        .product_uri(PRODUCT_URI)
        .create_sample_keypair(false)
        .pki_dir(state)
        .certificate_path("own.der")
        .private_key_path("own.pem")
        // Trust is decided before it, all other checks are its own.
        .trust_client_certs(true)
        .check_cert_time(true)
        .host("127.0.0.1")
        .port(port)
        .discovery_urls(vec![PATH.to_owned()])
        .add_endpoint("none", ServerEndpoint::new_none(PATH, &users));
    for policy in Policy::RSA {
        for mode in Mode::ALL {
            let endpoint = ServerEndpoint::new(PATH, security_policy(policy), security_mode(mode), &users);
            builder = builder.add_endpoint(format!("{}-{}", policy.name(), mode.name()), endpoint);
        }
    }
    Ok(builder.config().clone())
}

fn build_info() -> BuildInfo {
    BuildInfo {
        product_uri: PRODUCT_URI.into(),
        manufacturer_name: "Prosys OPC Ltd".into(),
        product_name: "SimulationServer".into(),
        software_version: "stand-in".into(),
        ..BuildInfo::default()
    }
}

const PRODUCT_URI: &str = "urn:prosysopc.com:OPCUA:SimulationServer";
const PATH: &str = "/OPCUA/SimulationServer";
const KEY_BITS: u32 = 2048;

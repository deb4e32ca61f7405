//! Our client: a process that connects many times, and the protocol alone, whose allocations are counted.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allocation_counter::AllocationInfo;
use koios_channel::{
    CertificateSending, ClientIdentity, Conversation, Deadline, EndpointUrl, Event, Limits, Security,
    SecurityMode, SecurityPolicy, SessionRequest, SystemRandom, Timing, UserIdentity, connect, resolve,
};
use koios_pki::{CertificateChain, PrivateKey, PrivateKeyPem};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::Result;
use crate::scene::{APPLICATION_URI, Scene};

/// What the client process does.
#[tokio::main(worker_threads = 2)]
pub(crate) async fn visit_often(configuration: &Value) -> Result<()> {
    let text = |name: &str| configuration[name].as_str().ok_or_else(|| format!("{name} is missing"));
    let count = |name: &str| configuration[name].as_u64().unwrap_or(0);
    let (certificate, key) = (text("certificateFile")?, text("privateKeyFile")?);
    let visitor = Visitor::new(text("url")?, certificate.as_ref(), key.as_ref()).await?;

    let mut iterations = Vec::new();
    for run in 0..count("warmup") + count("iterations") {
        let (wall, cpu) = (Instant::now(), cpu_time());
        visitor.visit().await?;
        if run >= count("warmup") {
            iterations.push(json!({
                "wall_ms": wall.elapsed().as_secs_f64() * 1e3,
                "cpu_ms": (cpu_time() - cpu).as_secs_f64() * 1e3,
            }));
        }
    }
    println!("{}", json!({ "client": "koios-channel", "iterations": iterations }));
    Ok(())
}

/// What the protocol allocates for one connect. The driver around it computes on several threads, which cannot be counted
/// together; so the conversation is held here, on a blocking socket.
pub(crate) fn allocations(scene: &Scene) -> Result<AllocationInfo> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let own = &scene.own;
    let visitor =
        runtime.block_on(Visitor::new(&scene.server.endpoint_url, &own.certificate, &own.private_key))?;
    // What is set up once in a process is not what each connect allocates.
    visitor.converse(&mut Wire::connect(&visitor.addresses)?)?;
    let mut wire = Wire::connect(&visitor.addresses)?;
    let mut outcome = Ok(());
    let allocated = allocation_counter::measure(|| outcome = visitor.converse(&mut wire));
    outcome.map(|()| allocated)
}

/// Who knows where to go, and with what.
struct Visitor {
    url: EndpointUrl,
    addresses: Vec<SocketAddr>,
    identity: Arc<ClientIdentity>,
    server_certificate: CertificateChain,
    request: SessionRequest,
}

impl Visitor {
    /// Fetches the endpoints.
    async fn new(url: &str, certificate: &Path, private_key: &Path) -> Result<Self> {
        let url = EndpointUrl::parse(url)?;
        let chain = CertificateChain::from_pem(&fs::read(certificate)?)?;
        let key = PrivateKey::from_pem(&PrivateKeyPem::from_bytes(fs::read(private_key)?))?;
        let identity = Arc::new(ClientIdentity::new(chain, key)?);

        let deadline = Deadline::after(PATIENCE);
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

    fn security(&self) -> Security {
        Security::Secure {
            policy: SecurityPolicy::Basic256Sha256,
            mode: SecurityMode::SignAndEncrypt,
            identity: Arc::clone(&self.identity),
            server_certificate: self.server_certificate.clone(),
            sending: CertificateSending::Chain,
        }
    }

    async fn visit(&self) -> Result<()> {
        let deadline = Deadline::after(PATIENCE);
        let connection = connect(&self.addresses, deadline).await?;
        let transport = connection.hello(&self.url, Limits::default(), deadline).await?;
        let channel = transport.open(self.security(), deadline).await?;
        let created = channel.create_session(self.request.clone(), deadline).await?;
        created.activate(&UserIdentity::Anonymous, deadline).await?.close(deadline).await?;
        Ok(())
    }

    /// As [`visit`](Self::visit), without the driver.
    fn converse(&self, wire: &mut Wire) -> Result<()> {
        let mut conversation = Conversation::new(Limits::default(), SystemRandom);
        let hello = conversation.hello(&self.url)?;
        wire.exchange(&mut conversation, &hello)?;
        let open = conversation.open(self.security(), timing())?;
        wire.exchange(&mut conversation, &open)?;
        let create = conversation.create_session(self.request.clone(), timing())?;
        wire.exchange(&mut conversation, &create)?;
        let activate = conversation.activate_session(&UserIdentity::Anonymous, timing())?;
        wire.exchange(&mut conversation, &activate)?;
        let close = conversation.close_session(timing())?;
        wire.exchange(&mut conversation, &close)?;
        wire.stream.write_all(&conversation.close(timing())?)?;
        Ok(())
    }
}

/// A blocking connection that allocates nothing on its way.
struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    fn connect(addresses: &[SocketAddr]) -> Result<Self> {
        let stream = TcpStream::connect(addresses)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; 8 * 1024] })
    }

    fn exchange(&mut self, conversation: &mut Conversation, request: &[u8]) -> Result<Event> {
        self.stream.write_all(request)?;
        loop {
            if let Some(event) = conversation.poll()? {
                return Ok(event);
            }
            let len = self.stream.read(&mut self.buffer)?;
            if len == 0 {
                return Err(conversation.closed().into());
            }
            conversation.receive(self.buffer.get(..len).unwrap_or_default());
        }
    }
}

fn timing() -> Timing {
    Timing { now: OffsetDateTime::now_utc(), timeout: PATIENCE }
}

/// CPU time of all threads of this process.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

const PATIENCE: Duration = Duration::from_secs(30);

//! Many open sessions in one process: memory and CPU of each, and reads per second, beside async-opcua's client.
//!
//! `cargo build --release -p koios-testkit --example bench-client`, then `cargo bench -p koios-channel --bench sessions`, on
//! a quiet machine. The server is open62541. Each client is a process of its own; memory is what it holds more once the
//! sessions are open.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use koios_channel::{
    CertificateSending, ClientIdentity, Deadline, EndpointUrl, Limits, Security, SecurityMode,
    SecurityPolicy, SessionRequest, UserIdentity, connect, resolve,
};
use koios_pki::{CertificateChain, PrivateKey, PrivateKeyPem};
use koios_testkit::{CertificateSpec, ServerOptions, Stack};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, configuration] = arguments.as_slice()
        && flag == CLIENT
    {
        return hold(&serde_json::from_str(configuration)?);
    }
    let certificate = CertificateSpec::application(APPLICATION_URI).with_shared_key(2048, 0).make();
    let server = match koios_testkit::start(Stack::Open62541, ServerOptions::trusting(&[&certificate])) {
        Ok(server) => server,
        Err(unavailable) => {
            println!("{unavailable}");
            return Ok(());
        }
    };
    let folder = tempfile::tempdir()?;
    let certificate_file = folder.path().join("certificate.pem");
    let key_file = folder.path().join("private-key.pem");
    fs::write(&certificate_file, certificate.pem())?;
    fs::write(&key_file, certificate.key_pem())?;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("Open sessions at open62541: Basic256Sha256, SignAndEncrypt, RSA 2048, {cores} cores");
    println!();
    println!(
        "| sessions | client | KiB each | CPU ms to open each | reads/s | CPU µs per read | CPU per read / async-opcua's |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (sessions, reads) in [(1_u32, 5000_u32), (100, 200), (1000, 20)] {
        let configuration = json!({
            "url": server.endpoint_url,
            "certificateFile": certificate_file,
            "privateKeyFile": key_file,
            "applicationUri": APPLICATION_URI,
            "sessions": sessions,
            "reads": reads,
        });
        let configuration = configuration.to_string();
        let mut ours = Command::new(std::env::current_exe()?);
        ours.arg(CLIENT);
        let peer = Path::new(&std::env::current_exe()?)
            .ancestors()
            .nth(2)
            .map(|release| release.join("examples/bench-client"))
            .filter(|client| client.exists());
        let measured = [("koios-channel", Some(ours)), ("async-opcua", peer.map(Command::new))];
        let mut rows = Vec::new();
        for (name, command) in measured {
            let Some(mut command) = command else { continue };
            let output = command.arg(&configuration).output()?;
            if !output.status.success() {
                println!("| {sessions} | {name} | {} |", String::from_utf8_lossy(&output.stderr).trim());
                continue;
            }
            let text = String::from_utf8(output.stdout)?;
            let line = text.lines().rfind(|line| line.starts_with('{')).ok_or("no result")?;
            let result: Value = serde_json::from_str(line)?;
            let number = |group: &str, name: &str| result[group][name].as_f64().unwrap_or(f64::NAN);
            let all = f64::from(sessions) * f64::from(reads);
            rows.push((
                name,
                number("opened", "rss_kib") / f64::from(sessions),
                number("opened", "cpu_ms") / f64::from(sessions),
                all / (number("read", "wall_ms") / 1e3),
                number("read", "cpu_ms") * 1e3 / all,
            ));
        }
        let peers = rows.iter().find(|row| row.0 == "async-opcua").map(|row| row.4);
        for (name, memory, open, rate, cpu) in &rows {
            let ratio = peers.map_or_else(String::new, |peers| format!("{:.2}", cpu / peers));
            println!("| {sessions} | {name} | {memory:.0} | {open:.2} | {rate:.0} | {cpu:.0} | {ratio} |");
        }
    }
    Ok(())
}

/// What a client process does.
#[tokio::main(worker_threads = 2)]
async fn hold(configuration: &Value) -> Result<()> {
    let text = |name: &str| configuration[name].as_str().ok_or_else(|| format!("{name} is missing"));
    let count = |name: &str| configuration[name].as_u64().unwrap_or(1);
    let url = EndpointUrl::parse(text("url")?)?;
    let chain = CertificateChain::from_pem(&fs::read(text("certificateFile")?)?)?;
    let key = PrivateKeyPem::from_bytes(fs::read(text("privateKeyFile")?)?);
    let identity = Arc::new(ClientIdentity::new(chain, PrivateKey::from_pem(&key)?)?);
    let deadline = Deadline::after(PATIENCE);
    let addresses = resolve(&url, deadline).await?;
    let transport = connect(&addresses, deadline).await?.hello(&url, Limits::default(), deadline).await?;
    let mut discovery = transport.open(Security::None, deadline).await?;
    let endpoints = discovery.get_endpoints(&url, deadline).await?;
    discovery.close(deadline).await;
    let (policy, mode) = (SecurityPolicy::Basic256Sha256, SecurityMode::SignAndEncrypt);
    let endpoint = endpoints
        .iter()
        .find(|found| found.security_policy == Some(policy) && found.security_mode == Some(mode))
        .ok_or("the server offers no such endpoint")?;
    let blob = endpoint.server_certificate.as_deref().ok_or("the endpoint has no certificate")?;
    let server_certificate = CertificateChain::from_der_blob(blob, 10)?;
    let mut request = SessionRequest::new(url.clone(), endpoint.clone(), text("applicationUri")?);
    request.expected_endpoints = endpoints.clone();

    let (memory, cpu) = (resident_kib()?, cpu_time());
    let mut open = Vec::new();
    for _ in 0..count("sessions") {
        let security = Security::Secure {
            policy,
            mode,
            identity: Arc::clone(&identity),
            server_certificate: server_certificate.clone(),
            sending: CertificateSending::Chain,
        };
        let transport = connect(&addresses, deadline).await?.hello(&url, Limits::default(), deadline).await?;
        let channel = transport.open(security, deadline).await?;
        let created = channel.create_session(request.clone(), deadline).await?;
        open.push(created.activate(&UserIdentity::Anonymous, deadline).await?);
    }
    let opened = json!({
        "rss_kib": resident_kib()? - memory,
        "cpu_ms": (cpu_time() - cpu).as_secs_f64() * 1e3,
    });
    let (wall, cpu) = (Instant::now(), cpu_time());
    let mut readers = tokio::task::JoinSet::new();
    let reads = count("reads");
    for mut session in open {
        readers.spawn(async move {
            for _ in 0..reads {
                session.read_server_status(deadline).await?;
            }
            Ok::<_, koios_channel::ChannelError>(session)
        });
    }
    let mut open = Vec::new();
    while let Some(reader) = readers.join_next().await {
        open.push(reader??);
    }
    let read = json!({
        "wall_ms": wall.elapsed().as_secs_f64() * 1e3,
        "cpu_ms": (cpu_time() - cpu).as_secs_f64() * 1e3,
    });
    println!("{}", json!({ "client": "koios-channel", "opened": opened, "read": read }));
    Ok(())
}

fn resident_kib() -> Result<i64> {
    let statistics = fs::read_to_string("/proc/self/statm")?;
    let pages: i64 = statistics.split(' ').nth(1).ok_or("no resident pages")?.parse()?;
    Ok(pages * 4)
}

/// CPU time of all threads of this process.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

const APPLICATION_URI: &str = "urn:koios:bench:client";
/// Makes this program a client.
const CLIENT: &str = "--client";
/// For all of it.
const PATIENCE: Duration = Duration::from_secs(600);

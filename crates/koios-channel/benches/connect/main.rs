//! Connect → open secure channel → create and activate session → close, against the same server: this crate, the
//! client of node-opcua and that of async-opcua, side by side.
//!
//! `cargo build --release -p koios-testkit --example bench-client`, then
//! `cargo bench -p koios-channel --bench connect [-- RUNS]`, 30 runs of each unless told; on a quiet machine. Each
//! client is a process of its own that tells wall and CPU time of each of its iterations; the clients take turns in
//! blocks, so that all meet the same disturbances. Endpoints are fetched, and our key is parsed, before the clock
//! starts; the peers load their keys themselves, as they do for every connect. The floor, in the same run, is the CPU time
//! of the RSA operations that no client can do without.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use koios_channel::{
    CertificateSending, ClientIdentity, Deadline, EndpointUrl, Limits, Security, SecurityMode,
    SecurityPolicy, SessionRequest, UserIdentity, connect, resolve,
};
use koios_pki::{CertificateChain, EncryptionScheme, PrivateKey, PrivateKeyPem, SignatureScheme};
use koios_testkit::{CertificateSpec, ServerOptions, Stack, TestCertificate};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, configuration] = arguments.as_slice()
        && flag == CLIENT
    {
        return visit_often(&serde_json::from_str(configuration)?);
    }
    let runs = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(30_usize).max(1);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "Connect, session, close: Basic256Sha256, SignAndEncrypt, medians of {runs} runs on {cores} cores"
    );
    println!();
    println!("| server | key bits | client | wall ms | CPU ms | CPU / node-opcua's | CPU / floor |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for stack in Stack::ALL.into_iter().chain([Stack::Open62541]) {
        for bits in [2048, 4096] {
            compare(stack, bits, runs)?;
        }
    }
    Ok(())
}

/// The rows of one server.
fn compare(stack: Stack, bits: u32, runs: usize) -> Result<()> {
    let certificate = CertificateSpec::application(APPLICATION_URI).with_shared_key(bits, 0).make();
    let options = ServerOptions { key_bits: bits, ..ServerOptions::trusting(&[&certificate]) };
    let server = match koios_testkit::start(stack, options) {
        Ok(server) => server,
        Err(unavailable) => {
            println!("| {stack} | {bits} | {unavailable} | | | | |");
            return Ok(());
        }
    };
    let folder = tempfile::tempdir()?;
    let certificate_file = folder.path().join("certificate.pem");
    let key_file = folder.path().join("private-key.pem");
    fs::write(&certificate_file, certificate.pem())?;
    fs::write(&key_file, certificate.key_pem())?;
    let configuration = |iterations: usize| {
        json!({
            "url": server.endpoint_url,
            "certificateFile": certificate_file,
            "privateKeyFile": key_file,
            "applicationUri": APPLICATION_URI,
            "policy": "Basic256Sha256",
            "mode": "SignAndEncrypt",
            "iterations": iterations,
            "warmup": 2,
        })
        .to_string()
    };

    let mut measured = [const { Vec::new() }; 3];
    let mut left = runs;
    while left > 0 {
        let block = left.min(BLOCK);
        left -= block;
        for (client, times) in Client::ALL.into_iter().zip(&mut measured) {
            times.extend(client.run(&configuration(block))?);
        }
    }
    let floor = floor(&certificate)?;
    println!("| {stack} | {bits} | floor | | {floor:.2} | | 1.00 |");
    let medians = measured.map(median);
    let node = medians.get(1).copied().flatten();
    for (client, median) in Client::ALL.into_iter().zip(medians) {
        let Some((wall, cpu)) = median else {
            println!("| {stack} | {bits} | {} | not installed | | | |", client.name());
            continue;
        };
        let ratio = node.map_or_else(String::new, |(_, node)| format!("{:.2}", cpu / node));
        let over = cpu / floor;
        println!("| {stack} | {bits} | {} | {wall:.1} | {cpu:.2} | {ratio} | {over:.2} |", client.name());
    }
    Ok(())
}

/// The CPU time in ms of what RSA costs a client with this key: two signatures, the answer to OPN decrypted, which takes
/// two blocks with a server key of the same length, two verifications, the request of OPN encrypted.
fn floor(certificate: &TestCertificate) -> Result<f64> {
    let key = PrivateKeyPem::from_bytes(certificate.key_pem().as_bytes().to_vec());
    let key = PrivateKey::from_pem(&key)?.into_rsa().ok_or("an RSA key")?;
    let (scheme, encryption) = (SignatureScheme::RsaPkcs1Sha256, EncryptionScheme::OaepSha1);
    let public = key.public_key();
    let request = vec![0xA5; certificate.der().len() + 2 * key.modulus_len()];
    let message = b"what is signed".as_slice();
    let signature = key.sign(scheme, message)?;
    let block = public.encrypt_block(encryption, &[0xA5; 100])?;
    let mut times = Vec::new();
    for _ in 0..FLOORS {
        let cpu = cpu_time();
        for _ in 0..2 {
            std::hint::black_box(key.sign(scheme, message)?);
            std::hint::black_box(key.decrypt_block(encryption, &block)?);
            std::hint::black_box(public.verify(scheme, message, &signature));
        }
        for part in request.chunks(public.max_plain_len(encryption)) {
            std::hint::black_box(public.encrypt_block(encryption, part)?);
        }
        times.push((0.0, (cpu_time() - cpu).as_secs_f64() * 1e3));
    }
    Ok(median(times).ok_or("no run")?.1)
}

#[derive(Clone, Copy)]
enum Client {
    Ours,
    NodeOpcua,
    AsyncOpcua,
}

impl Client {
    const ALL: [Self; 3] = [Self::Ours, Self::NodeOpcua, Self::AsyncOpcua];

    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "koios-channel",
            Self::NodeOpcua => "node-opcua",
            Self::AsyncOpcua => "async-opcua",
        }
    }

    /// Wall and CPU time of each iteration, in ms; nothing when the client is not installed.
    fn run(self, configuration: &str) -> Result<Vec<(f64, f64)>> {
        let command = match self {
            Self::Ours => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg(CLIENT);
                Some(command)
            }
            Self::NodeOpcua => koios_testkit::bench_client(Stack::NodeOpcua),
            Self::AsyncOpcua => async_opcua_client().map(Command::new),
        };
        let Some(mut command) = command else { return Ok(Vec::new()) };
        let output = command.arg(configuration).output()?;
        if !output.status.success() {
            return Err(format!("{}: {}", self.name(), String::from_utf8_lossy(&output.stderr)).into());
        }
        // node-opcua writes notices before the line that counts.
        let text = String::from_utf8(output.stdout)?;
        let line = text.lines().rfind(|line| line.starts_with('{')).ok_or("no result")?;
        let result: Value = serde_json::from_str(line)?;
        let iterations = result["iterations"].as_array().ok_or("no iterations")?;
        Ok(iterations
            .iter()
            .filter_map(|iteration| Some((iteration["wall_ms"].as_f64()?, iteration["cpu_ms"].as_f64()?)))
            .collect())
    }
}

/// Beside our own executable's folder, `target/release/deps`.
fn async_opcua_client() -> Option<PathBuf> {
    let executable = std::env::current_exe().ok()?;
    let client = executable.parent()?.parent()?.join("examples/bench-client");
    client.exists().then_some(client)
}

fn median(mut times: Vec<(f64, f64)>) -> Option<(f64, f64)> {
    let middle = times.len() / 2;
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let wall = times.get(middle)?.0;
    times.sort_by(|a, b| a.1.total_cmp(&b.1));
    Some((wall, times.get(middle)?.1))
}

/// What a client process does.
#[tokio::main(worker_threads = 2)]
async fn visit_often(configuration: &Value) -> Result<()> {
    let text = |name: &str| configuration[name].as_str().ok_or_else(|| format!("{name} is missing"));
    let count = |name: &str| configuration[name].as_u64().unwrap_or(0);
    let url = EndpointUrl::parse(text("url")?)?;
    let application_uri = text("applicationUri")?;
    let chain = CertificateChain::from_pem(&fs::read(text("certificateFile")?)?)?;
    let key =
        PrivateKey::from_pem(&PrivateKeyPem::from_bytes(fs::read(Path::new(text("privateKeyFile")?))?))?;
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
    let mut request = SessionRequest::new(url.clone(), endpoint.clone(), application_uri);
    request.expected_endpoints = endpoints.clone();

    let mut iterations = Vec::new();
    for run in 0..count("warmup") + count("iterations") {
        let (wall, cpu) = (Instant::now(), cpu_time());
        let deadline = Deadline::after(PATIENCE);
        let security = Security::Secure {
            policy: SecurityPolicy::Basic256Sha256,
            mode: SecurityMode::SignAndEncrypt,
            identity: Arc::clone(&identity),
            server_certificate: server_certificate.clone(),
            sending: CertificateSending::Chain,
        };
        let transport = connect(&addresses, deadline).await?.hello(&url, Limits::default(), deadline).await?;
        let channel = transport.open(security, deadline).await?;
        let created = channel.create_session(request.clone(), deadline).await?;
        created.activate(&UserIdentity::Anonymous, deadline).await?.close(deadline).await?;
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

/// CPU time of all threads of this process.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

const APPLICATION_URI: &str = "urn:koios:bench:client";
/// Makes this program a client.
const CLIENT: &str = "--client";
/// Iterations of one client before the next has its turn.
const BLOCK: usize = 10;
/// Runs of the floor.
const FLOORS: usize = 51;
const PATIENCE: Duration = Duration::from_secs(30);

//! Connects, opens a session and closes it again, many times, with async-opcua's client: a peer for comparison.
//!
//! `bench-client '<configuration as JSON>'` with the members `url`, `certificateFile` and `privateKeyFile` (PEM),
//! `applicationUri`, `policy` (`Basic256Sha256`), `mode` (`SignAndEncrypt`), `iterations`, `warmup`; or with `sessions` and
//! `reads` instead of the last two: opens that many at once, reads the server's state as often on each, and prints what
//! that took.
//!
//! Prints one JSON object: wall and CPU time in milliseconds of each iteration after the warm-up, as
//! `fixtures/servers/node-opcua/client-bench.mjs` does. The endpoints are fetched once beforehand.

use std::error::Error;
use std::time::{Duration, Instant};

use opcua::client::{Client, ClientBuilder, IdentityToken};
use opcua::types::{EndpointDescription, MessageSecurityMode, ReadValueId, TimestampsToReturn, VariableId};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let Some(configuration) = std::env::args().nth(1) else {
        println!(
            "usage: bench-client '{{\"url\": …, \"certificateFile\": …, \"privateKeyFile\": …, \"applicationUri\": …}}'"
        );
        return Ok(());
    };
    let configuration: Value = serde_json::from_str(&configuration)?;
    let text = |name: &str, default: &str| configuration[name].as_str().unwrap_or(default).to_owned();
    let count = |name: &str, default: u64| configuration[name].as_u64().unwrap_or(default);
    let pki = tempfile::tempdir()?;
    let mut client = ClientBuilder::new()
        .application_name("bench-client")
        .application_uri(text("applicationUri", ""))
        .product_uri("urn:koios:test")
        .create_sample_keypair(false)
        .pki_dir(pki.path())
        .certificate_path(text("certificateFile", ""))
        .private_key_path(text("privateKeyFile", ""))
        .trust_server_certs(true)
        .verify_server_certs(false)
        .session_retry_limit(0)
        .client()
        .map_err(|problems| problems.join(", "))?;

    let url = text("url", "");
    let policy_uri =
        format!("http://opcfoundation.org/UA/SecurityPolicy#{}", text("policy", "Basic256Sha256"));
    let mode = MessageSecurityMode::from(text("mode", "SignAndEncrypt").as_str());
    let endpoints = client.get_server_endpoints_from_url(url.as_str()).await?;
    let mut endpoint = endpoints
        .into_iter()
        .find(|endpoint| {
            endpoint.security_policy_uri.as_ref() == policy_uri && endpoint.security_mode == mode
        })
        .ok_or("the server offers no such endpoint")?;
    // The server's idea of its name may not resolve here.
    endpoint.endpoint_url = url.into();

    if let Some(sessions) = configuration["sessions"].as_u64() {
        println!("{}", hold(&mut client, &endpoint, sessions, count("reads", 10)).await?);
        return Ok(());
    }
    for _ in 0..count("warmup", 3) {
        visit(&mut client, &endpoint).await?;
    }
    let mut iterations = Vec::new();
    for _ in 0..count("iterations", 30) {
        let (wall, cpu) = (Instant::now(), cpu_time());
        visit(&mut client, &endpoint).await?;
        iterations.push(json!({
            "wall_ms": wall.elapsed().as_secs_f64() * 1e3,
            "cpu_ms": (cpu_time() - cpu).as_secs_f64() * 1e3,
        }));
    }
    println!("{}", json!({ "client": "async-opcua", "version": "0.19", "iterations": iterations }));
    Ok(())
}

/// Many sessions at once; as `benches/sessions` of koios-channel does.
async fn hold(
    client: &mut Client,
    endpoint: &EndpointDescription,
    sessions: u64,
    reads: u64,
) -> Result<Value, Box<dyn Error>> {
    let (memory, wall, cpu) = (resident_kib()?, Instant::now(), cpu_time());
    let mut open = Vec::new();
    for _ in 0..sessions {
        let (session, event_loop) =
            client.connect_to_endpoint_directly(endpoint.clone(), IdentityToken::Anonymous)?;
        let mut event_loop = event_loop.spawn();
        tokio::select! {
            _ = session.wait_for_connection() => {}
            ended = &mut event_loop => return Err(format!("not connected: {}", ended?).into()),
        }
        open.push((session, event_loop));
    }
    let opened = json!({
        "rss_kib": resident_kib()? - memory,
        "wall_ms": wall.elapsed().as_secs_f64() * 1e3,
        "cpu_ms": (cpu_time() - cpu).as_secs_f64() * 1e3,
    });
    let (wall, cpu) = (Instant::now(), cpu_time());
    let mut readers = tokio::task::JoinSet::new();
    for (session, _) in &open {
        let session = std::sync::Arc::clone(session);
        readers.spawn(async move {
            for _ in 0..reads {
                let state = ReadValueId::new_value(VariableId::Server_ServerStatus.into());
                session.read(&[state], TimestampsToReturn::Neither, 0.0).await.expect("a value");
            }
        });
    }
    while let Some(reader) = readers.join_next().await {
        reader?;
    }
    let read = json!({ "wall_ms": wall.elapsed().as_secs_f64() * 1e3, "cpu_ms": (cpu_time() - cpu).as_secs_f64() * 1e3 });
    Ok(json!({ "client": "async-opcua", "opened": opened, "read": read }))
}

fn resident_kib() -> Result<i64, Box<dyn Error>> {
    let statistics = std::fs::read_to_string("/proc/self/statm")?;
    let pages: i64 = statistics.split(' ').nth(1).ok_or("no resident pages")?.parse()?;
    Ok(pages * 4)
}

async fn visit(client: &mut Client, endpoint: &EndpointDescription) -> Result<(), Box<dyn Error>> {
    let (session, event_loop) =
        client.connect_to_endpoint_directly(endpoint.clone(), IdentityToken::Anonymous)?;
    let mut event_loop = event_loop.spawn();
    tokio::select! {
        _ = session.wait_for_connection() => {}
        ended = &mut event_loop => return Err(format!("not connected: {}", ended?).into()),
    }
    session.disconnect().await?;
    event_loop.await?;
    Ok(())
}

/// CPU time of all threads of this process.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below one second"))
}

//! Many open sessions in one process: memory and CPU of each, and reads per second, with this crate and with the clients of
//! node-opcua, async-opcua, open62541 and asyncua.
//!
//! `cargo xtask fixtures` and `cargo build --release -p koios-testkit --example bench-client`, then
//! `cargo bench -p koios-channel --bench sessions [-- READS]`, 20,000 reads on all sessions together unless told; on a quiet
//! machine. The server is open62541, started anew for each client. Each client is a process of its own; memory is what it
//! holds more once the sessions are open.

#[path = "../common/client.rs"]
mod client;
mod ours;
#[path = "../common/scene.rs"]
mod scene;
#[path = "../common/spent.rs"]
mod spent;
#[path = "../common/visitor.rs"]
mod visitor;

use client::{Client, Task};
use koios_testkit::Stack;
use scene::Scene;
use serde_json::Value;
use spent::Spent;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, configuration] = arguments.as_slice()
        && flag == client::OURS
    {
        return ours::hold(&serde_json::from_str(configuration)?);
    }
    let reads = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(20_000_usize);
    if let Err(unavailable) = Scene::set(SERVER, KEY_BITS) {
        println!("{unavailable}");
        return Ok(());
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("Open sessions at {SERVER}: Basic256Sha256, SignAndEncrypt, RSA {KEY_BITS}, {cores} cores");
    println!();
    println!(
        "| sessions | client | KiB each | CPU ms to open each | reads/s | CPU µs per read | CPU per read / async-opcua's |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for sessions in [1, 100, 1000] {
        let measured = Client::ALL.map(|client| measure(client, sessions, (reads / sessions).max(1)));
        let peer = Client::ALL.iter().zip(&measured).find(|(client, _)| **client == Client::AsyncOpcua);
        let peer =
            peer.and_then(|(_, measured)| measured.as_ref().ok()?.as_ref()).map(|held| held.cpu_per_read);
        for (client, measured) in Client::ALL.into_iter().zip(&measured) {
            let row = match measured {
                Ok(Some(held)) => held.row(peer),
                Ok(None) => "not installed | | | |".to_owned(),
                Err(error) => format!("{} | | | |", error.to_string().replace('|', "/")),
            };
            println!("| {sessions} | {} | {row} |", client.name());
        }
    }
    Ok(())
}

/// What a client's sessions cost.
struct Held {
    kib_each: f64,
    cpu_ms_to_open_each: f64,
    reads_per_second: f64,
    /// In µs.
    cpu_per_read: f64,
}

/// Has the client open so many sessions, and read so often on each; `None` when it is not installed.
fn measure(client: Client, sessions: usize, reads: usize) -> Result<Option<Held>> {
    let scene = Scene::set(SERVER, KEY_BITS)?;
    let counts = [("sessions", sessions), ("reads", reads)];
    let task = Task { url: &scene.server.endpoint_url, own: &scene.own, counts };
    Ok(client
        .run(&task)?
        .as_ref()
        .map(|told| Held::from_json(told, sessions, reads).ok_or("an odd result"))
        .transpose()?)
}

impl Held {
    fn from_json(told: &Value, sessions: usize, reads: usize) -> Option<Self> {
        let sessions = f64::from(u32::try_from(sessions).ok()?);
        let reads = sessions * f64::from(u32::try_from(reads).ok()?);
        let (opened, read) = (Spent::from_json(&told["opened"])?, Spent::from_json(&told["read"])?);
        Some(Self {
            kib_each: told["opened"]["rss_kib"].as_f64()? / sessions,
            cpu_ms_to_open_each: opened.cpu_ms / sessions,
            reads_per_second: reads / (read.wall_ms / 1e3),
            cpu_per_read: read.cpu_ms * 1e3 / reads,
        })
    }

    /// The columns after the client's name.
    fn row(&self, peer: Option<f64>) -> String {
        let Self { kib_each, cpu_ms_to_open_each, reads_per_second, cpu_per_read } = self;
        let ratio = peer.map_or_else(String::new, |peer| format!("{:.2}", cpu_per_read / peer));
        format!(
            "{kib_each:.0} | {cpu_ms_to_open_each:.2} | {reads_per_second:.0} | {cpu_per_read:.0} | {ratio}"
        )
    }
}

const SERVER: Stack = Stack::Open62541;
/// Of both sides.
const KEY_BITS: u32 = 2048;

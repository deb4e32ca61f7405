//! Connect → open secure channel → create and activate session → close: this crate, and the clients of node-opcua,
//! async-opcua, open62541 and asyncua, side by side, each against the same servers.
//!
//! `cargo xtask fixtures` and `cargo build --release -p koios-testkit --example bench-client`, then
//! `cargo bench -p koios-channel --bench connect [-- RUNS]`, 30 runs of each unless told; on a quiet machine. The first
//! table is of times ([`times`]), the second of bytes and allocations ([`traffic`]).

#[path = "../common/client.rs"]
mod client;
mod floor;
mod ours;
mod proxy;
#[path = "../common/scene.rs"]
mod scene;
#[path = "../common/spent.rs"]
mod spent;
mod times;
mod traffic;
#[path = "../common/visitor.rs"]
mod visitor;
mod visits;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, configuration] = arguments.as_slice()
        && flag == client::OURS
    {
        return ours::visit_often(&serde_json::from_str(configuration)?);
    }
    let runs = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(30_usize).max(1);
    times::print(runs)?;
    println!();
    traffic::print()
}

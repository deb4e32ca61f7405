//! Wall and CPU time of each client with each server, and the floor.
//!
//! Each client is a process of its own that tells the times of each of its iterations; the clients take turns in blocks, so
//! that all meet the same disturbances. Endpoints are fetched, and our key is parsed, before the clock starts; the peers
//! load their keys when their own interface does it: open62541's and asyncua's clients once as well, node-opcua's and
//! async-opcua's for every connect. The floor, which takes its turns with them, is the CPU time of the RSA operations that no
//! client can do without.

use koios_testkit::Stack;

use crate::Result;
use crate::client::Client;
use crate::floor::Floor;
use crate::scene::Scene;
use crate::spent::Spent;
use crate::visits::Visits;

pub(crate) fn print(runs: usize) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "Connect, session, close: Basic256Sha256, SignAndEncrypt, medians of {runs} runs on {cores} cores"
    );
    println!();
    println!("| server | key bits | client | wall ms | CPU ms | CPU / node-opcua's | CPU / floor |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for stack in Stack::COMMON.into_iter().chain([Stack::Open62541]) {
        for bits in [2048, 3072, 4096] {
            compare(stack, bits, runs)?;
        }
    }
    Ok(())
}

/// The rows of one server.
fn compare(stack: Stack, bits: u32, runs: usize) -> Result<()> {
    let scene = match Scene::set(stack, bits) {
        Ok(scene) => scene,
        Err(unavailable) => {
            println!("| {stack} | {bits} | {unavailable} | | | | |");
            return Ok(());
        }
    };
    let floor = Floor::of(&scene.own)?;
    let mut floors = Vec::new();
    let mut measured = Client::ALL.map(|_| Vec::new());
    let mut left = runs;
    while left > 0 {
        let block = left.min(BLOCK);
        left -= block;
        let visits =
            Visits { url: &scene.server.endpoint_url, own: &scene.own, warmup: WARMUP, iterations: block };
        for (client, times) in Client::ALL.into_iter().zip(&mut measured) {
            times.extend(visits.of(client)?.unwrap_or_default());
        }
        floors.extend(floor.measure(block)?);
    }
    let floor = median(floors).ok_or("no run")?;
    println!("| {stack} | {bits} | floor | | {floor:.2} | | 1.00 |");
    let medians = measured.map(|times| medians(&times));
    let node = Client::ALL.iter().zip(&medians).find(|(client, _)| **client == Client::NodeOpcua);
    let node = node.and_then(|(_, median)| *median);
    for (client, median) in Client::ALL.into_iter().zip(medians) {
        let Some(Spent { wall_ms, cpu_ms }) = median else {
            println!("| {stack} | {bits} | {} | not installed | | | |", client.name());
            continue;
        };
        let ratio = node.map_or_else(String::new, |node| format!("{:.2}", cpu_ms / node.cpu_ms));
        let over = cpu_ms / floor;
        println!(
            "| {stack} | {bits} | {} | {wall_ms:.1} | {cpu_ms:.2} | {ratio} | {over:.2} |",
            client.name()
        );
    }
    Ok(())
}

/// The median of each of the two; `None` of nothing.
fn medians(all: &[Spent]) -> Option<Spent> {
    let median_of = |time: fn(&Spent) -> f64| median(all.iter().map(time).collect());
    Some(Spent { wall_ms: median_of(|spent| spent.wall_ms)?, cpu_ms: median_of(|spent| spent.cpu_ms)? })
}

fn median(mut times: Vec<f64>) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

/// Iterations of one client before the next has its turn.
const BLOCK: usize = 10;
/// Iterations at the start of each block that do not count.
const WARMUP: usize = 2;

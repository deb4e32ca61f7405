//! Many clients at once, over every route of the API, while devices are connected: what `docs/RELIABILITY.md` reports.
//!
//! `cargo xtask load` runs the long form on a release build. `KOIOS_LOAD_SECONDS` makes it long; `KOIOS_LOAD_CLIENTS`,
//! `KOIOS_LOAD_DEVICES` and `KOIOS_LOAD_PAUSE_MS` (a client's mean pause between two calls) say how large it is.

mod calls;
mod client;
mod memory;
mod tally;

use std::{
    collections::BTreeSet,
    str::FromStr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use koios_testkit::{Mode, Policy, Server, ServerOptions, Stack, openssl, start_or_skip};
use serde_json::{Value, json};

use crate::{
    csr::Authority,
    daemon::{Daemon, Setup},
};
use calls::CALLS;
use client::{Client, Until};
use memory::Memory;
use tally::Tally;

/// Far beyond what it takes until all devices run.
const PATIENCE: Duration = Duration::from_secs(600);

/// Clients that call everything there is, then what chance says: nothing fails, the devices stay connected.
#[test]
fn many_clients_over_all_routes_see_no_error_while_devices_are_running() {
    if !openssl::available_or_skip() {
        return;
    }
    let seconds: u64 = number("KOIOS_LOAD_SECONDS", 0);
    let clients: u64 = number("KOIOS_LOAD_CLIENTS", 8);
    let devices: u32 = number("KOIOS_LOAD_DEVICES", 8);
    let pause = Duration::from_millis(number("KOIOS_LOAD_PAUSE_MS", 0));
    let options = ServerOptions {
        policies: vec![Policy::Basic256Sha256],
        modes: vec![Mode::SignAndEncrypt],
        max_sessions: Some(2 * devices + 1000),
        trusts_any: true,
        ..ServerOptions::default()
    };
    let Some(server) = start_or_skip(Stack::Open62541, options) else { return };
    let daemon = Setup::new().with_environment("KOIOS_LOG_LEVEL", "warn").start();
    import(&daemon, &server, devices);
    wait_until_all_run(&daemon, devices);

    let authority = Arc::new(Authority::new());
    let clients: Vec<Client> =
        (0..clients).map(|each| Client::new(each, &daemon, &server, &authority, pause)).collect();
    let count = clients.len();
    let memory = Memory::watch(daemon.pid());
    let begun = Instant::now();
    let until = match seconds {
        0 => Until::Calls(30),
        _ => Until::Time(begun + Duration::from_secs(seconds)),
    };
    let threads: Vec<_> =
        clients.into_iter().map(|client| thread::spawn(move || client.run(until))).collect();
    let mut tally = Tally::default();
    for thread in threads {
        tally.add(thread.join().expect("a client counts what goes wrong"));
    }
    let (took, memory) = (begun.elapsed(), memory.end());

    println!("{count} clients, {devices} devices running, {:.0} s, a pause of {pause:?}", took.as_secs_f64());
    println!("{}", tally.table(took));
    println!("memory: {memory}");
    println!("connects: {}", connects(&daemon));
    assert!(tally.wrong.is_empty(), "{} went wrong: {:#?}", tally.wrong.len(), tally.first_wrong());
    let called: BTreeSet<&str> = tally.operations().collect();
    let missing: Vec<String> =
        operations(&daemon).into_iter().filter(|operation| !called.contains(operation.as_str())).collect();
    assert!(missing.is_empty(), "operations that no client calls: {missing:?}");
    wait_until_all_run(&daemon, devices);
    if seconds >= 300 {
        assert!(memory.is_flat(), "{memory}");
    }
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

fn number<N: FromStr>(name: &str, otherwise: N) -> N {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Every operation of the document, as `GET /api/v1/certificates/{id}`.
fn operations(daemon: &Daemon) -> Vec<String> {
    let document = daemon.get("openapi.json").expect(200);
    let paths = document["paths"].as_object().expect("paths");
    let methods = |(path, item): (&String, &Value)| -> Vec<String> {
        let item = item.as_object().expect("operations");
        let methods =
            item.keys().filter(|key| ["get", "put", "post", "patch", "delete"].contains(&key.as_str()));
        methods.map(|method| format!("{} {path}", method.to_ascii_uppercase())).collect()
    };
    paths.iter().flat_map(methods).collect()
}

fn import(daemon: &Daemon, server: &Server, devices: u32) {
    let device = |number: u32| {
        json!({
            "name": format!("Fleet {number:04}"), "endpoint_url": server.endpoint_url, "enabled": true,
            "security_mode": "sign_and_encrypt", "scan_rate_seconds": 1, "timeout_seconds": 30
        })
    };
    let devices: Vec<Value> = (0..devices).map(device).collect();
    let done = daemon.post("devices/import", &json!({ "version": 1, "devices": devices })).expect(200);
    assert_eq!(done["errors"], json!([]));
}

fn wait_until_all_run(daemon: &Daemon, devices: u32) {
    let begun = Instant::now();
    loop {
        let page = daemon.get("devices?q=fleet&state=running&limit=1").expect(200);
        if page["total"] == devices {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{} of {devices} are running\n{}", page["total"], daemon.log());
        thread::sleep(Duration::from_millis(50));
    }
}

/// How connects have ended so far.
fn connects(daemon: &Daemon) -> String {
    let text = daemon.get("/metrics").text();
    let lines =
        text.lines().filter(|line| line.starts_with("koios_connects_total{") && !line.ends_with(" 0"));
    lines.collect::<Vec<_>>().join(", ")
}

#[test]
fn no_call_of_the_load_generates_often() {
    let all: u64 = CALLS.iter().map(|call| call.weight).sum();
    let generating: u64 = CALLS.iter().filter(|call| call.generates).map(|call| call.weight).sum();
    assert!(generating * 100 <= all, "{generating} of {all}");
}

//! A fleet of enabled devices: time until all run, what they cost while they do, and a certificate change for all of them.
//!
//! `cargo xtask fixtures`, then `cargo bench -p koiosd --bench fleet [-- DEVICES@SECONDS …]`, `1000@1 10000@10` unless told;
//! on a quiet machine that lets a process open as many files as there are devices. The servers are open62541's, in
//! processes of their own, with RSA 2048, `Basic256Sha256` and `SignAndEncrypt`; up to 1,250 devices share one, and they trust
//! every client, as if an operator had trusted the new certificate beforehand. The daemon is a process too; with `KOIOSD` in
//! the environment it is that program. A second daemon has the same devices, none of them enabled: what it answers at the
//! same time is the floor for REST. open62541's client, which holds as many sessions as one server has devices, is the peer.

mod daemon;
mod peer;
mod process;
mod sampler;

use std::time::{Duration, Instant};

use koios_testkit::{Mode, Policy, Server, ServerOptions, Stack};
use serde_json::{Value, json};

use daemon::Daemon;
use sampler::Sampler;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How many devices share one server.
const DEVICES_PER_SERVER: usize = 1250;

/// How long the steady state is watched.
const STEADY: Duration = Duration::from_secs(30);

/// Far beyond what it takes.
const PATIENCE: Duration = Duration::from_secs(1800);

#[derive(Clone, Copy)]
struct Fleet {
    devices: usize,
    scan_seconds: f64,
}

fn main() -> Result<()> {
    let mut fleets: Vec<Fleet> = std::env::args().skip(1).filter_map(|argument| fleet(&argument)).collect();
    if fleets.is_empty() {
        fleets = ["1000@1", "10000@10"].iter().filter_map(|text| fleet(text)).collect();
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{cores} cores; open62541 servers, Basic256Sha256, SignAndEncrypt, RSA 2048");
    for fleet in fleets {
        if let Err(error) = measure(fleet) {
            println!("{} devices: {error}", fleet.devices);
        }
    }
    Ok(())
}

fn fleet(text: &str) -> Option<Fleet> {
    let (devices, seconds) = text.split_once('@')?;
    Some(Fleet { devices: devices.parse().ok()?, scan_seconds: seconds.parse().ok()? })
}

fn measure(fleet: Fleet) -> Result<()> {
    let servers = start_servers(fleet)?;
    let (busy, idle) = (Daemon::start()?, Daemon::start()?);
    println!("\n{} devices, scanned every {} s\n", fleet.devices, fleet.scan_seconds);
    println!("| what | value |\n| --- | --- |");
    import(&idle, &servers, fleet, false)?;
    let without = idle.rss_kib()?;

    let watched = Watched::begin(&busy, &idle)?;
    import(&busy, &servers, fleet, true)?;
    row("import of all, until the last is stored, s", format!("{:.1}", watched.elapsed()));
    busy.wait_for_running(fleet.devices, PATIENCE)?;
    watched.end("first start of all, from the import until all run", fleet)?;

    std::thread::sleep(Duration::from_secs(5));
    let each = (busy.rss_kib()? - without) / count(fleet.devices);
    row("memory per running device, KiB (the idle daemon's taken off)", format!("{each:.1}"));

    let watched = Watched::begin(&busy, &idle)?;
    std::thread::sleep(STEADY);
    watched.end("steady", fleet)?;

    let watched = Watched::begin(&busy, &idle)?;
    let connected = busy.metric("koios_connects_total{code=\"connected\"}")?;
    let begun = Instant::now();
    busy.regenerate_default()?;
    row("regenerate call, s", format!("{:.2}", begun.elapsed().as_secs_f64()));
    busy.wait_for_connects(connected + count(fleet.devices), PATIENCE)?;
    busy.wait_for_running(fleet.devices, PATIENCE)?;
    watched.end("certificate change, until all run again", fleet)?;

    let begun = Instant::now();
    let busy = busy.stop()?;
    row("stop, until the process has ended, s", format!("{:.1}", begun.elapsed().as_secs_f64()));
    let begun = Instant::now();
    let busy = busy.start_again()?;
    let ready = begun.elapsed().as_secs_f64();
    busy.wait_for_running(fleet.devices, PATIENCE)?;
    row("restart: ready to answer, s", format!("{ready:.2}"));
    row("restart: until all run, s", format!("{:.1}", begun.elapsed().as_secs_f64()));
    row("restart: CPU of the daemon per device, ms", format!("{:.2}", busy.cpu_ms()? / count(fleet.devices)));
    drop(busy);
    peer::measure(servers.first().ok_or("no server")?, fleet.devices.min(DEVICES_PER_SERVER))
}

fn start_servers(fleet: Fleet) -> Result<Vec<Server>> {
    let options = ServerOptions {
        policies: vec![Policy::Basic256Sha256],
        modes: vec![Mode::SignAndEncrypt],
        // While a fleet reconnects, old and new sessions may both be there.
        max_sessions: Some(u32::try_from(3 * DEVICES_PER_SERVER)?),
        trusts_any: true,
        ..ServerOptions::default()
    };
    let count = fleet.devices.div_ceil(DEVICES_PER_SERVER);
    Ok((0..count)
        .map(|_| koios_testkit::start(Stack::Open62541, options.clone()))
        .collect::<std::result::Result<_, _>>()?)
}

/// In parts, each below the limit of a body.
fn import(daemon: &Daemon, servers: &[Server], fleet: Fleet, enabled: bool) -> Result<()> {
    let numbers: Vec<usize> = (0..fleet.devices).collect();
    for part in numbers.chunks(1000) {
        let device = |number: &usize| {
            let server = servers.get(number / DEVICES_PER_SERVER).map(|server| server.endpoint_url.as_str());
            json!({
                "name": format!("Device {number:05}"), "endpoint_url": server, "security_mode": "sign_and_encrypt",
                "scan_rate_seconds": fleet.scan_seconds, "timeout_seconds": 30, "enabled": enabled
            })
        };
        let devices: Vec<Value> = part.iter().map(device).collect();
        let done = daemon.post("devices/import", &json!({ "version": 1, "devices": devices }))?;
        if done["errors"].as_array().is_none_or(|errors| !errors.is_empty()) {
            return Err(format!("not imported: {}", done["errors"]).into());
        }
    }
    Ok(())
}

/// A stretch of time: what the daemon spends in it, and how quickly both answer.
struct Watched<'a> {
    daemons: [&'a Daemon; 2],
    begun: Instant,
    cpu_ms: [f64; 2],
    samplers: [Sampler; 2],
}

impl<'a> Watched<'a> {
    fn begin(busy: &'a Daemon, idle: &'a Daemon) -> Result<Self> {
        let daemons = [busy, idle];
        let cpu_ms = [busy.cpu_ms()?, idle.cpu_ms()?];
        Ok(Self { daemons, begun: Instant::now(), cpu_ms, samplers: daemons.map(Sampler::start) })
    }

    fn elapsed(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    fn end(self, what: &str, fleet: Fleet) -> Result<()> {
        let seconds = self.elapsed();
        let [busy, idle] = self.daemons;
        // Both answer the same requests: what the idle one spends is what they cost.
        let (busy_ms, idle_ms) = (busy.cpu_ms()? - self.cpu_ms[0], idle.cpu_ms()? - self.cpu_ms[1]);
        let cpu_ms = busy_ms - idle_ms;
        row(&format!("{what}, s"), format!("{seconds:.1}"));
        row(
            "… CPU, % of one core: all · for REST alone (idle daemon) · the rest",
            format!(
                "{:.1} · {:.1} · {:.1}",
                busy_ms / seconds / 10.0,
                idle_ms / seconds / 10.0,
                cpu_ms / seconds / 10.0
            ),
        );
        row("… CPU without REST, ms per device", format!("{:.2}", cpu_ms / count(fleet.devices)));
        let [busy, idle] = self.samplers.map(Sampler::stop);
        for (route, busy, idle) in busy.into_iter().zip(idle).map(|(busy, idle)| (busy.0, busy.1, idle.1)) {
            row(
                &format!("… GET {route}, p50 · p99, ms (idle daemon)"),
                format!("{} ({})", busy.text(), idle.text()),
            );
        }
        Ok(())
    }
}

fn row(what: &str, value: impl std::fmt::Display) {
    println!("| {what} | {value} |");
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

//! The clients that are compared, each a process of its own.

use std::path::PathBuf;
use std::process::Command;

use koios_testkit::{Stack, bench_client};
use serde_json::{Value, json};

use crate::Result;
use crate::scene::{APPLICATION_URI, Own};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Ours,
    NodeOpcua,
    AsyncOpcua,
    Open62541,
    Asyncua,
}

/// What a client is to do: once fetch the endpoints, then connect many times.
#[derive(Clone, Copy)]
pub(crate) struct Visits<'a> {
    pub(crate) url: &'a str,
    pub(crate) own: &'a Own,
    /// Connects that are not told of.
    pub(crate) warmup: usize,
    pub(crate) iterations: usize,
}

/// The time of one iteration.
#[derive(Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) wall_ms: f64,
    pub(crate) cpu_ms: f64,
}

impl Client {
    pub(crate) const ALL: [Self; 5] =
        [Self::Ours, Self::NodeOpcua, Self::AsyncOpcua, Self::Open62541, Self::Asyncua];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "koios-channel",
            Self::NodeOpcua => "node-opcua",
            Self::AsyncOpcua => "async-opcua",
            Self::Open62541 => "open62541",
            Self::Asyncua => "asyncua",
        }
    }

    /// What each iteration took; `None` when the client is not installed.
    pub(crate) fn run(self, visits: &Visits<'_>) -> Result<Option<Vec<Spent>>> {
        let Some(mut command) = self.command(visits)? else { return Ok(None) };
        let output = command.output()?;
        if !output.status.success() {
            return Err(format!("{}: {}", self.name(), String::from_utf8_lossy(&output.stderr)).into());
        }
        // node-opcua writes notices before the line that counts.
        let text = String::from_utf8(output.stdout)?;
        let line = text.lines().rfind(|line| line.starts_with('{')).ok_or("no result")?;
        let result: Value = serde_json::from_str(line)?;
        let iterations = result["iterations"].as_array().ok_or("no iterations")?;
        let spent = |iteration: &Value| {
            Some(Spent { wall_ms: iteration["wall_ms"].as_f64()?, cpu_ms: iteration["cpu_ms"].as_f64()? })
        };
        Ok(Some(iterations.iter().filter_map(spent).collect()))
    }

    fn command(self, visits: &Visits<'_>) -> Result<Option<Command>> {
        let command = match self {
            Self::Ours => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg(OURS);
                Some(command)
            }
            Self::NodeOpcua => bench_client(Stack::NodeOpcua),
            Self::AsyncOpcua => async_opcua_client().map(Command::new),
            Self::Open62541 => bench_client(Stack::Open62541),
            Self::Asyncua => bench_client(Stack::Asyncua),
        };
        Ok(command.map(|mut command| {
            match self {
                Self::Open62541 => command
                    .args([visits.url.as_ref(), visits.own.certificate.as_os_str()])
                    .arg(&visits.own.private_key)
                    .args([APPLICATION_URI, &visits.warmup.to_string(), &visits.iterations.to_string()]),
                _ => command.arg(visits.to_json().to_string()),
            };
            command
        }))
    }
}

impl Visits<'_> {
    fn to_json(self) -> Value {
        json!({
            "url": self.url,
            "certificateFile": self.own.certificate,
            "privateKeyFile": self.own.private_key,
            "applicationUri": APPLICATION_URI,
            "policy": "Basic256Sha256",
            "mode": "SignAndEncrypt",
            "iterations": self.iterations,
            "warmup": self.warmup,
        })
    }
}

impl Spent {
    /// The median of each of the two; `None` of nothing.
    pub(crate) fn medians(all: Vec<Self>) -> Option<Self> {
        let median_of = |time: fn(&Self) -> f64| median(all.iter().map(time).collect());
        Some(Self { wall_ms: median_of(|spent| spent.wall_ms)?, cpu_ms: median_of(|spent| spent.cpu_ms)? })
    }
}

pub(crate) fn median(mut times: Vec<f64>) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

/// Beside our own executable's folder, `target/release/deps`.
fn async_opcua_client() -> Option<PathBuf> {
    let executable = std::env::current_exe().ok()?;
    let client = executable.parent()?.parent()?.join("examples/bench-client");
    client.exists().then_some(client)
}

/// Makes this program our client.
pub(crate) const OURS: &str = "--client";

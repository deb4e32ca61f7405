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

/// What a client is to do.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) url: &'a str,
    pub(crate) own: &'a Own,
    /// How often it does what, in the order in which open62541's client takes them.
    pub(crate) counts: [(&'static str, usize); 2],
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

    /// What it tells of itself; `None` when it is not installed.
    pub(crate) fn run(self, task: &Task<'_>) -> Result<Option<Value>> {
        let Some(mut command) = self.command(task)? else { return Ok(None) };
        let output = command.output()?;
        if !output.status.success() {
            // All of them end with what went wrong; Python tells first where.
            let text = String::from_utf8_lossy(&output.stderr);
            let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            return Err(line.trim().into());
        }
        // node-opcua writes notices before the line that counts.
        let text = String::from_utf8(output.stdout)?;
        let line = text.lines().rfind(|line| line.starts_with('{')).ok_or("no result")?;
        Ok(Some(serde_json::from_str(line)?))
    }

    fn command(self, task: &Task<'_>) -> Result<Option<Command>> {
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
                Self::Open62541 => {
                    command.arg(task.url).args([&task.own.certificate, &task.own.private_key]);
                    command.arg(APPLICATION_URI);
                    for (name, count) in task.counts {
                        command.args([name, &count.to_string()]);
                    }
                }
                _ => {
                    command.arg(task.to_json().to_string());
                }
            }
            command
        }))
    }
}

impl Task<'_> {
    fn to_json(self) -> Value {
        let mut configuration = json!({
            "url": self.url,
            "certificateFile": self.own.certificate,
            "privateKeyFile": self.own.private_key,
            "applicationUri": APPLICATION_URI,
            "policy": "Basic256Sha256",
            "mode": "SignAndEncrypt",
        });
        for (name, count) in self.counts {
            configuration[name] = count.into();
        }
        configuration
    }
}

/// Beside our own executable's folder, `target/release/deps`.
fn async_opcua_client() -> Option<PathBuf> {
    let executable = std::env::current_exe().ok()?;
    let client = executable.parent()?.parent()?.join("examples/bench-client");
    client.exists().then_some(client)
}

/// Makes this program our client.
pub(crate) const OURS: &str = "--client";

//! The programs that the story needs, built from this checkout.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::settings::{Server, Settings};
use crate::repository;

pub(super) struct Programs {
    pub(super) koiosd: PathBuf,
    stand_in: PathBuf,
}

impl Programs {
    pub(super) fn build(settings: &Settings) -> Result<Self> {
        let mut cargo = repository::cargo();
        cargo.args(["build", "--locked", "--message-format=json-render-diagnostics"]);
        let mut wanted = 0;
        if settings.koiosd.is_none() {
            cargo.args(["--package", "koiosd", "--bin", "koiosd"]);
            wanted += 1;
        }
        if settings.server == Server::StandIn {
            cargo.args(["--package", "koios-testkit", "--bin", "prosys-stand-in"]);
            wanted += 1;
        }
        let built = if wanted == 0 { Vec::new() } else { executables(cargo)? };
        let of_name =
            |name: &str| built.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name)).cloned();
        Ok(Self {
            koiosd: settings.koiosd.clone().or_else(|| of_name("koiosd")).context("koiosd was not built")?,
            stand_in: of_name("prosys-stand-in").unwrap_or_default(),
        })
    }

    /// The stand-in on a free port.
    pub(super) fn stand_in(&self, pki: &Path) -> Command {
        let mut command = Command::new(&self.stand_in);
        command.arg("--pki-dir").arg(pki).args(["--port", "0"]);
        command
    }
}

/// Where Cargo has put what it built.
fn executables(mut cargo: Command) -> Result<Vec<PathBuf>> {
    let output =
        cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cargo cannot be started")?;
    if !output.status.success() {
        bail!("cargo build ended with {}", output.status);
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    };
    Ok(messages.lines().filter_map(executable).collect())
}

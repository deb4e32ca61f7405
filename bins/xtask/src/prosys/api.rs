//! The daemon, by its REST API.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::http::Request;

use super::process::Running;

/// A daemon of ours on a data directory of its own.
#[derive(Debug)]
pub(super) struct Daemon {
    running: Running,
    agent: ureq::Agent,
    token: String,
}

impl Daemon {
    pub(super) fn start(koiosd: &Path, scratch: &Path) -> Result<Self> {
        let data_dir = scratch.join("data");
        let mut command = Command::new(koiosd);
        // Nothing of another daemon's settings.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KOIOS_") {
                command.env_remove(name);
            }
        }
        command.env("KOIOS_LISTEN", "127.0.0.1:0").env("KOIOS_DATA_DIR", &data_dir);
        let running = Running::start("koiosd", command, scratch)?;
        let token = data_dir.join("initial-admin-token");
        let token =
            fs::read_to_string(&token).with_context(|| format!("{} cannot be read", token.display()))?;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        Ok(Self { running, agent, token: token.trim().to_owned() })
    }

    pub(super) fn url(&self) -> &str {
        &self.running.said_ready_on
    }

    pub(super) fn end_of_log(&self) -> String {
        self.running.end_of_log()
    }

    pub(super) fn stop(self) -> Result<()> {
        self.running.stop()
    }

    pub(super) fn get(&self, path: &str) -> Result<Value> {
        self.json("GET", path, None)
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.json("POST", path, Some(body))
    }

    pub(super) fn delete(&self, path: &str) -> Result<()> {
        self.send("DELETE", path, None).map(drop)
    }

    /// A certificate, as the server's operator would download it.
    pub(super) fn certificate(&self, id: &str) -> Result<Vec<u8>> {
        self.send("GET", &format!("certificates/{id}/certificate.der"), None)
    }

    fn json(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let answer = self.send(method, path, body)?;
        serde_json::from_slice(&answer).with_context(|| format!("{method} {path} was not answered with JSON"))
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Vec<u8>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/api/v1/{path}", self.url()))
            .header("Authorization", format!("Bearer {}", self.token))
            .header("Content-Type", "application/json")
            .body(body.map(Value::to_string).unwrap_or_default())?;
        let mut answer =
            self.agent.run(request).with_context(|| format!("{method} {path} was not answered"))?;
        let body = answer.body_mut().read_to_vec()?;
        if !answer.status().is_success() {
            let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
            bail!("{method} {path} was answered with {}: {problem}", answer.status());
        }
        Ok(body)
    }
}

/// More than a Test may take; a wait that long is a hang.
const PATIENCE: Duration = Duration::from_secs(120);

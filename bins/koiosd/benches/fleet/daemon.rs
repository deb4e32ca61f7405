//! The daemon as a process.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use ureq::Agent;

use crate::process;
use crate::{Result, count};

pub(crate) const TOKEN: &str = "token-of-the-benchmark-0123456789abcdef";

pub(crate) struct Daemon {
    process: Child,
    pub(crate) url: String,
    agent: Agent,
    folder: TempDir,
}

/// A daemon that has ended, and its data.
pub(crate) struct Stopped(TempDir);

impl Daemon {
    pub(crate) fn start() -> Result<Self> {
        Self::start_in(tempfile::tempdir()?)
    }

    fn start_in(folder: TempDir) -> Result<Self> {
        let program = env::var_os("KOIOSD").unwrap_or_else(|| env!("CARGO_BIN_EXE_koiosd").into());
        let log = File::options().create(true).append(true).open(folder.path().join("log"))?;
        let mut process = Command::new(program)
            .env("KOIOS_LISTEN", "127.0.0.1:0")
            .env("KOIOS_DATA_DIR", folder.path().join("data"))
            .env("KOIOS_BOOTSTRAP_TOKEN", TOKEN)
            .env("KOIOS_LOG_LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no standard output")?).read_line(&mut line)?;
        let url = line.trim().strip_prefix("koiosd ready on ").ok_or("the daemon does not start")?.to_owned();
        Ok(Self { process, url, agent: agent(), folder })
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.agent.post(format!("{}/api/v1/{path}", self.url));
        let mut answer = request.header("Authorization", format!("Bearer {TOKEN}")).send_json(body)?;
        Ok(answer.body_mut().with_config().limit(1 << 30).read_json()?)
    }

    fn get(&self, path: &str) -> Result<String> {
        let request = self.agent.get(format!("{}{path}", self.url));
        Ok(request.header("Authorization", format!("Bearer {TOKEN}")).call()?.body_mut().read_to_string()?)
    }

    /// The value of a sample of `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let text = self.get("/metrics")?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.ok_or_else(|| format!("no {name}"))?.parse()?)
    }

    pub(crate) fn regenerate_default(&self) -> Result<()> {
        let certificates: Value = serde_json::from_str(&self.get("/api/v1/certificates")?)?;
        let id = certificates["items"][0]["id"].as_str().ok_or("no certificate")?;
        self.post(&format!("certificates/{id}/regenerate"), &Value::Object(serde_json::Map::new()))?;
        Ok(())
    }

    pub(crate) fn wait_for_running(&self, devices: usize, patience: Duration) -> Result<()> {
        self.wait_for("koios_devices{state=\"running\"}", count(devices), patience)
    }

    pub(crate) fn wait_for_connects(&self, connects: f64, patience: Duration) -> Result<()> {
        self.wait_for("koios_connects_total{code=\"connected\"}", connects, patience)
    }

    fn wait_for(&self, name: &str, value: f64, patience: Duration) -> Result<()> {
        let end = Instant::now() + patience;
        loop {
            let now = self.metric(name)?;
            if now >= value {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("{name} is {now} and not {value}").into());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn cpu_ms(&self) -> Result<f64> {
        process::cpu_ms(self.process.id())
    }

    pub(crate) fn rss_kib(&self) -> Result<f64> {
        process::rss_kib(self.process.id())
    }

    /// As a service manager does it.
    pub(crate) fn stop(mut self) -> Result<Stopped> {
        let id = self.process.id().to_string();
        Command::new("kill").args(["-s", "TERM", &id]).status()?;
        self.process.wait()?;
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir()?);
        Ok(Stopped(folder))
    }
}

impl Stopped {
    pub(crate) fn start_again(self) -> Result<Daemon> {
        Daemon::start_in(self.0)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn agent() -> Agent {
    Agent::config_builder().timeout_global(Some(Duration::from_secs(120))).build().into()
}

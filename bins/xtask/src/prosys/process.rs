//! Programs of ours that run beside the story.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A child process that has said where it is ready; killed when dropped.
#[derive(Debug)]
pub(super) struct Running {
    name: &'static str,
    child: Child,
    log: PathBuf,
    /// What stood behind `<name> ready on `.
    pub(super) said_ready_on: String,
}

impl Running {
    /// Starts it with its log in that folder, and waits for its ready line.
    pub(super) fn start(name: &'static str, mut command: Command, scratch: &Path) -> Result<Self> {
        let log = scratch.join(format!("{name}.log"));
        let log_file = File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        let mut child = command
            // Whatever it leaves behind goes with ours.
            .env("TMPDIR", scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .with_context(|| format!("{} cannot be started", command.get_program().display()))?;
        let output = child.stdout.take().context("a piped standard output")?;
        let mut running = Self { name, child, log, said_ready_on: String::new() };
        match first_line(output) {
            Some(line) => match line.strip_prefix(&format!("{name} ready on ")) {
                Some(place) => running.said_ready_on = place.trim().to_owned(),
                None => bail!("{name} said {line:?} instead of being ready{}", running.log_to_show()),
            },
            None => bail!("{name} did not become ready{}", running.log_to_show()),
        }
        Ok(running)
    }

    /// The last lines of its log; without the requests, which are ours.
    pub(super) fn end_of_log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let mut lines: Vec<_> =
            log.lines().rev().filter(|line| !line.contains("api::frame: request ")).take(20).collect();
        lines.reverse();
        lines.join("\n")
    }

    fn log_to_show(&self) -> String {
        match self.end_of_log() {
            log if log.is_empty() => String::new(),
            log => format!("; its log ends with\n{log}"),
        }
    }

    /// Asks it to end, and waits.
    pub(super) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .with_context(|| format!("{} cannot be stopped", self.name))?;
        let end = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("{} ended with {status}{}", self.name, self.log_to_show()),
                None if Instant::now() > end => bail!("{} does not end", self.name),
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `None` when it ends, or is silent for too long. What follows is read and forgotten, so that the program never waits for us.
fn first_line(output: ChildStdout) -> Option<String> {
    let (said, is_said) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody listens after the first one.
            let _ = said.send(line);
        }
    });
    is_said.recv_timeout(PATIENCE).ok()
}

/// Generous: a wait that long is a hang.
const PATIENCE: Duration = Duration::from_secs(60);

//! A server as a child process: started, watched, killed with all that it has started.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child as Process, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

/// A running server, the leader of a process group.
pub(super) struct Child {
    process: Process,
    log: Log,
}

/// How a server that did not become ready ended.
#[derive(Debug)]
pub(super) struct NotReady {
    /// What it said: `{"ready": false, "error": …}`, or how it ended.
    pub(super) reason: String,
    /// All that it printed.
    pub(super) log: String,
}

impl Child {
    /// Starts the command and waits for its ready line: a JSON object with a member `ready` on standard output.
    ///
    /// The server must end when its standard input does: so none is left over, even when this process is killed.
    pub(super) fn start(command: &mut Command) -> Result<Self, NotReady> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| NotReady { reason: format!("{command:?}: {error}"), log: String::new() })?;
        let log = Log::default();
        let (ready, is_ready) = mpsc::channel();
        let output = process.stdout.take().expect("a piped standard output");
        let errors = process.stderr.take().expect("a piped standard error");
        log.follow(output, move |line| {
            if let Some(answer) = ready_line(line) {
                // Only the first one is waited for.
                let _ = ready.send(answer);
            }
        });
        log.follow(errors, |_| {});
        let child = Self { process, log };
        let reason = match is_ready.recv_timeout(START_LIMIT) {
            Ok(Ok(())) => return Ok(child),
            Ok(Err(reason)) => reason,
            Err(RecvTimeoutError::Timeout) => format!("not ready within {} s", START_LIMIT.as_secs()),
            Err(RecvTimeoutError::Disconnected) => "ended before it was ready".to_owned(),
        };
        Err(NotReady { reason, log: child.log() })
    }

    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    pub(super) fn log(&self) -> String {
        self.log.text()
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process has a positive id");
        // Gone already is as good.
        let _ = kill_process_group(id, signal);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.process.wait();
        if thread::panicking() {
            eprintln!("--- what the server printed ---\n{}--- end ---", self.log());
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Child({})", self.process.id())
    }
}

fn ready_line(line: &str) -> Option<Result<(), String>> {
    let object: Value = serde_json::from_str(line).ok()?;
    let ready = object.get("ready")?.as_bool()?;
    Some(if ready { Ok(()) } else { Err(object["error"].as_str().unwrap_or("no reason given").to_owned()) })
}

/// The last lines that a server has printed.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    fn follow(&self, stream: impl Read + Send + 'static, mut each_line: impl FnMut(&str) + Send + 'static) {
        let lines = Arc::clone(&self.0);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            // Bytes, not text: what a server prints need not be UTF-8.
            while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                each_line(text.trim_end());
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                if lines.len() == LOG_LINES {
                    lines.pop_front();
                }
                lines.push_back(text);
                line.clear();
            }
        });
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(String::as_str).collect()
    }
}

/// Enough for a loaded machine; a start takes about two seconds.
const START_LIMIT: Duration = Duration::from_secs(90);

/// What a failing test shows of its server.
const LOG_LINES: usize = 400;

//! One daemon, in which one file or database call after the other fails.

use std::collections::BTreeMap;

use super::shim::{Errno, Lasting, Shim};
use crate::{
    changes::{
        client::{Change, Client},
        world::{self, FIRST},
    },
    daemon::{ADMIN, Daemon, Setup},
    http::Answer,
};

/// After it, a change is committed.
pub(super) const SYNC_OF_THE_LOG: &str = "sync /koios.db-wal";

/// What the sweep has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) injections: u64,
    pub(super) answered_as_done: u64,
    pub(super) codes: BTreeMap<String, u64>,
    /// Changes that were refused and in force after a kill, which came while the disk still failed.
    pub(super) in_force_after_a_kill: u64,
    /// Changes whose answer could not be read together after the commit.
    pub(super) in_force_and_not_shown: u64,
    pub(super) starts: u64,
    /// What must not happen.
    pub(super) wrong: Vec<String>,
}

pub(super) struct Sweep {
    setup: Setup,
    pub(super) shim: Shim,
    daemon: Option<Daemon>,
    client: Client,
    pub(super) seen: Seen,
}

impl Sweep {
    /// `None` when it cannot run here.
    pub(super) fn new() -> Option<Self> {
        let (setup, shim) = Shim::before(Setup::empty())?;
        let daemon = setup.start();
        let first = serde_json::json!({ "name": FIRST, "key": { "algorithm": "ec", "curve": "p256" } });
        daemon.post("certificates/generate", &first).expect(201);
        let mut client = Client::new(0, 1);
        client.quiet = true;
        client.state = world::observe(&daemon, 1).remove(0);
        Some(Self { setup, shim, daemon: Some(daemon), client, seen: Seen::default() })
    }

    /// How many calls of such a change can fail so.
    pub(super) fn count(&mut self, change: Change, errno: Errno, lasting: Lasting) -> u64 {
        self.make_ready(change);
        self.shim.arm(errno, lasting, u64::MAX);
        self.carry_out(change);
        self.shim.disarm();
        self.shim.calls()
    }

    /// Asks for the change while its `nth` call fails; `false` when it has fewer calls.
    pub(super) fn inject(&mut self, change: Change, errno: Errno, lasting: Lasting, nth: u64) -> bool {
        self.make_ready(change);
        let url = self.url();
        let planned = self.client.plan(change, &url, ADMIN).expect("made ready");
        self.shim.arm(errno, lasting, nth);
        let answer = self.client.carry_out(planned);
        // Killed while the disk fails: what was refused may be in force then, but whole.
        let killed = lasting == Lasting::FromThenOn && nth.is_multiple_of(3);
        if killed {
            self.kill();
        }
        self.shim.disarm();
        let failed = self.shim.failed();
        let injected = format!("{change:?}, {errno:?} {lasting:?} at call {nth} ({})", self.shim.last());
        let Some(answer) = answer else { panic!("no answer: {injected}\n{}", self.daemon().log()) };
        if killed {
            self.start();
        }
        if failed == 0 {
            assert!(answer.status < 300, "{injected}: {}", answer.text());
            return false;
        }
        self.seen.injections += 1;
        let done = answer.status < 300;
        self.seen.answered_as_done += u64::from(done);
        if !done {
            self.judge_refusal(change, (errno, lasting), &answer, &injected);
        }
        // Old or new, as a whole; reads work again at once.
        let found = world::observe(self.daemon(), 1).remove(0);
        match self.client.judge(&found) {
            Some(true) if killed => self.seen.in_force_after_a_kill += 1,
            // Its commit was done, and what it has become could not be read for the answer, which says no more than that.
            Some(true) if reads(&self.shim.last()) && answer.text().contains("storage_unavailable") => {
                self.seen.in_force_and_not_shown += 1;
            }
            Some(true) => {
                self.seen.wrong.push(format!("{injected}: refused and in force: {}", answer.text()));
            }
            _ => {}
        }
        // What was refused must not come back after a sudden end.
        if self.shim.last() == SYNC_OF_THE_LOG {
            self.restart();
        }
        // So do writes.
        let url = self.url();
        let planned = self.client.plan(Change::Describe, &url, ADMIN).expect("a certificate");
        let next = self.client.carry_out(planned).expect("an answer");
        if next.status >= 300 {
            let log = self.log_of(&next);
            self.seen.wrong.push(format!("{injected}: the next change fails too: {}{log}", next.text()));
            self.client.unanswered = None;
            self.restart();
        }
        true
    }

    fn judge_refusal(
        &mut self,
        change: Change,
        (errno, lasting): (Errno, Lasting),
        answer: &Answer,
        injected: &str,
    ) {
        let problem = answer.json();
        let code = problem["code"].as_str().unwrap_or_default().to_owned();
        *self.seen.codes.entry(format!("{errno:?} {} {code}", answer.status)).or_default() += 1;
        let full = (503, "storage_full");
        let unavailable = (503, "storage_unavailable");
        let said = (answer.status, code.as_str());
        let fits = match errno {
            Errno::NoSpace if said == full => true,
            // All that SQLite tells of these is that they failed; when there is room again, nobody can tell why.
            Errno::NoSpace => {
                lasting == Lasting::Once && is_told_by_sqlite(&self.shim.last()) && said == unavailable
            }
            // A file that cannot be read counts as missing, and such a certificate is not made the default.
            _ if change == Change::MoveDefault && said == (422, "certificate_not_usable") => true,
            // A file of the trust lists that cannot be read is left out of them.
            _ if said == (404, "not_found") && reads(&self.shim.last()) => {
                self.shim.last().contains(" /trust/")
            }
            _ => said == unavailable,
        };
        if !fits {
            let log = self.log_of(answer);
            self.seen.wrong.push(format!("{injected}: {} {}{log}", answer.status, answer.text()));
        }
    }

    /// What the log has of a refused request.
    fn log_of(&self, answer: &Answer) -> String {
        let id = answer.header("x-request-id").unwrap_or("no id");
        let log = self.daemon().log();
        log.lines().filter(|line| line.contains(id)).map(|line| format!("\n    {line}")).collect()
    }

    fn make_ready(&mut self, change: Change) {
        let bounded = self.client.count_in_bounds(change);
        if bounded != change {
            self.carry_out(bounded);
        }
        let url = self.url();
        while self.client.plan(change, &url, ADMIN).is_none() {
            let needed = change.needs().expect("nothing more is needed");
            self.make_ready(needed);
            self.carry_out(needed);
        }
    }

    fn carry_out(&mut self, change: Change) {
        let url = self.url();
        let planned = self.client.plan(change, &url, ADMIN).expect("made ready");
        let answer = self.client.carry_out(planned).expect("an answer");
        assert!(answer.status < 300, "{change:?}: {}", answer.text());
    }

    fn url(&self) -> String {
        self.daemon().url.clone()
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("it runs")
    }

    fn kill(&mut self) {
        // Dropped, it is killed and waited for.
        self.daemon = None;
    }

    fn start(&mut self) {
        self.daemon = Some(self.setup.start());
        self.seen.starts += 1;
    }

    /// Kills the daemon and starts it again: what was answered holds.
    pub(super) fn restart(&mut self) {
        self.kill();
        self.start();
        let found = world::observe(self.daemon(), 1).remove(0);
        self.client.judge(&found);
        let (code, said, _) = self.setup.ended(&["check", "--json"]);
        if code != Some(0) {
            self.seen.wrong.push(format!("not content: {said}"));
        }
    }
}

/// Whether the call, other than a write, was one of SQLite's.
fn is_told_by_sqlite(call: &str) -> bool {
    call.contains(" /koios.db") && !call.starts_with("write /koios.db-wal")
}

/// Whether the call was one that only reads.
fn reads(call: &str) -> bool {
    ["open ", "opendir ", "read ", "readdir ", "stat "].iter().any(|name| call.starts_with(name))
}

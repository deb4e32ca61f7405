//! The stages of an attempt and what each came to.

use std::fmt;
use std::time::{Duration, Instant};

/// One stage of a connection attempt, in the order in which they run.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Stage {
    /// Our own certificate: is there one, is it usable?
    Certificate,
    /// Host name to addresses.
    Resolve,
    /// TCP.
    Connect,
    /// HELLO and ACK (OPC 10000-6 §7.1.2).
    Hello,
    /// GetEndpoints over a channel without security.
    Endpoints,
    /// Which endpoint fits mode, policy and key.
    EndpointSelection,
    /// The server's certificate, judged by the device's policy.
    ServerCertificate,
    /// OpenSecureChannel on a connection of its own.
    SecureChannel,
    /// CreateSession and its proofs.
    Session,
    /// ActivateSession.
    UserIdentity,
    /// Read of `Server_ServerStatus`.
    Read,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 11] = [
        Self::Certificate,
        Self::Resolve,
        Self::Connect,
        Self::Hello,
        Self::Endpoints,
        Self::EndpointSelection,
        Self::ServerCertificate,
        Self::SecureChannel,
        Self::Session,
        Self::UserIdentity,
        Self::Read,
    ];

    /// The stable name, `snake_case`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Hello => "hello",
            Self::Endpoints => "endpoints",
            Self::EndpointSelection => "endpoint_selection",
            Self::ServerCertificate => "server_certificate",
            Self::SecureChannel => "secure_channel",
            Self::Session => "session",
            Self::UserIdentity => "user_identity",
            Self::Read => "read",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a stage came to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "closed by the REST contract")]
pub enum StageOutcome {
    /// It did what it should.
    Passed,
    /// The attempt ended here.
    Failed,
    /// It was not reached, or there was nothing to do.
    Skipped,
}

impl StageOutcome {
    /// The stable name, `snake_case`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One line of the report: a stage, its outcome, its time.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StageReport {
    /// Which stage.
    pub stage: Stage,
    /// What it came to.
    pub outcome: StageOutcome,
    /// How long it took; zero when skipped.
    pub duration: Duration,
    /// What was seen, for a person.
    pub detail: Option<String>,
}

/// Who is told of each stage as it ends.
pub(crate) type Watcher<'a> = &'a mut (dyn FnMut(&StageReport) + Send);

/// Collects the reports while an attempt runs.
pub(crate) struct StageLog<'a> {
    reports: Vec<StageReport>,
    running: Option<(Stage, Instant)>,
    watcher: Option<Watcher<'a>>,
}

impl<'a> StageLog<'a> {
    pub(crate) fn new() -> Self {
        Self::watched(None)
    }

    pub(crate) fn watched(watcher: Option<Watcher<'a>>) -> Self {
        Self { reports: Vec::with_capacity(Stage::ALL.len()), running: None, watcher }
    }

    pub(crate) fn begin(&mut self, stage: Stage) {
        self.running = Some((stage, Instant::now()));
    }

    pub(crate) fn pass(&mut self, detail: Option<String>) {
        self.end(StageOutcome::Passed, detail);
    }

    pub(crate) fn fail(&mut self, detail: Option<String>) {
        self.end(StageOutcome::Failed, detail);
    }

    pub(crate) fn skip(&mut self, stage: Stage, detail: &str) {
        self.running = None;
        self.note(StageReport {
            stage,
            outcome: StageOutcome::Skipped,
            duration: Duration::ZERO,
            detail: Some(detail.to_owned()),
        });
    }

    /// The stage that runs now, or ran last.
    pub(crate) fn current(&self) -> Stage {
        let last = self.reports.last().map(|report| report.stage);
        self.running.map(|(stage, _)| stage).or(last).unwrap_or(Stage::Certificate)
    }

    /// Goes back to before a stage: it is to be made again.
    pub(crate) fn rewind(&mut self, stage: Stage) {
        self.running = None;
        self.reports.retain(|report| report.stage < stage);
    }

    /// One report per stage of `expected`; those never reached are skipped.
    pub(crate) fn finish(mut self, expected: &[Stage]) -> Vec<StageReport> {
        for &stage in expected {
            if !self.reports.iter().any(|report| report.stage == stage) {
                let outcome = StageOutcome::Skipped;
                self.reports.push(StageReport { stage, outcome, duration: Duration::ZERO, detail: None });
            }
        }
        self.reports.sort_by_key(|report| report.stage);
        self.reports
    }

    fn end(&mut self, outcome: StageOutcome, detail: Option<String>) {
        if let Some((stage, begun)) = self.running.take() {
            self.note(StageReport { stage, outcome, duration: begun.elapsed(), detail });
        }
    }

    fn note(&mut self, report: StageReport) {
        if let Some(watcher) = &mut self.watcher {
            watcher(&report);
        }
        self.reports.push(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_is_reported_once_and_in_order() {
        let mut log = StageLog::new();
        log.skip(Stage::Certificate, "mode none");
        log.begin(Stage::Resolve);
        log.pass(None);
        log.begin(Stage::Connect);
        assert_eq!(log.current(), Stage::Connect);
        log.fail(Some("refused".to_owned()));
        let reports = log.finish(&Stage::ALL);
        assert_eq!(reports.iter().map(|report| report.stage).collect::<Vec<_>>(), Stage::ALL);
        assert_eq!(reports[1].outcome, StageOutcome::Passed);
        assert_eq!(reports[2].outcome, StageOutcome::Failed);
        assert!(reports[3..].iter().all(|report| report.outcome == StageOutcome::Skipped));
    }
}

//! `koiosd check`: a data directory examined, beside the daemon too, and mended where that loses nothing.

use std::{
    cell::RefCell,
    io::{self, Write},
};

use koios_pki::Severity;
use koios_store::{CheckFinding, CheckPart, DirectoryCheck, OpenError, Repair, StoreError};
use serde::Serialize;

use crate::{
    command_line::CheckArguments, command_runtime::command_runtime, config::Settings,
    error_chain::error_chain, progress_line::ProgressLine,
};

/// Somebody should do something about the data directory.
const EXIT_NOT_CONTENT: u8 = 3;

/// Why nothing could be said about the data directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckCommandError {
    /// There is no such directory, or another process uses it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Nobody reads what was found.
    #[error("what was found cannot be written out")]
    Output(#[source] io::Error),
}

impl CheckCommandError {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Open(_) => 3,
            Self::Output(_) => 1,
        }
    }
}

/// Carries the command out; answers the exit code.
///
/// # Errors
///
/// [`CheckCommandError`] when nothing could be said.
pub fn check(settings: &Settings, arguments: &CheckArguments) -> Result<u8, CheckCommandError> {
    let runtime = command_runtime().map_err(CheckCommandError::Output)?;
    runtime.block_on(async {
        let options = settings.store_options();
        let check = if arguments.repair {
            DirectoryCheck::to_repair(options)
        } else {
            DirectoryCheck::to_read(options)
        }?;
        let progress = ProgressLine::on_stderr(arguments.json);
        let check = check.with_progress(progress.progress());
        let report =
            Report { json: arguments.json, repair: arguments.repair, progress, failed: RefCell::default() };
        let mut findings = check.examine(|part, findings| report.part(part, findings)).await;
        let mut mends = Vec::new();
        if arguments.repair {
            for repair in findings.iter().filter_map(|finding| finding.repair.as_ref()) {
                let mend = Mend { repair: repair.clone(), error: check.repair(repair).await.err() };
                report.mend(&mend);
                mends.push(mend);
            }
            if !mends.is_empty() {
                report.line("What is left:");
                findings = check.examine(|part, findings| report.part(part, findings)).await;
            }
        }
        report.end(&findings, &mends)?;
        Ok(if is_content(&findings) { 0 } else { EXIT_NOT_CONTENT })
    })
}

fn is_content(findings: &[CheckFinding]) -> bool {
    findings.iter().all(|finding| finding.severity() < Severity::Warning)
}

/// A mend, and why it failed.
struct Mend {
    repair: Repair,
    error: Option<StoreError>,
}

/// Says what is found while it is found; programs get it at the end.
struct Report {
    json: bool,
    repair: bool,
    progress: ProgressLine,
    /// The first line that could not be written: the examination goes on, and the mends with it.
    failed: RefCell<Option<io::Error>>,
}

impl Report {
    fn part(&self, part: CheckPart, findings: &[CheckFinding]) {
        let result = match findings.len() {
            0 => "ok".to_owned(),
            1 => "1 finding".to_owned(),
            several => format!("{several} findings"),
        };
        self.line(&format!("{:<13} {result}", part.as_str().replace('_', " ")));
        for finding in findings {
            let severity = finding.severity().as_str().to_uppercase();
            self.line(&format!("  {severity:<7} {}: {}", finding.subject, finding.problem));
            if !finding.remedy.is_empty() {
                self.line(&format!("          -> {}", finding.remedy));
            }
            if finding.repair.is_some() && !self.repair {
                self.line("          -> or let `koiosd check --repair` mend it, with the daemon stopped");
            }
        }
    }

    fn mend(&self, Mend { repair, error }: &Mend) {
        match error {
            None => self.line(&format!("MENDED: {repair}")),
            Some(error) => {
                self.line(&format!("NOT MENDED: {}: {}", repair.path.display(), error_chain(error)));
            }
        }
    }

    fn line(&self, text: &str) {
        if !self.json {
            // The names of files are anybody's, and a terminal obeys.
            self.write(&text.replace(char::is_control, "\u{FFFD}"));
        }
    }

    fn write(&self, text: &str) {
        self.progress.erase();
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{text}").and_then(|()| out.flush());
        if let Err(error) = written {
            self.failed.borrow_mut().get_or_insert(error);
        }
    }

    fn end(&self, findings: &[CheckFinding], mends: &[Mend]) -> Result<(), CheckCommandError> {
        if self.json {
            let body = ReportBody {
                content: is_content(findings),
                findings: findings.iter().map(FindingBody::from).collect(),
                repairs: mends.iter().map(RepairBody::from).collect(),
            };
            let text = serde_json::to_string_pretty(&body)
                .map_err(|error| CheckCommandError::Output(error.into()))?;
            self.write(&text);
        } else {
            let count = |severity| findings.iter().filter(|finding| finding.severity() == severity).count();
            self.line(&match (count(Severity::Error), count(Severity::Warning)) {
                (0, 0) => "content".to_owned(),
                (errors, warnings) => format!("not content: errors {errors}, warnings {warnings}"),
            });
        }
        self.failed.take().map_or(Ok(()), |error| Err(CheckCommandError::Output(error)))
    }
}

#[derive(Serialize)]
struct ReportBody {
    content: bool,
    findings: Vec<FindingBody>,
    repairs: Vec<RepairBody>,
}

#[derive(Serialize)]
struct FindingBody {
    part: &'static str,
    code: &'static str,
    severity: &'static str,
    subject: String,
    problem: String,
    remedy: String,
    /// What `--repair` does about it; `null` when only a person can do something.
    repair: Option<&'static str>,
}

impl From<&CheckFinding> for FindingBody {
    fn from(finding: &CheckFinding) -> Self {
        Self {
            part: finding.part.as_str(),
            code: finding.code.as_str(),
            severity: finding.severity().as_str(),
            subject: finding.subject.clone(),
            problem: finding.problem.clone(),
            remedy: finding.remedy.clone(),
            repair: finding.repair.as_ref().map(|repair| repair.kind.as_str()),
        }
    }
}

#[derive(Serialize)]
struct RepairBody {
    kind: &'static str,
    path: String,
    /// Why it failed; `null` when it is done.
    error: Option<String>,
}

impl From<&Mend> for RepairBody {
    fn from(Mend { repair, error }: &Mend) -> Self {
        Self {
            kind: repair.kind.as_str(),
            path: repair.path.display().to_string(),
            error: error.as_ref().map(|error| error_chain(error)),
        }
    }
}

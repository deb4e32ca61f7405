//! The interop matrix: what every stack answers to every kind of client certificate, and what is no matter of certificates,
//! with the verdict that each must come to.
//!
//! The verdicts are in `interop/expected/`, one table per stack; `docs/INTEROP.md` shows them. A verdict that differs is
//! wrong here or there: the table is changed only after it has been understood which.

mod certificates;
mod document;
mod others;
mod peers;
mod relay;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use koios_opcua::{ClockReading, Target, TestReport};
use koios_testkit::Stack;

use crate::client::report_at;
use table::{Key, Observation, Table, Verdicts};

/// One question of the matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// In the tables.
    pub(crate) name: &'static str,
    /// What it is about, for a person.
    pub(crate) title: &'static str,
}

/// What was seen of one stack.
pub(crate) struct Seen {
    pub(crate) stack: Stack,
    /// What the server calls itself.
    pub(crate) product: String,
    pub(crate) verdicts: Verdicts,
}

#[test]
fn every_stack_gets_the_verdicts_of_its_table() {
    let mut threads = Vec::new();
    for stack in Stack::ALL {
        // The skip report names tests by their threads.
        let name = thread::current().name().unwrap_or_default().to_owned();
        let thread = thread::Builder::new().name(name).spawn(|| see(*stack)).expect("a thread starts");
        threads.push((*stack, thread));
    }
    let mut differences = Vec::new();
    let mut seen = Vec::new();
    let peers = peers::see();
    differences.extend(compare("other-peers", &peers));
    for (stack, thread) in threads {
        match thread.join() {
            Ok(Some(saw)) => {
                differences.extend(compare(stack.name(), &saw.verdicts));
                seen.push(saw);
            }
            Ok(None) => {}
            Err(_) => {
                differences.push(format!("{stack}: the conversation broke off; its reason stands above"));
            }
        }
    }
    assert!(
        differences.is_empty(),
        "there are verdicts that are not those of the tables; what was seen is in {}:\n{}",
        observed_folder().display(),
        differences.join("\n")
    );
    if seen.len() == Stack::ALL.len() {
        document::write_or_compare(&document::render(&seen, &peers));
    }
}

/// All that a stack is asked; `None` when it is not installed.
fn see(stack: Stack) -> Option<Seen> {
    let expected = Table::of(stack.name());
    let (product, mut verdicts) = certificates::see(stack, &expected)?;
    verdicts.extend(others::see(stack, &expected)?);
    Some(Seen { stack, product, verdicts })
}

/// Makes an attempt.
///
/// Where the table says that nobody answers, the wait for it is short: an answer would be seen all the same. A busy machine
/// may not come so far in that time, so that whatever else is seen is looked at again.
fn observe(expected: &Table, key: &Key, target: &Target, clock: ClockReading) -> (Observation, TestReport) {
    let mut target = target.clone();
    if expected.is_silence(key) {
        target.timeout = SILENCE;
        let report = report_at(&target, clock);
        let observation = Observation::of(&report.verdict);
        if expected.observation(key) == Some(&observation) {
            return (observation, report);
        }
    }
    target.timeout = PATIENCE;
    let report = report_at(&target, clock);
    (Observation::of(&report.verdict), report)
}

/// What differs from the table, line by line; what was seen is kept beside, in the form of the table.
fn compare(name: &str, seen: &Verdicts) -> Vec<String> {
    let folder = observed_folder();
    fs::create_dir_all(&folder).expect("a writable target folder");
    fs::write(folder.join(format!("{name}.txt")), table::render(seen)).expect("a writable target folder");
    Table::of(name).differences(name, seen)
}

fn observed_folder() -> PathBuf {
    root().join("target/interop")
}

pub(crate) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the repository is there")
}

/// Long enough for the slowest server that does answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Long enough for the endpoints to be fetched, after which nothing comes.
const SILENCE: Duration = Duration::from_secs(2);

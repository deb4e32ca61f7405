//! The long forms of the tests that kill the daemon, let its disk fail and load it: what `docs/RELIABILITY.md` reports.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::repository;

/// Kills that the promise speaks of.
const KILLS: &str = "1000";

/// Kills the daemon under load so many times; with a seed, with the choices of an earlier run.
pub(crate) fn kills(arguments: &[&str]) -> Result<ExitCode> {
    let mut variables = vec![("KOIOS_KILLS", *arguments.first().unwrap_or(&KILLS))];
    variables.extend(arguments.get(1).map(|seed| ("KOIOS_KILLS_SEED", *seed)));
    run("kills", Profile::Development, &variables)
}

/// Lets every file and database call of every change, and of a start, fail; or so many of each.
pub(crate) fn faults(arguments: &[&str]) -> Result<ExitCode> {
    run("faults", Profile::Development, &[("KOIOS_FAULTS", *arguments.first().unwrap_or(&"all"))])
}

/// Lets clients call everything while devices are running: seconds, clients and devices; then the milliseconds of a client's
/// mean pause.
pub(crate) fn load(arguments: &[&str]) -> Result<ExitCode> {
    let defaults = [
        ("KOIOS_LOAD_SECONDS", "600"),
        ("KOIOS_LOAD_CLIENTS", "200"),
        ("KOIOS_LOAD_DEVICES", "500"),
        ("KOIOS_LOAD_PAUSE_MS", "250"),
    ];
    let given = arguments.iter().copied().map(Some).chain(std::iter::repeat(None));
    let variables: Vec<_> = defaults
        .into_iter()
        .zip(given)
        .map(|((name, value), given)| (name, given.unwrap_or(value)))
        .collect();
    run("load::many_clients", Profile::Release, &variables)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Profile {
    Development,
    Release,
}

fn run(tests: &str, profile: Profile, variables: &[(&str, &str)]) -> Result<ExitCode> {
    let mut cargo = repository::cargo();
    cargo.args(["test", "--locked", "--package", "koiosd", "--test", "it"]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    cargo.args([tests, "--", "--nocapture"]);
    // A report without what could not run would be none.
    cargo.env("KOIOS_REQUIRE_INTEROP", "1").envs(variables.iter().copied());
    let status = cargo.status().context("cargo cannot be started")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

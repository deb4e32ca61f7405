//! The long forms of the tests that kill the daemon and let its disk fail: what `docs/RELIABILITY.md` reports.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::repository;

/// Kills that the promise speaks of.
const KILLS: &str = "1000";

/// Kills the daemon under load so many times; with a seed, with the choices of an earlier run.
pub(crate) fn kills(arguments: &[&str]) -> Result<ExitCode> {
    let mut variables = vec![("KOIOS_KILLS", *arguments.first().unwrap_or(&KILLS))];
    variables.extend(arguments.get(1).map(|seed| ("KOIOS_KILLS_SEED", *seed)));
    run("kills", &variables)
}

/// Lets every file and database call of every change, and of a start, fail; or so many of each.
pub(crate) fn faults(arguments: &[&str]) -> Result<ExitCode> {
    run("faults", &[("KOIOS_FAULTS", *arguments.first().unwrap_or(&"all"))])
}

fn run(tests: &str, variables: &[(&str, &str)]) -> Result<ExitCode> {
    let mut cargo = repository::cargo();
    cargo.args(["test", "--locked", "--package", "koiosd", "--test", "it", tests, "--", "--nocapture"]);
    // A report without what could not run would be none.
    cargo.env("KOIOS_REQUIRE_INTEROP", "1").envs(variables.iter().copied());
    let status = cargo.status().context("cargo cannot be started")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

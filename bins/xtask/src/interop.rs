//! `docs/INTEROP.md` is what the interop matrix has seen.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::fixtures::Fixture;
use crate::repository;

/// What is done with what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The page is compared with it, as in every run of the tests.
    Check,
    /// The page is written.
    Write,
}

/// Runs the matrix with all stacks.
pub(crate) fn run(purpose: Purpose) -> Result<ExitCode> {
    for fixture in Fixture::all()? {
        fixture.install().with_context(|| format!("{} cannot be installed", fixture.name()))?;
    }
    let mut cargo = repository::cargo();
    cargo.args(["test", "--locked", "--package", "koios-opcua", "--test", "it", "interop"]);
    // A page without one of the stacks would be none.
    cargo.env("KOIOS_REQUIRE_INTEROP", "1");
    if purpose == Purpose::Write {
        cargo.env("KOIOS_INTEROP", "write");
    }
    let status = cargo.status().context("cargo cannot be started")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

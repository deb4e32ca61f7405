//! The long form of the tests with clients that are made from the OpenAPI document.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::fixtures::Fixture;
use crate::repository;

/// Requests of a kind for each operation that suit CI: about a minute.
const EXAMPLES: &str = "30";

/// Lets the TypeScript client tell the story, and schemathesis make so many requests for each operation; a seed repeats an
/// earlier run.
pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    for fixture in Fixture::all()?.into_iter().filter(Fixture::is_client) {
        fixture.install().with_context(|| format!("{} cannot be installed", fixture.name()))?;
    }
    let mut cargo = repository::cargo();
    cargo.args(["test", "--locked", "--package", "koiosd", "--test", "it", "clients::", "--", "--nocapture"]);
    cargo.env("KOIOS_REQUIRE_INTEROP", "1");
    cargo.env("KOIOS_SCHEMATHESIS_EXAMPLES", arguments.first().unwrap_or(&EXAMPLES));
    if let Some(seed) = arguments.get(1) {
        cargo.env("KOIOS_SCHEMATHESIS_SEED", seed);
    }
    let status = cargo.status().context("cargo cannot be started")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

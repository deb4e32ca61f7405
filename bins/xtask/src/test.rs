//! `cargo xtask test`: everything that can run here, and a word about the rest.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::fixtures::Fixture;
use crate::repository;
use crate::suites::{Counts, Suites};

pub(crate) fn run(cargo_arguments: &[&str]) -> Result<ExitCode> {
    let mut cargo = repository::cargo();
    cargo.args(["test", "--workspace", "--locked", "--no-fail-fast"]).args(cargo_arguments);
    let mut missing = Vec::new();
    for fixture in Fixture::all()? {
        if let Err(error) = fixture.install() {
            let reason = format!("{error:#}");
            cargo.env(fixture.reason_variable(), &reason);
            missing.push((fixture, reason));
        }
    }
    let report = repository::root().join("target").join(format!("skip-report-{}.tsv", std::process::id()));
    fs::create_dir_all(report.parent().context("the report lies in a folder")?)?;
    fs::write(&report, "").with_context(|| format!("{} cannot be written", report.display()))?;
    cargo.env("KOIOS_SKIP_REPORT", &report).stdout(Stdio::piped());

    let mut process = cargo.spawn().context("cargo cannot be started")?;
    let counts = pass_on(process.stdout.take().context("a piped standard output")?)?;
    let status = process.wait().context("cargo ended strangely")?;

    let suites = Suites::read(&fs::read_to_string(&report)?);
    fs::remove_file(&report)?;
    println!("\n{}", suites.table(&counts));
    for (fixture, reason) in &missing {
        println!("{} is not installed: {reason}", fixture.name());
    }
    if !status.success() {
        println!("FAILED: cargo test ended with {status}");
        return Ok(ExitCode::FAILURE);
    }
    if repository::interop_is_required() && (suites.any_skipped() || !missing.is_empty()) {
        println!("FAILED: KOIOS_REQUIRE_INTEROP=1 forbids to skip");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints Cargo's lines as they come, and counts its results.
fn pass_on(output: impl std::io::Read) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&line)?;
        stdout.flush()?;
        counts.add(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(counts)
}

//! The committed OpenAPI document is what `koiosd` serves.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::repository;

/// Writes what `koiosd openapi` prints to `bins/koiosd/openapi.json`.
pub(crate) fn write() -> Result<()> {
    let path = committed();
    fs::write(&path, generate()?).with_context(|| format!("{} cannot be written", path.display()))
}

/// Compares them, and shows where they differ.
pub(crate) fn check() -> Result<ExitCode> {
    let path = committed();
    let generated = generate()?;
    let current = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    if current == generated {
        return Ok(ExitCode::SUCCESS);
    }
    let other = repository::root().join("target/openapi.json");
    fs::write(&other, generated).with_context(|| format!("{} cannot be written", other.display()))?;
    Command::new("git")
        .args(["--no-pager", "diff", "--no-index", "--"])
        .args([&path, &other])
        .status()
        .context("git cannot be started")?;
    println!("bins/koiosd/openapi.json has drifted: run `cargo xtask openapi` and commit the result");
    Ok(ExitCode::FAILURE)
}

fn committed() -> PathBuf {
    repository::root().join("bins/koiosd/openapi.json")
}

fn generate() -> Result<Vec<u8>> {
    let output = repository::cargo()
        .args(["run", "--quiet", "--locked", "--package", "koiosd", "--bin", "koiosd", "--", "openapi"])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    if !output.status.success() {
        bail!("`koiosd openapi` ended with {}", output.status);
    }
    Ok(output.stdout)
}

//! The pages under `docs/trust` are what the embedded catalogue says.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::repository;

/// Writes `docs/trust`.
pub(crate) fn write() -> Result<()> {
    generate(&repository::root().join("docs/trust"))
}

/// Compares it, and shows where it differs.
pub(crate) fn check() -> Result<ExitCode> {
    let generated = repository::root().join("target/docs-trust");
    if generated.exists() {
        std::fs::remove_dir_all(&generated)
            .with_context(|| format!("{} cannot be removed", generated.display()))?;
    }
    generate(&generated)?;
    let committed = repository::root().join("docs/trust");
    let same = Command::new("git")
        .args(["--no-pager", "diff", "--no-index", "--"])
        .args([&committed, &generated])
        .status()
        .context("git cannot be started")?;
    if same.success() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("docs/trust has drifted: run `cargo xtask trust-guides` and commit the result");
    Ok(ExitCode::FAILURE)
}

fn generate(folder: &Path) -> Result<()> {
    let status = repository::cargo()
        .args([
            "run",
            "--quiet",
            "--locked",
            "--package",
            "koios-opcua",
            "--example",
            "trust_guide_pages",
            "--",
        ])
        .arg(folder)
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("the example trust_guide_pages ended with {status}");
    }
    Ok(())
}

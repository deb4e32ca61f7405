//! The table of settings in `docs/CONFIGURATION.md` is the one that `koiosd` goes by.

use std::fs;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::repository;

const BEGIN: &str = "<!-- Settings: written by `cargo xtask configuration` -->\n";
const END: &str = "<!-- End of the settings -->\n";

/// Writes the table into the page.
pub(crate) fn write() -> Result<()> {
    let path = page();
    let text = with_table(&read()?, &generate()?)?;
    fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// Compares the table of the page with the present one.
pub(crate) fn check() -> Result<ExitCode> {
    let present = read()?;
    if with_table(&present, &generate()?)? == present {
        return Ok(ExitCode::SUCCESS);
    }
    println!("docs/CONFIGURATION.md has drifted: run `cargo xtask configuration` and commit the result");
    Ok(ExitCode::FAILURE)
}

fn page() -> PathBuf {
    repository::root().join("docs/CONFIGURATION.md")
}

fn read() -> Result<String> {
    fs::read_to_string(page()).with_context(|| format!("{} cannot be read", page().display()))
}

/// The page with that table between the two marks.
fn with_table(page: &str, table: &str) -> Result<String> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        bail!("docs/CONFIGURATION.md lacks the marks of its table");
    };
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

fn generate() -> Result<String> {
    let output = repository::cargo()
        .args(["run", "--quiet", "--locked", "--package", "koiosd", "--bin", "koiosd", "--"])
        .args(["config", "reference"])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    if !output.status.success() {
        bail!("`koiosd config reference` ended with {}", output.status);
    }
    String::from_utf8(output.stdout).context("the table is not UTF-8")
}

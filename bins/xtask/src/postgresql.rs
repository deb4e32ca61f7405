//! `cargo xtask postgresql`: koios-store's tests with PostgreSQL in SQLite's place, and whether every statement of its
//! sources was executed there (ADR 16).

mod executed;
mod server;
mod sources;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{interrupt, repository};
use executed::Executed;
use server::{Installation, Server};

pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let installation = match Installation::find() {
        Ok(installation) => installation,
        Err(missing) if repository::interop_is_required() => {
            bail!("{missing:#}; KOIOS_REQUIRE_INTEROP=1 forbids to skip")
        }
        Err(missing) => {
            println!("SKIPPED: no statement was tried on PostgreSQL: {missing:#}");
            return Ok(ExitCode::SUCCESS);
        }
    };
    interrupt::watch().context("signals cannot be watched")?;
    lint()?;
    cargo_test(&["--no-run"], None)?;

    let server = Server::start(&installation)?;
    println!("{} listens on {}", installation.version, server.address());
    let tested = cargo_test(&[&["--"], arguments].concat(), Some(&server.url()));
    // Stopped, it has written its whole log.
    let log = server.stop()?;
    tested?;
    if !arguments.is_empty() {
        println!("some tests only: whether every statement was executed is not looked at");
        return Ok(ExitCode::SUCCESS);
    }
    let executed = Executed::read(log.path())?;
    let pieces = sources::pieces(&repository::root().join("crates/koios-store/src"))?;
    let missing: Vec<_> = pieces.iter().filter(|piece| !executed.holds(&piece.pattern)).collect();
    for piece in &missing {
        println!("not executed: {}:{}: {}", piece.file, piece.line, piece.text);
    }
    println!(
        "{} pieces of SQL stand in the sources of koios-store; {} of them were executed on PostgreSQL, in {} different statements",
        pieces.len(),
        pieces.len() - missing.len(),
        executed.len()
    );
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What `.ci/run clippy` does for the usual build.
fn lint() -> Result<()> {
    let mut cargo = repository::cargo();
    cargo.args(["check", "--locked", "--package", "koios-store", "--lib", "--tests"]);
    // A connection is larger here, and so is every future that holds one.
    let body = "exec clippy-driver \"$@\" --cfg koios_postgresql -D warnings -A clippy::large_futures";
    let wrapper = wrapper("clippy", body)?;
    finish(cargo.env("RUSTC_WORKSPACE_WRAPPER", wrapper), "the lints of koios-store on PostgreSQL")
}

/// In the usual target directory: crates from elsewhere are built once for both.
fn cargo_test(arguments: &[&str], server: Option<&str>) -> Result<()> {
    let mut cargo = repository::cargo();
    cargo
        .args(["test", "--locked", "--no-fail-fast", "--package", "koios-store", "--lib", "--test", "it"])
        .args(arguments)
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper("rustc", "exec \"$@\" --cfg koios_postgresql")?);
    if let Some(server) = server {
        cargo.env("KOIOS_POSTGRESQL_URL", server);
    }
    finish(&mut cargo, "the tests of koios-store on PostgreSQL")
}

/// A program that compiles this repository's own crates with PostgreSQL. `RUSTFLAGS` would build all the others anew.
fn wrapper(name: &str, body: &str) -> Result<PathBuf> {
    let folder = repository::root().join("target/postgresql");
    let (path, script) = (folder.join(name), format!("#!/bin/sh\n{body}\n"));
    // Written anew, it would look like another compiler.
    if fs::read_to_string(&path).is_ok_and(|present| present == script) {
        return Ok(path);
    }
    fs::create_dir_all(&folder)?;
    fs::write(&path, script).with_context(|| format!("{} cannot be written", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn finish(command: &mut Command, what: &str) -> Result<()> {
    // A group of its own: what cargo has started ends with it.
    let mut child = command.process_group(0).spawn().context("cargo cannot be started")?;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("{what} ended with {status}"),
            None if interrupt::is_requested() => {
                kill_process_group(Pid::from_child(&child), Signal::KILL)?;
                child.wait()?;
                bail!("interrupted");
            }
            None => thread::sleep(Duration::from_millis(100)),
        }
    }
}

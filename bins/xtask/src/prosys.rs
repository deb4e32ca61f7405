//! `cargo xtask prosys`: the README story against a Prosys OPC UA Simulation Server, or against the stand-in.

mod api;
mod failure;
mod folders;
mod patience;
mod process;
mod programs;
mod settings;
mod story;
mod terminal;
mod verdict;

use std::process::ExitCode;

use anyhow::Context;

use failure::{Failure, Kind};
use folders::Folders;
use process::Running;
use settings::{Server, Settings};
use story::Story;
use terminal::Terminal;

use crate::interrupt;

pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    let settings = match Settings::read(arguments, |name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(message) => {
            eprintln!("{message}");
            return Kind::Settings.exit_code();
        }
    };
    if let Err(error) = interrupt::watch() {
        eprintln!("xtask: signals cannot be watched: {error}");
        return ExitCode::FAILURE;
    }
    let mut terminal = Terminal::new();
    let result = prove(&settings, &mut terminal);
    // Whatever broke, broke because of that.
    let interrupted = interrupt::is_requested();
    terminal.summary(&result, interrupted);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if interrupted => Kind::Interrupted.exit_code(),
        Err(failure) => failure.kind.exit_code(),
    }
}

fn prove(settings: &Settings, terminal: &mut Terminal) -> Result<(), Failure> {
    let scratch = tempfile::Builder::new()
        .prefix("koios-prosys-")
        .disable_cleanup(settings.keep)
        .tempdir()
        .context("there is no place for temporary files")?;
    if settings.keep {
        terminal.say(&format!("kept: {}", scratch.path().display()));
    }
    // Before anything is built: most mistakes are here.
    let given = match &settings.server {
        Server::Given { endpoint, folders } => {
            await_folders(folders, settings)?;
            Some((endpoint.clone(), folders.clone()))
        }
        Server::StandIn => None,
    };
    let programs = programs::Programs::build(settings)?;
    // Declared before the daemon, so that it outlives it.
    let stand_in;
    let (endpoint, folders) = match given {
        Some(given) => given,
        None => {
            let pki = scratch.path().join("PKI");
            stand_in = Running::start("prosys-stand-in", programs.stand_in(&pki), scratch.path())?;
            let folders = Folders::of_pki(&pki);
            folders.check()?;
            (stand_in.said_ready_on.clone(), folders)
        }
    };
    let mut story = Story::new(settings, endpoint, folders);
    let result = story.tell(terminal, &programs.koiosd, scratch.path());
    let tidied = story.tidy(terminal);
    result.and(tidied)
}

/// A server that is starting for the first time is about to make them.
fn await_folders(folders: &Folders, settings: &Settings) -> Result<(), Failure> {
    let mut last = Ok(());
    patience::wait_for(settings.wait, || {
        last = folders.check();
        Ok(last.is_ok().then_some(()))
    })?;
    last
}

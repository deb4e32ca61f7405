//! The line on a terminal that says how far a command has come, at a pseudo-terminal of our own.
#![cfg(target_os = "linux")]

use std::{
    fs::File,
    io::Read,
    os::unix::ffi::OsStrExt,
    process::{Command, Stdio},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::daemon::Setup;

const ERASE: &str = "\r\x1b[K";

/// Runs a command whose standard error is a terminal; answers the exit code, standard output, and what the terminal got.
fn at_a_terminal(command: &mut Command) -> (Option<i32>, String, String) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    let terminal = File::options().read(true).write(true).open(path).unwrap();
    let mut child = command.stdout(Stdio::piped()).stderr(terminal).spawn().unwrap();
    // The command holds another handle on the terminal, which the end of what is read depends on.
    command.stderr(Stdio::null());
    let mut seen = Vec::new();
    let mut controller = File::from(controller);
    let mut piece = [0; 4096];
    // Linux answers EIO when nobody has the terminal open any more.
    while let Ok(length @ 1..) = controller.read(&mut piece) {
        seen.extend_from_slice(&piece[..length]);
    }
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    (child.wait().unwrap().code(), out, String::from_utf8(seen).unwrap())
}

/// The steps that were shown; the line must have gone at the end.
#[track_caller]
fn steps(seen: &str) -> Vec<&str> {
    assert!(seen.starts_with(ERASE) && seen.ends_with(ERASE), "{seen:?}");
    seen.split(ERASE).filter(|step| !step.is_empty()).collect()
}

#[test]
fn long_commands_say_on_a_terminal_how_far_they_are_and_take_the_line_away() {
    let setup = Setup::new();
    setup.start().stop();

    let (code, out, seen) = at_a_terminal(setup.command().arg("check"));
    assert_eq!(code, Some(0), "{out}{seen}");
    let steps_of_check = steps(&seen);
    for step in ["checking the directory ...", "checking certificates 0 of 1", "checking the audit trail ..."]
    {
        assert!(steps_of_check.contains(&step), "{step}: {seen:?}");
    }
    assert!(out.ends_with("content\n") && !out.contains('\x1b'), "{out}");

    let backup = setup.folder().join("backup");
    let (code, out, seen) = at_a_terminal(setup.command().arg("backup").arg(&backup));
    assert_eq!(code, Some(0), "{out}{seen}");
    let steps_of_backup = steps(&seen);
    for step in ["copying the database ...", "reading certificates 0 of 1"] {
        assert!(steps_of_backup.contains(&step), "{step}: {seen:?}");
    }
    assert!(steps_of_backup.iter().any(|step| step.starts_with("writing files 0 of ")), "{seen:?}");

    let (code, out, seen) = at_a_terminal(setup.command().arg("restore").arg(&backup));
    assert_eq!(code, Some(0), "{out}{seen}");
    let steps_of_restore = steps(&seen);
    for step in ["reading the backup 0 of ", "verifying certificates 0 of 1", "writing files 0 of "] {
        assert!(steps_of_restore.iter().any(|shown| shown.starts_with(step)), "{step}: {seen:?}");
    }

    let folder = setup.data_dir().join("certificates");
    let (code, out, seen) = at_a_terminal(Setup::new().command().arg("import").arg(&folder));
    assert_eq!(code, Some(0), "{out}{seen}");
    let steps_of_import = steps(&seen);
    for step in ["reading files ...", "importing certificates 0 of 1"] {
        assert!(steps_of_import.contains(&step), "{step}: {seen:?}");
    }
}

#[test]
fn a_failure_takes_the_line_away_too() {
    let setup = Setup::new();
    setup.start().stop();
    let nowhere = setup.folder().join("nowhere").join("backup");
    let (code, _, seen) = at_a_terminal(setup.command().arg("backup").arg(nowhere));
    assert_eq!(code, Some(1));
    let message = seen.rsplit(ERASE).next().unwrap();
    assert!(message.starts_with("koiosd: ") && message.contains("backup"), "{seen:?}");
}

#[test]
fn programs_get_no_progress() {
    let setup = Setup::new();
    setup.start().stop();
    let (code, _, seen) = at_a_terminal(setup.command().args(["check", "--json"]));
    assert_eq!((code, &*seen), (Some(0), ""));
    let (code, _, err) = setup.ended(&["check"]);
    assert_eq!((code, &*err), (Some(0), ""), "it is no terminal");
}

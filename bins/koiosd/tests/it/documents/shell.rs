//! A bash that types what a page says.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{page::Step, shown};

/// Generous: a wait that long is a hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where commands are typed, and what they find there.
pub(crate) struct Shell {
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

impl Shell {
    /// In this folder, without the settings of whoever runs the tests.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), environment: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Types the steps of a page, one after the other in one shell that ends at the first command that fails, and compares what
    /// each prints with what the page shows. `before` is typed first.
    #[track_caller]
    pub(crate) fn follow(&self, before: &[Step], steps: &[Step]) {
        let outputs = tempfile::tempdir().expect("a folder");
        let output = |number: usize| outputs.path().join(number.to_string());
        let mut script = "set -euo pipefail\n".to_owned();
        let all: Vec<&Step> = before.iter().chain(steps).collect();
        for (number, step) in all.iter().enumerate() {
            write!(script, "exec >'{}'\n{}", output(number).display(), step.commands)
                .expect("a string grows");
        }
        let path = outputs.path().join("script");
        fs::write(&path, script).expect("a writable folder");
        let errors = outputs.path().join("errors");
        let ended_well = self.run(&path, &errors);
        let said = fs::read_to_string(&errors).expect("a log");
        let reached = (0..all.len()).rev().find(|number| output(*number).exists());
        let printed = |number| fs::read_to_string(output(number)).expect("text");
        if let (false, Some(reached)) = (ended_well, reached) {
            let Step { place, commands, .. } = all[reached];
            panic!("{place} failed:\n{commands}It printed\n{}\nand said\n{said}", printed(reached));
        }
        assert!(ended_well, "the shell did not start: {said}");
        for (number, step) in all.iter().enumerate() {
            if let Some(shown) = &step.shown
                && let Some(difference) = shown::difference(shown, &printed(number))
            {
                panic!("{}: {difference}\n{}It said\n{said}", step.place, step.commands);
            }
        }
    }

    /// Whether the script came to its end.
    fn run(&self, script: &Path, errors: &Path) -> bool {
        let mut command = Command::new("bash");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KOIOS_")) {
            command.env_remove(name);
        }
        let koiosd = Path::new(env!("CARGO_BIN_EXE_koiosd")).parent().expect("a folder").to_owned();
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(koiosd).chain(std::env::split_paths(&paths));
        command
            .arg(script)
            .current_dir(&self.folder)
            .env("PATH", std::env::join_paths(paths).expect("no colons"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(errors).expect("a writable folder"))
            // What it leaves running ends with it.
            .process_group(0);
        let group = Group(command.spawn().expect("bash starts"));
        group.wait()
    }
}

/// A shell with everything that it has started; killed when dropped.
struct Group(Child);

impl Group {
    fn wait(mut self) -> bool {
        let started = Instant::now();
        loop {
            match self.0.try_wait().expect("a child") {
                Some(status) => return status.success(),
                None if started.elapsed() > PATIENCE => return false,
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        // It has ended already when nothing was left running.
        let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}

/// Which of these programs are missing.
pub(crate) fn missing(programs: &[&str]) -> Option<String> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let there = |program: &&str| {
        std::env::split_paths(&paths).any(|folder| folder.join(OsStr::new(program)).is_file())
    };
    let missing: Vec<_> = programs.iter().filter(|program| !there(program)).copied().collect();
    (!missing.is_empty()).then(|| format!("{} not found", missing.join(", ")))
}

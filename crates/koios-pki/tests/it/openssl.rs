//! The `openssl` program as a judge of what we make and as a maker of what we must read.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::LazyLock;

use tempfile::TempDir;

/// A directory of its own in which `openssl` works.
pub(crate) struct OpenSsl {
    directory: TempDir,
}

impl OpenSsl {
    /// `None`, with a trace for `cargo xtask test`, where there is no `openssl`; a failure when it is required.
    pub(crate) fn or_skip() -> Option<Self> {
        match &*AVAILABLE {
            Ok(()) => Some(Self { directory: TempDir::new().unwrap() }),
            Err(reason) => {
                assert!(
                    std::env::var_os("KOIOS_REQUIRE_INTEROP").is_none_or(|value| value != "1"),
                    "{reason}"
                );
                eprintln!("skipped: {SUITE}: {reason}");
                None
            }
        }
    }

    /// Runs `openssl` with these arguments, split at blanks; panics when it fails.
    pub(crate) fn run(&self, arguments: &str) -> Output {
        let output = self.try_run(arguments);
        assert!(
            output.status.success(),
            "openssl {arguments}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    pub(crate) fn try_run(&self, arguments: &str) -> Output {
        // An empty configuration: whatever the machine has in its own must not change what is made.
        fs::write(self.path("empty.cnf"), "[req]\ndistinguished_name=dn\n[dn]\n").unwrap();
        Command::new("openssl")
            .args(arguments.split(' ').filter(|argument| !argument.is_empty()))
            .env("OPENSSL_CONF", self.path("empty.cnf"))
            .current_dir(self.directory.path())
            .output()
            .unwrap()
    }

    /// Runs `openssl` and gives what it printed; it prints some strings in the encoding they were found in.
    pub(crate) fn stdout(&self, arguments: &str) -> String {
        String::from_utf8_lossy(&self.run(arguments).stdout).into_owned()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

const SUITE: &str = "koios-pki against openssl";

/// Looked for once; a skip is reported once.
static AVAILABLE: LazyLock<Result<(), String>> = LazyLock::new(|| {
    let result = match Command::new("openssl").arg("version").output() {
        Ok(output) if output.stdout.starts_with(b"OpenSSL 3") => Ok(()),
        Ok(output) => {
            Err(format!("needs OpenSSL 3, found {}", String::from_utf8_lossy(&output.stdout).trim()))
        }
        Err(error) => Err(format!("openssl cannot be started: {error}")),
    };
    if let (Err(reason), Some(report)) = (&result, std::env::var_os("KOIOS_SKIP_REPORT")) {
        let mut report = fs::File::options().create(true).append(true).open(report).unwrap();
        writeln!(report, "{SUITE}\t{reason}").unwrap();
    }
    result
});

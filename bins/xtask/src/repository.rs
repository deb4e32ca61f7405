//! Where we are, and the programs that are run from here.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    // bins/xtask, two levels down.
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root.pop();
    root
}

/// The Cargo that runs us, in the root of the repository.
pub(crate) fn cargo() -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(root());
    command
}

/// Whether a skipped suite is a failure.
pub(crate) fn interop_is_required() -> bool {
    env::var_os("KOIOS_REQUIRE_INTEROP").is_some_and(|value| value == "1")
}

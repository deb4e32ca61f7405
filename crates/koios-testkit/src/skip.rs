//! What could not run, and why, for the table at the end of `cargo xtask test`.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::thread;

/// Reports that the running test is skipped for want of `what`; the test then returns.
///
/// Appends one line `<suite>\t<reason>\t<test>` to the file that `KOIOS_SKIP_REPORT` names (a passing test's output is
/// swallowed by the test harness), and says it on standard error.
///
/// # Panics
///
/// Under `KOIOS_REQUIRE_INTEROP=1`: there a skip is a failure.
pub fn skip(what: &str, reason: &str) {
    let suite = suite(what);
    assert!(
        !interop_is_required(),
        "{suite} cannot run, and KOIOS_REQUIRE_INTEROP=1 forbids to skip it: {reason}"
    );
    eprintln!("SKIPPED {suite}: {reason}");
    report(&suite, reason);
}

/// Reports that the running test really ran against `what`: a line with an empty reason.
pub(crate) fn ran(what: &str) {
    report(&suite(what), "");
}

pub(crate) fn interop_is_required() -> bool {
    env::var_os("KOIOS_REQUIRE_INTEROP").is_some_and(|value| value == "1")
}

/// `<package> with <what>`: Cargo names the package of the running test in its environment.
fn suite(what: &str) -> String {
    let package = env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "tests".to_owned());
    format!("{package} with {what}")
}

fn report(suite: &str, reason: &str) {
    let Some(path) = env::var_os("KOIOS_SKIP_REPORT") else { return };
    // The harness names the thread after the test that it runs.
    let thread = thread::current();
    let test = thread.name().unwrap_or("unnamed");
    let line = format!("{}\t{}\t{}\n", one_line(suite), one_line(reason), one_line(test));
    // One write in append mode: lines of tests that run at the same time do not mix.
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .expect("the file that KOIOS_SKIP_REPORT names can be written");
}

fn one_line(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

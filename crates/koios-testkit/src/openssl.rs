//! The `openssl` program: an outside judge of certificates, and the maker of those that rcgen refuses.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;

use crate::skip;

/// Whether the program is there. If not, the running test is reported as skipped: return from it.
///
/// # Panics
///
/// Under `KOIOS_REQUIRE_INTEROP=1`, when the program is absent.
#[must_use]
pub fn available_or_skip() -> bool {
    let available =
        Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !available {
        skip("openssl", "the openssl program was not found");
    }
    available
}

/// Runs `openssl` with these arguments and this standard input, and returns its standard output.
///
/// # Panics
///
/// When the program is absent or fails; the message carries its standard error.
#[track_caller]
pub fn run(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = output(arguments, input);
    assert!(
        output.status.success(),
        "openssl {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Runs `openssl` with these arguments and this standard input; its failure is for the caller to judge.
///
/// # Panics
///
/// When the program cannot be started.
#[track_caller]
pub fn output(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the openssl program starts");
    let mut stdin = child.stdin.take().expect("a piped standard input");
    let input = input.to_vec();
    // A thread of its own, since both pipes may fill. The program may end without reading all: not our concern.
    let writer = thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output().expect("the openssl program ends");
    writer.join().expect("the writer does not panic");
    output
}

/// The certificate as `openssl x509 -text` sees it.
#[track_caller]
pub fn certificate_text(der: &[u8]) -> String {
    let text = run(&["x509", "-inform", "DER", "-noout", "-text", "-nameopt", "RFC2253"], der);
    String::from_utf8(text).expect("openssl prints text")
}

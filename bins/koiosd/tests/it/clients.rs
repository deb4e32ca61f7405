//! What others make of the OpenAPI document: a client, and requests that nobody thought of.

mod schemathesis;
mod typescript;

use std::process::Command;

/// Runs it to its end; answers what it said when it failed.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if output.status.success() { Ok(said) } else { Err(said) }
}

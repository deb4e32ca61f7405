//! The PKI folders and key stores of other products' clients, written by these where they can be run.
//!
//! `None` means that a program is not there and the running test was reported as skipped: return from it. Under
//! `KOIOS_REQUIRE_INTEROP=1` that is a failure.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::server::foreign;
use crate::{openssl, skip};

/// Lets a node-opcua client connect to a server, and answers whether that took its certificate.
///
/// When its folder `pki` is not there it makes it, with a certificate and a key, encrypted under the passphrase if there is
/// one.
///
/// # Panics
///
/// When the client ends without an answer.
pub fn node_opcua_client(pki: &Path, endpoint_url: &str, passphrase: Option<&str>) -> Option<bool> {
    let argument = json!({
        "pki": pki,
        "endpointUrl": endpoint_url,
        "applicationName": "LineClient",
        "privateKeyPassphrase": passphrase,
    });
    let mut command = installed("node-opcua", |fixture| foreign::program(fixture, "pki.mjs"))?;
    let answer = answer(command.arg(argument.to_string()));
    eprintln!("the node-opcua client: {answer}");
    Some(answer["connected"].as_bool().expect("the client tells whether it has connected"))
}

/// Lets open62541 make a pair: `folder/certs` gets it in two files, `folder/pki` is its file store.
///
/// # Panics
///
/// When it fails.
pub fn open62541(folder: &Path, application_uri: &str, common_name: &str) -> Option<()> {
    // The server is what was noted at the installation; the program lies beside it.
    let program = |fixture: &str| Some(Command::new(foreign::interpreter(fixture)?.with_file_name("pki")));
    let mut command = installed("open62541", program)?;
    let answer = answer(command.arg(folder).args([application_uri, common_name]));
    assert_eq!(answer["ready"], true, "{answer}");
    Some(())
}

/// Lets a Java program write key stores, each opened by `password`.
///
/// `client.pfx` holds a pair of the application `urn:plant:java:client`, `several.p12` this, another one and a certificate
/// without a key; `client.jks` is in Java's own format.
///
/// # Panics
///
/// When it fails.
pub fn java_key_stores(folder: &Path) -> Option<()> {
    // A JRE alone does not run a source file.
    if let Err(error) = Command::new("javac").arg("-version").output() {
        skip("java", &format!("a JDK was not found: {error}"));
        return None;
    }
    let output = Command::new("java").arg(fixture("KeyStores.java")).arg(folder).output();
    expect_success("the Java program", &output.expect("java starts where javac does"));
    skip::ran("java");
    Some(())
}

/// Lays out folders as UA-.NETStandard and OPC Publisher do, by a script: no program of theirs runs.
///
/// The application is `urn:plant:dotnet:publisher`, with one certificate of an authority and one on a curve that it has
/// signed itself; its PFX files are opened by the passphrase, if there is one.
///
/// # Panics
///
/// When the script fails.
pub fn dotnet_layout(folder: &Path, passphrase: Option<&str>) -> Option<()> {
    if !openssl::available_or_skip() {
        return None;
    }
    let mut command = Command::new("bash");
    command.arg(fixture("make-dotnet-pki")).arg(folder).args(passphrase);
    expect_success("the script", &command.output().expect("bash starts"));
    Some(())
}

fn installed(name: &str, program: impl FnOnce(&str) -> Option<Command>) -> Option<Command> {
    if let Some(reason) = foreign::missing(name) {
        skip(name, &reason);
        return None;
    }
    skip::ran(name);
    program(name)
}

/// What a program says in its last line, as JSON.
fn answer(command: &mut Command) -> Value {
    let output = command.output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().rev().find(|line| line.starts_with('{'));
    let value = last.and_then(|line| serde_json::from_str(line).ok());
    value.unwrap_or_else(|| panic!("no answer: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

fn expect_success(what: &str, output: &Output) {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    assert!(output.status.success(), "{what} failed: {}", String::from_utf8_lossy(&said));
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/foreign-pki").join(name)
}

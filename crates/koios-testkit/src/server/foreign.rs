//! The servers of other languages, as `fixtures/servers/` has them.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::pki_folders::write_private_key;
use crate::server::child::Child;
use crate::server::{Mode, Policy, ServerOptions, Stack, Unavailable};
use crate::{PkiFolders, TestCertificate};

/// Whether the stack's runtime and packages are on this machine.
pub(super) fn require_installed(stack: Stack) -> Result<(), Unavailable> {
    let interpreter = match stack {
        Stack::AsyncOpcua => return Ok(()),
        Stack::Asyncua | Stack::NodeOpcua | Stack::Open62541 => interpreter(stack),
    };
    if interpreter.is_some() {
        return Ok(());
    }
    // `cargo xtask test` knows why it could not install them.
    let reason = env::var(reason_variable(stack)).unwrap_or_else(|_| {
        format!("fixtures/servers/{stack} is not installed (`cargo xtask fixtures` does it)")
    });
    Err(Unavailable { stack, reason })
}

pub(super) fn folders(stack: Stack, root: PathBuf) -> PkiFolders {
    PkiFolders {
        trusted: root.join("trusted/certs"),
        // asyncua writes no rejected certificates.
        rejected: (stack == Stack::NodeOpcua).then(|| root.join("rejected")),
        issuers: (stack != Stack::Open62541).then(|| root.join("issuers/certs")),
        revocation_lists: (stack != Stack::Open62541).then(|| root.join("trusted/crl")),
        root,
    }
}

/// Both stacks read every file of the folder; the thumbprint makes it findable.
pub(super) fn file_name(der: &[u8]) -> String {
    format!("{}.der", crate::certificate::sha1(der).to_ascii_lowercase())
}

/// Starts the server; returns its port.
pub(super) fn start(
    stack: Stack,
    options: &ServerOptions,
    certificate: &TestCertificate,
    pki: &PkiFolders,
) -> (u16, Child) {
    write_lists(options, pki);
    let own = pki.root.join("own");
    fs::create_dir_all(&own).expect("a writable PKI folder");
    let certificate_file = own.join("server.pem");
    // node-opcua's certificate manager makes a key of its own when it finds none here.
    let key_file = own.join("private/private_key.pem");
    // Only node-opcua sends a chain; asyncua takes one certificate.
    let certificate_pem = match stack {
        Stack::NodeOpcua => certificate.chain_pem(),
        Stack::AsyncOpcua | Stack::Asyncua | Stack::Open62541 => certificate.pem(),
    };
    fs::write(&certificate_file, certificate_pem).expect("a writable PKI folder");
    write_private_key(&key_file, certificate.key_pem()).expect("a writable PKI folder");

    let mut last = None;
    for attempt in 0..ATTEMPTS {
        // A port that was free a moment ago may be taken by now: then another one, or the fixed one a little later.
        let port = if options.port == 0 { free_port() } else { options.port };
        if stack == Stack::Open62541 {
            let mut server = open62541(port, options, certificate, pki, &key_file);
            match Child::start(&mut server) {
                Ok(child) => return (port, child),
                Err(not_ready) => last = Some(not_ready),
            }
            continue;
        }
        let configuration = json!({
            "port": port,
            "applicationName": options.application_name,
            "applicationUri": options.application_uri,
            "pki": pki.root,
            "certificateFile": certificate_file,
            "privateKeyFile": key_file,
            "policies": options.policies.iter().map(|policy: &Policy| policy.name()).collect::<Vec<_>>(),
            "modes": options.modes.iter().map(|mode: &Mode| mode.name()).collect::<Vec<_>>(),
            "noneEndpoint": options.none_endpoint,
            "anonymous": options.anonymous,
            "users": options.users.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        });
        match Child::start(&mut command(stack, &configuration.to_string())) {
            Ok(child) => return (port, child),
            Err(not_ready) => last = Some(not_ready),
        }
        if attempt + 1 < ATTEMPTS {
            thread::sleep(Duration::from_millis(200));
        }
    }
    let last = last.expect("at least one attempt");
    panic!("{stack} does not start: {}\n{}", last.reason, last.log);
}

/// The arguments that `fixtures/servers/open62541/server.c` tells.
fn open62541(
    port: u16,
    options: &ServerOptions,
    certificate: &TestCertificate,
    pki: &PkiFolders,
    key_file: &Path,
) -> Command {
    let der_file = pki.root.join("own/server.der");
    fs::write(&der_file, certificate.der()).expect("a writable PKI folder");
    let flag = |set| if set { "1" } else { "0" };
    let mut command = Command::new(interpreter(Stack::Open62541).expect("checked at the start"));
    command.arg(port.to_string()).arg(&options.application_uri).arg(der_file).arg(key_file).arg(&pki.trusted);
    command.args([flag(options.anonymous), flag(options.none_endpoint)]);
    command.arg(options.policies.iter().map(|policy| policy.name()).collect::<Vec<_>>().join(","));
    command.arg(options.modes.iter().map(|mode| mode.name()).collect::<Vec<_>>().join(","));
    for (name, password) in &options.users {
        command.args([name, password]);
    }
    command.envs(options.reverse_connect.as_ref().map(|url| ("REVERSE_CONNECT", url)));
    command
}

fn write_lists(options: &ServerOptions, pki: &PkiFolders) {
    for (folder, files) in
        [(&pki.issuers, &options.issuers), (&pki.revocation_lists, &options.revocation_lists)]
    {
        let Some(folder) = folder.as_deref() else {
            assert!(files.is_empty(), "this stack knows no issuers and no revocation lists");
            continue;
        };
        for der in files {
            // asyncua reads revocation lists only from .der and .pem files.
            fs::write(folder.join(file_name(der)), der).expect("a writable PKI folder");
        }
    }
}

fn command(stack: Stack, configuration: &str) -> Command {
    let folder = folder(stack);
    let program = match stack {
        Stack::NodeOpcua => folder.join("server.mjs"),
        Stack::AsyncOpcua | Stack::Asyncua | Stack::Open62541 => folder.join("server.py"),
    };
    let mut command = Command::new(interpreter(stack).expect("checked at the start"));
    command.arg(program).arg(configuration).current_dir(folder);
    command
}

/// The program that connects many times, or holds many sessions, with the stack's own client, for the benchmarks.
///
/// node-opcua's and asyncua's take a configuration as JSON, open62541's the arguments that `client.c` tells. `None` when it
/// is not installed or the stack has none here.
pub fn bench_client(stack: Stack) -> Option<Command> {
    let interpreter = interpreter(stack)?;
    let script = match stack {
        Stack::AsyncOpcua => return None,
        Stack::Asyncua => "client-bench.py",
        Stack::NodeOpcua => "client-bench.mjs",
        // The server is what was noted at its installation; the client lies beside it.
        Stack::Open62541 => {
            let client = interpreter.with_file_name("client");
            return client.exists().then(|| Command::new(client));
        }
    };
    let mut command = Command::new(interpreter);
    command.arg(folder(stack).join(script)).current_dir(folder(stack));
    Some(command)
}

/// The Node.js or Python that has the stack's packages, or the server itself; `None` when they are not installed.
fn interpreter(stack: Stack) -> Option<PathBuf> {
    let folder = folder(stack);
    match stack {
        Stack::AsyncOpcua => None,
        // xtask writes the stamp after a complete installation; it names the interpreter.
        Stack::Asyncua | Stack::NodeOpcua | Stack::Open62541 => {
            let stamp = fs::read_to_string(folder.join(STAMP)).ok()?;
            let interpreter = PathBuf::from(stamp.lines().nth(1)?);
            let interpreter =
                if interpreter.components().count() > 1 { folder.join(interpreter) } else { interpreter };
            Some(interpreter)
        }
    }
}

fn folder(stack: Stack) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/servers").join(stack.name())
}

fn reason_variable(stack: Stack) -> String {
    format!("KOIOS_NO_{}", stack.name().replace('-', "_").to_ascii_uppercase())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// Starts tried before giving up.
const ATTEMPTS: usize = 4;

/// Written by `cargo xtask fixtures` beside the lockfile: first line its hash, second line the interpreter (a path
/// relative to the folder, or a bare name to be found in `PATH`).
const STAMP: &str = ".installed";

//! What the servers of other languages, in `fixtures/servers/`, have in common.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::PkiFolders;
use crate::pki_folders::write_private_key;
use crate::server::child::Child;
use crate::server::stack::{Ability, Running};
use crate::server::{Mode, Policy, ServerOptions};

/// Why the server of this folder cannot be started; `None` when it can.
pub(crate) fn missing(fixture: &str) -> Option<String> {
    if interpreter(fixture).is_some() {
        return None;
    }
    // `cargo xtask test` knows why it could not install it.
    let reason = env::var(reason_variable(fixture));
    Some(reason.unwrap_or_else(|_| {
        format!("the fixture {fixture} is not installed (`cargo xtask fixtures` does it)")
    }))
}

/// The folders of OPC 10000-12 §7.8.2, as far as the server has them.
pub(super) fn folders(root: PathBuf, abilities: &[Ability]) -> PkiFolders {
    let authorities = abilities.contains(&Ability::Authorities);
    PkiFolders {
        trusted: root.join("trusted/certs"),
        rejected: abilities.contains(&Ability::KeepsRejected).then(|| root.join("rejected")),
        issuers: authorities.then(|| root.join("issuers/certs")),
        revocation_lists: authorities.then(|| root.join("trusted/crl")),
        root,
    }
}

/// All of them read every file of the folder; the thumbprint makes it findable.
pub(super) fn file_name(der: &[u8]) -> String {
    format!("{}.der", crate::certificate::sha1(der).to_ascii_lowercase())
}

/// The files of the server's own certificate.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) certificate: PathBuf,
    pub(super) private_key: PathBuf,
}

/// Writes the server's own certificate and key, both PEM.
pub(super) fn write_own(pki: &PkiFolders, certificate: &str, private_key: &str) -> Own {
    let folder = pki.root.join("own");
    fs::create_dir_all(&folder).expect("a writable PKI folder");
    let own = Own {
        certificate: folder.join("server.pem"),
        // node-opcua's certificate manager makes a key of its own when it finds none here.
        private_key: folder.join("private/private_key.pem"),
    };
    fs::write(&own.certificate, certificate).expect("a writable PKI folder");
    write_private_key(&own.private_key, private_key).expect("a writable PKI folder");
    own
}

/// What the scripts of the fixtures take as their argument.
pub(super) fn configuration(port: u16, options: &ServerOptions, pki: &PkiFolders, own: &Own) -> String {
    json!({
        "port": port,
        "applicationName": options.application_name,
        "applicationUri": options.application_uri,
        "pki": pki.root,
        "certificateFile": own.certificate,
        "privateKeyFile": own.private_key,
        "policies": options.policies.iter().map(|policy: &Policy| policy.name()).collect::<Vec<_>>(),
        "modes": options.modes.iter().map(|mode: &Mode| mode.name()).collect::<Vec<_>>(),
        "noneEndpoint": options.none_endpoint,
        "anonymous": options.anonymous,
        "users": options.users.iter().cloned().collect::<BTreeMap<_, _>>(),
        "maxSessions": options.max_sessions,
    })
    .to_string()
}

/// A script of the fixture with its one argument.
pub(super) fn script(fixture: &str, name: &str, argument: &str) -> Command {
    let mut command = program(fixture, name).expect("checked at the start");
    command.arg(argument);
    command
}

/// A script of the fixture; `None` when its interpreter is not installed.
pub(crate) fn program(fixture: &str, name: &str) -> Option<Command> {
    let folder = folder(fixture);
    let mut command = Command::new(interpreter(fixture)?);
    command.arg(folder.join(name)).current_dir(folder);
    Some(command)
}

/// Starts the server that this command is for, and tells its port.
pub(super) fn start(
    name: &str,
    options: &ServerOptions,
    pki: &PkiFolders,
    command: impl Fn(u16) -> Command,
) -> (u16, Running) {
    write_lists(name, options, pki);
    let mut last = None;
    for attempt in 0..ATTEMPTS {
        // A port that was free a moment ago may be taken by now: then another one, or the fixed one a little later.
        let port = if options.port == 0 { free_port() } else { options.port };
        match Child::start(&mut command(port)) {
            Ok(child) => return (port, Running::Child(child)),
            Err(not_ready) => last = Some(not_ready),
        }
        if attempt + 1 < ATTEMPTS {
            thread::sleep(Duration::from_millis(200));
        }
    }
    let last = last.expect("at least one attempt");
    panic!("{name} does not start: {}\n{}", last.reason, last.log);
}

fn write_lists(name: &str, options: &ServerOptions, pki: &PkiFolders) {
    for (folder, files) in
        [(&pki.issuers, &options.issuers), (&pki.revocation_lists, &options.revocation_lists)]
    {
        let Some(folder) = folder.as_deref() else {
            assert!(files.is_empty(), "{name} knows no issuers and no revocation lists");
            continue;
        };
        for der in files {
            // asyncua reads revocation lists only from .der and .pem files.
            fs::write(folder.join(file_name(der)), der).expect("a writable PKI folder");
        }
    }
}

/// The Node.js or Python that has the fixture's packages, or the server itself; `None` when it is not installed.
pub(crate) fn interpreter(fixture: &str) -> Option<PathBuf> {
    let folder = folder(fixture);
    // xtask writes the stamp after a complete installation; it names the interpreter.
    let stamp = fs::read_to_string(folder.join(STAMP)).ok()?;
    let interpreter = PathBuf::from(stamp.lines().nth(1)?);
    Some(if interpreter.components().count() > 1 { folder.join(interpreter) } else { interpreter })
}

/// Where the files of a server or of a client lie.
pub(crate) fn folder(fixture: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let server = fixtures.join("servers").join(fixture);
    if server.is_dir() { server } else { fixtures.join("clients").join(fixture) }
}

fn reason_variable(fixture: &str) -> String {
    format!("KOIOS_NO_{}", fixture.replace(['-', '.'], "_").to_ascii_uppercase())
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

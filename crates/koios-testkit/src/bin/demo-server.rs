//! An OPC UA server to try Koios with: secured, on loopback, with a PKI folder of its own.
//!
//! It trusts nobody at first: a client's certificate goes to its rejected folder, and whoever moves the file to the
//! trusted folder lets the client in. That is what the operator of a real server does.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use koios_testkit::{PkiFolders, Server, ServerCertificate, ServerOptions, Stack, TestCertificate, start};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let arguments = match Arguments::parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo-server: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    port: u16,
    pki_dir: Option<PathBuf>,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self { port: DEFAULT_PORT, pki_dir: None };
        while let Some(name) = arguments.next() {
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (name, None),
            };
            let mut value = || value.clone().or_else(|| arguments.next()).ok_or_else(|| USAGE.to_owned());
            match name.as_str() {
                "--port" => {
                    let port = value()?;
                    parsed.port = port.parse().map_err(|_| format!("{port} is not a port\n{USAGE}"))?;
                }
                "--pki-dir" => parsed.pki_dir = Some(PathBuf::from(value()?)),
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(parsed)
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let pki_dir = arguments.pki_dir.as_deref().map(create).transpose()?;
    let certificate = match pki_dir.as_deref().and_then(own_certificate) {
        Some(certificate) => ServerCertificate::Given(certificate),
        None => ServerCertificate::Good,
    };
    if arguments.port != 0 {
        // The server would wait for the port to become free; a person wants to know.
        drop(std::net::TcpListener::bind(("127.0.0.1", arguments.port)).map_err(|error| {
            format!("port {} cannot be opened ({error}); choose another one with --port", arguments.port)
        })?);
    }
    let server = start(
        Stack::AsyncOpcua,
        ServerOptions {
            application_name: "Koios demo server".to_owned(),
            application_uri: "urn:koios:demo-server".to_owned(),
            certificate,
            port: arguments.port,
            pki_dir,
            ..ServerOptions::default()
        },
    )?;
    greet(&server);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(report_until_stopped(&server.pki))?;
    Ok(())
}

/// Made if need be, and absolute, so that what is printed can be pasted anywhere.
fn create(folder: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    fs::canonicalize(folder)
}

/// What an earlier start has left in this folder: a server keeps its certificate.
fn own_certificate(pki_dir: &Path) -> Option<TestCertificate> {
    let der = fs::read(pki_dir.join("own/cert.der")).ok()?;
    let key = fs::read_to_string(pki_dir.join("private/private.pem")).ok()?;
    Some(TestCertificate::from_parts(&der, &key))
}

fn greet(server: &Server) {
    let pki = &server.pki;
    let rejected = rejected_folder(pki);
    println!("demo-server ready on {}", server.endpoint_url);
    println!(
        "  policies   Basic256Sha256, Aes128_Sha256_RsaOaep, Aes256_Sha256_RsaPss; Sign, SignAndEncrypt"
    );
    println!("  users      anonymous; op with the password secret");
    println!("  rejected   {}", rejected.display());
    println!("  trusted    {}", pki.trusted.display());
    println!("To trust the clients that it has rejected:");
    println!("  mv {}/*.der {}/", shell_word(rejected), shell_word(&pki.trusted));
}

/// Says which certificates the server rejects, until Ctrl-C or SIGTERM.
async fn report_until_stopped(pki: &PkiFolders) -> io::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut look = tokio::time::interval(Duration::from_millis(500));
    let mut known: HashSet<PathBuf> = pki.rejected_files().into_iter().collect();
    loop {
        tokio::select! {
            result = tokio::signal::ctrl_c() => return result,
            _ = terminated.recv() => return Ok(()),
            _ = look.tick() => {
                let rejected: HashSet<_> = pki.rejected_files().into_iter().collect();
                for file in rejected.difference(&known) {
                    println!("rejected {}", file.file_name().unwrap_or_default().to_string_lossy());
                }
                known = rejected;
            }
        }
    }
}

fn rejected_folder(pki: &PkiFolders) -> &Path {
    pki.rejected.as_deref().expect("async-opcua has a rejected folder")
}

/// The path as a word of a POSIX shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte)) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Registered for OPC UA (IANA `opcua-tcp`).
const DEFAULT_PORT: u16 = 4840;

const USAGE: &str = "usage: demo-server [--port PORT] [--pki-dir FOLDER]
  --port     TCP port on 127.0.0.1; default 4840, 0 takes a free one
  --pki-dir  where certificates lie, and stay; by default a temporary folder";

//! A stand-in for the Prosys OPC UA Simulation Server, for pipelines: `cargo xtask prosys --stand-in` starts it.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use koios_testkit::ProsysStandIn;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let Some(arguments) = Arguments::parse(env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("prosys-stand-in: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    port: u16,
    pki_dir: PathBuf,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let (mut port, mut pki_dir) = (PRODUCT_PORT, None);
        while let Some(name) = arguments.next() {
            let value = arguments.next()?;
            match name.as_str() {
                "--port" => port = value.parse().ok()?,
                "--pki-dir" => pki_dir = Some(PathBuf::from(value)),
                _ => return None,
            }
        }
        Some(Self { port, pki_dir: pki_dir? })
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    if arguments.port != 0 {
        // The server would wait for the port to become free; a person wants to know.
        drop(std::net::TcpListener::bind(("127.0.0.1", arguments.port)).map_err(|error| {
            format!("port {} cannot be opened ({error}); choose another one with --port", arguments.port)
        })?);
    }
    let server = ProsysStandIn::start(&arguments.pki_dir, arguments.port)?;
    println!("prosys-stand-in ready on {}", server.endpoint_url);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = terminated.recv() => Ok(()),
        }
    })?;
    Ok(())
}

/// Where the product listens.
const PRODUCT_PORT: u16 = 53530;

const USAGE: &str = "usage: prosys-stand-in --pki-dir FOLDER [--port PORT]
  --pki-dir  where certificates lie, and stay: FOLDER/CA/certs, FOLDER/CA/rejected
  --port     TCP port on 127.0.0.1; default 53530, 0 takes a free one";

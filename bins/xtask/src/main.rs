//! The repository's own chores: `cargo xtask`.

mod clients;
mod configuration;
mod contract;
mod deb;
mod fixtures;
mod interop;
mod interrupt;
mod links;
mod openapi;
mod postgresql;
mod prosys;
mod reliability;
mod repository;
mod suites;
mod test;
mod trust_guides;

use std::env;
use std::process::ExitCode;

use interop::Purpose;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["test", cargo_arguments @ ..] => test::run(cargo_arguments),
        ["clients", arguments @ ..] => clients::run(arguments),
        ["configuration"] => configuration::write().map(|()| ExitCode::SUCCESS),
        ["configuration", "--check"] => configuration::check(),
        ["deb"] => deb::run(None),
        ["deb", "--binary", binary] => deb::run(Some(binary)),
        ["contract", arguments @ ..] => contract::check(arguments),
        ["faults", arguments @ ..] => reliability::faults(arguments),
        ["fixtures"] => fixtures::run(),
        ["interop"] => interop::run(Purpose::Write),
        ["interop", "--check"] => interop::run(Purpose::Check),
        ["kills", arguments @ ..] => reliability::kills(arguments),
        ["links"] => links::check(),
        ["load", arguments @ ..] => reliability::load(arguments),
        ["openapi"] => openapi::write().map(|()| ExitCode::SUCCESS),
        ["openapi", "--check"] => openapi::check(),
        ["postgresql", test_arguments @ ..] => postgresql::run(test_arguments),
        ["prosys", prosys_arguments @ ..] => return prosys::run(prosys_arguments),
        ["trust-guides"] => trust_guides::write().map(|()| ExitCode::SUCCESS),
        ["trust-guides", "--check"] => trust_guides::check(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

const USAGE: &str = "usage: cargo xtask <chore>
  test [arguments]   install the fixtures that can be, run `cargo test --workspace --locked [arguments]`,
                     and tell which suites ran; KOIOS_REQUIRE_INTEROP=1 makes a skipped suite a failure
  clients [number [seed]]
                     let a generated TypeScript client tell the README story, and schemathesis make so many requests of a
                     kind for each operation (30); a seed repeats an earlier run
  configuration [--check]
                     write the table of settings in docs/CONFIGURATION.md, or tell whether it has drifted
  deb [--binary FILE]
                     make a Debian package of a release build, or of that binary, in target/debian
  contract [--contract FILE]
                     tell which tests of docs/REST-CONTRACT.md do not exist; with the contract, where its quotes differ
  faults [number]    let every file and database call of every change, and of a start, fail (or so many of each)
  fixtures           install the OPC UA servers and REST clients of other languages (needs npm; python3; cmake and a C compiler)
  interop [--check]  connect to the servers of all stacks in all ways, and write docs/INTEROP.md, or tell whether it has
                     drifted; fails where a verdict is not the one of its table
  kills [number [seed]]
                     kill the daemon under load so many times (1000); a seed repeats the choices of an earlier run
  links              tell which links and anchors of the Markdown files lead nowhere, and which pages no way leads to
  load [seconds [clients [devices]]]
                     let 200 clients call everything for 600 seconds while 500 devices are running, on a release build
  openapi [--check]  write bins/koiosd/openapi.json, or tell whether it has drifted
  postgresql [arguments]
                     run koios-store's tests on a PostgreSQL server in SQLite's place (needs Debian's postgresql), and
                     tell whether every statement was executed; with arguments for the test binaries only the former
  prosys [--stand-in] [arguments]
                     tell the README story to the Prosys OPC UA Simulation Server that KOIOS_PROSYS_ENDPOINT and
                     KOIOS_PROSYS_PKI name, or to a stand-in; `cargo xtask prosys --help` tells the rest
  trust-guides [--check]
                     write docs/trust, or tell whether it has drifted";

//! Schemathesis makes requests from the document, good and bad ones, and compares each answer with it.

use std::env;

use koios_testkit::ClientFixture;

use super::run;
use crate::daemon::{ADMIN, Setup};

/// Where generated addresses lead: nothing listens there, and nothing leaves this machine.
const TARGET: &str = "opc.tcp://127.0.0.1:1/";

/// A short run with every phase; `cargo xtask clients` makes it longer by `KOIOS_SCHEMATHESIS_EXAMPLES`.
#[test]
fn schemathesis_finds_no_answer_that_the_document_does_not_foresee() {
    let Some(fixture) = ClientFixture::find_or_skip("schemathesis") else { return };
    let daemon = Setup::new().start();
    let folder = tempfile::tempdir().expect("a folder");
    let examples = env::var("KOIOS_SCHEMATHESIS_EXAMPLES").ok();
    let seed = env::var("KOIOS_SCHEMATHESIS_SEED").unwrap_or_else(|_| "1".to_owned());
    let mut command = fixture.command();
    command
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(fixture.folder().join("schemathesis.toml"))
        .args(["run", &format!("{}/api/v1/openapi.json", daemon.url), "--no-color", "--seed", &seed])
        .current_dir(folder.path())
        .env("KOIOS_SCHEMATHESIS_FOLDER", fixture.folder())
        .env("KOIOS_SCHEMATHESIS_TOKEN", ADMIN)
        .env("KOIOS_SCHEMATHESIS_TARGET", TARGET);
    match &examples {
        Some(examples) => command.args(["--max-examples", examples]),
        None => command.args(["--max-examples", "1", "--phases", "examples,fuzzing"]),
    };
    let said = run(&mut command).unwrap_or_else(|said| panic!("{said}\n{}", panics(&daemon.log())));
    if examples.is_some() {
        println!("{said}");
    }
    assert_eq!(panics(&daemon.log()), "");
    daemon.get("/readyz").expect(200);
    let export = daemon.get("devices/export").expect(200);
    for device in export["devices"].as_array().expect("devices") {
        let address = device["endpoint_url"].as_str().expect("an address");
        assert!(address == TARGET, "a device would connect to {address}");
    }
}

fn panics(log: &str) -> String {
    log.lines().filter(|line| line.contains("panic")).collect::<Vec<_>>().join("\n")
}

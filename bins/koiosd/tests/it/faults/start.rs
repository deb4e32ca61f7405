//! Starts in which a call fails.

use super::{
    shim::{Errno, Lasting, Shim},
    some_of,
};
use crate::{
    changes::random::Random,
    daemon::{ADMIN, Daemon, Setup},
    http::Call,
};

/// Starts that are tried for each error, when not all calls are.
const TRIED: u64 = 3;

#[track_caller]
fn next_start(setup: &Setup, injected: &str) -> Daemon {
    setup.try_start().unwrap_or_else(|failed| panic!("not well after {injected}: {}", failed.log))
}

#[test]
fn whatever_call_of_a_start_fails_it_says_why_and_the_next_one_works() {
    let Some((setup, shim)) = Shim::before(Setup::empty()) else { return };
    let daemon = setup.start();
    let certificate = daemon.generate("A");
    drop(daemon);
    let mut random = Random::new(13);
    let (mut tried, mut ready) = (0, 0);
    for errno in Errno::ALL {
        for lasting in Lasting::ALL {
            shim.arm(errno, lasting, u64::MAX);
            drop(setup.start());
            for nth in some_of(&mut random, shim.calls(), TRIED) {
                shim.arm(errno, lasting, nth);
                let started = setup.try_start();
                let injected = format!("{errno:?} {lasting:?} at call {nth} ({})", shim.last());
                shim.disarm();
                tried += 1;
                match started {
                    Ok(daemon) => {
                        drop(daemon);
                        ready += 1;
                    }
                    Err(failed) => {
                        let said = failed.log.lines().any(|line| line.starts_with("koiosd: "));
                        assert!(
                            matches!(failed.status.code(), Some(1 | 3))
                                && said
                                && !failed.log.contains("panicked"),
                            "{injected}: {:?} {}",
                            failed.status,
                            failed.log
                        );
                    }
                }
                let daemon = next_start(&setup, &injected);
                assert_eq!(daemon.get("certificates").expect(200)["items"][0]["id"], certificate["id"]);
                daemon.get(&format!("certificates/{}/certificate.der", certificate["id"].as_str().unwrap()));
                drop(daemon);
            }
        }
    }
    println!("{tried} starts with a failing call, {ready} of them ready all the same");
    let check = setup.command().arg("check").output().expect("it runs");
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stdout));
}

#[test]
fn whatever_call_of_a_first_start_fails_the_next_one_finishes_it() {
    let mut random = Random::new(17);
    for errno in Errno::ALL {
        let Some((setup, shim)) = Shim::before(Setup::new()) else { return };
        shim.arm(errno, Lasting::Once, u64::MAX);
        drop(setup.start());
        for nth in some_of(&mut random, shim.calls(), 2) {
            let Some((setup, shim)) = Shim::before(Setup::new()) else { return };
            shim.arm(errno, Lasting::FromThenOn, nth);
            let started = setup.try_start();
            let injected = format!("{errno:?} at call {nth} ({})", shim.last());
            shim.disarm();
            if let Err(failed) = started.map(drop) {
                assert!(
                    matches!(failed.status.code(), Some(1 | 3)),
                    "{injected}: {:?} {}",
                    failed.status,
                    failed.log
                );
            }
            let daemon = next_start(&setup, &injected);
            let url = format!("{}/api/v1/certificates", daemon.url);
            let found = Call::new("GET", url).token(ADMIN).send().expect(200);
            assert_eq!(found["total"], 1, "{injected}");
            assert_eq!(found["items"][0]["files"]["downloadable"], true, "{injected}");
        }
    }
}

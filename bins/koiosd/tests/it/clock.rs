//! A wall clock that is set forward and back under the running daemon: it changes badges, and never data.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup, contents_below},
    preload::{self, Library},
};

pub(crate) const DAY: i64 = 24 * 60 * 60;

/// The library that shifts the clock, and the file that says how far.
pub(crate) struct Clock {
    offset: File,
    _library: Library,
}

impl Clock {
    /// `None`, and the running test is reported as skipped, where there is no C compiler.
    pub(crate) fn before(setup: Setup) -> Option<(Setup, Self)> {
        let library = match preload::compile(include_str!("clock/shim.c")) {
            Ok(library) => library,
            Err(reason) => {
                koios_testkit::skip("a shifted clock", &reason);
                return None;
            }
        };
        let path = setup.folder().join("offset");
        let offset =
            File::options().read(true).write(true).create_new(true).open(&path).expect("a shared file");
        let text = |path: &Path| path.to_str().expect("paths are text").to_owned();
        let setup = setup
            .with_environment("LD_PRELOAD", &text(&library.path))
            .with_environment("CLOCK_OFFSET", &text(&path));
        let clock = Self { offset, _library: library };
        clock.set(0);
        Some((setup, clock))
    }

    pub(crate) fn set(&self, seconds: i64) {
        self.offset.write_all_at(&seconds.to_ne_bytes(), 0).expect("the shared file");
    }
}

/// Every certificate with its badges apart from all else.
fn certificates(daemon: &Daemon) -> (Vec<Value>, Vec<Value>) {
    let list = daemon.get("certificates?sort=name").expect(200)["items"].clone();
    let items = list.as_array().expect("a list").clone();
    let statuses = items.iter().map(|item| item["statuses"].clone()).collect();
    let data = items
        .into_iter()
        .map(|mut item| {
            // What is found of a certificate names its expiry too, and days are counted from today.
            for field in ["statuses", "findings", "expires_in_days"] {
                item.as_object_mut().expect("an object").remove(field);
            }
            item
        })
        .collect();
    (statuses, data)
}

#[test]
fn a_clock_that_is_set_forward_and_back_changes_badges_and_no_data() {
    let Some((setup, clock)) = Clock::before(Setup::empty()) else { return };
    let mut daemon = setup.start();
    daemon.generate("A");
    let short = json!({ "name": "B", "hostname": "gw02.plant.example", "validity_days": 60 });
    daemon.post("certificates/generate", &short).expect(201);
    let (_, data) = certificates(&daemon);
    let kept = contents_below(&setup.data_dir().join("certificates"));
    let valid = json!(["valid"]);
    let mut devices = 0;
    for (days, expected) in [
        (0, [valid.clone(), valid.clone()]),
        (40, [valid.clone(), json!(["valid", "expiring_soon"])]),
        (400, [valid.clone(), json!(["expired"])]),
        (4 * 365, [json!(["expired"]), json!(["expired"])]),
        (-1000, [json!(["not_yet_valid"]), json!(["not_yet_valid"])]),
        (-20 * 365, [json!(["not_yet_valid"]), json!(["not_yet_valid"])]),
        (0, [valid.clone(), valid]),
    ] {
        clock.set(days * DAY);
        assert_eq!(certificates(&daemon), (expected.to_vec(), data.clone()), "{days} days off");
        // Changes are made and kept whatever the clock says, and a start under that clock takes nothing away.
        let device = json!({ "name": format!("Device {devices}"), "endpoint_url": "opc.tcp://127.0.0.1:9",
            "enabled": false, "security_mode": "none" });
        daemon.post("devices", &device).expect(201);
        devices += 1;
        assert_eq!(daemon.get("audit").status, 200);
        daemon.stop();
        daemon = setup.start();
        assert_eq!(
            certificates(&daemon),
            (expected.to_vec(), data.clone()),
            "{days} days off, after a start"
        );
        assert_eq!(daemon.get("devices").expect(200)["total"], json!(devices));
        assert_eq!(contents_below(&setup.data_dir().join("certificates")), kept, "{days} days off");
    }
    let audit = daemon.get("audit?limit=500").expect(200);
    let sequences: Vec<i64> = audit["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["sequence"].as_i64().unwrap())
        .collect();
    assert!(sequences.is_sorted_by(|one, next| one > next), "the newest first, by number: {sequences:?}");
    daemon.stop();
    for arguments in [["audit", "verify"].as_slice(), &["check"]] {
        let output = setup.command().args(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

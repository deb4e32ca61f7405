//! A full disk: what reads goes on, what writes says why, and room again is all that is needed.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use koios_testkit::{Server, ServerOptions, Stack};
use serde_json::{Value, json};

use super::shim::{Errno, Lasting, Shim};
use crate::{
    changes::{
        client::{Change, Client},
        world::{self, FIRST},
    },
    daemon::{ADMIN, Daemon, Setup},
    devices::{add, path_of},
    supervision::{state, wait_for},
};

/// A daemon with a device that runs, and a client that has something of each kind.
struct Plant {
    daemon: Daemon,
    device: Value,
    client: Client,
    _server: Server,
}

impl Plant {
    fn new(setup: &Setup) -> Self {
        let daemon = setup.start();
        let first = json!({ "name": FIRST, "key": { "algorithm": "ec", "curve": "p256" } });
        daemon.post("certificates/generate", &first).expect(201);
        let mut client = Client::new(0, 5);
        client.quiet = true;
        client.state = world::observe(&daemon, 1).remove(0);
        for change in
            [Change::Upload, Change::CreateDevice, Change::Trust, Change::AddRevocationList, Change::Request]
        {
            let planned = client.plan(change, &daemon.url, ADMIN).expect("it needs nothing");
            assert!(client.carry_out(planned).expect("an answer").status < 300);
        }
        let server = koios_testkit::start(Stack::AsyncOpcua, ServerOptions::without_security());
        let server = server.expect("always there");
        let device = json!({
            "name": "client 0 runs", "endpoint_url": server.endpoint_url, "scan_rate_seconds": 0.1, "enabled": true
        });
        let device = add(&daemon, &device);
        wait_for(&daemon, &device, state("running"));
        Self { daemon, device, client, _server: server }
    }

    fn goes_on_while_full(&mut self) {
        let daemon = &self.daemon;
        let since = daemon.get(&format!("{}/status", path_of(&self.device))).expect(200);
        for path in ["certificates", "devices", "trust/server-certificates", "trust/crls", "audit", "system"]
        {
            assert_eq!(daemon.get(path).status, 200, "{path}");
        }
        let certificates = daemon.get("certificates").expect(200);
        for certificate in certificates["items"].as_array().expect("items") {
            let path = format!("certificates/{}", certificate["id"].as_str().expect("an id"));
            assert_eq!(daemon.get(&path).expect(200)["statuses"], json!(["valid"]));
            for file in ["certificate.der", "certificate.pem", "chain.pem"] {
                assert_eq!(daemon.get(&format!("{path}/{file}")).status, 200, "{file}");
            }
            // A key leaves only when that is recorded.
            daemon.get(&format!("{path}/private-key.pem")).expect_problem(503, "storage_full");
        }
        daemon.get("/healthz").expect(200);
        let ready = daemon.get("/readyz").expect(503);
        assert_eq!(ready["reasons"], json!(["no space is left on the disk of the data directory"]));

        let before = self.client.state.clone();
        for change in Change::ALL {
            // What is not there cannot be changed.
            let Some(planned) = self.client.plan(change, &self.daemon.url, ADMIN) else { continue };
            let answer = self.client.carry_out(planned).expect("an answer");
            let problem = answer.expect_problem(503, "storage_full");
            assert!(
                problem["detail"].as_str().expect("a text").contains("nothing was changed"),
                "{change:?}"
            );
            self.client.unanswered = None;
        }
        assert_eq!(self.client.state, before);

        // It scans, in the same session.
        let now =
            wait_for(&self.daemon, &self.device, |status| status["last_scan_at"] != since["last_scan_at"]);
        assert_eq!((&now["state"], &now["since"]), (&json!("running"), &since["since"]));
    }

    fn works_again(&mut self) {
        self.daemon.get("/readyz").expect(200);
        let path = path_of(&self.device);
        let found = world::observe_without(&self.daemon, &path);
        self.client.judge(&found);
        for change in Change::ALL {
            if let Some(planned) = self.client.plan(change, &self.daemon.url, ADMIN) {
                let answer = self.client.carry_out(planned).expect("an answer");
                assert!(answer.status < 300, "{change:?}: {}", answer.text());
            }
        }
        let found = world::observe_without(&self.daemon, &path);
        self.client.judge(&found);
        assert_eq!(self.daemon.get(&format!("{path}/status")).expect(200)["state"], "running");
    }
}

#[test]
fn while_the_disk_is_full_reads_and_running_devices_go_on_and_writes_say_so() {
    let Some((setup, shim)) = Shim::before(Setup::empty()) else { return };
    let mut plant = Plant::new(&setup);
    shim.arm(Errno::NoSpace, Lasting::FromThenOn, 1);
    plant.goes_on_while_full();
    shim.disarm();
    plant.works_again();
    plant.daemon.stop();
}

/// A small file system of its own.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "none"]).arg(at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at.to_owned())),
            _ => {
                koios_testkit::skip("a disk that is really full", "this user may not mount a file system");
                None
            }
        }
    }

    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).expect("a file");
        let full = loop {
            if let Err(error) = file.write_all(&[0; 512]) {
                break error;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[test]
fn a_disk_that_is_really_full_is_told_too() {
    let setup = Setup::empty();
    let Some(disk) = SmallDisk::mount(&setup.data_dir()) else { return };
    let mut plant = Plant::new(&setup);
    let filler = disk.fill();
    plant.goes_on_while_full();
    fs::remove_file(filler).expect("it can be removed");
    plant.works_again();
    plant.daemon.stop();
}

//! SIGHUP: what a running daemon takes of changed settings, and what it does not.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::daemon::{Daemon, Setup};

struct Configured {
    file: PathBuf,
    daemon: Daemon,
}

impl Configured {
    fn start(setup: Setup, text: &str) -> Self {
        let file = setup.folder().join("koios.toml");
        fs::write(&file, text).unwrap();
        let daemon = setup.with_arguments(&["--config", file.to_str().unwrap()]).start();
        Self { file, daemon }
    }

    /// Changes the file, asks for a reload and waits until the log says so; answers what else it said.
    fn reload(&mut self, text: &str, said: &str) -> String {
        fs::write(&self.file, text).unwrap();
        let before = self.daemon.log().len();
        self.daemon.signal("HUP");
        loop {
            self.daemon.wait_for_log(said);
            let log = self.daemon.log()[before..].to_owned();
            if log.contains(said) {
                return log;
            }
            std::thread::yield_now();
        }
    }
}

const DONE: &str = "read the settings again";

fn generated(daemon: &Daemon, name: &str) -> Value {
    daemon.post("certificates/generate", &json!({ "name": name, "hostname": "gw01" })).expect(201)
}

fn allowed_origin(daemon: &Daemon, origin: &str) -> Option<String> {
    let answer = daemon.call("GET", "system").header("Origin", origin).send();
    answer.header("access-control-allow-origin").map(str::to_owned)
}

#[test]
fn a_running_daemon_takes_what_it_can_and_names_what_needs_a_restart() {
    let mut of = Configured::start(
        Setup::empty(),
        "organization = \"One\"\ncors_allowed_origins = [\"https://one.example\"]\n",
    );
    let first = generated(&of.daemon, "First");
    assert_eq!((&first["organization"], &first["expires_in_days"]), (&json!("One"), &json!(1094)));
    assert_eq!(first["statuses"], json!(["valid"]));
    assert!(allowed_origin(&of.daemon, "https://one.example").is_some());

    let log = of.reload(
        "organization = \"Two\"\ncors_allowed_origins = [\"https://two.example\"]\ndefault_validity_days = 10\n\
         expiring_soon_days = 2000\ndefault_key = \"rsa-3072\"\ndefault_server_certificate_policy = \"trust_list\"\n\
         connect_concurrency = 7\nretry_max_seconds = 5\nlog_format = \"json\"\ncreate_default_certificate = true\n\
         encryption_at_rest = true\n",
        DONE,
    );
    for key in ["log_format", "encryption_at_rest"] {
        let line = log.lines().find(|line| line.contains(&format!("setting=\"{key}\"")));
        assert!(line.is_some_and(|line| line.contains("needs a restart")), "{key}: {log}");
    }
    // The environment beats the file, before and after.
    assert!(!log.contains("create_default_certificate"), "{log}");
    for key in ["organization", "cors_allowed_origins", "default_key", "connect_concurrency"] {
        assert!(log.lines().any(|line| line.contains(DONE) && line.contains(key)), "{key}: {log}");
    }
    let second = generated(&of.daemon, "Second");
    assert_eq!((&second["organization"], &second["expires_in_days"]), (&json!("Two"), &json!(9)));
    assert_eq!(second["key"]["bits"], 3072);
    let id = first["id"].as_str().unwrap();
    let seen_anew = of.daemon.get(&format!("certificates/{id}")).expect(200);
    assert_eq!(seen_anew["statuses"], json!(["valid", "expiring_soon"]));
    assert_eq!(allowed_origin(&of.daemon, "https://one.example"), None);
    assert!(allowed_origin(&of.daemon, "https://two.example").is_some());
    let device = json!({ "name": "Press", "endpoint_url": "opc.tcp://127.0.0.1:1/" });
    let device = of.daemon.post("devices", &device).expect(201);
    assert_eq!(device["server_certificate_policy"], "trust_list");
    of.daemon.stop();
}

#[test]
fn a_configuration_that_cannot_be_used_changes_nothing() {
    let mut of = Configured::start(Setup::empty(), "organization = \"One\"\n");
    let log =
        of.reload("organization = \"Two\"\nlisten_adress = \"x\"\n", "everything stays as it was; mend the");
    assert!(log.contains("line 2: unknown setting `listen_adress`; did you mean `listen`?"), "{log}");
    assert!(!log.contains(DONE), "{log}");
    assert_eq!(generated(&of.daemon, "First")["organization"], "One");
    fs::remove_file(&of.file).unwrap();
    of.daemon.signal("HUP");
    of.daemon.wait_for_log("cannot read the configuration file");
    assert_eq!(generated(&of.daemon, "Second")["organization"], "One");
    of.reload("organization = \"Three\"\n", DONE);
    assert_eq!(generated(&of.daemon, "Third")["organization"], "Three");
    of.daemon.stop();
}

#[test]
fn the_log_level_follows_and_the_louder_of_two_levels_tells() {
    let setup = Setup::empty();
    let mut of = Configured::start(setup.clone(), "log_level = \"error\"\n");
    assert_eq!(of.daemon.log().lines().filter(|line| line.contains("ready")).count(), 0);
    of.reload("log_level = \"info\"\n", DONE);
    let log = of.reload("log_level = \"error\"\n", "changed=\"log_level\"");
    assert!(log.contains(DONE), "{log}");
    let length = of.daemon.log().len();
    of.daemon.signal("TERM");
    assert_eq!(of.daemon.wait().0.code(), Some(0));
    let log = fs::read_to_string(setup.folder().join("log")).unwrap();
    assert_eq!(&log[length..], "", "it says nothing below an error any more");
}

//! Enabled devices: they connect by themselves, stay connected, and say what is in the way.

use std::{
    thread,
    time::{Duration, Instant},
};

use koios_testkit::{Server, ServerCertificate, ServerOptions, Stack};
use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    devices::{add, path_of},
};

/// Many times the retry bound of ten seconds: a wait that long is a hang.
const PATIENCE: Duration = Duration::from_secs(90);

fn async_opcua(options: ServerOptions) -> Server {
    koios_testkit::start(Stack::AsyncOpcua, options).expect("always there")
}

/// Looks, and does nothing else, until the status is as wanted.
#[track_caller]
pub(crate) fn wait_for(daemon: &Daemon, device: &Value, wanted: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let status = daemon.get(&format!("{}/status", path_of(device))).expect(200);
        if wanted(&status) {
            return status;
        }
        assert!(started.elapsed() < PATIENCE, "still {status}");
        thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn state(name: &'static str) -> impl Fn(&Value) -> bool {
    move |status| status["state"] == name
}

fn history(daemon: &Daemon, device: &Value) -> Vec<String> {
    let page = daemon.get(&format!("{}/history?limit=500", path_of(device))).expect(200);
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|item| item["state"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn r15_an_enabled_device_fails_with_the_words_of_the_test_and_runs_once_it_is_trusted_without_any_call() {
    let daemon = Setup::empty().start();
    let certificate = daemon.generate("A");
    let server = async_opcua(ServerOptions::default());
    let device = add(
        &daemon,
        &json!({
            "name": "A", "endpoint_url": server.endpoint_url, "security_mode": "sign_and_encrypt", "scan_rate_seconds": 0.1,
            "timeout_seconds": 30, "enabled": true
        }),
    );
    assert_eq!(device["enabled"], true);
    assert_ne!(device["status"]["state"], "stopped");
    let failed = wait_for(&daemon, &device, state("failed"));
    let test = daemon.post(&format!("{}/test", path_of(&device)), &json!({})).expect(200);
    assert_eq!((&failed["error_code"], &failed["error_message"]), (&test["code"], &test["message"]));
    assert_eq!(failed["error_message"], "Certificate rejected by server");
    assert!(failed["error_detail"].is_string() && failed["next_attempt_at"].is_string(), "{failed}");
    assert!(failed["attempts"].as_u64().unwrap() >= 1, "{failed}");
    assert_eq!(daemon.get("devices?state=failed&enabled=true").expect(200)["total"], 1);

    server.trust_rejected(certificate["thumbprint_sha1"].as_str().unwrap());
    let running = wait_for(&daemon, &device, state("running"));
    for field in ["error_code", "error_message", "error_detail", "next_attempt_at"] {
        assert_eq!(running[field], Value::Null, "{field}");
    }
    assert_eq!(running["certificate_thumbprint_sha256"], certificate["thumbprint_sha256"]);
    assert_eq!(running["server_certificate_thumbprint_sha256"], server.certificate().sha256());
    // It scans.
    let first = running["last_scan_at"].clone();
    wait_for(&daemon, &device, |status| status["last_scan_at"] != first);
    assert_eq!(daemon.get("devices?state=running").expect(200)["total"], 1);
    // R16: the server has proven to hold its key, so it is known from now on.
    let pinned = daemon.get(&path_of(&device)).expect(200)["pinned_server_certificate"].clone();
    assert_eq!(pinned["thumbprint_sha256"], server.certificate().sha256());

    // A Test beside it disturbs nothing.
    let since = daemon.get(&format!("{}/status", path_of(&device))).expect(200)["since"].clone();
    let test = daemon.post(&format!("{}/test", path_of(&device)), &json!({})).expect(200);
    assert_eq!(test["code"], "connected", "{test}");
    assert_eq!(daemon.get(&format!("{}/status", path_of(&device))).expect(200)["since"], since);

    let disabled = daemon.post(&format!("{}/disable", path_of(&device)), &json!({})).expect(200);
    assert_eq!((&disabled["enabled"], &disabled["status"]["state"]), (&json!(false), &json!("stopped")));
    let again = daemon.post(&format!("{}/disable", path_of(&device)), &json!({})).expect(200);
    assert_eq!(again["revision"], disabled["revision"]);
    let enabled = daemon.call("POST", &format!("{}/enable", path_of(&device))).send().expect(200);
    assert_ne!(enabled["status"]["state"], "stopped");
    wait_for(&daemon, &device, state("running"));
    let states = history(&daemon, &device);
    for expected in [["failed", "running"], ["running", "stopped"]] {
        assert!(states.windows(2).any(|pair| pair == expected), "{states:?}");
    }
    assert_eq!(daemon.delete(&path_of(&device)).status, 204);
    daemon.stop();
}

#[test]
fn r16_a_changed_server_certificate_stops_the_device_until_somebody_approves_it() {
    let daemon = Setup::empty().start();
    let certificate = daemon.generate("A");
    let der =
        daemon.get(&format!("certificates/{}/certificate.der", certificate["id"].as_str().unwrap())).body;
    let mut server = async_opcua(ServerOptions { trusted: vec![der], ..ServerOptions::default() });
    let device = add(
        &daemon,
        &json!({
            "name": "A", "endpoint_url": server.endpoint_url, "security_mode": "sign_and_encrypt", "scan_rate_seconds": 0.1,
            "timeout_seconds": 30, "enabled": true
        }),
    );
    wait_for(&daemon, &device, state("running"));
    let known = server.certificate().sha256();
    server.replace_certificate(ServerCertificate::Replaced);
    let renewed = server.certificate().sha256();
    assert_ne!(known, renewed);
    let failed = wait_for(&daemon, &device, |status| status["error_code"] == "server_certificate_changed");
    assert_eq!(failed["next_attempt_at"], Value::Null, "{failed}");

    let path = format!("{}/server-certificate", path_of(&device));
    let test = daemon.post(&format!("{}/test", path_of(&device)), &json!({})).expect(200);
    assert_eq!(
        (&test["code"], &test["failed_stage"]),
        (&json!("server_certificate_changed"), &json!("server_certificate"))
    );
    assert_eq!(test["message"], failed["error_message"]);
    let links: Vec<&Value> =
        test["remedy"].as_array().unwrap().iter().map(|remedy| &remedy["link"]).collect();
    assert!(links.contains(&&json!(format!("/api/v1/{path}"))), "{test}");
    let shown = daemon.get(&path).expect(200);
    assert_eq!(shown["pinned"]["thumbprint_sha256"], known);
    assert_eq!(shown["presented"]["thumbprint_sha256"], renewed);
    assert_eq!(shown["verdict"]["accepted"], false);
    assert_eq!(shown["verdict"]["code"], "server_certificate_changed");

    let approve = |thumbprint: &str| {
        let body = json!({ "thumbprint_sha256": thumbprint, "all_devices_with_it": true });
        daemon.post(&format!("{path}/approve"), &body)
    };
    approve(&known).expect_problem(409, "thumbprint_mismatch");
    let approved = approve(&renewed.to_lowercase()).expect(200);
    assert_eq!(approved["pinned"]["thumbprint_sha256"], renewed);
    assert_eq!(approved["verdict"]["accepted"], true);
    // At once, without any other call.
    wait_for(&daemon, &device, state("running"));

    // Forgotten, the session that stands goes on; the next connect remembers the server anew.
    assert_eq!(daemon.delete(&path).status, 204);
    assert_eq!(daemon.get(&path).expect(200)["pinned"], Value::Null);
    assert_eq!(daemon.get(&format!("{}/status", path_of(&device))).expect(200)["state"], "running");
    daemon.post(&format!("{}/disable", path_of(&device)), &json!({})).expect(200);
    daemon.post(&format!("{}/enable", path_of(&device)), &json!({})).expect(200);
    wait_for(&daemon, &device, state("running"));
    assert_eq!(daemon.get(&path).expect(200)["pinned"]["thumbprint_sha256"], renewed);
}

#[test]
fn r11_a_device_in_mode_none_runs_without_any_certificate_and_comes_back_after_a_loss() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let mut server = async_opcua(ServerOptions::without_security());
    let device = add(
        &daemon,
        &json!({ "name": "A", "endpoint_url": server.endpoint_url, "scan_rate_seconds": 0.1, "timeout_seconds": 5 }),
    );
    assert_eq!(device["status"]["state"], "stopped");
    daemon.post(&format!("{}/enable", path_of(&device)), &json!({})).expect(200);
    let running = wait_for(&daemon, &device, state("running"));
    assert_eq!(running["certificate_thumbprint_sha256"], Value::Null);
    server.stop();
    let failed = wait_for(&daemon, &device, state("failed"));
    assert!(failed["error_code"].is_string() && failed["error_message"].is_string(), "{failed}");
    server.resume();
    wait_for(&daemon, &device, state("running"));
    // It is enabled after a restart too.
    daemon.stop();
    let daemon = setup.start();
    wait_for(&daemon, &device, state("running"));
    // Deleting closes its session and leaves nothing behind.
    assert_eq!(daemon.delete(&path_of(&device)).status, 204);
    daemon.get(&format!("{}/status", path_of(&device))).expect_problem(404, "not_found");
}

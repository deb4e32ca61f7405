//! The main job, end to end: a device is trusted by a real server of another stack.

use std::time::{Duration, Instant};

use koios_testkit::{Server, ServerOptions, Stack, start_or_skip};
use serde_json::{Value, json};

use crate::daemon::{Daemon, Setup};

/// The retry bound of ten seconds, and a generous multiple for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The stages of a Test, in order.
const STAGES: [&str; 11] = [
    "certificate",
    "resolve",
    "connect",
    "hello",
    "endpoints",
    "endpoint_selection",
    "server_certificate",
    "secure_channel",
    "session",
    "user_identity",
    "read",
];

#[test]
fn r17_a_device_is_trusted_by_a_node_opcua_server_and_connects_by_itself() {
    let Some(server) = start_or_skip(Stack::NodeOpcua, ServerOptions::default()) else { return };
    the_story(&server);
}

#[test]
fn r17_a_device_is_trusted_by_an_async_opcua_server_and_connects_by_itself() {
    let server = koios_testkit::start(Stack::AsyncOpcua, ServerOptions::default()).expect("always there");
    the_story(&server);
}

/// asyncua checks time, URI, usage and trust of every certificate, and keeps no rejected ones: its operator imports.
#[test]
fn r17_a_downloaded_certificate_is_imported_at_an_asyncua_server_and_passes_its_strict_checks() {
    let Some(server) = start_or_skip(Stack::Asyncua, ServerOptions::default()) else { return };
    let daemon = Setup::empty().start();
    let id = text(&daemon.generate("Plant A Certificate"), "id");
    let device = device_at(&server, &id);
    assert_refused(&daemon.post("devices/test", &device).expect(200));

    server.trust_der(&daemon.get(&format!("certificates/{id}/certificate.der")).body);
    assert_accepted(&daemon.post("devices/test", &device).expect(200), &server);
}

fn the_story(server: &Server) {
    // 1. An empty data directory, no configuration.
    let daemon = Setup::new().start();
    let first = daemon.get("certificates").expect(200);
    assert_eq!(first["total"], 1);
    assert_eq!(first["items"][0]["name"], "Default");
    assert_eq!(first["items"][0]["is_default"], true);

    // 2. Generate, list, detail, download.
    let certificate = daemon.generate("Plant A Certificate");
    let id = text(&certificate, "id");
    let sha1 = text(&certificate, "thumbprint_sha1");
    let list = daemon.get("certificates?sort=name").expect(200);
    let names: Vec<_> = list["items"].as_array().expect("items").iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["Default", "Plant A Certificate"]);
    assert_eq!(list["items"][1]["statuses"], json!(["valid"]));
    assert_eq!(list["items"][1]["is_default"], false);
    assert_eq!(daemon.get(&format!("certificates/{id}")).expect(200), certificate);
    let download = daemon.get(&format!("certificates/{id}/certificate.der"));
    assert_eq!(download.status, 200);
    assert_eq!(koios_pki::Sha1Thumbprint::of(&download.body).to_string(), sha1);

    // 3. A device, and a Test: the server refuses, and files the certificate.
    let device = daemon.post("devices", &device_at(server, &id)).expect(201);
    let device_id = text(&device, "id");
    let refused = daemon.post(&format!("devices/{device_id}/test"), &json!({})).expect(200);
    assert_refused(&refused);
    server.wait_for_rejected(&sha1);

    // 5. Enabled before it is trusted: failed, with the same words as the Test.
    daemon.post(&format!("devices/{device_id}/enable"), &json!({})).expect(200);
    let failed = wait_for_state(&daemon, &device_id, "failed");
    assert_eq!(failed["error_code"], refused["code"]);
    assert_eq!(failed["error_message"], refused["message"]);
    assert!(failed["error_detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{failed}");
    assert!(failed["next_attempt_at"].is_string(), "{failed}");

    // 4. The server's operator moves the file. Test again, and the device comes up without any call of ours.
    server.trust_rejected(&sha1);
    let running = wait_for_state(&daemon, &device_id, "running");
    assert_eq!(running["error_code"], Value::Null);
    assert_eq!(running["certificate_thumbprint_sha256"], certificate["thumbprint_sha256"]);
    let accepted = daemon.post(&format!("devices/{device_id}/test"), &json!({})).expect(200);
    assert_accepted(&accepted, server);

    // A Test never disturbs the device's own session.
    assert_eq!(daemon.get(&format!("devices/{device_id}/status")).expect(200)["state"], "running");
    daemon.stop();
}

fn device_at(server: &Server, certificate_id: &str) -> Value {
    json!({
        "name": "Press 4",
        "endpoint_url": server.endpoint_url,
        "security_mode": "sign_and_encrypt",
        "security_policy": "Basic256Sha256",
        "certificate_id": certificate_id,
    })
}

#[track_caller]
fn assert_refused(test: &Value) {
    assert_eq!(test["outcome"], "failure", "{test}");
    assert_eq!(test["code"], "certificate_rejected_by_server", "{test}");
    assert_eq!(test["message"], "Certificate rejected by server", "{test}");
    assert_eq!(test["reported_by"], "server", "{test}");
    let stage = text(test, "failed_stage");
    assert!(stage == "secure_channel" || stage == "session", "{test}");
    let stages = stages_of(test);
    let failed = STAGES.iter().position(|name| *name == stage).expect("a known stage");
    for (position, (name, outcome)) in stages.iter().enumerate() {
        let expected = match position {
            _ if position < failed => "passed",
            _ if position == failed => "failed",
            _ => "skipped",
        };
        assert_eq!(outcome, expected, "{name}: {test}");
    }
}

#[track_caller]
fn assert_accepted(test: &Value, server: &Server) {
    assert_eq!(test["outcome"], "success", "{test}");
    assert_eq!(test["code"], "connected", "{test}");
    assert_eq!(test["failed_stage"], Value::Null, "{test}");
    assert_eq!(test["server"]["application_name"], server.application_name(), "{test}");
    let presented = &test["server"]["certificate"]["thumbprint_sha1"];
    assert_eq!(*presented, server.certificate().sha1(), "{test}");
    assert!(stages_of(test).iter().all(|(_, outcome)| outcome == "passed"), "{test}");
    for stage in test["stages"].as_array().expect("stages") {
        assert!(stage["duration_ms"].as_f64().is_some_and(|duration| duration >= 0.0), "{stage}");
    }
    assert_eq!(test["endpoint"]["security_policy"], "Basic256Sha256", "{test}");
    assert_eq!(test["endpoint"]["security_mode"], "sign_and_encrypt", "{test}");
}

#[track_caller]
fn stages_of(test: &Value) -> Vec<(String, String)> {
    let stages: Vec<_> = test["stages"]
        .as_array()
        .expect("stages")
        .iter()
        .map(|stage| (text(stage, "stage"), text(stage, "outcome")))
        .collect();
    assert_eq!(stages.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), STAGES, "{test}");
    stages
}

/// Asks for the status, and for nothing else, until the device has that state.
#[track_caller]
fn wait_for_state(daemon: &Daemon, device_id: &str, state: &str) -> Value {
    let started = Instant::now();
    loop {
        let status = daemon.get(&format!("devices/{device_id}/status")).expect(200);
        if status["state"] == state {
            return status;
        }
        assert!(started.elapsed() < PATIENCE, "not {state}: {status}\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is no text: {value}")).to_owned()
}

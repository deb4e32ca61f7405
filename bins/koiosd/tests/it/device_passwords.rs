//! Stored passwords: kept, replaced, removed, never shown, and never sent to a new address by silence.

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    devices::{add, patch, path_of},
};

/// Never to be seen in an answer, a log line or a file.
const PASSWORD: &str = "canary-s3cret-password";

fn device(daemon: &Daemon, name: &str) -> Value {
    daemon.generate("Default");
    add(
        daemon,
        &json!({
            "name": name, "endpoint_url": "opc.tcp://127.0.0.1:1/a", "security_mode": "sign_and_encrypt",
            "user_identity": { "type": "username", "username": "op", "password": PASSWORD }
        }),
    )
}

#[test]
fn a_password_is_never_shown_again() {
    let daemon = Setup::empty().start();
    let device = device(&daemon, "A");
    let shown = json!({ "type": "username", "username": "op", "password_set": true });
    assert_eq!(device["user_identity"], shown);
    for path in [&*path_of(&device), "devices", "devices/export"] {
        let answer = daemon.get(path);
        assert_eq!(answer.status, 200);
        assert!(!answer.text().contains(PASSWORD), "{path}");
        assert!(!answer.text().contains("\"password\":"), "{path}");
    }
    // Also not in errors, in which a password may stand in the wrong place.
    for body in [
        json!({ "user_identity": { "type": PASSWORD } }),
        json!({ "user_identity": { "type": "username", PASSWORD: 1 } }),
        json!({ "user_identity": PASSWORD }),
        json!({ "user_identity": { "password": [PASSWORD] } }),
        json!({ "security_mode": PASSWORD }),
        json!({ "timeout_seconds": PASSWORD }),
        json!({ "certificate_id": PASSWORD }),
    ] {
        let problem = patch(&daemon, &device, &body).expect_problem(422, "invalid_field");
        let named = problem["errors"][0]["field"].as_str().unwrap();
        assert!(!problem["errors"][0]["detail"].as_str().unwrap().contains(PASSWORD), "{problem}");
        // A field's own name is repeated, its value never.
        assert!(named.ends_with(PASSWORD) || !problem.to_string().contains(PASSWORD), "{problem}");
    }
    assert!(!daemon.log().contains(PASSWORD), "{}", daemon.log());
    for entry in std::fs::read_dir(daemon.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let found = bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
        assert!(!found, "{}", path.display());
    }
}

#[test]
fn patch_keeps_a_password_that_it_does_not_mention_and_null_removes_it() {
    let daemon = Setup::empty().start();
    let device = device(&daemon, "A");
    let user = |change: Value| {
        patch(&daemon, &device, &json!({ "user_identity": change })).expect(200)["user_identity"].clone()
    };
    let set = |name: &str, set: bool| json!({ "type": "username", "username": name, "password_set": set });
    assert_eq!(user(json!({})), set("op", true));
    assert_eq!(user(json!({ "username": "op2" })), set("op2", true));
    assert_eq!(user(json!({ "type": "username", "username": "op" })), set("op", true));
    assert_eq!(user(json!({ "password": null })), set("op", false));
    assert_eq!(user(json!({ "password": "" })), set("op", true));
    assert_eq!(user(json!({ "type": "anonymous" })), json!({ "type": "anonymous" }));
    // The password went with the user.
    assert_eq!(user(json!({ "type": "username", "username": "op" })), set("op", false));
    user(json!({ "type": "anonymous" }));
    for bad in [
        json!({ "username": "op" }),
        json!({ "password": "x" }),
        json!({ "type": "username" }),
        json!({ "type": "username", "username": "" }),
        json!({ "type": "username", "username": null }),
        json!({ "type": "username", "username": "op", "password_set": true }),
        json!({ "type": "certificate" }),
        json!({ "type": null }),
        json!(null),
    ] {
        let body = json!({ "user_identity": bad });
        let problem = patch(&daemon, &device, &body).expect_problem(422, "invalid_field");
        assert!(problem["errors"][0]["field"].as_str().unwrap().starts_with("user_identity"), "{problem}");
    }
}

#[test]
fn a_stored_password_does_not_travel_to_a_new_address_or_with_less_protection() {
    let daemon = Setup::empty().start();
    let device = device(&daemon, "A");
    let exposing = [
        json!({ "endpoint_url": "opc.tcp://127.0.0.2:1/a" }),
        json!({ "endpoint_url": "opc.tcp://127.0.0.1:2/a" }),
        json!({ "endpoint_url": "opc.tcp://127.0.0.1" }),
        json!({ "security_mode": "none" }),
        json!({ "server_certificate_policy": "accept_any" }),
        json!({ "server_host_name_check": false }),
    ];
    let with = |change: &Value, user: Value| {
        let mut body = change.clone();
        body["user_identity"] = user;
        body
    };
    let test = format!("{}/test", path_of(&device));
    for change in &exposing {
        for body in [change.clone(), with(change, json!({ "username": "eve" }))] {
            let problem = patch(&daemon, &device, &body).expect_problem(422, "password_required");
            assert_eq!(problem["errors"][0]["field"], "user_identity.password");
            daemon.post(&test, &body).expect_problem(422, "password_required");
        }
    }
    let unchanged = daemon.get(&path_of(&device)).expect(200);
    assert_eq!(unchanged, device);
    // What does not expose it needs nothing, and neither does a change that carries it, or takes it away.
    for change in [
        json!({ "endpoint_url": "opc.tcp://127.0.0.1:1/b" }),
        json!({ "endpoint_url": "OPC.TCP://127.0.0.1:1" }),
        json!({ "security_mode": "sign" }),
        json!({ "timeout_seconds": 1 }),
    ] {
        assert_eq!(patch(&daemon, &device, &change).status, 200, "{change}");
    }
    for change in &exposing {
        let changed = patch(&daemon, &device, &with(change, json!({ "password": PASSWORD })));
        assert_eq!(changed.status, 200, "{change}: {}", changed.text());
    }
    let other = add(
        &daemon,
        &json!({
            "name": "B", "endpoint_url": "opc.tcp://127.0.0.1:1", "security_mode": "sign",
            "user_identity": { "type": "username", "username": "op", "password": PASSWORD }
        }),
    );
    let away = json!({ "security_mode": "none", "user_identity": { "password": null } });
    assert_eq!(patch(&daemon, &other, &away).expect(200)["user_identity"]["password_set"], false);
    // Without a stored password there is nothing to protect.
    let moved = patch(&daemon, &other, &json!({ "endpoint_url": "opc.tcp://127.0.0.9:1" }));
    assert_eq!(moved.status, 200, "{}", moved.text());
}

#[test]
fn a_stored_password_does_not_go_from_a_validated_server_to_the_first_one_seen() {
    let daemon = Setup::empty().start();
    let device = device(&daemon, "A");
    let listed = json!({ "server_certificate_policy": "trust_list" });
    assert_eq!(patch(&daemon, &device, &listed).status, 200, "the lists decide what is trusted");
    let mut pinning = json!({ "server_certificate_policy": "pin", "timeout_seconds": 1 });
    patch(&daemon, &device, &pinning).expect_problem(422, "password_required");
    daemon.post(&format!("{}/test", path_of(&device)), &pinning).expect_problem(422, "password_required");
    pinning["user_identity"] = json!({ "password": PASSWORD });
    assert_eq!(patch(&daemon, &device, &pinning).status, 200);
}

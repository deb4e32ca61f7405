//! Which devices use which certificate, seen from the certificates.

use serde_json::{Value, json};

use crate::daemon::{Daemon, Setup};

#[track_caller]
fn device(daemon: &Daemon, name: &str, mode: &str, certificate: &Value) -> Value {
    let body = json!({
        "name": name, "endpoint_url": "opc.tcp://127.0.0.1:1/", "security_mode": mode, "certificate_id": certificate
    });
    daemon.post("devices", &body).expect(201)
}

fn names(devices: &Value) -> Vec<&str> {
    let mut names: Vec<_> =
        devices.as_array().expect("a list").iter().map(|device| device["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

fn path(certificate: &Value, rest: &str) -> String {
    format!("certificates/{}{rest}", certificate["id"].as_str().expect("an id"))
}

/// A default certificate and another one; a device that names the other, one that names none, one without security.
fn plant() -> (Daemon, Value, Value) {
    let daemon = Setup::empty().start();
    let (default, other) = (daemon.generate("Default"), daemon.generate("Other"));
    device(&daemon, "own", "sign_and_encrypt", &other["id"]);
    device(&daemon, "fallback", "sign", &Value::Null);
    device(&daemon, "insecure", "none", &other["id"]);
    (daemon, default, other)
}

#[test]
fn r7_r11_a_certificate_knows_its_devices_and_mode_none_does_not_count() {
    let (daemon, default, other) = plant();
    for (certificate, device_count, assigned, through_default, name) in
        [(&default, 1, 0, true, "fallback"), (&other, 1, 1, false, "own")]
    {
        let shown = daemon.get(&path(certificate, "")).expect(200);
        assert_eq!(shown["device_count"], device_count);
        assert_eq!(shown["assigned_device_count"], assigned);
        let devices = daemon.get(&path(certificate, "/devices")).expect(200);
        assert_eq!(names(&devices["items"]), [name]);
        let fields: Vec<_> = devices["items"][0].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["enabled", "endpoint_url", "id", "name", "security_mode", "through_default"]);
        assert_eq!(devices["items"][0]["through_default"], through_default);
    }
}

#[test]
fn r9_regenerate_lists_the_devices_whose_servers_must_trust_the_new_certificate() {
    let (daemon, default, other) = plant();
    for (certificate, name) in [(&default, "fallback"), (&other, "own")] {
        let dry = daemon.post(&path(certificate, "/regenerate?dry_run=true"), &json!({})).expect(200);
        let done = daemon.post(&path(certificate, "/regenerate"), &json!({})).expect(200);
        for answer in [&dry, &done] {
            assert_eq!(names(&answer["affected_devices"]), [name]);
            assert!(answer["message"].as_str().unwrap().contains("1 device"), "{answer}");
        }
        assert_eq!(names(&daemon.get(&path(certificate, "/devices")).expect(200)["items"]), [name]);
    }
}

#[test]
fn r10_devices_of_a_deleted_certificate_fall_back_to_the_default() {
    let (daemon, default, other) = plant();
    for query in ["?dry_run=true", ""] {
        let deleted = daemon.delete(&path(&other, query)).expect(200);
        let reassigned = names(&deleted["reassigned_devices"]);
        assert!(reassigned.contains(&"own"), "{deleted}");
        assert_eq!(deleted["now_using"]["id"], default["id"]);
    }
    let devices = daemon.get(&path(&default, "/devices")).expect(200);
    assert_eq!(names(&devices["items"]), ["fallback", "own"]);
}

#[test]
fn r4_moving_the_default_lists_the_devices_that_change() {
    let (daemon, default, other) = plant();
    for query in ["?dry_run=true", ""] {
        let changed =
            daemon.put(&format!("certificates/default{query}"), &json!({ "id": other["id"] })).expect(200);
        assert_eq!(names(&changed["affected_devices"]), ["fallback"]);
    }
    assert_eq!(names(&daemon.get(&path(&other, "/devices")).expect(200)["items"]), ["fallback", "own"]);
    assert_eq!(daemon.get(&path(&default, "")).expect(200)["device_count"], 0);
}

#[test]
fn r11_devices_are_assigned_and_unassigned_together_or_not_at_all() {
    let (daemon, _, other) = plant();
    let devices = daemon.get("devices").expect(200);
    let id = |name: &str| {
        devices["items"].as_array().unwrap().iter().find(|device| device["name"] == name).unwrap()["id"]
            .clone()
    };
    let unknown = "00000000-0000-7000-8000-000000000000";
    let body = json!({ "assign": [id("fallback"), unknown] });
    daemon.put(&path(&other, "/devices"), &body).expect_problem(422, "unknown_device");
    let body = json!({ "assign": [id("fallback")], "unassign": [id("fallback")] });
    daemon.put(&path(&other, "/devices"), &body).expect_problem(422, "invalid_field");
    assert_eq!(names(&daemon.get(&path(&other, "/devices")).expect(200)["items"]), ["own"]);

    let body = json!({ "assign": [id("fallback")], "unassign": [id("own")] });
    let dry = daemon.put(&path(&other, "/devices?dry_run=true"), &body).expect(200);
    assert_eq!((&dry["dry_run"], &dry["certificate"]["assigned_device_count"]), (&json!(true), &json!(1)));
    assert_eq!(names(&daemon.get(&path(&other, "/devices")).expect(200)["items"]), ["own"]);
    let done = daemon.put(&path(&other, "/devices"), &body).expect(200);
    assert_eq!((names(&done["assigned"]), names(&done["unassigned"])), (vec!["fallback"], vec!["own"]));
    assert_eq!(names(&daemon.get(&path(&other, "/devices")).expect(200)["items"]), ["fallback"]);
}

#[test]
fn r12_generating_for_a_device_that_is_unknown_generates_nothing() {
    let (daemon, _, _) = plant();
    let devices = daemon.get("devices").expect(200);
    let id = &devices["items"][0]["id"];
    let unknown = "00000000-0000-7000-8000-000000000000";
    let body = json!({ "name": "New", "assign_to": [id, unknown] });
    daemon.post("certificates/generate", &body).expect_problem(422, "unknown_device");
    assert_eq!(daemon.get("certificates").expect(200)["total"], 2);
    assert_eq!(daemon.get("devices").expect(200), devices);
    let body = json!({ "name": "New", "assign_to": [id, id] });
    assert_eq!(daemon.post("certificates/generate", &body).expect(201)["name"], "New");
}

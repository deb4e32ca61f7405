//! Devices over REST, without any server: their fields, rules and lists.

use serde_json::{Value, json};

use crate::daemon::{Daemon, Setup};

const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";

/// Adds a device.
#[track_caller]
pub(crate) fn add(daemon: &Daemon, body: &Value) -> Value {
    daemon.post("devices", body).expect(201)
}

/// The path of a device.
pub(crate) fn path_of(device: &Value) -> String {
    format!("devices/{}", device["id"].as_str().expect("an id"))
}

/// Changes a device as admin.
#[track_caller]
pub(crate) fn patch(daemon: &Daemon, device: &Value, body: &Value) -> crate::http::Answer {
    daemon.call("PATCH", &path_of(device)).bytes("application/merge-patch+json", body.to_string()).send()
}

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

fn sorted_keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn a_new_device_has_every_field_of_the_contract_and_its_defaults() {
    let daemon = Setup::empty().start();
    let answer =
        daemon.post("devices", &json!({ "name": " Press 4 ", "endpoint_url": "opc.tcp://press4:4840/" }));
    let location = answer.header("location").unwrap().to_owned();
    assert_eq!(answer.header("etag"), Some("\"1\""));
    let device = answer.expect(201);
    assert_eq!(location, format!("/api/v1/{}", path_of(&device)));
    assert_eq!(
        sorted_keys(&device),
        [
            "certificate_id",
            "created_at",
            "description",
            "effective_certificate",
            "enabled",
            "endpoint_url",
            "id",
            "name",
            "pinned_server_certificate",
            "revision",
            "scan_rate_seconds",
            "security_mode",
            "security_policy",
            "server_certificate_policy",
            "server_host_name_check",
            "status",
            "timeout_seconds",
            "trust_guide_product",
            "updated_at",
            "user_identity",
            "warnings"
        ]
    );
    for (field, value) in [
        ("name", json!("Press 4")),
        ("description", Value::Null),
        ("endpoint_url", json!("opc.tcp://press4:4840/")),
        ("security_mode", json!("none")),
        ("security_policy", json!("auto")),
        ("certificate_id", Value::Null),
        ("effective_certificate", Value::Null),
        ("user_identity", json!({ "type": "anonymous" })),
        ("server_certificate_policy", json!("pin")),
        ("server_host_name_check", json!(true)),
        ("pinned_server_certificate", Value::Null),
        ("trust_guide_product", Value::Null),
        ("scan_rate_seconds", json!(1.0)),
        ("timeout_seconds", json!(10)),
        ("enabled", json!(false)),
        ("warnings", json!([])),
    ] {
        assert_eq!(device[field], value, "{field}");
    }
    assert_eq!(
        sorted_keys(&device["status"]),
        [
            "attempts",
            "certificate_thumbprint_sha256",
            "error_code",
            "error_detail",
            "error_message",
            "last_scan_at",
            "next_attempt_at",
            "server_certificate_thumbprint_sha256",
            "since",
            "state"
        ]
    );
    assert_eq!(device["status"]["state"], "stopped");
    assert_eq!(daemon.get(&location).expect(200), device);
    assert_eq!(daemon.get(&format!("{}/status", path_of(&device))).expect(200), device["status"]);
    let history = daemon.get(&format!("{}/history", path_of(&device))).expect(200);
    assert_eq!(history, json!({ "items": [], "total": 0, "next_cursor": null }));
}

#[test]
fn r1_r11_mode_none_needs_no_certificate_and_one_certificate_serves_any_number_of_devices() {
    let daemon = Setup::empty().start();
    let press = |name: &str, more: Value| {
        let mut body = json!({ "name": name, "endpoint_url": "opc.tcp://press4" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        add(&daemon, &body)
    };
    // No certificate in the system: mode none is complete, a secure mode has nothing to use yet.
    let open = press("Open", json!({}));
    let secure = press("Secure", json!({ "security_mode": "sign" }));
    assert_eq!(secure["effective_certificate"], Value::Null);

    let default = daemon.generate("Default");
    let own = daemon.generate("Own");
    let effective = |certificate: &Value| {
        json!({
            "id": certificate["id"], "name": certificate["name"], "is_default": certificate["is_default"],
            "statuses": certificate["statuses"]
        })
    };
    let secure = daemon.get(&path_of(&secure)).expect(200);
    assert_eq!(secure["effective_certificate"], effective(&default));
    for name in ["A", "B"] {
        let device = press(name, json!({ "security_mode": "sign_and_encrypt", "certificate_id": own["id"] }));
        assert_eq!(device["certificate_id"], own["id"]);
        assert_eq!(device["effective_certificate"], effective(&own));
    }
    // In mode none a certificate is kept, unused and not counted.
    let kept = press("Kept", json!({ "certificate_id": own["id"] }));
    assert_eq!((&kept["certificate_id"], &kept["effective_certificate"]), (&own["id"], &Value::Null));
    let counts = |certificate: &Value| {
        let path = format!("certificates/{}", certificate["id"].as_str().unwrap());
        let certificate = daemon.get(&path).expect(200);
        (certificate["device_count"].clone(), certificate["assigned_device_count"].clone())
    };
    assert_eq!(counts(&own), (json!(2), json!(2)));
    assert_eq!(counts(&default), (json!(1), json!(0)));
    assert_eq!(patch(&daemon, &kept, &json!({ "security_mode": "sign" })).status, 200);
    assert_eq!(counts(&own), (json!(3), json!(3)));
    // null goes back to the default.
    let back = patch(&daemon, &kept, &json!({ "certificate_id": null })).expect(200);
    assert_eq!(back["effective_certificate"], effective(&default));
    assert_eq!(daemon.get(&path_of(&open)).expect(200)["effective_certificate"], Value::Null);

    let unknown = json!({ "certificate_id": UNKNOWN });
    patch(&daemon, &kept, &unknown).expect_problem(422, "unknown_certificate");
    let body = json!({ "name": "X", "endpoint_url": "opc.tcp://press4", "certificate_id": UNKNOWN });
    daemon.post("devices", &body).expect_problem(422, "unknown_certificate");
}

#[test]
fn r12_a_certificate_is_generated_for_a_device_in_one_step() {
    let daemon = Setup::new().start();
    let device =
        add(&daemon, &json!({ "name": "A", "endpoint_url": "opc.tcp://a", "security_mode": "sign" }));
    let body = json!({ "name": "For A", "hostname": "gw01", "assign_to": [device["id"]] });
    let made = daemon.post("certificates/generate", &body).expect(201);
    assert_eq!(made["assigned_device_count"], 1);
    let device = daemon.get(&path_of(&device)).expect(200);
    assert_eq!(device["certificate_id"], made["id"]);
    assert_eq!(device["effective_certificate"]["name"], "For A");
    // All or nothing: an unknown device leaves no certificate behind.
    let body = json!({ "name": "For B", "hostname": "gw01", "assign_to": [device["id"], UNKNOWN] });
    daemon.post("certificates/generate", &body).expect_problem(422, "unknown_device");
    assert_eq!(daemon.get("certificates?q=For").expect(200)["total"], 1);
    assert_eq!(daemon.get(&path_of(&device)).expect(200)["certificate_id"], made["id"]);
}

#[test]
fn a_merge_patch_changes_what_it_names_and_null_clears_what_is_optional() {
    let daemon = Setup::empty().start();
    let device = add(
        &daemon,
        &json!({
            "name": "A", "endpoint_url": "opc.tcp://a", "description": "Line 1", "trust_guide_product": "kepware",
            "security_policy": "Basic256Sha256"
        }),
    );
    let changed = patch(
        &daemon,
        &device,
        &json!({ "description": null, "trust_guide_product": null, "scan_rate_seconds": 0.1, "timeout_seconds": 300 }),
    );
    assert_eq!(changed.header("etag"), Some("\"2\""));
    let changed = changed.expect(200);
    assert_eq!((&changed["description"], &changed["trust_guide_product"]), (&Value::Null, &Value::Null));
    assert_eq!((&changed["scan_rate_seconds"], &changed["timeout_seconds"]), (&json!(0.1), &json!(300)));
    assert_eq!((&changed["name"], &changed["security_policy"]), (&json!("A"), &json!("Basic256Sha256")));
    // Nothing to change is no change.
    assert_eq!(patch(&daemon, &device, &json!({})).expect(200)["revision"], 2);
    assert_eq!(patch(&daemon, &device, &json!({ "name": "A" })).expect(200)["revision"], 2);
    for policy in ["Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss", "auto"] {
        let changed = patch(&daemon, &device, &json!({ "security_policy": policy })).expect(200);
        assert_eq!(changed["security_policy"], policy);
    }
    let problem = patch(&daemon, &device, &json!({ "enabled": true })).expect_problem(422, "invalid_field");
    assert!(problem["detail"].as_str().unwrap().contains("/enable"), "{problem}");

    let stale = daemon
        .call("PATCH", &path_of(&device))
        .json(&json!({ "name": "B" }))
        .header("If-Match", "\"1\"")
        .send();
    stale.expect_problem(412, "revision_mismatch");
    for (method, suffix) in
        [("DELETE", ""), ("POST", "/enable"), ("POST", "/disable"), ("DELETE", "/server-certificate")]
    {
        let path = format!("{}{suffix}", path_of(&device));
        daemon
            .call(method, &path)
            .header("If-Match", "\"1\"")
            .send()
            .expect_problem(412, "revision_mismatch");
    }
    assert_eq!(daemon.get(&path_of(&device)).expect(200)["name"], "A");
}

#[test]
fn names_are_unique_without_regard_to_case_and_free_again_after_deletion() {
    let daemon = Setup::empty().start();
    let a = add(&daemon, &json!({ "name": "Straße", "endpoint_url": "opc.tcp://a" }));
    let b = add(&daemon, &json!({ "name": "B", "endpoint_url": "opc.tcp://a" }));
    let body = json!({ "name": "STRASSE", "endpoint_url": "opc.tcp://a" });
    daemon.post("devices", &body).expect_problem(409, "name_taken");
    patch(&daemon, &b, &json!({ "name": "straße" })).expect_problem(409, "name_taken");
    assert_eq!(patch(&daemon, &a, &json!({ "name": "STRASSE" })).expect(200)["name"], "STRASSE");
    let gone = daemon.delete(&path_of(&a));
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    daemon.get(&path_of(&a)).expect_problem(404, "not_found");
    daemon.delete(&path_of(&a)).expect_problem(404, "not_found");
    add(&daemon, &body);
}

#[test]
fn lists_are_filtered_sorted_and_paged() {
    let daemon = Setup::empty().start();
    let default = daemon.generate("Default");
    let own = daemon.generate("Own");
    let id = |certificate: &Value| certificate["id"].as_str().unwrap().to_owned();
    for (name, more) in [
        ("Press 1", json!({ "description": "north hall" })),
        ("Press 2", json!({ "security_mode": "sign" })),
        ("Oven", json!({ "security_mode": "sign_and_encrypt", "certificate_id": own["id"] })),
        ("Belt", json!({ "certificate_id": own["id"], "endpoint_url": "opc.tcp://belt.plant.example" })),
    ] {
        let mut body = json!({ "name": name, "endpoint_url": "opc.tcp://machine" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        add(&daemon, &body);
    }
    for (query, expected) in [
        ("", &["Belt", "Oven", "Press 1", "Press 2"][..]),
        ("?sort=-name", &["Press 2", "Press 1", "Oven", "Belt"]),
        ("?sort=created_at", &["Press 1", "Press 2", "Oven", "Belt"]),
        ("?sort=-created_at", &["Belt", "Oven", "Press 2", "Press 1"]),
        ("?q=PRESS", &["Press 1", "Press 2"]),
        ("?q=north", &["Press 1"]),
        ("?q=plant.example", &["Belt"]),
        ("?security_mode=none", &["Belt", "Press 1"]),
        ("?security_mode=sign", &["Press 2"]),
        (&format!("?certificate_id={}", id(&own)), &["Oven"]),
        (&format!("?certificate_id={}", id(&default)), &["Press 2"]),
        (&format!("?certificate_id={UNKNOWN}"), &[]),
        ("?enabled=false", &["Belt", "Oven", "Press 1", "Press 2"]),
        ("?enabled=true", &[]),
        ("?state=stopped&q=press", &["Press 1", "Press 2"]),
        ("?state=running&state=failed", &[]),
    ] {
        let page = daemon.get(&format!("devices{query}")).expect(200);
        assert_eq!(names(&page), expected, "{query}");
        assert_eq!((&page["total"], &page["next_cursor"]), (&json!(expected.len()), &Value::Null), "{query}");
    }
    let first = daemon.get("devices?limit=3").expect(200);
    assert_eq!((names(&first), &first["total"]), (vec!["Belt", "Oven", "Press 1"], &json!(4)));
    // A cursor survives what comes and goes.
    add(&daemon, &json!({ "name": "Axe", "endpoint_url": "opc.tcp://machine" }));
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = daemon.get(&format!("devices?limit=3&cursor={cursor}")).expect(200);
    assert_eq!((names(&second), &second["next_cursor"]), (vec!["Press 2"], &Value::Null));
    daemon.get(&format!("devices?sort=-name&cursor={cursor}")).expect_problem(422, "invalid_field");
}

#[test]
fn roles_decide_who_may_change_and_who_may_weaken() {
    let setup = Setup::empty();
    setup.start().stop();
    setup.add_tokens();
    let daemon = setup.start();
    let device = add(&daemon, &json!({ "name": "A", "endpoint_url": "opc.tcp://a" }));
    let path = path_of(&device);
    let call = |role: &str, method: &str, path: &str, body: &Value| {
        daemon.call(method, path).token(role).json(body).send()
    };
    let new = json!({ "name": "B", "endpoint_url": "opc.tcp://b" });
    let import = json!({ "version": 1, "devices": [] });
    let url = json!({ "endpoint_url": "opc.tcp://127.0.0.1:1" });
    let changes = [
        ("POST", "devices".to_owned(), &new),
        ("PATCH", path.clone(), &json!({})),
        ("DELETE", path.clone(), &Value::Null),
        ("POST", format!("{path}/enable"), &Value::Null),
        ("POST", format!("{path}/disable"), &Value::Null),
        ("POST", format!("{path}/test"), &json!({})),
        ("POST", "devices/test".to_owned(), &url),
        ("POST", "devices/import".to_owned(), &import),
        ("POST", "discovery/endpoints".to_owned(), &url),
    ];
    for (method, path, body) in &changes {
        call("viewer", method, path, body).expect_problem(403, "forbidden");
    }
    for path in [&*path, "devices", "devices/export", "system", &format!("{path}/server-certificate")] {
        assert_eq!(call("viewer", "GET", path, &Value::Null).status, 200, "{path}");
    }
    let approve = json!({ "thumbprint_sha256": "AB".repeat(32) });
    for role in ["viewer", "operator"] {
        let approve = call(role, "POST", &format!("{path}/server-certificate/approve"), &approve);
        approve.expect_problem(403, "forbidden");
        call(role, "DELETE", &format!("{path}/server-certificate"), &Value::Null)
            .expect_problem(403, "forbidden");
    }

    // What weakens trust in servers is for admins, also as a Test override.
    for weak in
        [json!({ "server_certificate_policy": "accept_any" }), json!({ "server_host_name_check": false })]
    {
        let mut body = new.clone();
        body.as_object_mut().unwrap().extend(weak.as_object().unwrap().clone());
        let import = json!({ "version": 1, "devices": [body] });
        for (method, path, body) in [
            ("PATCH", path.clone(), &weak),
            ("POST", "devices".to_owned(), &body),
            ("POST", format!("{path}/test"), &weak),
            ("POST", "devices/test".to_owned(), &body),
            ("POST", "devices/import".to_owned(), &import),
        ] {
            call("operator", method, &path, body).expect_problem(403, "forbidden");
        }
        assert_eq!(call("admin", "PATCH", &path, &weak).status, 200);
        // What an admin chose stays when an operator changes something else, and may be said again.
        assert_eq!(call("operator", "PATCH", &path, &json!({ "description": "x" })).status, 200);
        assert_eq!(call("operator", "PATCH", &path, &weak).status, 200);
    }
    let strict = json!({ "server_certificate_policy": "pin", "server_host_name_check": true });
    assert_eq!(call("operator", "PATCH", &path, &strict).status, 200);
    assert_eq!(call("operator", "POST", "devices", &new).status, 201);
    assert_eq!(call("operator", "DELETE", &path, &Value::Null).status, 204);
}

#[test]
fn system_says_what_runs_here() {
    let setup = Setup::new();
    let daemon = setup.start();
    add(&daemon, &json!({ "name": "A", "endpoint_url": "opc.tcp://a" }));
    let system = daemon.get("system").expect(200);
    assert_eq!(
        sorted_keys(&system),
        [
            "counts",
            "data_directory",
            "default_certificate_id",
            "features",
            "limits",
            "started_at",
            "system_hostname",
            "version"
        ]
    );
    let default = daemon.get("certificates").expect(200);
    assert_eq!(system["default_certificate_id"], default["items"][0]["id"]);
    assert_eq!(system["counts"], json!({ "certificates": 1, "devices": 1, "enabled_devices": 0 }));
    assert_eq!(system["data_directory"], setup.data_dir().to_str().unwrap());
    assert_eq!(
        (&system["limits"]["upload_bytes"], &system["limits"]["page_size"]),
        (&json!(262_144), &json!(500))
    );
    assert!(!system["system_hostname"].as_str().unwrap().is_empty());
}

#[test]
fn enabled_is_said_on_creation_and_by_enable_and_disable_only() {
    let daemon = Setup::empty().start();
    let body = json!({ "name": "P", "endpoint_url": "opc.tcp://127.0.0.1:1", "enabled": true });
    let device = add(&daemon, &body);
    assert_eq!(device["enabled"], true);
    for value in [json!(false), json!(true), Value::Null] {
        patch(&daemon, &device, &json!({ "enabled": value })).expect_problem(422, "invalid_field");
    }
    for (action, enabled, revision) in
        [("enable", true, 1), ("disable", false, 2), ("disable", false, 2), ("enable", true, 3)]
    {
        let answer = daemon.call("POST", &format!("{}/{action}", path_of(&device))).send().expect(200);
        assert_eq!((&answer["id"], &answer["enabled"]), (&device["id"], &json!(enabled)), "{action}");
        assert_eq!(answer["revision"], revision, "what it is already changes nothing");
        assert_eq!(answer["status"]["state"] == "stopped", !enabled);
    }
}

#[test]
fn a_security_policy_is_kept_and_unused_in_mode_none() {
    let daemon = Setup::empty().start();
    for policy in [
        "auto",
        "Basic256Sha256",
        "Aes128_Sha256_RsaOaep",
        "Aes256_Sha256_RsaPss",
        "ECC_nistP256",
        "ECC_nistP384",
    ] {
        let body =
            json!({ "name": policy, "endpoint_url": "opc.tcp://127.0.0.1:1", "security_policy": policy });
        let device = add(&daemon, &body);
        assert_eq!((&device["security_mode"], &device["security_policy"]), (&json!("none"), &json!(policy)));
        let secure = patch(&daemon, &device, &json!({ "security_mode": "sign" })).expect(200);
        assert_eq!(secure["security_policy"], policy);
        let tested = daemon
            .post(&format!("{}/test", path_of(&device)), &json!({ "security_mode": "none" }))
            .expect(200);
        assert_eq!(
            (&tested["code"], &tested["client_certificate"]),
            (&json!("connection_refused"), &Value::Null)
        );
    }
    for wrong in
        ["None", "none", "basic256sha256", "http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256"]
    {
        let body = json!({ "name": "X", "endpoint_url": "opc.tcp://p", "security_policy": wrong });
        daemon.post("devices", &body).expect_problem(422, "invalid_field");
    }
}

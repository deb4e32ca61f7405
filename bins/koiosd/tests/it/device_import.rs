//! Devices out as one document, and in again.

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    devices::{add, path_of},
};

const PASSWORD: &str = "canary-s3cret-password";

fn import(daemon: &Daemon, devices: Value) -> crate::http::Answer {
    daemon.post("devices/import", &json!({ "version": 1, "devices": devices }))
}

#[test]
fn what_was_exported_is_imported_again_without_passwords() {
    let daemon = Setup::new().start();
    let own = daemon.generate("Own");
    add(
        &daemon,
        &json!({
            "name": "A", "description": "Line 1", "endpoint_url": "opc.tcp://127.0.0.1:1/a", "security_mode": "sign",
            "security_policy": "Aes256_Sha256_RsaPss", "certificate_id": own["id"],
            "user_identity": { "type": "username", "username": "op", "password": PASSWORD },
            "server_host_name_check": false, "trust_guide_product": "kepware", "scan_rate_seconds": 2.5, "timeout_seconds": 5
        }),
    );
    add(
        &daemon,
        &json!({ "name": "B", "endpoint_url": "opc.tcp://b", "server_certificate_policy": "accept_any" }),
    );
    let answer = daemon.get("devices/export");
    assert!(!answer.text().contains(PASSWORD));
    let export = answer.expect(200);
    assert_eq!(export["version"], 1);
    let before = daemon.get("devices").expect(200);
    for (exported, device) in
        export["devices"].as_array().unwrap().iter().zip(before["items"].as_array().unwrap())
    {
        for (field, value) in exported.as_object().unwrap() {
            if field != "certificate" {
                assert_eq!(value, &device[field], "{field}");
            }
        }
        for absent in ["id", "revision", "status", "certificate_id"] {
            assert!(exported.get(absent).is_none(), "{absent}");
        }
    }
    assert_eq!(
        export["devices"][0]["certificate"],
        json!({ "name": "Own", "thumbprint_sha256": own["thumbprint_sha256"] })
    );
    assert_eq!(export["devices"][1]["certificate"], Value::Null);

    for device in before["items"].as_array().unwrap() {
        assert_eq!(daemon.delete(&path_of(device)).status, 204);
    }
    let dry = daemon.post("devices/import?dry_run=true", &export).expect(200);
    assert_eq!((&dry["dry_run"], dry["created"].as_array().unwrap().len()), (&json!(true), 2));
    assert_eq!(daemon.get("devices").expect(200)["total"], 0);
    let done = daemon.post("devices/import", &export).expect(200);
    assert_eq!((&done["dry_run"], &done["errors"]), (&json!(false), &json!([])));
    let named: Vec<&Value> =
        done["created"].as_array().unwrap().iter().map(|device| &device["name"]).collect();
    assert_eq!(named, ["A", "B"]);
    let mut expected = export;
    expected["devices"][0]["user_identity"]["password_set"] = json!(false);
    let mut again = daemon.get("devices/export").expect(200);
    for index in [0, 1] {
        for time in ["created_at", "updated_at"] {
            again["devices"][index][time] = expected["devices"][index][time].clone();
        }
    }
    assert_eq!(again, expected);
}

#[test]
fn an_import_is_all_or_nothing_and_says_what_is_wrong_where() {
    let daemon = Setup::new().start();
    add(&daemon, &json!({ "name": "Taken", "endpoint_url": "opc.tcp://a" }));
    let good = |name: &str| json!({ "name": name, "endpoint_url": "opc.tcp://a" });
    let certificate =
        |reference: Value| json!({ "name": "C", "endpoint_url": "opc.tcp://a", "certificate": reference });
    for (bad, field, code) in [
        (good("taken"), "name", "name_taken"),
        (good("GOOD"), "name", "name_taken"),
        (json!({ "name": "C" }), "endpoint_url", "invalid_field"),
        (json!({ "endpoint_url": "opc.tcp://a" }), "name", "invalid_field"),
        (json!({ "name": "C", "endpoint_url": "http://a" }), "endpoint_url", "invalid_field"),
        (json!({ "name": "C", "endpoint_url": "opc.tcp://a", "colour": 1 }), "colour", "invalid_field"),
        (
            json!({ "name": "C", "endpoint_url": "opc.tcp://a", "timeout_seconds": 0 }),
            "timeout_seconds",
            "invalid_field",
        ),
        (
            json!({ "name": "C", "endpoint_url": "opc.tcp://a", "certificate_id": null }),
            "certificate_id",
            "invalid_field",
        ),
        (json!({ "name": "C", "endpoint_url": "opc.tcp://a", "id": null }), "id", "invalid_field"),
        (certificate(json!({})), "certificate", "invalid_field"),
        (certificate(json!("Default")), "certificate", "invalid_field"),
        (certificate(json!({ "name": "Nobody" })), "certificate", "unknown_certificate"),
        (certificate(json!({ "thumbprint_sha256": "AB" })), "certificate.thumbprint_sha256", "invalid_field"),
        (
            certificate(json!({ "name": "Default", "thumbprint_sha256": "AB".repeat(32) })),
            "certificate",
            "unknown_certificate",
        ),
        (json!("text"), "", "invalid_field"),
        (json!(null), "", "invalid_field"),
    ] {
        let answer = import(&daemon, json!([good("Good"), bad, good("Also good")]));
        let problem = answer.expect_problem(422, "invalid_field");
        assert_eq!(problem["created"], json!([]), "{bad}");
        let error = &problem["errors"][0];
        assert_eq!(
            (&error["index"], &error["field"], &error["code"]),
            (&json!(1), &json!(field), &json!(code)),
            "{problem}"
        );
    }
    let answer =
        import(&daemon, json!([{ "name": "X" }, good("Taken"), { "name": "Y", "endpoint_url": "x" }]));
    let errors = answer.expect_problem(422, "invalid_field")["errors"].clone();
    let indexes: Vec<&Value> = errors.as_array().unwrap().iter().map(|error| &error["index"]).collect();
    assert_eq!(indexes, [0, 1, 2]);
    assert_eq!(daemon.get("devices").expect(200)["total"], 1);

    // By name alone, by thumbprint alone, and with a password.
    let default = daemon.get("certificates").expect(200)["items"][0].clone();
    let mut user = good("E");
    user["user_identity"] = json!({ "type": "username", "username": "op", "password": PASSWORD });
    let by_thumbprint = json!({
        "name": "D", "endpoint_url": "opc.tcp://a", "certificate": { "thumbprint_sha256": default["thumbprint_sha256"] }
    });
    import(&daemon, json!([certificate(json!({ "name": "dEFAULT" })), by_thumbprint, user])).expect(200);
    for name in ["C", "D"] {
        let page = daemon.get(&format!("devices?q={name}&limit=1")).expect(200);
        assert_eq!(page["items"][0]["certificate_id"], default["id"], "{name}");
    }
    let user = daemon.get("devices?q=E&sort=-name").expect(200);
    let user = user["items"].as_array().unwrap().iter().find(|device| device["name"] == "E").unwrap();
    assert_eq!(user["user_identity"]["password_set"], true);
}

#[test]
fn a_document_that_is_no_export_is_refused() {
    let daemon = Setup::empty().start();
    for body in [
        json!({}),
        json!({ "version": 1 }),
        json!({ "version": 2, "devices": [] }),
        json!({ "version": null, "devices": [] }),
        json!({ "version": "1", "devices": [] }),
        json!({ "devices": [] }),
        json!({ "version": 1, "devices": null }),
        json!({ "version": 1, "devices": {} }),
        json!({ "version": 1, "devices": [], "more": 1 }),
    ] {
        daemon.post("devices/import", &body).expect_problem(422, "invalid_field");
    }
    assert_eq!(import(&daemon, json!([])).expect(200)["created"], json!([]));
}

#[test]
fn a_dry_run_tells_what_does_not_fit_as_its_result() {
    let daemon = Setup::empty().start();
    let document =
        json!({ "version": 1, "devices": [{ "name": "A", "endpoint_url": "opc.tcp://a" }, { "name": "B" }] });
    let dry = daemon.post("devices/import?dry_run=true", &document).expect(200);
    assert_eq!((&dry["created"], &dry["dry_run"]), (&json!([]), &json!(true)));
    assert_eq!(
        (&dry["errors"][0]["index"], &dry["errors"][0]["field"]),
        (&json!(1), &json!("endpoint_url")),
        "{dry}"
    );
    let refused = daemon.post("devices/import", &document).expect_problem(422, "invalid_field");
    assert_eq!((&refused["created"], &refused["dry_run"]), (&json!([]), &json!(false)));
    let schemas = &crate::openapi::committed()["components"]["schemas"];
    assert!(schemas["DevicesRefused"].to_string().contains("\"dry_run\""));
}

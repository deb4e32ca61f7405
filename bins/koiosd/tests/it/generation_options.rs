//! What can be asked of generation beyond the name: keys on curves, profiles, the rest of the subject.

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    http::Answer,
};

fn path(certificate: &Value, rest: &str) -> String {
    format!("certificates/{}{rest}", certificate["id"].as_str().expect("an id"))
}

#[track_caller]
fn generate(daemon: &Daemon, name: &str, key: &str, value: Value) -> Answer {
    let mut body = json!({ "name": name, "hostname": "gw01.plant.example" });
    body[key] = value;
    daemon.post("certificates/generate", &body)
}

fn codes(certificate: &Value) -> Vec<&str> {
    let findings = certificate["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

fn on_curve(daemon: &Daemon, name: &str, curve: &str) -> Value {
    generate(daemon, name, "key", json!({ "algorithm": "ec", "curve": curve })).expect(201)
}

fn device(name: &str, certificate: &Value, mode: &str) -> Value {
    json!({ "name": name, "endpoint_url": "opc.tcp://127.0.0.1:1/", "security_mode": mode,
        "certificate_id": certificate["id"] })
}

#[test]
fn r5_the_rest_of_the_subject_is_written_and_kept_when_it_is_regenerated() {
    let daemon = Setup::empty().start();
    let made = daemon
        .post(
            "certificates/generate",
            &json!({ "name": "A", "hostname": "gw01", "organization": "Plant", "organizational_unit": " Line 1 ",
                "locality": "Ulm", "state": "Baden-Württemberg", "country": "de" }),
        )
        .expect(201);
    let subject = "CN=Koios@gw01, O=Plant, OU=Line 1, L=Ulm, ST=Baden-Württemberg, C=DE";
    assert_eq!(made["subject"], subject);
    assert_eq!(codes(&made), [""; 0]);
    let again = daemon.post(&path(&made, "/regenerate"), &json!({})).expect(200);
    assert_eq!(again["certificate"]["subject"], subject);
}

#[test]
fn keys_on_curves_are_generated_shown_downloaded_and_regenerated() {
    let daemon = Setup::new().start();
    for (curve, signature) in [("p256", "ecdsa-with-SHA256"), ("p384", "ecdsa-with-SHA384")] {
        let made = on_curve(&daemon, curve, curve);
        assert_eq!(made["key"], json!({ "algorithm": "ec", "bits": null, "curve": curve }));
        assert_eq!(made["signature_algorithm"], signature);
        assert_eq!(made["statuses"], json!(["valid"]));
        let pem = daemon.get(&path(&made, "/private-key.pem"));
        assert_eq!(pem.status, 200);
        let der = daemon.get(&path(&made, "/certificate.der")).body;
        // What is downloaded can be uploaded elsewhere.
        let elsewhere = Setup::empty().start();
        let fields: &[(&str, &[u8])] = &[("name", b"B"), ("certificate", &der), ("private_key", &pem.body)];
        let uploaded = elsewhere.call("POST", "certificates/upload").form(fields).send().expect(201);
        assert_eq!(uploaded["thumbprint_sha256"], made["thumbprint_sha256"]);
        let again = daemon.post(&path(&made, "/regenerate"), &json!({})).expect(200);
        assert_eq!(again["certificate"]["key"], made["key"], "the kind of key is kept");
    }
    let plain = generate(&daemon, "defaults", "key", json!({ "algorithm": "ec" })).expect(201);
    assert_eq!(plain["key"]["curve"], "p256");
    let plain = generate(&daemon, "default RSA", "key", json!({ "algorithm": "rsa" })).expect(201);
    assert_eq!(plain["key"]["bits"], 2048);
}

#[test]
fn a_key_that_no_policy_takes_is_not_given_to_devices() {
    let daemon = Setup::new().start();
    let default = daemon.get("certificates").expect(200)["items"][0].clone();
    let curve = on_curve(&daemon, "Curve", "p256");
    let rsa = daemon.generate("RSA");
    let press = daemon.post("devices", &device("Press", &rsa, "sign")).expect(201);
    let press_path = format!("devices/{}", press["id"].as_str().unwrap());
    let refused = |answer: Answer, field: &str| {
        let problem = answer.expect_problem(422, "certificate_not_usable");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("RSA key of 2048 to 4096 bits"), "{problem}");
    };
    let patch = |body: Value| daemon.call("PATCH", &press_path).json(&body).send();
    refused(daemon.post("devices", &device("B", &curve, "sign")), "certificate_id");
    refused(patch(json!({ "certificate_id": curve["id"] })), "certificate_id");
    refused(daemon.put(&path(&curve, "/devices"), &json!({ "assign": [press["id"]] })), "assign");
    refused(daemon.put("certificates/default", &json!({ "id": curve["id"] })), "id");
    let key = json!({ "algorithm": "ec", "curve": "p384" });
    let order = json!({ "name": "C", "key": key, "assign_to": [press["id"]] });
    refused(daemon.post("certificates/generate", &order), "key");
    refused(
        daemon.post("certificates/generate", &json!({ "name": "C", "key": key, "make_default": true })),
        "key",
    );
    for dry_run in ["", "?dry_run=true"] {
        refused(daemon.post(&path(&rsa, &format!("/regenerate{dry_run}")), &json!({ "key": key })), "key");
        refused(
            daemon.post(&path(&default, &format!("/regenerate{dry_run}")), &json!({ "key": key })),
            "key",
        );
    }
    refused(daemon.post(&path(&rsa, "/csr"), &json!({ "new_key": true, "key": key })), "key");

    let import = json!({ "version": 1, "devices": [{ "name": "D", "endpoint_url": "opc.tcp://127.0.0.1:1/",
        "security_mode": "sign", "certificate": { "name": "Curve" } }] });
    let problem = daemon.post("devices/import", &import).expect_problem(422, "invalid_field");
    assert_eq!(problem["errors"][0]["field"], "certificate", "{problem}");
    assert_eq!(problem["errors"][0]["code"], "certificate_not_usable", "{problem}");

    // Mode none uses no certificate: it may keep one, until it would be used.
    let plain = daemon.post("devices", &device("Plain", &curve, "none")).expect(201);
    let plain_path = format!("devices/{}", plain["id"].as_str().unwrap());
    daemon.put(&path(&curve, "/devices"), &json!({ "assign": [plain["id"]] })).expect(200);
    let both = json!({ "assign": [plain["id"], press["id"]] });
    refused(daemon.put(&path(&curve, "/devices"), &both), "assign");
    let secured = daemon.call("PATCH", &plain_path).json(&json!({ "security_mode": "sign" })).send();
    refused(secured, "certificate_id");
    daemon.call("PATCH", &plain_path).json(&json!({ "description": "untouched" })).send().expect(200);

    // Whoever insists gets it as the default, and a Test says what that means.
    daemon.put("certificates/default", &json!({ "id": curve["id"], "force": true })).expect(200);
    let test = json!({ "endpoint_url": "opc.tcp://127.0.0.1:1/", "security_mode": "sign" });
    let report = daemon.post("devices/test", &test).expect(200);
    assert_eq!(report["code"], "certificate_key_type_unsupported", "{report}");
    assert_eq!(report["failed_stage"], "certificate");
}

#[test]
fn the_profile_for_older_peers_marks_the_certificate_as_its_own_authority_and_is_kept() {
    let daemon = Setup::empty().start();
    let made = generate(&daemon, "Old", "profile", json!("legacy-1.04")).expect(201);
    assert_eq!(codes(&made), ["legacy_ca_certificate"]);
    let finding = &made["findings"][0];
    assert!(finding["peers"].as_array().unwrap().contains(&json!("open62541")), "{finding}");
    let again = daemon.post(&path(&made, "/regenerate"), &json!({})).expect(200);
    assert_eq!(codes(&again["certificate"]), ["legacy_ca_certificate"]);
    let problem =
        generate(&daemon, "Request", "profile", json!("ca-issued")).expect_problem(422, "invalid_field");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("/csr"), "{problem}");
}

//! `ETag` and `If-Match`: every write of a certificate or device can be tied to the revision that was read.

use koios_testkit::CertificateSpec;
use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    devices::{add, path_of},
    http::{Answer, Call},
};

const THUMBPRINT: &str = "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF";

/// Every write of a certificate and of a device, as it would succeed.
fn writes(daemon: &Daemon, certificate: &Value, device: &Value) -> Vec<(String, Call)> {
    let certificate_path = format!("certificates/{}", certificate["id"].as_str().unwrap());
    let device_path = path_of(device);
    let pair = CertificateSpec::application("urn:plant:client").make();
    let form: &[(&str, &[u8])] = &[
        ("certificate", pair.der()),
        ("private_key", pair.key_pem().as_bytes()),
        ("allow_uri_change", b"true"),
    ];
    let json = |method: &str, path: String, body: Value| {
        (format!("{method} {path}"), daemon.call(method, &path).json(&body))
    };
    let bare = |method: &str, path: String| (format!("{method} {path}"), daemon.call(method, &path));
    let formed = |path: String, form: &[(&str, &[u8])]| {
        (format!("POST {path}"), daemon.call("POST", &path).form(form))
    };
    vec![
        json("PATCH", certificate_path.clone(), json!({ "description": "changed" })),
        json("PUT", "certificates/default".to_owned(), json!({ "id": certificate["id"] })),
        json("PUT", format!("{certificate_path}/devices"), json!({ "assign": [device["id"]] })),
        json("POST", format!("{certificate_path}/regenerate"), json!({})),
        bare("POST", format!("{certificate_path}/regenerate?dry_run=true")),
        json("POST", format!("{certificate_path}/csr"), json!({ "new_key": true })),
        bare("DELETE", format!("{certificate_path}/csr")),
        formed(format!("{certificate_path}/replace"), form),
        formed(format!("{certificate_path}/install"), &form[..1]),
        bare("DELETE", certificate_path.clone()),
        bare("DELETE", format!("{certificate_path}?dry_run=true")),
        json("PATCH", device_path.clone(), json!({ "description": "changed" })),
        bare("POST", format!("{device_path}/enable")),
        bare("POST", format!("{device_path}/disable")),
        json(
            "POST",
            format!("{device_path}/server-certificate/approve"),
            json!({ "thumbprint_sha256": THUMBPRINT }),
        ),
        bare("DELETE", format!("{device_path}/server-certificate")),
        bare("DELETE", device_path),
    ]
}

/// Two certificates, of which the second is not the default and has a pending request, and a device.
fn plant(daemon: &Daemon) -> (Value, Value) {
    daemon.generate("Default");
    let certificate = daemon.generate("A");
    let path = format!("certificates/{}", certificate["id"].as_str().unwrap());
    daemon.post(&format!("{path}/csr"), &json!({ "new_key": true })).expect(200);
    let device = add(
        daemon,
        &json!({ "name": "Press 4", "endpoint_url": "opc.tcp://127.0.0.1:1", "security_mode": "sign" }),
    );
    (certificate, device)
}

#[test]
fn every_write_with_a_revision_that_does_not_fit_is_412_and_changes_nothing() {
    let daemon = Setup::empty().start();
    let (certificate, device) = plant(&daemon);
    let paths = [format!("certificates/{}", certificate["id"].as_str().unwrap()), path_of(&device)];
    let shown = || paths.each_ref().map(|path| daemon.get(path).expect(200));
    let before = shown();
    let count = writes(&daemon, &certificate, &device).len();
    for tag in ["\"7\"", "\"7\", \"8\"", "W/\"1\"", "\"+1\"", "\"01\"", "1", "\"\"", ""] {
        for (what, call) in writes(&daemon, &certificate, &device) {
            let answer = call.header("If-Match", tag).send();
            assert_eq!(answer.status, 412, "{what} {tag}: {}", answer.text());
            answer.expect_problem(412, "revision_mismatch");
        }
    }
    assert_eq!(count, 17);
    assert_eq!(shown(), before);
    let csr = format!("{}/csr", paths[0]);
    daemon.get(&csr).expect(200);
}

#[test]
fn a_write_is_applied_when_any_of_its_revisions_is_the_present_one_or_any_will_do() {
    let daemon = Setup::empty().start();
    let (certificate, device) = plant(&daemon);
    for path in [format!("certificates/{}", certificate["id"].as_str().unwrap()), path_of(&device)] {
        let patch = |tag: &str, description: &str| -> Answer {
            let call = daemon.call("PATCH", &path).json(&json!({ "description": description }));
            call.header("If-Match", tag).send()
        };
        assert_eq!(
            patch("\"1\", \"99\"", "a").header("etag"),
            Some("\"2\""),
            "the present one and a later one"
        );
        assert_eq!(patch("\"1\",\"2\"", "b").header("etag"), Some("\"3\""));
        assert_eq!(patch("W/\"3\", \"3\"", "c").header("etag"), Some("\"4\""));
        assert_eq!(patch("*", "d").header("etag"), Some("\"5\""));
        patch("\"3\", \"4\"", "e").expect_problem(412, "revision_mismatch");
    }
    let unknown = "devices/00000000-0000-7000-8000-000000000000/enable";
    let answer = daemon.call("POST", unknown).header("If-Match", "\"1\", \"2\"").send();
    answer.expect_problem(404, "not_found");
}

#[test]
fn every_write_of_a_certificate_or_device_is_documented_with_if_match() {
    let document: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
    let mut writes = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        // What opens a connection or hands out a key changes neither.
        let changes_nothing = path.ends_with("/test") || path.ends_with(".pem") || path.ends_with(".p12");
        let of_one = path.starts_with("/api/v1/certificates/{id}")
            || path.starts_with("/api/v1/devices/{id}")
            || path == "/api/v1/certificates/default";
        for (method, operation) in operations.as_object().unwrap() {
            if method == "get" || changes_nothing || !of_one {
                continue;
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            assert!(parameters.iter().any(|parameter| parameter["name"] == "If-Match"), "{method} {path}");
            writes += 1;
        }
    }
    assert!(writes >= 14, "{writes}");
}

#[test]
fn every_answer_with_a_certificate_or_device_has_its_revision_as_entity_tag() {
    let daemon = Setup::empty().start();
    let tagged = |answer: Answer, status: u16, revision: fn(&Value) -> &Value| {
        let tag = answer.header("etag").unwrap_or_default().to_owned();
        let body = answer.expect(status);
        assert_eq!(tag, format!("\"{}\"", revision(&body)), "{body}");
        body
    };
    let own: fn(&Value) -> &Value = |body| &body["revision"];
    let inner: fn(&Value) -> &Value = |body| &body["certificate"]["revision"];
    let certificate =
        tagged(daemon.post("certificates/generate", &json!({ "name": "A", "hostname": "a" })), 201, own);
    let pair = CertificateSpec::application("urn:plant:client").make();
    let form: &[(&str, &[u8])] =
        &[("name", b"B"), ("certificate", pair.der()), ("private_key", pair.key_pem().as_bytes())];
    tagged(daemon.call("POST", "certificates/upload").form(form).send(), 201, own);
    let path = format!("certificates/{}", certificate["id"].as_str().unwrap());
    tagged(daemon.get(&path), 200, own);
    tagged(daemon.call("PATCH", &path).json(&json!({ "description": "x" })).send(), 200, own);
    tagged(daemon.post(&format!("{path}/regenerate?dry_run=true"), &json!({})), 200, inner);
    tagged(daemon.post(&format!("{path}/regenerate"), &json!({})), 200, inner);
    tagged(daemon.put("certificates/default", &json!({ "id": certificate["id"] })), 200, inner);
    let device = tagged(
        daemon.post("devices", &json!({ "name": "P", "endpoint_url": "opc.tcp://127.0.0.1:1" })),
        201,
        own,
    );
    tagged(daemon.put(&format!("{path}/devices"), &json!({ "assign": [device["id"]] })), 200, inner);
    let path = path_of(&device);
    tagged(daemon.get(&path), 200, own);
    tagged(daemon.call("PATCH", &path).json(&json!({ "description": "x" })).send(), 200, own);
    for action in ["enable", "disable"] {
        tagged(daemon.call("POST", &format!("{path}/{action}")).send(), 200, own);
    }
}

//! The table of bad input for every route of devices, Tests and discovery: a 4xx with a code, the store unchanged.

use serde_json::{Value, json};

use crate::{
    bad_bodies::expect_refused,
    daemon::{ADMIN, Daemon, Setup},
    devices::{add, patch, path_of},
};

const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";

/// Never to be seen in an answer or a log line: it stands where a secret might.
const CANARY: &str = "canary-s3cret";

/// A port at which nothing answers quickly: Tests that are refused for their body never get that far.
const NOWHERE: &str = "opc.tcp://127.0.0.1:1";

fn device(daemon: &Daemon) -> Value {
    add(daemon, &json!({ "name": "A", "endpoint_url": NOWHERE }))
}

#[test]
fn bad_bodies_are_4xx_with_a_code_and_change_nothing() {
    let daemon = Setup::new().start();
    let device = device(&daemon);
    let before = daemon.get("devices").expect(200);
    let path = path_of(&device);
    for (path, method) in [
        ("devices", "POST"),
        (&*path, "PATCH"),
        (&format!("{path}/test"), "POST"),
        ("devices/test", "POST"),
        ("devices/import", "POST"),
        ("discovery/endpoints", "POST"),
        (&format!("{path}/server-certificate/approve"), "POST"),
    ] {
        expect_refused(|| daemon.call(method, path), &json!({}));
    }
    assert_unchanged(&daemon, &before);
}

#[test]
fn fields_that_do_not_fit_are_422_and_named_on_every_route_that_takes_them() {
    let daemon = Setup::new().start();
    let device = device(&daemon);
    let before = daemon.get("devices").expect(200);
    let long_url = format!("opc.tcp://a/{}", "x".repeat(4096));
    let cases: Vec<(&str, Vec<Value>)> = vec![
        (
            "name",
            vec![
                json!(null),
                json!(5),
                json!([]),
                json!({}),
                json!(true),
                json!(""),
                json!("  "),
                json!("a\u{0}b"),
                json!("a\nb"),
                json!("x".repeat(129)),
            ],
        ),
        ("description", vec![json!(5), json!([]), json!("x".repeat(1025))]),
        (
            "endpoint_url",
            vec![
                json!(null),
                json!(5),
                json!(""),
                json!("press4"),
                json!("http://press4"),
                json!("opc.tcp://"),
                json!("opc.tcp://:4840"),
                json!("opc.tcp://a:0"),
                json!("opc.tcp://a:65536"),
                json!("opc.tcp://a:x"),
                json!("opc.tcp://u:p@a"),
                json!("opc.tcp://a b"),
                json!("opc.tcp://a\n"),
                json!(" opc.tcp://a"),
                json!("opc.tcp://[::1"),
                json!("opc.tcp://../../etc/passwd:x"),
                json!(long_url),
                json!("opc.wss://a"),
            ],
        ),
        ("security_mode", vec![json!(null), json!("Sign"), json!("invalid"), json!(1), json!({}), json!("")]),
        (
            "security_policy",
            vec![
                json!(null),
                json!("None"),
                json!("Auto"),
                json!("basic256sha256"),
                json!(5),
                json!("ECC_curve25519"),
                json!("Basic256"),
                json!("Basic128Rsa15"),
                json!("Aes128Sha256RsaOaep"),
            ],
        ),
        ("certificate_id", vec![json!(5), json!("x"), json!(""), json!("../../koios.db"), json!([])]),
        ("server_certificate_policy", vec![json!(null), json!("trustlist"), json!("any"), json!(1)]),
        ("server_host_name_check", vec![json!(null), json!("true"), json!(0)]),
        ("trust_guide_product", vec![json!(5), json!(""), json!("a\u{0}b"), json!("x".repeat(129))]),
        (
            "scan_rate_seconds",
            vec![json!(null), json!(0), json!(0.09), json!(3600.1), json!(-1), json!("1"), json!(1e300)],
        ),
        (
            "timeout_seconds",
            vec![
                json!(null),
                json!(0),
                json!(301),
                json!(-1),
                json!(1.5),
                json!("10"),
                json!(1e300),
                json!(u64::MAX),
            ],
        ),
        (
            "user_identity",
            vec![
                json!(null),
                json!("anonymous"),
                json!({ "type": "nobody" }),
                json!({ "type": "username" }),
                json!({ "type": "username", "username": 5 }),
                json!({ "username": "op" }),
                json!({ "password": CANARY }),
                json!({ "type": "username", "username": "op", "password": 5 }),
                json!({ "type": "anonymous", "x": CANARY }),
                json!({ "type": "username", "username": "x".repeat(4097) }),
                json!({ "type": "username", "username": "op", "password": "x".repeat(4097) }),
            ],
        ),
        ("enabled", vec![json!(null), json!("true"), json!(1)]),
        // What only answers have, and what nobody has.
        ("id", vec![json!(UNKNOWN)]),
        ("revision", vec![json!(1)]),
        ("status", vec![json!({})]),
        ("effective_certificate", vec![json!(null)]),
        ("pinned_server_certificate", vec![json!(null)]),
        ("password", vec![json!(CANARY)]),
        ("Name", vec![json!("B")]),
    ];
    let test = format!("{}/test", path_of(&device));
    for (field, values) in &cases {
        for value in values {
            let mut whole = json!({ "name": "B", "endpoint_url": NOWHERE });
            whole[*field] = value.clone();
            let part = json!({ *field: value });
            for (what, answer) in [
                ("create", daemon.post("devices", &whole)),
                ("patch", patch(&daemon, &device, &part)),
                ("test", daemon.post(&test, &part)),
                ("test unsaved", daemon.post("devices/test", &whole)),
            ] {
                if (what, *field, value) == ("test unsaved", "name", &Value::Null) {
                    // A device that is not stored needs no name.
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    continue;
                }
                assert_eq!(answer.status, 422, "{what} {field} = {value}: {}", answer.text());
                let problem = answer.expect_problem(422, "invalid_field");
                let named = problem["errors"][0]["field"].as_str().unwrap();
                assert!(named.starts_with(field), "{what} {field} = {value}: {problem}");
            }
        }
    }
    let reason = if cfg!(feature = "deprecated-policies") { "switched off" } else { "this build cannot use" };
    for policy in ["Basic256", "Basic128Rsa15"] {
        let problem = patch(&daemon, &device, &json!({ "security_policy": policy }))
            .expect_problem(422, "invalid_field");
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{problem}");
    }
    for body in [json!({}), json!({ "name": "B" }), json!({ "endpoint_url": NOWHERE })] {
        daemon.post("devices", &body).expect_problem(422, "invalid_field");
    }
    daemon.post("devices/test", &json!({})).expect_problem(422, "invalid_field");
    for unknown in
        [json!({ "certificate_id": UNKNOWN }), json!({ "certificate_id": UNKNOWN, "security_mode": "sign" })]
    {
        patch(&daemon, &device, &unknown).expect_problem(422, "unknown_certificate");
        daemon.post(&test, &unknown).expect_problem(422, "unknown_certificate");
    }
    assert_unchanged(&daemon, &before);
}

#[test]
fn bad_requests_to_discovery_and_approval_are_422_and_name_the_field() {
    let daemon = Setup::empty().start();
    let device = device(&daemon);
    for body in [
        json!({}),
        json!({ "endpoint_url": null }),
        json!({ "endpoint_url": "http://a" }),
        json!({ "endpoint_url": "opc.tcp://u@a" }),
        json!({ "endpoint_url": 5 }),
        json!({ "endpoint_url": NOWHERE, "timeout_seconds": 0 }),
        json!({ "endpoint_url": NOWHERE, "timeout_seconds": 301 }),
        json!({ "endpoint_url": NOWHERE, "timeout_seconds": null }),
        json!({ "endpoint_url": NOWHERE, "timeout_seconds": "5" }),
        json!({ "endpoint_url": NOWHERE, "security_mode": "none" }),
    ] {
        let problem = daemon.post("discovery/endpoints", &body).expect_problem(422, "invalid_field");
        assert_eq!(problem["errors"].as_array().unwrap().len(), 1, "{problem}");
    }
    let approve = format!("{}/server-certificate/approve", path_of(&device));
    for body in [
        json!({}),
        json!({ "thumbprint_sha256": null }),
        json!({ "thumbprint_sha256": "" }),
        json!({ "thumbprint_sha256": "AB" }),
        json!({ "thumbprint_sha256": "AB:".repeat(32) }),
        json!({ "thumbprint_sha256": "../".repeat(21) }),
        json!({ "thumbprint_sha256": "AB".repeat(32), "all_devices_with_it": null }),
        json!({ "thumbprint_sha256": "AB".repeat(32), "all_devices_with_it": "yes" }),
    ] {
        daemon.post(&approve, &body).expect_problem(422, "invalid_field");
    }
    // Nothing was presented yet, so nothing can be approved.
    let body = json!({ "thumbprint_sha256": "ab".repeat(32) });
    daemon.post(&approve, &body).expect_problem(409, "thumbprint_mismatch");
}

#[test]
fn ids_that_are_no_ids_are_404_and_unknown_parameters_are_refused() {
    let daemon = Setup::empty().start();
    let device = device(&daemon);
    let path = path_of(&device);
    let braced = format!("%7B{UNKNOWN}%7D");
    for id in [UNKNOWN, "1", "..%2f..%2fkoios.db", "%ff", "%00", &braced, &UNKNOWN.replace('-', "")] {
        for (method, suffix, body) in [
            ("GET", "", None),
            ("PATCH", "", Some(json!({}))),
            ("DELETE", "", None),
            ("POST", "/enable", None),
            ("POST", "/disable", None),
            ("GET", "/status", None),
            ("GET", "/history", None),
            ("POST", "/test", Some(json!({}))),
            ("GET", "/server-certificate", None),
            ("DELETE", "/server-certificate", None),
            ("POST", "/server-certificate/approve", Some(json!({ "thumbprint_sha256": "AB".repeat(32) }))),
        ] {
            let call = daemon.call(method, &format!("devices/{id}{suffix}"));
            let answer = match &body {
                Some(body) => call.json(body).send(),
                None => call.send(),
            };
            answer.expect_problem(404, "not_found");
        }
    }
    for query in [
        "devices?limit=0",
        "devices?limit=501",
        "devices?page=2",
        "devices?q=%ff",
        "devices?state=fine",
        "devices?state=",
        "devices?enabled=yes",
        "devices?security_mode=Sign",
        "devices?certificate_id=x",
        "devices?certificate_id=../..",
        "devices?sort=status",
        "devices?sort=",
        "devices?cursor=zz",
        "devices?dry_run=true",
        "devices/export?format=csv",
        "system?verbose=true",
        &format!("{path}?x=1"),
        &format!("{path}/status?x=1"),
        &format!("{path}/history?limit=0"),
        &format!("{path}/history?cursor=zz"),
        &format!("{path}/server-certificate?x=1"),
    ] {
        let problem = daemon.get(query).expect_problem(422, "invalid_field");
        assert!(!problem["errors"].as_array().unwrap().is_empty(), "{query}");
    }
    for (method, path) in [
        ("POST", "devices?x=1".to_owned()),
        ("PATCH", format!("{path}?dry_run=true")),
        ("DELETE", format!("{path}?dry_run=true")),
        ("POST", format!("{path}/enable?x=1")),
        ("POST", format!("{path}/disable?x=1")),
        ("POST", format!("{path}/test?x=1")),
        ("POST", "devices/test?x=1".to_owned()),
        ("POST", "devices/import?dry_run=yes".to_owned()),
        ("POST", "discovery/endpoints?x=1".to_owned()),
    ] {
        let body = json!({ "endpoint_url": NOWHERE });
        daemon.call(method, &path).json(&body).send().expect_problem(422, "invalid_field");
    }
    for (method, path, allow) in [
        ("PUT", "devices", "GET, HEAD, POST"),
        ("PUT", &*path, "GET, HEAD, PATCH, DELETE"),
        ("GET", "devices/test", "POST"),
        ("GET", "devices/import", "POST"),
        ("POST", "devices/export", "GET, HEAD"),
        ("GET", "discovery/endpoints", "POST"),
        ("POST", "system", "GET, HEAD"),
    ] {
        let answer = daemon.call(method, path).send();
        answer.expect_problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    assert_eq!(daemon.get(&path).expect(200), device);
}

#[test]
fn names_that_look_like_paths_are_names() {
    let daemon = Setup::empty().start();
    for name in [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        "C:\\Windows",
        "%2e%2e%2f",
        "<script>",
        "'; drop table devices; --",
    ] {
        let device = add(&daemon, &json!({ "name": name, "endpoint_url": "opc.tcp://a/../../b" }));
        assert_eq!(device["name"], name);
        assert_eq!(daemon.get(&path_of(&device)).expect(200), device);
    }
    assert_eq!(daemon.get("devices").expect(200)["total"], 7);
}

/// The same devices as before, and a log without secrets.
#[track_caller]
fn assert_unchanged(daemon: &Daemon, before: &Value) {
    assert_eq!(&daemon.get("devices").expect(200), before);
    let log = daemon.log();
    for secret in [CANARY, ADMIN] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!(!log.contains("panic"), "{log}");
}

#[test]
fn a_post_without_a_body_takes_none() {
    let daemon = Setup::empty().start();
    let device = add(&daemon, &json!({ "name": "A", "endpoint_url": "opc.tcp://127.0.0.1:1" }));
    for action in ["enable", "disable"] {
        let path = format!("{}/{action}", path_of(&device));
        daemon.call("POST", &path).send().expect(200);
        daemon.post(&path, &json!({})).expect(200);
        daemon.post(&path, &json!({ "force": true })).expect_problem(422, "invalid_field");
        daemon.post(&path, &json!([])).expect_problem(422, "invalid_field");
        daemon.call("POST", &path).body("now").send().expect_problem(400, "malformed_request");
        let large = daemon.call("POST", &path).bytes("application/json", vec![b' '; 10 << 20]).send();
        large.expect_problem(413, "payload_too_large");
    }
}

//! The Test and discovery: one attempt, whatever comes of it, and nothing changed by it.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use koios_testkit::{OddKind, OddPeer, Server, ServerOptions, Stack};
use serde_json::{Value, json};

use crate::{
    daemon::{ADMIN, Daemon, Setup},
    devices::{add, path_of},
    downloads::ask_database,
};

/// Generous: a wait that long is a hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn async_opcua(options: ServerOptions) -> Server {
    koios_testkit::start(Stack::AsyncOpcua, options).expect("always there")
}

/// A Test of a device that is not stored.
#[track_caller]
fn test_unsaved(daemon: &Daemon, body: &Value) -> Value {
    let report = daemon.post("devices/test", body).expect(200);
    assert_whole(&report);
    report
}

/// Every field of the contract is there, and the stages are all of them in order.
#[track_caller]
fn assert_whole(report: &Value) {
    let mut keys: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "causes",
            "client_certificate",
            "clock_offset_ms",
            "code",
            "detail",
            "duration_ms",
            "endpoint",
            "failed_stage",
            "message",
            "outcome",
            "remedy",
            "reported_by",
            "server",
            "stages",
            "started_at",
            "status_code"
        ]
    );
    let names: Vec<&Value> =
        report["stages"].as_array().unwrap().iter().map(|stage| &stage["stage"]).collect();
    assert_eq!(
        names,
        [
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
            "read"
        ]
    );
    let success = report["outcome"] == "success";
    assert_eq!(report["failed_stage"].is_null(), success, "{report}");
    assert_eq!(report["code"] == "connected", success, "{report}");
    let failed: Vec<&Value> =
        report["stages"].as_array().unwrap().iter().filter(|stage| stage["outcome"] == "failed").collect();
    assert_eq!(failed.len(), usize::from(!success), "{report}");
    for stage in failed {
        assert_eq!(stage["stage"], report["failed_stage"], "{report}");
    }
}

#[track_caller]
fn assert_failure(report: &Value, code: &str, stage: &str) {
    assert_eq!((&report["code"], &report["failed_stage"]), (&json!(code), &json!(stage)), "{report}");
    assert!(report["message"].as_str().is_some_and(|message| !message.is_empty()), "{report}");
    assert!(!report["remedy"].as_array().unwrap().is_empty(), "{report}");
}

#[test]
fn r13_r14_a_test_with_unsaved_values_tells_that_the_server_rejects_the_certificate_and_changes_nothing() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let certificate = daemon.generate("Plant A");
    let sha1 = certificate["thumbprint_sha1"].as_str().unwrap();
    let server = async_opcua(ServerOptions::default());
    // Saved with an address that leads nowhere; the Test brings the right one.
    let device =
        add(&daemon, &json!({ "name": "A", "endpoint_url": "opc.tcp://127.0.0.1:1", "timeout_seconds": 30 }));
    let test = format!("{}/test", path_of(&device));
    let overrides = json!({
        "endpoint_url": server.endpoint_url, "security_mode": "sign_and_encrypt",
        "security_policy": "Aes256_Sha256_RsaPss", "name": "Another name", "enabled": true
    });
    let refused = daemon.post(&test, &overrides).expect(200);
    assert_whole(&refused);
    assert_eq!(refused["message"], "Certificate rejected by server", "{refused}");
    assert_eq!(refused["reported_by"], "server");
    assert!(refused["status_code"].as_str().unwrap().starts_with("Bad"), "{refused}");
    assert_eq!(refused["client_certificate"]["id"], certificate["id"]);
    assert_eq!(refused["client_certificate"]["thumbprint_sha1"], certificate["thumbprint_sha1"]);
    let download = format!("/api/v1/certificates/{}/certificate.der", certificate["id"].as_str().unwrap());
    let links: Vec<&Value> =
        refused["remedy"].as_array().unwrap().iter().map(|remedy| &remedy["link"]).collect();
    assert!(links.contains(&&json!(download)), "{refused}");
    assert_eq!(daemon.get(&download).status, 200);
    assert_eq!(refused["server"]["certificate"]["thumbprint_sha1"], server.certificate().sha1());
    assert_eq!(refused["server"]["build_info"], Value::Null);

    server.trust_rejected(sha1);
    let accepted = daemon.post(&test, &overrides).expect(200);
    assert_whole(&accepted);
    assert_eq!(accepted["message"], "Connected", "{accepted}");
    assert_eq!(accepted["endpoint"]["security_policy"], "Aes256_Sha256_RsaPss");
    assert_eq!(accepted["server"]["application_uri"], server.application_uri());
    assert!(accepted["server"]["build_info"].is_object(), "{accepted}");
    assert!(accepted["clock_offset_ms"].is_i64(), "{accepted}");

    // Nothing of the device changed, and what another server presented is no evidence about it.
    assert_eq!(daemon.get(&path_of(&device)).expect(200), device);
    let nothing = json!({ "pinned": null, "presented": null, "verdict": null });
    assert_eq!(daemon.get(&format!("{}/server-certificate", path_of(&device))).expect(200), nothing);
    assert_eq!(daemon.get(&format!("{}/history", path_of(&device))).expect(200)["total"], 0);

    // The same without a device: the default certificate when none is named, and no name.
    let mut unsaved = overrides;
    unsaved["name"] = Value::Null;
    assert_eq!(test_unsaved(&daemon, &unsaved)["code"], "connected");
    unsaved.as_object_mut().unwrap().remove("name");
    unsaved["certificate_id"] = certificate["id"].clone();
    unsaved["security_policy"] = json!("auto");
    assert_eq!(test_unsaved(&daemon, &unsaved)["code"], "connected");
    assert_eq!(daemon.get("devices").expect(200)["total"], 1);

    // Tested as it is stored, what its server presents is kept for it; still nothing is pinned.
    let saved = add(
        &daemon,
        &json!({ "name": "B", "endpoint_url": server.endpoint_url, "security_mode": "sign", "timeout_seconds": 30 }),
    );
    let report = daemon.call("POST", &format!("{}/test", path_of(&saved))).send().expect(200);
    assert_eq!(report["code"], "connected", "{report}");
    assert_eq!(daemon.get(&path_of(&saved)).expect(200), saved);
    let seen = daemon.get(&format!("{}/server-certificate", path_of(&saved))).expect(200);
    assert_eq!(seen["pinned"], Value::Null);
    assert_eq!(seen["presented"]["thumbprint_sha256"], server.certificate().sha256());
    assert!(seen["presented"]["seen_at"].is_string(), "{seen}");
    assert_eq!((&seen["verdict"]["accepted"], &seen["verdict"]["code"]), (&json!(true), &Value::Null));

    // Each Test left its row in the audit trail, and no other kind of row came of it.
    daemon.stop();
    let actions = "select group_concat(action, ' ') from (select distinct action from audit order by action)";
    if let Some(actions) = ask_database(&setup, actions) {
        assert_eq!(actions, "certificate.generated device.created device.tested token.created");
    }
    let tests = ask_database(&setup, "select count(*) from audit where action = 'device.tested'");
    assert!(tests.is_none_or(|tests| tests == "5"));
}

#[test]
fn r1_mode_none_is_tested_with_nothing_but_a_url_and_an_empty_store() {
    let daemon = Setup::empty().start();
    let server = async_opcua(ServerOptions::without_security());
    let report = test_unsaved(&daemon, &json!({ "endpoint_url": server.endpoint_url }));
    assert_eq!(report["code"], "connected", "{report}");
    assert_eq!(report["client_certificate"], Value::Null);
    assert_eq!(
        (&report["endpoint"]["security_mode"], &report["endpoint"]["security_policy"]),
        (&json!("none"), &json!("None"))
    );
    // A secure mode has nothing to show, and says so before anything is sent.
    let secure = json!({ "endpoint_url": server.endpoint_url, "security_mode": "sign" });
    assert_failure(&test_unsaved(&daemon, &secure), "no_certificate", "certificate");
    daemon.generate("First");
    assert_failure(&test_unsaved(&daemon, &secure), "no_matching_endpoint", "endpoint_selection");
}

#[test]
fn whatever_listens_there_the_test_ends_with_a_verdict() {
    let daemon = Setup::empty().start();
    let test = |url: &str| test_unsaved(&daemon, &json!({ "endpoint_url": url, "timeout_seconds": 1 }));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_failure(&test(&format!("opc.tcp://{closed}")), "connection_refused", "connect");
    assert_failure(&test("opc.tcp://no-such-host.invalid:4840"), "host_not_found", "resolve");
    for (kind, codes) in [
        (OddKind::Silent, &["timeout"][..]),
        (OddKind::SilentHttp, &["timeout"]),
        (OddKind::SlowDrip, &["timeout"]),
        (OddKind::Http, &["not_opc_ua"]),
        (OddKind::Ssh, &["not_opc_ua"]),
        (OddKind::Tls, &["not_opc_ua"]),
        (OddKind::Garbage, &["not_opc_ua"]),
        (OddKind::ClosesAtOnce, &["connection_closed"]),
        (OddKind::ClosesAfterHello, &["connection_closed"]),
        (OddKind::Resets, &["connection_closed"]),
    ] {
        let peer = OddPeer::start(kind);
        let report = test(&peer.endpoint_url());
        assert!(codes.iter().any(|code| report["code"] == *code), "{kind:?}: {report}");
        assert_failure(&report, report["code"].as_str().unwrap(), "hello");
        assert_eq!(
            (&report["server"], &report["endpoint"]),
            (&Value::Null, &Value::Null),
            "{kind:?}: {report}"
        );
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_before_the_connection() {
    let daemon = Setup::empty().start();
    let certificate = daemon.generate("A");
    let peer = OddPeer::start(OddKind::Silent);
    let key = daemon.files_of(&certificate).join("private-key.pem");
    std::fs::rename(&key, key.with_extension("away")).unwrap();
    let body = json!({ "endpoint_url": peer.endpoint_url(), "security_mode": "sign" });
    let report = test_unsaved(&daemon, &body);
    assert_failure(&report, "certificate_files_missing", "certificate");
    assert_eq!((&report["reported_by"], &report["status_code"]), (&json!("koios"), &Value::Null));
    assert_eq!(report["client_certificate"]["name"], "A");
    assert_eq!(peer.connections(), 0);
}

#[test]
fn a_user_is_let_in_with_the_right_password_only() {
    let daemon = Setup::empty().start();
    let certificate = daemon.generate("A");
    let server = async_opcua(ServerOptions::default());
    let der = daemon.get(&format!("certificates/{}/certificate.der", certificate["id"].as_str().unwrap()));
    server.trust_der(&der.body);
    let with = |password: &str| {
        json!({
            "name": "A", "endpoint_url": server.endpoint_url, "security_mode": "sign_and_encrypt", "timeout_seconds": 30,
            "user_identity": { "type": "username", "username": "op", "password": password }
        })
    };
    let refused = test_unsaved(&daemon, &with("wrong"));
    assert_failure(&refused, "user_identity_rejected", "user_identity");
    assert_eq!(test_unsaved(&daemon, &with("secret"))["code"], "connected");
    // The stored password is used when nothing is said, and the one given when something is.
    let device = add(&daemon, &with("secret"));
    let test =
        |body: &Value| daemon.post(&format!("{}/test", path_of(&device)), body).expect(200)["code"].clone();
    assert_eq!(test(&json!({})), "connected");
    assert_eq!(test(&json!({ "security_mode": "sign" })), "connected");
    assert_eq!(test(&json!({ "user_identity": { "password": "wrong" } })), "user_identity_rejected");
    assert_eq!(test(&json!({ "user_identity": { "username": "eve" } })), "user_identity_rejected");
    assert_eq!(test(&json!({ "user_identity": { "type": "anonymous" } })), "connected");
    assert_eq!(test(&json!({})), "connected");
}

#[test]
fn beyond_eight_tests_at_once_the_next_is_429() {
    let daemon = Setup::empty().start();
    let peer = OddPeer::start(OddKind::Silent);
    let body = json!({ "endpoint_url": peer.endpoint_url(), "timeout_seconds": 60 });
    let running: Vec<_> = (0..8)
        .map(|_| {
            let call = daemon.call("POST", "devices/test").json(&body);
            thread::spawn(move || call.send().status)
        })
        .collect();
    let started = Instant::now();
    while peer.connections() < 8 {
        assert!(started.elapsed() < PATIENCE, "only {} tests run", peer.connections());
        thread::sleep(Duration::from_millis(10));
    }
    let refused = daemon.post("devices/test", &body);
    refused.expect_problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    // A bad request is told so first.
    daemon.post("devices/test", &json!({})).expect_problem(422, "invalid_field");
    drop(peer);
    for test in running {
        assert_eq!(test.join().unwrap(), 200);
    }
    let body = json!({ "endpoint_url": "opc.tcp://127.0.0.1:1" });
    assert_eq!(test_unsaved(&daemon, &body)["code"], "connection_refused");
}

#[test]
fn discovery_shows_what_a_server_offers() {
    let daemon = Setup::empty().start();
    let server = async_opcua(ServerOptions::default());
    let discovery =
        daemon.post("discovery/endpoints", &json!({ "endpoint_url": server.endpoint_url })).expect(200);
    assert_eq!(
        (&discovery["outcome"], &discovery["code"]),
        (&json!("success"), &json!("connected")),
        "{discovery}"
    );
    assert_eq!(discovery["server"]["application_name"], server.application_name());
    assert_eq!(discovery["server"]["application_uri"], server.application_uri());
    let endpoints = discovery["endpoints"].as_array().unwrap();
    let offers = |mode: &str, policy: &str| {
        endpoints.iter().any(|endpoint| {
            endpoint["security_mode"] == mode
                && endpoint["security_policy"] == policy
                && endpoint["supported"] == true
        })
    };
    for policy in ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"] {
        assert!(offers("sign", policy) && offers("sign_and_encrypt", policy), "{discovery}");
    }
    for endpoint in endpoints {
        assert_eq!(
            endpoint["server_certificate"]["thumbprint_sha1"],
            server.certificate().sha1(),
            "{endpoint}"
        );
        let tokens = endpoint["user_token_types"].as_array().unwrap();
        assert!(tokens.contains(&json!("anonymous")) && tokens.contains(&json!("username")), "{endpoint}");
        assert!(endpoint["security_level"].is_u64() && endpoint["url"].is_string(), "{endpoint}");
    }

    let closed =
        daemon.post("discovery/endpoints", &json!({ "endpoint_url": "opc.tcp://127.0.0.1:1" })).expect(200);
    assert_eq!(
        (&closed["outcome"], &closed["code"]),
        (&json!("failure"), &json!("connection_refused")),
        "{closed}"
    );
    assert_eq!((&closed["endpoints"], &closed["server"]), (&json!([]), &Value::Null));
    let stages: Vec<&Value> =
        closed["stages"].as_array().unwrap().iter().map(|stage| &stage["stage"]).collect();
    assert_eq!(stages, ["resolve", "connect", "hello", "endpoints"]);
    let peer = OddPeer::start(OddKind::Silent);
    let body = json!({ "endpoint_url": peer.endpoint_url(), "timeout_seconds": 1 });
    assert_eq!(daemon.post("discovery/endpoints", &body).expect(200)["code"], "timeout");
}

#[test]
fn a_test_ends_when_its_client_goes_away_and_gives_its_place_back() {
    let daemon = Setup::empty().start();
    let peer = OddPeer::start(OddKind::Silent);
    let body = json!({ "endpoint_url": peer.endpoint_url(), "timeout_seconds": 300 }).to_string();
    let clients: Vec<TcpStream> = (0..8)
        .map(|number| {
            let path = if number % 2 == 0 { "devices/test" } else { "discovery/endpoints" };
            let request = format!(
                "POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let mut client = TcpStream::connect(daemon.address()).unwrap();
            client.write_all(request.as_bytes()).unwrap();
            client
        })
        .collect();
    let started = Instant::now();
    while peer.connections() < 8 {
        assert!(started.elapsed() < PATIENCE, "only {} attempts run", peer.connections());
        thread::sleep(Duration::from_millis(10));
    }
    let next = json!({ "endpoint_url": "opc.tcp://127.0.0.1:1" });
    daemon.post("devices/test", &next).expect_problem(429, "rate_limited");
    drop(clients);
    while daemon.post("devices/test", &next).status == 429 {
        assert!(started.elapsed() < PATIENCE, "the places are not given back");
        thread::sleep(Duration::from_millis(10));
    }
}

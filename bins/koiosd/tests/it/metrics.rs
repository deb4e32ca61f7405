//! What is measured, as Prometheus reads it.

use koios_testkit::{ServerOptions, Stack};
use serde_json::json;

use crate::{
    daemon::{Daemon, Setup},
    devices::{add, path_of},
    supervision::{state, wait_for},
};

/// The value of a sample, by its name with labels.
#[track_caller]
fn sample(daemon: &Daemon, name: &str) -> Option<f64> {
    let text = daemon.get("/metrics").text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map(|value| value.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
}

#[test]
fn metrics_are_told_in_the_text_format_to_whoever_has_a_token() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let certificate = daemon.generate("Plant \"A\"");
    daemon.stop();
    setup.add_tokens();
    let daemon = setup.start();
    daemon.call("GET", "/metrics").without_token().send().expect_problem(401, "unauthenticated");
    daemon.get("/metrics?page=1").expect_problem(422, "invalid_field");
    daemon.call("POST", "/metrics").send().expect_problem(405, "method_not_allowed");
    daemon.get("/metrics/more").expect_problem(404, "not_found");
    let answer = daemon.call("GET", "/metrics").token("viewer").send();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    for line in [
        "# TYPE koios_build_info gauge",
        "# TYPE koios_connects_total counter",
        "# TYPE koios_connect_duration_seconds histogram",
        "koios_connects_total{code=\"connected\"} 0",
        "koios_connect_duration_seconds_count 0",
        "koios_connect_waiting 0",
        "koios_retry_stretch_seconds 0.0",
        "koios_devices{state=\"running\"} 0",
        "koios_devices{state=\"stopped\"} 0",
        "koios_certificates{status=\"valid\"} 1",
        "koios_certificates{status=\"expired\"} 0",
        "koios_certificates{status=\"missing_files\"} 0",
        "# TYPE koios_certificate_files_age_seconds gauge",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    let version = env!("CARGO_PKG_VERSION");
    assert!(text.contains(&format!("koios_build_info{{version=\"{version}\"}} 1")), "{text}");
    let id = certificate["id"].as_str().unwrap();
    let expiry = format!("koios_certificate_expiry_seconds{{id=\"{id}\",name=\"Plant \\\"A\\\"\"}}");
    let days = sample(&daemon, &expiry).unwrap() / 86_400.0;
    assert!((1094.0..=1095.0).contains(&days), "{days}");
}

#[test]
fn attempts_and_devices_are_counted() {
    let daemon = Setup::empty().start();
    let server =
        koios_testkit::start(Stack::AsyncOpcua, ServerOptions::without_security()).expect("always there");
    let device = json!({ "name": "A", "endpoint_url": server.endpoint_url, "enabled": true });
    let running = add(&daemon, &device);
    let nobody = json!({ "name": "B", "endpoint_url": "opc.tcp://127.0.0.1:1", "enabled": true });
    let failed = add(&daemon, &nobody);
    add(&daemon, &json!({ "name": "C", "endpoint_url": "opc.tcp://127.0.0.1:1" }));
    wait_for(&daemon, &running, state("running"));
    wait_for(&daemon, &failed, state("failed"));
    for (name, expected) in [
        ("koios_devices{state=\"running\"}", 1.0),
        ("koios_devices{state=\"failed\"}", 1.0),
        ("koios_devices{state=\"starting\"}", 0.0),
        ("koios_devices{state=\"stopped\"}", 1.0),
        ("koios_connects_total{code=\"connected\"}", 1.0),
    ] {
        assert_eq!(sample(&daemon, name), Some(expected), "{name}");
    }
    let refused = "koios_connects_total{code=\"connection_refused\"}";
    assert!(sample(&daemon, refused) >= Some(1.0));
    assert!(sample(&daemon, "koios_connect_duration_seconds_count") >= Some(2.0));
    assert!(sample(&daemon, "koios_connect_duration_seconds_bucket{le=\"+Inf\"}") >= Some(2.0));
    // A Test is no attempt of the device.
    daemon.post(&format!("{}/test", path_of(&running)), &json!({})).expect(200);
    assert_eq!(sample(&daemon, "koios_connects_total{code=\"connected\"}"), Some(1.0));
}

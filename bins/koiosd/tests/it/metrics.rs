//! What is measured, as Prometheus reads it.

mod monitoring;
mod text_format;

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

#[test]
fn what_is_told_is_well_formed_and_what_alerts_and_dashboard_ask_for() {
    let daemon = Setup::empty().start();
    daemon.generate("Plant \"A\" \\ B");
    let nobody = json!({ "name": "B", "endpoint_url": "opc.tcp://127.0.0.1:1", "enabled": true });
    let failed = add(&daemon, &nobody);
    wait_for(&daemon, &failed, state("failed"));
    daemon.get("/metrics");
    let families = text_format::parse(&daemon.get("/metrics").text());
    for (name, kind) in [
        ("koios_build_info", "gauge"),
        ("koios_certificate_expiry_seconds", "gauge"),
        ("koios_certificates", "gauge"),
        ("koios_devices", "gauge"),
        ("koios_connects_total", "counter"),
        ("koios_connect_duration_seconds", "histogram"),
        ("koios_http_requests_total", "counter"),
        ("koios_http_request_duration_seconds", "histogram"),
    ] {
        assert_eq!(families.get(name).map(|family| family.kind.as_str()), Some(kind), "{name}");
    }
    let (_, labels, _) = &families["koios_certificate_expiry_seconds"].samples[0];
    assert_eq!(labels.keys().collect::<Vec<_>>(), ["id", "name"]);
    assert_eq!(labels["name"], "Plant \"A\" \\ B");
    assert_eq!(sample(&daemon, "koios_storage_writable"), Some(1.0));
    let newest = daemon.get("audit?limit=1").expect(200)["items"][0]["sequence"].as_f64();
    assert_eq!(sample(&daemon, "koios_audit_entries"), newest);
    assert_eq!(sample(&daemon, "koios_events_total{type=\"device.created\"}"), Some(1.0));
    monitoring::ask_for_what_is_told(&families);
}

#[test]
fn requests_are_counted_by_route_and_nobody_invents_labels() {
    let daemon = Setup::empty().start();
    for number in 0..5 {
        daemon
            .get(&format!("devices/00000000-0000-7000-8000-00000000000{number}"))
            .expect_problem(404, "not_found");
        daemon.get(&format!("nothing/{number}")).expect_problem(404, "not_found");
        daemon.call("GET", &format!("/{number}")).send();
        daemon.call("GET", &format!("certificates/{number}")).without_token().send();
        daemon.call(&format!("BREW{number}"), "devices").send().expect_problem(405, "method_not_allowed");
        daemon.call("GET", "/healthz").send();
    }
    let requests = |method: &str, route: &str, status: u16| {
        sample(
            &daemon,
            &format!(
                "koios_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"
            ),
        )
    };
    assert_eq!(requests("GET", "/api/v1/devices/{id}", 404), Some(5.0));
    assert_eq!(requests("GET", "unmatched", 404), Some(10.0));
    assert_eq!(
        requests("GET", "/api/v1/certificates/{id}", 401),
        Some(5.0),
        "refused before the route is asked"
    );
    assert_eq!(requests("other", "/api/v1/devices", 405), Some(5.0));
    assert_eq!(requests("GET", "/healthz", 200), Some(5.0));
    let duration = "koios_http_request_duration_seconds_count{method=\"GET\",route=\"/api/v1/devices/{id}\"}";
    assert_eq!(sample(&daemon, duration), Some(5.0));
    let families = text_format::parse(&daemon.get("/metrics").text());
    let routes =
        families["koios_http_requests_total"].samples.iter().map(|(_, labels, _)| labels["route"].as_str());
    let routes: std::collections::BTreeSet<_> = routes.collect();
    let expected = [
        "/api/v1/certificates/{id}",
        "/api/v1/devices",
        "/api/v1/devices/{id}",
        "/healthz",
        "/metrics",
        "unmatched",
    ];
    assert_eq!(routes.into_iter().collect::<Vec<_>>(), expected);
}

//! Where Koios may connect to, and that whoever looks around is seen.

use std::net::TcpListener;

use koios_testkit::{OddKind, OddPeer, ServerOptions, Stack};
use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    supervision::wait_for,
};

fn allowing(networks: &str) -> Daemon {
    Setup::empty().with_environment("KOIOS_TEST_ALLOWED_NETWORKS", networks).start()
}

fn audited(daemon: &Daemon, action: &str) -> Vec<Value> {
    let page = daemon.get(&format!("audit?action={action}&limit=500")).expect(200);
    page["items"].as_array().unwrap().iter().map(|entry| entry["after"].clone()).collect()
}

#[test]
fn tests_and_discovery_reach_no_address_outside_of_the_list_by_whatever_name() {
    let daemon = allowing("10.0.0.0/8, fd00::/8");
    // Accepts connections: one that came would be seen.
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    target.set_nonblocking(true).unwrap();
    let port = target.local_addr().unwrap().port();
    let device = daemon
        .post("devices", &json!({ "name": "D", "endpoint_url": format!("opc.tcp://127.0.0.1:{port}") }))
        .expect(201);
    let stored = format!("devices/{}/test", device["id"].as_str().unwrap());
    let hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "127.1",
        "0.0.0.0",
        "[::]",
        "169.254.169.254",
    ];
    for host in hosts {
        let url = format!("opc.tcp://{host}:{port}");
        let body = json!({ "endpoint_url": url, "timeout_seconds": 5 });
        for path in ["devices/test", "discovery/endpoints", &stored] {
            let answer = daemon.post(path, &body);
            if host == "127.1" && answer.status == 422 {
                // No address to our eyes.
                continue;
            }
            let problem = answer.expect_problem(403, "target_not_allowed");
            assert_eq!(problem["errors"][0]["field"], "endpoint_url", "{path} {host}: {problem}");
            assert!(problem["detail"].as_str().unwrap().contains("test_allowed_networks"));
        }
    }
    assert_eq!(target.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);

    // Refused attempts are in the trail with their targets.
    for action in ["device.tested", "endpoints.discovered"] {
        let rows = audited(&daemon, action);
        assert!(rows.iter().all(|after| after["code"] == "target_not_allowed"), "{rows:?}");
        for host in ["localhost", "[::ffff:127.0.0.1]", "169.254.169.254"] {
            let url = format!("opc.tcp://{host}:{port}");
            assert!(rows.iter().any(|after| after["endpoint_url"] == url), "{action} {host}: {rows:?}");
        }
    }
}

#[test]
fn enabled_devices_keep_to_the_list_too() {
    let daemon = allowing("10.0.0.0/8");
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    target.set_nonblocking(true).unwrap();
    let url = format!("opc.tcp://{}", target.local_addr().unwrap());
    let device =
        daemon.post("devices", &json!({ "name": "D", "endpoint_url": url, "enabled": true })).expect(201);
    let status = wait_for(&daemon, &device, |status| status["state"] == "failed");
    assert_eq!(status["error_code"], "target_not_allowed", "{status}");
    assert_eq!(target.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn inside_of_the_list_everything_is_as_without_one() {
    let daemon = allowing("127.0.0.0/8,::1");
    let server =
        koios_testkit::start(Stack::AsyncOpcua, ServerOptions::without_security()).expect("always there");
    let body = json!({ "endpoint_url": server.endpoint_url, "timeout_seconds": 30 });
    assert_eq!(daemon.post("devices/test", &body).expect(200)["code"], "connected");
    let found = daemon.post("discovery/endpoints", &body).expect(200);
    assert_eq!(found["outcome"], "success", "{found}");
    let rows = audited(&daemon, "endpoints.discovered");
    assert_eq!(
        rows,
        [json!({ "code": "connected", "failed_stage": null, "endpoint_url": server.endpoint_url })]
    );

    // What listens elsewhere on an allowed host is told apart as before, and no redirect by a server leads anywhere: the
    // host is always the one that was typed.
    let peer = OddPeer::start(OddKind::Http);
    let body = json!({ "endpoint_url": peer.endpoint_url(), "timeout_seconds": 5 });
    assert_eq!(daemon.post("devices/test", &body).expect(200)["code"], "not_opc_ua");
}

#[test]
fn discovery_and_tests_share_one_bound_and_leave_a_row_when_the_client_goes_away() {
    let daemon = Setup::empty().start();
    // Takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("opc.tcp://{}", silent.local_addr().unwrap());
    let body = json!({ "endpoint_url": url, "timeout_seconds": 60 }).to_string();
    let ask = |path: &str| {
        use std::io::Write;
        let mut stream = std::net::TcpStream::connect(daemon.address()).unwrap();
        write!(
            stream,
            "POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            crate::daemon::ADMIN,
            body.len()
        )
        .unwrap();
        stream
    };
    let running: Vec<_> =
        (0..8).map(|number| ask(["devices/test", "discovery/endpoints"][number % 2])).collect();
    let accepted: Vec<_> = (0..8).map(|_| silent.accept().unwrap()).collect();
    let body = json!({ "endpoint_url": url });
    for path in ["devices/test", "discovery/endpoints"] {
        let refused = daemon.post(path, &body);
        refused.expect_problem(429, "rate_limited");
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert_eq!(audited(&daemon, "device.tested"), [] as [Value; 0]);

    drop(running);
    let started = std::time::Instant::now();
    for action in ["device.tested", "endpoints.discovered"] {
        let rows = loop {
            let rows = audited(&daemon, action);
            if rows.len() == 4 {
                break rows;
            }
            assert!(started.elapsed() < std::time::Duration::from_secs(60), "{rows:?}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        assert!(rows.iter().all(|after| after["code"].is_null() && after["endpoint_url"] == url), "{rows:?}");
    }
    drop(accepted);
    assert_eq!(daemon.post("devices/test", &json!({ "endpoint_url": "opc.tcp://127.0.0.1:1" })).status, 200);
}

//! What is no OPC UA server gets a verdict, and never holds an attempt up.

use std::time::Duration;

use koios_opcua::{Code, Stage, Target, TestReport};
use koios_testkit::{OddKind, OddPeer};

use crate::client::{report, url};

fn knock(kind: OddKind) -> TestReport {
    let peer = OddPeer::start(kind);
    let mut target = Target::new(url(&peer.endpoint_url()), "urn:koios:gw01");
    target.timeout = Duration::from_secs(1);
    let report = report(&target);
    assert_eq!(report.verdict.failed_stage, Some(Stage::Hello), "{kind:?}: {:?}", report.verdict);
    report
}

#[test]
fn a_silent_port_ends_at_the_timeout() {
    for kind in [OddKind::Silent, OddKind::SilentHttp, OddKind::SlowDrip] {
        assert_eq!(knock(kind).verdict.code, Code::Timeout, "{kind:?}");
    }
}

#[test]
fn a_web_server_and_an_ssh_server_and_a_tls_server_are_named() {
    for (kind, name) in [(OddKind::Http, "HTTP"), (OddKind::Ssh, "SSH"), (OddKind::Tls, "TLS")] {
        let verdict = knock(kind).verdict;
        assert_eq!(verdict.code, Code::NotOpcUa, "{kind:?}: {verdict:?}");
        assert!(verdict.detail.clone().is_some_and(|detail| detail.contains(name)), "{verdict:?}");
    }
}

#[test]
fn garbage_is_not_opc_ua() {
    assert_eq!(knock(OddKind::Garbage).verdict.code, Code::NotOpcUa);
}

#[test]
fn a_port_that_closes_or_resets_says_so() {
    for kind in [OddKind::ClosesAtOnce, OddKind::ClosesAfterHello, OddKind::Resets] {
        assert_eq!(knock(kind).verdict.code, Code::ConnectionClosed, "{kind:?}");
    }
}

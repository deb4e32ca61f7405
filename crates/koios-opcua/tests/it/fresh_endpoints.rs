//! A handshake that fails makes the endpoints be read again, once.

use koios_opcua::{CauseCode, Code, ServerTrust, Stage};
use koios_pki::CertificateChain;
use koios_testkit::{Server, ServerCertificate, ServerOptions, Stack, TestCertificate, start_or_skip};

use crate::client::{certificate, report, secured, url};
use crate::relay::Relay;

/// The same server before and after its certificate was renewed.
fn before_and_after(stack: Stack, client: &TestCertificate) -> Option<(Server, Server)> {
    let options = ServerOptions::trusting(&[client]);
    let renewed = ServerOptions { certificate: ServerCertificate::Replaced, ..options.clone() };
    Some((start_or_skip(stack, options)?, start_or_skip(stack, renewed)?))
}

#[test]
fn a_certificate_that_was_renewed_after_the_endpoints_were_read_is_read_again() {
    let client = certificate();
    for stack in [Stack::AsyncOpcua, Stack::NodeOpcua] {
        let Some((before, after)) = before_and_after(stack, &client) else { continue };
        let relay = Relay::to_ports(vec![before.port(), after.port()]);
        let mut target = secured(&before, &client);
        target.endpoint_url = url(&relay.endpoint_url());
        let connected = report(&target);
        assert!(connected.verdict.is_success(), "{stack}: {:?}", connected.verdict);
        let shown = connected.server.and_then(|server| server.certificate).expect("it is shown");
        assert_eq!(shown.chain.leaf().thumbprint_sha256().to_string(), after.certificate().sha256());
        assert_eq!(relay.connections(), 4, "endpoints and handshake, twice");

        // The one that is read again is judged as the first one was.
        let relay = Relay::to_ports(vec![before.port(), after.port()]);
        target.endpoint_url = url(&relay.endpoint_url());
        let known = CertificateChain::from_der_blob(&before.certificate().chain_der(), 10).expect("a chain");
        target.server_trust = ServerTrust::Pin { expected: Some(known) };
        let refused = report(&target);
        assert_eq!(refused.verdict.code, Code::ServerCertificateChanged, "{stack}");
        assert_eq!(refused.verdict.failed_stage, Some(Stage::ServerCertificate));
        assert!(!refused.server_proven);
    }
}

#[test]
fn endpoints_that_show_the_same_certificate_again_rule_out_that_it_was_renewed() {
    let client = certificate();
    let Some((before, after)) = before_and_after(Stack::AsyncOpcua, &client) else { return };
    let relay = Relay::to_ports(vec![before.port(), after.port(), before.port()]);
    let mut target = secured(&before, &client);
    target.endpoint_url = url(&relay.endpoint_url());
    let verdict = report(&target).verdict;
    assert_eq!((verdict.code, verdict.failed_stage), (Code::HandshakeFailed, Some(Stage::SecureChannel)));
    assert!(verdict.causes.iter().all(|cause| cause.code != CauseCode::StaleServerCertificate));
    assert!(verdict.causes[0].evidence.iter().any(|line| line.contains("fetched again")), "{verdict:?}");
    assert_eq!(relay.connections(), 3, "once");
}

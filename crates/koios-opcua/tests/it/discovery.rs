//! Endpoints without a certificate and without a session.

use std::time::Duration;

use koios_opcua::{ClockReading, Code, DeprecatedPolicies, SecurityMode, Stage, StageOutcome, discover};
use koios_testkit::{OddKind, OddPeer, ServerOptions};

use crate::client::{run, servers, url};

#[test]
fn discovery_shows_endpoints_certificates_and_what_this_version_can_use() {
    for server in servers(&ServerOptions { none_endpoint: true, ..ServerOptions::default() }) {
        let endpoint_url = url(&server.endpoint_url);
        let found = run(discover(
            &endpoint_url,
            Duration::from_secs(10),
            ClockReading::system(),
            DeprecatedPolicies::Refused,
        ));
        assert_eq!(found.verdict.code, Code::Connected, "{}: {:?}", server.stack(), found.verdict);
        let description = found.server.expect("the server is named");
        assert_eq!(description.application_uri, server.application_uri());
        let usable = |mode| {
            found.endpoints.iter().any(|found| found.supported && found.endpoint.security_mode == Some(mode))
        };
        for mode in [SecurityMode::None, SecurityMode::Sign, SecurityMode::SignAndEncrypt] {
            assert!(usable(mode), "{}: {mode}", server.stack());
        }
        let secured =
            found.endpoints.iter().find(|found| found.endpoint.security_mode != Some(SecurityMode::None));
        let presented = secured.and_then(|found| found.server_certificate.as_ref()).expect("a certificate");
        assert_eq!(presented.chain.leaf().thumbprint_sha256().to_string(), server.certificate().sha256());
        assert_eq!(found.stages.len(), 4);
        assert!(found.stages.iter().all(|stage| stage.outcome == StageOutcome::Passed));
    }
}

#[test]
fn a_failed_discovery_has_the_code_and_the_stages_of_a_test() {
    let peer = OddPeer::start(OddKind::Http);
    let found = run(discover(
        &url(&peer.endpoint_url()),
        Duration::from_secs(2),
        ClockReading::system(),
        DeprecatedPolicies::Refused,
    ));
    assert_eq!(found.verdict.code, Code::NotOpcUa);
    assert_eq!(found.verdict.failed_stage, Some(Stage::Hello));
    assert!(found.endpoints.is_empty() && found.server.is_none());
    assert_eq!(found.stages.last().map(|stage| stage.outcome), Some(StageOutcome::Skipped));
}

#[test]
fn a_path_that_the_server_refuses_is_asked_again_under_discovery() {
    // Of the three stacks only async-opcua refuses a wrong path; it has no discovery there either, so the first refusal
    // is the one reported.
    let options = ServerOptions { none_endpoint: true, ..ServerOptions::default() };
    let Some(server) = koios_testkit::start_or_skip(koios_testkit::Stack::AsyncOpcua, options) else {
        return;
    };
    let wrong = url(&format!("{}nope", server.endpoint_url));
    let found =
        run(discover(&wrong, Duration::from_secs(10), ClockReading::system(), DeprecatedPolicies::Refused));
    assert_eq!(found.verdict.code, Code::EndpointUrlRejected, "{:?}", found.verdict);
}

//! R16: the server's certificate is judged before anything is encrypted to it.

use koios_opcua::{Code, ServerTrust, Stage};
use koios_pki::CertificateChain;
use koios_testkit::{ServerCertificate, ServerOptions, TestCertificate};

use crate::client::{certificate, report, secured, servers};

fn chain(certificate: &TestCertificate) -> CertificateChain {
    CertificateChain::from_der_blob(&certificate.chain_der(), 10).expect("a chain")
}

#[test]
fn r16_a_server_that_presents_another_certificate_is_not_connected_to_until_that_one_is_approved() {
    let client = certificate();
    for mut server in servers(&ServerOptions::trusting(&[&client])) {
        let mut target = secured(&server, &client);
        target.server_trust = ServerTrust::Pin { expected: Some(chain(server.certificate())) };
        assert!(report(&target).verdict.is_success(), "{}", server.stack());

        server.replace_certificate(ServerCertificate::Replaced);
        let refused = report(&target);
        assert_eq!(refused.verdict.code, Code::ServerCertificateChanged, "{}", server.stack());
        assert_eq!(refused.verdict.failed_stage, Some(Stage::ServerCertificate));
        assert!(!refused.server_proven);
        // The new one is shown, so that a person can compare it.
        let shown = refused.server.and_then(|server| server.certificate).expect("the presented one is shown");
        assert_eq!(shown.chain.leaf().thumbprint_sha256().to_string(), server.certificate().sha256());

        target.server_trust = ServerTrust::Pin { expected: Some(shown.chain) };
        assert!(report(&target).verdict.is_success(), "{}", server.stack());
    }
}

#[test]
fn r16_with_pin_an_expired_or_misnamed_server_certificate_is_shown_and_not_refused() {
    let client = certificate();
    for (kind, finding) in [(ServerCertificate::Expired, "expired"), (ServerCertificate::WrongHost, "host")] {
        let options = ServerOptions { certificate: kind, ..ServerOptions::trusting(&[&client]) };
        for server in servers(&options) {
            let report = report(&secured(&server, &client));
            assert!(report.verdict.is_success(), "{} {finding}: {:?}", server.stack(), report.verdict);
            let shown = report.server.and_then(|server| server.certificate).expect("it is shown");
            let codes: Vec<_> = shown.findings.iter().map(|finding| finding.code.as_str()).collect();
            assert!(codes.iter().any(|code| code.contains(finding)), "{codes:?}");
        }
    }
}

#[test]
fn a_server_that_sends_its_chain_is_known_by_its_leaf() {
    let client = certificate();
    let options =
        ServerOptions { certificate: ServerCertificate::Chain, ..ServerOptions::trusting(&[&client]) };
    let Some(server) = koios_testkit::start_or_skip(koios_testkit::Stack::NodeOpcua, options) else { return };
    let mut target = secured(&server, &client);
    let first = report(&target);
    assert!(first.verdict.is_success(), "{:?}", first.verdict);
    let shown = first.server.and_then(|server| server.certificate).expect("it is shown");
    assert_eq!(shown.chain.len(), 2);

    let leaf_alone = CertificateChain::new(shown.chain.leaf().clone(), Vec::new());
    target.server_trust = ServerTrust::Pin { expected: Some(leaf_alone) };
    assert!(report(&target).verdict.is_success());
}

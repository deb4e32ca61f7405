//! What earlier attempts have shown ranks the causes of a later refusal, with real servers.

use koios_opcua::{CauseCode, Code, Confidence, DevicePlan, SecurityMode};
use koios_store::DeviceId;
use koios_testkit::{OddKind, OddPeer, ServerOptions, Stack, TestCertificate, start_or_skip};

use crate::client::{certificate, run, url};
use crate::plant::Plant;

fn plant_with(url: &str, certificate: &TestCertificate) -> (Plant, DeviceId) {
    let plant = Plant::new();
    plant.add_certificate("Default", certificate);
    let device = run(plant.store.create_device(Plant::settings("Press 4", url), false));
    let device = device.expect("the device is stored").id;
    (plant, device)
}

#[test]
fn a_reason_that_was_named_once_is_remembered_when_it_is_hidden() {
    // Its first answer names the trust list, and while its copy is rejected it says BadSecurityChecksFailed.
    let Some(server) = start_or_skip(Stack::AsyncOpcua, ServerOptions::default()) else { return };
    let (plant, device) = plant_with(&server.endpoint_url, &certificate());
    let named = plant.test(device).verdict;
    assert_eq!(named.causes[0].confidence, Confidence::Certain, "{named:?}");
    let hidden = plant.test(device).verdict;
    assert_eq!(hidden.code, Code::CertificateRejectedByServer);
    assert_eq!(hidden.status_code.map(|status| status.name()).as_deref(), Some("BadSecurityChecksFailed"));
    let first = &hidden.causes[0];
    assert_eq!(first.code, CauseCode::NotTrusted);
    assert!(first.evidence[0].contains("it answered to the same certificate"), "{first:?}");
}

#[test]
fn a_certificate_that_was_trusted_before_is_trusted_no_longer() {
    let certificate = certificate();
    for stack in [Stack::AsyncOpcua, Stack::Open62541] {
        let Some(mut server) = start_or_skip(stack, ServerOptions::trusting(&[&certificate])) else {
            continue;
        };
        let (plant, device) = plant_with(&server.endpoint_url, &certificate);
        assert!(plant.test(device).verdict.is_success(), "{stack}");
        server.distrust(&certificate.sha1());
        // open62541 reads its trust list when it starts.
        server.restart();
        let refused = plant.test(device).verdict;
        assert_eq!(refused.code, Code::CertificateRejectedByServer, "{stack}: {refused:?}");
        let first = &refused.causes[0];
        assert_eq!(first.code, CauseCode::NotTrusted);
        assert!(first.explanation.contains("no longer"), "{stack}: {first:?}");
        assert!(first.evidence[0].contains("accepted this certificate"), "{stack}: {first:?}");
    }
}

#[test]
fn what_an_unsaved_test_has_shown_counts_too() {
    let certificate = certificate();
    let options = ServerOptions { none_endpoint: true, ..ServerOptions::trusting(&[&certificate]) };
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let (plant, _) = plant_with(&server.endpoint_url, &certificate);
    let mut plan = DevicePlan::new(url(&server.endpoint_url));
    assert!(run(plant.supervisor.test(plan.clone())).expect("a report").verdict.is_success());
    plan.security_mode = SecurityMode::Sign;
    assert!(run(plant.supervisor.test(plan)).expect("a report").verdict.is_success());
    let seen = run(plant.store.attempt_evidence(
        &format!("127.0.0.1 {}", server.port()),
        Some(crate::client::leaf(&certificate).thumbprint_sha256()),
    ));
    let mut policies: Vec<_> = seen.expect("evidence").into_iter().map(|seen| seen.security_policy).collect();
    policies.sort();
    assert_eq!(policies, ["Aes256_Sha256_RsaPss", "None"]);
    // A peer that shows nothing leaves nothing.
    let silent = OddPeer::start(OddKind::Silent);
    let mut plan = DevicePlan::new(url(&silent.endpoint_url()));
    plan.timeout = std::time::Duration::from_millis(300);
    assert_eq!(run(plant.supervisor.test(plan.clone())).expect("a report").verdict.code, Code::Timeout);
    let port = plan.endpoint_url.port();
    assert!(run(plant.store.attempt_evidence(&format!("127.0.0.1 {port}"), None)).expect("none").is_empty());
}

//! The truth table of what servers say of a client certificate.

use koios_opcua::{
    CauseCode, Code, Confidence, ReportedBy, SecurityMode, SecurityPolicy, Stage, StageOutcome, Target,
};
use koios_testkit::{Ability, CertificateSpec, Policy, ServerOptions, Stack, start_or_skip};

use crate::client::{
    certificate, disbelieved_clock, report, report_at, secured, servers, url, wait_for_trust,
};

#[test]
fn r13_a_trusted_certificate_connects_and_the_report_shows_the_way() {
    let certificate = certificate();
    for server in servers(&ServerOptions::trusting(&[&certificate])) {
        let report = report(&secured(&server, &certificate));
        assert!(report.verdict.is_success(), "{}: {:?}", server.stack(), report.verdict);
        assert!(
            report.stages.iter().all(|stage| stage.outcome == StageOutcome::Passed),
            "{:?}",
            report.stages
        );
        assert!(report.server_proven);
        let shown = report.server.expect("the server is shown");
        assert_eq!(shown.description.application_uri, server.application_uri());
        let presented = shown.certificate.expect("its certificate is shown");
        assert_eq!(presented.chain.leaf().thumbprint_sha256().to_string(), server.certificate().sha256());
        assert!(shown.build_info.is_some());
        let client = report.client_certificate.expect("ours is shown");
        assert_eq!(client.thumbprint_sha1.map(|thumbprint| thumbprint.to_string()), Some(certificate.sha1()));
        let offset = report.clock_offset_ms.expect("the server told its time");
        assert!(offset.abs() < 60_000, "one machine, one clock: {offset} ms");
    }
}

#[test]
fn every_policy_and_mode_connects() {
    let certificate = certificate();
    for server in servers(&ServerOptions::trusting(&[&certificate])) {
        for policy in SecurityPolicy::RSA {
            for mode in [SecurityMode::Sign, SecurityMode::SignAndEncrypt] {
                let mut target = secured(&server, &certificate);
                target.security_mode = mode;
                target.security_policy = Some(policy);
                let report = report(&target);
                assert!(
                    report.verdict.is_success(),
                    "{} {mode} {policy}: {:?}",
                    server.stack(),
                    report.verdict
                );
                let endpoint = report.endpoint.expect("an endpoint was chosen");
                assert_eq!((endpoint.security_mode, endpoint.security_policy), (mode, policy));
            }
        }
    }
}

#[test]
fn r14_r17_an_untrusted_certificate_is_rejected_in_plain_words_and_connects_once_it_is_moved_to_trusted() {
    let certificate = certificate();
    let options = ServerOptions::default();
    for mut server in servers(&options).chain(start_or_skip(Stack::Open62541, options.clone())) {
        let target = secured(&server, &certificate);
        let refused = report(&target);
        let verdict = &refused.verdict;
        assert_eq!(verdict.code, Code::CertificateRejectedByServer, "{}: {verdict:?}", server.stack());
        assert_eq!(verdict.message, "Certificate rejected by server");
        let expected_stage = match server.stack() {
            Stack::AsyncOpcua | Stack::Asyncua => Stage::Session,
            _ => Stage::SecureChannel,
        };
        assert_eq!(verdict.failed_stage, Some(expected_stage));
        assert_eq!(verdict.reported_by, Some(ReportedBy::Server));
        assert_eq!(verdict.causes[0].code, CauseCode::NotTrusted);
        assert!(verdict.causes[0].confidence <= Confidence::Likely);
        assert!(verdict.status_code.is_some());
        // What the operator has to compare is in the report although the certificate was refused.
        assert_eq!(
            refused.client_certificate.and_then(|shown| shown.thumbprint_sha1).map(|shown| shown.to_string()),
            Some(certificate.sha1())
        );

        if server.stack().can(Ability::KeepsRejected) {
            server.trust_rejected(&certificate.sha1());
        } else {
            server.trust_der(certificate.der());
        }
        if !server.stack().can(Ability::LiveTrust) {
            server.restart();
        }
        // node-opcua watches its folders and takes up to two seconds to notice.
        wait_for_trust(&server, &certificate, || {
            report(&secured(&server, &certificate)).verdict.is_success()
        });
    }
}

#[test]
fn an_expired_certificate_that_the_server_gets_to_see_is_named_as_such() {
    let expired = CertificateSpec::application(crate::client::URI).expired().make();
    for server in servers(&ServerOptions::trusting(&[&expired])) {
        let target = secured(&server, &expired);
        // Our own preflight refuses it first, and sends nothing.
        let refused = report(&target);
        assert_eq!(refused.verdict.code, Code::CertificateExpired);
        assert_eq!(refused.verdict.failed_stage, Some(Stage::Certificate));
        assert_eq!(refused.verdict.reported_by, Some(ReportedBy::Koios));

        let sent = report_at(&target, disbelieved_clock());
        let verdict = sent.verdict;
        assert_eq!(verdict.code, Code::CertificateTimeInvalidAtServer, "{}: {verdict:?}", server.stack());
        assert!(verdict.message.starts_with("Certificate rejected by server"));
        assert_eq!(
            verdict.status_code.map(|status| status.name()),
            Some("BadCertificateTimeInvalid".to_owned())
        );
        assert_eq!(verdict.causes[0].code, CauseCode::CertificateTime);
    }
}

#[test]
fn an_application_uri_that_is_not_the_certificates_is_named_where_the_server_looks() {
    let certificate = certificate();
    for server in servers(&ServerOptions::trusting(&[&certificate])) {
        let mut target = secured(&server, &certificate);
        target.application_uri = "urn:koios:test:another".to_owned();
        let verdict = report(&target).verdict;
        if server.stack() == Stack::AsyncOpcua {
            // async-opcua 0.19 does not compare it.
            assert!(verdict.is_success(), "{verdict:?}");
            continue;
        }
        assert_eq!(verdict.code, Code::CertificateUriMismatch, "{}: {verdict:?}", server.stack());
        assert_eq!(verdict.failed_stage, Some(Stage::Session));
        assert_eq!(verdict.causes[0].code, CauseCode::ApplicationUriDiffers);
        assert!(verdict.causes[0].evidence.iter().any(|line| line.contains("urn:koios:test:another")));
    }
}

#[test]
fn a_certificate_without_application_uri_leads_the_causes_with_that() {
    let careless = CertificateSpec { san: vec![], ..CertificateSpec::application("urn:unused") }
        .with_shared_key(2048, 0)
        .make();
    for server in servers(&ServerOptions::trusting(&[&careless])) {
        let mut target = secured(&server, &careless);
        target.application_uri = "urn:koios:gw01".to_owned();
        let report = report(&target);
        let detail = report.stages[0].detail.as_deref().unwrap_or_default();
        assert!(detail.contains("no_application_uri"), "known before anything is sent: {detail}");
        let verdict = report.verdict;
        if server.stack() == Stack::AsyncOpcua {
            continue;
        }
        assert!(verdict.code.is_certificate_refusal(), "{}: {verdict:?}", server.stack());
        assert_eq!(verdict.causes[0].code, CauseCode::NoApplicationUri, "{:?}", verdict.causes);
    }
}

#[test]
fn a_server_without_security_has_no_matching_endpoint_and_says_what_it_has() {
    let certificate = certificate();
    for server in servers(&ServerOptions::without_security()) {
        let verdict = report(&secured(&server, &certificate)).verdict;
        assert_eq!(verdict.code, Code::NoMatchingEndpoint, "{}: {verdict:?}", server.stack());
        assert_eq!(verdict.failed_stage, Some(Stage::EndpointSelection));
        assert!(verdict.detail.is_some_and(|detail| detail.contains("None (None)")));
    }
}

#[test]
fn a_policy_that_the_server_lacks_has_no_matching_endpoint() {
    let certificate = certificate();
    let options =
        ServerOptions { policies: vec![Policy::Basic256Sha256], ..ServerOptions::trusting(&[&certificate]) };
    for server in servers(&options) {
        let mut target = secured(&server, &certificate);
        target.security_policy = Some(SecurityPolicy::Aes256Sha256RsaPss);
        assert_eq!(report(&target).verdict.code, Code::NoMatchingEndpoint, "{}", server.stack());
        target.security_policy = None;
        assert!(report(&target).verdict.is_success(), "{}", server.stack());
    }
}

#[test]
fn r1_mode_none_connects_without_any_certificate() {
    for server in servers(&ServerOptions { none_endpoint: true, ..ServerOptions::default() }) {
        let report = report(&Target::new(url(&server.endpoint_url), "urn:koios:gw01"));
        assert!(report.verdict.is_success(), "{}: {:?}", server.stack(), report.verdict);
        assert_eq!(report.stages[0].outcome, StageOutcome::Skipped, "there is no certificate to look at");
        assert!(report.client_certificate.is_none() && !report.server_proven);
    }
}

#[test]
fn keys_of_every_size_connect() {
    for bits in [3072, 4096] {
        let certificate = CertificateSpec::application(crate::client::URI).with_shared_key(bits, 0).make();
        let options = ServerOptions { key_bits: bits, ..ServerOptions::trusting(&[&certificate]) };
        for server in servers(&options) {
            let verdict = report(&secured(&server, &certificate)).verdict;
            assert!(verdict.is_success(), "{} {bits}: {verdict:?}", server.stack());
        }
    }
}

#[test]
fn a_server_that_is_down_refuses_the_connection() {
    let certificate = certificate();
    let Some(mut server) = start_or_skip(Stack::AsyncOpcua, ServerOptions::default()) else { return };
    server.stop();
    let verdict = report(&secured(&server, &certificate)).verdict;
    assert_eq!(verdict.code, Code::ConnectionRefused);
    assert_eq!(verdict.failed_stage, Some(Stage::Connect));
    assert_eq!(verdict.reported_by, Some(ReportedBy::Network));
    assert_eq!(verdict.causes[0].code, CauseCode::ServerDown);
}

#[test]
fn a_host_that_no_name_service_knows_is_not_found() {
    // RFC 2606 §2: the top-level name "invalid" never exists.
    let mut target = Target::new(url("opc.tcp://no-such-host.invalid:4840"), "urn:koios:gw01");
    target.timeout = std::time::Duration::from_secs(20);
    let verdict = report(&target).verdict;
    assert_eq!(verdict.code, Code::HostNotFound, "{verdict:?}");
    assert_eq!(verdict.failed_stage, Some(Stage::Resolve));
}

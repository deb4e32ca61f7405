//! A refused user is told apart from a refused certificate.

use std::time::Duration;

use koios_opcua::{
    ClockReading, Code, DeprecatedPolicies, ReportedBy, SecurityMode, SecurityPolicy, ServerTrust, Stage,
    StageOutcome, Target, UserIdentity, UserTokenKind, discover,
};
use koios_store::{DeviceState, PasswordChange, UserSettings};
use koios_testkit::{CertificateSpec, Server, ServerOptions};
use zeroize::Zeroizing;

use crate::client::{certificate, identity, report, run, secured, servers, url};
use crate::plant::Plant;

fn user(password: &str) -> UserIdentity {
    UserIdentity::UserName { user_name: "op".to_owned(), password: Zeroizing::new(password.to_owned()) }
}

#[test]
fn a_wrong_password_is_the_users_fault_and_not_the_certificates() {
    let client = certificate();
    for server in servers(&ServerOptions::trusting(&[&client])) {
        let mut target = secured(&server, &client);
        target.user = user("wrong horse");
        let refused = report(&target);
        assert_eq!(
            refused.verdict.code,
            Code::UserIdentityRejected,
            "{}: {:?}",
            server.stack(),
            refused.verdict
        );
        assert_eq!(refused.verdict.failed_stage, Some(Stage::UserIdentity));
        assert_eq!(refused.verdict.reported_by, Some(ReportedBy::Server));
        assert_eq!(refused.stages[8].outcome, StageOutcome::Passed, "the session proves the certificate");
        assert!(!format!("{refused:?}").contains("wrong horse"), "no password in any report");

        target.user = user("secret");
        let accepted = report(&target);
        assert!(accepted.verdict.is_success(), "{}: {:?}", server.stack(), accepted.verdict);
    }
}

#[test]
fn a_kind_of_user_that_is_not_offered_is_named() {
    let client = certificate();
    let options = ServerOptions { anonymous: false, ..ServerOptions::trusting(&[&client]) };
    for server in servers(&options) {
        let verdict = report(&secured(&server, &client)).verdict;
        assert_eq!(verdict.code, Code::UserIdentityNotOffered, "{}: {verdict:?}", server.stack());
        assert_eq!(verdict.failed_stage, Some(Stage::UserIdentity));
        assert_eq!(verdict.reported_by, Some(ReportedBy::Koios));
    }
}

#[test]
fn a_password_that_would_travel_in_clear_is_not_sent() {
    let mut refused = 0;
    for server in servers(&ServerOptions { none_endpoint: true, ..ServerOptions::default() }) {
        let mut target = Target::new(url(&server.endpoint_url), "urn:koios:gw01");
        target.user = user("secret");
        let report = report(&target);
        let verdict = &report.verdict;
        if encrypts_passwords_without_security(&server) {
            assert!(verdict.is_success(), "{}: {verdict:?}", server.stack());
            assert!(!report.server_proven, "without a secure channel nothing proves the key");
        } else {
            refused += 1;
            assert_eq!(verdict.code, Code::PasswordWouldBeInClear, "{}: {verdict:?}", server.stack());
            assert_eq!(verdict.failed_stage, Some(Stage::UserIdentity));
            assert_eq!(verdict.reported_by, Some(ReportedBy::Koios));
        }
    }
    assert!(refused > 0, "async-opcua is always there, and takes passwords as they are");
}

#[test]
fn r16_without_security_the_certificate_that_a_password_was_encrypted_to_is_pinned_once_it_was_accepted() {
    for server in servers(&ServerOptions { none_endpoint: true, ..ServerOptions::default() }) {
        if !encrypts_passwords_without_security(&server) {
            continue;
        }
        let plant = Plant::new();
        let mut settings = Plant::settings("Press 4", &server.endpoint_url);
        settings.security_mode = SecurityMode::None;
        let with = |password: &str| UserSettings::UserName {
            username: "op".to_owned(),
            password: PasswordChange::Set(Zeroizing::new(password.to_owned())),
        };
        settings.user_identity = with("wrong");
        let device = plant.add_device(settings.clone());
        plant.wait_for_code(device, Code::UserIdentityRejected);
        assert_eq!(plant.device(device).pinned_server_certificate, None);

        settings.user_identity = with("secret");
        run(plant.store.update_device(device, settings, None)).expect("corrected");
        plant.wait_for_state(device, DeviceState::Running);
        let pinned = plant.device(device).pinned_server_certificate.expect("pinned");
        assert_eq!(pinned.leaf().thumbprint_sha256().to_string(), server.certificate().sha256());
    }
}

/// What the endpoint of mode `None` says of user names: under a policy of their own, or under its own, which is none.
fn encrypts_passwords_without_security(server: &Server) -> bool {
    let endpoint_url = url(&server.endpoint_url);
    let found = run(discover(
        &endpoint_url,
        Duration::from_secs(10),
        ClockReading::system(),
        DeprecatedPolicies::Refused,
    ));
    let none = found.endpoints.iter().find(|found| found.endpoint.security_mode == Some(SecurityMode::None));
    let tokens = &none.expect("an endpoint of mode None").endpoint.user_tokens;
    tokens.iter().filter(|token| token.kind == UserTokenKind::UserName).any(|token| {
        let policy = token.security_policy_uri.as_deref().and_then(SecurityPolicy::from_uri);
        policy.is_some_and(|policy| policy != SecurityPolicy::None && !policy.is_deprecated())
    })
}

#[test]
fn without_security_a_password_goes_only_to_a_server_whose_certificate_passes() {
    let another = CertificateSpec::application("urn:koios:test:another").with_shared_key(2048, 1).make();
    let pinned = identity(&another).chain().clone();
    for server in servers(&ServerOptions { none_endpoint: true, ..ServerOptions::default() }) {
        let mut target = Target::new(url(&server.endpoint_url), "urn:koios:gw01");
        for (trust, code) in [
            (ServerTrust::Pin { expected: Some(pinned.clone()) }, Code::ServerCertificateChanged),
            (ServerTrust::TrustList, Code::ServerCertificateUntrusted),
        ] {
            target.server_trust = trust;
            target.user = UserIdentity::Anonymous;
            assert!(report(&target).verdict.is_success(), "{}: nothing is encrypted to it", server.stack());
            target.user = user("secret");
            let refused = report(&target);
            assert_eq!(refused.verdict.code, code, "{}", server.stack());
            assert_eq!(refused.verdict.failed_stage, Some(Stage::ServerCertificate));
        }
    }
}

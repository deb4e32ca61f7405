//! Enabled devices connect by themselves and stay connected.

use std::time::Duration;

use koios_opcua::Code;
use koios_store::{DeviceState, PageRequest};
use koios_testkit::{CertificateSpec, ServerCertificate, ServerOptions, Stack, start_or_skip};

use crate::client::{certificate, run, wait_for_trust, wait_until};
use crate::plant::Plant;
use crate::relay::Relay;

#[test]
fn r15_an_enabled_device_runs_by_itself_once_the_operator_trusts_its_certificate() {
    let certificate = certificate();
    for stack in [Stack::AsyncOpcua, Stack::NodeOpcua] {
        let Some(server) = start_or_skip(stack, ServerOptions::default()) else { continue };
        let plant = Plant::new();
        plant.add_certificate("Default", &certificate);
        let device = plant.add_device(Plant::settings("Press 4", &server.endpoint_url));

        let failed = plant.wait_for_code(device, Code::CertificateRejectedByServer);
        assert_eq!(failed.state, DeviceState::Failed);
        let tested = plant.test(device).verdict;
        assert_eq!(failed.error_code, Some(tested.code));
        assert_eq!(failed.error_message.as_deref(), Some(tested.message.as_str()));
        assert_eq!(failed.error_message.as_deref(), Some("Certificate rejected by server"));
        assert!(failed.error_detail.is_some());
        wait_until("a next attempt is announced", || plant.status(device).next_attempt_at.is_some());

        server.trust_rejected(&certificate.sha1());
        wait_for_trust(&server, &certificate, || plant.status(device).state == DeviceState::Running);
        let running = plant.status(device);
        assert_eq!(running.error_code, None);
        assert_eq!(running.attempts, 0);
        let shown = running.certificate_thumbprint_sha256.map(|thumbprint| thumbprint.to_string());
        assert_eq!(shown, Some(certificate.sha256()));
        let first_scan = running.last_scan_at;
        wait_until("it scans", || plant.status(device).last_scan_at > first_scan);

        let pinned = plant.device(device).pinned_server_certificate.expect("the server is pinned now");
        assert_eq!(pinned.leaf().thumbprint_sha256().to_string(), server.certificate().sha256());
        let history = run(plant.store.history(device, PageRequest::default())).expect("a history");
        let states: Vec<_> = history.items.iter().rev().map(|transition| transition.state).collect();
        assert_eq!(states, [DeviceState::Starting, DeviceState::Failed, DeviceState::Running]);
    }
}

#[test]
fn a_server_that_goes_down_and_comes_back_is_found_again() {
    let certificate = certificate();
    for stack in [Stack::AsyncOpcua, Stack::NodeOpcua] {
        let Some(mut server) = start_or_skip(stack, ServerOptions::trusting(&[&certificate])) else {
            continue;
        };
        let plant = Plant::new();
        plant.add_certificate("Default", &certificate);
        server.stop();
        let device = plant.add_device(Plant::settings("Press 4", &server.endpoint_url));
        plant.wait_for_code(device, Code::ConnectionRefused);
        wait_until("it tries again and again", || plant.status(device).attempts >= 2);

        server.resume();
        plant.wait_for_state(device, DeviceState::Running);
        server.stop();
        let lost = plant.wait_for_state(device, DeviceState::Failed);
        assert!(lost.error_code.is_some_and(|code| !code.is_certificate_refusal()), "{lost:?}");
        server.resume();
        plant.wait_for_state(device, DeviceState::Running);
    }
}

#[test]
fn r16_a_changed_server_certificate_stops_the_device_until_someone_approves_it() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(mut server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let plant = Plant::new();
    plant.add_certificate("Default", &certificate);
    let device = plant.add_device(Plant::settings("Press 4", &server.endpoint_url));
    plant.wait_for_state(device, DeviceState::Running);

    server.replace_certificate(ServerCertificate::Replaced);
    let stopped = plant.wait_for_code(device, Code::ServerCertificateChanged);
    assert_eq!(stopped.next_attempt_at, None, "only a change brings the next attempt");
    let presented = run(plant.store.presented(device)).expect("readable").expect("it was recorded");
    let thumbprint = presented.chain.leaf().thumbprint_sha256();
    assert_eq!(thumbprint.to_string(), server.certificate().sha256());

    run(plant.store.approve(device, thumbprint, false)).expect("approved");
    let running = plant.wait_for_state(device, DeviceState::Running);
    assert_eq!(running.server_certificate_thumbprint_sha256, Some(thumbprint));
}

#[test]
fn a_forgotten_pin_lets_a_stopped_device_meet_its_server_anew() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(mut server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let plant = Plant::new();
    plant.add_certificate("Default", &certificate);
    let device = plant.add_device(Plant::settings("Press 4", &server.endpoint_url));
    plant.wait_for_state(device, DeviceState::Running);
    server.replace_certificate(ServerCertificate::Replaced);
    plant.wait_for_code(device, Code::ServerCertificateChanged);

    run(plant.store.forget_pin(device)).expect("forgotten");
    plant.wait_for_state(device, DeviceState::Running);
    let pinned = plant.device(device).pinned_server_certificate.expect("pinned anew");
    assert_eq!(pinned.leaf().thumbprint_sha256().to_string(), server.certificate().sha256());
}

#[test]
fn a_pin_is_stored_only_after_the_server_has_proven_to_hold_the_key() {
    // node-opcua refuses an untrusted client at OpenSecureChannel: nothing is proven.
    let Some(server) = start_or_skip(Stack::NodeOpcua, ServerOptions::default()) else { return };
    let plant = Plant::new();
    plant.add_certificate("Default", &certificate());
    let device = plant.add_device(Plant::settings("Press 4", &server.endpoint_url));
    plant.wait_for_code(device, Code::CertificateRejectedByServer);
    assert_eq!(plant.device(device).pinned_server_certificate, None);
    assert!(run(plant.store.presented(device)).expect("readable").is_some(), "seen it was");
}

#[test]
fn disabling_and_deleting_close_the_session() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let relay = Relay::to_port(server.port());
    let plant = Plant::new();
    plant.add_certificate("Default", &certificate);
    let device = plant.add_device(Plant::settings("Press 4", &relay.endpoint_url()));
    plant.wait_for_state(device, DeviceState::Running);

    run(plant.store.set_enabled(device, false)).expect("disabled");
    plant.wait_for_state(device, DeviceState::Stopped);
    wait_until("the connection is closed", || relay.open_connections() == 0);
    run(plant.store.set_enabled(device, true)).expect("enabled");
    plant.wait_for_state(device, DeviceState::Running);

    // As the daemon deletes: the session is closed before the device is gone, and nothing reconnects in between.
    let stopped = run(plant.supervisor.stop_device(device));
    wait_until("the connection is closed", || relay.open_connections() == 0);
    let before = relay.connections();
    run(plant.store.delete_device(device, None)).expect("deleted");
    drop(stopped);
    wait_until("it is forgotten", || !plant.supervisor.statuses().contains_key(&device));
    assert_eq!(relay.connections(), before);
}

#[test]
fn a_device_that_was_stopped_for_a_change_that_failed_goes_on() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let relay = Relay::to_port(server.port());
    let plant = Plant::new();
    plant.add_certificate("Default", &certificate);
    let device = plant.add_device(Plant::settings("Press 4", &relay.endpoint_url()));
    plant.wait_for_state(device, DeviceState::Running);

    let stopped = run(plant.supervisor.stop_device(device));
    wait_until("the connection is closed", || relay.open_connections() == 0);
    let before = relay.connections();
    drop(stopped);
    wait_until("it connects again", || relay.connections() > before);
    plant.wait_for_state(device, DeviceState::Running);
}

#[test]
fn a_shutdown_closes_every_session() {
    let certificate = certificate();
    let options = ServerOptions { none_endpoint: true, ..ServerOptions::trusting(&[&certificate]) };
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let relay = Relay::to_port(server.port());
    let plant = Plant::new();
    plant.add_certificate("Default", &certificate);
    let devices: Vec<_> = (0..5)
        .map(|number| plant.add_device(Plant::settings(&format!("Press {number}"), &relay.endpoint_url())))
        .collect();
    for device in &devices {
        plant.wait_for_state(*device, DeviceState::Running);
    }
    run(plant.supervisor.shutdown(Duration::from_secs(10)));
    wait_until("every connection is closed", || relay.open_connections() == 0);
}

#[test]
fn a_frozen_server_is_noticed_and_found_again() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(server) = start_or_skip(Stack::NodeOpcua, options) else { return };
    let plant = Plant::new();
    plant.add_certificate("Default", &certificate);
    let mut settings = Plant::settings("Press 4", &server.endpoint_url);
    settings.timeout_seconds = 1;
    let device = plant.add_device(settings);
    plant.wait_for_state(device, DeviceState::Running);
    server.freeze();
    plant.wait_for_code(device, Code::Timeout);
    server.thaw();
    plant.wait_for_state(device, DeviceState::Running);
}

#[test]
fn an_expired_certificate_keeps_a_device_from_trying_and_says_why() {
    let expired = CertificateSpec::application(crate::client::URI).expired().make();
    let plant = Plant::new();
    plant.add_certificate("Default", &expired);
    let device = plant.add_device(Plant::settings("Press 4", "opc.tcp://127.0.0.1:1"));
    let failed = plant.wait_for_code(device, Code::CertificateExpired);
    assert_eq!(failed.next_attempt_at, None);
}

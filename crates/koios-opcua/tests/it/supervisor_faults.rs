//! What happens to connections that stand: each fault ends in its status and is got over without anybody's help.

use std::thread;
use std::time::Duration;

use koios_opcua::Code;
use koios_store::{DeviceId, DeviceState};
use koios_testkit::{ServerOptions, Stack, TestCertificate, start_or_skip};

use crate::client::{certificate, run, wait_until};
use crate::plant::Plant;
use crate::relay::Relay;

/// A plant whose device runs through a relay.
fn running_through(
    relay: &Relay,
    certificate: &TestCertificate,
    change: impl FnOnce(&mut koios_store::DeviceSettings),
) -> (Plant, DeviceId) {
    let plant = Plant::new();
    plant.add_certificate("Default", certificate);
    let mut settings = Plant::settings("Press 4", &relay.endpoint_url());
    change(&mut settings);
    let device = plant.add_device(settings);
    plant.wait_for_state(device, DeviceState::Running);
    (plant, device)
}

#[test]
fn a_half_open_connection_is_noticed_and_replaced() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let relay = Relay::to_port(server.port());
    let (plant, device) = running_through(&relay, &certificate, |settings| settings.timeout_seconds = 1);
    let before = relay.connections();
    relay.lose();
    plant.wait_for_code(device, Code::Timeout);
    plant.wait_for_state(device, DeviceState::Running);
    assert!(relay.connections() > before);
    wait_until("the lost connection is closed on our side too", || relay.open_connections() == 1);
}

#[test]
fn a_session_that_has_expired_at_the_server_is_made_anew() {
    let certificate = certificate();
    for stack in [Stack::AsyncOpcua, Stack::Open62541] {
        let mut options = ServerOptions::trusting(&[&certificate]);
        options.session_timeout = Some(Duration::from_secs(1));
        let Some(server) = start_or_skip(stack, options) else { continue };
        let relay = Relay::to_port(server.port());
        // Nothing but the server ends the session: the device waits longer than the relay holds.
        let (plant, device) = running_through(&relay, &certificate, |settings| settings.timeout_seconds = 60);
        let since = plant.status(device).since;
        let mut held = Duration::from_secs(1);
        while plant.status(device).since == since {
            assert!(held < Duration::from_secs(60), "{stack} never ends the session");
            relay.hold();
            thread::sleep(held);
            relay.release();
            held *= 2;
            let messages = relay.messages();
            wait_until("the device speaks", || {
                relay.messages() > messages + 2 || plant.status(device).since != since
            });
        }
        plant.wait_for_state(device, DeviceState::Running);
        let history =
            run(plant.store.history(device, koios_store::PageRequest::default())).expect("a history");
        let codes: Vec<_> = history.items.iter().filter_map(|was| was.error_code.as_deref()).collect();
        assert!(!codes.is_empty() && codes.iter().all(|code| !code.starts_with("certificate")), "{codes:?}");
    }
}

#[test]
fn a_session_is_kept_alive_when_scans_are_rarer_than_its_timeout() {
    let certificate = certificate();
    let mut options = ServerOptions::trusting(&[&certificate]);
    options.session_timeout = Some(Duration::from_secs(4));
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let relay = Relay::to_port(server.port());
    let (plant, device) =
        running_through(&relay, &certificate, |settings| settings.scan_rate_seconds = 3600.0);
    let (since, messages) = (plant.status(device).since, relay.messages());
    // One every third of the timeout: seven are more than two timeouts.
    wait_until("it keeps the session alive", || relay.messages() >= messages + 7);
    let status = plant.status(device);
    assert_eq!((status.state, status.since), (DeviceState::Running, since));
}

#[test]
fn a_channel_is_renewed_before_its_token_ends_and_the_session_goes_on() {
    let certificate = certificate();
    for stack in [Stack::AsyncOpcua, Stack::Open62541] {
        let mut options = ServerOptions::trusting(&[&certificate]);
        options.token_lifetime = Some(Duration::from_secs(2));
        let Some(server) = start_or_skip(stack, options) else { continue };
        let relay = Relay::to_port(server.port());
        let (plant, device) = running_through(&relay, &certificate, |_| {});
        let (since, connections, opens) = (plant.status(device).since, relay.connections(), relay.opens());
        wait_until("it is renewed three times", || relay.opens() >= opens + 3);
        let scanned = plant.status(device).last_scan_at;
        wait_until("it scans", || plant.status(device).last_scan_at > scanned);
        let status = plant.status(device);
        assert_eq!((status.state, status.since), (DeviceState::Running, since), "{stack}");
        assert_eq!(relay.connections(), connections, "{stack}: on the same connection");
    }
}

#[test]
fn a_server_that_is_frozen_when_a_device_connects_is_met_once_it_thaws() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(server) = start_or_skip(Stack::Open62541, options) else { return };
    let plant = Plant::new();
    plant.add_certificate("Default", &certificate);
    server.freeze();
    let mut settings = Plant::settings("Press 4", &server.endpoint_url);
    settings.timeout_seconds = 1;
    let device = plant.add_device(settings);
    plant.wait_for_code(device, Code::Timeout);
    server.thaw();
    plant.wait_for_state(device, DeviceState::Running);
}

#[test]
fn a_stop_tells_the_server_of_each_session() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let relay = Relay::to_port(server.port());
    let (plant, device) = running_through(&relay, &certificate, |_| {});
    let other = plant.add_device(Plant::settings("Press 5", &relay.endpoint_url()));
    plant.wait_for_state(other, DeviceState::Running);
    let closes = relay.closes();
    let _stopped = run(plant.supervisor.stop_device(device));
    wait_until("one channel is closed in words", || relay.closes() == closes + 1);
    run(plant.supervisor.shutdown(Duration::from_secs(60)));
    wait_until("the other one too", || relay.closes() == closes + 2);
    wait_until("every connection is closed", || relay.open_connections() == 0);
}

#[test]
fn frozen_servers_hold_up_neither_a_stop_nor_the_other_devices() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(frozen) = start_or_skip(Stack::Open62541, options.clone()) else { return };
    let Some(healthy) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let relay = Relay::to_port(frozen.port());
    // Longer than any wait of this test: only the order to stop ends a read.
    let (plant, device) = running_through(&relay, &certificate, |settings| settings.timeout_seconds = 300);
    let others: Vec<_> = (0..20)
        .map(|number| {
            let mut settings = Plant::settings(&format!("Frozen {number}"), &relay.endpoint_url());
            settings.timeout_seconds = 300;
            plant.add_device(settings)
        })
        .collect();
    for other in &others {
        plant.wait_for_state(*other, DeviceState::Running);
    }
    frozen.freeze();
    let messages = relay.messages();
    wait_until("reads are under way that nobody answers", || relay.messages() >= messages + 21);

    // Without the words of `stop_device`: the supervisor hears of it from the store.
    run(plant.store.set_enabled(device, false)).expect("disabled");
    let next = plant.add_device(Plant::settings("Healthy", &healthy.endpoint_url));
    plant.wait_for_state(next, DeviceState::Running);
    plant.wait_for_state(device, DeviceState::Stopped);
    let _stopped = run(plant.supervisor.stop_device(others[0]));
    plant.wait_for_state(others[0], DeviceState::Stopped);
    run(plant.supervisor.shutdown(Duration::from_secs(60)));
    wait_until("every connection is closed", || relay.open_connections() == 0);
    frozen.thaw();
}

#[test]
fn transitions_are_told_as_they_happen() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(mut server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let plant = Plant::new();
    let mut told = plant.supervisor.transitions();
    plant.add_certificate("Default", &certificate);
    let device = plant.add_device(Plant::settings("Press 4", &server.endpoint_url));
    let mut next = || {
        let next = run(async { tokio::time::timeout(Duration::from_secs(90), told.recv()).await });
        next.expect("it is told").expect("none is lost")
    };
    let states: Vec<_> = (0..2).map(|_| next()).map(|told| (told.device, told.status.state)).collect();
    assert_eq!(states, [(device, DeviceState::Starting), (device, DeviceState::Running)]);
    server.stop();
    let failed = next();
    assert_eq!(failed.status.state, DeviceState::Failed);
    assert!(failed.status.error_code.is_some() && failed.at >= failed.status.since, "{failed:?}");
    server.resume();
    while next().status.state != DeviceState::Running {}
    let _stopped = run(plant.supervisor.stop_device(device));
    assert_eq!(next().status.state, DeviceState::Stopped);
}

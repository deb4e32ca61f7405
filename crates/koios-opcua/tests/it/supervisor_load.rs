//! More devices than may connect at once, most of them at servers that are not there.

use std::time::Duration;

use koios_opcua::SupervisorSettings;
use koios_store::{DeviceId, DeviceState};
use koios_testkit::{OddKind, OddPeer, ServerOptions, Stack, start_or_skip};

use crate::client::{certificate, run, wait_until};
use crate::plant::Plant;

/// Devices of a server that accepts connections and never answers.
fn add_silent(plant: &Plant, peer: &OddPeer, count: usize, timeout_seconds: u32) -> Vec<DeviceId> {
    let add = |number| {
        let mut settings = Plant::settings(&format!("Silent {number}"), &peer.endpoint_url());
        settings.timeout_seconds = timeout_seconds;
        plant.add_device(settings)
    };
    (0..count).map(add).collect()
}

fn two_at_once(settings: &mut SupervisorSettings) {
    settings.connect_concurrency = 2;
}

#[test]
fn a_healthy_device_connects_and_comes_back_whatever_others_wait_for() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(mut server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let peer = OddPeer::start(OddKind::Silent);
    let plant = Plant::with(two_at_once);
    plant.add_certificate("Default", &certificate);
    // If each held its place until its timeout, the healthy one would wait for fifty minutes.
    add_silent(&plant, &peer, 20, 300);
    let device = plant.add_device(Plant::settings("Healthy", &server.endpoint_url));
    plant.wait_for_state(device, DeviceState::Running);
    server.stop();
    plant.wait_for_state(device, DeviceState::Failed);
    server.resume();
    plant.wait_for_state(device, DeviceState::Running);
    // It shows as running a moment before its place is free.
    let mut load = plant.supervisor.connect_load();
    wait_until(&format!("only the silent ones connect, not {load:?}"), || {
        load = plant.supervisor.connect_load();
        (load.running, load.waiting) == (20, 0) && load.lent >= 18
    });
}

#[test]
fn beyond_the_session_limit_devices_wait_until_a_session_ends() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let plant = Plant::with(|settings| settings.session_limit = 2);
    plant.add_certificate("Default", &certificate);
    let devices = ["A", "B", "C"].map(|name| plant.add_device(Plant::settings(name, &server.endpoint_url)));
    let running = || {
        let statuses = plant.supervisor.statuses();
        let runs = |device: &&DeviceId| {
            statuses.get(*device).is_some_and(|status| status.state == DeviceState::Running)
        };
        devices.iter().filter(runs).copied().collect::<Vec<_>>()
    };
    wait_until("two run", || running().len() == 2);
    let first = running();
    let third = *devices.iter().find(|device| !first.contains(device)).unwrap();
    assert_eq!(plant.supervisor.statuses()[&third].state, DeviceState::Starting);
    run(plant.store.set_enabled(first[0], false)).expect("disabled");
    plant.wait_for_state(third, DeviceState::Running);
    assert_eq!(running().len(), 2);
}

#[test]
fn the_retry_bound_stretches_for_all_failing_devices_alike() {
    let certificate = certificate();
    const DEVICES: usize = 8;
    let peer = OddPeer::start(OddKind::Silent);
    let plant = Plant::with(two_at_once);
    plant.add_certificate("Default", &certificate);
    let silent = add_silent(&plant, &peer, DEVICES, 1);
    let mut most_running = 0;
    let mut stretched = Duration::ZERO;
    let attempts = || {
        let statuses = plant.supervisor.statuses();
        let of = |device: &DeviceId| statuses.get(device).map_or(0, |status| status.attempts);
        silent.iter().map(of).collect::<Vec<_>>()
    };
    // In the first attempts, of which nothing was known, places were lent.
    wait_until("each has failed", || attempts().iter().all(|attempts| *attempts >= 1));
    wait_until("what was lent is back", || plant.supervisor.connect_load().lent == 0);
    wait_until("each has been tried again and again", || {
        let load = plant.supervisor.connect_load();
        most_running = most_running.max(load.running);
        stretched = stretched.max(load.retry_stretch);
        attempts().iter().all(|attempts| *attempts >= 4)
    });
    assert_eq!(most_running, 2);
    assert!(stretched > Duration::ZERO);
    let attempts = attempts();
    let (least, most) = (attempts.iter().min().unwrap(), attempts.iter().max().unwrap());
    assert!(most - least <= 2, "{attempts:?}");
}

#[test]
fn who_failed_before_a_restart_does_not_go_first_after_it() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let peer = OddPeer::start(OddKind::Silent);
    let plant = Plant::with(two_at_once);
    plant.add_certificate("Default", &certificate);
    let silent = add_silent(&plant, &peer, 6, 1);
    let healthy = plant.add_device(Plant::settings("Healthy", &server.endpoint_url));
    plant.wait_for_state(healthy, DeviceState::Running);
    for device in &silent {
        plant.wait_for_state(*device, DeviceState::Failed);
    }
    let plant = plant.restarted(two_at_once);
    plant.wait_for_state(healthy, DeviceState::Running);
    let load = plant.supervisor.connect_load();
    // Those that failed get no more places than there are; at most the healthy one has borrowed one of them.
    assert!(load.running - load.lent <= 2 && load.lent <= 1, "{load:?}");
}

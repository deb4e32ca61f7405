//! Tests run beside the sessions and leave no trace on the device.

use std::time::Duration;

use koios_opcua::{Code, DevicePlan, TestError};
use koios_store::DeviceState;
use koios_testkit::{OddKind, OddPeer, ServerOptions, Stack, start_or_skip};

use crate::client::{certificate, run, url};
use crate::plant::Plant;

#[test]
fn r13_a_test_touches_neither_session_nor_status_nor_pin() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let plant = Plant::new();
    plant.add_certificate("Default", &certificate);
    let device = plant.add_device(Plant::settings("Press 4", &server.endpoint_url));
    let running = plant.wait_for_state(device, DeviceState::Running);
    for _ in 0..3 {
        assert!(plant.test(device).verdict.is_success());
    }
    let mut elsewhere = plant.plan(device);
    elsewhere = elsewhere.at_endpoint(url("opc.tcp://127.0.0.1:1"));
    let refused = run(plant.supervisor.test(elsewhere)).expect("a report");
    assert_eq!(refused.verdict.code, Code::ConnectionRefused);
    let after = plant.status(device);
    assert_eq!((after.state, after.since), (DeviceState::Running, running.since));
}

#[test]
fn r13_a_disabled_device_is_tested_and_nothing_is_pinned() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let plant = Plant::new();
    plant.add_certificate("Default", &certificate);
    let settings = Plant::settings("Press 4", &server.endpoint_url);
    let device = run(plant.store.create_device(settings, false)).expect("the device is stored").id;
    let report = plant.test(device);
    assert!(report.verdict.is_success(), "{:?}", report.verdict);
    assert_eq!(plant.device(device).pinned_server_certificate, None);
    assert_eq!(plant.status(device).state, DeviceState::Stopped);
    assert!(run(plant.store.presented(device)).expect("readable").is_some(), "what was seen is kept");
}

#[test]
fn the_ninth_test_at_once_is_told_to_come_back() {
    let peer = OddPeer::start(OddKind::Silent);
    let plant = Plant::new();
    let mut plan = DevicePlan::new(url(&peer.endpoint_url()));
    plan.timeout = Duration::from_secs(2);
    let answers = run(async {
        let mut answers = Vec::new();
        let mut tests: Vec<_> = (0..9).map(|_| Box::pin(plant.supervisor.test(plan.clone()))).collect();
        // Polled in order, so that the ninth comes when eight are under way.
        for test in &mut tests {
            if let Ok(answer) = tokio::time::timeout(Duration::from_millis(1), test).await {
                answers.push(answer);
            }
        }
        answers
    });
    assert!(matches!(answers.as_slice(), [Err(TestError::Busy)]), "{answers:?}");
}

#[test]
fn two_tests_of_one_device_run_one_after_the_other() {
    let peer = OddPeer::start(OddKind::Silent);
    let plant = Plant::new();
    let mut settings = koios_store::DeviceSettings::new(
        koios_store::Name::parse("Press 4").expect("a name"),
        peer.endpoint_url(),
    );
    settings.timeout_seconds = 1;
    let device = run(plant.store.create_device(settings, false)).expect("the device is stored").id;
    let plan = plant.plan(device);
    let (one, other) =
        run(async { tokio::join!(plant.supervisor.test(plan.clone()), plant.supervisor.test(plan.clone())) });
    let (mut first, mut second) = (one.expect("a report"), other.expect("a report"));
    if second.started_at < first.started_at {
        std::mem::swap(&mut first, &mut second);
    }
    assert!(
        second.started_at >= first.started_at + first.duration,
        "the second began before the first had ended"
    );
}

//! Changes reconnect at once; what changes nothing does not.

use std::fs;

use koios_opcua::{Code, SecurityMode};
use koios_pki::{CertificateChain, PrivateKeyPem};
use koios_store::{
    Apply, DeviceSettings, DeviceState, EndReason, Name, Origin, PasswordChange, ReplacePair, UserSettings,
};
use koios_testkit::{CertificateSpec, ServerOptions, Stack, start_or_skip};
use zeroize::Zeroizing;

use crate::client::{URI, certificate, run, wait_until};
use crate::plant::Plant;
use crate::relay::Relay;

#[test]
fn another_default_reconnects_the_devices_that_use_it() {
    let first = certificate();
    let second = CertificateSpec::application("urn:koios:test:second").with_shared_key(2048, 1).make();
    let options = ServerOptions::trusting(&[&first, &second]);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let plant = Plant::new();
    plant.add_certificate("First", &first);
    let second_id = plant.add_certificate("Second", &second);
    let device = plant.add_device(Plant::settings("Press 4", &server.endpoint_url));
    plant.wait_for_state(device, DeviceState::Running);

    run(plant.store.set_default(second_id, Apply::Commit)).expect("the default moves");
    wait_until("it runs with the other certificate", || {
        let status = plant.status(device);
        let shown = status.certificate_thumbprint_sha256.map(|thumbprint| thumbprint.to_string());
        status.state == DeviceState::Running && shown == Some(second.sha256())
    });
}

#[test]
fn r9_a_regenerated_certificate_is_presented_at_once_and_rejected_until_it_is_trusted() {
    let before = certificate();
    let after = CertificateSpec::application(URI).with_shared_key(2048, 1).make();
    let options = ServerOptions::trusting(&[&before]);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let plant = Plant::new();
    let id = plant.add_certificate("Default", &before);
    let device = plant.add_device(Plant::settings("Press 4", &server.endpoint_url));
    plant.wait_for_state(device, DeviceState::Running);

    let chain = CertificateChain::from_der_blob(&after.chain_der(), 10).expect("a chain");
    let key = PrivateKeyPem::from_bytes(after.key_pem().as_bytes().to_vec());
    let pair = ReplacePair::new(Origin::Generated, chain, key, 365, EndReason::Regenerated);
    run(plant.store.replace_key_pair(id, pair, Apply::Commit)).expect("regenerated");
    plant.wait_for_code(device, Code::CertificateRejectedByServer);
    server.trust_rejected(&after.sha1());
    plant.wait_for_state(device, DeviceState::Running);
}

#[test]
fn a_new_name_does_not_disturb_the_session_and_a_new_mode_does() {
    let certificate = certificate();
    let options = ServerOptions { none_endpoint: true, ..ServerOptions::trusting(&[&certificate]) };
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let relay = Relay::to_port(server.port());
    let plant = Plant::new();
    plant.add_certificate("Default", &certificate);
    let device = plant.add_device(Plant::settings("Press 4", &relay.endpoint_url()));
    plant.wait_for_state(device, DeviceState::Running);
    let connections = relay.connections();

    let mut settings = DeviceSettings::of(&plant.device(device)).expect("settings");
    settings.name = Name::parse("Press 5").expect("a name");
    run(plant.store.update_device(device, settings.clone(), None)).expect("renamed");
    let scanned = plant.status(device).last_scan_at;
    wait_until("it scans on", || plant.status(device).last_scan_at > scanned);
    assert_eq!(relay.connections(), connections, "the same connection");

    settings.security_mode = SecurityMode::None;
    run(plant.store.update_device(device, settings, None)).expect("changed");
    wait_until("it connects anew", || relay.connections() > connections);
    wait_until("it runs without a certificate", || {
        let status = plant.status(device);
        status.state == DeviceState::Running && status.certificate_thumbprint_sha256.is_none()
    });
}

#[test]
fn a_corrected_password_is_tried_at_once() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let plant = Plant::new();
    plant.add_certificate("Default", &certificate);
    let user = |password: &str| UserSettings::UserName {
        username: "op".to_owned(),
        password: PasswordChange::Set(Zeroizing::new(password.to_owned())),
    };
    let mut settings = Plant::settings("Press 4", &server.endpoint_url);
    settings.user_identity = user("wrong");
    let device = plant.add_device(settings.clone());
    plant.wait_for_code(device, Code::UserIdentityRejected);
    // After the third refusal the next attempt is a quarter of an hour away: only the change can bring it now.
    let has_given_up = || plant.status(device).attempts >= 3;
    wait_until("three refusals", has_given_up);
    // The same password saved again may be right now, at the server.
    run(plant.store.update_device(device, settings.clone(), None)).expect("saved");
    wait_until("it is tried at once", || !has_given_up());
    wait_until("three refusals", has_given_up);

    settings.user_identity = user("secret");
    run(plant.store.update_device(device, settings, None)).expect("changed");
    plant.wait_for_state(device, DeviceState::Running);
}

#[test]
fn files_that_are_put_back_let_the_device_connect() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let plant = Plant::new();
    let id = plant.add_certificate("Default", &certificate);
    let folder = plant.store.data_dir().join("certificates").join(id.to_string());
    let away = plant.folder.path().join("away");
    fs::rename(&folder, &away).expect("moved away");
    let device = plant.add_device(Plant::settings("Press 4", &server.endpoint_url));
    plant.wait_for_code(device, Code::CertificateFilesMissing);
    fs::rename(&away, &folder).expect("put back");
    plant.wait_for_state(device, DeviceState::Running);
}

#[test]
fn the_first_certificate_of_an_empty_store_lets_its_devices_connect() {
    let certificate = certificate();
    let options = ServerOptions::trusting(&[&certificate]);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let plant = Plant::new();
    let device = plant.add_device(Plant::settings("Press 4", &server.endpoint_url));
    plant.wait_for_code(device, Code::NoCertificate);
    plant.add_certificate("Default", &certificate);
    plant.wait_for_state(device, DeviceState::Running);
}

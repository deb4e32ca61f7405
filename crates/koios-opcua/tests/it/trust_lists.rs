//! R16: the policy `trust_list` with real servers: folders and calls, removals, what was rejected.

use std::fs;
use std::path::PathBuf;

use koios_opcua::{Code, SecurityMode, Stage};
use koios_pki::Sha256Thumbprint;
use koios_store::{
    DeviceId, DeviceSettings, DeviceState, PageRequest, ServerCertificatePolicy, TrustEntry, TrustListName,
};
use koios_testkit::{
    CertificateSpec, San, Server, ServerCertificate, ServerOptions, Stack, TestCertificate, revocation_list,
    start_or_skip,
};

use crate::client::{certificate, leaf, run, servers};
use crate::plant::Plant;

fn validating(name: &str, server: &Server) -> DeviceSettings {
    let mut settings = Plant::settings(name, &server.endpoint_url);
    settings.server_certificate_policy = ServerCertificatePolicy::TrustList;
    settings
}

fn rejected(plant: &Plant) -> Vec<TrustEntry> {
    run(plant.store.trust_entries(Some(TrustListName::Rejected), PageRequest::default()))
        .expect("a page")
        .items
}

fn folder(plant: &Plant, folder: &str) -> PathBuf {
    plant.store.data_dir().join("trust").join(folder)
}

fn thumbprint(certificate: &TestCertificate) -> Sha256Thumbprint {
    leaf(certificate).thumbprint_sha256()
}

#[test]
fn r16_a_server_is_refused_until_it_is_trusted_and_again_once_it_is_not() {
    let client = certificate();
    for server in servers(&ServerOptions::trusting(&[&client])) {
        let plant = Plant::new();
        plant.add_certificate("Default", &client);
        let id = plant.add_device(validating("Press 4", &server));
        let status = plant.wait_for_code(id, Code::ServerCertificateUntrusted);
        assert!(status.error_detail.is_some_and(|detail| detail.contains("trusted")), "{}", server.stack());
        let shown = rejected(&plant);
        assert_eq!(shown[0].reason_code.as_deref(), Some("server_certificate_untrusted"));
        assert_eq!(shown[0].devices[0].id, id);

        run(plant.store.trust_server_certificate(thumbprint(server.certificate()))).expect("trusted");
        plant.wait_for_state(id, DeviceState::Running);
        assert!(rejected(&plant).is_empty());

        run(plant.store.reject_server_certificate(thumbprint(server.certificate()))).expect("rejected");
        plant.wait_for_code(id, Code::ServerCertificateUntrusted);
    }
}

#[test]
fn r16_a_file_dropped_in_a_folder_is_trusted_and_its_removal_ends_the_session() {
    let client = certificate();
    let Some(server) = start_or_skip(Stack::AsyncOpcua, ServerOptions::trusting(&[&client])) else { return };
    let plant = Plant::new();
    plant.add_certificate("Default", &client);
    let id = plant.add_device(validating("Press 4", &server));
    plant.wait_for_code(id, Code::ServerCertificateUntrusted);

    let file = folder(&plant, "trusted/certs").join("press4.crt");
    fs::write(&file, server.certificate().pem()).expect("a writable folder");
    plant.wait_for_state(id, DeviceState::Running);
    // Nobody tells: the folder is watched.
    fs::remove_file(&file).expect("removable");
    plant.wait_for_code(id, Code::ServerCertificateUntrusted);
}

#[test]
fn r16_a_device_that_pins_its_server_does_not_depend_on_the_trust_list() {
    let client = certificate();
    let Some(server) = start_or_skip(Stack::AsyncOpcua, ServerOptions::trusting(&[&client])) else { return };
    let plant = Plant::new();
    plant.add_certificate("Default", &client);
    let id = plant.add_device(Plant::settings("Press 4", &server.endpoint_url));
    let since = plant.wait_for_state(id, DeviceState::Running).since;
    let certificate = leaf(server.certificate());
    run(plant.store.add_to_trust_list(TrustListName::Trusted, certificate.clone())).expect("trusted");
    run(plant.store.remove_from_trust_lists(certificate.thumbprint_sha256())).expect("removed");
    // A Test runs after the change has been told, and the session is the same as before.
    assert!(plant.test(id).verdict.is_success());
    let status = plant.wait_for_state(id, DeviceState::Running);
    assert_eq!(status.since, since);
}

/// A server certificate of an authority, for the names under which the server is found.
fn issued(authority: &TestCertificate, options: &ServerOptions) -> TestCertificate {
    let mut spec = CertificateSpec::issued_application(&options.application_uri, authority);
    spec.san.push(San::Dns("localhost".to_owned()));
    spec.with_shared_key(2048, 200).make()
}

#[test]
fn r16_an_authority_is_trusted_with_its_revocation_list_and_a_new_certificate_of_it_needs_no_approval() {
    let client = certificate();
    let authority = CertificateSpec::authority("Plant CA").make();
    let options = ServerOptions::trusting(&[&client]);
    let first = issued(&authority, &options);
    let options = ServerOptions { certificate: ServerCertificate::Given(first), ..options };
    let Some(mut server) = start_or_skip(Stack::AsyncOpcua, options.clone()) else { return };
    let plant = Plant::new();
    plant.add_certificate("Default", &client);
    let validating = plant.add_device(validating("Press 4", &server));
    let status = plant.wait_for_code(validating, Code::ServerCertificateChainIncomplete);
    assert!(status.error_detail.is_some_and(|detail| detail.contains("Plant CA")));

    run(plant.store.add_to_trust_list(TrustListName::Trusted, leaf(&authority))).expect("trusted");
    plant.wait_for_code(validating, Code::ServerCertificateRevocationUnknown);
    let list = revocation_list(&authority, &[]);
    fs::write(folder(&plant, "trusted/crl").join("plant.crl"), list).expect("a writable folder");
    plant.wait_for_state(validating, DeviceState::Running);

    // Another device pins the present one; what the authority issues next is accepted all the same.
    let pinning = plant.add_device(Plant::settings("Press 5", &server.endpoint_url));
    plant.wait_for_state(pinning, DeviceState::Running);
    server.replace_certificate(ServerCertificate::Given(issued(&authority, &options)));
    for id in [validating, pinning] {
        wait_for_server_certificate(&plant, id, &server);
    }

    let revoked = revocation_list(&authority, &[server.certificate()]);
    fs::write(folder(&plant, "trusted/crl").join("plant.crl"), revoked).expect("a writable folder");
    plant.wait_for_code(validating, Code::ServerCertificateRevoked);
    // The pin is another certificate, and the trust list no longer speaks for this one.
    let status = plant.wait_for_code(pinning, Code::ServerCertificateChanged);
    let detail = status.error_detail.expect("a detail");
    for part in ["SHA-256", "issued by", "CN=Plant CA", "valid from", &server.certificate().sha256()] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
}

#[track_caller]
fn wait_for_server_certificate(plant: &Plant, id: DeviceId, server: &Server) {
    let expected = Some(thumbprint(server.certificate()));
    crate::client::wait_until("the new certificate is in use", || {
        let status = plant.status(id);
        status.state == DeviceState::Running && status.server_certificate_thumbprint_sha256 == expected
    });
}

#[test]
fn r16_the_host_name_check_can_be_switched_off_for_one_device_and_nothing_else_with_it() {
    let client = certificate();
    let options =
        ServerOptions { certificate: ServerCertificate::WrongHost, ..ServerOptions::trusting(&[&client]) };
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let plant = Plant::new();
    plant.add_certificate("Default", &client);
    run(plant.store.add_to_trust_list(TrustListName::Trusted, leaf(server.certificate()))).expect("trusted");
    let mut settings = validating("Press 4", &server);
    let id = plant.add_device(settings.clone());
    plant.wait_for_code(id, Code::ServerCertificateHostMismatch);
    settings.server_host_name_check = false;
    run(plant.store.update_device(id, settings.clone(), None)).expect("stored");
    plant.wait_for_state(id, DeviceState::Running);
    run(plant.store.remove_from_trust_lists(thumbprint(server.certificate()))).expect("removed");
    plant.wait_for_code(id, Code::ServerCertificateUntrusted);
    settings.server_host_name_check = true;
    run(plant.store.update_device(id, settings, None)).expect("stored");
}

#[test]
fn r16_a_test_judges_by_the_trust_list_and_what_it_refuses_is_kept_and_nothing_is_sent() {
    let client = certificate();
    let Some(server) = start_or_skip(Stack::AsyncOpcua, ServerOptions::trusting(&[&client])) else { return };
    let plant = Plant::new();
    plant.add_certificate("Default", &client);
    let mut plan = koios_opcua::DevicePlan::new(crate::client::url(&server.endpoint_url));
    plan.security_mode = SecurityMode::SignAndEncrypt;
    plan.server_certificate_policy = ServerCertificatePolicy::TrustList;
    let report = run(plant.supervisor.test(plan.clone())).expect("a report");
    assert_eq!(report.verdict.code, Code::ServerCertificateUntrusted);
    assert_eq!(report.verdict.failed_stage, Some(Stage::ServerCertificate));
    assert!(!report.server_proven);
    let shown = rejected(&plant);
    assert!(shown[0].devices.is_empty() && shown[0].reason.is_some());
    run(plant.store.trust_server_certificate(thumbprint(server.certificate()))).expect("trusted");
    assert!(run(plant.supervisor.test(plan)).expect("a report").verdict.is_success());
}

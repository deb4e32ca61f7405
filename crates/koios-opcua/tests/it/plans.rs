//! From a stored device to a target.

use std::fs;
use std::path::{Path, PathBuf};

use koios_opcua::{
    ClientCertificate, Code, DevicePlan, SecurityMode, ServerTrust, UnavailableReason, UserIdentity,
    target_of,
};
use koios_store::{DeviceSettings, PasswordChange, ServerCertificatePolicy, TrustListName, UserSettings};
use koios_testkit::{CertificateSpec, ServerOptions, TestKey};
use zeroize::Zeroizing;

use crate::client::{URI, certificate, leaf, run, servers, url};
use crate::plant::Plant;

const FALLBACK: &str = "urn:koios:gw01";

fn secure_plan() -> DevicePlan {
    let mut plan = DevicePlan::new(url("opc.tcp://127.0.0.1:1"));
    plan.security_mode = SecurityMode::SignAndEncrypt;
    plan
}

fn files(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, name));
        } else if path.file_name().is_some_and(|file| file == name) {
            found.push(path);
        }
    }
    found
}

#[test]
fn r1_mode_none_and_an_empty_store_connect() {
    let plant = Plant::new();
    for server in servers(&ServerOptions { none_endpoint: true, ..ServerOptions::default() }) {
        let plan = DevicePlan::new(url(&server.endpoint_url));
        let target = run(target_of(&plant.store, &plan, FALLBACK)).expect("a target");
        assert_eq!(target.application_uri, FALLBACK);
        let report = run(plant.supervisor.test(plan)).expect("a report");
        assert!(report.verdict.is_success(), "{}: {:?}", server.stack(), report.verdict);
    }
}

#[test]
fn a_password_goes_only_with_the_url_that_it_was_saved_for() {
    let plant = Plant::new();
    let settings = |url: &str, password: &str| {
        let mut settings = Plant::settings("Press 4", url);
        settings.user_identity = UserSettings::UserName {
            username: "op".to_owned(),
            password: PasswordChange::Set(Zeroizing::new(password.to_owned())),
        };
        settings
    };
    let first = settings("opc.tcp://127.0.0.1:1", "of one");
    let before = run(plant.store.create_device(first, false)).expect("the device is stored");
    let second: DeviceSettings = settings("opc.tcp://127.0.0.1:2", "of two");
    run(plant.store.update_device(before.id, second, None)).expect("moved");

    let plan = run(DevicePlan::of(&plant.store, &before)).expect("a plan");
    let UserIdentity::UserName { password, .. } = &plan.user else { panic!("{:?}", plan.user) };
    assert_eq!((plan.endpoint_url.port(), password.as_str()), (2, "of two"));
}

#[test]
fn a_secure_mode_and_an_empty_store_have_no_certificate() {
    let plant = Plant::new();
    let report = run(plant.supervisor.test(secure_plan())).expect("a report");
    assert_eq!(report.verdict.code, Code::NoCertificate);
}

#[test]
fn r4_the_default_is_used_where_none_is_named_and_its_uri_is_stated() {
    let plant = Plant::new();
    plant.add_certificate("Default", &certificate());
    let another = CertificateSpec::application("urn:koios:test:own").with_shared_key(2048, 1).make();
    let own = plant.add_certificate("Own", &another);
    let target = run(target_of(&plant.store, &secure_plan(), FALLBACK)).expect("a target");
    assert_eq!(target.application_uri, URI);
    let mut plan = secure_plan();
    plan.certificate_id = Some(own);
    let target = run(target_of(&plant.store, &plan, FALLBACK)).expect("a target");
    assert_eq!(target.application_uri, "urn:koios:test:own");
    assert_eq!(target.client.label().map(|label| label.name.as_str()), Some("Own"));
}

#[test]
fn files_that_are_missing_or_changed_are_named_and_nothing_is_sent() {
    let plant = Plant::new();
    plant.add_certificate("Default", &certificate());
    let key_file = files(plant.folder.path(), "private-key.pem").pop().expect("a key file");
    let key = fs::read(&key_file).expect("the key");
    for damage in [None, Some(TestKey::shared(2048, 3).pem().as_bytes().to_vec())] {
        match damage {
            None => fs::remove_file(&key_file).expect("removable"),
            Some(other) => fs::write(&key_file, other).expect("writable"),
        }
        let target = run(target_of(&plant.store, &secure_plan(), FALLBACK)).expect("a target");
        let ClientCertificate::Unavailable { reason, detail, chain, .. } = &target.client else {
            panic!("{:?}", target.client)
        };
        assert_eq!(*reason, UnavailableReason::Files);
        assert!(detail.contains("private-key.pem") && chain.is_some());
        let report = run(plant.supervisor.test(secure_plan())).expect("a report");
        assert_eq!(report.verdict.code, Code::CertificateFilesMissing);
        assert!(report.client_certificate.is_some_and(|shown| shown.thumbprint_sha256.is_some()));
    }
    fs::write(&key_file, key).expect("writable");
    let target = run(target_of(&plant.store, &secure_plan(), FALLBACK)).expect("a target");
    assert!(matches!(target.client, ClientCertificate::Ready { .. }));
}

#[test]
fn each_policy_for_server_certificates_becomes_its_own_rule() {
    let plant = Plant::new();
    let trusted = leaf(&CertificateSpec::application("urn:server").make());
    run(plant.store.add_to_trust_list(TrustListName::Trusted, trusted.clone())).expect("stored");
    let mut plan = DevicePlan::new(url("opc.tcp://127.0.0.1:1"));
    plan.host_name_check = false;
    for (policy, trust) in [
        (ServerCertificatePolicy::Pin, ServerTrust::Pin { expected: None }),
        (ServerCertificatePolicy::TrustList, ServerTrust::TrustList),
        (ServerCertificatePolicy::AcceptAny, ServerTrust::AcceptAny),
    ] {
        plan.server_certificate_policy = policy;
        let target = run(target_of(&plant.store, &plan, FALLBACK)).expect("a target");
        assert_eq!(target.server_trust, trust);
        assert_eq!(target.server_validation.trust_list.trusted, std::slice::from_ref(&trusted));
        assert!(!target.server_validation.host_name_check);
    }
}

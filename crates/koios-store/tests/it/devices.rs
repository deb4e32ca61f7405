//! Devices: settings, passwords, import.

use koios_pki::{SecurityMode, SecurityPolicy};
use koios_store::{
    Apply, Change, Device, DeviceSettings, DeviceState, DeviceUser, ImportCode, ImportError, PageRequest,
    PasswordChange, ServerCertificatePolicy, StoreError, Transition, UserSettings,
};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::fixture::{Fixture, is_not_found, settings, settings_with, snapshot};

fn with_user(mut settings: DeviceSettings, username: &str, password: PasswordChange) -> DeviceSettings {
    settings.user_identity = UserSettings::UserName { username: username.to_owned(), password };
    settings
}

fn set(password: &str) -> PasswordChange {
    PasswordChange::Set(Zeroizing::new(password.to_owned()))
}

async fn password(fixture: &Fixture, device: &Device) -> Option<String> {
    fixture.store.device_password(device.id).await.unwrap().map(|password| (*password).clone())
}

#[tokio::test]
async fn every_setting_of_a_device_is_kept_across_a_restart() {
    let fixture = Fixture::new().await;
    let certificate = fixture.certificate("Default").await.id;
    let mut settings = with_user(settings("Press 4", SecurityMode::SignAndEncrypt), "op", set("geheim"));
    settings.description = Some("Halle 3".to_owned());
    settings.security_policy = Some(SecurityPolicy::Aes256Sha256RsaPss);
    settings.certificate_id = Some(certificate);
    settings.server_certificate_policy = ServerCertificatePolicy::AcceptAny;
    settings.server_host_name_check = false;
    settings.trust_guide_product = Some("kepserverex".to_owned());
    settings.scan_rate_seconds = 0.1;
    settings.timeout_seconds = 300;
    let device = fixture.store.create_device(settings.clone(), true).await.unwrap();
    assert_eq!(device.revision, 1);
    assert_eq!(device.user_identity, DeviceUser::UserName { username: "op".to_owned(), password_set: true });

    let fixture = fixture.reopened().await;
    assert_eq!(fixture.store.device(device.id).await.unwrap(), device);
    assert_eq!(password(&fixture, &device).await.as_deref(), Some("geheim"));
    let kept = DeviceSettings::of(&device).unwrap();
    let same = fixture.store.update_device(device.id, kept, Some(1)).await.unwrap();
    assert_eq!(same, device, "its own settings again are no change");
}

#[tokio::test]
async fn r1_a_device_without_security_needs_no_certificate_in_the_store() {
    let fixture = Fixture::new().await;
    let device = fixture.device("Plain", SecurityMode::None, None).await;
    assert_eq!(fixture.store.device(device.id).await.unwrap(), device);
    assert!(fixture.store.default_certificate().await.unwrap().is_none());
}

#[tokio::test]
async fn names_of_devices_are_unique_without_regard_to_case() {
    let fixture = Fixture::new().await;
    let press = fixture.device("Press", SecurityMode::None, None).await;
    let oven = fixture.device("Oven", SecurityMode::None, None).await;
    let clash = fixture.store.create_device(settings("PRESS", SecurityMode::None), false).await;
    assert!(matches!(clash, Err(StoreError::NameTaken { .. })));
    let clash = fixture.store.update_device(oven.id, settings("press", SecurityMode::None), None).await;
    assert!(matches!(clash, Err(StoreError::NameTaken { .. })));
    let renamed =
        fixture.store.update_device(press.id, settings("PRESS", SecurityMode::None), None).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.revision), ("PRESS", 2));
}

#[tokio::test]
async fn settings_out_of_range_name_their_field_and_store_nothing() {
    let fixture = Fixture::new().await;
    type Spoil = fn(&mut DeviceSettings);
    let changes: [(&str, Spoil); 9] = [
        ("scan_rate_seconds", |settings| settings.scan_rate_seconds = 0.09),
        ("scan_rate_seconds", |settings| settings.scan_rate_seconds = 3600.1),
        ("scan_rate_seconds", |settings| settings.scan_rate_seconds = f64::NAN),
        ("timeout_seconds", |settings| settings.timeout_seconds = 0),
        ("timeout_seconds", |settings| settings.timeout_seconds = 301),
        ("description", |settings| settings.description = Some("x".repeat(1025))),
        ("endpoint_url", |settings| settings.endpoint_url = "x".repeat(4097)),
        ("endpoint_url", |settings| settings.endpoint_url = String::new()),
        ("username", |settings| *settings = with_user(settings.clone(), "", PasswordChange::Keep)),
    ];
    for (field, change) in changes {
        let mut wrong = settings("Press", SecurityMode::None);
        change(&mut wrong);
        let refused = fixture.store.create_device(wrong, false).await;
        assert!(
            matches!(&refused, Err(StoreError::InvalidSetting { field: named, .. }) if *named == field),
            "{field}"
        );
    }
    let unknown = "0193aaaa-0000-7000-8000-000000000000".parse().unwrap();
    for mode in [SecurityMode::None, SecurityMode::Sign] {
        let refused = fixture.store.create_device(settings_with("Press", mode, Some(unknown)), false).await;
        assert!(matches!(refused, Err(StoreError::UnknownCertificate(id)) if id == unknown));
    }
    assert_eq!(fixture.store.counts().await.unwrap().devices, 0);
}

#[tokio::test]
async fn a_password_is_kept_set_or_removed_as_told() {
    let fixture = Fixture::new().await;
    let plain = || settings("Press", SecurityMode::Sign);
    let device = fixture.store.create_device(with_user(plain(), "op", set("eins")), false).await.unwrap();
    let update = |settings| {
        let (store, id) = (fixture.store.clone(), device.id);
        async move { store.update_device(id, settings, None).await.unwrap() }
    };
    update(with_user(plain(), "operator", PasswordChange::Keep)).await;
    assert_eq!(password(&fixture, &device).await.as_deref(), Some("eins"));
    update(with_user(plain(), "operator", set("zwei"))).await;
    assert_eq!(password(&fixture, &device).await.as_deref(), Some("zwei"));
    let cleared = update(with_user(plain(), "operator", PasswordChange::Clear)).await;
    assert_eq!(
        cleared.user_identity,
        DeviceUser::UserName { username: "operator".to_owned(), password_set: false }
    );
    update(with_user(plain(), "operator", set("drei"))).await;
    update(plain()).await;
    let back = update(with_user(plain(), "operator", PasswordChange::Keep)).await;
    assert_eq!(
        back.user_identity,
        DeviceUser::UserName { username: "operator".to_owned(), password_set: false }
    );
    assert_eq!(password(&fixture, &device).await, None, "anonymous forgot it");
}

#[tokio::test]
async fn a_password_lies_in_no_file_and_shows_in_no_debug_output() {
    let fixture = Fixture::new().await;
    let secret = "correct horse battery staple";
    let settings = with_user(settings("Press", SecurityMode::Sign), "op", set(secret));
    let shown = format!("{settings:?}");
    let device = fixture.store.create_device(settings, false).await.unwrap();
    assert!(!format!("{shown} {device:?}").contains(secret));
    let fixture = fixture.reopened().await;
    for (path, contents) in snapshot(fixture.path()) {
        let found = contents.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{}", path.display());
    }
}

#[tokio::test]
async fn a_lost_secrets_key_costs_the_passwords_and_nothing_else() {
    let fixture = Fixture::new().await;
    let with_password = with_user(settings("Press", SecurityMode::Sign), "op", set("geheim"));
    let device = fixture.store.create_device(with_password.clone(), false).await.unwrap();
    std::fs::remove_file(fixture.path().join("secrets.key")).unwrap();
    let fixture = fixture.reopened().await;
    let refused = fixture.store.device_password(device.id).await;
    assert!(matches!(refused, Err(StoreError::PasswordUnreadable { device: id }) if id == device.id));
    assert_eq!(fixture.store.device(device.id).await.unwrap(), device);
    fixture.store.update_device(device.id, with_password, None).await.unwrap();
    assert_eq!(password(&fixture, &device).await.as_deref(), Some("geheim"));
}

#[tokio::test]
async fn enabling_is_a_change_once() {
    let fixture = Fixture::new().await;
    let device = fixture.device("Press", SecurityMode::None, None).await;
    let mut changes = fixture.store.changes();
    assert_eq!(fixture.store.set_enabled(device.id, true).await.unwrap().revision, 2);
    assert_eq!(fixture.store.set_enabled(device.id, true).await.unwrap().revision, 2);
    assert_eq!(changes.try_recv(), Ok(Change::DeviceUpdated(device.id)));
    assert!(changes.try_recv().is_err());
}

#[tokio::test]
async fn a_stale_revision_stops_update_and_delete_of_a_device() {
    let fixture = Fixture::new().await;
    let device = fixture.device("Press", SecurityMode::None, None).await;
    let refused = fixture.store.update_device(device.id, settings("New", SecurityMode::None), Some(3)).await;
    assert!(matches!(refused, Err(StoreError::RevisionMismatch { expected: 3, current: 1 })));
    let refused = fixture.store.delete_device(device.id, Some(3)).await;
    assert!(matches!(refused, Err(StoreError::RevisionMismatch { expected: 3, current: 1 })));
    fixture.store.delete_device(device.id, Some(1)).await.unwrap();
    assert!(is_not_found(fixture.store.device(device.id).await));
    assert!(is_not_found(fixture.store.delete_device(device.id, None).await));
}

#[tokio::test]
async fn a_handle_that_expects_another_revision_changes_nothing() {
    let fixture = Fixture::new().await;
    let first = fixture.certificate("Default").await;
    let other = fixture.certificate("Other").await;
    let device = fixture.device("Press", SecurityMode::Sign, None).await;
    let store = fixture.store.expecting(Some(2));
    let key = crate::requests::new_key();
    let request = crate::requests::request(&other, &key);
    let thumbprint = other.chain.leaf().thumbprint_sha256();
    fixture.store.record_presented(device.id, other.chain.clone(), OffsetDateTime::now_utc()).await.unwrap();
    let refusals = [
        store.set_default(other.id, Apply::Commit).await.err(),
        store.assign_devices(other.id, &[device.id], &[], Apply::Commit).await.err(),
        store.stage_request(other.id, request.clone(), Some(key.to_pem())).await.err(),
        store.drop_request(other.id).await.err(),
        store.set_enabled(device.id, true).await.err(),
        store.approve(device.id, thumbprint, false).await.err(),
        store.forget_pin(device.id).await.err(),
    ];
    for refused in refusals {
        let mismatch = matches!(refused, Some(StoreError::RevisionMismatch { expected: 2, current: 1 }));
        assert!(mismatch, "{refused:?}");
    }
    assert_eq!(fixture.store.device(device.id).await.unwrap(), device);
    assert!(fixture.store.certificate(first.id).await.unwrap().is_default);

    let store = fixture.store.expecting(Some(1));
    store.stage_request(other.id, request, Some(key.to_pem())).await.unwrap();
    store.drop_request(other.id).await.unwrap();
    store.set_default(other.id, Apply::Commit).await.unwrap();
    store.approve(device.id, thumbprint, false).await.unwrap();
    let refused = store.set_enabled(device.id, true).await;
    assert!(matches!(refused, Err(StoreError::RevisionMismatch { expected: 1, current: 2 })));
}

#[tokio::test]
async fn an_import_reports_every_problem_and_stores_nothing() {
    let fixture = Fixture::new().await;
    fixture.device("Press", SecurityMode::None, None).await;
    let mut slow = settings("Slow", SecurityMode::None);
    slow.timeout_seconds = 0;
    let unknown = "0193aaaa-0000-7000-8000-000000000000".parse().unwrap();
    let devices = vec![
        (settings("New", SecurityMode::None), true),
        (settings("press", SecurityMode::None), true),
        (settings("NEW", SecurityMode::None), true),
        (slow, false),
        (settings_with("Other", SecurityMode::Sign, Some(unknown)), false),
    ];
    let mut changes = fixture.store.changes();
    let Err(ImportError::Problems(problems)) = fixture.store.import_devices(devices, Apply::Commit).await
    else {
        panic!("the import should be refused");
    };
    let found: Vec<_> = problems.iter().map(|problem| (problem.index, problem.field, problem.code)).collect();
    let expected = [
        (1, "name", ImportCode::NameTaken),
        (2, "name", ImportCode::NameTaken),
        (3, "timeout_seconds", ImportCode::InvalidField),
        (4, "certificate", ImportCode::UnknownCertificate),
    ];
    assert_eq!(found, expected);
    assert_eq!(fixture.store.counts().await.unwrap().devices, 1);
    assert!(changes.try_recv().is_err());
}

#[tokio::test]
async fn an_import_is_tried_first_and_then_carried_out() {
    let fixture = Fixture::new().await;
    let devices =
        || (0..5).map(|n| (settings(&format!("Device {n}"), SecurityMode::None), n % 2 == 0)).collect();
    let tried = fixture.store.import_devices(devices(), Apply::DryRun).await.unwrap();
    assert_eq!((tried.len(), fixture.store.counts().await.unwrap().devices), (5, 0));
    let done = fixture.store.import_devices(devices(), Apply::Commit).await.unwrap();
    let counts = fixture.store.counts().await.unwrap();
    assert_eq!((done.len(), counts.devices, counts.enabled_devices), (5, 5, 3));
}

#[tokio::test]
async fn the_history_of_a_device_is_newest_first_and_bounded() {
    let fixture = Fixture::new().await;
    let device = fixture.device("Press", SecurityMode::None, None).await.id;
    let start = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    for n in 0..205 {
        // The clock goes backwards in between: the order is that of the notes.
        let mut transition = Transition::new(start + Duration::seconds(n % 100), DeviceState::Failed);
        transition.error_code = Some(format!("code {n}"));
        fixture.store.record_transition(device, transition).await.unwrap();
    }
    let page = fixture.store.history(device, PageRequest::new(3, None)).await.unwrap();
    assert_eq!(page.total, 200);
    let codes: Vec<_> = page.items.iter().filter_map(|transition| transition.error_code.as_deref()).collect();
    assert_eq!(codes, ["code 204", "code 203", "code 202"]);
    let rest = fixture.store.history(device, PageRequest::new(500, page.next_cursor)).await.unwrap();
    assert_eq!((rest.items.len(), rest.items[196].error_code.as_deref()), (197, Some("code 5")));
    fixture.store.delete_device(device, None).await.unwrap();
    assert!(is_not_found(fixture.store.history(device, PageRequest::default()).await));
    let late = fixture.store.record_transition(device, Transition::new(start, DeviceState::Stopped)).await;
    assert!(is_not_found(late));
}

#[tokio::test]
async fn transitions_of_many_devices_are_one_write_and_tell_who_failed_last() {
    let fixture = Fixture::new().await;
    let start = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    let mut devices = Vec::new();
    for name in ["Failed", "Ran", "Started", "Stopped after a failure", "Gone"] {
        devices.push(fixture.device(name, SecurityMode::None, None).await.id);
    }
    let states = [
        &[DeviceState::Running, DeviceState::Failed, DeviceState::Starting][..],
        &[DeviceState::Failed, DeviceState::Running],
        &[DeviceState::Starting],
        &[DeviceState::Failed, DeviceState::Stopped],
        &[DeviceState::Failed],
    ];
    for &device in &devices {
        fixture.store.set_enabled(device, true).await.unwrap();
    }
    fixture.store.set_enabled(devices[3], false).await.unwrap();
    fixture.store.delete_device(devices[4], None).await.unwrap();
    let transitions = devices.iter().zip(states).flat_map(|(&device, states)| {
        states.iter().map(move |&state| (device, Transition::new(start, state)))
    });
    fixture.store.record_transitions(transitions.collect()).await.unwrap();
    let history = fixture.store.history(devices[0], PageRequest::default()).await.unwrap();
    let kept: Vec<_> = history.items.iter().rev().map(|transition| transition.state).collect();
    assert_eq!(kept, states[0]);
    let failed = fixture.store.devices_last_failed().await.unwrap();
    assert_eq!(failed, std::collections::HashSet::from([devices[0]]), "enabled, and failed when last tried");
}

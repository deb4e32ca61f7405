//! The operations, each carried out on the store and on the model.

use koios_pki::{Certificate, PrivateKey, SelfSignedParams, SerialNumber, Validity, self_signed};
use koios_store::{
    Apply, CertificatePatch, InstallAnswer, PasswordChange, StoreError, TrustListName, UserSettings,
};
use proptest::prelude::*;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::world::World;
use super::{Device, Model, Request, mode};
use crate::fixture::{is_not_found, name, new_certificate, replacement, settings_with};
use crate::requests::{new_key, request};

/// One step; numbers choose among what there is.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Create { name: u8, make_default: bool, assign: Option<usize> },
    Regenerate { certificate: usize, apply: bool },
    Rename { certificate: usize, name: u8 },
    Delete { certificate: usize, apply: bool },
    SetDefault { certificate: usize, apply: bool },
    RequestAnswer { certificate: usize, new_key: bool },
    DropRequest { certificate: usize },
    Install { certificate: usize, apply: bool },
    CreateDevice { name: u8, secure: bool, certificate: Option<usize>, password: Option<u8> },
    ChangePassword { device: usize, password: Option<u8> },
    Assign { certificate: usize, device: usize, apply: bool },
    Unassign { certificate: usize, device: usize },
    DeleteDevice { device: usize },
    AddTrust { server: usize, issuer: bool },
    Trust { server: usize },
    Reject { server: usize },
    RemoveTrust { server: usize },
    Reopen,
    Crash,
    Encrypt,
    Decrypt,
    RotateMasterKey { external: bool },
    BackUp,
    Restore,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let index = || 0..6usize;
    let server = || 0..3usize;
    let optional = || proptest::option::of(0..6usize);
    let password = || proptest::option::of(0..4u8);
    let certificates = prop_oneof![
        4 => (0..6u8, any::<bool>(), optional())
            .prop_map(|(name, make_default, assign)| Step::Create { name, make_default, assign }),
        3 => (index(), any::<bool>()).prop_map(|(certificate, apply)| Step::Regenerate { certificate, apply }),
        2 => (index(), 0..6u8).prop_map(|(certificate, name)| Step::Rename { certificate, name }),
        3 => (index(), any::<bool>()).prop_map(|(certificate, apply)| Step::Delete { certificate, apply }),
        2 => (index(), any::<bool>()).prop_map(|(certificate, apply)| Step::SetDefault { certificate, apply }),
        3 => (index(), any::<bool>())
            .prop_map(|(certificate, new_key)| Step::RequestAnswer { certificate, new_key }),
        1 => index().prop_map(|certificate| Step::DropRequest { certificate }),
        2 => (index(), any::<bool>()).prop_map(|(certificate, apply)| Step::Install { certificate, apply }),
    ];
    let devices = prop_oneof![
        3 => (0..6u8, any::<bool>(), optional(), password()).prop_map(|(name, secure, certificate, password)| {
            Step::CreateDevice { name, secure, certificate, password }
        }),
        1 => (index(), password()).prop_map(|(device, password)| Step::ChangePassword { device, password }),
        2 => (index(), index(), any::<bool>())
            .prop_map(|(certificate, device, apply)| Step::Assign { certificate, device, apply }),
        1 => (index(), index()).prop_map(|(certificate, device)| Step::Unassign { certificate, device }),
        1 => index().prop_map(|device| Step::DeleteDevice { device }),
    ];
    let trust = prop_oneof![
        (server(), any::<bool>()).prop_map(|(server, issuer)| Step::AddTrust { server, issuer }),
        server().prop_map(|server| Step::Trust { server }),
        server().prop_map(|server| Step::Reject { server }),
        server().prop_map(|server| Step::RemoveTrust { server }),
    ];
    let upheavals = prop_oneof![
        2 => Just(Step::Reopen),
        3 => Just(Step::Crash),
        1 => Just(Step::Encrypt),
        1 => Just(Step::Decrypt),
        1 => any::<bool>().prop_map(|external| Step::RotateMasterKey { external }),
        1 => Just(Step::BackUp),
        1 => Just(Step::Restore),
    ];
    prop_oneof![10 => certificates, 6 => devices, 2 => trust, 4 => upheavals]
}

fn apply(apply: bool) -> Apply {
    if apply { Apply::Commit } else { Apply::DryRun }
}

fn user(password: Option<u8>) -> UserSettings {
    match password {
        None => UserSettings::Anonymous,
        Some(number) => UserSettings::UserName {
            username: "op".to_owned(),
            password: PasswordChange::Set(Zeroizing::new(format!("password {number}"))),
        },
    }
}

/// What an authority might answer.
fn answer(key: &PrivateKey) -> Certificate {
    let params = SelfSignedParams::new(
        "Koios@gw01.plant.example",
        "Koios",
        "urn:koios:gw01.plant.example:plant-a".parse().unwrap(),
        Validity::starting_at(OffsetDateTime::now_utc(), 90),
        SerialNumber::from_random_bytes(uuid::Uuid::now_v7().into_bytes()),
    );
    self_signed(&params, key).unwrap()
}

pub(super) async fn run(world: &mut World, model: &mut Model, step: Step) {
    let store = world.store.clone();
    match step {
        Step::Create { name, make_default, assign } => {
            let mut new = new_certificate(&format!("Certificate {name}"));
            new.make_default = make_default;
            let device = assign.and_then(|index| model.device(index));
            new.assign_to = device.into_iter().collect();
            let created = store.create_certificate(new).await;
            if model.certificate_named(name).is_some() {
                assert!(matches!(created, Err(StoreError::NameTaken { .. })));
            } else {
                let id = created.unwrap().id;
                model.certificates.insert(id, super::Certificate { name, generation: 1, request: None });
                if make_default || model.default.is_none() {
                    model.default = Some(id);
                }
                if let Some(device) = device {
                    model.devices.get_mut(&device).unwrap().certificate = Some(id);
                }
            }
        }
        Step::Regenerate { certificate, apply: commit } => {
            if let Some(id) = model.certificate(certificate) {
                let replaced = store.replace_key_pair(id, replacement(), apply(commit)).await.unwrap();
                assert_eq!(u64::try_from(replaced.affected_devices.len()).unwrap(), model.users(id));
                let known = model.certificates.get_mut(&id).unwrap();
                assert_eq!(replaced.request_dropped, known.request == Some(Request::KeyInUse));
                if commit {
                    known.generation = next_generation(known);
                    // A request for the key in use ends with that key.
                    known.request = known.request.filter(|request| *request != Request::KeyInUse);
                }
            }
        }
        Step::Rename { certificate, name: number } => {
            if let Some(id) = model.certificate(certificate) {
                let mut patch = CertificatePatch::default();
                patch.name = Some(name(&format!("CERTIFICATE {number}")));
                let renamed = store.update_certificate(id, patch, None).await;
                if model.certificate_named(number).is_some_and(|holder| holder != id) {
                    assert!(matches!(renamed, Err(StoreError::NameTaken { .. })));
                } else {
                    renamed.unwrap();
                    model.certificates.get_mut(&id).unwrap().name = number;
                }
            }
        }
        Step::Delete { certificate, apply: commit } => {
            if let Some(id) = model.certificate(certificate) {
                let deleted = store.delete_certificate(id, apply(commit), None).await;
                if model.default == Some(id) {
                    assert!(matches!(deleted, Err(StoreError::DefaultCertificateRequired { .. })));
                } else {
                    assert_eq!(Some(deleted.unwrap().now_using.id), model.default);
                    if commit {
                        model.certificates.remove(&id);
                        let users =
                            model.devices.values_mut().filter(|device| device.certificate == Some(id));
                        users.for_each(|device| device.certificate = None);
                    }
                }
            }
        }
        Step::SetDefault { certificate, apply: commit } => {
            if let Some(id) = model.certificate(certificate) {
                let changed = store.set_default(id, apply(commit)).await.unwrap();
                assert_eq!(Some(changed.previous_default.id), model.default);
                if commit {
                    model.default = Some(id);
                }
            }
        }
        Step::RequestAnswer { certificate, new_key: another } => {
            if let Some(id) = model.certificate(certificate) {
                let record = store.certificate(id).await.unwrap();
                let identity = store.load_identity(id).await.unwrap();
                let key = if another { new_key() } else { PrivateKey::from_pem(&identity.key).unwrap() };
                let staged =
                    store.stage_request(id, request(&record, &key), another.then(|| key.to_pem())).await;
                let known = model.certificates.get_mut(&id).unwrap();
                if known.request.is_some() {
                    assert!(matches!(staged, Err(StoreError::RequestPending { .. })));
                } else {
                    staged.unwrap();
                    known.request = Some(match another {
                        false => Request::KeyInUse,
                        true => {
                            world.keep_requested(key);
                            Request::NewKey(known.generation + 1)
                        }
                    });
                }
            }
        }
        Step::DropRequest { certificate } => {
            if let Some(id) = model.certificate(certificate) {
                let dropped = store.drop_request(id).await;
                let known = model.certificates.get_mut(&id).unwrap();
                match known.request.take() {
                    None => assert!(matches!(dropped, Err(StoreError::NoPendingRequest { .. }))),
                    Some(request) => assert_eq!(dropped.unwrap().new_key, request != Request::KeyInUse),
                }
            }
        }
        Step::Install { certificate, apply: commit } => {
            let Some(id) = model.certificate(certificate) else { return };
            let Ok(pending) = store.pending_request(id).await else { return };
            let known = model.certificates.get_mut(&id).unwrap();
            let signed = match known.request.unwrap() {
                Request::KeyInUse => {
                    let identity = store.load_identity(id).await.unwrap();
                    answer(&PrivateKey::from_pem(&identity.key).unwrap())
                }
                Request::NewKey(_) => answer(world.requested(&pending.request)),
            };
            let mut install = InstallAnswer::new(pending.request, signed.into(), 90);
            install.allow_uri_change = true;
            store.install_certificate(id, install, apply(commit)).await.unwrap();
            if commit {
                known.generation = next_generation(known);
                known.request = None;
            }
        }
        Step::CreateDevice { name, secure, certificate, password } => {
            let certificate = certificate.and_then(|index| model.certificate(index));
            let mut settings = settings_with(&format!("Device {name}"), mode(secure), certificate);
            settings.user_identity = user(password);
            let created = store.create_device(settings, false).await;
            if model.devices.values().any(|device| device.name == name) {
                assert!(matches!(created, Err(StoreError::NameTaken { .. })));
            } else {
                model.devices.insert(created.unwrap().id, Device { name, secure, certificate, password });
            }
        }
        Step::ChangePassword { device, password } => {
            if let Some(id) = model.device(device) {
                let known = model.devices.get_mut(&id).unwrap();
                let mut settings =
                    settings_with(&format!("Device {}", known.name), mode(known.secure), known.certificate);
                settings.user_identity = user(password);
                store.update_device(id, settings, None).await.unwrap();
                known.password = password;
            }
        }
        Step::Assign { certificate, device, apply: commit } => {
            if let (Some(id), Some(device)) = (model.certificate(certificate), model.device(device)) {
                store.assign_devices(id, &[device], &[], apply(commit)).await.unwrap();
                if commit {
                    model.devices.get_mut(&device).unwrap().certificate = Some(id);
                }
            }
        }
        Step::Unassign { certificate, device } => {
            if let (Some(id), Some(device)) = (model.certificate(certificate), model.device(device)) {
                store.assign_devices(id, &[], &[device], Apply::Commit).await.unwrap();
                let held = &mut model.devices.get_mut(&device).unwrap().certificate;
                *held = held.filter(|held| *held != id);
            }
        }
        Step::DeleteDevice { device } => {
            if let Some(device) = model.device(device) {
                store.delete_device(device, None).await.unwrap();
                model.devices.remove(&device);
            }
        }
        Step::AddTrust { server, issuer } => {
            let list = if issuer { TrustListName::Issuer } else { TrustListName::Trusted };
            let added = store.add_to_trust_list(list, world.servers[server].clone()).await;
            if model.holds(server, list) {
                assert!(matches!(added, Err(StoreError::InTrustList { .. })));
            } else {
                added.unwrap();
                model.take_out(server, |list| list == TrustListName::Rejected);
                model.trust.insert((server, list.as_str()));
            }
        }
        Step::Trust { server } => {
            let moved = store.trust_server_certificate(world.servers[server].thumbprint_sha256()).await;
            move_to(model, server, TrustListName::Trusted, moved);
        }
        Step::Reject { server } => {
            let moved = store.reject_server_certificate(world.servers[server].thumbprint_sha256()).await;
            move_to(model, server, TrustListName::Rejected, moved);
        }
        Step::RemoveTrust { server } => {
            let removed = store.remove_from_trust_lists(world.servers[server].thumbprint_sha256()).await;
            if TrustListName::ALL.iter().any(|list| model.holds(server, *list)) {
                removed.unwrap();
                model.take_out(server, |_| true);
            } else {
                assert!(is_not_found(removed));
            }
        }
        Step::Reopen => world.reopen().await,
        Step::Crash => world.crash().await,
        Step::Encrypt => world.encrypt().await,
        Step::Decrypt => world.decrypt().await,
        Step::RotateMasterKey { external } => world.rotate(external).await,
        Step::BackUp => world.back_up(model).await,
        Step::Restore => world.restore(model).await,
    }
}

/// The number after that of the pair in use and of a staged key.
fn next_generation(certificate: &super::Certificate) -> u32 {
    let staged = match certificate.request {
        Some(Request::NewKey(generation)) => generation,
        _ => 0,
    };
    certificate.generation.max(staged) + 1
}

fn move_to<T: std::fmt::Debug>(
    model: &mut Model,
    server: usize,
    list: TrustListName,
    moved: Result<T, StoreError>,
) {
    if TrustListName::ALL.iter().any(|list| model.holds(server, *list)) {
        moved.unwrap();
        model.take_out(server, |_| true);
        model.trust.insert((server, list.as_str()));
    } else {
        assert!(is_not_found(moved));
    }
}

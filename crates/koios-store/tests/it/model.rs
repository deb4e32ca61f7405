//! Random sequences of operations against a model in memory: the invariants hold after each.

use std::collections::BTreeMap;

use koios_pki::SecurityMode;
use koios_store::{
    Apply, CertificateId, CertificatePatch, DeviceId, DirectoryCheck, StoreError, StoreOptions,
};
use proptest::prelude::*;

use crate::fixture::{Fixture, name, new_certificate, replacement, settings_with};

/// One step; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Create { name: u8, make_default: bool, assign: Option<usize> },
    Regenerate { certificate: usize, apply: bool },
    Rename { certificate: usize, name: u8 },
    Delete { certificate: usize, apply: bool },
    SetDefault { certificate: usize, apply: bool },
    CreateDevice { name: u8, secure: bool, certificate: Option<usize> },
    Assign { certificate: usize, device: usize, apply: bool },
    Unassign { certificate: usize, device: usize },
    DeleteDevice { device: usize },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let any_index = 0..6usize;
    prop_oneof![
        4 => (0..6u8, any::<bool>(), proptest::option::of(any_index.clone()))
            .prop_map(|(name, make_default, assign)| Step::Create { name, make_default, assign }),
        3 => (any_index.clone(), any::<bool>()).prop_map(|(certificate, apply)| Step::Regenerate { certificate, apply }),
        2 => (any_index.clone(), 0..6u8).prop_map(|(certificate, name)| Step::Rename { certificate, name }),
        3 => (any_index.clone(), any::<bool>()).prop_map(|(certificate, apply)| Step::Delete { certificate, apply }),
        2 => (any_index.clone(), any::<bool>()).prop_map(|(certificate, apply)| Step::SetDefault { certificate, apply }),
        3 => (0..6u8, any::<bool>(), proptest::option::of(any_index.clone()))
            .prop_map(|(name, secure, certificate)| Step::CreateDevice { name, secure, certificate }),
        2 => (any_index.clone(), any_index.clone(), any::<bool>())
            .prop_map(|(certificate, device, apply)| Step::Assign { certificate, device, apply }),
        1 => (any_index.clone(), any_index.clone())
            .prop_map(|(certificate, device)| Step::Unassign { certificate, device }),
        1 => any_index.prop_map(|device| Step::DeleteDevice { device }),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Debug, Default)]
struct Model {
    certificates: BTreeMap<CertificateId, (u8, u32)>,
    default: Option<CertificateId>,
    devices: BTreeMap<DeviceId, (u8, bool, Option<CertificateId>)>,
}

impl Model {
    fn certificate(&self, index: usize) -> Option<CertificateId> {
        self.certificates.keys().nth(index).copied()
    }

    fn device(&self, index: usize) -> Option<DeviceId> {
        self.devices.keys().nth(index).copied()
    }

    fn certificate_named(&self, name: u8) -> Option<CertificateId> {
        self.certificates.iter().find(|(_, held)| held.0 == name).map(|(id, _)| *id)
    }

    fn users(&self, id: CertificateId) -> u64 {
        let uses = |(_, secure, named): &&(u8, bool, Option<CertificateId>)| {
            *secure && named.or(self.default) == Some(id)
        };
        u64::try_from(self.devices.values().filter(uses).count()).unwrap()
    }
}

fn apply(apply: bool) -> Apply {
    if apply { Apply::Commit } else { Apply::DryRun }
}

fn mode(secure: bool) -> SecurityMode {
    if secure { SecurityMode::Sign } else { SecurityMode::None }
}

async fn run(mut fixture: Fixture, model: &mut Model, step: Step) -> Fixture {
    let store = &fixture.store;
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
                model.certificates.insert(id, (name, 1));
                if make_default || model.default.is_none() {
                    model.default = Some(id);
                }
                if let Some(device) = device {
                    model.devices.get_mut(&device).unwrap().2 = Some(id);
                }
            }
        }
        Step::Regenerate { certificate, apply: commit } => {
            if let Some(id) = model.certificate(certificate) {
                let replaced = store.replace_key_pair(id, replacement(), apply(commit)).await.unwrap();
                assert_eq!(u64::try_from(replaced.affected_devices.len()).unwrap(), model.users(id));
                model.certificates.get_mut(&id).unwrap().1 += u32::from(commit);
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
                    model.certificates.get_mut(&id).unwrap().0 = number;
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
                        model.devices.values_mut().filter(|d| d.2 == Some(id)).for_each(|d| d.2 = None);
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
        Step::CreateDevice { name, secure, certificate } => {
            let certificate = certificate.and_then(|index| model.certificate(index));
            let settings = settings_with(&format!("Device {name}"), mode(secure), certificate);
            let created = store.create_device(settings, false).await;
            if model.devices.values().any(|device| device.0 == name) {
                assert!(matches!(created, Err(StoreError::NameTaken { .. })));
            } else {
                model.devices.insert(created.unwrap().id, (name, secure, certificate));
            }
        }
        Step::Assign { certificate, device, apply: commit } => {
            if let (Some(id), Some(device)) = (model.certificate(certificate), model.device(device)) {
                store.assign_devices(id, &[device], &[], apply(commit)).await.unwrap();
                if commit {
                    model.devices.get_mut(&device).unwrap().2 = Some(id);
                }
            }
        }
        Step::Unassign { certificate, device } => {
            if let (Some(id), Some(device)) = (model.certificate(certificate), model.device(device)) {
                store.assign_devices(id, &[], &[device], Apply::Commit).await.unwrap();
                let held = &mut model.devices.get_mut(&device).unwrap().2;
                *held = held.filter(|held| *held != id);
            }
        }
        Step::DeleteDevice { device } => {
            if let Some(device) = model.device(device) {
                store.delete_device(device, None).await.unwrap();
                model.devices.remove(&device);
            }
        }
        Step::Reopen => fixture = fixture.reopened().await,
    }
    fixture
}

async fn check(fixture: &Fixture, model: &Model) {
    let records = fixture.all().await;
    let stored: BTreeMap<CertificateId, (String, u32)> =
        records.iter().map(|record| (record.id, (record.name.to_lowercase(), record.generation))).collect();
    let expected = model
        .certificates
        .iter()
        .map(|(id, (name, generation))| (*id, (format!("certificate {name}"), *generation)))
        .collect();
    assert_eq!(stored, expected);
    let defaults: Vec<CertificateId> =
        records.iter().filter(|record| record.is_default).map(|r| r.id).collect();
    assert_eq!(
        defaults,
        model.default.into_iter().collect::<Vec<_>>(),
        "exactly one default, if any certificate"
    );
    for record in &records {
        assert_eq!(record.device_count, model.users(record.id));
        let identity = fixture.store.load_identity(record.id).await.expect("the files of every certificate");
        assert_eq!((identity.chain, identity.generation), (record.chain.clone(), record.generation));
        let folder = fixture.path().join(format!("certificates/{}", record.id));
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1, "no old key");
    }
    assert_eq!(std::fs::read_dir(fixture.path().join("certificates")).unwrap().count(), records.len());
    let devices: BTreeMap<DeviceId, (String, SecurityMode, Option<CertificateId>)> = fixture
        .store
        .all_devices()
        .await
        .unwrap()
        .into_iter()
        .map(|device| (device.id, (device.name, device.security_mode, device.certificate_id)))
        .collect();
    let expected = model
        .devices
        .iter()
        .map(|(id, (name, secure, certificate))| {
            (*id, (format!("Device {name}"), mode(*secure), *certificate))
        })
        .collect();
    assert_eq!(devices, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn r4_r9_r10_every_sequence_of_operations_keeps_the_invariants(
        steps in proptest::collection::vec(step(), 1..30)
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut fixture = Fixture::new().await;
            let mut model = Model::default();
            for step in steps {
                fixture = run(fixture, &mut model, step).await;
                check(&fixture, &model).await;
            }
            let fixture = fixture.reopened().await;
            check(&fixture, &model).await;
            let directory = DirectoryCheck::to_read(StoreOptions::new(fixture.path())).unwrap();
            assert_eq!(directory.examine(|_, _| {}).await, []);
        });
    }
}

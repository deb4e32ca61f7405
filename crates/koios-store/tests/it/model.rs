//! Random sequences of operations against a model in memory, with reopening, crashes, backups and keys changed in between:
//! the invariants hold after each.

mod steps;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use koios_pki::{SecurityMode, Severity};
use koios_store::{CertificateId, DeviceId, DirectoryCheck, PageRequest, TrustListName};
use proptest::prelude::*;

use steps::{run, step};
use world::World;

/// A certificate as it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Certificate {
    name: u8,
    generation: u32,
    request: Option<Request>,
}

/// A certificate request that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Request {
    /// For the key in use.
    KeyInUse,
    /// For a new one, which lies in this generation.
    NewKey(u32),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Device {
    name: u8,
    secure: bool,
    certificate: Option<CertificateId>,
    password: Option<u8>,
}

/// What the store should hold.
#[derive(Clone, Debug, Default)]
struct Model {
    certificates: BTreeMap<CertificateId, Certificate>,
    default: Option<CertificateId>,
    devices: BTreeMap<DeviceId, Device>,
    /// Which of the servers is in which list.
    trust: BTreeSet<(usize, &'static str)>,
}

impl Model {
    fn certificate(&self, index: usize) -> Option<CertificateId> {
        self.certificates.keys().nth(index).copied()
    }

    fn device(&self, index: usize) -> Option<DeviceId> {
        self.devices.keys().nth(index).copied()
    }

    fn certificate_named(&self, name: u8) -> Option<CertificateId> {
        self.certificates.iter().find(|(_, held)| held.name == name).map(|(id, _)| *id)
    }

    fn users(&self, id: CertificateId) -> u64 {
        let uses = |device: &&Device| device.secure && device.certificate.or(self.default) == Some(id);
        u64::try_from(self.devices.values().filter(uses).count()).unwrap()
    }

    fn holds(&self, server: usize, list: TrustListName) -> bool {
        self.trust.contains(&(server, list.as_str()))
    }

    fn take_out(&mut self, server: usize, taken: impl Fn(TrustListName) -> bool) {
        for list in TrustListName::ALL.iter().copied().filter(|list| taken(*list)) {
            self.trust.remove(&(server, list.as_str()));
        }
    }
}

fn mode(secure: bool) -> SecurityMode {
    if secure { SecurityMode::Sign } else { SecurityMode::None }
}

async fn check(world: &World, model: &Model) {
    let records = world.all().await;
    let stored: BTreeMap<CertificateId, (String, u32)> =
        records.iter().map(|record| (record.id, (record.name.to_lowercase(), record.generation))).collect();
    let expected = model
        .certificates
        .iter()
        .map(|(id, Certificate { name, generation, .. })| (*id, (format!("certificate {name}"), *generation)))
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
        let identity = world.store.load_identity(record.id).await.expect("the files of every certificate");
        assert_eq!((identity.chain, identity.generation), (record.chain.clone(), record.generation));
        let request = model.certificates[&record.id].request;
        let pending = world.store.pending_request(record.id).await.ok();
        assert_eq!(pending.map(|pending| pending.new_key), request.map(|it| it != Request::KeyInUse));
        let folder = world.data.join(format!("certificates/{}", record.id));
        let mut generations: Vec<u32> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .collect();
        generations.sort_unstable();
        let mut expected = vec![record.generation];
        expected.extend(request.and_then(|request| match request {
            Request::KeyInUse => None,
            Request::NewKey(generation) => Some(generation),
        }));
        expected.sort_unstable();
        assert_eq!(generations, expected, "no old key");
    }
    assert_eq!(std::fs::read_dir(world.data.join("certificates")).unwrap().count(), records.len());
    world.require_form_of_keys();

    let devices = world.store.all_devices().await.unwrap();
    for device in &devices {
        let known = model.devices.get(&device.id).expect("a device of the model");
        let stored = (device.name.clone(), device.security_mode, device.certificate_id);
        assert_eq!(stored, (format!("Device {}", known.name), mode(known.secure), known.certificate));
        let password = world.store.device_password(device.id).await.unwrap();
        assert_eq!(password.map(|it| it.to_string()), known.password.map(|it| format!("password {it}")));
    }
    assert_eq!(devices.len(), model.devices.len());

    let page = world.store.trust_entries(None, PageRequest::default()).await.unwrap();
    let trust: BTreeSet<(usize, &'static str)> = page
        .items
        .iter()
        .map(|entry| {
            let thumbprint = entry.chain.leaf().thumbprint_sha256();
            let server = world.servers.iter().position(|known| known.thumbprint_sha256() == thumbprint);
            (server.expect("a known server"), entry.list.as_str())
        })
        .collect();
    assert_eq!(trust, model.trust);
    assert_eq!(world.store.verify_audit(&[]).await.unwrap().faults, []);
}

/// `KOIOS_MODEL_CASES` asks for a longer run.
fn cases() -> u32 {
    std::env::var("KOIOS_MODEL_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn r4_r9_r10_every_sequence_of_operations_keeps_the_invariants(
        steps in proptest::collection::vec(step(), 1..40)
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            let mut model = Model::default();
            for step in steps {
                run(&mut world, &mut model, step).await;
                check(&world, &model).await;
            }
            world.reopen().await;
            check(&world, &model).await;
            let directory = DirectoryCheck::to_read(world.options()).unwrap();
            let mut found = directory.examine(|_, _| {}).await;
            // What a restore has kept is told for information.
            found.retain(|finding| finding.severity() >= Severity::Warning);
            assert_eq!(found, []);
        });
    }
}

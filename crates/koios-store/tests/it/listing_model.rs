//! Lists against a naive model: whatever changed before, a list shows what reading every row and looking at each would.

use std::collections::BTreeSet;

use koios_pki::SecurityMode;
use koios_store::{
    Apply, CertificateId, CertificatePatch, CertificateQuery, CertificateRecord, CertificateSortKey,
    CertificateStatus, Device, DeviceFilter, DeviceId, DeviceQuery, DeviceSettings, DeviceSortKey, Direction,
    Name, Page, PageRequest, Sort, Store, StoreOptions,
};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use crate::fixture::{EXPIRING_SOON, Fixture, chain_with, name, new_certificate, replacement};

/// Folding, composing and escaping would show in these.
const TEXTS: [&str; 12] = [
    "Plant A",
    "PLANT b",
    "Straße 1",
    "STRASSE 2",
    "e\u{301}cluse",
    "ÉCLUSE 7",
    "100%",
    "under_score",
    "ΟΔΟΣ",
    "a\\b'c",
    "İzmir",
    "7",
];

const SEARCHES: [&str; 13] =
    ["", " ", "plant", "STRASSE", "straße", "é", "%", "_", "οδος", "\\b'", "7", "i", "press7"];

#[derive(Clone, Debug)]
enum Step {
    CreateDevice { text: usize, mode: usize, certificate: Option<usize> },
    Import { text: usize, mode: usize },
    Change { device: usize, text: usize, mode: usize, certificate: Option<usize> },
    Enable { device: usize, enabled: bool },
    DeleteDevice { device: usize },
    CreateCertificate { text: usize, make_default: bool, assign: Option<usize>, days: i64 },
    Rename { certificate: usize, text: usize },
    Describe { certificate: usize, text: Option<usize> },
    Regenerate { certificate: usize },
    DeleteCertificate { certificate: usize },
    SetDefault { certificate: usize },
    Assign { certificate: usize, device: usize, assign: bool },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let (text, index, mode) = (0..TEXTS.len(), 0..5usize, 0..3usize);
    let some = proptest::option::of(index.clone());
    prop_oneof![
        4 => (text.clone(), mode.clone(), some.clone())
            .prop_map(|(text, mode, certificate)| Step::CreateDevice { text, mode, certificate }),
        1 => (text.clone(), mode.clone()).prop_map(|(text, mode)| Step::Import { text, mode }),
        3 => (index.clone(), text.clone(), mode, some.clone())
            .prop_map(|(device, text, mode, certificate)| Step::Change { device, text, mode, certificate }),
        1 => (index.clone(), any::<bool>()).prop_map(|(device, enabled)| Step::Enable { device, enabled }),
        2 => index.clone().prop_map(|device| Step::DeleteDevice { device }),
        4 => (text.clone(), any::<bool>(), some, prop_oneof![Just(-5i64), Just(10), Just(400)])
            .prop_map(|(text, make_default, assign, days)| Step::CreateCertificate { text, make_default, assign, days }),
        1 => (index.clone(), text.clone()).prop_map(|(certificate, text)| Step::Rename { certificate, text }),
        1 => (index.clone(), proptest::option::of(text))
            .prop_map(|(certificate, text)| Step::Describe { certificate, text }),
        1 => index.clone().prop_map(|certificate| Step::Regenerate { certificate }),
        2 => index.clone().prop_map(|certificate| Step::DeleteCertificate { certificate }),
        2 => index.clone().prop_map(|certificate| Step::SetDefault { certificate }),
        2 => (index.clone(), index, any::<bool>())
            .prop_map(|(certificate, device, assign)| Step::Assign { certificate, device, assign }),
        1 => Just(Step::Reopen),
    ]
}

const MODES: [SecurityMode; 3] = [SecurityMode::None, SecurityMode::Sign, SecurityMode::SignAndEncrypt];

fn settings(text: usize, mode: usize, certificate: Option<CertificateId>) -> DeviceSettings {
    let mut settings =
        DeviceSettings::new(name(TEXTS[text]), format!("opc.tcp://Press{}.example:4840/%7E", text % 8));
    settings.description = text.is_multiple_of(3).then(|| TEXTS[(text + 5) % TEXTS.len()].to_owned());
    settings.security_mode = MODES[mode];
    settings.certificate_id = certificate;
    settings
}

/// What is refused, such as a name that is taken, changes nothing, and the lists must agree on that too.
async fn run(fixture: Fixture, step: Step) -> Fixture {
    let store = &fixture.store;
    let devices: Vec<DeviceId> = store.all_devices().await.unwrap().iter().map(|device| device.id).collect();
    let certificates: Vec<CertificateId> = fixture.all().await.iter().map(|record| record.id).collect();
    let device = |index: usize| devices.get(index).copied();
    let certificate = |index: usize| certificates.get(index).copied();
    match step {
        Step::CreateDevice { text, mode, certificate: named } => {
            let _ =
                store.create_device(settings(text, mode, named.and_then(certificate)), text % 2 == 0).await;
        }
        Step::Import { text, mode } => {
            let two = [text, (text + 1) % TEXTS.len()].map(|text| (settings(text, mode, None), true));
            let _ = store.import_devices(two.to_vec(), Apply::Commit).await;
        }
        Step::Change { device: index, text, mode, certificate: named } => {
            if let Some(id) = device(index) {
                let _ =
                    store.update_device(id, settings(text, mode, named.and_then(certificate)), None).await;
            }
        }
        Step::Enable { device: index, enabled } => {
            if let Some(id) = device(index) {
                store.set_enabled(id, enabled).await.unwrap();
            }
        }
        Step::DeleteDevice { device: index } => {
            if let Some(id) = device(index) {
                store.delete_device(id, None).await.unwrap();
            }
        }
        Step::CreateCertificate { text, make_default, assign, days } => {
            let mut new = new_certificate(TEXTS[text]);
            let from = OffsetDateTime::now_utc() + Duration::days(days.min(0) * 2);
            let uri = format!("urn:koios:press{text}:%7E_{text}");
            new.chain = chain_with(TEXTS[(text * 5) % 4], &uri, from, u32::try_from(days.abs()).unwrap());
            new.make_default = make_default;
            new.assign_to = assign.and_then(device).into_iter().collect();
            let _ = store.create_certificate(new).await;
        }
        Step::Rename { certificate: index, text } => {
            if let Some(id) = certificate(index) {
                let mut patch = CertificatePatch::default();
                patch.name = Some(name(TEXTS[text]));
                let _ = store.update_certificate(id, patch, None).await;
            }
        }
        Step::Describe { certificate: index, text } => {
            if let Some(id) = certificate(index) {
                let mut patch = CertificatePatch::default();
                patch.description = Some(text.map(|text| TEXTS[text].to_owned()));
                store.update_certificate(id, patch, None).await.unwrap();
            }
        }
        Step::Regenerate { certificate: index } => {
            if let Some(id) = certificate(index) {
                let mut pair = replacement();
                pair.allow_uri_change = true;
                store.replace_key_pair(id, pair, Apply::Commit).await.unwrap();
            }
        }
        Step::DeleteCertificate { certificate: index } => {
            if let Some(id) = certificate(index) {
                let _ = store.delete_certificate(id, Apply::Commit, None).await;
            }
        }
        Step::SetDefault { certificate: index } => {
            if let Some(id) = certificate(index) {
                store.set_default(id, Apply::Commit).await.unwrap();
            }
        }
        Step::Assign { certificate: index, device: of, assign } => {
            if let (Some(id), Some(of)) = (certificate(index), device(of)) {
                let (assigned, unassigned) = if assign { (vec![of], vec![]) } else { (vec![], vec![of]) };
                store.assign_devices(id, &assigned, &unassigned, Apply::Commit).await.unwrap();
            }
        }
        Step::Reopen => return fixture.reopened().await,
    }
    fixture
}

/// As names are compared.
fn fold(text: &str) -> String {
    Name::parse(text).map_or_else(|_| String::new(), |name| name.folded())
}

fn mention<'a>(texts: impl IntoIterator<Item = Option<&'a str>>, q: &str) -> bool {
    texts.into_iter().flatten().any(|text| fold(text).contains(&fold(q)))
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i128),
    Text(String),
}

/// Sorts naively; equal values are ordered by id, ascending, in both directions.
fn sorted<T>(mut items: Vec<T>, direction: Direction, place: impl Fn(&T) -> (Value, String)) -> Vec<T> {
    items.sort_by(|a, b| {
        let ((a, a_id), (b, b_id)) = (place(a), place(b));
        let by_value = if direction == Direction::Ascending { a.cmp(&b) } else { b.cmp(&a) };
        by_value.then(a_id.cmp(&b_id))
    });
    items
}

fn take<T>(page: Page<T>, all: &mut Vec<T>, total: usize) -> Option<String> {
    assert_eq!(page.total, u64::try_from(total).unwrap());
    all.extend(page.items);
    assert!(all.len() <= total, "a cursor leads back");
    page.next_cursor
}

async fn check_devices(store: &Store, direction: Direction, limit: usize) {
    let all = store.all_devices().await.unwrap();
    let default = store.default_certificate().await.unwrap().map(|record| record.id);
    let uses = |device: &Device| {
        device.certificate_id.or(default).filter(|_| device.security_mode.needs_certificate())
    };
    let certificates: BTreeSet<Option<CertificateId>> = all.iter().map(uses).chain([None]).collect();
    let every_other: BTreeSet<DeviceId> = all.iter().step_by(2).map(|device| device.id).collect();
    for (number, q) in SEARCHES.into_iter().enumerate() {
        for &key in DeviceSortKey::ALL {
            for certificate in &certificates {
                let mut query = DeviceQuery::default();
                query.q = (number > 0).then(|| q.to_owned());
                query.sort = Sort { key, direction };
                query.certificate_id = *certificate;
                query.enabled = [None, None, Some(true), Some(false)][number % 4];
                query.security_mode = (number % 5 == 4).then_some(SecurityMode::Sign);
                if number % 3 == 2 {
                    let ids = every_other.clone();
                    query.filter = Some(DeviceFilter::new(move |id, _| ids.contains(&id)));
                }
                let mut expected = all.clone();
                expected.retain(|device| {
                    mention(
                        [
                            Some(device.name.as_str()),
                            device.description.as_deref(),
                            Some(&device.endpoint_url),
                        ],
                        q,
                    ) && query.enabled.is_none_or(|enabled| device.enabled == enabled)
                        && query.security_mode.is_none_or(|mode| device.security_mode == mode)
                        && certificate.is_none_or(|id| uses(device) == Some(id))
                        && (number % 3 != 2 || every_other.contains(&device.id))
                });
                let expected = sorted(expected, direction, |device| {
                    let value = match key {
                        DeviceSortKey::EndpointUrl => Value::Text(device.endpoint_url.clone()),
                        DeviceSortKey::CreatedAt => Value::Number(device.created_at.unix_timestamp_nanos()),
                        _ => Value::Text(fold(&device.name)),
                    };
                    (value, device.id.to_string())
                });
                let mut found = Vec::new();
                query.page = PageRequest::new(limit, None);
                loop {
                    let page = store.devices(query.clone()).await.unwrap();
                    query.page.cursor = take(page, &mut found, expected.len());
                    if query.page.cursor.is_none() {
                        break;
                    }
                }
                assert_eq!(found, expected, "{query:?}");
            }
        }
    }
    for id in certificates.into_iter().flatten() {
        let users = store.devices_of(id, PageRequest::new(500, None)).await.unwrap();
        let expected: Vec<_> = all.iter().filter(|device| uses(device) == Some(id)).cloned().collect();
        let expected = sorted(expected, Direction::Ascending, |device| {
            (Value::Text(fold(&device.name)), device.id.to_string())
        });
        let ids = |devices: Vec<Device>| devices.into_iter().map(|device| device.id).collect::<Vec<_>>();
        assert_eq!(users.items.iter().map(|device| device.id).collect::<Vec<_>>(), ids(expected));
    }
}

async fn check_certificates(fixture: &Fixture, direction: Direction, limit: usize) {
    let (all, now) = (fixture.all().await, OffsetDateTime::now_utc());
    for (number, q) in SEARCHES.into_iter().enumerate() {
        for &key in CertificateSortKey::ALL {
            let statuses = match number % 4 {
                0 => vec![],
                1 => vec![CertificateStatus::Expired],
                2 => vec![CertificateStatus::Valid, CertificateStatus::Expired],
                _ => vec![CertificateStatus::ExpiringSoon, CertificateStatus::MissingFiles],
            };
            let mut expected = all.clone();
            expected.retain(|record| {
                let leaf = record.chain.leaf();
                let thumbprints = [leaf.thumbprint_sha1().to_string(), leaf.thumbprint_sha256().to_string()];
                let has = record.statuses(now, EXPIRING_SOON);
                mention(
                    [
                        Some(record.name.as_str()),
                        record.description.as_deref(),
                        leaf.common_name(),
                        leaf.application_uri(),
                        Some(&thumbprints[0]),
                        Some(&thumbprints[1]),
                    ],
                    q,
                ) && (statuses.is_empty() || has.iter().any(|status| statuses.contains(status)))
            });
            let expected = sorted(expected, direction, |record| (value(record, key), record.id.to_string()));
            let mut query = CertificateQuery::default();
            query.q = Some(q.to_owned());
            query.statuses = statuses;
            query.sort = Sort { key, direction };
            query.page = PageRequest::new(limit, None);
            let mut found = Vec::new();
            loop {
                let page = fixture.store.certificates(query.clone(), now, EXPIRING_SOON).await.unwrap();
                query.page.cursor = take(page, &mut found, expected.len());
                if query.page.cursor.is_none() {
                    break;
                }
            }
            let shown = |records: &[CertificateRecord]| {
                records
                    .iter()
                    .map(|record| (record.id, record.revision, record.device_count))
                    .collect::<Vec<_>>()
            };
            assert_eq!(shown(&found), shown(&expected), "{query:?}");
        }
    }
}

fn value(record: &CertificateRecord, key: CertificateSortKey) -> Value {
    match key {
        CertificateSortKey::CommonName => {
            Value::Text(record.chain.leaf().common_name().map(fold).unwrap_or_default())
        }
        CertificateSortKey::NotAfter => {
            Value::Number(record.chain.leaf().validity().not_after.unix_timestamp_nanos())
        }
        CertificateSortKey::DeviceCount => Value::Number(record.device_count.into()),
        CertificateSortKey::CreatedAt => Value::Number(record.created_at.unix_timestamp_nanos()),
        _ => Value::Text(fold(&record.name)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_changed_every_list_is_that_of_the_naive_model(
        steps in proptest::collection::vec(step(), 1..14), limit in 1..6usize
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut fixture = Fixture::new().await;
            for (number, step) in steps.into_iter().enumerate() {
                fixture = run(fixture, step).await;
                let direction = [Direction::Ascending, Direction::Descending][number % 2];
                check_devices(&fixture.store, direction, limit).await;
                check_certificates(&fixture, direction, limit).await;
            }
        });
    }
}

/// A change by another process, as a command beside the daemon or a second handle may make, shows in the next list.
#[tokio::test]
async fn a_list_knows_what_another_handle_committed() {
    let fixture = Fixture::new().await;
    fixture.device("Press 1", SecurityMode::None, None).await;
    let reader = Store::open_for_reading(StoreOptions::new(fixture.path())).await.unwrap();
    let search = || {
        let mut query = DeviceQuery::default();
        query.q = Some("press".to_owned());
        let store = reader.clone();
        async move {
            let found = store.devices(query).await.unwrap().items;
            found.into_iter().map(|device| device.name).collect::<Vec<_>>()
        }
    };
    assert_eq!(search().await, ["Press 1"]);
    let second = fixture.device("Press 2", SecurityMode::None, None).await;
    assert_eq!(search().await, ["Press 1", "Press 2"]);
    fixture.store.delete_device(second.id, None).await.unwrap();
    assert_eq!(search().await, ["Press 1"]);
    reader.close().await;
}

//! Lists: searching, filtering, sorting and pages.

use koios_pki::SecurityMode;
use koios_store::{
    Apply, CertificateQuery, CertificateRecord, CertificateSortKey, CertificateStatus, DeviceFilter,
    DeviceId, DeviceQuery, DeviceSortKey, Direction, Page, PageRequest, Sort, StoreError,
};
use time::{Duration, OffsetDateTime};

use crate::fixture::{EXPIRING_SOON, Fixture, chain_with, new_certificate, settings};

async fn list(fixture: &Fixture, query: CertificateQuery) -> Page<CertificateRecord> {
    fixture.store.certificates(query, OffsetDateTime::now_utc(), EXPIRING_SOON).await.unwrap()
}

fn names(page: &Page<CertificateRecord>) -> Vec<&str> {
    page.items.iter().map(|record| record.name.as_str()).collect()
}

fn sorted(key: CertificateSortKey, direction: Direction) -> CertificateQuery {
    let mut query = CertificateQuery::default();
    query.sort = Sort { key, direction };
    query
}

async fn with_three() -> Fixture {
    let fixture = Fixture::new().await;
    let now = OffsetDateTime::now_utc();
    for (name, common_name, uri, days) in
        [("beta", "Koios@z", "urn:koios:z:one", 400), ("Alpha", "Koios@y", "urn:koios:y:two", 500)]
    {
        let mut new = new_certificate(name);
        new.chain = chain_with(common_name, uri, now, days);
        fixture.store.create_certificate(new).await.unwrap();
    }
    let mut expired = new_certificate("gamma");
    expired.description = Some("Line 7, Halle Süd".to_owned());
    expired.chain = chain_with("Koios@x", "urn:koios:x:three", now - Duration::days(20), 10);
    fixture.store.create_certificate(expired).await.unwrap();
    fixture
}

#[tokio::test]
async fn r2_the_list_is_sorted_as_asked_ties_by_id() {
    let fixture = with_three().await;
    use CertificateSortKey::{CommonName, CreatedAt, DeviceCount, Name, NotAfter};
    use Direction::{Ascending, Descending};
    for (key, direction, expected) in [
        (Name, Ascending, ["Alpha", "beta", "gamma"]),
        (Name, Descending, ["gamma", "beta", "Alpha"]),
        (CommonName, Ascending, ["gamma", "Alpha", "beta"]),
        (NotAfter, Ascending, ["gamma", "beta", "Alpha"]),
        (CreatedAt, Descending, ["gamma", "Alpha", "beta"]),
        (DeviceCount, Descending, ["beta", "Alpha", "gamma"]),
    ] {
        let page = list(&fixture, sorted(key, direction)).await;
        assert_eq!(names(&page), expected, "{key} {direction:?}");
    }
}

#[tokio::test]
async fn the_search_looks_at_names_descriptions_uris_and_thumbprints_without_case() {
    let fixture = with_three().await;
    let beta = list(&fixture, CertificateQuery::default()).await.items.remove(1);
    let sha1 = beta.chain.leaf().thumbprint_sha1().to_string();
    let sha256 = beta.chain.leaf().thumbprint_sha256().to_string();
    for (q, expected) in [
        ("ALPH", vec!["Alpha"]),
        (" halle süd ", vec!["gamma"]),
        ("koios@", vec!["Alpha", "beta", "gamma"]),
        ("urn:koios:z", vec!["beta"]),
        (&sha1.to_lowercase(), vec!["beta"]),
        (&sha256[10..40], vec!["beta"]),
        ("", vec!["Alpha", "beta", "gamma"]),
        ("100%", vec![]),
        ("_", vec![]),
    ] {
        let mut query = CertificateQuery::default();
        query.q = Some(q.to_owned());
        assert_eq!(names(&list(&fixture, query).await), expected, "{q}");
    }
}

#[tokio::test]
async fn r3_the_list_is_filtered_by_any_of_several_statuses() {
    let fixture = with_three().await;
    let alpha = list(&fixture, CertificateQuery::default()).await.items.remove(0).id;
    std::fs::remove_file(fixture.file(alpha, 1, "chain.pem")).unwrap();
    use CertificateStatus::{Expired, MissingFiles, NotYetValid, Valid};
    for (statuses, expected) in [
        (vec![Valid], vec!["beta"]),
        (vec![Expired], vec!["gamma"]),
        (vec![MissingFiles], vec!["Alpha"]),
        (vec![Valid, Expired], vec!["beta", "gamma"]),
        (vec![NotYetValid], vec![]),
    ] {
        let mut query = CertificateQuery::default();
        query.statuses = statuses;
        let page = list(&fixture, query).await;
        assert_eq!(names(&page), expected);
        assert_eq!(
            page.total,
            u64::try_from(expected.len()).unwrap(),
            "the total counts what the filter lets through"
        );
    }
}

#[tokio::test]
async fn an_overview_tells_every_certificate_with_its_files_as_they_were_last_looked_at() {
    let fixture = with_three().await;
    let now = OffsetDateTime::now_utc();
    let overview = || async {
        let overview = fixture.store.certificate_overview().await.unwrap();
        let mut all: Vec<_> = overview
            .certificates
            .into_iter()
            .map(|certificate| {
                (certificate.name.clone(), certificate.validity, certificate.statuses(now, EXPIRING_SOON))
            })
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    let records = || async {
        let shown = |record: CertificateRecord| {
            let statuses = record.statuses(now, EXPIRING_SOON);
            (record.name, record.chain.leaf().validity(), statuses)
        };
        list(&fixture, CertificateQuery::default()).await.items.into_iter().map(shown).collect::<Vec<_>>()
    };
    let before = overview().await;
    assert_eq!(before, records().await);
    let alpha = list(&fixture, CertificateQuery::default()).await.items.remove(0).id;
    std::fs::remove_file(fixture.file(alpha, 1, "chain.pem")).unwrap();
    assert_eq!(overview().await, before, "nobody looked");
    fixture.store.look_at_files().await.unwrap();
    assert_eq!(overview().await, records().await);
    assert_ne!(overview().await, before);
    // What was added since is believed to have its files; what was deleted is gone at once.
    fixture.certificate("Delta").await;
    fixture.store.delete_certificate(alpha, Apply::Commit, None).await.unwrap();
    let names: Vec<_> = overview().await.into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["Delta", "beta", "gamma"]);
    assert_eq!(overview().await[0].2, [CertificateStatus::Valid]);
}

#[tokio::test]
async fn certificates_are_read_by_their_ids() {
    let fixture = with_three().await;
    let all = list(&fixture, CertificateQuery::default()).await.items;
    let ids = [all[2].id, all[0].id, all[2].id];
    let mut found = fixture.store.certificates_by_id(&ids).await.unwrap();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(found.iter().map(|record| record.id).collect::<Vec<_>>(), [all[0].id, all[2].id]);
    fixture.store.delete_certificate(all[2].id, Apply::Commit, None).await.unwrap();
    assert_eq!(fixture.store.certificates_by_id(&ids).await.unwrap().len(), 1);
    assert!(fixture.store.certificates_by_id(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cursor_survives_inserts_and_deletes_between_pages() {
    let fixture = Fixture::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        fixture.certificate(name).await;
    }
    let mut query = CertificateQuery::default();
    query.page.limit = 2;
    let first = list(&fixture, query.clone()).await;
    assert_eq!((names(&first), first.total), (vec!["a", "b"], 5));
    fixture.store.delete_certificate(first.items[1].id, Apply::Commit, None).await.unwrap();
    fixture.certificate("aa").await;
    fixture.certificate("cc").await;
    query.page.cursor = first.next_cursor;
    let second = list(&fixture, query.clone()).await;
    assert_eq!(names(&second), ["c", "cc"]);
    query.page.cursor = second.next_cursor;
    let third = list(&fixture, query.clone()).await;
    assert_eq!((names(&third), &third.next_cursor), (vec!["d", "e"], &None));
}

#[tokio::test]
async fn cursors_that_were_not_handed_out_are_refused() {
    let fixture = with_three().await;
    let mut query = sorted(CertificateSortKey::NotAfter, Direction::Ascending);
    query.page.limit = 1;
    let cursor = list(&fixture, query).await.next_cursor;
    let mut other_order = sorted(CertificateSortKey::Name, Direction::Ascending);
    other_order.page.cursor = cursor;
    // As the pages' own, with a text where the order has numbers.
    let json = serde_json::json!({ "s": "not_after", "v": { "t": "9" }, "i": "0" }).to_string();
    let mut forged = sorted(CertificateSortKey::NotAfter, Direction::Ascending);
    forged.page.cursor = Some(json.bytes().map(|byte| format!("{byte:02x}")).collect());
    for query in [other_order, forged, {
        let mut garbage = CertificateQuery::default();
        garbage.page.cursor = Some("zz'; DROP TABLE certificates; --".to_owned());
        garbage
    }] {
        let refused = fixture.store.certificates(query, OffsetDateTime::now_utc(), EXPIRING_SOON).await;
        assert!(matches!(refused, Err(StoreError::InvalidCursor)));
    }
}

#[tokio::test]
async fn devices_are_filtered_by_everything_at_once() {
    let fixture = Fixture::new().await;
    let default = fixture.certificate("Default").await.id;
    let other = fixture.certificate("Other").await.id;
    for (name, mode, certificate, enabled) in [
        ("Press 1", SecurityMode::Sign, None, true),
        ("Press 2", SecurityMode::Sign, Some(other), false),
        ("Oven", SecurityMode::SignAndEncrypt, Some(default), true),
        ("Mixer", SecurityMode::None, Some(default), true),
    ] {
        let mut settings = settings(name, mode);
        settings.certificate_id = certificate;
        settings.endpoint_url = format!("opc.tcp://{}:4840", name.to_lowercase().replace(' ', "-"));
        fixture.store.create_device(settings, enabled).await.unwrap();
    }
    let ask = |change: fn(&mut DeviceQuery, koios_store::CertificateId), id| {
        let mut query = DeviceQuery::default();
        change(&mut query, id);
        let store = fixture.store.clone();
        async move {
            let page = store.devices(query).await.unwrap();
            page.items.into_iter().map(|device| device.name).collect::<Vec<_>>()
        }
    };
    assert_eq!(ask(|_, _| {}, default).await, ["Mixer", "Oven", "Press 1", "Press 2"]);
    assert_eq!(
        ask(|query, id| query.certificate_id = Some(id), default).await,
        ["Oven", "Press 1"],
        "effective"
    );
    assert_eq!(ask(|query, id| query.certificate_id = Some(id), other).await, ["Press 2"]);
    assert_eq!(ask(|query, _| query.enabled = Some(false), other).await, ["Press 2"]);
    assert_eq!(ask(|query, _| query.security_mode = Some(SecurityMode::None), other).await, ["Mixer"]);
    assert_eq!(ask(|query, _| query.q = Some("PRESS-".to_owned()), other).await, ["Press 1", "Press 2"]);
    assert_eq!(
        ask(
            |query, id| {
                query.q = Some("press".to_owned());
                query.certificate_id = Some(id);
                query.enabled = Some(true);
            },
            default
        )
        .await,
        ["Press 1"]
    );
    let oven = fixture.store.all_devices().await.unwrap()[2].id;
    let mut query = DeviceQuery::default();
    query.filter = Some(DeviceFilter::new(move |id, enabled| id == oven && enabled));
    assert_eq!(fixture.store.devices(query).await.unwrap().items[0].name, "Oven");
    let mut query = DeviceQuery::default();
    query.sort = Sort { key: DeviceSortKey::CreatedAt, direction: Direction::Descending };
    assert_eq!(fixture.store.devices(query).await.unwrap().items[0].name, "Mixer");
    let enabled: Vec<_> =
        fixture.store.enabled_devices().await.unwrap().into_iter().map(|d| d.name).collect();
    assert_eq!(enabled, ["Press 1", "Oven", "Mixer"]);
}

/// The database's own order against the one that is made here from all of them.
#[tokio::test]
async fn a_page_of_certificates_found_by_its_order_is_the_page_of_the_whole_list() {
    let fixture = Fixture::new().await;
    let now = OffsetDateTime::now_utc();
    for number in 0..13_u32 {
        // People would put them into another order than their bytes have.
        let first = ["Ä", "b", "C", "z", "-a"][usize::try_from(number % 5).unwrap()];
        let mut new = new_certificate(&format!("{first} Plant {}", (number * 5) % 13));
        new.chain = chain_with("Koios@x", &format!("urn:koios:x:{number}"), now, 100 + number % 4);
        fixture.store.create_certificate(new).await.unwrap();
    }
    for &key in CertificateSortKey::ALL {
        for direction in [Direction::Ascending, Direction::Descending] {
            for limit in [1, 5, 13, 100] {
                let mut query = sorted(key, direction);
                query.page.limit = limit;
                loop {
                    let found = list(&fixture, query.clone()).await;
                    let mut whole = query.clone();
                    // Every certificate has one of them, but only here that is known.
                    whole.statuses = CertificateStatus::ALL.to_vec();
                    let whole = list(&fixture, whole).await;
                    assert_eq!(names(&found), names(&whole), "{key:?} {direction:?} {limit}");
                    assert_eq!(found.next_cursor, whole.next_cursor);
                    assert_eq!(found.total, 13);
                    query.page.cursor = found.next_cursor;
                    if query.page.cursor.is_none() {
                        break;
                    }
                }
            }
        }
    }
}

/// The database's own order against the one that is made here from all of them.
#[tokio::test]
async fn a_page_found_by_its_order_is_the_page_of_the_whole_list() {
    let fixture = Fixture::new().await;
    for number in 0..23 {
        let mode = [SecurityMode::None, SecurityMode::Sign, SecurityMode::SignAndEncrypt][number % 3];
        // People would put them into another order than their bytes have.
        let first = ["Ä", "b", "C", "z", "-a"][number % 5];
        let mut settings = settings(&format!("{first} Press {}", (number * 7) % 23), mode);
        settings.endpoint_url = format!("opc.tcp://{}{}:4840/", ["press", "OVEN"][number % 2], number % 4);
        fixture.store.create_device(settings, number % 2 == 0).await.unwrap();
    }
    let all: Vec<_> =
        fixture.store.all_devices().await.unwrap().into_iter().map(|device| device.id).collect();
    for &key in DeviceSortKey::ALL {
        for direction in [Direction::Ascending, Direction::Descending] {
            for (enabled, mode) in [
                (None, None),
                (Some(true), None),
                (None, Some(SecurityMode::Sign)),
                (Some(false), Some(SecurityMode::None)),
            ] {
                for limit in [1, 5, 100] {
                    let query = |ids: Option<Vec<DeviceId>>, cursor: Option<String>| {
                        let mut query = DeviceQuery::default();
                        query.sort = Sort { key, direction };
                        (query.enabled, query.security_mode) = (enabled, mode);
                        query.filter = ids.map(|ids| DeviceFilter::new(move |id, _| ids.contains(&id)));
                        query.page = PageRequest::new(limit, cursor);
                        query
                    };
                    let mut cursor = None;
                    loop {
                        let found = fixture.store.devices(query(None, cursor.clone())).await.unwrap();
                        let whole = fixture.store.devices(query(Some(all.clone()), cursor)).await.unwrap();
                        assert_eq!(found, whole, "{key:?} {direction:?} {enabled:?} {mode:?} {limit}");
                        cursor = found.next_cursor;
                        if cursor.is_none() {
                            break;
                        }
                    }
                }
            }
        }
    }
    let mut query = DeviceQuery::default();
    query.page.cursor = Some("nonsense".to_owned());
    assert!(matches!(fixture.store.devices(query).await, Err(StoreError::InvalidCursor)));
}

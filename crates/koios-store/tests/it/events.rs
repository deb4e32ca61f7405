//! What commits tell, and in which order.

use std::sync::Arc;

use koios_pki::SecurityMode;
use koios_store::{
    Apply, CertificatePatch, Committed, EndReason, Rejection, Store, StoreEvent, TrustListName,
};
use time::{Duration, OffsetDateTime};
use tokio::sync::broadcast::Receiver;

use crate::fixture::{Fixture, chain, name, new_certificate, settings, settings_with};

/// Everything told so far.
fn told(events: &mut Receiver<Arc<Committed>>) -> Vec<StoreEvent> {
    let mut told = Vec::new();
    while let Ok(committed) = events.try_recv() {
        told.extend(committed.events.iter().cloned());
    }
    told
}

fn kind(event: &StoreEvent) -> &'static str {
    match event {
        StoreEvent::CertificateCreated(_) => "certificate created",
        StoreEvent::CertificateDeleted { .. } => "certificate deleted",
        StoreEvent::CertificateExpired(_) => "certificate expired",
        StoreEvent::CertificateExpiring(_) => "certificate expiring",
        StoreEvent::CertificateRegenerated { .. } => "certificate regenerated",
        StoreEvent::CertificateUpdated(_) => "certificate updated",
        StoreEvent::DefaultChanged { .. } => "default changed",
        StoreEvent::DeviceCreated(_) => "device created",
        StoreEvent::DeviceDeleted(_) => "device deleted",
        StoreEvent::DeviceUpdated(_) => "device updated",
        StoreEvent::ServerCertificateChanged { .. } => "server certificate changed",
        StoreEvent::ServerCertificateRejected { .. } => "server certificate rejected",
        StoreEvent::ServerCertificateSeen { .. } => "server certificate seen",
        _ => "unknown",
    }
}

fn kinds(events: &mut Receiver<Arc<Committed>>) -> Vec<&'static str> {
    told(events).iter().map(kind).collect()
}

#[tokio::test]
async fn what_is_committed_is_told_and_nothing_else() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let mut events = store.events();
    let first = fixture.certificate("Default").await;
    let mut new = new_certificate("Other");
    let device = fixture.device("Press", SecurityMode::Sign, None).await;
    assert_eq!(kinds(&mut events), ["certificate created", "default changed", "device created"]);
    new.make_default = true;
    new.assign_to = vec![device.id];
    let other = store.create_certificate(new).await.unwrap();
    let told = told(&mut events);
    let [
        StoreEvent::CertificateCreated(created),
        StoreEvent::DefaultChanged { certificate, previous: Some(previous) },
        StoreEvent::DeviceUpdated(updated),
    ] = told.as_slice()
    else {
        panic!("{told:?}")
    };
    assert_eq!((created.id, created.device_count), (other.id, 1));
    assert_eq!((certificate.id, certificate.is_default, previous.id), (other.id, true, first.id));
    assert_eq!((updated.id, updated.revision, updated.certificate_id), (device.id, 2, Some(other.id)));

    // Dry runs, refusals, and what changes nothing.
    store.delete_certificate(first.id, Apply::DryRun, None).await.unwrap();
    store.set_default(first.id, Apply::DryRun).await.unwrap();
    store.set_default(other.id, Apply::Commit).await.unwrap();
    store.update_certificate(other.id, CertificatePatch::default(), None).await.unwrap();
    store.set_enabled(device.id, false).await.unwrap();
    assert!(store.create_certificate(new_certificate("Other")).await.is_err());
    assert!(
        store
            .import_devices(vec![(settings("Press", SecurityMode::None), false)], Apply::Commit)
            .await
            .is_err()
    );
    store.forget_pin(device.id).await.unwrap();
    assert_eq!(kinds(&mut events), [""; 0]);

    store.set_default(first.id, Apply::Commit).await.unwrap();
    let mut patch = CertificatePatch::default();
    patch.name = Some(name("Another"));
    store.update_certificate(other.id, patch, None).await.unwrap();
    store.assign_devices(first.id, &[device.id], &[], Apply::Commit).await.unwrap();
    store.assign_devices(other.id, &[device.id], &[], Apply::Commit).await.unwrap();
    let imported =
        vec![(settings("A", SecurityMode::None), false), (settings("B", SecurityMode::None), false)];
    store.import_devices(imported, Apply::Commit).await.unwrap();
    store.pin_server_certificate(device.id, chain()).await.unwrap();
    store.forget_pin(device.id).await.unwrap();
    let expected = [
        "default changed",
        "certificate updated",
        "device updated",
        "device updated",
        "device created",
        "device created",
        "device updated",
        "device updated",
    ];
    assert_eq!(kinds(&mut events), expected);
}

#[tokio::test]
async fn what_is_gone_is_told_with_what_took_its_place() {
    let fixture = Fixture::new().await;
    let default = fixture.certificate("Default").await;
    let other = fixture.certificate("Other").await;
    let device = fixture.device("Press", SecurityMode::Sign, Some(other.id)).await;
    let mut events = fixture.store.events();
    fixture.regenerate(other.id).await;
    fixture.store.delete_certificate(other.id, Apply::Commit, None).await.unwrap();
    fixture.store.delete_device(device.id, None).await.unwrap();
    let told = told(&mut events);
    let [
        StoreEvent::CertificateRegenerated { certificate, previous, reason, affected_devices },
        StoreEvent::DeviceUpdated(reassigned),
        StoreEvent::CertificateDeleted {
            certificate: deleted,
            thumbprint_sha256,
            reassigned_devices,
            now_using,
        },
        StoreEvent::DeviceDeleted(gone),
    ] = told.as_slice()
    else {
        panic!("{told:?}")
    };
    assert_eq!((certificate.generation, previous, *reason), (2, &other.chain, EndReason::Regenerated));
    assert_eq!(affected_devices.iter().map(|device| device.id).collect::<Vec<_>>(), [device.id]);
    assert_eq!((reassigned.id, reassigned.certificate_id), (device.id, None));
    assert_eq!((deleted.id, deleted.name.as_str()), (other.id, "Other"));
    assert_eq!(*thumbprint_sha256, certificate.chain.leaf().thumbprint_sha256());
    assert_eq!(reassigned_devices.iter().map(|device| device.id).collect::<Vec<_>>(), [device.id]);
    assert_eq!(now_using.id, default.id);
    assert_eq!((gone.id, gone.name.as_str()), (device.id, "Press"));
}

#[tokio::test]
async fn server_certificates_are_told_when_they_are_new_not_each_time() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let device = fixture.device("Press", SecurityMode::Sign, None).await;
    let (old, new) = (chain(), chain());
    let thumbprint = |chain: &koios_pki::CertificateChain| chain.leaf().thumbprint_sha256();
    store.pin_server_certificate(device.id, old.clone()).await.unwrap();
    let mut events = store.events();
    let now = OffsetDateTime::now_utc();
    let minutes = |minutes| now + Duration::minutes(minutes);
    store.record_presented(device.id, old.clone(), now).await.unwrap();
    store.record_presented(device.id, old.clone(), minutes(2)).await.unwrap();
    store.record_presented(device.id, new.clone(), minutes(3)).await.unwrap();
    store.record_presented(device.id, new.clone(), minutes(5)).await.unwrap();
    store.record_presented(device.id, old.clone(), minutes(6)).await.unwrap();
    let seen = told(&mut events);
    let [
        StoreEvent::ServerCertificateSeen { certificate: first, device: Some(seen_by), .. },
        StoreEvent::ServerCertificateSeen { certificate: second, .. },
        StoreEvent::ServerCertificateChanged {
            certificate,
            previous_thumbprint_sha256,
            pinned_thumbprint_sha256,
            ..
        },
        StoreEvent::ServerCertificateChanged { certificate: back, .. },
    ] = seen.as_slice()
    else {
        panic!("{seen:?}")
    };
    assert_eq!((first.thumbprint_sha256(), seen_by.id), (thumbprint(&old), device.id));
    assert_eq!(second.thumbprint_sha256(), thumbprint(&new));
    assert_eq!(certificate.thumbprint_sha256(), thumbprint(&new));
    assert_eq!(
        (*previous_thumbprint_sha256, *pinned_thumbprint_sha256),
        (thumbprint(&old), Some(thumbprint(&old)))
    );
    assert_eq!(back.thumbprint_sha256(), thumbprint(&old));

    store.record_seen("opc.tcp://elsewhere:4840/", old.clone(), now).await.unwrap();
    store.record_seen("opc.tcp://elsewhere:4840/", old.clone(), now).await.unwrap();
    assert_eq!(kinds(&mut events), ["server certificate seen"]);

    let rejection = |device, code: &str, at| {
        let mut rejection = Rejection::new(new.clone(), code, "why", at);
        rejection.device = device;
        rejection
    };
    for rejection in [
        rejection(Some(device.id), "server_certificate_changed", now),
        rejection(Some(device.id), "server_certificate_changed", minutes(2)),
        rejection(Some(device.id), "server_certificate_expired", minutes(4)),
        // A Test that ended after its device was deleted.
        rejection(
            Some("01936d00-0000-7000-8000-000000000001".parse().unwrap()),
            "server_certificate_expired",
            minutes(5),
        ),
        rejection(None, "server_certificate_expired", minutes(6)),
        rejection(None, "server_certificate_untrusted", minutes(8)),
    ] {
        store.record_rejected(rejection).await.unwrap();
    }
    let rejected: Vec<_> = told(&mut events)
        .into_iter()
        .map(|event| match event {
            StoreEvent::ServerCertificateRejected { device, code, .. } => {
                (device.map(|device| device.name), code.unwrap())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let press = Some("Press".to_owned());
    let expected = [
        (press.clone(), "server_certificate_changed"),
        (press, "server_certificate_expired"),
        (None, "server_certificate_expired"),
        (None, "server_certificate_untrusted"),
    ];
    assert_eq!(rejected, expected.map(|(device, code)| (device, code.to_owned())));

    store.add_to_trust_list(TrustListName::Trusted, old.leaf().clone()).await.unwrap();
    store.reject_server_certificate(thumbprint(&old)).await.unwrap();
    let by_hand = told(&mut events);
    let [StoreEvent::ServerCertificateRejected { device: None, code: None, .. }] = by_hand.as_slice() else {
        panic!("{by_hand:?}")
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_are_told_in_their_order() {
    let fixture = Fixture::new().await;
    let device = fixture.device("Press", SecurityMode::None, None).await;
    let mut events = fixture.store.events();
    let update = |store: Store, number: usize| async move {
        let mut settings = settings("Press", SecurityMode::None);
        settings.description = Some(format!("{number}"));
        store.update_device(device.id, settings, None).await.unwrap();
    };
    let writers: Vec<_> = (0..32).map(|number| tokio::spawn(update(fixture.store.clone(), number))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let revisions: Vec<_> = told(&mut events)
        .into_iter()
        .map(|event| match event {
            StoreEvent::DeviceUpdated(device) => device.revision,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(revisions, (2..=33).collect::<Vec<_>>());
}

#[tokio::test]
async fn names_of_devices_are_found_by_their_ids() {
    let fixture = Fixture::new().await;
    let device =
        fixture.store.create_device(settings_with("Press", SecurityMode::None, None), false).await.unwrap();
    let gone = "01936d00-0000-7000-8000-000000000001".parse().unwrap();
    let names = fixture.store.device_names(&[device.id, gone]).await.unwrap();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), [(device.id, "Press".to_owned())]);
}

#[tokio::test]
async fn numbers_of_events_grow_from_start_to_start() {
    let fixture = Fixture::new().await;
    let now = OffsetDateTime::now_utc();
    let first = fixture.store.first_event_number(now).await.unwrap();
    let fixture = fixture.reopened().await;
    let second = fixture.store.first_event_number(now - Duration::days(1000)).await.unwrap();
    assert!(second > first + 1_000_000);
}

//! Pins, approvals, and what servers presented.

use koios_pki::SecurityMode;
use koios_store::{Change, PinOutcome, StoreError};
use time::{Duration, OffsetDateTime};

use crate::fixture::{Fixture, chain, is_not_found, settings};

#[tokio::test]
async fn r16_the_first_server_certificate_is_pinned_and_a_second_one_is_not() {
    let fixture = Fixture::new().await;
    let device = fixture.device("Press", SecurityMode::Sign, None).await.id;
    let (first, second) = (chain(), chain());
    let mut changes = fixture.store.changes();
    assert_eq!(
        fixture.store.pin_server_certificate(device, first.clone()).await.unwrap(),
        PinOutcome::Pinned
    );
    let outcome = fixture.store.pin_server_certificate(device, second).await.unwrap();
    assert_eq!(outcome, PinOutcome::AlreadyPinned(first.clone()));
    let stored = fixture.store.device(device).await.unwrap();
    assert_eq!((stored.pinned_server_certificate, stored.revision), (Some(first), 2));

    fixture.store.forget_pin(device).await.unwrap();
    fixture.store.forget_pin(device).await.unwrap();
    let stored = fixture.store.device(device).await.unwrap();
    assert_eq!((stored.pinned_server_certificate, stored.revision), (None, 3));
    assert_eq!(changes.try_recv(), Ok(Change::ServerCertificatePinned(device)));
    assert_eq!(changes.try_recv(), Ok(Change::PinForgotten(device)));
    assert!(changes.try_recv().is_err());
}

#[tokio::test]
async fn r16_another_host_or_port_is_another_server_whose_first_certificate_counts() {
    let fixture = Fixture::new().await;
    let (old, new) = (chain(), chain());
    for (url, kept) in [
        ("opc.tcp://press4:4840/", true),
        ("opc.tcp://PRESS4/another/path", true),
        ("opc.tcp://press4:4841/", false),
        ("opc.tcp://press5:4840/", false),
    ] {
        let device = fixture.device(url, SecurityMode::Sign, None).await.id;
        fixture.store.pin_server_certificate(device, old.clone()).await.unwrap();
        fixture.store.record_presented(device, old.clone(), OffsetDateTime::now_utc()).await.unwrap();
        let mut moved = settings(url, SecurityMode::Sign);
        moved.endpoint_url = url.to_owned();
        let answer = fixture.store.update_device(device, moved, None).await.unwrap();
        assert_eq!(answer.pinned_server_certificate, kept.then(|| old.clone()), "{url}");
        assert_eq!(fixture.store.device(device).await.unwrap(), answer);
        assert_eq!(fixture.store.presented(device).await.unwrap().is_some(), kept, "{url}");
        let outcome = fixture.store.pin_server_certificate(device, new.clone()).await.unwrap();
        let expected = if kept { PinOutcome::AlreadyPinned(old.clone()) } else { PinOutcome::Pinned };
        assert_eq!(outcome, expected, "{url}");
    }
}

#[tokio::test]
async fn r16_only_the_certificate_presented_last_can_be_approved() {
    let fixture = Fixture::new().await;
    let device = fixture.device("Press", SecurityMode::Sign, None).await.id;
    let now = OffsetDateTime::now_utc();
    let (old, new) = (chain(), chain());
    let thumbprint = |chain: &koios_pki::CertificateChain| chain.leaf().thumbprint_sha256();

    let refused = fixture.store.approve(device, thumbprint(&new), false).await;
    assert!(matches!(refused, Err(StoreError::ThumbprintMismatch { presented: None, .. })));
    fixture.store.record_presented(device, old.clone(), now).await.unwrap();
    fixture.store.record_presented(device, new.clone(), now).await.unwrap();
    let refused = fixture.store.approve(device, thumbprint(&old), true).await;
    let Err(StoreError::ThumbprintMismatch { approved, presented }) = refused else { panic!("{refused:?}") };
    assert_eq!((approved, presented), (thumbprint(&old), Some(thumbprint(&new))));
    assert_eq!(fixture.store.device(device).await.unwrap().pinned_server_certificate, None);

    let mut changes = fixture.store.changes();
    let approved = fixture.store.approve(device, thumbprint(&new), false).await.unwrap();
    assert_eq!(approved.iter().map(|device| device.id).collect::<Vec<_>>(), [device]);
    assert_eq!(fixture.store.device(device).await.unwrap().pinned_server_certificate, Some(new.clone()));
    assert_eq!(changes.try_recv(), Ok(Change::ServerCertificateApproved(device)));
    assert!(
        fixture.store.approve(device, thumbprint(&new), false).await.unwrap().is_empty(),
        "again is no change"
    );
    assert!(changes.try_recv().is_err());
}

#[tokio::test]
async fn an_approval_reaches_all_devices_that_were_shown_the_same_certificate() {
    let fixture = Fixture::new().await;
    let (shared, other, old) = (chain(), chain(), chain());
    let now = OffsetDateTime::now_utc();
    let mut ids = Vec::new();
    for (name, presented, pinned) in [
        ("A", Some(&shared), Some(&old)),
        ("B", Some(&shared), None),
        ("C", Some(&shared), Some(&shared)),
        ("D", Some(&other), Some(&old)),
        ("E", None, None),
    ] {
        let id = fixture.device(name, SecurityMode::Sign, None).await.id;
        if let Some(chain) = pinned {
            fixture.store.pin_server_certificate(id, chain.clone()).await.unwrap();
        }
        if let Some(chain) = presented {
            fixture.store.record_presented(id, chain.clone(), now).await.unwrap();
        }
        ids.push(id);
    }
    let approved = fixture.store.approve(ids[0], shared.leaf().thumbprint_sha256(), true).await.unwrap();
    assert_eq!(approved.iter().map(|device| device.id).collect::<Vec<_>>(), ids[..2]);
    let mut pins = Vec::new();
    for id in ids {
        pins.push(fixture.store.device(id).await.unwrap().pinned_server_certificate);
    }
    assert_eq!(pins, [Some(shared.clone()), Some(shared.clone()), Some(shared), Some(old), None]);
}

#[tokio::test]
async fn what_was_presented_last_is_kept_to_the_minute() {
    let fixture = Fixture::new().await;
    let device = fixture.device("Press", SecurityMode::Sign, None).await.id;
    assert_eq!(fixture.store.presented(device).await.unwrap(), None);
    let start = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    let (one, two) = (chain(), chain());
    let seen_at = |chain: &koios_pki::CertificateChain, seconds| {
        let (store, chain) = (fixture.store.clone(), chain.clone());
        async move {
            store.record_presented(device, chain, start + Duration::seconds(seconds)).await.unwrap();
            (store.presented(device).await.unwrap().unwrap().seen_at - start).whole_seconds()
        }
    };
    assert_eq!(seen_at(&one, 0).await, 0);
    assert_eq!(seen_at(&one, 59).await, 0, "written once a minute");
    assert_eq!(seen_at(&one, 60).await, 60);
    assert_eq!(seen_at(&two, 61).await, 61, "another certificate at once");
    assert_eq!(seen_at(&one, 62).await, 62);
    assert_eq!(fixture.store.presented(device).await.unwrap().unwrap().chain, one);

    let seen = fixture.store.seen_server_certificates("opc.tcp://press4:4840/").await.unwrap();
    let seconds = |at: OffsetDateTime| (at - start).whole_seconds();
    let seen: Vec<_> =
        seen.iter().map(|s| (s.chain.clone(), seconds(s.first_seen), seconds(s.last_seen))).collect();
    assert_eq!(seen, [(one, 0, 62), (two, 61, 61)]);
    let nobody = "0193aaaa-0000-7000-8000-000000000000".parse().unwrap();
    assert!(is_not_found(fixture.store.record_presented(nobody, chain(), start).await));
}

#[tokio::test]
async fn certificates_seen_at_an_endpoint_are_bounded_and_the_oldest_go() {
    let fixture = Fixture::new().await;
    let start = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    let chains: Vec<_> = (0..20).map(|_| chain()).collect();
    for (n, chain) in (0i64..).zip(&chains) {
        fixture
            .store
            .record_seen("opc.tcp://a:4840", chain.clone(), start + Duration::seconds(n))
            .await
            .unwrap();
    }
    fixture.store.record_seen("opc.tcp://b:4840", chains[0].clone(), start).await.unwrap();
    let seen = fixture.store.seen_server_certificates("opc.tcp://a:4840").await.unwrap();
    assert_eq!(
        seen.iter().map(|seen| &seen.chain).collect::<Vec<_>>(),
        chains[4..].iter().rev().collect::<Vec<_>>()
    );
    assert_eq!(fixture.store.seen_server_certificates("opc.tcp://b:4840").await.unwrap().len(), 1);
}

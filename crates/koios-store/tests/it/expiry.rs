//! Warnings of the end of certificates: each once, also over restarts.

use koios_pki::SecurityMode;
use koios_store::{Apply, EndReason, ExpiryWarning, NewCertificate, Origin, ReplacePair, StoreEvent};
use time::{Duration, OffsetDateTime};

use crate::fixture::{Fixture, chain_with, key, name};

const THRESHOLDS: [u32; 3] = [30, 7, 1];

fn pair(days: u32) -> koios_pki::CertificateChain {
    chain_with(
        "Koios@gw01.plant.example",
        "urn:koios:gw01.plant.example:plant-a",
        OffsetDateTime::now_utc(),
        days,
    )
}

async fn warn(fixture: &Fixture, days_from_now: i64) -> Vec<ExpiryWarning> {
    let now = OffsetDateTime::now_utc() + Duration::days(days_from_now);
    fixture.store.warn_of_expiry(&THRESHOLDS, now).await.unwrap()
}

fn thresholds(warnings: &[ExpiryWarning]) -> Vec<Option<u32>> {
    warnings.iter().map(|warning| warning.threshold_days).collect()
}

#[tokio::test]
async fn a_warning_is_given_once_over_restarts_and_none_is_forgotten() {
    let fixture = Fixture::new().await;
    fixture.certificate("A year").await;
    let short = NewCertificate::new(name("Short"), Origin::Generated, pair(40), key(), 40);
    let short = fixture.store.create_certificate(short).await.unwrap();
    fixture.device("Press", SecurityMode::Sign, Some(short.id)).await;
    let mut events = fixture.store.events();
    assert!(warn(&fixture, 5).await.is_empty());
    let warnings = warn(&fixture, 15).await;
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!((warning.certificate.id, warning.certificate.name.as_str()), (short.id, "Short"));
    assert_eq!((warning.threshold_days, warning.device_count, warning.is_default), (Some(30), 1, false));
    assert!((23..=25).contains(&warning.expires_in_days), "{warning:?}");
    assert_eq!(warning.not_after, short.chain.leaf().validity().not_after);
    let told = events.try_recv().unwrap();
    assert!(matches!(told.events.as_slice(), [StoreEvent::CertificateExpiring(told)] if told == warning));
    assert!(warn(&fixture, 15).await.is_empty());
    assert!(events.try_recv().is_err());

    let fixture = fixture.reopened().await;
    assert!(warn(&fixture, 16).await.is_empty(), "a restart repeats nothing");
    assert_eq!(thresholds(&warn(&fixture, 39).await), [Some(1)], "7 was passed while it was off");
    let mut events = fixture.store.events();
    let expired = warn(&fixture, 60).await;
    assert_eq!(thresholds(&expired), [None]);
    assert!(expired[0].expires_in_days < -15);
    assert!(matches!(events.try_recv().unwrap().events.as_slice(), [StoreEvent::CertificateExpired(_)]));
    let fixture = fixture.reopened().await;
    assert!(warn(&fixture, 61).await.is_empty());
}

#[tokio::test]
async fn another_key_pair_is_warned_of_anew_and_a_deleted_one_never() {
    let fixture = Fixture::new().await;
    fixture.certificate("A year").await;
    let short = NewCertificate::new(name("Short"), Origin::Generated, pair(5), key(), 5);
    let id = fixture.store.create_certificate(short).await.unwrap().id;
    assert_eq!(thresholds(&warn(&fixture, 0).await), [Some(7)]);
    let next = ReplacePair::new(Origin::Generated, pair(20), key(), 20, EndReason::Regenerated);
    fixture.store.replace_key_pair(id, next, Apply::Commit).await.unwrap();
    assert_eq!(thresholds(&warn(&fixture, 0).await), [Some(30)]);
    fixture.store.delete_certificate(id, Apply::Commit, None).await.unwrap();
    assert!(warn(&fixture, 19).await.is_empty());
}

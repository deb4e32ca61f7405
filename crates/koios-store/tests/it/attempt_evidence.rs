//! What earlier attempts have shown.

use koios_pki::Sha256Thumbprint;
use koios_store::AttemptEvidence;
use time::{Duration, OffsetDateTime};

use crate::beside::{self, sql};
use crate::fixture::Fixture;

const SERVER: &str = "press4:4840";

fn seen(client: Option<&[u8]>, outcome: &str, at: OffsetDateTime) -> AttemptEvidence {
    let server = client.map(|_| Sha256Thumbprint::of(b"server"));
    AttemptEvidence::new(client.map(Sha256Thumbprint::of), server, "Basic256Sha256", outcome, at)
}

fn at(hours: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::hours(hours)
}

#[tokio::test]
async fn evidence_is_of_one_server_and_one_certificate_and_of_sessions_without_any() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let accepted = seen(Some(b"a"), AttemptEvidence::ACCEPTED, at(0));
    let refused = seen(Some(b"a"), "certificate_uri_mismatch", at(2));
    let open = seen(None, AttemptEvidence::ACCEPTED, at(1));
    for evidence in [accepted.clone(), refused.clone(), open.clone(), seen(Some(b"b"), "x", at(3))] {
        store.record_attempt_evidence(SERVER, evidence).await.unwrap();
    }
    store.record_attempt_evidence("press5:4840", accepted.clone()).await.unwrap();
    let client = Some(Sha256Thumbprint::of(b"a"));
    assert_eq!(
        store.attempt_evidence(SERVER, client).await.unwrap(),
        [refused, open.clone(), accepted.clone()]
    );
    assert_eq!(store.attempt_evidence(SERVER, None).await.unwrap(), [open]);

    // The same again is not worth a write within a day, unless it says something new since.
    let newest = async |hours: i64, outcome: &str| {
        let mut again =
            if outcome == "accepted" { accepted.clone() } else { refused_again(&accepted, outcome) };
        again.at = at(hours);
        store.record_attempt_evidence(SERVER, again).await.unwrap();
        let seen = store.attempt_evidence(SERVER, client).await.unwrap();
        seen.into_iter().find(|seen| seen.outcome == outcome && seen.client.is_some()).unwrap().at
    };
    assert_eq!(newest(3, "accepted").await, at(3), "it was refused in between");
    assert_eq!(newest(20, "accepted").await, at(3));
    assert_eq!(newest(21, "certificate_uri_mismatch").await, at(21));
    assert_eq!(newest(22, "accepted").await, at(22));
    assert_eq!(newest(50, "accepted").await, at(50), "a day has passed");
}

#[tokio::test]
async fn evidence_is_bounded_in_all_and_the_oldest_goes() {
    let fixture = Fixture::new().await;
    let mut connection = beside::connect(fixture.path()).await;
    sqlx::query(sql(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 20050) \
         INSERT INTO attempt_evidence SELECT 'host-' || n, '', '', 'None', 'accepted', n FROM number",
    ))
    .execute(&mut connection)
    .await
    .unwrap();
    let newest = seen(Some(b"a"), AttemptEvidence::ACCEPTED, at(0));
    fixture.store.record_attempt_evidence(SERVER, newest.clone()).await.unwrap();
    let (kept, oldest): (i64, i64) = sqlx::query_as("SELECT COUNT(*), MIN(at) FROM attempt_evidence")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!((kept, oldest), (20_000, 52));
    let client = Some(Sha256Thumbprint::of(b"a"));
    assert_eq!(fixture.store.attempt_evidence(SERVER, client).await.unwrap(), [newest]);
}

fn refused_again(accepted: &AttemptEvidence, outcome: &str) -> AttemptEvidence {
    let mut refused = accepted.clone();
    outcome.clone_into(&mut refused.outcome);
    refused
}

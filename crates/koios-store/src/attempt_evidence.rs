//! What servers have answered to which certificates: evidence for answers that hide their reason.

use koios_pki::Sha256Thumbprint;
use sqlx::FromRow;
use time::{Duration, OffsetDateTime};

use crate::database::DatabaseResult;
use crate::error::StoreError;
use crate::instant;
use crate::store::{Apply, Store, count};

/// One thing that an earlier attempt has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptEvidence {
    /// The client certificate; `None` without security.
    pub client: Option<Sha256Thumbprint>,
    /// The server certificate; `None` without security.
    pub server: Option<Sha256Thumbprint>,
    /// The security policy, by the name in its URI.
    pub security_policy: String,
    /// [`AttemptEvidence::ACCEPTED`], or the connection code of a refusal that named its reason.
    pub outcome: String,
    /// When, to within a day.
    pub at: OffsetDateTime,
}

impl AttemptEvidence {
    /// The server accepted the client certificate, or a session without one.
    pub const ACCEPTED: &str = "accepted";

    /// What an attempt has shown.
    #[must_use]
    pub fn new(
        client: Option<Sha256Thumbprint>,
        server: Option<Sha256Thumbprint>,
        security_policy: impl Into<String>,
        outcome: impl Into<String>,
        at: OffsetDateTime,
    ) -> Self {
        Self { client, server, security_policy: security_policy.into(), outcome: outcome.into(), at }
    }
}

/// How many are kept, the newest: several for each of some thousand devices.
const KEPT: i64 = 20_000;

/// The same again is written at most this often, unless something else was shown in between.
const RESOLUTION: Duration = Duration::DAY;

impl Store {
    /// Notes what an attempt at a server (host and port) has shown; the same again within a day is not written again, unless
    /// something else was shown to the same certificates in between.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like.
    pub async fn record_attempt_evidence(
        &self,
        server: &str,
        evidence: AttemptEvidence,
    ) -> Result<(), StoreError> {
        let known = self.attempt_evidence(server, evidence.client).await?;
        // The newest comes first.
        let newest =
            known.iter().find(|known| (known.client, known.server) == (evidence.client, evidence.server));
        let is_known = newest.is_some_and(|newest| {
            newest.security_policy == evidence.security_policy
                && newest.outcome == evidence.outcome
                && (Duration::ZERO..RESOLUTION).contains(&(evidence.at - newest.at))
        });
        if is_known {
            return Ok(());
        }
        let store = self.clone();
        let server = server.to_owned();
        self.run(async move {
            let mut write = store.begin().await?;
            sqlx::query(
                "INSERT INTO attempt_evidence (server, client_thumbprint, server_thumbprint, security_policy, outcome, at) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (server, client_thumbprint, server_thumbprint, \
                 security_policy, outcome) DO UPDATE SET at = excluded.at",
            )
            .bind(server)
            .bind(text(evidence.client))
            .bind(text(evidence.server))
            .bind(evidence.security_policy)
            .bind(evidence.outcome)
            .bind(instant::to_micros(evidence.at))
            .execute(write.connection())
            .await
            .database()?;
            let (all,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM attempt_evidence")
                .fetch_one(write.connection())
                .await
                .database()?;
            if count(all) > count(KEPT) {
                sqlx::query(
                    "DELETE FROM attempt_evidence WHERE at < (SELECT at FROM attempt_evidence ORDER BY at DESC \
                     LIMIT 1 OFFSET $1)",
                )
                .bind(KEPT - 1)
                .execute(write.connection())
                .await
                .database()?;
            }
            write.finish(Apply::Commit).await
        })
        .await
    }

    /// What earlier attempts at a server (host and port) have shown with this client certificate and without any, the
    /// newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn attempt_evidence(
        &self,
        server: &str,
        client: Option<Sha256Thumbprint>,
    ) -> Result<Vec<AttemptEvidence>, StoreError> {
        self.reading(async {
            let rows: Vec<Row> = sqlx::query_as(
                "SELECT client_thumbprint, server_thumbprint, security_policy, outcome, at FROM attempt_evidence \
                 WHERE server = $1 AND client_thumbprint IN ($2, '') ORDER BY at DESC, outcome",
            )
            .bind(server)
            .bind(text(client))
            .fetch_all(&mut *self.inner.database.read().await?)
            .await
            .database()?;
            rows.into_iter().map(Row::evidence).collect()
        })
        .await
    }
}

#[derive(FromRow)]
struct Row {
    client_thumbprint: String,
    server_thumbprint: String,
    security_policy: String,
    outcome: String,
    at: i64,
}

impl Row {
    fn evidence(self) -> Result<AttemptEvidence, StoreError> {
        Ok(AttemptEvidence {
            client: thumbprint(&self.client_thumbprint, "attempt_evidence.client_thumbprint")?,
            server: thumbprint(&self.server_thumbprint, "attempt_evidence.server_thumbprint")?,
            security_policy: self.security_policy,
            outcome: self.outcome,
            at: instant::from_micros(self.at, "attempt_evidence.at")?,
        })
    }
}

fn text(thumbprint: Option<Sha256Thumbprint>) -> String {
    thumbprint.map_or_else(String::new, |thumbprint| thumbprint.to_string())
}

fn thumbprint(text: &str, column: &'static str) -> Result<Option<Sha256Thumbprint>, StoreError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|source| StoreError::corrupt(column, source))
}

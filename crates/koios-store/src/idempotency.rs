//! Answers kept for a day, so that a request sent twice is carried out once.

use sqlx::FromRow;
use time::{Duration, OffsetDateTime};

use crate::database::{Connection, DatabaseResult};
use crate::error::StoreError;
use crate::id::TokenId;
use crate::instant;
use crate::store::{Apply, Store};

/// An answer as it went over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredAnswer {
    /// HTTP status.
    pub status: u16,
    /// Names and values of the headers worth repeating.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl StoredAnswer {
    /// An answer of these parts.
    #[must_use]
    pub fn new(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self { status, headers, body }
    }
}

/// A request that is to be carried out once: what its commit notes, so that it is not carried out again even where the program
/// ends before the answer is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnceKey {
    /// The token that used it.
    pub token: TokenId,
    /// The key.
    pub key: String,
    /// SHA-256 of the request.
    pub body_hash: [u8; 32],
}

impl OnceKey {
    /// A key of these parts.
    #[must_use]
    pub fn new(token: TokenId, key: impl Into<String>, body_hash: [u8; 32]) -> Self {
        Self { token, key: key.into(), body_hash }
    }
}

/// What became of a request with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was carried out, and this was answered.
    Answered(StoredAnswer),
    /// It was carried out, and the program ended before the answer was kept.
    CarriedOut {
        /// The id of what it was about.
        resource_id: String,
    },
}

/// What a key was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdempotencyRecord {
    /// The token that used it.
    pub token: TokenId,
    /// The key.
    pub key: String,
    /// SHA-256 of the request: another one under the same key is the caller's mistake.
    pub body_hash: [u8; 32],
    /// What became of the request.
    pub outcome: Outcome,
    /// When.
    pub at: OffsetDateTime,
}

impl IdempotencyRecord {
    /// A record of these parts.
    #[must_use]
    pub fn new(
        token: TokenId,
        key: impl Into<String>,
        body_hash: [u8; 32],
        answer: StoredAnswer,
        at: OffsetDateTime,
    ) -> Self {
        Self { token, key: key.into(), body_hash, outcome: Outcome::Answered(answer), at }
    }
}

/// In the place of a status: carried out, not answered yet.
const CARRIED_OUT: i64 = 0;

/// How long an answer is kept (`rest-api` §2).
const KEPT: Duration = Duration::DAY;

impl Store {
    /// What a token used a key for in the last 24 hours.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn idempotency_lookup(
        &self,
        token: TokenId,
        key: &str,
        now: OffsetDateTime,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        self.reading(async {
            let row: Option<RecordRow> = sqlx::query_as(
                "SELECT * FROM idempotency WHERE token_id = $1 AND idempotency_key = $2 AND at > $3",
            )
            .bind(token.to_string())
            .bind(key)
            .bind(instant::to_micros(now - KEPT))
            .fetch_optional(&mut *self.inner.database.read().await?)
            .await
            .database()?;
            row.map(|row| row.record(token)).transpose()
        })
        .await
    }

    /// Keeps an answer for 24 hours. The first answer under a key stays, a later one is not kept.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like.
    pub async fn idempotency_store(&self, record: IdempotencyRecord) -> Result<(), StoreError> {
        let store = self.clone();
        self.run(async move {
            let mut write = store.begin().await?;
            keep(write.connection(), &record).await?;
            write.finish(Apply::Commit).await
        })
        .await
    }
}

/// Notes in a commit that it carries the request out.
pub(crate) async fn note(
    connection: &mut Connection,
    once: &OnceKey,
    resource_id: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let OnceKey { token, key, body_hash } = once.clone();
    let outcome = Outcome::CarriedOut { resource_id: resource_id.to_owned() };
    keep(connection, &IdempotencyRecord { token, key, body_hash, outcome, at }).await
}

/// An answer takes the place of the note that there is none yet, and nothing takes the place of an answer.
async fn keep(connection: &mut Connection, record: &IdempotencyRecord) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM idempotency WHERE at <= $1")
        .bind(instant::to_micros(record.at - KEPT))
        .execute(&mut *connection)
        .await
        .database()?;
    let (status, headers, body) = match &record.outcome {
        Outcome::Answered(StoredAnswer { status, headers, body }) => {
            let headers = serde_json::to_string(headers)
                .map_err(|source| StoreError::corrupt("idempotency.headers", source))?;
            (i64::from(*status), headers, body.as_slice())
        }
        Outcome::CarriedOut { resource_id } => (CARRIED_OUT, "[]".to_owned(), resource_id.as_bytes()),
    };
    sqlx::query(
        "INSERT INTO idempotency (token_id, idempotency_key, body_hash, status, headers, body, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (token_id, idempotency_key) DO UPDATE \
         SET status = excluded.status, headers = excluded.headers, body = excluded.body \
         WHERE idempotency.status = 0 AND idempotency.body_hash = excluded.body_hash",
    )
    .bind(record.token.to_string())
    .bind(record.key.as_str())
    .bind(record.body_hash.as_slice())
    .bind(status)
    .bind(headers)
    .bind(body)
    .bind(instant::to_micros(record.at))
    .execute(connection)
    .await
    .database()?;
    Ok(())
}

#[derive(Debug, FromRow)]
struct RecordRow {
    idempotency_key: String,
    body_hash: Vec<u8>,
    status: i64,
    headers: String,
    body: Vec<u8>,
    at: i64,
}

impl RecordRow {
    fn record(self, token: TokenId) -> Result<IdempotencyRecord, StoreError> {
        let unreadable = |_| StoreError::Corrupt { what: "idempotency.body_hash".to_owned(), source: None };
        Ok(IdempotencyRecord {
            token,
            key: self.idempotency_key,
            body_hash: self.body_hash.try_into().map_err(unreadable)?,
            outcome: match self.status {
                CARRIED_OUT => Outcome::CarriedOut {
                    resource_id: String::from_utf8(self.body)
                        .map_err(|source| StoreError::corrupt("idempotency.body", source))?,
                },
                status => Outcome::Answered(StoredAnswer {
                    status: u16::try_from(status)
                        .map_err(|source| StoreError::corrupt("idempotency.status", source))?,
                    headers: serde_json::from_str(&self.headers)
                        .map_err(|source| StoreError::corrupt("idempotency.headers", source))?,
                    body: self.body,
                }),
            },
            at: instant::from_micros(self.at, "idempotency.at")?,
        })
    }
}

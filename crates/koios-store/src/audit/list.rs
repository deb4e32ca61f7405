//! The audit trail as it is shown, the newest entry first.

use serde_json::Value;
use sqlx::FromRow;
use time::OffsetDateTime;

use super::row::Row;
use super::{AuditEntry, AuditResource};
use crate::database::{Connection, DatabaseResult, storable};
use crate::error::StoreError;
use crate::instant;
use crate::page::{Page, PageRequest};
use crate::store::{Store, count};

macro_rules! audit_filter {
    () => {
        "($1 IS NULL OR action = $1) AND ($2 IS NULL OR actor = $2) AND ($3 IS NULL OR resource_id = $3) \
         AND at >= $4 AND at < $5"
    };
}

/// Which entries, and which page of them.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AuditQuery {
    /// Exactly this action.
    pub action: Option<String>,
    /// Exactly this actor.
    pub actor: Option<String>,
    /// About this very resource.
    pub resource_id: Option<String>,
    /// Not before this instant.
    pub from: Option<OffsetDateTime>,
    /// Before this instant.
    pub to: Option<OffsetDateTime>,
    /// Which page.
    pub page: PageRequest,
}

/// An entry with its place in the trail.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordedEntry {
    /// Counts from 1 without a gap.
    pub sequence: i64,
    /// What was recorded.
    pub entry: AuditEntry,
    /// What seals it to the entry before.
    pub hash: Vec<u8>,
}

impl Store {
    /// A page of the audit trail, the newest entry first.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`]; [`StoreError::Unavailable`] and its like.
    pub async fn audit(&self, query: AuditQuery) -> Result<Page<RecordedEntry>, StoreError> {
        self.reading(async {
            let AuditQuery { action, actor, resource_id, from, to, page } = query;
            let [action, actor, resource_id] = [action, actor, resource_id].map(|text| text.map(|text| storable(&text)));
            let before: i64 = match &page.cursor {
                None => i64::MAX,
                Some(cursor) => cursor.parse().map_err(|_| StoreError::InvalidCursor)?,
            };
            let from = from.map_or(i64::MIN, instant::to_micros);
            let to = to.map_or(i64::MAX, instant::to_micros);
            let limit = i64::try_from(page.limit.max(1)).unwrap_or(i64::MAX);
            let mut connection = self.inner.database.read().await?;
            let mut rows: Vec<HashedRow> = sqlx::query_as(concat!(
                "SELECT sequence, at, actor, address, action, resource_kind, resource_id, resource_name, before_json, \
                 after_json, hash, key_id FROM audit WHERE ",
                audit_filter!(),
                " AND sequence < $6 ORDER BY sequence DESC LIMIT $7"
            ))
            .bind(&action)
            .bind(&actor)
            .bind(&resource_id)
            .bind(from)
            .bind(to)
            .bind(before)
            .bind(limit.saturating_add(1))
            .fetch_all(&mut *connection)
            .await
            .database()?;
            let (total,): (i64,) =
                sqlx::query_as(concat!("SELECT COUNT(*) FROM audit WHERE ", audit_filter!()))
                    .bind(&action)
                    .bind(&actor)
                    .bind(&resource_id)
                    .bind(from)
                    .bind(to)
                    .fetch_one(&mut *connection)
                    .await
                    .database()?;
            let more = rows.len() > page.limit.max(1);
            rows.truncate(page.limit.max(1));
            let next_cursor = rows.last().filter(|_| more).map(|last| last.row.sequence.to_string());
            let items = rows.into_iter().map(HashedRow::recorded).collect::<Result<_, _>>()?;
            Ok(Page { items, total: count(total), next_cursor })
        })
        .await
    }
}

impl Store {
    /// Entries behind that sequence number, the oldest first; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn audit_after(&self, sequence: i64, limit: usize) -> Result<Vec<RecordedEntry>, StoreError> {
        self.reading(async {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut connection = self.inner.database.read().await?;
            let rows = rows_after(&mut connection, sequence, limit).await?;
            rows.into_iter().map(HashedRow::recorded).collect()
        })
        .await
    }
}

/// Rows behind that sequence number, in order.
pub(super) async fn rows_after(
    connection: &mut Connection,
    sequence: i64,
    limit: i64,
) -> Result<Vec<HashedRow>, StoreError> {
    sqlx::query_as(
        "SELECT sequence, at, actor, address, action, resource_kind, resource_id, resource_name, before_json, \
         after_json, hash, key_id FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2",
    )
    .bind(sequence)
    .bind(limit)
    .fetch_all(connection)
    .await
    .database()
}

/// A row with its seal.
#[derive(Clone, Debug, FromRow)]
pub(super) struct HashedRow {
    #[sqlx(flatten)]
    pub(super) row: Row,
    pub(super) hash: Vec<u8>,
    pub(super) key_id: Option<i64>,
}

impl HashedRow {
    fn recorded(self) -> Result<RecordedEntry, StoreError> {
        let Row {
            sequence,
            at,
            actor,
            address,
            action,
            resource_kind,
            resource_id,
            resource_name,
            before,
            after,
        } = self.row;
        let json = |text: Option<String>, column: &'static str| -> Result<Option<Value>, StoreError> {
            text.map(|text| serde_json::from_str(&text).map_err(|source| StoreError::corrupt(column, source)))
                .transpose()
        };
        let resource = match (resource_kind, resource_id) {
            (Some(kind), Some(id)) => Some(AuditResource { kind, id, name: resource_name }),
            _ => None,
        };
        let entry = AuditEntry {
            at: instant_of(at)?,
            actor,
            address,
            action,
            resource,
            before: json(before, "audit.before_json")?,
            after: json(after, "audit.after_json")?,
            once: None,
        };
        Ok(RecordedEntry { sequence, entry, hash: self.hash })
    }
}

pub(super) fn instant_of(at: i64) -> Result<OffsetDateTime, StoreError> {
    instant::from_micros(at, "audit.at")
}

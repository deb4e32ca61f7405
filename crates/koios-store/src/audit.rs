//! The audit trail: rows that are only ever added, each sealed to the one before.

use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;

use crate::database::{Connection, DatabaseResult};
use crate::error::StoreError;
use crate::file_digest::sha256;
use crate::instant;
use crate::store::{Apply, Store};

/// What an audit entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditResource {
    /// Its kind, such as `certificate`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name at that time.
    pub name: Option<String>,
}

impl AuditResource {
    /// A resource, with the name it has now.
    #[must_use]
    pub fn new(kind: impl Into<String>, id: impl Into<String>, name: Option<String>) -> Self {
        Self { kind: kind.into(), id: id.into(), name }
    }
}

/// Who did what. Must hold no secret.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// When.
    pub at: OffsetDateTime,
    /// Who: the name of a token, or of a part of the program.
    pub actor: String,
    /// The network address the wish came from.
    pub address: Option<String>,
    /// What was done, such as `certificate.private_key_downloaded`.
    pub action: String,
    /// What it was done to.
    pub resource: Option<AuditResource>,
    /// The resource before.
    pub before: Option<Value>,
    /// The resource afterwards.
    pub after: Option<Value>,
}

impl AuditEntry {
    /// An entry with neither address, resource nor values.
    #[must_use]
    pub fn new(at: OffsetDateTime, actor: impl Into<String>, action: impl Into<String>) -> Self {
        Self {
            at,
            actor: actor.into(),
            address: None,
            action: action.into(),
            resource: None,
            before: None,
            after: None,
        }
    }
}

impl Store {
    /// Adds an entry and answers its sequence number; the first is 1, and none is left out.
    ///
    /// Its hash is SHA-256 over the hash before it (32 zeros for the first) and the columns of the row, each
    /// with its length in front, so that a row that was changed, removed or put in shows.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like.
    pub async fn append_audit(&self, entry: AuditEntry) -> Result<i64, StoreError> {
        let store = self.clone();
        self.run(async move {
            // The entry is the change: one that a recording handle would add tells of nothing.
            let mut write = Self { audit: None, ..store }.begin().await?;
            let sequence = append(write.connection(), entry).await?;
            write.finish(Apply::Commit).await?;
            Ok(sequence)
        })
        .await
    }

    /// A handle whose changes are recorded in the audit trail by the commit that brings them into force: neither is there
    /// without the other. A refused change and a dry run leave no entry.
    ///
    /// Each change adds `entry`, and one more with the action `certificate.request_dropped` when it ends a certificate
    /// request that it is not about.
    #[must_use]
    pub fn recording(&self, entry: AuditEntry) -> Self {
        Self { inner: Arc::clone(&self.inner), audit: Some(Arc::new(entry)) }
    }

    /// The latest instant of any entry: the clock was there once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn newest_audit_at(&self) -> Result<Option<OffsetDateTime>, StoreError> {
        self.reading(async {
            let (newest,): (Option<i64>,) = sqlx::query_as("SELECT MAX(at) FROM audit")
                .fetch_one(&mut *self.inner.database.read().await?)
                .await
                .database()?;
            newest.map(|at| instant::from_micros(at, "audit.at")).transpose()
        })
        .await
    }
}

/// Adds an entry in a change that is under way.
pub(crate) async fn append(connection: &mut Connection, entry: AuditEntry) -> Result<i64, StoreError> {
    let newest: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")
            .fetch_optional(&mut *connection)
            .await
            .database()?;
    let (last, previous) = newest.unwrap_or_else(|| (0, vec![0; 32]));
    let row = Row::of(last.saturating_add(1), entry);
    let hash = row.hash(&previous);
    sqlx::query(
        "INSERT INTO audit (sequence, at, actor, address, action, resource_kind, resource_id, resource_name, \
         before_json, after_json, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(row.sequence)
    .bind(row.at)
    .bind(&row.actor)
    .bind(&row.address)
    .bind(&row.action)
    .bind(&row.resource_kind)
    .bind(&row.resource_id)
    .bind(&row.resource_name)
    .bind(&row.before)
    .bind(&row.after)
    .bind(hash.as_slice())
    .execute(connection)
    .await
    .database()?;
    Ok(row.sequence)
}

/// An entry as it is stored and hashed.
#[derive(Debug)]
struct Row {
    sequence: i64,
    at: i64,
    actor: String,
    address: Option<String>,
    action: String,
    resource_kind: Option<String>,
    resource_id: Option<String>,
    resource_name: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

impl Row {
    fn of(sequence: i64, entry: AuditEntry) -> Self {
        let AuditEntry { at, actor, address, action, resource, before, after } = entry;
        let (resource_kind, resource_id, resource_name) = resource
            .map_or((None, None, None), |AuditResource { kind, id, name }| (Some(kind), Some(id), name));
        Self {
            sequence,
            at: instant::to_micros(at),
            actor,
            address,
            action,
            resource_kind,
            resource_id,
            resource_name,
            before: before.map(|value| value.to_string()),
            after: after.map(|value| value.to_string()),
        }
    }

    fn hash(&self, previous: &[u8]) -> [u8; 32] {
        let Self {
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
        } = self;
        let mut bytes = previous.to_vec();
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.extend_from_slice(&at.to_be_bytes());
        let columns = [
            Some(actor),
            address.as_ref(),
            Some(action),
            resource_kind.as_ref(),
            resource_id.as_ref(),
            resource_name.as_ref(),
            before.as_ref(),
            after.as_ref(),
        ];
        for column in columns {
            // NULL and the empty text differ in the first byte.
            match column {
                None => bytes.push(0),
                Some(text) => {
                    bytes.push(1);
                    bytes.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
        sha256(&[&bytes])
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn every_column_and_the_entry_before_count_in_the_hash() {
        let at = datetime!(2026-11-23 10:00 UTC);
        let entry = |change: fn(&mut AuditEntry)| {
            let mut entry = AuditEntry::new(at, "admin", "certificate.deleted");
            entry.resource = Some(AuditResource::new("certificate", "1", None));
            change(&mut entry);
            Row::of(1, entry)
        };
        let plain = entry(|_| {}).hash(&[0; 32]);
        assert_ne!(plain, entry(|_| {}).hash(&[1; 32]));
        let changes: [fn(&mut AuditEntry); 6] = [
            |entry| entry.actor.push('2'),
            |entry| entry.address = Some(String::new()),
            |entry| entry.action.push('2'),
            |entry| entry.resource = None,
            |entry| entry.before = Some(Value::Null),
            |entry| entry.after = Some(Value::Null),
        ];
        for change in changes {
            assert_ne!(plain, entry(change).hash(&[0; 32]));
        }
    }
}

//! Adding entries, by themselves and in the commit of a change.

use std::sync::Arc;

use time::OffsetDateTime;

use super::key::AuditKey;
use super::row::Row;
use super::{AuditEntry, list::instant_of};
use crate::database::{Connection, DatabaseResult};
use crate::error::StoreError;
use crate::store::{Apply, Store};

impl Store {
    /// Adds an entry and answers its sequence number; the first is 1, and none is left out.
    ///
    /// Its hash is HMAC-SHA-256 (RFC 2104), under the key of the audit trail, over the hash before it (32 zeros for the
    /// first) and the columns of the row, each with its length in front: a row that was changed, removed or put in by
    /// anyone without that key shows ([`Store::verify_audit`]).
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like.
    pub async fn append_audit(&self, entry: AuditEntry) -> Result<i64, StoreError> {
        let store = self.clone();
        self.run(async move {
            // The entry is the change: one that a recording handle would add tells of nothing.
            let mut write = Self { audit: None, ..store }.begin().await?;
            let key = write.audit_key();
            let sequence = append(write.connection(), entry, &key).await?;
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
        Self { audit: Some(Arc::new(entry)), ..self.clone() }
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
            newest.map(instant_of).transpose()
        })
        .await
    }
}

/// Adds an entry in a change that is under way.
pub(crate) async fn append(
    connection: &mut Connection,
    entry: AuditEntry,
    key: &AuditKey,
) -> Result<i64, StoreError> {
    let newest: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")
            .fetch_optional(&mut *connection)
            .await
            .database()?;
    let (last, previous) = newest.unwrap_or_else(|| (0, vec![0; 32]));
    let row = Row::of(last.saturating_add(1), entry);
    let hash = row.sealed(&previous, key);
    sqlx::query(
        "INSERT INTO audit (sequence, at, actor, address, action, resource_kind, resource_id, resource_name, \
         before_json, after_json, hash, key_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
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
    .bind(key.id())
    .execute(connection)
    .await
    .database()?;
    Ok(row.sequence)
}

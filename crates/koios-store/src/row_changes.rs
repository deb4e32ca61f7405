//! Which rows changed, in the order of the commits: noted by each commit, read by whoever keeps a part of them in memory.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::change::Change;
use crate::database::{Connection, DatabaseResult};
use crate::error::StoreError;

/// Which table a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Certificate,
    Device,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Device => "device",
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        [Self::Certificate, Self::Device].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Rows, each of them once.
pub(crate) type Rows = BTreeSet<(Kind, Uuid)>;

/// Notes the rows that a commit changes, as part of it.
pub(crate) async fn note(connection: &mut Connection, changes: &[Change]) -> Result<(), StoreError> {
    let rows: Rows = changes.iter().filter_map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    // The row stays locked until the commit: who has a greater number commits later.
    let revision: i64 =
        sqlx::query_scalar("UPDATE row_revision SET revision = revision + 1 RETURNING revision")
            .fetch_one(&mut *connection)
            .await
            .database()?;
    for (kind, id) in rows {
        sqlx::query(
            "INSERT INTO row_changes (kind, id, revision) VALUES ($1, $2, $3) \
             ON CONFLICT (kind, id) DO UPDATE SET revision = excluded.revision",
        )
        .bind(kind.as_str())
        .bind(id.to_string())
        .bind(revision)
        .execute(&mut *connection)
        .await
        .database()?;
    }
    Ok(())
}

/// The row that a change is about.
fn row(change: &Change) -> Option<(Kind, Uuid)> {
    match change {
        Change::CertificateCreated(id)
        | Change::CertificateDeleted(id)
        | Change::CertificateRegenerated(id)
        | Change::CertificateUpdated(id)
        | Change::DefaultChanged(id) => Some((Kind::Certificate, id.as_uuid())),
        Change::DeviceCreated(id)
        | Change::DeviceDeleted(id)
        | Change::DeviceUpdated(id)
        | Change::PinForgotten(id)
        | Change::ServerCertificateApproved(id)
        | Change::ServerCertificatePinned(id) => Some((Kind::Device, id.as_uuid())),
        Change::TrustListsChanged => None,
    }
}

/// The number of the newest commit.
pub(crate) async fn revision(connection: &mut Connection) -> Result<i64, StoreError> {
    sqlx::query_scalar("SELECT revision FROM row_revision").fetch_one(connection).await.database()
}

/// The rows that changed after the commit of this number, and the number of the newest of those commits.
pub(crate) async fn since(
    connection: &mut Connection,
    revision: i64,
) -> Result<Option<(i64, Rows)>, StoreError> {
    let found: Vec<(String, String, i64)> =
        sqlx::query_as("SELECT kind, id, revision FROM row_changes WHERE revision > $1")
            .bind(revision)
            .fetch_all(connection)
            .await
            .database()?;
    let Some(newest) = found.iter().map(|(_, _, revision)| *revision).max() else { return Ok(None) };
    let rows = found.into_iter().map(|(kind, id, _)| {
        let kind = Kind::from_text(&kind)
            .ok_or_else(|| StoreError::Corrupt { what: "row_changes.kind".to_owned(), source: None })?;
        let id = Uuid::parse_str(&id).map_err(|source| StoreError::corrupt("row_changes.id", source))?;
        Ok((kind, id))
    });
    Ok(Some((newest, rows.collect::<Result<_, StoreError>>()?)))
}

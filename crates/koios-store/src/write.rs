//! A change to the store: one transaction, then one announcement.

use sqlx::{Sqlite, Transaction};
use tokio::sync::{OwnedMutexGuard, broadcast};

use crate::change::Change;
use crate::database::{Connection, Database, DatabaseResult};
use crate::error::StoreError;
use crate::store::Apply;

/// A transaction under way. Dropping it rolls back.
#[derive(Debug)]
pub(crate) struct Write {
    transaction: Transaction<'static, Sqlite>,
    changes: Vec<Change>,
    listeners: broadcast::Sender<Change>,
    /// Held until the changes are announced, so that announcements come in the order of the commits.
    _turn: OwnedMutexGuard<()>,
}

impl Write {
    pub(crate) async fn begin(
        database: &Database,
        listeners: broadcast::Sender<Change>,
    ) -> Result<Self, StoreError> {
        let (turn, transaction) = database.write().await?;
        Ok(Self { transaction, changes: Vec::new(), listeners, _turn: turn })
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.transaction
    }

    /// Notes a change, to be told once it is committed.
    pub(crate) fn announce(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Commits and tells, or rolls back.
    pub(crate) async fn finish(self, apply: Apply) -> Result<(), StoreError> {
        match apply {
            Apply::DryRun => self.transaction.rollback().await.database(),
            Apply::Commit => {
                self.transaction.commit().await.database()?;
                for change in self.changes {
                    // An error means that nobody listens.
                    let _ = self.listeners.send(change);
                }
                Ok(())
            }
        }
    }
}

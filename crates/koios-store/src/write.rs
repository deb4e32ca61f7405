//! A change to the store: one transaction, then one announcement.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use crate::audit::{self, AuditEntry, AuditKey, AuditResource};
use crate::change::Change;
use crate::database::{Connection, Database, DatabaseResult, Transaction};
use crate::error::StoreError;
use crate::event::{self, Committed, Listeners, StoreEvent, Told};
use crate::idempotency;
use crate::instant;
use crate::row_changes;
use crate::store::Apply;

/// A transaction under way. Dropping it rolls back.
#[derive(Debug)]
pub(crate) struct Write {
    database: Database,
    transaction: Transaction,
    changes: Vec<Change>,
    told: Vec<Told>,
    listeners: Listeners,
    /// What the commit adds to the audit trail.
    audit: Vec<AuditEntry>,
    audit_key: Arc<AuditKey>,
    /// Held until the changes are announced, so that announcements come in the order of the commits.
    _turn: OwnedMutexGuard<()>,
}

impl Write {
    pub(crate) async fn begin(
        database: &Database,
        listeners: Listeners,
        audit: Option<AuditEntry>,
        audit_key: Arc<AuditKey>,
    ) -> Result<Self, StoreError> {
        let (turn, transaction) = database.write().await?;
        let audit = audit.into_iter().collect();
        let database = database.clone();
        let (changes, told) = (Vec::new(), Vec::new());
        Ok(Self { database, transaction, changes, told, listeners, audit, audit_key, _turn: turn })
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.transaction
    }

    pub(crate) fn audit_key(&self) -> Arc<AuditKey> {
        Arc::clone(&self.audit_key)
    }

    /// Notes a change, to be told once it is committed.
    pub(crate) fn announce(&mut self, change: Change) {
        self.changes.push(change);
        self.told.extend(Told::of(change));
    }

    /// Notes an event, to be told once it is committed: of what no change tells, or tells too little.
    pub(crate) fn tell(&mut self, event: StoreEvent) {
        self.told.push(Told::Event(event));
    }

    /// Records, when changes are recorded, that the same caller's change did this as well.
    pub(crate) fn record_too(&mut self, action: &str) {
        if let Some(entry) = self.audit.first() {
            // Its values are those of the change itself.
            let entry = AuditEntry { action: action.to_owned(), before: None, after: None, ..entry.clone() };
            self.audit.push(entry);
        }
    }

    /// Says what the recorded change is about and what it did, where the caller's entry leaves that open.
    pub(crate) fn describe(
        &mut self,
        resource: Option<AuditResource>,
        before: Option<Value>,
        after: Option<Value>,
    ) {
        if let Some(entry) = self.audit.first_mut() {
            entry.resource = entry.resource.take().or(resource);
            entry.before = entry.before.take().or(before);
            entry.after = entry.after.take().or(after);
        }
    }

    /// The change leaves everything as it was: there is nothing to record.
    pub(crate) fn changes_nothing(&mut self) {
        self.audit.clear();
    }

    /// Commits and tells, or rolls back.
    pub(crate) async fn finish(mut self, apply: Apply) -> Result<(), StoreError> {
        match apply {
            Apply::DryRun => self.transaction.rollback().await.database(),
            Apply::Commit => {
                for entry in std::mem::take(&mut self.audit) {
                    if let (Some(once), Some(resource)) = (&entry.once, &entry.resource) {
                        idempotency::note(&mut self.transaction, once, &resource.id, entry.at).await?;
                    }
                    audit::append(&mut self.transaction, entry, &self.audit_key).await?;
                }
                row_changes::note(&mut self.transaction, &self.changes).await?;
                let events = match self.listeners.want_events() {
                    true => event::complete(&mut self.transaction, self.told).await?,
                    false => Vec::new(),
                };
                self.database.commit(self.transaction).await?;
                // Before the changes: what comes of those is told after what brought it about.
                if !events.is_empty() {
                    self.listeners.tell_events(Committed { at: instant::now(), events });
                }
                for change in self.changes {
                    self.listeners.tell(change);
                }
                Ok(())
            }
        }
    }
}

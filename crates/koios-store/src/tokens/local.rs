//! Tokens for a process beside the daemon.

use time::OffsetDateTime;

use super::{LastAdmin, NewToken, Token};
use crate::audit::AuditEntry;
use crate::error::{OpenError, StoreError};
use crate::id::TokenId;
use crate::store::{Store, StoreOptions};

/// The tokens of a data directory, to add and revoke some, also beside a running daemon: the way back for whoever has lost
/// the last admin token, and has the directory.
///
/// The daemon looks for a token in the database with each request, so that a change counts from its commit. The audit trail
/// has one order because every commit, of whatever process, reads the newest entry after it has become the one writer.
#[derive(Debug)]
pub struct LocalTokens(Store);

impl LocalTokens {
    /// Opens a data directory for this alone. Nothing is made and nothing is mended: a daemon must have started there
    /// before, of this version.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way.
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        Store::open_beside(options).await.map(Self)
    }

    /// As [`Store::create_token`]; `entry` is what the audit trail says of it.
    ///
    /// # Errors
    /// Those of [`Store::create_token`].
    pub async fn create(&self, new: NewToken, entry: AuditEntry) -> Result<Token, StoreError> {
        self.0.recording(entry).create_token(new).await
    }

    /// As [`Store::revoke_token`]; `entry` is what the audit trail says of it.
    ///
    /// # Errors
    /// Those of [`Store::revoke_token`].
    pub async fn revoke(
        &self,
        id: TokenId,
        last_admin: LastAdmin,
        now: OffsetDateTime,
        entry: AuditEntry,
    ) -> Result<Token, StoreError> {
        self.0.recording(entry).revoke_token(id, last_admin, now).await
    }

    /// Lets the directory go.
    pub async fn close(self) {
        self.0.close().await;
    }
}

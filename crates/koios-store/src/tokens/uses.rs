//! When tokens were used last: noted in memory with each request, and written now and then, since a write waits for the disk.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use time::OffsetDateTime;

use crate::database::DatabaseResult;
use crate::error::StoreError;
use crate::id::TokenId;
use crate::instant;
use crate::store::{Apply, Store};

/// The newest use of each token that is not written yet: no more of them than there are tokens.
#[derive(Debug, Default)]
pub(crate) struct TokenUses(Mutex<HashMap<TokenId, OffsetDateTime>>);

impl TokenUses {
    pub(super) fn newest(&self, id: TokenId) -> Option<OffsetDateTime> {
        self.lock().get(&id).copied()
    }

    pub(super) fn forget(&self, id: TokenId) {
        self.lock().remove(&id);
    }

    fn note(&self, id: TokenId, at: OffsetDateTime) {
        self.lock().insert(id, at);
    }

    fn unwritten(&self) -> Vec<(TokenId, OffsetDateTime)> {
        self.lock().iter().map(|(id, at)| (*id, *at)).collect()
    }

    /// Those that came meanwhile stay.
    fn written(&self, uses: &[(TokenId, OffsetDateTime)]) {
        let mut newest = self.lock();
        for (id, at) in uses {
            if newest.get(id) == Some(at) {
                newest.remove(id);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TokenId, OffsetDateTime>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Notes in memory that a token was used; [`Store::write_token_uses`] writes it, and [`Store::close`] does.
    pub fn note_token_use(&self, id: TokenId, at: OffsetDateTime) {
        self.inner.token_uses.note(id, at);
    }

    /// Writes when tokens were used last, in one commit for all; nothing when none was used since.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like; what was noted is kept then.
    pub async fn write_token_uses(&self) -> Result<(), StoreError> {
        let store = Self { audit: None, ..self.clone() };
        self.run(async move {
            let uses = store.inner.token_uses.unwritten();
            if uses.is_empty() {
                return Ok(());
            }
            let mut write = store.begin().await?;
            for (id, at) in &uses {
                // A token that was revoked meanwhile is not there.
                sqlx::query("UPDATE tokens SET last_used_at = $1 WHERE id = $2")
                    .bind(instant::to_micros(*at))
                    .bind(id.to_string())
                    .execute(write.connection())
                    .await
                    .database()?;
            }
            write.finish(Apply::Commit).await?;
            store.inner.token_uses.written(&uses);
            Ok(())
        })
        .await
    }
}

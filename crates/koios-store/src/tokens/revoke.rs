//! The end of a token.

use time::OffsetDateTime;

use super::{Role, Token, TokenRow, all};
use crate::database::DatabaseResult;
use crate::error::{Resource, StoreError, with_causes};
use crate::id::TokenId;
use crate::store::{Apply, Store};

/// Whether the last token with which anybody can administer may be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it may go or it may not")]
pub enum LastAdmin {
    /// No.
    Keep,
    /// Yes: whoever asks has another way in.
    Revoke,
}

impl Store {
    /// Removes a token, with the answers kept for it and, if it is the first admin token, the file that tells it. Answers
    /// what it was.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::LastAdminToken`] when no other admin token has time left at `now`;
    /// [`StoreError::StorageFull`] and its like.
    pub async fn revoke_token(
        &self,
        id: TokenId,
        last_admin: LastAdmin,
        now: OffsetDateTime,
    ) -> Result<Token, StoreError> {
        let store = self.clone();
        self.run(async move {
            let uses = &store.inner.token_uses;
            let mut write = store.begin().await?;
            let row: Option<TokenRow> = sqlx::query_as("SELECT * FROM tokens WHERE id = $1")
                .bind(id.to_string())
                .fetch_optional(write.connection())
                .await
                .database()?;
            let row = row.ok_or_else(|| StoreError::not_found(Resource::Token, id))?;
            let secret_hash = row.secret_hash.clone();
            let token = row.token(uses)?;
            if last_admin == LastAdmin::Keep && is_admin(&token, now) {
                let others = all(write.connection(), uses).await?;
                if !others.iter().any(|other| other.id != id && is_admin(other, now)) {
                    return Err(StoreError::LastAdminToken { id, name: token.name });
                }
            }
            sqlx::query("DELETE FROM idempotency WHERE token_id = $1")
                .bind(id.to_string())
                .execute(write.connection())
                .await
                .database()?;
            sqlx::query("DELETE FROM tokens WHERE id = $1")
                .bind(id.to_string())
                .execute(write.connection())
                .await
                .database()?;
            let (resource, before) = token.audited();
            write.describe(Some(resource), Some(before), None);
            write.finish(Apply::Commit).await?;
            uses.forget(id);
            // After the commit: a token that is still good must not be lost with its file. A start looks again.
            if let Ok(secret_hash) = secret_hash.try_into()
                && let Err(error) = store.forget_initial_admin_token(secret_hash).await
            {
                tracing::warn!(
                    error = with_causes(&error),
                    "the token is revoked, but initial-admin-token could not be removed; the next start tries again"
                );
            }
            Ok(token)
        })
        .await
    }
}

fn is_admin(token: &Token, now: OffsetDateTime) -> bool {
    token.role == Role::Admin && !token.has_expired(now)
}

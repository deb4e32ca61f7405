//! Access tokens: who gets one, with what in it, and its end.

use koios_store::{
    AuditEntry, LastAdmin, Name, NewToken, Page, Permission, Role, Store, Token, TokenId, TokenQuery,
};
use time::OffsetDateTime;

use super::{
    access::{Caller, PlainToken},
    error::ServiceError,
};

/// What the audit trail calls the addition of a token.
pub(crate) const CREATED: &str = "token.created";
/// What the audit trail calls the end of a token.
pub(crate) const REVOKED: &str = "token.revoked";

/// A token that somebody wants.
#[derive(Debug)]
pub(crate) struct TokenOrder {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) permissions: Vec<Permission>,
    pub(crate) expires_at: Option<OffsetDateTime>,
}

impl TokenOrder {
    /// Makes the token, of which the store is to keep the hash.
    pub(crate) fn prepare(self, now: OffsetDateTime) -> Result<(NewToken, PlainToken), ServiceError> {
        let Self { name, role, mut permissions, expires_at } = self;
        permissions.sort_unstable();
        permissions.dedup();
        if is_reserved(&name) {
            return Err(ServiceError::invalid_field(
                "name",
                "stands in the audit trail for a part of the program; choose another one",
            ));
        }
        if expires_at.is_some_and(|end| end <= now) {
            return Err(ServiceError::invalid_field("expires_at", "must be in the future"));
        }
        let plain = PlainToken::generate()?;
        let mut new = NewToken::new(name, role, plain.hash());
        new.permissions = permissions;
        new.expires_at = expires_at;
        Ok((new, plain))
    }
}

/// Whether the audit trail could take a token of that name for the program itself.
fn is_reserved(name: &str) -> bool {
    let name = Name::parse(name).map(|name| name.folded()).unwrap_or_default();
    name == "koios" || name == "folder" || name == "koiosd" || name.starts_with("koiosd ")
}

/// Makes, shows and ends tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    store: Store,
}

impl Tokens {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    pub(crate) async fn list(&self, query: TokenQuery) -> Result<Page<Token>, ServiceError> {
        Ok(self.store.tokens(query).await?)
    }

    pub(crate) async fn token(&self, id: TokenId) -> Result<Token, ServiceError> {
        Ok(self.store.token(id).await?)
    }

    /// Makes a token that may no more than the caller's, and no longer.
    pub(crate) async fn create(
        &self,
        caller: &Caller,
        order: TokenOrder,
    ) -> Result<(Token, PlainToken), ServiceError> {
        within(&caller.token, &order)?;
        let (new, plain) = order.prepare(OffsetDateTime::now_utc())?;
        Ok((self.store.recording(caller.entry(CREATED)).create_token(new).await?, plain))
    }

    /// Ends a token, with the next request.
    pub(crate) async fn revoke(&self, caller: &Caller, id: TokenId) -> Result<(), ServiceError> {
        let store = self.store.recording(caller.entry(REVOKED));
        store.revoke_token(id, LastAdmin::Keep, OffsetDateTime::now_utc()).await?;
        Ok(())
    }
}

/// The first admin token is made by the program itself.
pub(crate) fn first_token_entry() -> AuditEntry {
    AuditEntry::new(OffsetDateTime::now_utc(), "koios", CREATED)
}

/// A token grants only what its creator holds.
fn within(creator: &Token, order: &TokenOrder) -> Result<(), ServiceError> {
    let lacks = |field, lacks| Err(ServiceError::NotHeld { field, lacks });
    if order.role > creator.role {
        return lacks("role", "has not that role");
    }
    if order.permissions.iter().any(|permission| !creator.permissions.contains(permission)) {
        return lacks("permissions", "has not that permission");
    }
    match (creator.expires_at, order.expires_at) {
        (Some(end), Some(wanted)) if wanted <= end => Ok(()),
        (Some(_), _) => lacks("expires_at", "ends earlier"),
        (None, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    fn order(name: &str) -> TokenOrder {
        TokenOrder { name: name.to_owned(), role: Role::Viewer, permissions: Vec::new(), expires_at: None }
    }

    #[test]
    fn no_token_is_called_as_the_program_calls_itself_in_the_audit_trail() {
        let now = OffsetDateTime::UNIX_EPOCH;
        for name in ["koios", " KOIOS ", "folder", "koiosd", "koiosd import", "Koiosd token"] {
            assert!(order(name).prepare(now).is_err(), "{name}");
        }
        for name in ["koios line 4", "koiosd-pipeline", "folders"] {
            assert!(order(name).prepare(now).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_token_ends_in_the_future() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        for (after, is_good) in [(Duration::ZERO, false), (-Duration::DAY, false), (Duration::SECOND, true)] {
            let order = TokenOrder { expires_at: Some(now + after), ..order("a") };
            assert_eq!(order.prepare(now).is_ok(), is_good, "{after}");
        }
    }
}

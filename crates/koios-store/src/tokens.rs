//! Access tokens. The store knows their SHA-256 only, never the token.

mod initial;
mod local;
mod revoke;
mod uses;

use std::sync::atomic::Ordering;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::{Value, json};
use sqlx::FromRow;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::audit::AuditResource;
use crate::database::{Connection, DatabaseResult};
use crate::error::{Resource, StoreError};
use crate::id::TokenId;
use crate::instant;
use crate::name::{Name, fold};
use crate::page::{Entry, Page, PageRequest, Sort, SortValue, paginate};
use crate::store::{Apply, Store};

pub use local::LocalTokens;
pub use revoke::LastAdmin;
pub(crate) use uses::TokenUses;

text_enum! {
    /// What a token may do; each role holds what the ones before it hold.
    pub enum Role {
        /// Read.
        Viewer = "viewer",
        /// Change certificates and devices, test.
        Operator = "operator",
        /// Everything about access and trust.
        Admin = "admin",
    }
}

text_enum! {
    /// What a token may do beyond its role.
    pub enum Permission {
        /// Take private keys out.
        DownloadPrivateKey = "download_private_key",
    }
}

text_enum! {
    /// What a list of tokens is sorted by.
    #[derive(Default)]
    pub enum TokenSortKey {
        /// When it was added.
        #[default]
        CreatedAt = "created_at",
        /// Its name, without regard to case.
        Name = "name",
    }
}

/// Which tokens, and in which order.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TokenQuery {
    /// In which order.
    pub sort: Sort<TokenSortKey>,
    /// Which page.
    pub page: PageRequest,
}

/// A token to add.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewToken {
    /// What people call it, by the rules of [`Name`]. Several may have the same.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its permissions beyond the role.
    pub permissions: Vec<Permission>,
    /// When it stops working.
    pub expires_at: Option<OffsetDateTime>,
    /// SHA-256 of the token.
    pub secret_hash: [u8; 32],
}

impl NewToken {
    /// A token without permissions beyond its role, and without an end.
    #[must_use]
    pub fn new(name: impl Into<String>, role: Role, secret_hash: [u8; 32]) -> Self {
        Self { name: name.into(), role, permissions: Vec::new(), expires_at: None, secret_hash }
    }
}

/// A token as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// What people call it.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its permissions beyond the role.
    pub permissions: Vec<Permission>,
    /// When it was added.
    pub created_at: OffsetDateTime,
    /// When it stops working; the caller compares it with the clock.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was used last ([`Store::note_token_use`]); `None` when never.
    pub last_used_at: Option<OffsetDateTime>,
}

impl Token {
    /// Whether its time is over.
    #[must_use]
    pub fn has_expired(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    fn audited(&self) -> (AuditResource, Value) {
        let resource = AuditResource::new("token", self.id.to_string(), Some(self.name.clone()));
        let expires_at = self.expires_at.and_then(|end| end.format(&Rfc3339).ok());
        let permissions: Vec<&str> = self.permissions.iter().map(|permission| permission.as_str()).collect();
        let value =
            json!({ "role": self.role.as_str(), "permissions": permissions, "expires_at": expires_at });
        (resource, value)
    }
}

impl Store {
    /// Adds a token. The first one ends the first start ([`Store::is_first_start`]).
    ///
    /// # Errors
    /// [`StoreError::InvalidName`]; [`StoreError::StorageFull`] and its like.
    pub async fn create_token(&self, new: NewToken) -> Result<Token, StoreError> {
        let store = self.clone();
        self.run(async move {
            let NewToken { name, role, permissions, expires_at, secret_hash } = new;
            let expires_at = expires_at.map(instant::to_micros);
            let token = Token {
                id: TokenId::generate(),
                name: Name::parse(&name)?.as_str().to_owned(),
                role,
                permissions,
                created_at: instant::now(),
                expires_at: expires_at.map(|end| instant::from_micros(end, EXPIRES_AT)).transpose()?,
                last_used_at: None,
            };
            let names: Vec<&str> = token.permissions.iter().map(|permission| permission.as_str()).collect();
            let permissions = serde_json::to_string(&names)
                .map_err(|source| StoreError::corrupt("tokens.permissions", source))?;
            let mut write = store.begin().await?;
            sqlx::query(
                "INSERT INTO tokens (id, name, role, permissions, secret_hash, created_at, expires_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(token.id.to_string())
            .bind(&token.name)
            .bind(token.role.as_str())
            .bind(permissions)
            .bind(secret_hash.as_slice())
            .bind(instant::to_micros(token.created_at))
            .bind(expires_at)
            .execute(write.connection())
            .await
            .database()?;
            let (resource, after) = token.audited();
            write.describe(Some(resource), None, Some(after));
            sqlx::query(
                "INSERT INTO facts (fact, value) VALUES ('set up', '') ON CONFLICT (fact) DO NOTHING",
            )
            .execute(write.connection())
            .await
            .database()?;
            write.finish(Apply::Commit).await?;
            store.inner.set_up.store(true, Ordering::Release);
            Ok(token)
        })
        .await
    }

    /// The token with this SHA-256; whether it has expired is the caller's to see.
    ///
    /// An index finds the row, so the time that takes may tell something about the hashes in it. That is no way to a token:
    /// what is compared there is a hash of what the caller sent, so that nobody can approach a stored one byte by byte. The
    /// comparison that decides takes the same time for all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn token_by_hash(&self, secret_hash: [u8; 32]) -> Result<Option<Token>, StoreError> {
        self.reading(async {
            let row: Option<TokenRow> = sqlx::query_as("SELECT * FROM tokens WHERE secret_hash = $1")
                .bind(secret_hash.to_vec())
                .fetch_optional(&mut *self.inner.database.read().await?)
                .await
                .database()?;
            let same = |row: &TokenRow| verify_slices_are_equal(&row.secret_hash, &secret_hash).is_ok();
            row.filter(same).map(|row| row.token(&self.inner.token_uses)).transpose()
        })
        .await
    }

    /// The token with this id.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`] and its like.
    pub async fn token(&self, id: TokenId) -> Result<Token, StoreError> {
        self.reading(async {
            let row: Option<TokenRow> = sqlx::query_as("SELECT * FROM tokens WHERE id = $1")
                .bind(id.to_string())
                .fetch_optional(&mut *self.inner.database.read().await?)
                .await
                .database()?;
            let row = row.ok_or_else(|| StoreError::not_found(Resource::Token, id))?;
            row.token(&self.inner.token_uses)
        })
        .await
    }

    /// A page of the tokens, those that have expired included.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`]; [`StoreError::Unavailable`] and its like.
    pub async fn tokens(&self, query: TokenQuery) -> Result<Page<Token>, StoreError> {
        self.reading(async {
            let TokenQuery { sort: Sort { key, direction }, page } = query;
            let tokens = all(&mut *self.inner.database.read().await?, &self.inner.token_uses).await?;
            // They are few: people and pipelines, not devices.
            let entries = tokens.into_iter().map(|token| Entry {
                value: match key {
                    TokenSortKey::CreatedAt => SortValue::Number(instant::to_micros(token.created_at)),
                    TokenSortKey::Name => SortValue::Text(fold(&token.name)),
                },
                id: token.id.to_string(),
                item: token,
            });
            paginate(entries.collect(), key.as_str(), direction, &page)
        })
        .await
    }
}

/// All of them, the oldest first.
async fn all(connection: &mut Connection, uses: &TokenUses) -> Result<Vec<Token>, StoreError> {
    let rows: Vec<TokenRow> =
        sqlx::query_as("SELECT * FROM tokens ORDER BY id").fetch_all(connection).await.database()?;
    rows.into_iter().map(|row| row.token(uses)).collect()
}

const EXPIRES_AT: &str = "tokens.expires_at";

#[derive(Debug, FromRow)]
struct TokenRow {
    id: String,
    name: String,
    role: String,
    permissions: String,
    secret_hash: Vec<u8>,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl TokenRow {
    /// The token, with its newest use.
    fn token(self, uses: &TokenUses) -> Result<Token, StoreError> {
        let unknown = |what: &str| StoreError::Corrupt { what: what.to_owned(), source: None };
        let instant_of =
            |at: Option<i64>, column: &str| at.map(|at| instant::from_micros(at, column)).transpose();
        let id: TokenId = self.id.parse().map_err(|source| StoreError::corrupt("tokens.id", source))?;
        let names: Vec<String> = serde_json::from_str(&self.permissions)
            .map_err(|source| StoreError::corrupt("tokens.permissions", source))?;
        Ok(Token {
            id,
            name: self.name,
            role: Role::from_name(&self.role).ok_or_else(|| unknown("tokens.role"))?,
            permissions: names
                .iter()
                .map(|name| Permission::from_name(name).ok_or_else(|| unknown("tokens.permissions")))
                .collect::<Result<_, _>>()?,
            created_at: instant::from_micros(self.created_at, "tokens.created_at")?,
            expires_at: instant_of(self.expires_at, EXPIRES_AT)?,
            last_used_at: match uses.newest(id) {
                None => instant_of(self.last_used_at, "tokens.last_used_at")?,
                noted => noted,
            },
        })
    }
}

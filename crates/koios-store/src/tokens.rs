//! Access tokens. The store knows their SHA-256 only, never the token.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use sqlx::FromRow;
use time::OffsetDateTime;

use crate::atomic::{self, Access};
use crate::database::DatabaseResult;
use crate::error::StoreError;
use crate::id::TokenId;
use crate::instant;
use crate::store::{Apply, Store};

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

/// A token to add.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewToken {
    /// What people call it.
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
}

impl Store {
    /// Adds a token. The first one ends the first start ([`Store::is_first_start`]).
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like.
    pub async fn create_token(&self, new: NewToken) -> Result<Token, StoreError> {
        let store = self.clone();
        self.run(async move {
            let NewToken { name, role, permissions, expires_at, secret_hash } = new;
            let token = Token {
                id: TokenId::generate(),
                name,
                role,
                permissions,
                created_at: instant::now(),
                expires_at,
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
            .bind(token.expires_at.map(instant::to_micros))
            .execute(write.connection())
            .await
            .database()?;
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
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn token_by_hash(&self, secret_hash: [u8; 32]) -> Result<Option<Token>, StoreError> {
        self.reading(async {
            let row: Option<TokenRow> = sqlx::query_as("SELECT * FROM tokens WHERE secret_hash = $1")
                .bind(secret_hash.to_vec())
                .fetch_optional(&mut *self.inner.database.read().await?)
                .await
                .database()?;
            row.map(TokenRow::token).transpose()
        })
        .await
    }

    /// Writes the file that tells the first admin token, for its owner alone (mode 0600), and answers its
    /// path.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like.
    pub async fn write_initial_admin_token(&self, token: &str) -> Result<PathBuf, StoreError> {
        let store = self.clone();
        let contents = zeroize::Zeroizing::new(format!("{token}\n"));
        self.run(async move {
            store
                .blocking(move |layout| {
                    let path = layout.initial_admin_token();
                    atomic::replace(&path, contents.as_bytes(), Access::Secret)
                        .map_err(|source| StoreError::io(&path, source))?;
                    Ok(path)
                })
                .await
        })
        .await
    }

    /// Where [`Store::write_initial_admin_token`] writes.
    #[must_use]
    pub fn initial_admin_token_path(&self) -> PathBuf {
        self.inner.layout.initial_admin_token()
    }
}

#[derive(Debug, FromRow)]
struct TokenRow {
    id: String,
    name: String,
    role: String,
    permissions: String,
    created_at: i64,
    expires_at: Option<i64>,
}

impl TokenRow {
    fn token(self) -> Result<Token, StoreError> {
        let unknown = |what: &str| StoreError::Corrupt { what: what.to_owned(), source: None };
        let names: Vec<String> = serde_json::from_str(&self.permissions)
            .map_err(|source| StoreError::corrupt("tokens.permissions", source))?;
        Ok(Token {
            id: self.id.parse().map_err(|source| StoreError::corrupt("tokens.id", source))?,
            name: self.name,
            role: Role::from_name(&self.role).ok_or_else(|| unknown("tokens.role"))?,
            permissions: names
                .iter()
                .map(|name| Permission::from_name(name).ok_or_else(|| unknown("tokens.permissions")))
                .collect::<Result<_, _>>()?,
            created_at: instant::from_micros(self.created_at, "tokens.created_at")?,
            expires_at: self
                .expires_at
                .map(|at| instant::from_micros(at, "tokens.expires_at"))
                .transpose()?,
        })
    }
}

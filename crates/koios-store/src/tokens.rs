//! Access tokens. The store knows their SHA-256 only, never the token.

use time::OffsetDateTime;

use crate::error::StoreError;
use crate::id::TokenId;
use crate::store::Store;

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

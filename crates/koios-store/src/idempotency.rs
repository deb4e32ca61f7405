//! Answers kept for a day, so that a request sent twice is carried out once.

use time::OffsetDateTime;

use crate::id::TokenId;

/// An answer as it went over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredAnswer {
    /// HTTP status.
    pub status: u16,
    /// Names and values of the headers worth repeating.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl StoredAnswer {
    /// An answer of these parts.
    #[must_use]
    pub fn new(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self { status, headers, body }
    }
}

/// What a key was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdempotencyRecord {
    /// The token that used it.
    pub token: TokenId,
    /// The key.
    pub key: String,
    /// SHA-256 of the request: another one under the same key is the caller's mistake.
    pub body_hash: [u8; 32],
    /// What was answered.
    pub answer: StoredAnswer,
    /// When.
    pub at: OffsetDateTime,
}

impl IdempotencyRecord {
    /// A record of these parts.
    #[must_use]
    pub fn new(
        token: TokenId,
        key: impl Into<String>,
        body_hash: [u8; 32],
        answer: StoredAnswer,
        at: OffsetDateTime,
    ) -> Self {
        Self { token, key: key.into(), body_hash, answer, at }
    }
}

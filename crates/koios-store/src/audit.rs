//! The audit trail: rows that are only ever added, each sealed to the one before under a key of its own.

mod append;
mod key;
mod list;
mod row;
mod verify;

use serde_json::Value;
use time::OffsetDateTime;

use crate::idempotency::OnceKey;

pub(crate) use append::append;
pub(crate) use key::AuditKey;
pub use list::{AuditQuery, RecordedEntry};
pub(crate) use verify::verify;
pub use verify::{AuditFault, AuditHead, AuditVerification};

/// What an audit entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditResource {
    /// Its kind, such as `certificate`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name at that time.
    pub name: Option<String>,
}

impl AuditResource {
    /// A resource, with the name it has now.
    #[must_use]
    pub fn new(kind: impl Into<String>, id: impl Into<String>, name: Option<String>) -> Self {
        Self { kind: kind.into(), id: id.into(), name }
    }
}

/// Who did what. Must hold no secret.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// When.
    pub at: OffsetDateTime,
    /// Who: the name of a token, or of a part of the program.
    pub actor: String,
    /// The network address the wish came from.
    pub address: Option<String>,
    /// What was done, such as `certificate.private_key_downloaded`.
    pub action: String,
    /// What it was done to.
    pub resource: Option<AuditResource>,
    /// The resource before.
    pub before: Option<Value>,
    /// The resource afterwards.
    pub after: Option<Value>,
    /// The key under which it was asked for, which the commit notes apart from the trail.
    pub once: Option<OnceKey>,
}

impl AuditEntry {
    /// An entry with neither address, resource nor values.
    #[must_use]
    pub fn new(at: OffsetDateTime, actor: impl Into<String>, action: impl Into<String>) -> Self {
        Self {
            at,
            actor: actor.into(),
            address: None,
            action: action.into(),
            resource: None,
            before: None,
            after: None,
            once: None,
        }
    }
}

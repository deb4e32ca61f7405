//! The audit trail on the wire.

use koios_store::{AuditQuery, RecordedEntry};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::api::query::{FromQuery, PageQuery, QueryReader};

/// Which entries.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Exactly this action, such as `certificate.regenerated`.
    action: Option<String>,
    /// Exactly this actor: the name of a token, or `koios` for what it does by itself.
    actor: Option<String>,
    /// Those about this resource: the id of a certificate or device, the thumbprint of a server certificate.
    resource_id: Option<String>,
    /// Not before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<OffsetDateTime>,
    /// Before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<OffsetDateTime>,
    /// How many items at most.
    #[param(default = 50, minimum = 1, maximum = 500, required = false)]
    limit: u32,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<String>,
}

impl FromQuery for ListQuery {
    fn from_query(query: &mut QueryReader) -> Self {
        let PageQuery { limit, cursor } = PageQuery::from_query(query);
        Self {
            action: query.text("action"),
            actor: query.text("actor"),
            resource_id: query.text("resource_id"),
            from: query.instant("from"),
            to: query.instant("to"),
            limit,
            cursor,
        }
    }
}

impl From<ListQuery> for AuditQuery {
    fn from(asked: ListQuery) -> Self {
        let mut query = Self::default();
        query.action = asked.action;
        query.actor = asked.actor;
        query.resource_id = asked.resource_id;
        query.from = asked.from;
        query.to = asked.to;
        query.page = PageQuery { limit: asked.limit, cursor: asked.cursor }.into();
        query
    }
}

/// An entry of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct EntryBody {
    /// Counts from 1 without a gap.
    sequence: i64,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// The name of a token, or `koios` for what it does by itself.
    actor: String,
    /// The network address that it came from.
    #[schema(required = true)]
    address: Option<String>,
    action: String,
    /// What it was done to; `null` when to several things or to none.
    #[schema(required = true)]
    resource: Option<ResourceBody>,
    /// What of it was before.
    #[schema(required = true)]
    before: Option<Value>,
    /// What of it was afterwards.
    #[schema(required = true)]
    after: Option<Value>,
    /// Seals the entry to the one before: HMAC-SHA-256, upper-case hexadecimal.
    hash: String,
}

/// What an entry is about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditResource)]
struct ResourceBody {
    /// Such as `certificate`.
    kind: String,
    id: String,
    /// Its name at that time.
    #[schema(required = true)]
    name: Option<String>,
}

impl From<RecordedEntry> for EntryBody {
    fn from(recorded: RecordedEntry) -> Self {
        let RecordedEntry { sequence, entry, hash, .. } = recorded;
        let resource = entry.resource.map(|resource| ResourceBody {
            kind: resource.kind,
            id: resource.id,
            name: resource.name,
        });
        Self {
            sequence,
            at: entry.at,
            actor: entry.actor,
            address: entry.address,
            action: entry.action,
            resource,
            before: entry.before,
            after: entry.after,
            hash: hex(&hash),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

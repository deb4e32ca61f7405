//! An entry as it is stored, and what seals it to the one before.

use aws_lc_rs::hmac;

use super::key::AuditKey;
use super::{AuditEntry, AuditResource};
use crate::file_digest::sha256;
use crate::instant;

/// An entry as it is stored and hashed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Row {
    pub(super) sequence: i64,
    pub(super) at: i64,
    pub(super) actor: String,
    pub(super) address: Option<String>,
    pub(super) action: String,
    pub(super) resource_kind: Option<String>,
    pub(super) resource_id: Option<String>,
    pub(super) resource_name: Option<String>,
    #[sqlx(rename = "before_json")]
    pub(super) before: Option<String>,
    #[sqlx(rename = "after_json")]
    pub(super) after: Option<String>,
}

impl Row {
    pub(super) fn of(sequence: i64, entry: AuditEntry) -> Self {
        let AuditEntry { at, actor, address, action, resource, before, after, once: _ } = entry;
        let (resource_kind, resource_id, resource_name) = resource
            .map_or((None, None, None), |AuditResource { kind, id, name }| (Some(kind), Some(id), name));
        Self {
            sequence,
            at: instant::to_micros(at),
            actor,
            address,
            action,
            resource_kind,
            resource_id,
            resource_name,
            before: before.map(|value| value.to_string()),
            after: after.map(|value| value.to_string()),
        }
    }

    /// The hash that seals the entry to the one before.
    pub(super) fn sealed(&self, previous: &[u8], key: &AuditKey) -> Vec<u8> {
        hmac::sign(key.key(), &self.sealed_bytes(previous)).as_ref().to_vec()
    }

    /// The hash of entries from before there were keys.
    pub(super) fn unkeyed(&self, previous: &[u8]) -> [u8; 32] {
        sha256(&[&self.sealed_bytes(previous)])
    }

    fn sealed_bytes(&self, previous: &[u8]) -> Vec<u8> {
        let Self {
            sequence,
            at,
            actor,
            address,
            action,
            resource_kind,
            resource_id,
            resource_name,
            before,
            after,
        } = self;
        let mut bytes = previous.to_vec();
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.extend_from_slice(&at.to_be_bytes());
        let columns = [
            Some(actor),
            address.as_ref(),
            Some(action),
            resource_kind.as_ref(),
            resource_id.as_ref(),
            resource_name.as_ref(),
            before.as_ref(),
            after.as_ref(),
        ];
        for column in columns {
            // NULL and the empty text differ in the first byte.
            match column {
                None => bytes.push(0),
                Some(text) => {
                    bytes.push(1);
                    bytes.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use serde_json::Value;

    use super::*;

    #[test]
    fn every_column_and_the_entry_before_count_in_the_hash() {
        let at = datetime!(2026-11-23 10:00 UTC);
        let entry = |change: fn(&mut AuditEntry)| {
            let mut entry = AuditEntry::new(at, "admin", "certificate.deleted");
            entry.resource = Some(AuditResource::new("certificate", "1", None));
            change(&mut entry);
            Row::of(1, entry)
        };
        let key = AuditKey::of_test(1);
        let plain = entry(|_| {}).sealed(&[0; 32], &key);
        assert_ne!(plain, entry(|_| {}).sealed(&[0; 32], &AuditKey::of_test(2)));
        assert_ne!(plain, entry(|_| {}).unkeyed(&[0; 32]));
        assert_ne!(plain, entry(|_| {}).sealed(&[1; 32], &key));
        let changes: [fn(&mut AuditEntry); 6] = [
            |entry| entry.actor.push('2'),
            |entry| entry.address = Some(String::new()),
            |entry| entry.action.push('2'),
            |entry| entry.resource = None,
            |entry| entry.before = Some(Value::Null),
            |entry| entry.after = Some(Value::Null),
        ];
        for change in changes {
            assert_ne!(plain, entry(change).sealed(&[0; 32], &key));
        }
    }
}

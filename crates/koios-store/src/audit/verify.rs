//! Whether the audit trail is as it was written.

use super::key::AuditKey;
use super::list::{HashedRow, rows_after};
use crate::database::{Database, DatabaseResult};
use crate::error::StoreError;
use crate::secrets::SecretsKey;
use crate::store::Store;

/// The newest entry: noted elsewhere, as in a log, it shows later that the end of the trail was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditHead {
    /// Its sequence number.
    pub sequence: i64,
    /// Its seal.
    pub hash: Vec<u8>,
}

impl AuditHead {
    /// The head that was noted.
    #[must_use]
    pub fn new(sequence: i64, hash: Vec<u8>) -> Self {
        Self { sequence, hash }
    }
}

/// What [`Store::verify_audit`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditVerification {
    /// How many entries there are.
    pub entries: u64,
    /// The newest one; `None` for an empty trail.
    pub head: Option<AuditHead>,
    /// How many entries are from before there were keys: their own hashes prove nothing, the first keyed seal after them
    /// covers them.
    pub unkeyed: u64,
    /// What is wrong, in order; at most 100.
    pub faults: Vec<AuditFault>,
}

/// Something that is wrong with the trail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditFault {
    /// An entry does not fit its seal: it, its seal or the entry before was changed, or entries were reordered.
    #[error("entry {sequence} is not as it was written, or does not follow the one before it")]
    Changed {
        /// Which one.
        sequence: i64,
    },
    /// Entries are missing.
    #[error("entries {from} to {to} are missing")]
    Missing {
        /// The first of them.
        from: i64,
        /// The last of them.
        to: i64,
    },
    /// A head that was noted is not in the trail: its end was cut off, or it was rewritten.
    #[error(
        "entry {sequence}, whose hash was noted, is not there or has another hash: the trail was cut off or rewritten"
    )]
    HeadMissing {
        /// The noted sequence number.
        sequence: i64,
    },
    /// Entries from here on have a key that the present master key does not open.
    #[error(
        "entry {sequence} and others cannot be verified: the master key with which they were sealed is not the present one"
    )]
    KeyMissing {
        /// The first of them.
        sequence: i64,
    },
}

const MAX_FAULTS: usize = 100;

/// Entries read at a time.
const BATCH: i64 = 1_000;

impl Store {
    /// Goes through the whole trail and compares every seal; `noted` are heads that were noted elsewhere.
    ///
    /// It finds every change, removal and reordering by anyone without the master key. It cannot find that the newest
    /// entries were cut off, unless a head that was noted is among them; nor what somebody with the master key rewrote.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn verify_audit(&self, noted: &[AuditHead]) -> Result<AuditVerification, StoreError> {
        self.reading(async { verify(&self.inner.database, &self.inner.secrets, noted).await }).await
    }

    /// The newest entry.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn audit_head(&self) -> Result<Option<AuditHead>, StoreError> {
        self.reading(async {
            let newest: Option<(i64, Vec<u8>)> =
                sqlx::query_as("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")
                    .fetch_optional(&mut *self.inner.database.read().await?)
                    .await
                    .database()?;
            Ok(newest.map(|(sequence, hash)| AuditHead { sequence, hash }))
        })
        .await
    }
}

/// As [`Store::verify_audit`].
pub(crate) async fn verify(
    database: &Database,
    secrets: &SecretsKey,
    noted: &[AuditHead],
) -> Result<AuditVerification, StoreError> {
    let keys = AuditKey::all(&mut *database.read().await?, secrets).await?;
    let mut check = Check::new(keys, noted);
    loop {
        let mut connection = database.read().await?;
        let rows = rows_after(&mut connection, check.last, BATCH).await?;
        drop(connection);
        if rows.is_empty() {
            return Ok(check.finish());
        }
        rows.iter().for_each(|row| check.look_at(row));
    }
}

struct Check<'a> {
    keys: Vec<AuditKey>,
    noted: Vec<&'a AuditHead>,
    last: i64,
    previous: Vec<u8>,
    result: AuditVerification,
}

impl<'a> Check<'a> {
    fn new(keys: Vec<AuditKey>, noted: &'a [AuditHead]) -> Self {
        let result = AuditVerification { entries: 0, head: None, unkeyed: 0, faults: Vec::new() };
        Self { keys, noted: noted.iter().collect(), last: 0, previous: vec![0; 32], result }
    }

    fn look_at(&mut self, hashed: &HashedRow) {
        let HashedRow { row, hash, key_id } = hashed;
        let sequence = row.sequence;
        let expected_next = self.last.saturating_add(1);
        if sequence != expected_next {
            self.fault(AuditFault::Missing { from: expected_next, to: sequence.saturating_sub(1) });
        }
        match key_id {
            None => {
                self.result.unkeyed = self.result.unkeyed.saturating_add(1);
                if row.unkeyed(&self.previous).as_slice() != hash {
                    self.fault(AuditFault::Changed { sequence });
                }
            }
            Some(id) => match self.keys.iter().find(|key| key.id() == *id) {
                Some(key) if row.sealed(&self.previous, key) == *hash => {}
                Some(_) => self.fault(AuditFault::Changed { sequence }),
                None => self.key_missing(sequence),
            },
        }
        self.noted.retain(|head| head.sequence != sequence || head.hash != *hash);
        self.last = sequence;
        self.previous.clone_from(hash);
        self.result.entries = self.result.entries.saturating_add(1);
    }

    /// Said once for all that have no key.
    fn key_missing(&mut self, sequence: i64) {
        let said = self.result.faults.iter().any(|fault| matches!(fault, AuditFault::KeyMissing { .. }));
        if !said {
            self.fault(AuditFault::KeyMissing { sequence });
        }
    }

    fn fault(&mut self, fault: AuditFault) {
        if self.result.faults.len() < MAX_FAULTS {
            self.result.faults.push(fault);
        }
    }

    fn finish(mut self) -> AuditVerification {
        for head in std::mem::take(&mut self.noted) {
            self.fault(AuditFault::HeadMissing { sequence: head.sequence });
        }
        if self.last > 0 {
            self.result.head = Some(AuditHead { sequence: self.last, hash: self.previous });
        }
        self.result
    }
}

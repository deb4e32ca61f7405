//! Changes that happen once, however often they are asked for with the same key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest::{Context, SHA256};
use koios_store::{IdempotencyRecord, OnceKey, Outcome, Store, StoredAnswer, TokenId};
use time::OffsetDateTime;

use super::error::ServiceError;

/// What a request asks for, as a SHA-256: two requests with the same one ask for the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of some parts; their borders count.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Self(digest)
    }

    /// The same body sent to another route is another request.
    pub(crate) fn at(self, target: &str) -> Self {
        Self::of([target.as_bytes(), &self.0])
    }
}

/// Keeps the first answer to each key, for 24 hours and per token.
#[derive(Clone, Debug)]
pub(crate) struct Idempotency {
    store: Store,
    running: Arc<Mutex<HashMap<Key, Turn>>>,
}

type Key = (TokenId, String);
type Turn = Arc<tokio::sync::Mutex<()>>;

impl Idempotency {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, running: Arc::default() }
    }

    /// Waits for another request with the same key to end, then says whether there is an answer already.
    pub(crate) async fn begin(
        &self,
        token: TokenId,
        key: String,
        fingerprint: Fingerprint,
    ) -> Result<Begin, ServiceError> {
        let turn = self.turn((token, key.clone()));
        let guard = turn.lock_owned().await;
        match self.store.idempotency_lookup(token, &key, OffsetDateTime::now_utc()).await? {
            Some(record) if record.body_hash != fingerprint.0 => Err(ServiceError::IdempotencyKeyReused),
            Some(IdempotencyRecord { outcome: Outcome::Answered(answer), .. }) => Ok(Begin::Replay(answer)),
            Some(IdempotencyRecord { outcome: Outcome::CarriedOut { resource_id }, .. }) => {
                Ok(Begin::CarriedOut { resource_id })
            }
            Some(_) => Err(ServiceError::IdempotencyKeyReused),
            None => {
                let store = self.store.clone();
                Ok(Begin::First(First { store, once: OnceKey::new(token, key, fingerprint.0), _turn: guard }))
            }
        }
    }

    fn turn(&self, key: Key) -> Turn {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // Turns that nobody holds or waits for have only this map's reference left.
        running.retain(|_, turn| Arc::strong_count(turn) > 1);
        running.entry(key).or_default().clone()
    }
}

/// What to do with a request that has a key.
#[derive(Debug)]
pub(crate) enum Begin {
    /// Answer this again.
    Replay(StoredAnswer),
    /// It was done to the certificate with this id, and the daemon was killed before the answer was kept.
    CarriedOut { resource_id: String },
    /// Do it, then say how it went.
    First(First),
}

/// The first request with its key.
#[derive(Debug)]
pub(crate) struct First {
    store: Store,
    once: OnceKey,
    _turn: tokio::sync::OwnedMutexGuard<()>,
}

impl First {
    /// For the commit of the change.
    pub(crate) fn once(&self) -> OnceKey {
        self.once.clone()
    }

    /// Keeps the answer for those who ask again.
    pub(crate) async fn finish(self, answer: StoredAnswer) -> Result<(), ServiceError> {
        let now = OffsetDateTime::now_utc();
        let OnceKey { token, key, body_hash, .. } = self.once;
        let record = IdempotencyRecord::new(token, key, body_hash, answer, now);
        Ok(self.store.idempotency_store(record).await?)
    }
}

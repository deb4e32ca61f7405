//! Transitions on their way to the store, those of many devices in one write.
//!
//! A start or a change brings a transition of every device, and each write is a sync of the disk: one for each would
//! keep everybody else who writes waiting for minutes.

use std::sync::{Mutex, PoisonError};

use koios_store::{DeviceId, Store, Transition};

use super::error_chain::error_chain;

#[derive(Debug, Default)]
pub(super) struct HistoryLog {
    pending: Mutex<Vec<(DeviceId, Transition)>>,
    /// Held by whoever writes, for all that were pending when the write began.
    turn: tokio::sync::Mutex<()>,
}

impl HistoryLog {
    /// Returns when the transition is kept, or the log has the reason why not. Dropped, it is kept with the next one.
    pub(super) async fn record(&self, store: &Store, device: DeviceId, transition: Transition) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).push((device, transition));
        let _turn = self.turn.lock().await;
        let batch = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        // Someone else's write had it; that write has ended, since the turn is ours.
        if batch.is_empty() {
            return;
        }
        let count = batch.len();
        if let Err(error) = store.record_transitions(batch).await {
            tracing::warn!(transitions = count, error = %error_chain(&error), "history not recorded");
        }
    }
}

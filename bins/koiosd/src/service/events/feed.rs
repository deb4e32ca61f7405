//! Where events come from: the commits of the store, and the supervisor.

use std::{collections::HashMap, sync::Arc, time::Duration};

use koios_opcua::{DeviceStatus, DeviceTransition, Supervisor};
use koios_store::{Committed, DeviceId, Store, StoreError};
use time::OffsetDateTime;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::Instant,
};

use super::{EventKind, log::EventLog};
use crate::error_chain::error_chain;

/// For how long statuses are gathered: of a device that changes its state several times meanwhile, the newest is told.
const GATHER: Duration = Duration::from_millis(100);

/// After the names of devices could not be read.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

pub(super) struct Feed {
    log: Arc<EventLog>,
    store: Store,
    supervisor: Arc<Supervisor>,
    committed: broadcast::Receiver<Arc<Committed>>,
    transitions: broadcast::Receiver<DeviceTransition>,
    gathered: HashMap<DeviceId, (OffsetDateTime, DeviceStatus)>,
    /// When they are told, if there are any.
    due: Instant,
}

impl Feed {
    /// Listens from now on.
    pub(super) fn new(log: Arc<EventLog>, store: Store, supervisor: Arc<Supervisor>) -> Self {
        let (committed, transitions) = (store.events(), supervisor.transitions());
        Self { log, store, supervisor, committed, transitions, gathered: HashMap::new(), due: Instant::now() }
    }

    /// Tells everything until the store is closed.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                // What was committed first: a device is told of before what it does.
                biased;
                committed = self.committed.recv() => match committed {
                    Ok(committed) => {
                        for event in &committed.events {
                            self.log.push(committed.at, EventKind::Stored(event));
                        }
                    }
                    Err(RecvError::Lagged(lost)) => {
                        tracing::warn!(commits = lost, "events were lost; everybody who listens is told to reload");
                        self.log.lose();
                    }
                    Err(RecvError::Closed) => return,
                },
                transition = self.transitions.recv() => match transition {
                    Ok(DeviceTransition { device, at, status, .. }) => self.gather(device, at, status),
                    Err(RecvError::Lagged(_)) => {
                        let now = OffsetDateTime::now_utc();
                        for (device, status) in self.supervisor.statuses() {
                            self.gather(device, now, status);
                        }
                    }
                    Err(RecvError::Closed) => return,
                },
                () = tokio::time::sleep_until(self.due), if !self.gathered.is_empty() => {
                    if let Err(StoreError::Interrupted) = self.tell_statuses().await {
                        return;
                    }
                }
            }
        }
    }

    fn gather(&mut self, device: DeviceId, at: OffsetDateTime, status: DeviceStatus) {
        if self.gathered.is_empty() {
            self.due = Instant::now() + GATHER;
        }
        self.gathered.insert(device, (at, status));
    }

    async fn tell_statuses(&mut self) -> Result<(), StoreError> {
        let ids: Vec<DeviceId> = self.gathered.keys().copied().collect();
        let names = match self.store.device_names(&ids).await {
            Ok(names) => names,
            Err(error) => {
                tracing::warn!(error = error_chain(&error), "statuses are told later");
                self.due = Instant::now() + AFTER_FAILURE;
                return Err(error);
            }
        };
        let mut statuses: Vec<_> = std::mem::take(&mut self.gathered).into_iter().collect();
        statuses.sort_by_key(|(device, (at, _))| (*at, *device));
        for (device, (at, status)) in &statuses {
            // One that is gone was told of as deleted.
            if let Some(name) = names.get(device) {
                self.log.push(*at, EventKind::StatusChanged { device: *device, name, status });
            }
        }
        Ok(())
    }
}

//! Which device tasks run, and how they are started, told and stopped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use koios_store::{DeviceId, DeviceState};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::device_task::{self, Orders};
use super::shared::Shared;
use super::status::DeviceStatus;
use crate::plan_key::PlanKey;

/// A task that has not ended by then is cut off: the close of its session is bounded by less.
const STOP_GRACE: Duration = Duration::from_secs(4);

/// The key of the plan that a task last connected with.
#[derive(Debug, Default)]
pub(super) struct Used(Mutex<Option<PlanKey>>);

impl Used {
    pub(super) fn set(&self, key: PlanKey) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    fn differs_from(&self, key: &PlanKey) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|used| used != key)
    }
}

#[derive(Debug)]
struct Running {
    orders: watch::Sender<Orders>,
    used: Arc<Used>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Tasks {
    running: HashMap<DeviceId, Running>,
    /// Devices that must not run now, with the number of those who say so.
    held: HashMap<DeviceId, usize>,
    closed: bool,
}

#[derive(Debug)]
pub(super) struct Registry {
    shared: Arc<Shared>,
    handle: Handle,
    tasks: Mutex<Tasks>,
    nudges: mpsc::UnboundedSender<DeviceId>,
}

impl Registry {
    pub(super) fn new(shared: Arc<Shared>, handle: Handle) -> (Self, mpsc::UnboundedReceiver<DeviceId>) {
        let (nudges, receiver) = mpsc::unbounded_channel();
        (Self { shared, handle, tasks: Mutex::default(), nudges }, receiver)
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Lets the device run with these settings: starts it, reconnects it when they are others, or does nothing.
    pub(super) fn ensure(&self, device: DeviceId, key: Option<&PlanKey>) {
        let mut tasks = self.lock();
        if tasks.closed || tasks.held.contains_key(&device) {
            return;
        }
        if let Some(running) = tasks.running.get(&device)
            && !running.task.is_finished()
        {
            if key.is_some_and(|key| running.used.differs_from(key)) {
                running.orders.send_modify(|orders| orders.reconnect += 1);
            }
            return;
        }
        let (orders, receiver) = watch::channel(Orders::default());
        let used = Arc::new(Used::default());
        let work = device_task::run(Arc::clone(&self.shared), device, Arc::clone(&used), receiver);
        let task = self.handle.spawn(work);
        tasks.running.insert(device, Running { orders, used, task });
    }

    /// Trust in the device's server may have changed.
    pub(super) fn recheck(&self, device: DeviceId) {
        if let Some(running) = self.lock().running.get(&device) {
            running.orders.send_modify(|orders| orders.recheck += 1);
        }
    }

    /// The devices that run now.
    pub(super) fn devices(&self) -> Vec<DeviceId> {
        self.lock().running.keys().copied().collect()
    }

    /// Stops these devices, all at the same time, and waits for them.
    pub(super) async fn stop(&self, devices: &[DeviceId]) {
        let stopping: Vec<_> = {
            let mut tasks = self.lock();
            devices.iter().filter_map(|device| tasks.running.remove(device)).collect()
        };
        for running in &stopping {
            running.orders.send_modify(|orders| orders.stop = true);
        }
        let deadline = tokio::time::Instant::now() + STOP_GRACE;
        for mut running in stopping {
            if tokio::time::timeout_at(deadline, &mut running.task).await.is_err() {
                running.task.abort();
            }
        }
    }

    pub(super) async fn stop_device(registry: &Arc<Self>, device: DeviceId) -> StoppedDevice {
        *registry.lock().held.entry(device).or_default() += 1;
        let stopped = StoppedDevice { registry: Arc::clone(registry), device };
        let on_our_threads = Arc::clone(registry);
        // The timers of the grace period are those of the supervisor, wherever the caller runs.
        let stopping = registry.handle.spawn(async move { on_our_threads.stop_and_say(device).await });
        stopping.await.ok();
        stopped
    }

    /// Stops one device and shows it as stopped, unless it was.
    pub(super) async fn stop_and_say(&self, device: DeviceId) {
        self.stop(&[device]).await;
        if self.shared.board.status(device).state != DeviceState::Stopped {
            self.shared.update(device, DeviceStatus::set_stopped).await;
        }
    }

    /// Stops everything, for good.
    pub(super) async fn stop_all(&self) {
        self.lock().closed = true;
        self.stop(&self.devices()).await;
    }

    fn release(&self, device: DeviceId) {
        let mut tasks = self.lock();
        if let Some(holders) = tasks.held.get_mut(&device) {
            *holders -= 1;
            if *holders == 0 {
                tasks.held.remove(&device);
            }
        }
        drop(tasks);
        // Nobody listens any more after a shutdown, and nothing is to start then.
        self.nudges.send(device).ok();
    }

    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A device whose session is closed and stays closed until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it lets the device connect again, if it is still enabled"]
pub struct StoppedDevice {
    registry: Arc<Registry>,
    device: DeviceId,
}

impl Drop for StoppedDevice {
    fn drop(&mut self) {
        self.registry.release(self.device);
    }
}

//! Which device tasks run, and how they are started, told and stopped.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use koios_store::{DeviceId, DeviceState};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::connect_queue::Standing;
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
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Tasks {
    running: HashMap<DeviceId, Running>,
    /// Devices that must not run now, with the number of those who say so.
    held: HashMap<DeviceId, usize>,
    /// Devices that were held since the last look at the store: what that look saw of them may be out of date.
    disturbed: HashSet<DeviceId>,
    /// Devices that failed when the program ran last, and have not been started since.
    last_failed: HashSet<DeviceId>,
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

    /// Notes who failed when the program ran last, so that they do not keep those waiting that ran.
    pub(super) fn note_last_failed(&self, devices: HashSet<DeviceId>) {
        self.lock().last_failed = devices;
    }

    /// A look at the store begins; whoever is held from here on is not started by what it sees.
    pub(super) fn begin_look(&self) {
        self.lock().disturbed.clear();
    }

    /// Lets the device run with these settings: starts it, reconnects it when they are others, or does nothing.
    ///
    /// `saved`: a person has saved it, which brings an attempt also where nothing is different.
    pub(super) fn ensure(&self, device: DeviceId, key: Option<&PlanKey>, saved: bool) {
        let mut tasks = self.lock();
        // Whoever holds it nudges when letting go, and then it is looked at again.
        if tasks.closed || tasks.held.contains_key(&device) || tasks.disturbed.contains(&device) {
            return;
        }
        if let Some(running) = tasks.running.get(&device)
            && !running.task.is_finished()
        {
            let differs = key.is_some_and(|key| running.used.differs_from(key));
            if differs || saved {
                running.orders.send_modify(|orders| {
                    orders.reconnect += u64::from(differs);
                    orders.recheck += u64::from(saved);
                });
            }
            return;
        }
        let (orders, receiver) = watch::channel(Orders::default());
        let used = Arc::new(Used::default());
        // Only what is known at the start counts: who is started later was enabled by a person.
        let standing = if tasks.last_failed.remove(&device) { Standing::Failing } else { Standing::Sound };
        let work = device_task::run(Arc::clone(&self.shared), device, Arc::clone(&used), receiver, standing);
        let task = self.handle.spawn(work).abort_handle();
        tasks.running.insert(device, Running { orders, used, task });
    }

    /// Trust in the device's server may have changed.
    pub(super) fn recheck(&self, device: DeviceId) {
        if let Some(running) = self.lock().running.get(&device) {
            running.orders.send_modify(|orders| orders.recheck += 1);
        }
    }

    /// The trust lists have changed.
    pub(super) fn recheck_trust_lists(&self) {
        for running in self.lock().running.values() {
            running.orders.send_modify(|orders| orders.trust_lists += 1);
        }
    }

    pub(super) fn is_running(&self, device: DeviceId) -> bool {
        self.lock().running.contains_key(&device)
    }

    /// The devices that run now.
    pub(super) fn devices(&self) -> Vec<DeviceId> {
        self.lock().running.keys().copied().collect()
    }

    /// Stops these devices, all at the same time, and waits for them, also for those that another one stops already.
    pub(super) async fn stop(&self, devices: &[DeviceId]) {
        let stopping: Vec<_> = {
            let tasks = self.lock();
            let running = devices.iter().filter_map(|device| tasks.running.get_key_value(device));
            running.map(|(device, running)| (*device, running.orders.clone(), running.task.clone())).collect()
        };
        for (_, orders, _) in &stopping {
            orders.send_modify(|orders| orders.stop = true);
        }
        let deadline = tokio::time::Instant::now() + STOP_GRACE;
        for (_, orders, task) in &stopping {
            // The task has ended, with all it started, when nobody listens to its orders any more.
            if tokio::time::timeout_at(deadline, orders.closed()).await.is_err() {
                task.abort();
            }
        }
        let mut tasks = self.lock();
        for (device, orders, _) in &stopping {
            if tasks.running.get(device).is_some_and(|running| running.orders.same_channel(orders)) {
                tasks.running.remove(device);
            }
        }
    }

    pub(super) async fn stop_device(registry: &Arc<Self>, device: DeviceId) -> StoppedDevice {
        let stopped = Self::hold(registry, device);
        // The timers of the grace period are those of the supervisor, wherever the caller runs; and a caller who goes
        // away does not let the device go while it is being stopped.
        let stopping = registry.handle.spawn(async move {
            stopped.registry.stop_and_say(device).await;
            stopped
        });
        // Without its threads nothing runs.
        stopping.await.unwrap_or_else(|_| Self::hold(registry, device))
    }

    fn hold(registry: &Arc<Self>, device: DeviceId) -> StoppedDevice {
        let mut tasks = registry.lock();
        *tasks.held.entry(device).or_default() += 1;
        tasks.disturbed.insert(device);
        drop(tasks);
        StoppedDevice { registry: Arc::clone(registry), device }
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
        tasks.disturbed.insert(device);
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

#[cfg(test)]
mod tests {
    use koios_store::{Store, StoreOptions};
    use tempfile::TempDir;

    use super::*;
    use crate::supervisor::SupervisorSettings;

    async fn registry(folder: &TempDir) -> Arc<Registry> {
        let store = Store::open(StoreOptions::new(folder.path().join("data"))).await.unwrap();
        let shared = Shared::new(store, SupervisorSettings::new("urn:koios:test"));
        Arc::new(Registry::new(Arc::new(shared), Handle::current()).0)
    }

    fn device() -> DeviceId {
        "01936d00-0000-7000-8000-000000000001".parse().unwrap()
    }

    #[tokio::test]
    async fn what_was_read_before_a_device_was_held_does_not_start_it() {
        let folder = TempDir::new().unwrap();
        let registry = registry(&folder).await;
        registry.begin_look();
        drop(Registry::stop_device(&registry, device()).await);
        registry.ensure(device(), None, false);
        assert!(registry.devices().is_empty(), "it may have been disabled meanwhile");

        registry.begin_look();
        registry.ensure(device(), None, false);
        assert_eq!(registry.devices(), [device()]);
        registry.stop_all().await;
        assert!(registry.devices().is_empty());
    }

    #[tokio::test]
    async fn whoever_stops_a_device_that_is_being_stopped_waits_for_its_end_too() {
        let folder = TempDir::new().unwrap();
        let registry = registry(&folder).await;
        let (orders, listening) = watch::channel(Orders::default());
        let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
        registry.lock().running.insert(device(), Running { orders, used: Arc::default(), task });
        let ended = std::sync::atomic::AtomicBool::new(false);
        let stop = async || {
            registry.stop(&[device()]).await;
            assert!(ended.load(std::sync::atomic::Ordering::SeqCst));
        };
        let end = async {
            tokio::task::yield_now().await;
            ended.store(true, std::sync::atomic::Ordering::SeqCst);
            drop(listening);
        };
        tokio::join!(stop(), stop(), end);
        assert!(registry.devices().is_empty());
    }
}

//! Keeps every enabled device connected, on threads of its own.

mod connect_observer;
mod connect_queue;
mod connection;
mod device_task;
mod error_chain;
mod history_log;
mod isolation;
mod reconciler;
mod registry;
mod schedule;
mod shared;
mod status;
mod test_desk;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use koios_channel::EndpointUrl;
use koios_store::{DeviceId, DeviceState, Store};
use time::OffsetDateTime;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::broadcast;

use crate::connection_test::TestReport;
use crate::deprecated_policies::DeprecatedPolicies;
use crate::discovery::Discovery;
use crate::plan::DevicePlan;
use crate::target_networks::TargetNetworks;

pub use connect_observer::ConnectObserver;
pub use connect_queue::ConnectLoad;
pub use registry::StoppedDevice;
pub use status::{DeviceStatus, DeviceTransition};
pub use test_desk::TestError;

use error_chain::error_chain;
use registry::Registry;
use shared::Shared;
use test_desk::TestDesk;

/// How many threads read files and resolve names. More of them would wait for the same disk, each with a heap of its own.
const BLOCKING_THREADS: usize = 16;

/// How the supervisor works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SupervisorSettings {
    /// The longest time between two attempts of a failed device (setting `retry_max_seconds`).
    pub retry_max: Duration,
    /// How many devices connect at the same time; servers that are silent count while no other device waits.
    pub connect_concurrency: usize,
    /// How many devices have a session, or try to get one, at the same time; more wait, in the order of asking, until one
    /// ends (setting `session_limit`).
    pub session_limit: usize,
    /// Who is told of each attempt of an enabled device.
    pub observer: Option<Arc<dyn ConnectObserver>>,
    /// The ApplicationUri stated where no certificate says one: `urn:koios:<system hostname>`.
    pub fallback_application_uri: String,
    /// Whether devices may name deprecated policies (setting `allow_deprecated_policies`).
    pub deprecated_policies: DeprecatedPolicies,
    /// Where Tests, discovery and devices may connect to (setting `test_allowed_networks`).
    pub networks: TargetNetworks,
    /// An instant that has certainly passed, such as the build; a clock before it is not believed.
    pub known_past: OffsetDateTime,
}

impl SupervisorSettings {
    /// 10 s between attempts, 16 connects at a time, any number of sessions, any clock believed.
    #[must_use]
    pub fn new(fallback_application_uri: impl Into<String>) -> Self {
        Self {
            retry_max: Duration::from_secs(10),
            connect_concurrency: 16,
            session_limit: usize::MAX,
            observer: None,
            fallback_application_uri: fallback_application_uri.into(),
            deprecated_policies: DeprecatedPolicies::Refused,
            networks: TargetNetworks::default(),
            known_past: OffsetDateTime::UNIX_EPOCH,
        }
    }
}

/// One task per enabled device: connect, read `Server_ServerStatus` each scan, notice loss, retry.
///
/// It follows the store's changes: a device whose settings, certificate or trust change is reconnected at once, a
/// disabled or deleted one is closed. Tests and discovery run on the same threads, beside the running sessions.
#[derive(Debug)]
pub struct Supervisor {
    registry: Arc<Registry>,
    desk: TestDesk,
    handle: Handle,
    // Taken by shutdown; a runtime must not be dropped where it could block an async thread.
    runtime: Mutex<Option<Runtime>>,
}

impl Supervisor {
    /// Starts the threads and the tasks of all enabled devices.
    ///
    /// # Errors
    /// When the operating system refuses the threads.
    pub fn start(store: Store, settings: SupervisorSettings) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("koios-opcua")
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        // Listening begins here, not in the task: a change right after the start must not fall between.
        let changes = store.changes();
        handle.spawn(watch_trust_lists(store.clone()));
        let shared = Arc::new(Shared::new(store, settings));
        let (registry, nudges) = Registry::new(Arc::clone(&shared), handle.clone());
        let registry = Arc::new(registry);
        handle.spawn(reconciler::run(Arc::clone(&registry), changes, nudges));
        let desk = TestDesk::new(shared, handle.clone());
        Ok(Self { registry, desk, handle, runtime: Mutex::new(Some(runtime)) })
    }

    /// The status of a device; `stopped` for one that is not enabled or not known.
    #[must_use]
    pub fn status(&self, device: DeviceId) -> DeviceStatus {
        self.registry.shared().board.status(device)
    }

    /// The status of every device that the supervisor has seen.
    #[must_use]
    pub fn statuses(&self) -> HashMap<DeviceId, DeviceStatus> {
        self.registry.shared().board.statuses()
    }

    /// The state of every device that the supervisor has seen, which takes less than all that [`Self::statuses`] tells.
    #[must_use]
    pub fn states(&self) -> HashMap<DeviceId, DeviceState> {
        self.registry.shared().board.states()
    }

    /// How many devices are in a state, of those that the supervisor has seen: a disabled one that never ran is not.
    #[must_use]
    pub fn count(&self, state: DeviceState) -> usize {
        self.registry.shared().board.count(state)
    }

    /// Changes [`SupervisorSettings::retry_max`] and [`SupervisorSettings::connect_concurrency`]. Attempts under way go on,
    /// and so do waits that have begun: the new bound holds for the next one.
    pub fn set_pace(&self, retry_max: Duration, connect_concurrency: usize) {
        self.registry.shared().connects.set(connect_concurrency, retry_max);
    }

    /// How many attempts run and wait, and by how much the retry bound is stretched by it.
    #[must_use]
    pub fn connect_load(&self) -> ConnectLoad {
        self.registry.shared().connects.load()
    }

    /// Every transition of any device from now on, told before it stands in the history.
    ///
    /// A receiver that lags behind by 4,096 transitions loses some, is told so, and must then ask for the
    /// [`statuses`](Self::statuses).
    #[must_use]
    pub fn transitions(&self) -> broadcast::Receiver<DeviceTransition> {
        self.registry.shared().transitions()
    }

    /// Makes a Test. Two Tests of the same device run one after the other; its running session is not touched.
    /// Dropped, it is cut off.
    ///
    /// # Errors
    /// [`TestError::Busy`] beyond 8 at once, [`TestError::Plan`] when the plan cannot be carried out.
    pub async fn test(&self, plan: DevicePlan) -> Result<TestReport, TestError> {
        self.desk.test(plan).await
    }

    /// Asks a server for its endpoints, within `timeout`. Dropped, it is cut off.
    ///
    /// # Errors
    /// [`TestError::Busy`] beyond 8 Tests and discoveries at once.
    pub async fn discover(&self, url: EndpointUrl, timeout: Duration) -> Result<Discovery, TestError> {
        self.desk.discover(url, timeout).await
    }

    /// Closes a device's session and keeps it closed until the answer is dropped.
    ///
    /// For deleting and disabling: stop, change the store, drop. If the change fails, dropping lets the device go on.
    pub async fn stop_device(&self, device: DeviceId) -> StoppedDevice {
        Registry::stop_device(&self.registry, device).await
    }

    /// Closes all sessions and ends the threads, within `deadline`; Tests under way are cut off.
    pub async fn shutdown(&self, deadline: Duration) {
        let registry = Arc::clone(&self.registry);
        // On the supervisor's own threads, so that its timers drive it wherever the caller runs.
        let stopping = self.handle.spawn(async move {
            tokio::time::timeout(deadline, registry.stop_all()).await.ok();
        });
        stopping.await.ok();
        self.end_threads();
    }

    fn end_threads(&self) {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}

/// Looks whether somebody has changed the folders of the trust lists; the store then tells everybody.
async fn watch_trust_lists(store: Store) {
    loop {
        tokio::time::sleep(LOOK_AT_TRUST_LISTS).await;
        if let Err(error) = store.trust_lists().await {
            tracing::warn!(error = %error_chain(&error), "the trust lists cannot be read");
        }
    }
}

/// How long a file that was taken out of the trust lists may still keep a running session.
const LOOK_AT_TRUST_LISTS: Duration = Duration::from_secs(2);

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.end_threads();
    }
}

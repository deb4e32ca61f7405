//! What is measured: counted as it happens, or read when somebody asks.

use koios_opcua::{Code, ConnectObserver, Supervisor};
use koios_store::{CertificateStatus, DeviceState, ExpiryWarning, Store, StoreError};
use prometheus_client::{
    encoding::{EncodeLabelSet, prometheus_text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};
use std::{sync::Arc, sync::atomic::AtomicU64, time::Duration};
use time::OffsetDateTime;

use super::{error::ServiceError, events::Events};
use crate::config::LiveSettings;

/// Upper bounds in seconds: from a server next door to the longest timeout that a device can have.
const CONNECT_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Upper bounds in seconds: from an answer out of memory to a Test of the longest timeout.
const REQUEST_SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0, 300.0];

/// How often it is tried whether the data directory can be written.
const TRY_STORAGE_EVERY: Duration = Duration::from_secs(30);

/// Counts the attempts of enabled devices.
#[derive(Clone, Debug)]
pub(crate) struct ConnectMetrics {
    connects: Family<CodeLabel, Counter>,
    durations: Histogram,
}

impl ConnectMetrics {
    pub(crate) fn new() -> Self {
        let connects = Family::<CodeLabel, Counter>::default();
        // A rate of successes can be asked for before there is one.
        drop(connects.get_or_create(&CodeLabel { code: Code::Connected.as_str() }));
        Self { connects, durations: Histogram::new(CONNECT_SECONDS) }
    }
}

impl ConnectObserver for ConnectMetrics {
    fn attempted(&self, code: Code, duration: Duration) {
        self.connects.get_or_create(&CodeLabel { code: code.as_str() }).inc();
        self.durations.observe(duration.as_secs_f64());
    }
}

/// Counts the warnings of certificates that end soon.
#[derive(Clone, Debug)]
pub(crate) struct ExpiryMetrics(Family<DaysLabel, Counter>);

impl ExpiryMetrics {
    fn new(thresholds_days: &[u32]) -> Self {
        let warnings = Family::<DaysLabel, Counter>::default();
        for days in thresholds_days.iter().copied().chain([0]) {
            drop(warnings.get_or_create(&DaysLabel { threshold_days: days }));
        }
        Self(warnings)
    }

    pub(crate) fn count(&self, warning: &ExpiryWarning) {
        self.0.get_or_create(&DaysLabel { threshold_days: warning.threshold_days.unwrap_or(0) }).inc();
    }
}

/// A request that was answered.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    /// The pattern of its route, of which there are few.
    pub(crate) route: String,
    pub(crate) status: u16,
    pub(crate) duration: Duration,
}

#[derive(Debug)]
struct HttpMetrics {
    requests: Family<RequestLabel, Counter>,
    durations: Family<RouteLabel, Histogram>,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        let durations =
            Family::new_with_constructor((|| Histogram::new(REQUEST_SECONDS)) as fn() -> Histogram);
        Self { requests: Family::default(), durations }
    }
}

/// Everything that is measured.
#[derive(Debug)]
pub(crate) struct Metrics {
    authentication_failures: Counter,
    connects: ConnectMetrics,
    events: Arc<Events>,
    expiry: ExpiryMetrics,
    http: HttpMetrics,
    /// 1 when the data directory could be written at the last try.
    storage: Gauge,
    settings: LiveSettings,
    store: Store,
    supervisor: Arc<Supervisor>,
}

impl Metrics {
    pub(crate) fn new(
        connects: ConnectMetrics,
        store: Store,
        settings: LiveSettings,
        supervisor: Arc<Supervisor>,
        events: Arc<Events>,
        authentication_failures: Counter,
    ) -> Self {
        let expiry = ExpiryMetrics::new(&settings.now().expiry_warning_days);
        let storage = Gauge::default();
        // It has just been opened.
        storage.set(1);
        let http = HttpMetrics::default();
        Self { authentication_failures, connects, events, expiry, http, storage, settings, store, supervisor }
    }

    /// What counts warnings.
    pub(crate) fn expiry(&self) -> ExpiryMetrics {
        self.expiry.clone()
    }

    pub(crate) fn count_request(&self, request: Request) {
        let Request { method, route, status, duration } = request;
        let label = RouteLabel { method, route: route.clone() };
        self.http.durations.get_or_create(&label).observe(duration.as_secs_f64());
        self.http.requests.get_or_create(&RequestLabel { method, route, status: status.into() }).inc();
    }

    /// Tries again and again whether the data directory can be written, until the store is closed.
    pub(crate) fn watch_storage(&self) -> impl Future<Output = ()> + use<> {
        let (store, storage) = (self.store.clone(), self.storage.clone());
        async move {
            loop {
                tokio::time::sleep(TRY_STORAGE_EVERY).await;
                match store.check_writable().await {
                    Ok(()) => storage.set(1),
                    Err(StoreError::Interrupted) => return,
                    Err(_) => storage.set(0),
                };
            }
        }
    }

    /// All of it as it is now, in the Prometheus text format 0.0.4.
    pub(crate) async fn text(&self) -> Result<String, ServiceError> {
        let mut registry = Registry::default();
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("koios_build", "What runs here", build);
        self.register_devices(&mut registry).await?;
        self.register_connects(&mut registry);
        self.register_certificates(&mut registry).await?;
        registry.register(
            "koios_authentication_failures",
            "Requests refused because their token was unknown, revoked or expired, or too many from there were",
            self.authentication_failures.clone(),
        );
        self.register_events(&mut registry);
        self.register_http(&mut registry);
        self.register_storage(&mut registry).await?;
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry).map_err(ServiceError::Metrics)?;
        Ok(text)
    }

    async fn register_devices(&self, registry: &mut Registry) -> Result<(), ServiceError> {
        let counts = self.store.counts().await?;
        let seen = |state| u64::try_from(self.supervisor.count(state)).unwrap_or(u64::MAX);
        let (running, failed) = (seen(DeviceState::Running), seen(DeviceState::Failed));
        let devices = Family::<StateLabel, Gauge>::default();
        for &state in DeviceState::ALL {
            let count = match state {
                DeviceState::Running => running,
                DeviceState::Failed => failed,
                // As a device is shown between its being enabled and the supervisor's hearing of it.
                DeviceState::Starting => counts.enabled_devices.saturating_sub(running + failed),
                DeviceState::Stopped => counts.devices.saturating_sub(counts.enabled_devices),
                _ => continue,
            };
            devices.get_or_create(&StateLabel { state: state.as_str() }).set(signed(count));
        }
        registry.register("koios_devices", "Devices by state", devices);
        Ok(())
    }

    fn register_connects(&self, registry: &mut Registry) {
        registry.register(
            "koios_connects",
            "Attempts of enabled devices to connect, by the code of their end",
            self.connects.connects.clone(),
        );
        registry.register(
            "koios_connect_duration_seconds",
            "How long attempts of enabled devices took, the wait for their turn not included",
            self.connects.durations.clone(),
        );
        let load = self.supervisor.connect_load();
        for (name, help, value) in [
            ("koios_connect_running", "Attempts under way", load.running),
            ("koios_connect_lent", "Attempts under way whose place another device has", load.lent),
            ("koios_connect_waiting", "Devices whose attempt is due and waits for its turn", load.waiting),
        ] {
            let gauge = Gauge::<i64>::default();
            gauge.set(signed(u64::try_from(value).unwrap_or(u64::MAX)));
            registry.register(name, help, gauge);
        }
        let stretch = Gauge::<f64, AtomicU64>::default();
        stretch.set(load.retry_stretch.as_secs_f64());
        registry.register(
            "koios_retry_stretch_seconds",
            "By how much the time between attempts of failed devices exceeds its bound, as more are due than can be made",
            stretch,
        );
    }

    async fn register_certificates(&self, registry: &mut Registry) -> Result<(), ServiceError> {
        let now = OffsetDateTime::now_utc();
        let by_status = Family::<StatusLabel, Gauge>::default();
        for &status in CertificateStatus::ALL {
            drop(by_status.get_or_create(&StatusLabel { status: status.as_str() }));
        }
        let expiry = Family::<CertificateLabel, Gauge<f64, AtomicU64>>::default();
        let overview = self.store.certificate_overview().await?;
        for certificate in overview.certificates {
            for status in certificate.statuses(now, self.settings.now().expiring_soon()) {
                by_status.get_or_create(&StatusLabel { status: status.as_str() }).inc();
            }
            let left = certificate.validity.not_after - now;
            let label = CertificateLabel { id: certificate.id.to_string(), name: certificate.name };
            expiry.get_or_create(&label).set(left.as_seconds_f64());
        }
        let age = Gauge::<f64, AtomicU64>::default();
        age.set(overview.files_seen_at.elapsed().as_secs_f64());
        registry.register(
            "koios_certificates",
            "Certificates by status, their files as they were last looked at; one may have several",
            by_status,
        );
        registry.register(
            "koios_certificate_expiry_seconds",
            "Time until a certificate expires, negative when it has",
            expiry,
        );
        registry.register(
            "koios_certificate_files_age_seconds",
            "Time since the files of all certificates were last looked at",
            age,
        );
        registry.register(
            "koios_certificate_expiry_warnings",
            "Warnings of certificates that end soon, by the threshold in days; 0 when they had ended",
            self.expiry.0.clone(),
        );
        Ok(())
    }

    fn register_events(&self, registry: &mut Registry) {
        let events = Family::<TypeLabel, Counter>::default();
        for (name, count) in self.events.counts() {
            events.get_or_create(&TypeLabel { r#type: name }).inc_by(count);
        }
        registry.register("koios_events", "Events by type", events);
        let streams = Gauge::<i64>::default();
        streams.set(signed(u64::try_from(self.events.listeners()).unwrap_or(u64::MAX)));
        registry.register("koios_event_streams", "Streams of events that are open", streams);
    }

    fn register_http(&self, registry: &mut Registry) {
        registry.register(
            "koios_http_requests",
            "Requests by method, route and status",
            self.http.requests.clone(),
        );
        registry.register(
            "koios_http_request_duration_seconds",
            "How long requests took until their answer began",
            self.http.durations.clone(),
        );
    }

    async fn register_storage(&self, registry: &mut Registry) -> Result<(), ServiceError> {
        registry.register(
            "koios_storage_writable",
            "Whether the data directory could be written when that was last tried",
            self.storage.clone(),
        );
        let entries = Gauge::<i64>::default();
        entries.set(self.store.audit_head().await?.map_or(0, |head| head.sequence));
        registry.register(
            "koios_audit_entries",
            "The number of the newest entry of the audit trail, which never gets less",
            entries,
        );
        Ok(())
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct DaysLabel {
    threshold_days: u32,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabel {
    method: &'static str,
    route: String,
    status: u32,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RouteLabel {
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TypeLabel {
    r#type: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StatusLabel {
    status: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CertificateLabel {
    id: String,
    name: String,
}

/// The format counts in signed numbers.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

//! What is measured: counted as it happens, or read when somebody asks.

use koios_opcua::{Code, ConnectObserver, Supervisor};
use koios_store::{CertificateStatus, DeviceState, Store};
use prometheus_client::{
    encoding::{EncodeLabelSet, prometheus_text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};
use std::{sync::Arc, sync::atomic::AtomicU64, time::Duration};
use time::OffsetDateTime;

use super::error::ServiceError;
use crate::config::LiveSettings;

/// Upper bounds in seconds: from a server next door to the longest timeout that a device can have.
const CONNECT_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

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

/// Everything that is measured.
#[derive(Debug)]
pub(crate) struct Metrics {
    authentication_failures: Counter,
    connects: ConnectMetrics,
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
    ) -> Self {
        Self { authentication_failures: Counter::default(), connects, settings, store, supervisor }
    }

    pub(crate) fn with_authentication_failures(self, authentication_failures: Counter) -> Self {
        Self { authentication_failures, ..self }
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
        Ok(())
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CodeLabel {
    code: &'static str,
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

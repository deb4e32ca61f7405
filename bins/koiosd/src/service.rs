//! The use cases, which span crates. Nothing here knows HTTP.

pub(crate) mod access;
pub(crate) mod certificates;
pub(crate) mod connection_tests;
pub(crate) mod devices;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod expiry;
pub(crate) mod idempotency;
pub(crate) mod metrics;
pub(crate) mod server_certificates;
pub(crate) mod tokens;
pub(crate) mod trust_guides;
pub(crate) mod trust_lists;

use std::sync::Arc;

use koios_opcua::Supervisor;
use koios_pki::HostName;
use koios_store::{CertificateId, Counts, Store, StoreError};
use time::OffsetDateTime;

use crate::config::LiveSettings;
use access::Access;
use certificates::Certificates;
use connection_tests::ConnectionTests;
use devices::Devices;
use events::Events;
use idempotency::Idempotency;
use metrics::{ConnectMetrics, Metrics};
use server_certificates::ServerCertificates;
use tokens::Tokens;
use trust_guides::TrustGuides;
use trust_lists::TrustListsService;

/// Every service of the daemon: what handlers get.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) access: Access,
    pub(crate) certificates: Certificates,
    pub(crate) connection_tests: ConnectionTests,
    pub(crate) devices: Devices,
    pub(crate) events: Arc<Events>,
    pub(crate) idempotency: Idempotency,
    pub(crate) metrics: Metrics,
    pub(crate) server_certificates: ServerCertificates,
    pub(crate) settings: LiveSettings,
    pub(crate) started_at: OffsetDateTime,
    pub(crate) store: Store,
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) system_host: Arc<HostName>,
    pub(crate) tokens: Tokens,
    pub(crate) trust_guides: TrustGuides,
    pub(crate) trust_lists: TrustListsService,
}

impl Services {
    pub(crate) fn new(
        store: Store,
        settings: LiveSettings,
        system_host: Arc<HostName>,
        supervisor: Arc<Supervisor>,
        events: Arc<Events>,
        connects: ConnectMetrics,
    ) -> Self {
        let access = Access::new(store.clone());
        let failures = access.failures();
        Self {
            access,
            certificates: Certificates::new(store.clone(), settings.clone(), system_host.clone()),
            connection_tests: ConnectionTests::new(store.clone(), supervisor.clone(), settings.clone()),
            devices: Devices::new(store.clone(), settings.clone(), supervisor.clone()),
            idempotency: Idempotency::new(store.clone()),
            metrics: Metrics::new(
                connects,
                store.clone(),
                settings.clone(),
                supervisor.clone(),
                events.clone(),
                failures,
            ),
            events,
            server_certificates: ServerCertificates::new(store.clone()),
            tokens: Tokens::new(store.clone()),
            trust_guides: TrustGuides::new(store.clone()),
            trust_lists: TrustListsService::new(store.clone()),
            settings,
            started_at: OffsetDateTime::now_utc(),
            store,
            supervisor,
            system_host,
        }
    }

    /// How much there is of everything.
    pub(crate) async fn overview(&self) -> Result<Overview, StoreError> {
        let default_certificate = self.store.default_certificate().await?.map(|record| record.id);
        Ok(Overview { counts: self.store.counts().await?, default_certificate })
    }
}

/// How much there is of everything.
#[derive(Debug)]
pub(crate) struct Overview {
    pub(crate) counts: Counts,
    pub(crate) default_certificate: Option<CertificateId>,
}

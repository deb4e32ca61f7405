//! The use cases, which span crates. Nothing here knows HTTP.

pub(crate) mod access;
pub(crate) mod certificates;
pub(crate) mod error;
pub(crate) mod idempotency;

use std::sync::Arc;

use koios_pki::HostName;
use koios_store::Store;
use time::OffsetDateTime;

use crate::config::Settings;
use access::Access;
use certificates::Certificates;
use idempotency::Idempotency;

/// Every service of the daemon: what handlers get.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) access: Access,
    pub(crate) certificates: Certificates,
    pub(crate) idempotency: Idempotency,
    pub(crate) settings: Arc<Settings>,
    pub(crate) started_at: OffsetDateTime,
    pub(crate) store: Store,
    pub(crate) system_host: Arc<HostName>,
}

impl Services {
    pub(crate) fn new(store: Store, settings: Arc<Settings>, system_host: Arc<HostName>) -> Self {
        Self {
            access: Access::new(store.clone()),
            certificates: Certificates::new(store.clone(), settings.clone(), system_host.clone()),
            idempotency: Idempotency::new(store.clone()),
            settings,
            started_at: OffsetDateTime::now_utc(),
            store,
            system_host,
        }
    }
}

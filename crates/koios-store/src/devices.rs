//! The collection of devices: what can be asked of it, and what it answers.

mod endpoint_address;
mod import;
mod list;
mod read;
pub(crate) mod row;
mod settings;
mod write;

use std::fmt;
use std::sync::Arc;

use koios_pki::SecurityMode;

use crate::error::StoreError;
use crate::id::{CertificateId, DeviceId};
use crate::page::{PageRequest, Sort};

text_enum! {
    /// What a list of devices is sorted by.
    #[derive(Default)]
    pub enum DeviceSortKey {
        /// The name, without regard to case.
        #[default]
        Name = "name",
        /// The endpoint URL.
        EndpointUrl = "endpoint_url",
        /// When it was added.
        CreatedAt = "created_at",
    }
}

/// Which devices to list; every condition must hold.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DeviceQuery {
    /// Part of name, description or endpoint URL, without regard to case.
    pub q: Option<String>,
    /// Enabled or disabled ones.
    pub enabled: Option<bool>,
    /// Devices whose effective certificate this is.
    pub certificate_id: Option<CertificateId>,
    /// Devices of this security mode.
    pub security_mode: Option<SecurityMode>,
    /// Only those that fit.
    pub filter: Option<DeviceFilter>,
    /// Their order.
    pub sort: Sort<DeviceSortKey>,
    /// Which part of them.
    pub page: PageRequest,
}

/// Chooses devices by what the store does not know, such as a connection's state.
#[derive(Clone)]
pub struct DeviceFilter(Arc<dyn Fn(DeviceId, bool) -> bool + Send + Sync>);

impl DeviceFilter {
    /// Those of which `fits` says so, told the id and whether the device is enabled. It is asked about every device.
    pub fn new(fits: impl Fn(DeviceId, bool) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(fits))
    }

    fn fits(&self, id: DeviceId, enabled: bool) -> bool {
        (self.0)(id, enabled)
    }
}

impl fmt::Debug for DeviceFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceFilter")
    }
}

text_enum! {
    /// What is wrong with one of the devices to import; the names are error codes of the REST contract.
    pub enum ImportCode {
        /// A value outside its range.
        InvalidField = "invalid_field",
        /// Another device, in the store or in the import, has that name.
        NameTaken = "name_taken",
        /// There is no such certificate.
        UnknownCertificate = "unknown_certificate",
    }
}

/// What is wrong with one of the devices to import.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportProblem {
    /// Which of them, from 0.
    pub index: usize,
    /// The field concerned.
    pub field: &'static str,
    /// For machines.
    pub code: ImportCode,
    /// For people.
    pub detail: String,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Some devices are not acceptable; these are all the reasons.
    #[error("{} problems in the devices to import", .0.len())]
    Problems(Vec<ImportProblem>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

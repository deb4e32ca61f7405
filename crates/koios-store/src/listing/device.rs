//! What lists need of a device.

use koios_pki::SecurityMode;
use sqlx::FromRow;
use uuid::Uuid;

use super::text::Folded;
use crate::devices::row::mode_from_text;
use crate::error::StoreError;
use crate::page::{Listed, SortRef};

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT id, name, name_key, description, endpoint_url, security_mode, certificate_id, enabled, created_at ",
            "FROM devices",
            $condition
        )
    };
}

#[derive(Debug, FromRow)]
pub(super) struct DeviceRow {
    id: String,
    name: String,
    name_key: String,
    description: Option<String>,
    endpoint_url: String,
    security_mode: String,
    certificate_id: Option<String>,
    enabled: bool,
    created_at: i64,
}

impl DeviceRow {
    pub(super) const ALL: &'static str = select!("");
    pub(super) const BY_ID: &'static str = select!(" WHERE id IN");
}

/// What is kept of a device.
#[derive(Debug)]
pub(crate) struct ListedDevice {
    pub(crate) id: Uuid,
    pub(crate) text: Folded,
    name_key: Box<str>,
    endpoint_url: Box<str>,
    created_at: i64,
    pub(crate) security_mode: SecurityMode,
    certificate_id: Option<Uuid>,
    pub(crate) enabled: bool,
}

impl ListedDevice {
    pub(super) fn of(row: DeviceRow) -> Result<Self, StoreError> {
        let uuid =
            |text: &str, column| Uuid::parse_str(text).map_err(|source| StoreError::corrupt(column, source));
        Ok(Self {
            id: uuid(&row.id, "devices.id")?,
            text: Folded::new([Some(row.name.as_str()), row.description.as_deref(), Some(&row.endpoint_url)]),
            name_key: row.name_key.into_boxed_str(),
            endpoint_url: row.endpoint_url.into_boxed_str(),
            created_at: row.created_at,
            security_mode: mode_from_text(&row.security_mode)?,
            certificate_id: row.certificate_id.map(|id| uuid(&id, "devices.certificate_id")).transpose()?,
            enabled: row.enabled,
        })
    }

    /// The certificate that it names, when it needs one; the inner `None` is the default.
    pub(super) fn needs(&self) -> Option<Option<Uuid>> {
        self.security_mode.needs_certificate().then_some(self.certificate_id)
    }

    /// Its effective certificate: the one it names, else the default, none for mode `none`.
    pub(crate) fn uses(&self, default: Option<Uuid>) -> Option<Uuid> {
        self.needs()?.or(default)
    }
}

/// What devices are kept in the order of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum DeviceOrder {
    Name,
    EndpointUrl,
    CreatedAt,
}

impl Listed for ListedDevice {
    type Order = DeviceOrder;

    const ORDERS: &'static [DeviceOrder] =
        &[DeviceOrder::Name, DeviceOrder::EndpointUrl, DeviceOrder::CreatedAt];

    fn id(&self) -> Uuid {
        self.id
    }

    fn value(&self, order: DeviceOrder) -> SortRef<'_> {
        match order {
            DeviceOrder::Name => SortRef::Text(&self.name_key),
            DeviceOrder::EndpointUrl => SortRef::Text(&self.endpoint_url),
            DeviceOrder::CreatedAt => SortRef::Number(self.created_at),
        }
    }
}

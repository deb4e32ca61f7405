//! A device where it is only mentioned.

use koios_store::DeviceRef;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::security::SecurityMode;

/// A device among those concerned by something.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeviceRef)]
pub(crate) struct DeviceRefBody {
    id: Uuid,
    name: String,
    endpoint_url: String,
    security_mode: SecurityMode,
    enabled: bool,
    /// Whether it names no certificate and so uses the default.
    through_default: bool,
}

impl From<DeviceRef> for DeviceRefBody {
    fn from(device: DeviceRef) -> Self {
        Self {
            id: device.id.as_uuid(),
            name: device.name,
            endpoint_url: device.endpoint_url,
            security_mode: device.security_mode.into(),
            enabled: device.enabled,
            through_default: device.through_default,
        }
    }
}

pub(crate) fn represent_all(devices: Vec<DeviceRef>) -> Vec<DeviceRefBody> {
    devices.into_iter().map(Into::into).collect()
}

//! What a device's connection is made of, to be compared: equal keys need no reconnect.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use koios_channel::{SecurityMode, SecurityPolicy};
use koios_store::{CertificateId, Device, DeviceUser, ServerCertificatePolicy, Store, StoreError};

use crate::plan::effective_certificate_of;

/// The pin is not part of it: storing the first one must not reconnect, and an approval is announced by itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PlanKey {
    endpoint_url: String,
    security_mode: SecurityMode,
    security_policy: Option<SecurityPolicy>,
    /// Which certificate, and which key pair of it.
    certificate: Option<(CertificateId, u32)>,
    user: DeviceUser,
    /// Tells one password from another.
    password: Option<u64>,
    server_certificate_policy: ServerCertificatePolicy,
    timeout_seconds: u32,
    scan_rate_bits: u64,
}

impl PlanKey {
    /// The key of a device as it is stored now.
    pub(crate) async fn of(store: &Store, device: &Device) -> Result<Self, StoreError> {
        let certificate =
            effective_certificate_of(store, device.security_mode, device.certificate_id).await?;
        let password = match &device.user_identity {
            DeviceUser::UserName { password_set: true, .. } => {
                store.device_password(device.id).await?.map(|password| RANDOM.hash_one(password.as_str()))
            }
            _ => None,
        };
        Ok(Self {
            endpoint_url: device.endpoint_url.clone(),
            security_mode: device.security_mode,
            security_policy: device.security_policy,
            certificate: certificate.id().map(|record| (record.id, record.generation)),
            user: device.user_identity.clone(),
            password,
            server_certificate_policy: device.server_certificate_policy,
            timeout_seconds: device.timeout_seconds,
            scan_rate_bits: device.scan_rate_seconds.to_bits(),
        })
    }
}

/// Keyed at random once per process, so that the number says nothing about the password elsewhere.
static RANDOM: LazyLock<RandomState> = LazyLock::new(RandomState::new);

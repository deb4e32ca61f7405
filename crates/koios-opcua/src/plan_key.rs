//! What a device's connection is made of, to be compared: equal keys need no reconnect.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use koios_channel::{SecurityMode, SecurityPolicy};
use koios_store::{CertificateId, Device, DeviceUser, ServerCertificatePolicy, Store, StoreError};

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
    server_host_name_check: bool,
    timeout_seconds: u32,
    scan_rate_bits: u64,
}

impl PlanKey {
    /// The key of a device as it is stored now.
    pub(crate) async fn of(key_pairs: &mut KeyPairs<'_>, device: &Device) -> Result<Self, StoreError> {
        let certificate = key_pairs.of(device).await?;
        let store = key_pairs.store;
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
            certificate,
            user: device.user_identity.clone(),
            password,
            server_certificate_policy: device.server_certificate_policy,
            server_host_name_check: device.server_host_name_check,
            timeout_seconds: device.timeout_seconds,
            scan_rate_bits: device.scan_rate_seconds.to_bits(),
        })
    }
}

/// Which key pair the devices of one reconcile use: a thousand devices share a few certificates.
#[derive(Debug)]
pub(crate) struct KeyPairs<'a> {
    store: &'a Store,
    known: HashMap<Option<CertificateId>, Option<(CertificateId, u32)>>,
}

impl<'a> KeyPairs<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, known: HashMap::new() }
    }

    async fn of(&mut self, device: &Device) -> Result<Option<(CertificateId, u32)>, StoreError> {
        if device.security_mode == SecurityMode::None {
            return Ok(None);
        }
        if let Some(known) = self.known.get(&device.certificate_id) {
            return Ok(*known);
        }
        let key_pair = self.store.current_key_pair(device.certificate_id).await?;
        self.known.insert(device.certificate_id, key_pair);
        Ok(key_pair)
    }
}

/// Keyed at random once per process, so that the number says nothing about the password elsewhere.
static RANDOM: LazyLock<RandomState> = LazyLock::new(RandomState::new);

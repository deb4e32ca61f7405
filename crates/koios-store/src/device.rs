//! A device: an OPC UA server that Koios connects to.

use std::fmt;

use koios_pki::{CertificateChain, SecurityMode, SecurityPolicy};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::id::{CertificateId, DeviceId};
use crate::name::Name;

text_enum! {
    /// How the server's certificate is judged.
    pub enum ServerCertificatePolicy {
        /// The first one seen is remembered; another one needs an approval.
        Pin = "pin",
        /// Full validation against the trust lists (OPC 10000-4 §6.1.3).
        TrustList = "trust_list",
        /// Any certificate: insecure.
        AcceptAny = "accept_any",
    }
}

/// Who a device logs in as, without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceUser {
    /// Nobody in particular.
    Anonymous,
    /// A user name.
    UserName {
        /// The user's name.
        username: String,
        /// Whether a password is stored ([`crate::Store::device_password`]).
        password_set: bool,
    },
}

/// A device as it is stored.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Counts the changes.
    pub revision: i64,
    /// Unique among devices without regard to case.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// `opc.tcp://…`, as the user typed it.
    pub endpoint_url: String,
    /// Whether messages are signed and encrypted.
    pub security_mode: SecurityMode,
    /// The policy asked for; `None` means the best one offered.
    pub security_policy: Option<SecurityPolicy>,
    /// The certificate it names; `None` means the default.
    pub certificate_id: Option<CertificateId>,
    /// Who it logs in as.
    pub user_identity: DeviceUser,
    /// How the server's certificate is judged.
    pub server_certificate_policy: ServerCertificatePolicy,
    /// Whether the server's certificate must name the host (policy `trust_list` only).
    pub server_host_name_check: bool,
    /// The server certificate it knows, leaf first.
    pub pinned_server_certificate: Option<CertificateChain>,
    /// Which product's trust steps are shown.
    pub trust_guide_product: Option<String>,
    /// Time between two scans, in seconds, 0.1 to 3600.
    pub scan_rate_seconds: f64,
    /// Longest time one attempt may take, in seconds, 1 to 300.
    pub timeout_seconds: u32,
    /// Whether it connects by itself.
    pub enabled: bool,
    /// When it was added.
    pub created_at: OffsetDateTime,
    /// When `revision` last changed.
    pub updated_at: OffsetDateTime,
}

/// A device in a list of those concerned by something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceRef {
    /// Its id.
    pub id: DeviceId,
    /// Its name.
    pub name: String,
    /// Its endpoint.
    pub endpoint_url: String,
    /// Its security mode.
    pub security_mode: SecurityMode,
    /// Whether it connects by itself.
    pub enabled: bool,
    /// Whether it names no certificate and so uses the default (mode other than `none`).
    pub through_default: bool,
}

/// What to do with the stored password.
#[derive(Clone, Default)]
#[expect(clippy::exhaustive_enums, reason = "a password is kept, removed or set")]
pub enum PasswordChange {
    /// Leave it as it is.
    #[default]
    Keep,
    /// Remove it.
    Clear,
    /// Store this one.
    Set(Zeroizing<String>),
}

impl fmt::Debug for PasswordChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::Clear => "Clear",
            Self::Set(_) => "Set([password elided])",
        })
    }
}

/// Who a device is to log in as.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UserSettings {
    /// Nobody in particular; a stored password is removed.
    Anonymous,
    /// A user name.
    UserName {
        /// The user's name.
        username: String,
        /// What happens to the password.
        password: PasswordChange,
    },
}

/// Everything about a device that can be set, as a whole.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeviceSettings {
    /// See [`Device::name`].
    pub name: Name,
    /// At most 1,024 characters.
    pub description: Option<String>,
    /// Taken as it is, up to 4,096 bytes: `koios-channel` knows what an endpoint URL is.
    pub endpoint_url: String,
    /// See [`Device::security_mode`].
    pub security_mode: SecurityMode,
    /// See [`Device::security_policy`].
    pub security_policy: Option<SecurityPolicy>,
    /// See [`Device::certificate_id`].
    pub certificate_id: Option<CertificateId>,
    /// Who it logs in as.
    pub user_identity: UserSettings,
    /// See [`Device::server_certificate_policy`].
    pub server_certificate_policy: ServerCertificatePolicy,
    /// See [`Device::server_host_name_check`].
    pub server_host_name_check: bool,
    /// See [`Device::trust_guide_product`].
    pub trust_guide_product: Option<String>,
    /// See [`Device::scan_rate_seconds`].
    pub scan_rate_seconds: f64,
    /// See [`Device::timeout_seconds`].
    pub timeout_seconds: u32,
}

impl DeviceSettings {
    /// Mode `none`, best policy, default certificate, anonymous, pinning, one scan a second, ten seconds'
    /// timeout.
    #[must_use]
    pub fn new(name: Name, endpoint_url: impl Into<String>) -> Self {
        Self {
            name,
            description: None,
            endpoint_url: endpoint_url.into(),
            security_mode: SecurityMode::None,
            security_policy: None,
            certificate_id: None,
            user_identity: UserSettings::Anonymous,
            server_certificate_policy: ServerCertificatePolicy::Pin,
            server_host_name_check: true,
            trust_guide_product: None,
            scan_rate_seconds: 1.0,
            timeout_seconds: 10,
        }
    }

    /// The settings of an existing device; its password is kept.
    ///
    /// # Errors
    /// [`crate::NameError`] when the stored name breaks the rules of names, which the store does not let
    /// happen.
    pub fn of(device: &Device) -> Result<Self, crate::NameError> {
        let user_identity = match &device.user_identity {
            DeviceUser::Anonymous => UserSettings::Anonymous,
            DeviceUser::UserName { username, .. } => {
                UserSettings::UserName { username: username.clone(), password: PasswordChange::Keep }
            }
        };
        Ok(Self {
            name: Name::parse(&device.name)?,
            description: device.description.clone(),
            endpoint_url: device.endpoint_url.clone(),
            security_mode: device.security_mode,
            security_policy: device.security_policy,
            certificate_id: device.certificate_id,
            user_identity,
            server_certificate_policy: device.server_certificate_policy,
            server_host_name_check: device.server_host_name_check,
            trust_guide_product: device.trust_guide_product.clone(),
            scan_rate_seconds: device.scan_rate_seconds,
            timeout_seconds: device.timeout_seconds,
        })
    }
}

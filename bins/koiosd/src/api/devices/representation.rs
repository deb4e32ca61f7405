//! Devices as clients see them.

use koios_opcua::{Code, DeviceStatus, deprecated_policy_warning};
use koios_store::{CertificateRecord, Device, DeviceUser, Transition};
use serde::Serialize;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use super::input::ServerCertificatePolicy;
use crate::{
    api::{
        connection_code::ConnectionCode,
        security::{SecurityMode, SecurityPolicyChoice},
        server_certificate::ServerCertificateBody,
        words,
    },
    service::{devices::DeviceView, server_certificates::with_findings},
};

/// An OPC UA server that Koios connects to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Device)]
pub(crate) struct DeviceBody {
    id: Uuid,
    /// Counts the changes; the same as `ETag`.
    revision: i64,
    #[serde(flatten)]
    settings: DeviceSettingsBody,
    /// The certificate that it names; `null` uses the default.
    #[schema(required = true)]
    certificate_id: Option<Uuid>,
    /// The certificate that it uses; `null` in mode `none`, and where there is none at all.
    #[schema(required = true)]
    effective_certificate: Option<EffectiveCertificateBody>,
    status: StatusBody,
    /// What is insecure about its settings, to be said wherever it is shown.
    warnings: Vec<WarningBody>,
}

/// Something insecure that somebody has chosen.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeviceWarning)]
pub(crate) struct WarningBody {
    code: WarningCode,
    message: String,
}

/// What is insecure.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WarningCode {
    /// The security policy is deprecated.
    DeprecatedSecurityPolicy,
    /// Any server is believed.
    AnyServerCertificateAccepted,
    /// A validated server certificate may be made for another host.
    HostNameNotChecked,
}

/// What a device and its export have in common.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeviceSettings)]
pub(super) struct DeviceSettingsBody {
    name: String,
    #[schema(required = true)]
    description: Option<String>,
    endpoint_url: String,
    security_mode: SecurityMode,
    #[schema(value_type = SecurityPolicyChoice)]
    security_policy: &'static str,
    user_identity: UserIdentityBody,
    server_certificate_policy: ServerCertificatePolicy,
    server_host_name_check: bool,
    /// The server certificate that the device knows.
    #[schema(required = true)]
    pinned_server_certificate: Option<ServerCertificateBody>,
    #[schema(required = true)]
    trust_guide_product: Option<String>,
    scan_rate_seconds: f64,
    timeout_seconds: u32,
    enabled: bool,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// Who a device logs in as; never with the password.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = UserIdentity)]
pub(crate) enum UserIdentityBody {
    Anonymous,
    #[serde(rename = "username")]
    UserName {
        username: String,
        /// Whether a password is stored.
        password_set: bool,
    },
}

/// The certificate that a device uses.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EffectiveCertificate)]
pub(crate) struct EffectiveCertificateBody {
    id: Uuid,
    name: String,
    is_default: bool,
    /// One or more.
    #[schema(value_type = Vec<words::CertificateStatus>)]
    statuses: Vec<&'static str>,
}

/// How a device fares.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeviceStatus)]
pub(crate) struct StatusBody {
    #[schema(value_type = words::DeviceState)]
    state: &'static str,
    /// Since when it is in this state.
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    last_scan_at: Option<OffsetDateTime>,
    /// When it is tried again; `null` when nothing is planned.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    next_attempt_at: Option<OffsetDateTime>,
    /// Failed attempts in a row.
    attempts: u32,
    /// Why it failed: what a Test says for the same cause.
    #[schema(required = true)]
    error_code: Option<ConnectionCode>,
    #[schema(required = true)]
    error_message: Option<String>,
    #[schema(required = true)]
    error_detail: Option<String>,
    /// The certificate presented.
    #[schema(required = true)]
    certificate_thumbprint_sha256: Option<String>,
    #[schema(required = true)]
    server_certificate_thumbprint_sha256: Option<String>,
}

/// A change of a device's state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeviceTransition)]
pub(crate) struct TransitionBody {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    #[schema(value_type = words::DeviceState)]
    state: &'static str,
    #[schema(required = true)]
    error_code: Option<ConnectionCode>,
    #[schema(required = true)]
    error_message: Option<String>,
}

impl DeviceBody {
    pub(super) fn of(view: DeviceView, expiring_soon: Duration) -> Self {
        let DeviceView { device, effective_certificate, status } = view;
        Self {
            id: device.id.as_uuid(),
            revision: device.revision,
            certificate_id: device.certificate_id.map(|id| id.as_uuid()),
            warnings: warnings_of(&device),
            effective_certificate: effective_certificate
                .map(|record| EffectiveCertificateBody::of(record, expiring_soon)),
            status: status.into(),
            settings: device.into(),
        }
    }
}

fn warnings_of(device: &Device) -> Vec<WarningBody> {
    let mut warnings = Vec::new();
    let secure = device.security_mode != koios_pki::SecurityMode::None;
    let policy = device.security_policy.filter(|_| secure);
    if let Some(message) = policy.and_then(deprecated_policy_warning) {
        warnings.push(WarningBody { code: WarningCode::DeprecatedSecurityPolicy, message });
    }
    // Without security the certificate counts for a password, which is encrypted to it.
    let matters = secure || matches!(device.user_identity, DeviceUser::UserName { .. });
    if matters && device.server_certificate_policy == koios_store::ServerCertificatePolicy::AcceptAny {
        let message =
            "Any server certificate is accepted: whoever answers in the server's place is believed.";
        warnings.push(WarningBody {
            code: WarningCode::AnyServerCertificateAccepted,
            message: message.to_owned(),
        });
    }
    let validates = device.server_certificate_policy != koios_store::ServerCertificatePolicy::AcceptAny;
    if matters && validates && !device.server_host_name_check {
        let message = "The host name in the server's certificate is not checked: a server with any certificate that the \
                       trust lists validate is believed.";
        warnings.push(WarningBody { code: WarningCode::HostNameNotChecked, message: message.to_owned() });
    }
    warnings
}

impl EffectiveCertificateBody {
    fn of(record: CertificateRecord, expiring_soon: Duration) -> Self {
        let statuses = record.statuses(OffsetDateTime::now_utc(), expiring_soon);
        Self {
            id: record.id.as_uuid(),
            is_default: record.is_default,
            statuses: statuses.iter().map(|status| status.as_str()).collect(),
            name: record.name,
        }
    }
}

impl From<Device> for DeviceSettingsBody {
    fn from(device: Device) -> Self {
        let pinned =
            device.pinned_server_certificate.clone().map(|chain| with_findings(chain, &device).into());
        Self {
            name: device.name,
            description: device.description,
            endpoint_url: device.endpoint_url,
            security_mode: device.security_mode.into(),
            security_policy: SecurityPolicyChoice::name_of(device.security_policy),
            user_identity: device.user_identity.into(),
            server_certificate_policy: device.server_certificate_policy.into(),
            server_host_name_check: device.server_host_name_check,
            pinned_server_certificate: pinned,
            trust_guide_product: device.trust_guide_product,
            scan_rate_seconds: device.scan_rate_seconds,
            timeout_seconds: device.timeout_seconds,
            enabled: device.enabled,
            created_at: device.created_at,
            updated_at: device.updated_at,
        }
    }
}

impl From<DeviceUser> for UserIdentityBody {
    fn from(user: DeviceUser) -> Self {
        match user {
            DeviceUser::UserName { username, password_set } => Self::UserName { username, password_set },
            _ => Self::Anonymous,
        }
    }
}

impl From<DeviceStatus> for StatusBody {
    fn from(status: DeviceStatus) -> Self {
        Self {
            state: status.state.as_str(),
            since: status.since,
            last_scan_at: status.last_scan_at,
            next_attempt_at: status.next_attempt_at,
            attempts: status.attempts,
            error_code: status.error_code.map(ConnectionCode),
            error_message: status.error_message,
            error_detail: status.error_detail,
            certificate_thumbprint_sha256: status
                .certificate_thumbprint_sha256
                .map(|print| print.to_string()),
            server_certificate_thumbprint_sha256: status
                .server_certificate_thumbprint_sha256
                .map(|print| print.to_string()),
        }
    }
}

impl From<Transition> for TransitionBody {
    fn from(transition: Transition) -> Self {
        let code = transition.error_code.map(|code| Code::from_name(&code).unwrap_or(Code::Internal));
        Self {
            at: transition.at,
            state: transition.state.as_str(),
            error_code: code.map(ConnectionCode),
            error_message: transition.error_message,
        }
    }
}

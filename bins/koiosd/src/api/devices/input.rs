//! What clients say about a device.

use std::fmt;

use koios_store::{CertificateId, ServerCertificatePolicy as StoredPolicy};
use serde::Deserialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, RefOr, Schema, Type},
};
use zeroize::Zeroizing;

use super::super::{
    body::{nullable, present},
    error::FieldError,
    security::{SecurityMode, SecurityPolicyChoice},
};
use crate::service::devices::{DeviceChange, UserChange, UserKind};

/// Settings of a device. On creation `name` and `endpoint_url` are required and the rest has defaults; in a PATCH
/// (RFC 7396) and as overrides of a Test, what is left out stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceInput {
    /// 1 to 128 characters, unique among devices without regard to case.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(example = "Press 4", value_type = Option<String>, nullable = false)]
    pub(super) name: Option<Option<String>>,
    /// Up to 1,024 characters; `null` removes it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    pub(super) description: Option<Option<String>>,
    /// `opc.tcp`, a host, port 1 to 65535 (else 4840), at most 4,096 bytes.
    #[serde(default, deserialize_with = "present")]
    #[schema(example = "opc.tcp://press4:4840/", nullable = false)]
    pub(super) endpoint_url: Option<String>,
    /// Default `none`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub(super) security_mode: Option<SecurityMode>,
    /// Default `auto`. Kept and unused in mode `none`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub(super) security_policy: Option<SecurityPolicyChoice>,
    /// The certificate to present; `null` uses the default. Kept and unused in mode `none`.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub(super) certificate_id: Option<Option<CertificateId>>,
    /// Who to log in as; default `anonymous`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub(super) user_identity: Option<UserIdentityInput>,
    /// Default `pin`, or what the setting `default_server_certificate_policy` says. `accept_any` needs the role admin.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub(super) server_certificate_policy: Option<ServerCertificatePolicy>,
    /// Default true; switching it off needs the role admin.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub(super) server_host_name_check: Option<bool>,
    /// Whose trust steps to show.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    pub(super) trust_guide_product: Option<Option<String>>,
    /// Time between two scans; default 1.
    #[serde(default, deserialize_with = "present")]
    #[schema(minimum = 0.1, maximum = 3600.0, nullable = false)]
    pub(super) scan_rate_seconds: Option<f64>,
    /// Longest time of an attempt, in whole seconds; default 10.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 300, nullable = false)]
    pub(super) timeout_seconds: Option<f64>,
    /// On creation: whether it connects by itself, default false. Afterwards see `enable` and `disable`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub(super) enabled: Option<bool>,
}

/// Who to log in as, merged into what it was (RFC 7396).
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserIdentityInput {
    #[serde(rename = "type", default, deserialize_with = "present")]
    #[schema(nullable = false)]
    kind: Option<UserIdentityType>,
    /// With the type `username`.
    #[serde(default, deserialize_with = "present")]
    #[schema(example = "op", nullable = false)]
    username: Option<String>,
    /// Left out, a stored one is kept; `null` removes it. Never answered.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, write_only)]
    password: Option<Option<String>>,
}

impl fmt::Debug for UserIdentityInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, username, password: _ } = self;
        f.debug_struct("UserIdentityInput")
            .field("kind", kind)
            .field("username", username)
            .finish_non_exhaustive()
    }
}

/// The kinds of user identity.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UserIdentityType {
    Anonymous,
    // One word in the API, as in UserNameIdentityToken's policies.
    #[serde(rename = "username")]
    UserName,
}

/// How the server's certificate is judged.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, serde::Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServerCertificatePolicy {
    /// The first one is remembered; another one needs an approval.
    Pin,
    /// Full validation against the trust lists.
    TrustList,
    /// Any certificate: insecure.
    AcceptAny,
}

/// A [`DeviceInput`] that must have a name and an address (documentation).
#[derive(Debug)]
pub(super) struct NewDevice;

/// A [`DeviceInput`] that must have an address (documentation).
#[derive(Debug)]
pub(crate) struct UnsavedDevice;

/// A [`DeviceInput`] that does not say whether the device is enabled (documentation).
#[derive(Debug)]
pub(super) struct DevicePatch;

impl PartialSchema for NewDevice {
    fn schema() -> RefOr<Schema> {
        settings("A device to add.", |object| {
            object.required = vec!["name".to_owned(), "endpoint_url".to_owned()];
        })
    }
}

impl PartialSchema for UnsavedDevice {
    fn schema() -> RefOr<Schema> {
        settings("A device to test without storing it; it needs no name.", |object| {
            object.required = vec!["endpoint_url".to_owned()];
            if let Some(RefOr::T(Schema::Object(name))) = object.properties.get_mut("name") {
                name.schema_type = [Type::String, Type::Null].into_iter().collect();
            }
        })
    }
}

impl PartialSchema for DevicePatch {
    fn schema() -> RefOr<Schema> {
        settings("Changes to a device; what is left out stays as it is.", |object| {
            object.properties.remove("enabled");
        })
    }
}

impl ToSchema for NewDevice {}

impl ToSchema for UnsavedDevice {}

impl ToSchema for DevicePatch {}

/// The schema of [`DeviceInput`], changed.
pub(super) fn settings(description: &str, change: impl FnOnce(&mut Object)) -> RefOr<Schema> {
    let mut schema = DeviceInput::schema();
    if let RefOr::T(Schema::Object(object)) = &mut schema {
        object.description = Some(description.to_owned());
        change(object);
    }
    schema
}

impl DeviceInput {
    /// What a new device is to be, and whether it connects by itself.
    pub(super) fn into_creation(self) -> Result<(DeviceChange, bool), FieldError> {
        let enabled = self.enabled.unwrap_or(false);
        Ok((self.into_change()?, enabled))
    }

    pub(super) fn into_patch(self) -> Result<DeviceChange, FieldError> {
        if self.enabled.is_some() {
            let detail = "is not changed by PATCH; use POST /devices/{id}/enable or /disable";
            return Err(FieldError::new("enabled", detail));
        }
        self.into_change()
    }

    /// A device that is tested without being stored; it needs no name.
    pub(in crate::api) fn into_unsaved(mut self) -> Result<DeviceChange, FieldError> {
        self.name = self.name.filter(Option::is_some);
        self.into_change()
    }

    /// For a Test it makes no difference whether the device is enabled.
    pub(in crate::api) fn into_change(self) -> Result<DeviceChange, FieldError> {
        if self.name == Some(None) {
            return Err(FieldError::new("name", "must be a string"));
        }
        Ok(DeviceChange {
            name: self.name.flatten(),
            description: self.description,
            endpoint_url: self.endpoint_url,
            security_mode: self.security_mode.map(Into::into),
            security_policy: self.security_policy.map(SecurityPolicyChoice::policy),
            certificate_id: self.certificate_id,
            user_identity: self.user_identity.map(Into::into),
            server_certificate_policy: self.server_certificate_policy.map(Into::into),
            server_host_name_check: self.server_host_name_check,
            trust_guide_product: self.trust_guide_product,
            scan_rate_seconds: self.scan_rate_seconds,
            timeout_seconds: self.timeout_seconds,
        })
    }
}

impl From<UserIdentityInput> for UserChange {
    fn from(input: UserIdentityInput) -> Self {
        let kind = input.kind.map(|kind| match kind {
            UserIdentityType::Anonymous => UserKind::Anonymous,
            UserIdentityType::UserName => UserKind::UserName,
        });
        let password = input.password.map(|password| password.map(Zeroizing::new));
        Self { kind, username: input.username, password }
    }
}

impl From<StoredPolicy> for ServerCertificatePolicy {
    fn from(policy: StoredPolicy) -> Self {
        match policy {
            StoredPolicy::AcceptAny => Self::AcceptAny,
            StoredPolicy::TrustList => Self::TrustList,
            _ => Self::Pin,
        }
    }
}

impl From<ServerCertificatePolicy> for StoredPolicy {
    fn from(policy: ServerCertificatePolicy) -> Self {
        match policy {
            ServerCertificatePolicy::Pin => Self::Pin,
            ServerCertificatePolicy::TrustList => Self::TrustList,
            ServerCertificatePolicy::AcceptAny => Self::AcceptAny,
        }
    }
}

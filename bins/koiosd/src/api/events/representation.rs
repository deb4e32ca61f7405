//! Events as clients see them.

use koios_opcua::Code;
use koios_pki::Certificate;
use koios_store::{Device, DeviceName, ExpiryWarning, StoreEvent};
use serde::Serialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use utoipa::{
    Modify, ToSchema,
    openapi::{
        Components, OpenApi, RefOr,
        example::ExampleBuilder,
        security::{ApiKey, ApiKeyValue, SecurityScheme},
    },
};
use uuid::Uuid;

use crate::{
    api::{
        certificates::{CertificateBody, View},
        connection_code::ConnectionCode,
        devices::StatusBody,
        security::SecurityMode,
        words,
    },
    service::events::{Event, EventKind},
};

/// Something that happened: the `data` of an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventBody {
    /// Greater than that of every event before, over restarts too; the same as `id:` of the stream.
    id: u64,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// What it happened to; `null` for `reset`.
    #[schema(required = true)]
    resource: Option<ResourceBody>,
    #[serde(flatten)]
    kind: KindBody,
}

/// What something happened to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventResource)]
struct ResourceBody {
    /// The id of a certificate or device, the SHA-256 thumbprint of a server certificate.
    id: String,
    name: String,
}

/// What happened. Accept types that are not listed here: there may be more in later versions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type")]
#[schema(as = EventKind)]
enum KindBody {
    /// A certificate was added.
    #[serde(rename = "certificate.created")]
    CertificateCreated { certificate: Box<CertificateBody> },
    /// Name or description of a certificate changed.
    #[serde(rename = "certificate.updated")]
    CertificateUpdated { certificate: Box<CertificateBody> },
    /// A certificate has another key pair; servers must trust it anew.
    #[serde(rename = "certificate.regenerated")]
    CertificateRegenerated {
        certificate: Box<CertificateBody>,
        #[schema(value_type = words::EndReason)]
        reason: &'static str,
        /// Of the certificate before.
        previous_thumbprint_sha1: String,
        /// Of the certificate before; servers may trust it no longer.
        previous_thumbprint_sha256: String,
        thumbprint_sha1: String,
        thumbprint_sha256: String,
        /// The ids of the devices whose effective certificate it is.
        affected_devices: Vec<Uuid>,
    },
    /// A certificate is no more.
    #[serde(rename = "certificate.deleted")]
    CertificateDeleted {
        thumbprint_sha256: String,
        /// The ids of the devices that named it, and use `now_using` from now on.
        reassigned_devices: Vec<Uuid>,
        now_using: ResourceBody,
    },
    /// Devices that name no certificate use another one than before.
    #[serde(rename = "certificate.default_changed")]
    DefaultChanged {
        certificate: Box<CertificateBody>,
        /// `null` for the first certificate of all.
        #[schema(required = true)]
        previous_default: Option<ResourceBody>,
    },
    /// The end of a certificate is nearer than a threshold of `expiry_warning_days`; once per threshold.
    #[serde(rename = "certificate.expiring")]
    CertificateExpiring {
        #[serde(flatten)]
        expiry: ExpiryBody,
        /// The smallest threshold that was passed.
        threshold_days: u32,
    },
    /// The end of a certificate has come; once.
    #[serde(rename = "certificate.expired")]
    CertificateExpired {
        #[serde(flatten)]
        expiry: ExpiryBody,
    },
    /// A device was added.
    #[serde(rename = "device.created")]
    DeviceCreated {
        /// As it is now.
        device: Box<DeviceEventBody>,
    },
    /// Settings of a device changed: its certificate, its pin and whether it is enabled included.
    #[serde(rename = "device.updated")]
    DeviceUpdated {
        /// As it is now.
        device: Box<DeviceEventBody>,
    },
    /// A device is no more.
    #[serde(rename = "device.deleted")]
    DeviceDeleted {},
    /// The state of a device, or why it failed, changed. Of several changes within 100 ms the newest is told.
    #[serde(rename = "device.status_changed")]
    StatusChanged { status: Box<StatusBody> },
    /// A server certificate was seen at an endpoint for the first time.
    #[serde(rename = "server_certificate.seen")]
    ServerCertificateSeen {
        certificate: ServerCertificateEventBody,
        endpoint_url: String,
        /// `null` for a discovery and a Test of settings that are not stored.
        #[schema(required = true)]
        device: Option<ResourceBody>,
    },
    /// The server of a device presents another certificate than before.
    #[serde(rename = "server_certificate.changed")]
    ServerCertificateChanged {
        certificate: ServerCertificateEventBody,
        endpoint_url: String,
        /// Whose server it is.
        device: ResourceBody,
        /// What it presented before.
        previous_thumbprint_sha256: String,
        /// The certificate that the device knows its server by.
        #[schema(required = true)]
        pinned_thumbprint_sha256: Option<String>,
    },
    /// A server certificate was refused; once per device and reason.
    #[serde(rename = "server_certificate.rejected")]
    ServerCertificateRejected {
        certificate: ServerCertificateEventBody,
        /// `null` for a Test of settings that are not stored, and when a person rejected it.
        #[schema(required = true)]
        device: Option<ResourceBody>,
        /// `null` when a person rejected it.
        #[schema(required = true)]
        reason_code: Option<ConnectionCode>,
        reason: String,
    },
    /// Events were missed: read everything anew. Those that follow are complete again.
    #[serde(rename = "reset")]
    Reset {},
}

/// A certificate that ends.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CertificateExpiry)]
struct ExpiryBody {
    /// Of the certificate, for `If-Match`.
    revision: i64,
    thumbprint_sha256: String,
    #[serde(with = "time::serde::rfc3339")]
    not_after: OffsetDateTime,
    /// Whole days left, rounded down; negative after the end.
    expires_in_days: i64,
    is_default: bool,
    /// Devices whose effective certificate it is.
    device_count: u64,
}

/// What a row of a table needs of a device; the rest has `GET /api/v1/devices/{id}`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeviceSummary)]
struct DeviceEventBody {
    id: Uuid,
    /// Of the device, for `If-Match`.
    revision: i64,
    name: String,
    endpoint_url: String,
    security_mode: SecurityMode,
    /// `null`: the default certificate.
    #[schema(required = true)]
    certificate_id: Option<Uuid>,
    enabled: bool,
    /// SHA-256 of the certificate that the device knows its server by; `null`: none.
    #[schema(required = true)]
    pinned_thumbprint_sha256: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// Which server certificate it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServerCertificateSummary)]
struct ServerCertificateEventBody {
    thumbprint_sha1: String,
    thumbprint_sha256: String,
    #[schema(required = true)]
    common_name: Option<String>,
    subject: String,
    issuer: String,
    #[serde(with = "time::serde::rfc3339")]
    not_before: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    not_after: OffsetDateTime,
}

/// An event's type and data; `None` for one that the store knows and this does not.
pub(crate) fn render(event: &Event<'_>, expiring_soon: Duration) -> Option<(&'static str, String)> {
    let (name, resource, kind) = match &event.kind {
        EventKind::Reset => ("reset", None, KindBody::Reset {}),
        EventKind::StatusChanged { device, name, status } => {
            let resource = ResourceBody { id: device.to_string(), name: (*name).to_owned() };
            let status = Box::new(StatusBody::from((*status).clone()));
            ("device.status_changed", Some(resource), KindBody::StatusChanged { status })
        }
        EventKind::Stored(stored) => {
            let (name, resource, kind) = of_store(stored, &View::new(expiring_soon))?;
            (name, Some(resource), kind)
        }
    };
    let body = EventBody { id: event.id, at: event.at, resource, kind };
    // Text and numbers always have a JSON form.
    Some((name, serde_json::to_string(&body).ok()?))
}

fn of_store(event: &StoreEvent, view: &View) -> Option<(&'static str, ResourceBody, KindBody)> {
    let of_certificate = |record: &koios_store::CertificateRecord| {
        let resource = ResourceBody { id: record.id.to_string(), name: record.name.clone() };
        (resource, Box::new(view.certificate(record)))
    };
    let ids = |devices: &[koios_store::DeviceRef]| devices.iter().map(|device| device.id.as_uuid()).collect();
    Some(match event {
        StoreEvent::CertificateCreated(record) => {
            let (resource, certificate) = of_certificate(record);
            ("certificate.created", resource, KindBody::CertificateCreated { certificate })
        }
        StoreEvent::CertificateUpdated(record) => {
            let (resource, certificate) = of_certificate(record);
            ("certificate.updated", resource, KindBody::CertificateUpdated { certificate })
        }
        StoreEvent::CertificateRegenerated { certificate: record, previous, reason, affected_devices } => {
            let (resource, certificate) = of_certificate(record);
            let (leaf, previous) = (record.chain.leaf(), previous.leaf());
            let kind = KindBody::CertificateRegenerated {
                certificate,
                reason: reason.as_str(),
                previous_thumbprint_sha1: previous.thumbprint_sha1().to_string(),
                previous_thumbprint_sha256: previous.thumbprint_sha256().to_string(),
                thumbprint_sha1: leaf.thumbprint_sha1().to_string(),
                thumbprint_sha256: leaf.thumbprint_sha256().to_string(),
                affected_devices: ids(affected_devices),
            };
            ("certificate.regenerated", resource, kind)
        }
        StoreEvent::CertificateDeleted { certificate, thumbprint_sha256, reassigned_devices, now_using } => {
            let kind = KindBody::CertificateDeleted {
                thumbprint_sha256: thumbprint_sha256.to_string(),
                reassigned_devices: ids(reassigned_devices),
                now_using: now_using.into(),
            };
            ("certificate.deleted", certificate.into(), kind)
        }
        StoreEvent::DefaultChanged { certificate: record, previous } => {
            let (resource, certificate) = of_certificate(record);
            let previous_default = previous.as_ref().map(Into::into);
            let kind = KindBody::DefaultChanged { certificate, previous_default };
            ("certificate.default_changed", resource, kind)
        }
        StoreEvent::CertificateExpiring(warning) => {
            let kind = KindBody::CertificateExpiring {
                expiry: warning.into(),
                threshold_days: warning.threshold_days.unwrap_or(0),
            };
            ("certificate.expiring", (&warning.certificate).into(), kind)
        }
        StoreEvent::CertificateExpired(warning) => {
            let kind = KindBody::CertificateExpired { expiry: warning.into() };
            ("certificate.expired", (&warning.certificate).into(), kind)
        }
        StoreEvent::DeviceCreated(device) => {
            let kind = KindBody::DeviceCreated { device: Box::new(device.as_ref().into()) };
            ("device.created", device.as_ref().into(), kind)
        }
        StoreEvent::DeviceUpdated(device) => {
            let kind = KindBody::DeviceUpdated { device: Box::new(device.as_ref().into()) };
            ("device.updated", device.as_ref().into(), kind)
        }
        StoreEvent::DeviceDeleted(device) => ("device.deleted", device.into(), KindBody::DeviceDeleted {}),
        StoreEvent::ServerCertificateSeen { endpoint_url, certificate, device } => {
            let kind = KindBody::ServerCertificateSeen {
                certificate: certificate.as_ref().into(),
                endpoint_url: endpoint_url.clone(),
                device: device.as_ref().map(Into::into),
            };
            ("server_certificate.seen", certificate.as_ref().into(), kind)
        }
        StoreEvent::ServerCertificateChanged {
            device,
            endpoint_url,
            certificate,
            previous_thumbprint_sha256,
            pinned_thumbprint_sha256,
        } => {
            let kind = KindBody::ServerCertificateChanged {
                certificate: certificate.as_ref().into(),
                endpoint_url: endpoint_url.clone(),
                device: device.into(),
                previous_thumbprint_sha256: previous_thumbprint_sha256.to_string(),
                pinned_thumbprint_sha256: pinned_thumbprint_sha256.map(|print| print.to_string()),
            };
            ("server_certificate.changed", certificate.as_ref().into(), kind)
        }
        StoreEvent::ServerCertificateRejected { certificate, device, code, reason } => {
            let code = code.as_deref().map(|code| Code::from_name(code).unwrap_or(Code::Internal));
            let kind = KindBody::ServerCertificateRejected {
                certificate: certificate.as_ref().into(),
                device: device.as_ref().map(Into::into),
                reason_code: code.map(ConnectionCode),
                reason: reason.clone(),
            };
            ("server_certificate.rejected", certificate.as_ref().into(), kind)
        }
        _ => return None,
    })
}

impl From<&koios_store::CertificateName> for ResourceBody {
    fn from(certificate: &koios_store::CertificateName) -> Self {
        Self { id: certificate.id.to_string(), name: certificate.name.clone() }
    }
}

impl From<&DeviceName> for ResourceBody {
    fn from(device: &DeviceName) -> Self {
        Self { id: device.id.to_string(), name: device.name.clone() }
    }
}

impl From<&Device> for ResourceBody {
    fn from(device: &Device) -> Self {
        Self { id: device.id.to_string(), name: device.name.clone() }
    }
}

impl From<&Certificate> for ResourceBody {
    fn from(certificate: &Certificate) -> Self {
        let name = certificate.common_name().unwrap_or_else(|| certificate.subject());
        Self { id: certificate.thumbprint_sha256().to_string(), name: name.to_owned() }
    }
}

impl From<&ExpiryWarning> for ExpiryBody {
    fn from(warning: &ExpiryWarning) -> Self {
        Self {
            revision: warning.revision,
            thumbprint_sha256: warning.thumbprint_sha256.to_string(),
            not_after: warning.not_after,
            expires_in_days: warning.expires_in_days,
            is_default: warning.is_default,
            device_count: warning.device_count,
        }
    }
}

impl From<&Device> for DeviceEventBody {
    fn from(device: &Device) -> Self {
        let pinned = device.pinned_server_certificate.as_ref();
        Self {
            id: device.id.as_uuid(),
            revision: device.revision,
            name: device.name.clone(),
            endpoint_url: device.endpoint_url.clone(),
            security_mode: device.security_mode.into(),
            certificate_id: device.certificate_id.map(|id| id.as_uuid()),
            enabled: device.enabled,
            pinned_thumbprint_sha256: pinned.map(|chain| chain.leaf().thumbprint_sha256().to_string()),
            updated_at: device.updated_at,
        }
    }
}

impl From<&Certificate> for ServerCertificateEventBody {
    fn from(certificate: &Certificate) -> Self {
        let validity = certificate.validity();
        Self {
            thumbprint_sha1: certificate.thumbprint_sha1().to_string(),
            thumbprint_sha256: certificate.thumbprint_sha256().to_string(),
            common_name: certificate.common_name().map(str::to_owned),
            subject: certificate.subject().to_owned(),
            issuer: certificate.issuer().to_owned(),
            not_before: validity.not_before,
            not_after: validity.not_after,
        }
    }
}

/// Adds an example of each type of event to the document, and the ticket as a way to come in.
pub(super) struct Examples;

/// One event of each type, as the daemon has told them.
const EXAMPLES: &str = include_str!("examples.json");

impl Modify for Examples {
    fn modify(&self, document: &mut OpenApi) {
        let ticket = SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::with_description(
            "ticket",
            "A one-use ticket of POST /api/v1/events/ticket.",
        )));
        document.components.get_or_insert_with(Components::new).add_security_scheme("event_ticket", ticket);
        let operation = document.paths.paths.get_mut(super::PATH).and_then(|item| item.get.as_mut());
        let answer = operation.and_then(|operation| operation.responses.responses.get_mut("200"));
        let Some(RefOr::T(answer)) = answer else { return };
        let Some(RefOr::T(content)) = answer.content.get_mut("text/event-stream") else { return };
        let examples: Vec<Value> = serde_json::from_str(EXAMPLES).unwrap_or_default();
        for example in examples {
            let Some(name) = example["type"].as_str().map(str::to_owned) else { continue };
            let example = ExampleBuilder::new().value(Some(example)).build();
            content.examples.insert(name, RefOr::T(example));
        }
    }
}

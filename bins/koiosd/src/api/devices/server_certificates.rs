//! The server certificate of a device: the one known, the one presented.

use actix_web::{
    HttpResponse,
    web::{Data, ServiceConfig},
};
use koios_pki::Sha256Thumbprint;
use koios_store::DeviceId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{
    api::{
        auth::{Admin, Require, Viewer},
        body::Json,
        conditional::{IfMatch, ok_with_revision},
        connection_code::ConnectionCode,
        error::{ApiError, ApiResult, Problem},
        path::Id,
        query::{NoParameters, Query},
        routes,
        server_certificate::ServerCertificateBody,
    },
    service::{Services, server_certificates::ServerCertificateView},
};

pub(super) fn configure(config: &mut ServiceConfig) {
    routes::at("/devices/{id}/server-certificate").get(show).delete(forget).register(config);
    routes::at("/devices/{id}/server-certificate/approve").post(approve).register(config);
}

/// The server certificate of a device.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeviceServerCertificate {
    /// The certificate that the device knows.
    #[schema(required = true)]
    pinned: Option<ServerCertificateBody>,
    /// The certificate that the server presented last.
    #[schema(required = true)]
    presented: Option<SeenServerCertificate>,
    /// What follows for the certificate presented last; `null` before there is one.
    #[schema(required = true)]
    verdict: Option<ServerCertificateVerdict>,
}

/// A server certificate, and when it was seen.
#[derive(Debug, Serialize, ToSchema)]
struct SeenServerCertificate {
    #[serde(flatten)]
    certificate: ServerCertificateBody,
    #[serde(with = "time::serde::rfc3339")]
    seen_at: OffsetDateTime,
}

/// Whether a device accepts a server certificate.
#[derive(Debug, Serialize, ToSchema)]
struct ServerCertificateVerdict {
    accepted: bool,
    /// The code of the failure; `null` when it is accepted.
    #[schema(required = true)]
    code: Option<ConnectionCode>,
    message: String,
}

/// Which server certificate is approved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApproveRequest {
    /// The SHA-256 thumbprint of the certificate that was looked at.
    thumbprint_sha256: String,
    /// Whether every device whose server presented this certificate last pins it.
    #[serde(default)]
    all_devices_with_it: bool,
}

/// Shows the server certificate that a device knows, and the one presented last.
#[utoipa::path(
    get, path = "/api/v1/devices/{id}/server-certificate", tag = "devices", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = DeviceServerCertificate), (status = "default", body = Problem))
)]
pub(super) async fn show(
    _: Require<Viewer>,
    id: Id<DeviceId>,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    Ok(shown(services.server_certificates.show(id.0).await?))
}

/// Pins the certificate that the server presented last.
#[utoipa::path(
    post, path = "/api/v1/devices/{id}/server-certificate/approve", tag = "devices", request_body = ApproveRequest,
    security(("bearer_token" = ["admin"])),
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = DeviceServerCertificate), (status = "default", body = Problem))
)]
pub(super) async fn approve(
    caller: Require<Admin>,
    id: Id<DeviceId>,
    _: Query<NoParameters>,
    if_match: IfMatch,
    body: Json<ApproveRequest>,
    services: Data<Services>,
) -> ApiResult {
    let ApproveRequest { thumbprint_sha256, all_devices_with_it } = body.value;
    let thumbprint: Sha256Thumbprint = thumbprint_sha256
        .parse()
        .map_err(|_| ApiError::invalid_field("thumbprint_sha256", "must be 64 hexadecimal digits"))?;
    let expected = if_match.of_device(&services, id.0).await?;
    let certificates = &services.server_certificates;
    Ok(shown(certificates.approve(&caller.0, id.0, thumbprint, all_devices_with_it, expected).await?))
}

/// Forgets the certificate that a device knows.
#[utoipa::path(
    delete, path = "/api/v1/devices/{id}/server-certificate", tag = "devices",
    security(("bearer_token" = ["admin"])),
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn forget(
    caller: Require<Admin>,
    id: Id<DeviceId>,
    _: Query<NoParameters>,
    if_match: IfMatch,
    services: Data<Services>,
) -> ApiResult {
    let expected = if_match.of_device(&services, id.0).await?;
    services.server_certificates.forget(&caller.0, id.0, expected).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn shown(view: ServerCertificateView) -> HttpResponse {
    let revision = view.device.revision;
    let body = DeviceServerCertificate {
        pinned: view.pinned.map(Into::into),
        presented: view
            .presented
            .map(|(presented, seen_at)| SeenServerCertificate { certificate: presented.into(), seen_at }),
        verdict: view.judgement.map(|judgement| ServerCertificateVerdict {
            accepted: judgement.accepted,
            code: judgement.code.map(ConnectionCode),
            message: judgement.message,
        }),
    };
    ok_with_revision(revision, &body)
}

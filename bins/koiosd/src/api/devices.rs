//! Devices: the OPC UA servers that Koios connects to.

mod export;
mod input;
mod list;
mod representation;
mod server_certificates;
mod to_import;

use actix_web::{
    HttpResponse,
    http::header::{ETAG, LOCATION},
    web::{Data, ServiceConfig},
};
use koios_store::DeviceId;
use utoipa::OpenApi;

use super::{
    auth::{Operator, Require, Viewer},
    body::{Json, MergePatch, NoBody},
    conditional::{IfMatch, entity_tag, ok_with_revision},
    error::{ApiResult, Problem},
    page::PageBody,
    path::Id,
    query::{NoParameters, PageQuery, Query},
    routes,
};
use crate::service::{Services, devices::DeviceView};
pub(crate) use input::{DeviceInput, UnsavedDevice};
use input::{DevicePatch, NewDevice};
use list::ListQuery;
pub(crate) use representation::StatusBody;
use representation::{DeviceBody, TransitionBody};

#[derive(OpenApi)]
#[openapi(
    paths(
        list, create, detail, patch, delete, enable, disable, status, history, export::export, export::import,
        server_certificates::show, server_certificates::approve, server_certificates::forget
    ),
    tags((name = "devices", description = "OPC UA servers that Koios connects to"))
)]
pub(crate) struct DevicesDocument;

pub(crate) fn configure(config: &mut ServiceConfig) {
    routes::at("/devices").get(list).post(create).register(config);
    // Words before ids: `{id}` would take them all.
    export::configure(config);
    routes::at("/devices/{id}").get(detail).patch(patch).delete(delete).register(config);
    routes::at("/devices/{id}/enable").post(enable).register(config);
    routes::at("/devices/{id}/disable").post(disable).register(config);
    routes::at("/devices/{id}/status").get(status).register(config);
    routes::at("/devices/{id}/history").get(history).register(config);
    server_certificates::configure(config);
}

/// Lists devices.
#[utoipa::path(
    get, path = "/api/v1/devices", tag = "devices", params(ListQuery),
    responses((status = 200, body = PageBody<DeviceBody>), (status = "default", body = Problem))
)]
async fn list(_: Require<Viewer>, query: Query<ListQuery>, services: Data<Services>) -> ApiResult {
    let (query, states) = query.0.into_parts();
    let page = services.devices.list(query, &states).await?;
    let body = PageBody::of(page, |view| DeviceBody::of(view, services.devices.expiring_soon()));
    Ok(HttpResponse::Ok().json(body))
}

/// Adds a device; `name` and `endpoint_url` are required.
#[utoipa::path(
    post, path = "/api/v1/devices", tag = "devices", request_body = NewDevice,
    responses((status = 201, body = DeviceBody), (status = "default", body = Problem))
)]
async fn create(
    caller: Require<Operator>,
    _: Query<NoParameters>,
    body: Json<DeviceInput>,
    services: Data<Services>,
) -> ApiResult {
    let (device, enabled) = body.value.into_creation()?;
    let view = services.devices.create(&caller.0, device, enabled).await?;
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/api/v1/devices/{}", view.device.id)))
        .insert_header((ETAG, entity_tag(view.device.revision)))
        .json(DeviceBody::of(view, services.devices.expiring_soon())))
}

/// Shows one device.
#[utoipa::path(
    get, path = "/api/v1/devices/{id}", tag = "devices", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = DeviceBody), (status = "default", body = Problem))
)]
async fn detail(
    _: Require<Viewer>,
    id: Id<DeviceId>,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    Ok(shown(&services, services.devices.detail(id.0).await?))
}

/// Changes settings; a stored password that would travel elsewhere, or less protected, must be sent again.
#[utoipa::path(
    patch, path = "/api/v1/devices/{id}", tag = "devices",
    request_body(content = DevicePatch, content_type = "application/merge-patch+json"),
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = DeviceBody), (status = "default", body = Problem))
)]
async fn patch(
    caller: Require<Operator>,
    id: Id<DeviceId>,
    _: Query<NoParameters>,
    if_match: IfMatch,
    body: MergePatch<DeviceInput>,
    services: Data<Services>,
) -> ApiResult {
    let change = body.0.into_patch()?;
    let expected = if_match.of_device(&services, id.0).await?;
    Ok(shown(&services, services.devices.patch(&caller.0, id.0, change, expected).await?))
}

/// Closes the device's session and deletes it.
#[utoipa::path(
    delete, path = "/api/v1/devices/{id}", tag = "devices",
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204), (status = "default", body = Problem))
)]
async fn delete(
    caller: Require<Operator>,
    id: Id<DeviceId>,
    _: Query<NoParameters>,
    if_match: IfMatch,
    services: Data<Services>,
) -> ApiResult {
    let expected = if_match.of_device(&services, id.0).await?;
    services.devices.delete(&caller.0, id.0, expected).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Lets a device connect by itself, and keep its connection.
#[utoipa::path(
    post, path = "/api/v1/devices/{id}/enable", tag = "devices",
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = DeviceBody), (status = "default", body = Problem))
)]
async fn enable(
    caller: Require<Operator>,
    id: Id<DeviceId>,
    _: Query<NoParameters>,
    if_match: IfMatch,
    _: NoBody,
    services: Data<Services>,
) -> ApiResult {
    let expected = if_match.of_device(&services, id.0).await?;
    Ok(shown(&services, services.devices.enable(&caller.0, id.0, expected).await?))
}

/// Stops a device; its session is closed.
#[utoipa::path(
    post, path = "/api/v1/devices/{id}/disable", tag = "devices",
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = DeviceBody), (status = "default", body = Problem))
)]
async fn disable(
    caller: Require<Operator>,
    id: Id<DeviceId>,
    _: Query<NoParameters>,
    if_match: IfMatch,
    _: NoBody,
    services: Data<Services>,
) -> ApiResult {
    let expected = if_match.of_device(&services, id.0).await?;
    Ok(shown(&services, services.devices.disable(&caller.0, id.0, expected).await?))
}

/// Shows how a device fares.
#[utoipa::path(
    get, path = "/api/v1/devices/{id}/status", tag = "devices", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = StatusBody), (status = "default", body = Problem))
)]
async fn status(
    _: Require<Viewer>,
    id: Id<DeviceId>,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    let status = services.devices.status(id.0).await?;
    Ok(HttpResponse::Ok().json(StatusBody::from(status)))
}

/// Shows the states that a device was in, newest first.
#[utoipa::path(
    get, path = "/api/v1/devices/{id}/history", tag = "devices", params(("id" = uuid::Uuid, Path), PageQuery),
    responses((status = 200, body = PageBody<TransitionBody>), (status = "default", body = Problem))
)]
async fn history(
    _: Require<Viewer>,
    id: Id<DeviceId>,
    query: Query<PageQuery>,
    services: Data<Services>,
) -> ApiResult {
    let page = services.devices.history(id.0, query.0.into()).await?;
    Ok(HttpResponse::Ok().json(PageBody::of(page, TransitionBody::from)))
}

fn shown(services: &Services, view: DeviceView) -> HttpResponse {
    let revision = view.device.revision;
    ok_with_revision(revision, &DeviceBody::of(view, services.devices.expiring_soon()))
}

//! Tests: one staged connection attempt with a verdict.

mod report;

use actix_web::{
    HttpResponse,
    web::{Data, ServiceConfig},
};
use koios_store::DeviceId;
use utoipa::OpenApi;

use super::{
    auth::{Operator, Require},
    body::{Json, OptionalJson},
    client::ClientGone,
    devices::{DeviceInput, UnsavedDevice},
    error::{ApiResult, Problem},
    path::Id,
    query::{NoParameters, Query},
    routes,
};
use crate::service::Services;
pub(crate) use report::{StageBody, TestReportBody, milliseconds, stages};

#[derive(OpenApi)]
#[openapi(paths(test_device, test_unsaved))]
pub(crate) struct ConnectionTestsDocument;

pub(crate) fn configure(config: &mut ServiceConfig) {
    routes::at("/devices/test").post(test_unsaved).register(config);
    routes::at("/devices/{id}/test").post(test_device).register(config);
}

/// Makes one connection attempt to a device, with any fields as if they were stored otherwise.
///
/// Nothing of the device changes. The answer is 200 whenever the attempt was made, whatever came of it.
#[utoipa::path(
    post, path = "/api/v1/devices/{id}/test", tag = "devices", params(("id" = uuid::Uuid, Path)),
    request_body = Option<DeviceInput>,
    responses((status = 200, body = TestReportBody), (status = "default", body = Problem))
)]
async fn test_device(
    caller: Require<Operator>,
    id: Id<DeviceId>,
    _: Query<NoParameters>,
    gone: ClientGone,
    body: OptionalJson<DeviceInput>,
    services: Data<Services>,
) -> ApiResult {
    let overrides = body.0.value.into_change()?;
    let tested = services.connection_tests.test_device(&caller.0, id.0, overrides, gone.wait()).await?;
    Ok(HttpResponse::Ok().json(TestReportBody::from(tested).linked(&services.settings.now())))
}

/// Makes one connection attempt to a device that is not stored; `endpoint_url` is required, `name` is not needed.
#[utoipa::path(
    post, path = "/api/v1/devices/test", tag = "devices", request_body = UnsavedDevice,
    responses((status = 200, body = TestReportBody), (status = "default", body = Problem))
)]
async fn test_unsaved(
    caller: Require<Operator>,
    _: Query<NoParameters>,
    gone: ClientGone,
    body: Json<DeviceInput>,
    services: Data<Services>,
) -> ApiResult {
    let device = body.value.into_unsaved()?;
    let tested = services.connection_tests.test_unsaved(&caller.0, device, gone.wait()).await?;
    Ok(HttpResponse::Ok().json(TestReportBody::from(tested).linked(&services.settings.now())))
}

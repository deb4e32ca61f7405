//! How servers are made to trust a certificate.

mod representation;

use actix_web::{
    HttpResponse,
    web::{Data, ServiceConfig},
};
use koios_store::DeviceId;
use utoipa::OpenApi;

use super::{
    auth::{Require, Viewer},
    error::{ApiResult, Problem},
    path::Id,
    query::{PageQuery, Query},
    routes,
};
use crate::service::Services;
use representation::{GuideQuery, ProductsBody, TrustGuideBody};

#[derive(OpenApi)]
#[openapi(
    paths(list, of_device),
    tags((name = "trust guides", description = "What a person does at a server so that it trusts a certificate"))
)]
pub(crate) struct TrustGuidesDocument;

pub(crate) fn configure(config: &mut ServiceConfig) {
    routes::at("/trust-guides").get(list).register(config);
    routes::at("/devices/{id}/trust-guide").get(of_device).register(config);
}

/// Lists the products that there are guides for.
#[utoipa::path(
    get, path = "/api/v1/trust-guides", tag = "trust guides", params(PageQuery),
    responses((status = 200, body = ProductsBody), (status = "default", body = Problem))
)]
async fn list(_: Require<Viewer>, page: Query<PageQuery>) -> ApiResult {
    Ok(HttpResponse::Ok().json(ProductsBody::page(&page.0)?))
}

/// Says how the device's server is made to trust its certificate.
#[utoipa::path(
    get, path = "/api/v1/devices/{id}/trust-guide", tag = "trust guides",
    params(("id" = uuid::Uuid, Path), GuideQuery),
    responses((status = 200, body = TrustGuideBody), (status = "default", body = Problem))
)]
async fn of_device(
    _: Require<Viewer>,
    id: Id<DeviceId>,
    query: Query<GuideQuery>,
    services: Data<Services>,
) -> ApiResult {
    let guide = services.trust_guides.of_device(id.0, query.0.product.as_deref()).await?;
    Ok(HttpResponse::Ok().json(TrustGuideBody::new(guide, &services.settings.now())))
}

//! The audit trail: who did what, when and from where.

mod representation;

use actix_web::{
    HttpResponse,
    web::{Data, ServiceConfig},
};
use utoipa::OpenApi;

use super::{
    auth::{Admin, Require},
    error::{ApiResult, Problem},
    page::PageBody,
    query::Query,
    routes,
};
use crate::service::Services;
use representation::ListQuery;
pub(crate) use representation::{EntryBody, hex};

/// What this module adds to the document.
#[derive(OpenApi)]
#[openapi(paths(list))]
pub(crate) struct AuditDocument;

pub(crate) fn configure(config: &mut ServiceConfig) {
    routes::at("/audit").get(list).register(config);
}

/// Lists the audit trail, the newest entry first.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", params(ListQuery), security(("bearer_token" = ["admin"])),
    responses((status = 200, body = PageBody<EntryBody>), (status = "default", body = Problem))
)]
async fn list(_: Require<Admin>, query: Query<ListQuery>, services: Data<Services>) -> ApiResult {
    let page = services.store.audit(query.0.into()).await?;
    Ok(HttpResponse::Ok().json(PageBody::of(page, EntryBody::from)))
}

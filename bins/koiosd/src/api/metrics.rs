//! What is measured, for Prometheus.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};
use prometheus_client::encoding::prometheus_text;
use utoipa::OpenApi;

use super::{
    auth::{self, Require, Viewer},
    error::{ApiResult, Problem},
    query::{NoParameters, Query},
    routes,
};
use crate::service::Services;

#[derive(OpenApi)]
#[openapi(paths(metrics))]
pub(crate) struct MetricsDocument;

pub(crate) fn configure(config: &mut ServiceConfig) {
    // Outside `/api/v1`, where Prometheus looks for it; what it says is nobody else's business all the same.
    config.service(
        web::scope("/metrics")
            .wrap(from_fn(auth::authenticate))
            .configure(|config| routes::at("").get(metrics).register(config)),
    );
}

/// Shows what is measured, in the Prometheus text format 0.0.4.
#[utoipa::path(
    get, path = "/metrics", tag = "system",
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = "default", body = Problem)
    )
)]
async fn metrics(_: Require<Viewer>, _: Query<NoParameters>, services: Data<Services>) -> ApiResult {
    let text = services.metrics.text().await?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, prometheus_text::CONTENT_TYPE))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text))
}

//! The daemon itself.

use actix_web::{
    HttpResponse,
    web::{Data, ServiceConfig},
};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::{OpenApi, ToSchema};
use uuid::Uuid;

use super::{
    auth::{Require, Viewer},
    body::JSON_LIMIT,
    error::{ApiResult, Problem},
    form::UPLOAD_LIMIT,
    query::{NoParameters, PAGE_DEFAULT, PAGE_MAX, Query},
    routes,
};
use crate::service::Services;

#[derive(OpenApi)]
#[openapi(paths(system), tags((name = "system", description = "The daemon itself")))]
pub(crate) struct SystemDocument;

pub(crate) fn configure(config: &mut ServiceConfig) {
    routes::at("/system").get(system).register(config);
}

/// What runs here.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = System)]
struct SystemBody {
    version: &'static str,
    /// The host name that certificates get when nobody says one.
    system_hostname: String,
    data_directory: String,
    #[schema(required = true)]
    default_certificate_id: Option<Uuid>,
    counts: CountsBody,
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    limits: LimitsBody,
    /// What was compiled in beyond the default: `deprecated-policies`.
    features: Vec<&'static str>,
}

/// How much there is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Counts)]
struct CountsBody {
    certificates: u64,
    devices: u64,
    enabled_devices: u64,
}

/// How much the API takes and gives at once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limits)]
struct LimitsBody {
    /// Most bytes of an upload.
    upload_bytes: usize,
    /// Most bytes of any other body.
    body_bytes: usize,
    /// Most items of a page.
    page_size: u32,
    /// Items of a page when nothing is said.
    page_size_default: u32,
}

/// Shows what runs here.
#[utoipa::path(
    get, path = "/api/v1/system", tag = "system",
    responses((status = 200, body = SystemBody), (status = "default", body = Problem))
)]
async fn system(_: Require<Viewer>, _: Query<NoParameters>, services: Data<Services>) -> ApiResult {
    let overview = services.overview().await?;
    Ok(HttpResponse::Ok().json(SystemBody {
        version: env!("CARGO_PKG_VERSION"),
        system_hostname: services.system_host.to_string(),
        data_directory: services.store.data_dir().display().to_string(),
        default_certificate_id: overview.default_certificate.map(|id| id.as_uuid()),
        counts: CountsBody {
            certificates: overview.counts.certificates,
            devices: overview.counts.devices,
            enabled_devices: overview.counts.enabled_devices,
        },
        started_at: services.started_at,
        limits: LimitsBody {
            upload_bytes: UPLOAD_LIMIT,
            body_bytes: JSON_LIMIT,
            page_size: PAGE_MAX,
            page_size_default: PAGE_DEFAULT,
        },
        features: FEATURES.to_vec(),
    }))
}

const FEATURES: &[&str] = if cfg!(feature = "deprecated-policies") { &["deprecated-policies"] } else { &[] };

//! Whether the daemon lives, and whether it can work. Without a token.

use actix_web::{
    HttpResponse,
    web::{Data, ServiceConfig},
};
use koios_store::StoreError;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use super::{error::ApiResult, routes};
use crate::{error_chain::error_chain, service::Services};

#[derive(OpenApi)]
#[openapi(paths(healthz, readyz), tags((name = "health", description = "Whether the daemon lives and can work")))]
pub(crate) struct HealthDocument;

pub(crate) fn configure(config: &mut ServiceConfig) {
    routes::at("/healthz").get(healthz).register(config);
    routes::at("/readyz").get(readyz).register(config);
}

/// The daemon is well.
#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// The daemon cannot work at the moment.
#[derive(Serialize, ToSchema)]
struct Unready {
    /// Always `unavailable`.
    #[schema(example = "unavailable")]
    status: &'static str,
    /// What is in the way.
    reasons: Vec<&'static str>,
}

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = Health)))]
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// Whether changes can be stored.
#[utoipa::path(
    get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = Health), (status = 503, body = Unready))
)]
async fn readyz(services: Data<Services>) -> ApiResult {
    if services.events.is_stopping() {
        let reasons = vec!["the daemon is stopping"];
        return Ok(HttpResponse::ServiceUnavailable().json(Unready { status: "unavailable", reasons }));
    }
    Ok(match services.store.check_writable().await {
        Ok(()) => HttpResponse::Ok().json(Health { status: "ok" }),
        Err(error) => {
            tracing::warn!(error = error_chain(&error), "not ready");
            let reasons = vec![match error {
                StoreError::StorageFull { .. } => "no space is left on the disk of the data directory",
                _ => "the data directory cannot be written",
            }];
            HttpResponse::ServiceUnavailable().json(Unready { status: "unavailable", reasons })
        }
    })
}

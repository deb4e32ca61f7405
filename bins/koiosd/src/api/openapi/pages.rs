//! Swagger UI at `/docs/`, from files in the program: nothing is loaded from elsewhere.

use std::sync::{Arc, LazyLock};

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS},
    web::{Path, ServiceConfig},
};
use utoipa_swagger_ui::{Config, serve};

use super::DOCUMENT_PATH;
use crate::api::{
    error::{ApiError, ApiResult},
    routes,
};

pub(super) fn configure(config: &mut ServiceConfig) {
    routes::at("/docs").get(to_pages).register(config);
    routes::at("/docs/{file:.*}").get(file).register(config);
}

async fn to_pages() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish()
}

async fn file(name: Path<String>) -> ApiResult {
    // What it is for, OAuth, is not there, and its script stands in the page, where the policy allows none.
    if *name == "oauth2-redirect.html" {
        return Err(ApiError::not_found());
    }
    let file = serve(&name, CONFIG.clone()).map_err(|error| ApiError::internal(&*error))?;
    let file = file.ok_or_else(ApiError::not_found)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, file.content_type))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(file.bytes.into_owned()))
}

/// The token stays in the page: it is forgotten when the page is left.
static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::from(DOCUMENT_PATH)
        // Else the document would be sent to a service of the makers of Swagger UI.
        .validator_url("none")
        .persist_authorization(false)
        .display_operation_id(true)
        .display_request_duration(true)
        .filter(true);
    Arc::new(config)
});

/// Everything from this daemon; the pages set styles in their elements and have icons as `data:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

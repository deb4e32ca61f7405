//! The REST API: one module per resource (its wire types, handlers and `configure`), and the conventions that all
//! of them share, each in one place.

pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod conditional;
pub(crate) mod connection_code;
pub(crate) mod connection_tests;
pub(crate) mod console;
pub(crate) mod device_ref;
pub(crate) mod devices;
pub(crate) mod discovery;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod form;
pub(crate) mod frame;
pub(crate) mod health;
pub(crate) mod http_metrics;
pub(crate) mod idempotency;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod page;
pub(crate) mod path;
pub(crate) mod query;
pub(crate) mod request_id;
pub(crate) mod routes;
pub(crate) mod safe_headers;
pub(crate) mod security;
pub(crate) mod server_certificate;
pub(crate) mod system;
pub(crate) mod tokens;
pub(crate) mod trust_guides;
pub(crate) mod trust_lists;
pub(crate) mod words;

use actix_cors::Cors;
use actix_web::{
    http::{
        Method,
        header::{
            AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, LOCATION,
            RETRY_AFTER,
        },
    },
    middleware::from_fn,
    web::{self, ServiceConfig},
};

use crate::config::LiveSettings;
use error::ApiError;

/// Everything that is served.
pub(crate) fn configure(config: &mut ServiceConfig) {
    health::configure(config);
    metrics::configure(config);
    openapi::configure(config);
    events::configure(config);
    config.service(
        web::scope("/api/v1")
            .wrap(from_fn(auth::authenticate))
            .configure(audit::configure)
            .configure(certificates::configure)
            // Its `/devices/test` before the devices' `/devices/{id}`.
            .configure(connection_tests::configure)
            .configure(devices::configure)
            .configure(discovery::configure)
            .configure(system::configure)
            .configure(tokens::configure)
            .configure(trust_guides::configure)
            .configure(trust_lists::configure)
            .default_service(web::to(nothing_here)),
    );
    config.default_service(web::to(nothing_here));
}

/// Which pages of other origins may call the API, and what they may send and see.
pub(crate) fn cors(settings: LiveSettings) -> Cors {
    let last_event_id = HeaderName::from_static("last-event-id");
    let idempotency_key = HeaderName::from_static("idempotency-key");
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    Cors::default()
        .allowed_methods(methods)
        .allowed_headers([AUTHORIZATION, CONTENT_TYPE, IF_MATCH, idempotency_key, last_event_id])
        .expose_headers([
            CONTENT_DISPOSITION,
            ETAG,
            idempotency::REPLAYED,
            LOCATION,
            RETRY_AFTER,
            request_id::X_REQUEST_ID,
        ])
        .max_age(3600)
        // Asked each time: a reload may have changed them.
        .allowed_origin_fn(move |origin, _| {
            settings.now().cors_allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes())
        })
}

async fn nothing_here() -> Result<&'static str, ApiError> {
    Err(ApiError::not_found())
}

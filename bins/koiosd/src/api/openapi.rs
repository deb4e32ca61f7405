//! The OpenAPI 3.1 document, and the pages that show it. Without a token.

use actix_web::{
    HttpResponse,
    http::header::LOCATION,
    web::{Data, ServiceConfig},
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Components, OpenApi as Document,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    certificates, connection_code, connection_tests, devices, discovery, error, finding_code, health, routes,
    system,
};

const DOCUMENT_PATH: &str = "/api/v1/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Koios",
        description = "Central manager of OPC UA client certificates. Failures are `application/problem+json` (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(error::Code, error::Problem, connection_code::ConnectionCode, finding_code::FindingCode)),
    modifiers(&BearerToken),
    security(("bearer_token" = []))
)]
struct Frame;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut Document) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_with(Components::new).add_security_scheme("bearer_token", scheme);
    }
}

/// The document: what all modules of resources say about themselves.
#[must_use]
pub fn document() -> Document {
    let mut document = Frame::openapi();
    for part in [
        health::HealthDocument::openapi(),
        certificates::CertificatesDocument::openapi(),
        devices::DevicesDocument::openapi(),
        connection_tests::ConnectionTestsDocument::openapi(),
        discovery::DiscoveryDocument::openapi(),
        system::SystemDocument::openapi(),
    ] {
        document.merge(part);
    }
    document
}

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.app_data(Data::new(document()));
    routes::at(DOCUMENT_PATH).get(serve).register(config);
    routes::at("/docs").get(to_docs).register(config);
    config.service(SwaggerUi::new("/docs/{_:.*}").config(Config::from(DOCUMENT_PATH)));
}

async fn serve(document: Data<Document>) -> HttpResponse {
    HttpResponse::Ok().json(document)
}

async fn to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish()
}

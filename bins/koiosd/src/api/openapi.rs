//! The OpenAPI 3.1 document, and the pages that show it. Without a token.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::LOCATION},
    web::{Data, ServiceConfig},
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Components, OpenApi as Document, RefOr, Response,
        path::Operation,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    audit, certificates, connection_code, connection_tests, devices, discovery,
    error::{self, PROBLEM_MEDIA_TYPE, Problem},
    events, health, metrics,
    query::{NoParameters, Query},
    routes, system, tokens, trust_guides, trust_lists, words,
};

pub(crate) const DOCUMENT_PATH: &str = "/api/v1/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Koios",
        description = "Central manager of OPC UA client certificates. Failures are `application/problem+json` (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(openapi),
    components(schemas(error::Code, Problem, connection_code::ConnectionCode, words::FindingCode)),
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
        events::EventsDocument::openapi(),
        metrics::MetricsDocument::openapi(),
        system::SystemDocument::openapi(),
        tokens::TokensDocument::openapi(),
        trust_guides::TrustGuidesDocument::openapi(),
        trust_lists::TrustListsDocument::openapi(),
        audit::AuditDocument::openapi(),
    ] {
        document.merge(part);
    }
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            complete(operation);
        }
    }
    document
}

/// What would have to be repeated at every handler: an id that is unique in the whole document (handlers of
/// different resources have the same names), the media type of problems, and what each
/// answer is.
fn complete(operation: &mut Operation) {
    let tag = operation.tags.iter().flatten().next();
    if let (Some(tag), Some(id)) = (tag, &operation.operation_id) {
        operation.operation_id = Some(format!("{tag}_{id}"));
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status == "default" {
            let content = std::mem::take(&mut response.content);
            response.content =
                content.into_values().map(|body| (PROBLEM_MEDIA_TYPE.to_owned(), body)).collect();
        }
        describe(status, response);
    }
}

/// Says what an answer is where its handler does not: OpenAPI wants a description of each.
fn describe(status: &str, response: &mut Response) {
    if response.description.is_empty() {
        let known = StatusCode::from_bytes(status.as_bytes()).ok();
        let reason = known.and_then(|status| status.canonical_reason());
        response.description = reason.unwrap_or("The request failed.").to_owned();
    }
}

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.app_data(Data::new(document()));
    routes::at(DOCUMENT_PATH).get(openapi).register(config);
    routes::at("/docs").get(to_docs).register(config);
    config.service(SwaggerUi::new("/docs/{_:.*}").config(Config::from(DOCUMENT_PATH)));
}

/// This document.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "system", security(()),
    responses((status = 200, body = serde_json::Value), (status = "default", body = Problem))
)]
async fn openapi(_: Query<NoParameters>, document: Data<Document>) -> HttpResponse {
    HttpResponse::Ok().json(document)
}

async fn to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish()
}

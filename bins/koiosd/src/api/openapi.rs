//! The OpenAPI 3.1 document. Without a token.
//!
//! Handlers say what is particular to them. What follows from that, or would have to be repeated at each of them, is added
//! here: which failures an operation can answer ([`answers`]), what a field is where its name says it ([`vocabulary`]), and
//! an example of everything ([`examples`]).

mod answers;
mod examples;
mod pages;
mod particular;
mod problems;
mod vocabulary;

use std::sync::LazyLock;

use actix_web::{
    HttpResponse,
    http::header::ContentType,
    web::{Bytes, ServiceConfig},
};
use serde_json::{Map, Value, json};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Components, OpenApi as Document,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{
    audit, certificates, connection_code, connection_tests, devices, discovery,
    error::{self, Problem},
    events, health, metrics,
    query::{NoParameters, Query},
    routes, system, tokens, trust_guides, trust_lists, words,
};

pub(crate) const DOCUMENT_PATH: &str = "/api/v1/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Koios",
        description = "Central manager of OPC UA client certificates.\n\n\
            Every request but those that say otherwise needs `Authorization: Bearer <token>`; the role that it needs stands in \
            the operation's security requirement. Failures are `application/problem+json` (RFC 9457) with a `code` of the closed \
            list `ErrorCode`; the examples of an answer name the codes that it can have. A method that a path does not have is \
            answered 405 with `Allow`, an unknown path 404. Every field named here is present in answers, `null` when it has no \
            value; an unknown field or query parameter in a request is refused. Fields and enumeration values may be added \
            within `/api/v1`: clients must accept unknown ones.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "The daemon that served this document")),
    paths(openapi),
    components(schemas(error::Code, Problem, connection_code::ConnectionCode, words::FindingCode)),
    tags(
        (name = "audit", description = "Who did what, when and from where"),
        (name = "trust", description = "Which server certificates are believed")
    ),
    modifiers(&BearerToken),
    security(("bearer_token" = []))
)]
struct Frame;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut Document) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description =
            Some("A token of Koios; its role is one of viewer, operator and admin.".to_owned());
        let components = document.components.get_or_insert_with(Components::new);
        components.add_security_scheme("bearer_token", SecurityScheme::Http(scheme));
    }
}

/// The document: what all modules of resources say about themselves, completed.
///
/// # Panics
///
/// Never: the examples are read by the tests.
#[must_use]
pub fn document() -> Value {
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
    // Text and numbers: it always has a JSON form.
    complete(serde_json::to_value(document).expect("JSON"))
}

fn complete(mut document: Value) -> Value {
    let examples = examples::all();
    let mut request_schemas = Vec::new();
    for_each_operation(&mut document, |operation| {
        operation.name();
        operation.tidy_request(&mut request_schemas);
        answers::complete(operation);
        examples::attach(operation, &examples);
    });
    vocabulary::complete(&mut document);
    for name in request_schemas {
        // "An unknown field is refused."
        let schema = &mut document["components"]["schemas"][name];
        if schema["type"] == "object" {
            schema["additionalProperties"] = json!(false);
        }
        say_defaults(schema);
    }
    document["components"]["headers"] = answers::headers();
    document["components"]["examples"] = problems::examples();
    document["components"]["responses"] = answers::shared();
    document
}

/// A default of a field of a body is said in words: generators take the keyword for a promise that the field is there.
fn say_defaults(schema: &mut Value) {
    for property in
        schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
    {
        let Some(default) = property.as_object_mut().and_then(|keywords| keywords.remove("default")) else {
            continue;
        };
        let described = property.get("description").and_then(Value::as_str).map(|text| format!("{text} "));
        property["description"] = format!("{}Default `{default}`.", described.unwrap_or_default()).into();
    }
}

/// An operation on its way into the document.
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    value: &'a mut Map<String, Value>,
}

fn for_each_operation(document: &mut Value, mut visit: impl FnMut(&mut Operation<'_>)) {
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, value) in item.as_object_mut().into_iter().flatten() {
            if let Value::Object(value) = value {
                visit(&mut Operation { path, method, value });
            }
        }
    }
}

impl Operation<'_> {
    /// Gives it an id that is unique in the whole document: handlers of different resources have the same names.
    fn name(&mut self) {
        let tag = self.value["tags"][0].as_str().unwrap_or_default().replace(' ', "_");
        let id = format!("{tag}_{}", self.id());
        self.value.insert("operationId".to_owned(), id.into());
    }

    fn id(&self) -> &str {
        self.value["operationId"].as_str().unwrap_or_default()
    }

    fn has_parameter(&self, name: &str) -> bool {
        let parameters = self.value.get("parameters").and_then(Value::as_array);
        parameters.into_iter().flatten().any(|parameter| parameter["name"] == name)
    }

    /// A body may be left out, and a parameter too, but neither is ever `null`. Notes which schemas are bodies.
    fn tidy_request(&mut self, schemas: &mut Vec<String>) {
        for parameter in self.value.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten()
        {
            without_null(&mut parameter["schema"]);
        }
        let Some(body) = self.value.get_mut("requestBody") else { return };
        for content in body["content"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            without_null(&mut content["schema"]);
            let name = content["schema"]["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
            schemas.extend(name.map(str::to_owned));
        }
    }
}

fn list_in<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Vec<Value>> {
    value.get_mut(name)?.as_array_mut()
}

fn without_null(schema: &mut Value) {
    if let Some(types) = list_in(schema, "type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    if let Some(choices) = list_in(schema, "oneOf") {
        choices.retain(|choice| choice["type"] != "null");
        if let [only] = choices.as_slice() {
            *schema = only.clone();
        }
    }
}

pub(crate) fn configure(config: &mut ServiceConfig) {
    routes::at(DOCUMENT_PATH).get(openapi).register(config);
    pages::configure(config);
}

/// Shows this document.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "system", security(()),
    responses((status = 200, body = serde_json::Value), (status = "default", body = Problem))
)]
async fn openapi(_: Query<NoParameters>) -> HttpResponse {
    static BYTES: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));
    HttpResponse::Ok().content_type(ContentType::json()).body(BYTES.clone())
}

//! Which answers an operation can give.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Operation, particular, problems};
use crate::api::error::{Code, PROBLEM_MEDIA_TYPE};

/// Takes the place of the answer `default`, with which a handler says that it can fail: each status that it can have, with
/// its headers and an example of each code.
pub(super) fn complete(operation: &mut Operation<'_>) {
    let role = require_role(operation);
    let mut responses = match operation.value.remove("responses") {
        Some(Value::Object(responses)) => responses,
        _ => Map::new(),
    };
    if responses.remove("default").is_some() {
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in codes(operation, role.as_deref()) {
            by_status.entry(code.status()).or_default().push(code);
        }
        for (status, codes) in by_status {
            add_failure(responses.entry(status.to_string()).or_insert_with(|| json!({})), status, &codes);
        }
    }
    for (status, response) in &mut responses {
        add_headers(operation, status, response);
        describe(status, response);
    }
    operation.value.insert("responses".to_owned(), responses.into());
}

/// The role that the caller needs, which a handler says where it is not the usual one; `None` when no token is needed.
fn require_role(operation: &mut Operation<'_>) -> Option<String> {
    let given = operation.value.get("security").map(|schemes| &schemes[0]);
    if given.is_some_and(|scheme| scheme == &json!({})) {
        add_sentence(operation, "Needs no token.");
        return None;
    }
    let said = given.and_then(|scheme| scheme["bearer_token"][0].as_str());
    let usual = if operation.method == "get" { "viewer" } else { "operator" };
    let role = said.unwrap_or(usual).to_owned();
    let sentence = if role == "download_private_key" {
        "Needs the permission `download_private_key`.".to_owned()
    } else {
        format!("Needs the role `{role}`.")
    };
    add_sentence(operation, &sentence);
    let mut security = vec![json!({ "bearer_token": [role] })];
    // Other ways in, such as a ticket.
    let others = operation.value.get("security").and_then(Value::as_array).into_iter().flatten();
    security.extend(others.filter(|scheme| scheme.get("bearer_token").is_none()).cloned());
    operation.value.insert("security".to_owned(), security.into());
    Some(role)
}

fn add_sentence(operation: &mut Operation<'_>, sentence: &str) {
    let description = match operation.value.get("description").and_then(Value::as_str) {
        Some(text) => format!("{text}\n\n{sentence}"),
        None => sentence.to_owned(),
    };
    operation.value.insert("description".to_owned(), description.into());
}

/// Everything that it can fail with: what follows from its shape, and what is particular to it.
fn codes(operation: &Operation<'_>, role: Option<&str>) -> Vec<Code> {
    let mut codes = vec![Code::InvalidField, Code::Internal];
    if let Some(role) = role {
        codes.extend([
            Code::Unauthenticated,
            Code::RateLimited,
            Code::StorageFull,
            Code::StorageUnavailable,
            Code::Stopping,
        ]);
        if role != "viewer" {
            codes.push(Code::Forbidden);
        }
    }
    if operation.path.contains('{') {
        codes.push(Code::NotFound);
    }
    if operation.value.contains_key("requestBody") {
        codes.extend([Code::MalformedRequest, Code::PayloadTooLarge, Code::UnsupportedMediaType]);
    }
    if operation.has_parameter("If-Match") {
        codes.push(Code::RevisionMismatch);
    }
    if operation.has_parameter("Idempotency-Key") {
        codes.push(Code::IdempotencyKeyReused);
    }
    codes.extend(particular::codes(operation.id()));
    codes
}

fn add_failure(response: &mut Value, status: u16, codes: &[Code]) {
    let content = &mut response["content"][PROBLEM_MEDIA_TYPE];
    if content["schema"].is_null() {
        content["schema"] = json!({ "$ref": "#/components/schemas/Problem" });
    }
    for code in codes {
        content["examples"][code.to_string()] = json!({ "$ref": format!("#/components/examples/{code}") });
    }
    if response["description"].as_str().unwrap_or_default().is_empty() {
        let titles: Vec<&str> = codes.iter().map(|code| code.title()).collect();
        response["description"] = titles.join("; ").into();
    }
    let header = match status {
        401 => "WWW-Authenticate",
        429 => "Retry-After",
        _ => return,
    };
    add_header(response, header);
}

fn add_headers(operation: &Operation<'_>, status: &str, response: &mut Value) {
    add_header(response, "X-Request-Id");
    if !status.starts_with('2') {
        return;
    }
    let content = response["content"].as_object();
    let attachment =
        content.is_some_and(|content| content.keys().any(|kind| ATTACHMENTS.contains(&kind.as_str())));
    let schema = response["content"]["application/json"]["schema"]["$ref"].as_str().unwrap_or_default();
    let revised = schema.rsplit('/').next().is_some_and(|name| WITH_REVISION.contains(&name));
    if attachment {
        add_header(response, "Content-Disposition");
    }
    if revised {
        add_header(response, "ETag");
    }
    if status == "201" {
        add_header(response, "Location");
    }
    if operation.has_parameter("Idempotency-Key") {
        add_header(response, "Idempotency-Replayed");
    }
}

fn add_header(response: &mut Value, name: &str) {
    response["headers"][name] = json!({ "$ref": format!("#/components/headers/{name}") });
}

/// Says what an answer is where its handler does not: OpenAPI wants a description of each.
fn describe(status: &str, response: &mut Value) {
    if response["description"].as_str().unwrap_or_default().is_empty() {
        let known = actix_web::http::StatusCode::from_bytes(status.as_bytes()).ok();
        let reason = known.and_then(|status| status.canonical_reason()).unwrap_or("An answer");
        response["description"] = reason.into();
    }
}

/// The headers that answers refer to.
pub(super) fn headers() -> Value {
    let header = |required: bool, description: &str, schema: Value, example: &str| json!({ "description": description, "required": required, "schema": schema, "example": example });
    let text = json!({ "type": "string" });
    json!({
        "Allow": header(true, "The methods that the path has.", text.clone(), "GET, HEAD, PATCH, DELETE"),
        "Content-Disposition": header(
            true, "The file name, in ASCII and with the letters of the certificate's name.", text.clone(),
            "attachment; filename=\"plant-a-certificate.der\"; filename*=UTF-8''plant-a-certificate.der",
        ),
        "ETag": header(
            true, "The revision, for `If-Match`.", json!({ "type": "string", "pattern": "^\"[0-9]+\"$" }), "\"3\"",
        ),
        "Idempotency-Replayed": header(
            false, "Only where an earlier answer to the same `Idempotency-Key` is repeated.",
            json!({ "type": "string", "enum": ["true"] }), "true",
        ),
        "Location": header(
            true, "The path of what was made.", json!({ "type": "string", "format": "uri-reference" }),
            "/api/v1/certificates/01938a3e-5f1c-7c3a-9d3e-2b6f1c0a7e11",
        ),
        "Retry-After": header(
            true, "Seconds after which to try again.", json!({ "type": "string", "pattern": "^[0-9]+$" }), "1",
        ),
        "WWW-Authenticate": header(true, "How to authenticate (RFC 6750).", text.clone(), "Bearer realm=\"koios\""),
        "X-Request-Id": header(true, "Finds the request in the daemon's log.", text, problems::REQUEST_ID),
    })
}

/// Answers that belong to no operation.
pub(super) fn shared() -> Value {
    let mut refusal = json!({});
    add_failure(&mut refusal, 405, &[Code::MethodNotAllowed]);
    add_header(&mut refusal, "Allow");
    add_header(&mut refusal, "X-Request-Id");
    json!({ "MethodNotAllowed": refusal })
}

/// What is answered as a file.
const ATTACHMENTS: &[&str] = &["application/pkix-cert", "application/x-pem-file", "application/x-pkcs12"];

/// Bodies that are, or show, one thing with a revision; `ETag` says it.
const WITH_REVISION: &[&str] =
    &["Certificate", "DefaultChangedBody", "Device", "DeviceServerCertificate", "RegeneratedBody"];

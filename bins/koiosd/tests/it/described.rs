//! Compares every answer that the tests' client gets with what the OpenAPI document says of it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock, Mutex},
};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::http::Answer;

/// The committed document.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../openapi.json")).expect("JSON"));

/// Panics where the document does not foresee the answer: its status, media type, headers, body, or the code of its failure.
#[track_caller]
pub(crate) fn check(method: &str, url: &str, answer: &Answer) {
    if let Err(fault) = compare(method, url, answer) {
        panic!("{method} {url} answered {} {}, but {fault}", answer.status, answer.text());
    }
}

fn compare(method: &str, url: &str, answer: &Answer) -> Result<(), String> {
    let path = path_of(url);
    let method = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
    // A preflight is the business of browsers, wherever it leads.
    if method == "options" {
        return Ok(());
    }
    let Some(template) = template_of(path) else {
        let foreseen = !path.starts_with("/api/") || [401, 404, 405, 429].contains(&answer.status);
        return if foreseen { Ok(()) } else { Err("the document does not have this path".to_owned()) };
    };
    let operation = &DOCUMENT["paths"][template][&method];
    if operation.is_null() {
        let foreseen = [401, 405, 429].contains(&answer.status);
        return if foreseen { Ok(()) } else { Err(format!("{template} does not have this method")) };
    }
    let status = answer.status.to_string();
    let response = &operation["responses"][&status];
    if response.is_null() {
        return Err(format!("{template} does not have this status"));
    }
    check_headers(response, answer)?;
    if answer.body.is_empty() {
        return Ok(());
    }
    let media_type =
        answer.header("content-type").and_then(|text| text.split(';').next()).unwrap_or_default();
    let content = &response["content"][media_type];
    if content.is_null() {
        return Err(format!("{template} does not have the media type {media_type:?} for it"));
    }
    if !media_type.ends_with("json") {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    if let (Some(code), Some(examples)) = (body["code"].as_str(), content["examples"].as_object())
        && !examples.contains_key(code)
    {
        let id = &operation["operationId"];
        return Err(format!("{code:?} is not among the codes of {id} (src/api/openapi/particular.rs)"));
    }
    let pointer = format!(
        "/paths/{}/{method}/responses/{status}/content/{}/schema",
        escaped(template),
        escaped(media_type)
    );
    faults(&pointer, &body).map_or(Ok(()), Err)
}

fn check_headers(response: &Value, answer: &Answer) -> Result<(), String> {
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let header = resolved(header);
        match answer.header(name) {
            None if header["required"] == true => return Err(format!("the header {name} is missing")),
            None => {}
            Some(value) => {
                let validator = jsonschema::options().build(&header["schema"]).expect("a schema");
                if !validator.is_valid(&json!(value)) {
                    return Err(format!("{name}: {value:?} does not fit {}", header["schema"]));
                }
            }
        }
    }
    Ok(())
}

fn resolved(value: &Value) -> &Value {
    let target = value["$ref"].as_str().and_then(|reference| DOCUMENT.pointer(&reference[1..]));
    target.unwrap_or(value)
}

/// What is wrong with a value under the schema at that place of the document; `None` when nothing is.
pub(crate) fn faults(pointer: &str, value: &Value) -> Option<String> {
    let validator = validator(pointer);
    let faults: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{error} at {:?}", error.instance_path().to_string()))
        .collect();
    (!faults.is_empty()).then(|| faults.join("\n"))
}

fn validator(pointer: &str) -> Arc<Validator> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let made = known.entry(pointer.to_owned()).or_insert_with(|| {
        let schema = DOCUMENT.pointer(pointer).unwrap_or_else(|| panic!("no schema at {pointer}"));
        // References lead into the components; the rest of the document is no schema.
        let schema = json!({ "allOf": [schema], "components": { "schemas": &*CLOSED_SCHEMAS } });
        let options = jsonschema::options().should_validate_formats(true);
        Arc::new(options.build(&schema).unwrap_or_else(|error| panic!("{pointer}: {error}")))
    });
    made.clone()
}

/// The schemas, without room for fields that the document does not name: clients are told to expect new ones, but what this
/// version answers stands in the document of this version.
static CLOSED_SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    let mut schemas = DOCUMENT["components"]["schemas"].clone();
    let mut parts = BTreeSet::new();
    add_parts(&schemas, &mut parts);
    for (name, schema) in schemas.as_object_mut().expect("schemas") {
        let composed = schema.get("allOf").is_some();
        // What others are composed of has neighbours there.
        if (composed || schema["type"] == "object") && !parts.contains(name) {
            schema["unevaluatedProperties"] = json!(false);
        }
    }
    schemas
});

/// Adds the names of the schemas that others are composed of.
fn add_parts(schema: &Value, parts: &mut BTreeSet<String>) {
    for part in schema["allOf"].as_array().into_iter().flatten() {
        parts.extend(part["$ref"].as_str().and_then(|name| name.rsplit('/').next()).map(str::to_owned));
    }
    match schema {
        Value::Object(fields) => fields.values().for_each(|inner| add_parts(inner, parts)),
        Value::Array(items) => items.iter().for_each(|inner| add_parts(inner, parts)),
        _ => {}
    }
}

pub(crate) fn escaped(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

fn path_of(url: &str) -> &str {
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = behind_scheme.find('/').map_or("/", |start| &behind_scheme[start..]);
    path.split(['?', '#']).next().unwrap_or(path)
}

/// The path of the document that leads to the same handler: words count more than parameters.
fn template_of(path: &str) -> Option<&'static str> {
    let templates = DOCUMENT["paths"].as_object().expect("paths");
    let fits = |template: &str| {
        let (mut segments, mut actual) = (template.split('/'), path.split('/'));
        loop {
            match (segments.next(), actual.next()) {
                (None, None) => return true,
                (Some(segment), Some(given)) if segment.starts_with('{') => {
                    if given.is_empty() {
                        return false;
                    }
                }
                (Some(segment), Some(given)) if segment == given => {}
                _ => return false,
            }
        }
    };
    let all = templates.keys().map(String::as_str).filter(|template| fits(template));
    all.min_by_key(|template| template.matches('{').count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: Value) -> Answer {
        let mut headers = ureq::http::HeaderMap::new();
        let media_type = if status < 400 { "application/json" } else { "application/problem+json" };
        headers.insert("content-type", media_type.parse().expect("a header"));
        headers.insert("x-request-id", "1".parse().expect("a header"));
        headers.insert("etag", "\"1\"".parse().expect("a header"));
        Answer { status, headers, body: body.to_string().into_bytes() }
    }

    fn fault(path: &str, answer: &Answer) -> String {
        let url = format!("http://127.0.0.1:1/api/v1/{path}");
        compare("GET", &url, answer).err().unwrap_or_default()
    }

    #[test]
    fn what_the_document_does_not_foresee_is_noticed() {
        let operation = &DOCUMENT["paths"]["/api/v1/certificates/{id}"]["get"]["responses"];
        let shown = &operation["200"]["content"]["application/json"]["example"];
        let problem = &DOCUMENT["components"]["examples"]["not_found"]["value"];
        let path = "certificates/00000000-0000-7000-8000-000000000000";
        assert_eq!(fault(path, &answer(200, shown.clone())), "");
        assert_eq!(fault(path, &answer(404, problem.clone())), "");

        let changed = |field: &str, value: Value| {
            let mut body = shown.clone();
            body[field] = value;
            fault(path, &answer(200, body))
        };
        assert!(changed("thumbprint_sha1", json!("abc")).contains("thumbprint_sha1"));
        assert!(changed("created_at", json!("yesterday")).contains("created_at"));
        assert!(changed("statuses", json!([])).contains("statuses"));
        assert!(changed("statuses", json!(["fine"])).contains("fine"));
        assert!(changed("name", Value::Null).contains("null"));
        assert!(changed("colour", json!("red")).contains("colour"));
        let mut less = shown.clone();
        less.as_object_mut().expect("an object").remove("description");
        assert!(fault(path, &answer(200, less)).contains("description"));

        assert!(fault(path, &answer(418, json!({}))).contains("status"));
        let mut other = problem.clone();
        other["code"] = json!("name_taken");
        assert!(fault(path, &answer(404, other)).contains("name_taken"));
        let mut silent = answer(200, shown.clone());
        silent.headers.remove("etag");
        assert!(fault(path, &silent).contains("ETag"));
        assert!(fault("nowhere", &answer(200, json!({}))).contains("path"));
    }
}

//! Examples of requests and answers, one file per tag of the document.
//!
//! They are what a daemon has answered. The tests compare each with its schema, fields that it must have and fields that it
//! must not, so that none outlives what it shows.

use serde_json::{Map, Value};

use super::Operation;

/// By the id of the operation: `request`, `response` for the answer of a success, and others by their status.
pub(super) fn all() -> Map<String, Value> {
    let mut all = Map::new();
    for text in FILES {
        let file: Map<String, Value> = serde_json::from_str(text).expect("the file lies beside this one");
        all.extend(file);
    }
    all
}

pub(super) fn attach(operation: &mut Operation<'_>, examples: &Map<String, Value>) {
    let Some(example) = examples.get(operation.id()) else { return };
    if let (Some(request), Some(body)) = (example.get("request"), operation.value.get_mut("requestBody")) {
        set(&mut body["content"], request);
    }
    let responses = operation.value.get_mut("responses").and_then(Value::as_object_mut);
    for (status, response) in responses.into_iter().flatten() {
        let success = example.get("response").filter(|_| status.starts_with('2'));
        if let Some(shown) = success.or_else(|| example.get(status)) {
            set(&mut response["content"], shown);
        }
    }
}

fn set(content: &mut Value, example: &Value) {
    for body in content.as_object_mut().into_iter().flat_map(Map::values_mut) {
        body["example"] = example.clone();
    }
}

const FILES: &[&str] = &[
    include_str!("examples/audit.json"),
    include_str!("examples/certificates.json"),
    include_str!("examples/devices.json"),
    include_str!("examples/discovery.json"),
    include_str!("examples/events.json"),
    include_str!("examples/system.json"),
    include_str!("examples/tokens.json"),
    include_str!("examples/trust.json"),
    include_str!("examples/trust_guides.json"),
];

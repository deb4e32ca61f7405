//! What a field or parameter is where its name says it: names mean the same everywhere.
//!
//! `vocabulary.json` has descriptions, formats and bounds by the name of the field, or by `Schema.field` where one means
//! something of its own. What a type says about its field counts more.

use serde_json::{Map, Value};

use super::list_in;

/// Completes fields and parameters.
pub(super) fn complete(document: &mut Value) {
    let file: Value =
        serde_json::from_str(include_str!("vocabulary.json")).expect("the file lies beside this one");
    for (name, schema) in document["components"]["schemas"].as_object_mut().into_iter().flatten() {
        complete_schema(name, schema, &file["fields"]);
    }
    for item in document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            for parameter in list_in(operation, "parameters").into_iter().flatten() {
                complete_parameter(parameter, &file["parameters"]);
            }
        }
    }
}

fn complete_schema(name: &str, schema: &mut Value, fields: &Value) {
    // Of other variants of an enumeration, and of what a struct adds to the one that it contains.
    for part in ["allOf", "oneOf", "anyOf"] {
        for choice in list_in(schema, part).into_iter().flatten() {
            complete_schema(name, choice, fields);
        }
    }
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (field, property) in properties.into_iter().flatten() {
        lift_description(property);
        for key in [&format!("{name}.{field}"), field] {
            merge(property, &fields[key]);
        }
    }
}

/// What is said about an optional object stands at the object, beside `null`; it belongs to the field.
fn lift_description(property: &mut Value) {
    if property.get("description").is_some() {
        return;
    }
    let choices = list_in(property, "oneOf").into_iter().flatten();
    let said = choices.filter_map(|choice| choice.as_object_mut()?.remove("description")).next();
    if let Some(said) = said {
        property["description"] = said;
    }
}

fn merge(target: &mut Value, known: &Value) {
    for (keyword, value) in known.as_object().into_iter().flatten() {
        if target[keyword].is_null() {
            target[keyword] = value.clone();
        }
    }
}

fn complete_parameter(parameter: &mut Value, known: &Value) {
    let known = &known[parameter["name"].as_str().unwrap_or_default()];
    for keyword in ["description", "example"] {
        if parameter.get(keyword).is_none()
            && let Some(value) = known.get(keyword)
        {
            parameter[keyword] = value.clone();
        }
    }
    if parameter["schema"].get("$ref").is_none() {
        merge(&mut parameter["schema"], &known["schema"]);
    }
}

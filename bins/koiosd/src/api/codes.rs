//! The closed enumerations of codes that other crates own, for the OpenAPI document.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

/// What a finding about a certificate is about (`koios_pki::FindingCode`).
#[derive(Debug)]
pub(crate) struct FindingCode;

/// What came of an attempt to connect (`koios_opcua::Code`).
#[derive(Debug)]
pub(crate) struct ConnectionCode;

impl PartialSchema for FindingCode {
    fn schema() -> RefOr<Schema> {
        words("What a finding about a certificate is about.", koios_pki::FindingCode::ALL.iter().map(|code| code.as_str()))
    }
}

impl ToSchema for FindingCode {}

impl PartialSchema for ConnectionCode {
    fn schema() -> RefOr<Schema> {
        words("What came of an attempt to connect.", koios_opcua::Code::ALL.iter().map(|code| code.as_str()))
    }
}

impl ToSchema for ConnectionCode {}

fn words(description: &str, words: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    let mut words: Vec<&str> = words.collect();
    words.sort_unstable();
    let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).description(Some(description));
    RefOr::T(schema.build().into())
}

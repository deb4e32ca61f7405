//! The closed enumeration of finding codes, for the OpenAPI document.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

/// What a finding about a certificate is about (`koios_pki::FindingCode`).
#[derive(Debug)]
pub(crate) struct FindingCode;

impl PartialSchema for FindingCode {
    fn schema() -> RefOr<Schema> {
        let words: Vec<&str> = koios_pki::FindingCode::ALL.iter().map(|code| code.as_str()).collect();
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "What a finding about a certificate is about. A closed list: clients may match on it.",
            ))
            .enum_values(Some(words))
            .into()
    }
}

impl ToSchema for FindingCode {}

//! The closed enumeration of connection codes on the wire.

use koios_opcua::Code;
use serde::{Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

/// What came of a connection attempt. A closed list: clients may match on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionCode(pub(crate) Code);

impl Serialize for ConnectionCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl PartialSchema for ConnectionCode {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("What came of a connection attempt. A closed list: clients may match on it."))
            .enum_values(Some(Code::ALL.map(Code::as_str)))
            .into()
    }
}

impl ToSchema for ConnectionCode {}

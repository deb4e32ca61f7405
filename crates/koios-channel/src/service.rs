//! The only module that knows `async-opcua-types`: requests to bytes, bytes to answers.

use opcua_types::status_code::SubStatusCode;

/// The standard's name of a status code; the low 16 bits are flags.
pub(crate) fn status_name(code: u32) -> Option<&'static str> {
    SubStatusCode::from_value(code & 0xFFFF_0000).map(|known| known.name())
}

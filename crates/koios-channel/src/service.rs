//! Services: requests to bytes, answers from bytes. The only module that knows `async-opcua-types`.
//!
//! Requests are written with that crate. Answers are read with [`AnswerReader`], field by field, because the crate's
//! decoders can be made to allocate by a length alone, recurse without a bound on nested diagnostics, and give up a
//! whole answer for one name that is not UTF-8 or one number it does not know (`docs/adr/0002`).

mod answer;
pub(crate) use answer::{AnswerReader, ResponseHeader, Service, SignedKey, answer, any_answer};
mod endpoints;
pub(crate) use endpoints::endpoints;
mod generic;
pub use generic::{ServiceAnswer, ServiceRequest};
pub(crate) mod nodes;
mod request;
pub(crate) use request::{AuthenticationToken, RequestHeader, UserToken, ticks};
pub(crate) mod response;

use opcua_types::status_code::SubStatusCode;

/// The standard's name of a status code; the low 16 bits are flags.
pub(crate) fn status_name(code: u32) -> Option<&'static str> {
    SubStatusCode::from_value(code & 0xFFFF_0000).map(|known| known.name())
}

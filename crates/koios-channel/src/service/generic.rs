//! Any service: the fields behind the request header to those behind the response header.

use opcua_types::{Identifier, NodeId, ObjectId};

use super::AnswerReader;
use crate::error::{Failure, Fault};

/// A request whose fields the caller has encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceRequest {
    /// The id of the request's binary encoding in namespace 0 (OPC 10000-6 Annex A), such as 631 for Read.
    pub type_id: u32,
    /// What follows the request header, in OPC UA binary (OPC 10000-6 §5.2).
    pub fields: Vec<u8>,
}

impl ServiceRequest {
    /// A request of this type; its header is added when it is sent.
    pub fn new(type_id: u32, fields: Vec<u8>) -> Self {
        Self { type_id, fields }
    }

    pub(crate) fn of(id: ObjectId, fields: Vec<u8>) -> Self {
        Self::new(number(id), fields)
    }
}

/// An answer whose header was good and whose fields are the caller's to read. Everything in it is the server's word.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceAnswer {
    /// The id of the answer's binary encoding in namespace 0, such as 634 for Read.
    pub type_id: u32,
    /// What follows the response header, in OPC UA binary; bounded by [`crate::Limits::max_message`].
    pub fields: Vec<u8>,
}

impl ServiceAnswer {
    pub(crate) fn is(&self, id: ObjectId) -> bool {
        self.type_id == number(id)
    }

    /// A reader at the first field of an answer of this type.
    pub(crate) fn reader_of(&self, id: ObjectId) -> Result<AnswerReader<'_>, Failure> {
        if !self.is(id) {
            return Err(
                Fault::unexpected(format!("an answer of type i={} instead of {id:?}", self.type_id)).into()
            );
        }
        Ok(AnswerReader::new(&self.fields))
    }
}

fn number(id: ObjectId) -> u32 {
    match NodeId::from(id).identifier {
        Identifier::Numeric(number) => number,
        // All of the standard are numbers.
        _ => 0,
    }
}

use time::OffsetDateTime;

use crate::error::Fault;
use crate::service::{AnswerReader, ticks};
use crate::wire::{put_byte_string, put_u32};
use crate::{NodeId, StatusCode};

/// A value of one of OPC UA's built-in types, or an array of one (OPC 10000-6 §5.2.2.16).
///
/// What may nest without end, variants and data values within variants, is not read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "OPC 10000-6 §5.1.2 names them")]
pub enum Value {
    Null,
    Boolean(bool),
    SByte(i8),
    Byte(u8),
    Int16(i16),
    UInt16(u16),
    Int32(i32),
    UInt32(u32),
    Int64(i64),
    UInt64(u64),
    Float(f32),
    Double(f64),
    String(String),
    /// `None` is the null one, or one beyond the calendar.
    DateTime(Option<OffsetDateTime>),
    /// As it travels.
    Guid([u8; 16]),
    ByteString(Vec<u8>),
    NodeId(NodeId),
    StatusCode(StatusCode),
    QualifiedName {
        namespace: u16,
        name: String,
    },
    /// The text without its locale.
    LocalizedText(String),
    /// A structure, not decoded.
    Structure {
        /// The id of its encoding.
        type_id: NodeId,
        body: Vec<u8>,
    },
    /// Of elements of one type; matrices are rows one after the other.
    Array(Vec<Self>),
}

impl Value {
    /// The number of its type; that of its elements for an array.
    fn type_number(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Boolean(_) => BOOLEAN,
            Self::SByte(_) => 2,
            Self::Byte(_) => 3,
            Self::Int16(_) => 4,
            Self::UInt16(_) => 5,
            Self::Int32(_) => 6,
            Self::UInt32(_) => 7,
            Self::Int64(_) => 8,
            Self::UInt64(_) => 9,
            Self::Float(_) => 10,
            Self::Double(_) => 11,
            Self::String(_) => 12,
            Self::DateTime(_) => 13,
            Self::Guid(_) => 14,
            Self::ByteString(_) => 15,
            Self::NodeId(_) => 17,
            Self::StatusCode(_) => 19,
            Self::QualifiedName { .. } => 20,
            Self::LocalizedText(_) => 21,
            Self::Structure { .. } => 22,
            Self::Array(elements) => elements.first().map_or(BOOLEAN, Self::type_number),
        }
    }

    /// Writes a `Variant`.
    ///
    /// # Errors
    /// When an array holds values of several types, or arrays.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let number = self.type_number();
        let Self::Array(elements) = self else {
            out.push(number);
            self.write_scalar(out);
            return Ok(());
        };
        let is_element = |value: &Self| value.type_number() == number && !matches!(value, Self::Array(_));
        if number == 0 || !elements.iter().all(is_element) {
            return Err(Fault::NotSendable { what: "an array of several types" });
        }
        out.push(number | ARRAY);
        put_u32(out, u32::try_from(elements.len()).unwrap_or(u32::MAX));
        elements.iter().for_each(|element| element.write_scalar(out));
        Ok(())
    }

    fn write_scalar(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null | Self::Array(_) => {}
            Self::Boolean(value) => out.push(u8::from(*value)),
            Self::SByte(value) => out.extend(value.to_le_bytes()),
            Self::Byte(value) => out.push(*value),
            Self::Int16(value) => out.extend(value.to_le_bytes()),
            Self::UInt16(value) => out.extend(value.to_le_bytes()),
            Self::Int32(value) => out.extend(value.to_le_bytes()),
            Self::UInt32(value) => put_u32(out, *value),
            Self::Int64(value) => out.extend(value.to_le_bytes()),
            Self::UInt64(value) => out.extend(value.to_le_bytes()),
            Self::Float(value) => out.extend(value.to_le_bytes()),
            Self::Double(value) => out.extend(value.to_le_bytes()),
            Self::String(value) => put_byte_string(out, Some(value.as_bytes())),
            Self::DateTime(value) => out.extend(value.map_or(0, ticks).to_le_bytes()),
            Self::Guid(value) => out.extend(value),
            Self::ByteString(value) => put_byte_string(out, Some(value)),
            Self::NodeId(value) => value.write(out),
            Self::StatusCode(value) => put_u32(out, value.0),
            Self::QualifiedName { namespace, name } => {
                out.extend(namespace.to_le_bytes());
                put_byte_string(out, Some(name.as_bytes()));
            }
            Self::LocalizedText(value) => {
                // Bit 1: a text, without a locale.
                out.push(0x02);
                put_byte_string(out, Some(value.as_bytes()));
            }
            Self::Structure { type_id, body } => {
                type_id.write(out);
                out.push(0x01);
                put_byte_string(out, Some(body));
            }
        }
    }

    /// Reads a `Variant`.
    pub(crate) fn read(reader: &mut AnswerReader<'_>) -> Result<Self, Fault> {
        let mask = reader.u8()?;
        let number = mask & 0x3F;
        if mask & ARRAY == 0 {
            return Self::read_scalar(reader, number);
        }
        let elements =
            reader.array("elements of an array", MAX_ELEMENTS, |reader| Self::read_scalar(reader, number))?;
        if mask & DIMENSIONS != 0 {
            reader.array("dimensions", MAX_DIMENSIONS, AnswerReader::i32)?;
        }
        Ok(Self::Array(elements))
    }

    fn read_scalar(reader: &mut AnswerReader<'_>, number: u8) -> Result<Self, Fault> {
        Ok(match number {
            0 => Self::Null,
            BOOLEAN => Self::Boolean(reader.u8()? != 0),
            2 => Self::SByte(i8::from_le_bytes(reader.bytes()?)),
            3 => Self::Byte(reader.u8()?),
            4 => Self::Int16(i16::from_le_bytes(reader.bytes()?)),
            5 => Self::UInt16(reader.u16()?),
            6 => Self::Int32(reader.i32()?),
            7 => Self::UInt32(reader.u32()?),
            8 => Self::Int64(i64::from_le_bytes(reader.bytes()?)),
            9 => Self::UInt64(u64::from_le_bytes(reader.bytes()?)),
            10 => Self::Float(f32::from_le_bytes(reader.bytes()?)),
            11 => Self::Double(reader.f64()?),
            // XML is text.
            12 | 16 => Self::String(String::from_utf8_lossy(reader.byte_string()?).into_owned()),
            13 => Self::DateTime(reader.date_time()?),
            14 => Self::Guid(reader.bytes()?),
            15 => Self::ByteString(reader.byte_string()?.to_vec()),
            // An expanded one is that of this server, mostly.
            17 | 18 => Self::NodeId(NodeId::read(reader)?),
            19 => Self::StatusCode(reader.status_code()?),
            20 => Self::QualifiedName { namespace: reader.u16()?, name: reader.string()? },
            21 => Self::LocalizedText(reader.localized_text()?),
            22 => {
                let type_id = NodeId::read(reader)?;
                let body = match reader.u8()? {
                    0 => Vec::new(),
                    1 | 2 => reader.byte_string()?.to_vec(),
                    other => {
                        return Err(Fault::decoding(format!("an extension object has the encoding {other}")));
                    }
                };
                Self::Structure { type_id, body }
            }
            other => return Err(Fault::decoding(format!("a value of the type {other}"))),
        })
    }
}

const BOOLEAN: u8 = 1;
const ARRAY: u8 = 0x80;
const DIMENSIONS: u8 = 0x40;
/// A value takes some 40 bytes here, and may take one in the message.
const MAX_ELEMENTS: usize = 65_536;
const MAX_DIMENSIONS: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    fn scalar() -> impl Strategy<Value = Value> {
        let node = prop_oneof![
            (any::<u16>(), any::<u32>()).prop_map(|(namespace, id)| NodeId::Numeric { namespace, id }),
            (0u16..3, 0u32..300).prop_map(|(namespace, id)| NodeId::Numeric { namespace, id }),
            (any::<u16>(), ".{0,20}").prop_map(|(namespace, id)| NodeId::Text { namespace, id }),
            (any::<u16>(), any::<[u8; 16]>()).prop_map(|(namespace, id)| NodeId::Guid { namespace, id }),
            (any::<u16>(), any::<Vec<u8>>()).prop_map(|(namespace, id)| NodeId::Opaque { namespace, id }),
        ];
        prop_oneof![
            any::<bool>().prop_map(Value::Boolean),
            any::<i8>().prop_map(Value::SByte),
            any::<u8>().prop_map(Value::Byte),
            any::<i16>().prop_map(Value::Int16),
            any::<u16>().prop_map(Value::UInt16),
            any::<i32>().prop_map(Value::Int32),
            any::<u32>().prop_map(Value::UInt32),
            any::<i64>().prop_map(Value::Int64),
            any::<u64>().prop_map(Value::UInt64),
            (-1e9f32..1e9).prop_map(Value::Float),
            (-1e9f64..1e9).prop_map(Value::Double),
            ".{0,40}".prop_map(Value::String),
            Just(Value::DateTime(Some(datetime!(2026-11-27 12:00:00.5 UTC)))),
            any::<[u8; 16]>().prop_map(Value::Guid),
            any::<Vec<u8>>().prop_map(Value::ByteString),
            node.clone().prop_map(Value::NodeId),
            any::<u32>().prop_map(|code| Value::StatusCode(StatusCode(code))),
            (any::<u16>(), ".{0,20}").prop_map(|(namespace, name)| Value::QualifiedName { namespace, name }),
            "[a-z]{1,20}".prop_map(Value::LocalizedText),
            (node, any::<Vec<u8>>()).prop_map(|(type_id, body)| Value::Structure { type_id, body }),
        ]
    }

    fn written(value: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        value.write(&mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in scalar(), len in 1usize..5) {
            for value in [value.clone(), Value::Array(vec![value; len])] {
                let bytes = written(&value);
                let mut reader = AnswerReader::new(&bytes);
                prop_assert_eq!(Value::read(&mut reader).unwrap(), value);
                reader.finish().unwrap();
            }
        }

        #[test]
        fn reading_anything_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Value::read(&mut AnswerReader::new(&bytes));
        }
    }

    #[test]
    fn arrays_of_several_types_are_not_sent_and_values_that_nest_not_read() {
        let mixed = Value::Array(vec![Value::Byte(1), Value::Boolean(true)]);
        let nested = Value::Array(vec![Value::Array(vec![Value::Byte(1)])]);
        for value in [mixed, nested, Value::Array(vec![Value::Null])] {
            assert!(matches!(value.write(&mut Vec::new()), Err(Fault::NotSendable { .. })), "{value:?}");
        }
        for bytes in [&[24, 1, 1][..], &[23, 0], &[25, 0], &[63], &[0x81, 0xFF, 0xFF, 0xFF, 0x7F]] {
            assert!(Value::read(&mut AnswerReader::new(bytes)).is_err(), "{bytes:?}");
        }
        assert_eq!(written(&Value::Array(vec![])), [0x81, 0, 0, 0, 0]);
    }
}

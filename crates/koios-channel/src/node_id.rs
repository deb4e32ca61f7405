use std::fmt;

use crate::error::Fault;
use crate::service::AnswerReader;
use crate::wire::{put_byte_string, put_u32};

/// The name of a node (OPC 10000-3 §8.2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "OPC 10000-3 defines these four")]
pub enum NodeId {
    /// By a number.
    Numeric {
        /// The namespace's index at this server.
        namespace: u16,
        /// The number.
        id: u32,
    },
    /// By a text.
    Text {
        /// The namespace's index at this server.
        namespace: u16,
        /// The text.
        id: String,
    },
    /// By a GUID, as it travels.
    Guid {
        /// The namespace's index at this server.
        namespace: u16,
        /// Its bytes (OPC 10000-6 §5.2.2.6).
        id: [u8; 16],
    },
    /// By bytes.
    Opaque {
        /// The namespace's index at this server.
        namespace: u16,
        /// The bytes.
        id: Vec<u8>,
    },
}

impl NodeId {
    /// `ServerConfiguration` (OPC 10000-12 §7.10.3), below which certificates and trust lists are managed.
    pub const SERVER_CONFIGURATION: Self = Self::standard(12637);

    /// A node of the standard, in namespace 0.
    pub const fn standard(id: u32) -> Self {
        Self::Numeric { namespace: 0, id }
    }

    /// OPC 10000-6 §5.2.2.9.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Numeric { namespace, id } => {
                match (u8::try_from(*namespace), u8::try_from(*id), u16::try_from(*id)) {
                    (Ok(0), Ok(id), _) => out.extend([0x00, id]),
                    (Ok(namespace), _, Ok(id)) => {
                        out.extend([0x01, namespace]);
                        out.extend(id.to_le_bytes());
                    }
                    _ => {
                        out.push(0x02);
                        out.extend(namespace.to_le_bytes());
                        put_u32(out, *id);
                    }
                }
            }
            Self::Text { namespace, id } => {
                out.push(0x03);
                out.extend(namespace.to_le_bytes());
                put_byte_string(out, Some(id.as_bytes()));
            }
            Self::Guid { namespace, id } => {
                out.push(0x04);
                out.extend(namespace.to_le_bytes());
                out.extend(id);
            }
            Self::Opaque { namespace, id } => {
                out.push(0x05);
                out.extend(namespace.to_le_bytes());
                put_byte_string(out, Some(id));
            }
        }
    }

    /// A `NodeId`, or an `ExpandedNodeId` whose namespace URI and server are passed over.
    pub(crate) fn read(reader: &mut AnswerReader<'_>) -> Result<Self, Fault> {
        let mask = reader.u8()?;
        let id = match mask & 0x3F {
            0x00 => Self::standard(reader.u8()?.into()),
            0x01 => Self::Numeric { namespace: reader.u8()?.into(), id: reader.u16()?.into() },
            0x02 => Self::Numeric { namespace: reader.u16()?, id: reader.u32()? },
            0x03 => Self::Text { namespace: reader.u16()?, id: reader.string()? },
            0x04 => Self::Guid { namespace: reader.u16()?, id: reader.bytes()? },
            0x05 => Self::Opaque { namespace: reader.u16()?, id: reader.byte_string()?.to_vec() },
            other => return Err(Fault::decoding(format!("a node id of the encoding {other}"))),
        };
        if mask & 0x80 != 0 {
            let _namespace_uri = reader.byte_string()?;
        }
        if mask & 0x40 != 0 {
            let _server = reader.u32()?;
        }
        Ok(id)
    }
}

/// As OPC 10000-6 §5.3.1.10 writes it: `ns=2;s=Press.4`.
impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Numeric { namespace, .. }
        | Self::Text { namespace, .. }
        | Self::Guid { namespace, .. }
        | Self::Opaque { namespace, .. }) = self;
        if *namespace != 0 {
            write!(f, "ns={namespace};")?;
        }
        match self {
            Self::Numeric { id, .. } => write!(f, "i={id}"),
            Self::Text { id, .. } => write!(f, "s={id}"),
            Self::Guid { id, .. } => write_hex(f, "g=", id),
            Self::Opaque { id, .. } => write_hex(f, "b=", id),
        }
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, prefix: &str, bytes: &[u8]) -> fmt::Result {
    f.write_str(prefix)?;
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

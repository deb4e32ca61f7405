//! One chunk of a secure channel: plain content to frame and back (OPC 10000-6 §6.7.2). No state but what is passed in.

pub(crate) mod asymmetric;
mod padding;
pub(crate) mod symmetric;

use crate::error::Fault;
use crate::wire::{ByteReader, ChunkKind, FrameType, put_u32};

/// Numbers and content of a chunk whose security holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) sequence_number: u32,
    pub(crate) request_id: u32,
    pub(crate) body: Vec<u8>,
}

impl Opened {
    /// Reads a sequence header and takes what follows as content.
    fn read(plain: &[u8]) -> Result<Self, Fault> {
        let mut reader = ByteReader::new(plain);
        let sequence_number = reader.u32()?;
        let request_id = reader.u32()?;
        Ok(Self { sequence_number, request_id, body: reader.rest().to_vec() })
    }
}

/// The numbers of a chunk to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) channel_id: u32,
    pub(crate) sequence_number: u32,
    pub(crate) request_id: u32,
}

/// A message header without its size.
fn start(kind: FrameType, chunk: ChunkKind, channel_id: u32, capacity: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(capacity);
    message.extend_from_slice(kind.code());
    message.push(chunk.code());
    put_u32(&mut message, 0);
    put_u32(&mut message, channel_id);
    message
}

/// Sequence header and content.
fn put_content(message: &mut Vec<u8>, numbers: Numbers, body: &[u8]) {
    put_u32(message, numbers.sequence_number);
    put_u32(message, numbers.request_id);
    message.extend_from_slice(body);
}

/// Length of type, chunk kind, size and channel id.
pub(crate) const CHANNEL_HEADER_LEN: usize = 12;
/// Length of the sequence header.
const SEQUENCE_HEADER_LEN: usize = 8;

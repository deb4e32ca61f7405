//! Frames of UA-TCP and the messages outside of any channel: HELLO, ACK, ERR (OPC 10000-6 §7.1).

mod bytes;
pub(crate) use bytes::{ByteReader, put_byte_string, put_u32};
mod refusal;
pub(crate) use refusal::refusal;
mod reverse_hello;
pub(crate) use reverse_hello::{ReverseHello, reverse_hello, reverse_hello_wants};

use crate::error::Fault;
use crate::{EndpointUrl, Limits};

/// Length of type, chunk kind and size.
pub(crate) const HEADER_LEN: usize = 8;

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameType {
    Acknowledge,
    Error,
    OpenSecureChannel,
    Message,
    CloseSecureChannel,
}

impl FrameType {
    const ALL: [Self; 5] =
        [Self::Acknowledge, Self::Error, Self::OpenSecureChannel, Self::Message, Self::CloseSecureChannel];

    pub(crate) const fn code(self) -> &'static [u8; 3] {
        match self {
            Self::Acknowledge => b"ACK",
            Self::Error => b"ERR",
            Self::OpenSecureChannel => b"OPN",
            Self::Message => b"MSG",
            Self::CloseSecureChannel => b"CLO",
        }
    }

    fn of(code: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// Whether more chunks follow (OPC 10000-6 §6.7.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkKind {
    Intermediate,
    Final,
    Abort,
}

impl ChunkKind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Intermediate => b'C',
            Self::Final => b'F',
            Self::Abort => b'A',
        }
    }

    const fn of(code: u8) -> Option<Self> {
        match code {
            b'C' => Some(Self::Intermediate),
            b'F' => Some(Self::Final),
            b'A' => Some(Self::Abort),
            _ => None,
        }
    }
}

/// One whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: FrameType,
    pub(crate) chunk: ChunkKind,
    /// All of it, header included: that is what is signed.
    pub(crate) bytes: Vec<u8>,
}

impl Frame {
    /// What follows the header.
    pub(crate) fn body(&self) -> &[u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }
}

/// Bytes received and not yet understood; never more than one frame and one read beyond it.
#[derive(Debug)]
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
    max_frame: usize,
}

impl FrameBuffer {
    pub(crate) const fn new(max_frame: usize) -> Self {
        Self { bytes: Vec::new(), max_frame }
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The first bytes, for people.
    pub(crate) fn first_bytes(&self) -> Vec<u8> {
        self.bytes.iter().copied().take(MAX_FIRST_BYTES).collect()
    }

    /// Whether what has come so far can be the beginning of a frame.
    pub(crate) fn may_be_opc_ua(&self) -> bool {
        let known = |kind: &FrameType| kind.code().iter().zip(&self.bytes).all(|(want, have)| want == have);
        let chunk = self.bytes.get(3).is_none_or(|code| ChunkKind::of(*code).is_some());
        FrameType::ALL.iter().any(known) && chunk
    }

    /// Whether [`FrameBuffer::next`] has something to say.
    pub(crate) fn is_ready(&self) -> bool {
        match self.peek() {
            Ok(Some((_, _, size))) => self.bytes.len() >= size,
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Takes the next whole frame, if there is one.
    ///
    /// The size is checked as soon as the header is there: a frame that would exceed the limit is never waited for.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Fault> {
        let Some((kind, chunk, size)) = self.peek()? else { return Ok(None) };
        if self.bytes.len() < size {
            return Ok(None);
        }
        let rest = self.bytes.split_off(size);
        let bytes = std::mem::replace(&mut self.bytes, rest);
        Ok(Some(Frame { kind, chunk, bytes }))
    }

    fn peek(&self) -> Result<Option<(FrameType, ChunkKind, usize)>, Fault> {
        let Some(([type_code @ .., chunk_code], rest)) = self.bytes.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let (Some(kind), Some(chunk)) = (FrameType::of(type_code), ChunkKind::of(*chunk_code)) else {
            return Err(Fault::NotOpcUa { first_bytes: self.first_bytes() });
        };
        let Some(size) = rest.first_chunk::<4>() else { return Ok(None) };
        let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
        if size < HEADER_LEN {
            return Err(Fault::decoding(format!("a frame of {size} bytes is shorter than its header")));
        }
        if size > self.max_frame {
            return Err(limit("frame in bytes", size, self.max_frame));
        }
        Ok(Some((kind, chunk, size)))
    }
}

/// A HELLO message (OPC 10000-6 §7.1.2.3).
pub(crate) fn hello(url: &EndpointUrl, limits: &Limits) -> Vec<u8> {
    let mut message = b"HELF\0\0\0\0".to_vec();
    for value in
        [PROTOCOL_VERSION, limits.buffer_size, limits.buffer_size, limits.max_message, limits.max_chunks]
    {
        put_u32(&mut message, value);
    }
    put_byte_string(&mut message, Some(url.as_str().as_bytes()));
    finish(&mut message);
    message
}

/// What the server takes, from its ACK (OPC 10000-6 §7.1.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SendLimits {
    /// Longest chunk, in bytes.
    pub(crate) chunk: usize,
    /// Longest message, in bytes.
    pub(crate) message: usize,
    /// Most chunks of one message.
    pub(crate) chunks: usize,
}

impl SendLimits {
    /// Reads the body of an ACK.
    ///
    /// The server's own sending size is not judged: node-opcua and asyncua echo ours there, and a chunk longer than we
    /// announced is refused when it comes.
    pub(crate) fn from_acknowledge(body: &[u8], limits: &Limits) -> Result<Self, Fault> {
        let mut reader = ByteReader::new(body);
        let _version = reader.u32()?;
        let receive = reader.length()?;
        let _send = reader.u32()?;
        let message = reader.length()?;
        let chunks = reader.length()?;
        if receive < MIN_BUFFER_LEN {
            return Err(Fault::decoding(format!("the server takes chunks of {receive} bytes only")));
        }
        let unlimited = |value: usize| if value == 0 { usize::MAX } else { value };
        let ours = usize::try_from(limits.buffer_size).unwrap_or(usize::MAX);
        Ok(Self { chunk: receive.min(ours), message: unlimited(message), chunks: unlimited(chunks) })
    }
}

/// Writes a message's size into its header.
pub(crate) fn finish(message: &mut [u8]) {
    let len = message.len();
    finish_as(message, len);
}

/// Writes a size into a header: for a message whose final size is known before its last bytes are.
pub(crate) fn finish_as(message: &mut [u8], size: usize) {
    // No message is longer than `Limits::buffer_size`, which is a `u32`.
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    if let Some(field) = message.get_mut(4..HEADER_LEN) {
        field.copy_from_slice(&size.to_le_bytes());
    }
}

pub(crate) fn limit(what: &'static str, size: usize, limit: usize) -> Fault {
    Fault::LimitExceeded {
        what,
        size: u64::try_from(size).unwrap_or(u64::MAX),
        limit: u64::try_from(limit).unwrap_or(u64::MAX),
    }
}

/// OPC 10000-6 §7.1.2.3.
const PROTOCOL_VERSION: u32 = 0;
/// What is shown of a peer that is no OPC UA server: a status line or a banner fits.
const MAX_FIRST_BYTES: usize = 64;
/// OPC 10000-6 §7.1.2.4 demands 8,192 (1,024 with ECC). Small devices go below; what does not fit fails by itself.
const MIN_BUFFER_LEN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: &[u8]) -> FrameBuffer {
        let mut buffer = FrameBuffer::new(65_536);
        buffer.extend(bytes);
        buffer
    }

    #[test]
    fn hello_announces_the_same_size_in_both_directions() {
        let url = EndpointUrl::parse("opc.tcp://h").unwrap();
        let message = hello(&url, &Limits::default());
        assert_eq!(message.len(), 8 + 20 + 4 + 11);
        assert_eq!(&message[..8], b"HELF\x2b\0\0\0");
        assert_eq!(message[12..16], message[16..20]);
        assert_eq!(&message[32..], b"opc.tcp://h");
    }

    #[test]
    fn frames_are_taken_one_by_one_however_the_bytes_arrive() {
        let mut stream = FrameBuffer::new(64);
        let mut frames = Vec::new();
        for byte in b"MSGC\x0a\0\0\0abERRF\x08\0\0\0OPNF\x09\0\0\0x" {
            stream.extend(&[*byte]);
            frames.extend(stream.next().unwrap());
        }
        let bodies: Vec<_> = frames.iter().map(|f| (f.kind, f.chunk, f.body().to_vec())).collect();
        assert_eq!(
            bodies,
            [
                (FrameType::Message, ChunkKind::Intermediate, b"ab".to_vec()),
                (FrameType::Error, ChunkKind::Final, vec![]),
                (FrameType::OpenSecureChannel, ChunkKind::Final, b"x".to_vec()),
            ]
        );
        assert!(stream.is_empty());
    }

    #[test]
    fn a_size_over_the_limit_is_refused_before_its_bytes_come() {
        let fault = buffer(b"MSGF\xff\xff\xff\xff").next().unwrap_err();
        assert_eq!(
            fault,
            Fault::LimitExceeded { what: "frame in bytes", size: u64::from(u32::MAX), limit: 65_536 }
        );
        assert!(matches!(buffer(b"MSGF\x07\0\0\0").next(), Err(Fault::Decoding { .. })));
    }

    #[test]
    fn other_protocols_are_named_by_their_first_bytes() {
        for bytes in
            [&b"HTTP/1.1 400 Bad Request"[..], b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\x00\x02\x02\x46"]
        {
            let mut stream = buffer(bytes);
            assert!(!stream.may_be_opc_ua());
            assert_eq!(stream.next(), Err(Fault::NotOpcUa { first_bytes: bytes.to_vec() }));
        }
        assert!(
            buffer(b"AC").may_be_opc_ua() && buffer(b"").may_be_opc_ua() && !buffer(b"H").may_be_opc_ua()
        );
    }

    #[test]
    fn zero_in_an_acknowledge_means_no_limit() {
        let mut body = Vec::new();
        for value in [0u32, 8192, 65_536, 0, 0] {
            put_u32(&mut body, value);
        }
        let limits = SendLimits::from_acknowledge(&body, &Limits::default()).unwrap();
        assert_eq!(limits, SendLimits { chunk: 8192, message: usize::MAX, chunks: usize::MAX });
        body[4..8].copy_from_slice(&100u32.to_le_bytes());
        assert!(SendLimits::from_acknowledge(&body, &Limits::default()).is_err());
        assert!(SendLimits::from_acknowledge(&body[..10], &Limits::default()).is_err());
    }
}

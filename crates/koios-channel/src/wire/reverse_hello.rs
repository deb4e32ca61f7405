use super::{ByteReader, HEADER_LEN};
use crate::EndpointUrl;
use crate::error::Fault;

/// What a server says that connects by itself (OPC 10000-6 §7.1.2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReverseHello {
    pub(crate) server_uri: String,
    pub(crate) endpoint_url: EndpointUrl,
}

/// Reads a whole `ReverseHello`; `None` while bytes are missing.
pub(crate) fn reverse_hello(bytes: &[u8]) -> Result<Option<ReverseHello>, Fault> {
    if !bytes.iter().zip(START).all(|(have, want)| have == want) {
        return Err(Fault::NotOpcUa {
            first_bytes: bytes.iter().copied().take(super::MAX_FIRST_BYTES).collect(),
        });
    }
    let Some(size) = size(bytes) else { return Ok(None) };
    if !(HEADER_LEN..=MAX_LEN).contains(&size) {
        return Err(Fault::decoding(format!("a ReverseHello of {size} bytes")));
    }
    let Some(body) = bytes.get(HEADER_LEN..size) else { return Ok(None) };
    let mut reader = ByteReader::new(body);
    let server_uri = text(reader.byte_string(MAX_TEXT_LEN)?)?;
    let endpoint_url = EndpointUrl::parse(&text(reader.byte_string(MAX_TEXT_LEN)?)?)
        .map_err(|error| Fault::decoding(format!("a ReverseHello whose endpoint URL is none: {error}")))?;
    if !reader.rest().is_empty() {
        return Err(Fault::decoding("bytes follow a ReverseHello within its length"));
    }
    Ok(Some(ReverseHello { server_uri, endpoint_url }))
}

/// How many more bytes may be read without taking any of what follows the message; at least one.
pub(crate) fn reverse_hello_wants(bytes: &[u8]) -> usize {
    let end = size(bytes).map_or(HEADER_LEN, |size| size.min(MAX_LEN));
    end.saturating_sub(bytes.len()).max(1)
}

fn size(bytes: &[u8]) -> Option<usize> {
    let size = bytes.get(START.len()..HEADER_LEN)?.first_chunk()?;
    Some(usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX))
}

fn text(bytes: &[u8]) -> Result<String, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::decoding("a ReverseHello that is no UTF-8"))?;
    Ok(text.to_owned())
}

const START: &[u8; 4] = b"RHEF";
/// OPC 10000-6 §7.1.2.6: both texts shall be shorter than 4,096 bytes.
const MAX_TEXT_LEN: usize = 4096;
const MAX_LEN: usize = HEADER_LEN + 2 * (4 + MAX_TEXT_LEN);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{finish, put_byte_string};

    fn message(server_uri: &str, endpoint_url: &str) -> Vec<u8> {
        let mut message = b"RHEF\0\0\0\0".to_vec();
        put_byte_string(&mut message, Some(server_uri.as_bytes()));
        put_byte_string(&mut message, Some(endpoint_url.as_bytes()));
        finish(&mut message);
        message
    }

    /// As the listener reads: never beyond what is wanted.
    fn read(bytes: &[u8], step: usize) -> (Result<Option<ReverseHello>, Fault>, usize) {
        let mut taken = 0;
        loop {
            let have = bytes.get(..taken).unwrap_or_default();
            let outcome = reverse_hello(have);
            if !matches!(outcome, Ok(None)) || taken == bytes.len() {
                return (outcome, taken);
            }
            taken = (taken + reverse_hello_wants(have).min(step)).min(bytes.len());
        }
    }

    #[test]
    fn a_message_is_read_and_nothing_behind_it_is_taken() {
        let message = message("urn:server", "opc.tcp://plc:4840");
        let followed = [message.as_slice(), b"ACKF"].concat();
        for step in [1, 7, 4096] {
            let (hello, taken) = read(&followed, step);
            let hello = hello.unwrap().unwrap();
            assert_eq!((hello.server_uri.as_str(), taken), ("urn:server", message.len()));
            assert_eq!(hello.endpoint_url.as_str(), "opc.tcp://plc:4840");
        }
        for cut in 0..message.len() {
            assert_eq!(read(&message[..cut], 4096).0, Ok(None), "{cut}");
        }
    }

    #[test]
    fn what_is_no_reverse_hello_is_refused_by_name() {
        assert!(matches!(read(b"HTTP/1.1 400", 4096).0, Err(Fault::NotOpcUa { .. })));
        assert!(matches!(read(b"HELF", 4096).0, Err(Fault::NotOpcUa { .. })));
        for bytes in [
            message("urn:server", "http://plc"),
            message(&"x".repeat(4097), "opc.tcp://plc"),
            b"RHEF\xFF\xFF\xFF\xFF".to_vec(),
            b"RHEF\x07\0\0\0".to_vec(),
            b"RHEF\x08\0\0\0".to_vec(),
            b"RHEF\x0D\0\0\0\x01\0\0\0\xFF".to_vec(),
        ] {
            assert!(
                matches!(read(&bytes, 4096).0, Err(Fault::Decoding { .. } | Fault::LimitExceeded { .. })),
                "{bytes:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn reading_anything_never_panics_and_wants_no_more_than_a_message(rest in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [START.as_slice(), &rest].concat();
            let _ = reverse_hello(&bytes);
            prop_assert!((1..=MAX_LEN).contains(&reverse_hello_wants(&bytes)));
        }
    }
}

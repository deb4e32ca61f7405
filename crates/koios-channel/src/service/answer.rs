use opcua_types::{
    BinaryDecodable, ContextOwned, DecodingOptions, NamespaceMap, NodeId, ObjectId, TypeLoaderCollection,
};
use time::OffsetDateTime;

use super::ServiceAnswer;
use crate::StatusCode;
use crate::error::{Failure, Fault, MAX_REASON_CHARS as MAX_DISPLAY_CHARS, bounded_text};
use crate::wire::{ByteReader, limit};

/// A service of the conversation; each has one type of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    ActivateSession,
    CloseSession,
    CreateSession,
    GetEndpoints,
    OpenSecureChannel,
    Read,
}

impl Service {
    const fn response_id(self) -> ObjectId {
        match self {
            Self::ActivateSession => ObjectId::ActivateSessionResponse_Encoding_DefaultBinary,
            Self::CloseSession => ObjectId::CloseSessionResponse_Encoding_DefaultBinary,
            Self::CreateSession => ObjectId::CreateSessionResponse_Encoding_DefaultBinary,
            Self::GetEndpoints => ObjectId::GetEndpointsResponse_Encoding_DefaultBinary,
            Self::OpenSecureChannel => ObjectId::OpenSecureChannelResponse_Encoding_DefaultBinary,
            Self::Read => ObjectId::ReadResponse_Encoding_DefaultBinary,
        }
    }
}

/// What every answer begins with (OPC 10000-4 §7.33).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResponseHeader {
    /// The server's clock; absent when it sent none or one beyond the calendar.
    pub(crate) time: Option<OffsetDateTime>,
    status: StatusCode,
    reason: Option<String>,
    /// A key for the user's secret, when the server gave one.
    pub(crate) ephemeral_key: Option<SignedKey>,
}

/// An `EphemeralKeyType` (OPC 10000-4 §7.15): a public key, and the signature of the server's certificate over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedKey {
    pub(crate) public: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

/// Checks an answer's type and result, and gives its header and a reader at its first own field.
///
/// # Errors
/// A `ServiceFault`, a bad service result (both in the peer's name), or an answer that cannot be read.
pub(crate) fn answer(service: Service, body: &[u8]) -> Result<(ResponseHeader, AnswerReader<'_>), Failure> {
    let mut reader = AnswerReader::new(body);
    let id = reader.node_id()?;
    if id == ObjectId::ServiceFault_Encoding_DefaultBinary {
        let header = reader.response_header()?;
        return Err(Failure::peer(Fault::ServiceFault, Some(header.status), header.reason));
    }
    if id != service.response_id() {
        return Err(Fault::unexpected(format!("an answer of type {id} to {service:?}")).into());
    }
    let header = reader.response_header()?;
    if header.status.is_bad() {
        return Err(Failure::peer(Fault::ServiceResult, Some(header.status), header.reason));
    }
    Ok((header, reader))
}

/// Checks the result of an answer of any type, and gives its header and what follows.
///
/// # Errors
/// As [`answer`].
pub(crate) fn any_answer(body: &[u8]) -> Result<(ResponseHeader, ServiceAnswer), Failure> {
    let mut reader = AnswerReader::new(body);
    let id = reader.node_id()?;
    let header = reader.response_header()?;
    if id == ObjectId::ServiceFault_Encoding_DefaultBinary {
        return Err(Failure::peer(Fault::ServiceFault, Some(header.status), header.reason));
    }
    if header.status.is_bad() {
        return Err(Failure::peer(Fault::ServiceResult, Some(header.status), header.reason));
    }
    let Some(type_id) = id.as_u32().filter(|_| id.namespace == 0) else {
        return Err(Fault::unexpected(format!("an answer of type {id}")).into());
    };
    Ok((header, ServiceAnswer { type_id, fields: reader.bytes.rest().to_vec() }))
}

/// Reads OPC UA binary (OPC 10000-6 §5.2) from an answer that is all there.
///
/// Nothing is allocated before its bytes were seen, nothing recurses, and text is taken as it comes: what is not UTF-8
/// is replaced.
#[derive(Debug)]
pub(crate) struct AnswerReader<'a> {
    bytes: ByteReader<'a>,
}

impl<'a> AnswerReader<'a> {
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self { bytes: ByteReader::new(body) }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        self.bytes.u8()
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Fault> {
        self.bytes().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        self.bytes.u32()
    }

    /// Bytes as they come.
    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.bytes.array()
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Fault> {
        self.bytes.i32()
    }

    pub(crate) fn f64(&mut self) -> Result<f64, Fault> {
        self.bytes.f64()
    }

    pub(crate) fn status_code(&mut self) -> Result<StatusCode, Fault> {
        self.u32().map(StatusCode)
    }

    pub(crate) fn byte_string(&mut self) -> Result<&'a [u8], Fault> {
        self.bytes.byte_string(usize::MAX)
    }

    /// A string that something is decided by: exact, and an error when it is too long; a null one is empty.
    pub(crate) fn string(&mut self) -> Result<String, Fault> {
        Ok(String::from_utf8_lossy(self.bytes.byte_string(MAX_STRING_LEN)?).into_owned())
    }

    /// A string for people: without control characters and cut to what people read.
    pub(crate) fn display_text(&mut self) -> Result<String, Fault> {
        Ok(display_text(self.byte_string()?))
    }

    /// One certificate or a chain of them.
    pub(crate) fn certificates(&mut self) -> Result<&'a [u8], Fault> {
        self.bytes.byte_string(MAX_CERTIFICATES_LEN)
    }

    pub(crate) fn optional_string(&mut self) -> Result<Option<String>, Fault> {
        Ok(Some(self.string()?).filter(|text| !text.is_empty()))
    }

    /// The text of a `LocalizedText`, for people.
    pub(crate) fn localized_text(&mut self) -> Result<String, Fault> {
        let mask = self.u8()?;
        if mask & 0x01 != 0 {
            let _locale = self.byte_string()?;
        }
        if mask & 0x02 != 0 { self.display_text() } else { Ok(String::new()) }
    }

    /// A `DateTime`; `None` when it is null or beyond the calendar.
    pub(crate) fn date_time(&mut self) -> Result<Option<OffsetDateTime>, Fault> {
        let ticks = self.bytes.i64()?;
        let nanoseconds = i128::from(ticks) * NANOSECONDS_PER_TICK + EPOCH_NANOSECONDS;
        Ok(OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok().filter(|_| ticks > 0))
    }

    /// An array of at most `max` elements; a null one is empty. It grows as its elements come.
    pub(crate) fn array<T>(
        &mut self,
        what: &'static str,
        max: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let Ok(len) = usize::try_from(self.i32()?) else { return Ok(Vec::new()) };
        if len > max {
            return Err(limit(what, len, max));
        }
        let mut elements = Vec::new();
        for _ in 0..len {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    pub(crate) fn node_id(&mut self) -> Result<NodeId, Fault> {
        let mut rest = self.bytes.rest();
        let before = rest.len();
        // With the limits at what is left, no length in the message can ask for more.
        let options = DecodingOptions {
            max_string_length: before,
            max_byte_string_length: before,
            max_array_length: 0,
            ..DecodingOptions::minimal()
        };
        let context = ContextOwned::new(NamespaceMap::default(), TypeLoaderCollection::new_empty(), options);
        let id = <NodeId as BinaryDecodable>::decode(&mut rest, &context.context())
            .map_err(|_| Fault::decoding("a node id is malformed"))?;
        self.bytes.skip(before - rest.len())?;
        Ok(id)
    }

    /// The type and the body of an `ExtensionObject` (OPC 10000-6 §5.2.2.15).
    pub(crate) fn extension_object(&mut self) -> Result<(NodeId, Self), Fault> {
        let id = self.node_id()?;
        let body = match self.u8()? {
            0 => &[],
            1 | 2 => self.byte_string()?,
            other => return Err(Fault::decoding(format!("an extension object has the encoding {other}"))),
        };
        Ok((id, Self::new(body)))
    }

    pub(crate) fn response_header(&mut self) -> Result<ResponseHeader, Fault> {
        let time = self.date_time()?;
        let _request_handle = self.u32()?;
        let status = self.status_code()?;
        let diagnostics = self.diagnostic_info()?;
        let strings = self.array("string table", MAX_STRINGS, Self::display_text)?;
        let (id, additional) = self.extension_object()?;
        let is_parameters = id == ObjectId::AdditionalParametersType_Encoding_DefaultBinary;
        // What stands here is nobody's but ours to ask for: other things, also broken ones, are passed over.
        let ephemeral_key = if is_parameters { additional.ephemeral_key().ok().flatten() } else { None };
        Ok(ResponseHeader { time, status, reason: diagnostics.reason(&strings), ephemeral_key })
    }

    /// The parameter `ECDHKey` of an `AdditionalParametersType` (OPC 10000-4 §7.41.2.6).
    fn ephemeral_key(mut self) -> Result<Option<SignedKey>, Fault> {
        let found = self.array("additional parameters", MAX_PARAMETERS, |reader| {
            let _namespace = (reader.u8()?, reader.u8()?);
            let key = reader.string()?;
            match reader.u8()? {
                VARIANT_STRING => reader.byte_string().map(|_| None),
                VARIANT_EXTENSION_OBJECT => {
                    let (id, mut value) = reader.extension_object()?;
                    let is_key = key == "ECDHKey" && id == ObjectId::EphemeralKeyType_Encoding_DefaultBinary;
                    if !is_key {
                        return Ok(None);
                    }
                    let public = value.byte_string()?.to_vec();
                    Ok(Some(SignedKey { public, signature: value.byte_string()?.to_vec() }))
                }
                other => Err(Fault::decoding(format!("a parameter of the type {other}"))),
            }
        })?;
        Ok(found.into_iter().flatten().next())
    }

    /// The outermost level of a `DiagnosticInfo` (OPC 10000-6 §5.2.2.12).
    ///
    /// The inner one is its last field, so nested levels are a loop here and cannot exhaust the stack.
    pub(crate) fn diagnostic_info(&mut self) -> Result<Diagnostics, Fault> {
        let mut outermost = None;
        loop {
            let mask = self.u8()?;
            let has = |bit: u8| mask & bit != 0;
            let mut level = Diagnostics::default();
            if has(0x01) {
                level.symbolic_id = Some(self.i32()?);
            }
            if has(0x02) {
                let _namespace = self.i32()?;
            }
            if has(0x08) {
                let _locale = self.i32()?;
            }
            if has(0x04) {
                level.localized_text = Some(self.i32()?);
            }
            if has(0x10) {
                level.additional_info = Some(self.display_text()?).filter(|text| !text.is_empty());
            }
            if has(0x20) {
                let _inner_status = self.status_code()?;
            }
            let outermost = outermost.get_or_insert(level);
            if !has(0x40) {
                return Ok(std::mem::take(outermost));
            }
        }
    }

    /// Whether nothing is left; an answer with bytes behind its end is none we understand.
    pub(crate) fn finish(self) -> Result<(), Fault> {
        self.finish_within(0)
    }

    /// As [`finish`](Self::finish), with up to `stray` bytes forgiven.
    pub(crate) fn finish_within(self, stray: usize) -> Result<(), Fault> {
        match self.bytes.rest().len() {
            left if left <= stray => Ok(()),
            left => Err(Fault::decoding(format!("{left} bytes follow the answer"))),
        }
    }
}

/// Servers send two.
const MAX_PARAMETERS: usize = 16;
/// OPC 10000-6 §5.2.2.16: the types of values, scalars.
const VARIANT_STRING: u8 = 12;
const VARIANT_EXTENSION_OBJECT: u8 = 22;

/// What a server adds to a status code.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    symbolic_id: Option<i32>,
    localized_text: Option<i32>,
    additional_info: Option<String>,
}

impl Diagnostics {
    fn reason(self, strings: &[String]) -> Option<String> {
        let named = |index: Option<i32>| {
            index.and_then(|index| usize::try_from(index).ok()).and_then(|index| strings.get(index))
        };
        let mut parts: Vec<&str> =
            [named(self.localized_text), named(self.symbolic_id), self.additional_info.as_ref()]
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect();
        if parts.is_empty() {
            // Some servers fill the table and forget to point into it.
            parts = strings.iter().map(String::as_str).collect();
        }
        bounded_text(&parts.join("; "))
    }
}

fn display_text(bytes: &[u8]) -> String {
    // No character takes more than four bytes; the one that is cut is beyond the last.
    let seen = bytes.get(..MAX_DISPLAY_CHARS * 4).unwrap_or(bytes);
    bounded_text(&String::from_utf8_lossy(seen)).unwrap_or_default()
}

/// The longest URI or id that is taken; HELLO allows URLs of as much (OPC 10000-6 §7.1.2.3).
const MAX_STRING_LEN: usize = 4096;
/// A chain of ten certificates with the largest keys.
const MAX_CERTIFICATES_LEN: usize = 64 * 1024;
/// More strings than any diagnostic of one level points to.
const MAX_STRINGS: usize = 100;
/// A `DateTime` counts steps of 100 ns.
const NANOSECONDS_PER_TICK: i128 = 100;
/// 1601-01-01 in nanoseconds before 1970.
const EPOCH_NANOSECONDS: i128 = -11_644_473_600_000_000_000;

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// The header of a `ServiceFault` up to its diagnostics.
    fn fault(status: u32) -> Vec<u8> {
        let mut body = vec![0x01, 0x00, 0x8d, 0x01];
        body.extend(133_775_712_000_000_000_i64.to_le_bytes());
        body.extend(1u32.to_le_bytes());
        body.extend(status.to_le_bytes());
        body
    }

    #[test]
    fn a_service_fault_is_the_peers_with_code_and_text() {
        let mut body = fault(0x8013_0000);
        body.extend([0x04, 0, 0, 0, 0]);
        body.extend(1u32.to_le_bytes());
        body.extend([b"\x13\0\0\0".as_slice(), b"certificate invalid"].concat());
        body.extend([0, 0, 0]);
        let failure = answer(Service::CreateSession, &body).unwrap_err();
        assert_eq!(
            failure,
            Failure::peer(
                Fault::ServiceFault,
                Some(StatusCode::BAD_SECURITY_CHECKS_FAILED),
                Some("certificate invalid".to_owned())
            )
        );
    }

    /// Every byte of it opens one more level: a decoder that recurses runs out of stack.
    #[test]
    fn diagnostics_nested_without_end_are_an_error_and_no_overflow() {
        let mut body = fault(0x8013_0000);
        body.resize(4 << 20, 0x40);
        assert!(matches!(answer(Service::GetEndpoints, &body).unwrap_err().fault, Fault::Decoding { .. }));
        body.extend([0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(answer(Service::GetEndpoints, &body).unwrap_err().fault, Fault::ServiceFault);
    }

    #[test]
    fn an_answer_of_another_type_is_refused() {
        let mut body = vec![0x01, 0x00, 0x01, 0x00];
        body.extend([0; 40]);
        assert!(matches!(answer(Service::Read, &body).unwrap_err().fault, Fault::UnexpectedMessage { .. }));
    }

    #[test]
    fn times_are_read_and_those_beyond_the_calendar_are_none() {
        let read = |ticks: i64| AnswerReader::new(&ticks.to_le_bytes()).date_time().unwrap();
        assert_eq!(read(116_444_736_000_000_001), Some(datetime!(1970-01-01 00:00:00.000_000_1 UTC)));
        for ticks in [0, i64::MAX, i64::MIN, -1] {
            assert_eq!(read(ticks), None);
        }
    }

    #[test]
    fn text_that_is_no_utf8_is_replaced() {
        let mut reader = AnswerReader::new(b"\x04\0\0\0M\xfcll");
        assert_eq!(reader.string().unwrap(), "M\u{fffd}ll");
        let mut reader = AnswerReader::new(b"\x03\x02\0\0\0de\x01\0\0\0x");
        assert_eq!(reader.localized_text().unwrap(), "x");
        reader.finish().unwrap();
    }

    #[test]
    fn a_text_for_people_is_cut_and_others_are_exact_or_refused() {
        let encoded = |text: &str| {
            let mut bytes = Vec::new();
            crate::wire::put_byte_string(&mut bytes, Some(text.as_bytes()));
            bytes
        };
        let long = encoded(&"\u{1F600}".repeat(2000));
        assert_eq!(AnswerReader::new(&long).display_text().unwrap(), "\u{1F600}".repeat(1024));
        let control = encoded("a\u{1b}[2J\nb");
        assert_eq!(AnswerReader::new(&control).display_text().unwrap(), "a [2J b");
        assert_eq!(AnswerReader::new(&control).string().unwrap(), "a\u{1b}[2J\nb");
        assert!(AnswerReader::new(&encoded(&"x".repeat(4096))).string().is_ok());
        assert!(AnswerReader::new(&encoded(&"x".repeat(4097))).string().is_err());
        assert!(AnswerReader::new(&encoded(&"x".repeat(65_537))).certificates().is_err());
    }

    #[test]
    fn an_array_is_bounded_by_its_limit_and_by_its_bytes() {
        let read = |body: &[u8]| AnswerReader::new(body).array("things", 3, AnswerReader::u8);
        assert_eq!(read(b"\x02\0\0\0ab").unwrap(), b"ab");
        assert_eq!(read(b"\xff\xff\xff\xff").unwrap(), b"");
        assert_eq!(read(b"\x04\0\0\0abcd"), Err(Fault::LimitExceeded { what: "things", size: 4, limit: 3 }));
        assert!(matches!(read(b"\x03\0\0\0ab"), Err(Fault::Decoding { .. })));
    }
}

//! Where the parts of a certificate lie in its bytes (RFC 5280 §4.1): read borrowed, kept as ranges.

use std::ops::Range;

use der::asn1::ObjectIdentifier;
use time::{Date, Month, OffsetDateTime, Time};

use super::CertificateError;
use crate::tlv::{self, Elements, Tlv, TlvError};
use crate::{TimeEncoding, Validity};

pub(super) struct Layout {
    pub(super) tbs: Range<usize>,
    pub(super) version: u8,
    /// The content of the INTEGER.
    pub(super) serial: Range<usize>,
    pub(super) inner_algorithm: Range<usize>,
    pub(super) issuer: Range<usize>,
    pub(super) validity: Validity,
    pub(super) time_encodings: (TimeEncoding, TimeEncoding),
    pub(super) subject: Range<usize>,
    pub(super) spki: Range<usize>,
    pub(super) key_oid: ObjectIdentifier,
    /// The parameters of the key's algorithm, empty when there are none.
    pub(super) key_parameters: Range<usize>,
    pub(super) key_bits: Range<usize>,
    /// The extensions one after the other, empty when there are none.
    pub(super) extensions: Range<usize>,
    pub(super) outer_algorithm: Range<usize>,
    pub(super) signature_oid: ObjectIdentifier,
    pub(super) signature: Range<usize>,
}

impl Layout {
    pub(super) fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let mut parts = only(Elements::new(der), tlv::SEQUENCE, "the outermost SEQUENCE")?.elements();
        let tbs = part(&mut parts, tlv::SEQUENCE, "the signed part")?;
        let outer_algorithm = part(&mut parts, tlv::SEQUENCE, "the signature algorithm")?;
        let signature_oid = algorithm(outer_algorithm, "the signature algorithm")?.0;
        let signature = bit_string(part(&mut parts, tlv::BIT_STRING, "the signature")?, "the signature")?;
        finished(&parts, "what follows the signature")?;

        let mut fields = tbs.elements();
        let version = version(&mut fields)?;
        let serial = part(&mut fields, tlv::INTEGER, "the serial number")?;
        if serial.content.is_empty() {
            return Err(malformed("the serial number"));
        }
        let inner_algorithm = part(&mut fields, tlv::SEQUENCE, "the inner signature algorithm")?;
        algorithm(inner_algorithm, "the inner signature algorithm")?;
        let issuer = part(&mut fields, tlv::SEQUENCE, "the issuer")?;
        check_name(issuer).map_err(|_| malformed("the issuer"))?;
        let (validity, time_encodings) = validity(part(&mut fields, tlv::SEQUENCE, "the validity")?)
            .map_err(|_| malformed("the validity"))?;
        let subject = part(&mut fields, tlv::SEQUENCE, "the subject")?;
        check_name(subject).map_err(|_| malformed("the subject"))?;
        let spki = part(&mut fields, tlv::SEQUENCE, "the public key")?;
        let mut key = spki.elements();
        let key_algorithm = part(&mut key, tlv::SEQUENCE, "the public key's algorithm")?;
        let (key_oid, key_parameters) = algorithm(key_algorithm, "the public key's algorithm")?;
        let key_bits = bit_string(part(&mut key, tlv::BIT_STRING, "the public key")?, "the public key")?;
        finished(&key, "the public key")?;
        Ok(Self {
            tbs: whole(tbs),
            version,
            serial: content(serial),
            inner_algorithm: whole(inner_algorithm),
            issuer: whole(issuer),
            validity,
            time_encodings,
            subject: whole(subject),
            spki: whole(spki),
            key_oid,
            key_parameters,
            key_bits,
            extensions: extensions(&mut fields)?,
            outer_algorithm: whole(outer_algorithm),
            signature_oid,
            signature,
        })
    }
}

/// The parts of one `Extension` (RFC 5280 §4.1): object identifier, criticality where it is encoded, content of the OCTET
/// STRING.
pub(super) fn extension(element: Tlv<'_>) -> Result<(ObjectIdentifier, Option<bool>, &[u8]), TlvError> {
    let mut fields = element.elements();
    let oid = object_identifier(fields.expect(tlv::OBJECT_IDENTIFIER)?.content)?;
    let critical = optional_boolean(&mut fields)?;
    let value = fields.expect(tlv::OCTET_STRING)?.content;
    if fields.is_empty() { Ok((oid, critical, value)) } else { Err(TlvError::Malformed) }
}

/// A `BOOLEAN DEFAULT FALSE`; an encoded FALSE, which DER forbids there (X.690 §11.5), is everyday.
pub(super) fn optional_boolean(fields: &mut Elements<'_>) -> Result<Option<bool>, TlvError> {
    match fields.optional(&[tlv::BOOLEAN])?.map(|boolean| boolean.content) {
        None => Ok(None),
        Some([0x00]) => Ok(Some(false)),
        Some([0xFF]) => Ok(Some(true)),
        Some(_) => Err(TlvError::Malformed),
    }
}

pub(super) fn object_identifier(content: &[u8]) -> Result<ObjectIdentifier, TlvError> {
    ObjectIdentifier::from_bytes(content).map_err(|_| TlvError::Malformed)
}

fn version(fields: &mut Elements<'_>) -> Result<u8, CertificateError> {
    let broken = |_| malformed("the version");
    let Some(explicit) = fields.optional(&[tlv::CONTEXT_0]).map_err(broken)? else { return Ok(1) };
    match only(explicit.elements(), tlv::INTEGER, "the version")?.content {
        [0] => Ok(1),
        [1] => Ok(2),
        [2] => Ok(3),
        _ => Err(malformed("the version")),
    }
}

/// The unique identifiers of version 2 are passed over.
fn extensions(fields: &mut Elements<'_>) -> Result<Range<usize>, CertificateError> {
    let broken = |_| malformed("the extensions");
    for tag in [&[0x81, 0xA1], &[0x82, 0xA2]] {
        fields.optional(tag).map_err(broken)?;
    }
    let range = match fields.optional(&[CONTEXT_3]).map_err(broken)? {
        None => 0..0,
        Some(explicit) => {
            let sequence = only(explicit.elements(), tlv::SEQUENCE, "the extensions")?;
            check_extensions(sequence.elements()).map_err(broken)?;
            content(sequence)
        }
    };
    finished(fields, "what follows the extensions")?;
    Ok(range)
}

/// The grammar of extensions, of which there are not too many.
pub(crate) fn check_extensions(mut elements: Elements<'_>) -> Result<(), TlvError> {
    let mut count = 0;
    while !elements.is_empty() {
        extension(elements.expect(tlv::SEQUENCE)?)?;
        count += 1;
        if count > MAX_EXTENSIONS {
            return Err(TlvError::Malformed);
        }
    }
    Ok(())
}

/// The grammar of a name: RDNs of attributes of an object identifier and any value.
pub(crate) fn check_name(name: Tlv<'_>) -> Result<(), TlvError> {
    let mut rdns = name.elements();
    while !rdns.is_empty() {
        let mut attributes = rdns.expect(tlv::SET)?.elements();
        while !attributes.is_empty() {
            let mut attribute = attributes.expect(tlv::SEQUENCE)?.elements();
            object_identifier(attribute.expect(tlv::OBJECT_IDENTIFIER)?.content)?;
            attribute.element()?;
            if !attribute.is_empty() {
                return Err(TlvError::Malformed);
            }
        }
    }
    Ok(())
}

fn validity(sequence: Tlv<'_>) -> Result<(Validity, (TimeEncoding, TimeEncoding)), TlvError> {
    let mut times = sequence.elements();
    let (not_before, first) = instant(times.element()?)?;
    let (not_after, second) = instant(times.element()?)?;
    if times.is_empty() {
        Ok((Validity { not_before, not_after }, (first, second)))
    } else {
        Err(TlvError::Malformed)
    }
}

/// RFC 5280 §4.1.2.5: seconds are there, the zone is `Z`, and the years 50 to 99 of a `UTCTime` are of the 20th century.
fn instant(time: Tlv<'_>) -> Result<(OffsetDateTime, TimeEncoding), TlvError> {
    let (year, rest, encoding) = match (time.tag, time.content) {
        (tlv::UTC_TIME, [a, b, rest @ ..]) => {
            let year = i32::from(two_digits([*a, *b])?);
            (if year < 50 { 2000 + year } else { 1900 + year }, rest, TimeEncoding::Utc)
        }
        (tlv::GENERALIZED_TIME, [a, b, c, d, rest @ ..]) => {
            let year = 100 * i32::from(two_digits([*a, *b])?) + i32::from(two_digits([*c, *d])?);
            (year, rest, TimeEncoding::Generalized)
        }
        _ => return Err(TlvError::Malformed),
    };
    let [m, o, d, a, h, u, n, i, s, e, b'Z'] = *rest else { return Err(TlvError::Malformed) };
    let month = Month::try_from(two_digits([m, o])?).map_err(|_| TlvError::Malformed)?;
    let date = Date::from_calendar_date(year, month, two_digits([d, a])?).map_err(|_| TlvError::Malformed)?;
    let time = Time::from_hms(two_digits([h, u])?, two_digits([n, i])?, two_digits([s, e])?)
        .map_err(|_| TlvError::Malformed)?;
    Ok((OffsetDateTime::new_utc(date, time), encoding))
}

fn two_digits(digits: [u8; 2]) -> Result<u8, TlvError> {
    let [tens, ones] = digits;
    if tens.is_ascii_digit() && ones.is_ascii_digit() {
        Ok((tens - b'0') * 10 + (ones - b'0'))
    } else {
        Err(TlvError::Malformed)
    }
}

fn algorithm(
    sequence: Tlv<'_>,
    what: &'static str,
) -> Result<(ObjectIdentifier, Range<usize>), CertificateError> {
    let mut fields = sequence.elements();
    let oid = part(&mut fields, tlv::OBJECT_IDENTIFIER, what)?.content;
    let oid = object_identifier(oid).map_err(|_| malformed(what))?;
    let parameters =
        if fields.is_empty() { 0..0 } else { whole(fields.element().map_err(|_| malformed(what))?) };
    finished(&fields, what)?;
    Ok((oid, parameters))
}

/// The bits of a BIT STRING; the octet that counts the unused ones must be of a DER encoding (X.690 §11.2).
fn bit_string(element: Tlv<'_>, what: &'static str) -> Result<Range<usize>, CertificateError> {
    match element.content {
        [0..=7, _, ..] | [0] => {
            let content = content(element);
            Ok(content.start.saturating_add(1)..content.end)
        }
        _ => Err(malformed(what)),
    }
}

fn part<'a>(elements: &mut Elements<'a>, tag: u8, what: &'static str) -> Result<Tlv<'a>, CertificateError> {
    elements.expect(tag).map_err(|_| malformed(what))
}

fn only<'a>(mut elements: Elements<'a>, tag: u8, what: &'static str) -> Result<Tlv<'a>, CertificateError> {
    let element = part(&mut elements, tag, what)?;
    finished(&elements, what)?;
    Ok(element)
}

fn finished(elements: &Elements<'_>, what: &'static str) -> Result<(), CertificateError> {
    if elements.is_empty() { Ok(()) } else { Err(malformed(what)) }
}

fn whole(element: Tlv<'_>) -> Range<usize> {
    element.start..element.start.saturating_add(element.whole.len())
}

fn content(element: Tlv<'_>) -> Range<usize> {
    let whole = whole(element);
    whole.end.saturating_sub(element.content.len())..whole.end
}

fn malformed(what: &str) -> CertificateError {
    CertificateError::Malformed { reason: what.to_owned() }
}

/// Far beyond those in use, which have a dozen.
const MAX_EXTENSIONS: usize = 100;
/// `[3]`, constructed.
const CONTEXT_3: u8 = 0xA3;

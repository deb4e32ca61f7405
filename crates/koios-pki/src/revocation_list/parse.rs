//! The DER of a revocation list (RFC 5280 §5.1), read in one pass.
//!
//! Entries stay bytes: a list of 100,000 of them costs one index of 16 bytes each and nothing more.

use der::Decode as _;
use der::asn1::ObjectIdentifier;
use time::{Date, Month, OffsetDateTime, Time};

use super::{Revocation, RevocationListError, RevocationReason, UnusableList};
use crate::certificate::{authority_key_identifier, check_name, signature};
use crate::tlv::{self, Elements, Tlv, TlvError};
use crate::{AuthorityKeyIdentifier, Certificate, CertificateSerial, DistinguishedName};

pub(super) struct Parsed {
    pub(super) der: Vec<u8>,
    pub(super) tbs: Range,
    pub(super) issuer_der: Range,
    pub(super) issuer: String,
    pub(super) signature: Range,
    pub(super) signature_oid: ObjectIdentifier,
    pub(super) signature_algorithm: String,
    pub(super) this_update: OffsetDateTime,
    pub(super) next_update: Option<OffsetDateTime>,
    pub(super) number: Option<String>,
    pub(super) authority_key_identifier: Option<AuthorityKeyIdentifier>,
    pub(super) unusable: Option<UnusableList>,
    pub(super) revoked_count: usize,
    /// By serial number, each once.
    index: Vec<Entry>,
}

/// Where something lies in the DER.
#[derive(Clone, Copy)]
pub(super) struct Range {
    start: usize,
    len: usize,
}

/// An entry of the list that revokes.
#[derive(Clone, Copy)]
struct Entry {
    /// Length and first bytes of the serial number: enough to find nearly every entry without looking at it.
    key: u64,
    /// Where the entry begins; lists are shorter than 4 GiB.
    start: u32,
}

impl Parsed {
    pub(super) fn new(der: &[u8]) -> Result<Self, RevocationListError> {
        let mut outer = Elements::new(der);
        let list = outer.expect(tlv::SEQUENCE).map_err(error("CertificateList"))?;
        if !outer.is_empty() {
            return Err(RevocationListError::TrailingBytes { count: outer.remaining() });
        }
        let mut fields = list.elements();
        let tbs = fields.expect(tlv::SEQUENCE).map_err(inside("tbsCertList"))?;
        let algorithm = fields.expect(tlv::SEQUENCE).map_err(inside("signatureAlgorithm"))?;
        let signature = fields.expect(tlv::BIT_STRING).map_err(inside("signatureValue"))?;
        // A signature is whole octets: the first octet counts the unused bits.
        let Some((0, _)) = signature.content.split_first() else { return Err(malformed("signatureValue")) };
        if !fields.is_empty() {
            return Err(malformed("CertificateList"));
        }
        let signature_oid = algorithm
            .elements()
            .expect(tlv::OBJECT_IDENTIFIER)
            .ok()
            .and_then(|oid| ObjectIdentifier::from_der(oid.whole).ok())
            .ok_or_else(|| malformed("signatureAlgorithm"))?;

        let mut fields = tbs.elements();
        let version = fields.optional(&[tlv::INTEGER]).map_err(inside("version"))?;
        let version_2 = match version.map(|version| version.content) {
            None => false,
            Some([1]) => true,
            Some(_) => return Err(malformed("version")),
        };
        let inner_algorithm = fields.expect(tlv::SEQUENCE).map_err(inside("signature"))?;
        if inner_algorithm.whole != algorithm.whole {
            return Err(malformed("signature: another algorithm than outside of the signed part"));
        }
        let issuer = fields.expect(tlv::SEQUENCE).map_err(inside("issuer"))?;
        let name = check_name(issuer).and_then(|()| DistinguishedName::from_der(issuer.whole));
        let name = name.map_err(inside("issuer"))?;
        let this_update = fields.element().ok().and_then(|time| instant(&time));
        let this_update = this_update.ok_or_else(|| malformed("thisUpdate"))?;
        let next_update = match fields.optional(&TIMES).map_err(inside("nextUpdate"))? {
            Some(time) => Some(instant(&time).ok_or_else(|| malformed("nextUpdate"))?),
            None => None,
        };
        let entries = fields.optional(&[tlv::SEQUENCE]).map_err(inside("revokedCertificates"))?;
        let extensions = fields.optional(&[tlv::CONTEXT_0]).map_err(inside("crlExtensions"))?;
        if !fields.is_empty() || (extensions.is_some() && !version_2) {
            return Err(malformed("tbsCertList"));
        }

        let mut parsed = Self {
            tbs: Range::of(&tbs),
            issuer_der: Range::of(&issuer),
            issuer: name.to_string(),
            signature: Range::content_of(&signature, 1),
            signature_oid,
            signature_algorithm: signature::name(signature_oid),
            this_update,
            next_update,
            number: None,
            authority_key_identifier: None,
            unusable: None,
            revoked_count: 0,
            index: Vec::new(),
            der: Vec::new(),
        };
        if let Some(extensions) = extensions {
            parsed.read_extensions(&extensions).map_err(inside("crlExtensions"))?;
        }
        if let Some(entries) = entries {
            parsed.read_entries(&entries, der)?;
        }
        parsed.der = der.to_vec();
        Ok(parsed)
    }

    fn read_extensions(&mut self, explicit: &Tlv<'_>) -> Result<(), TlvError> {
        let mut elements = explicit.elements().expect(tlv::SEQUENCE)?.elements();
        while !elements.is_empty() {
            let extension = Extension::read(&elements.expect(tlv::SEQUENCE)?)?;
            match extension.oid {
                AUTHORITY_KEY_IDENTIFIER => {
                    self.authority_key_identifier = authority_key_identifier(extension.value).ok();
                }
                CRL_NUMBER => {
                    let number = Elements::new(extension.value).expect(tlv::INTEGER)?;
                    self.number = Some(CertificateSerial::new(number.content).to_string());
                }
                DELTA_CRL_INDICATOR => self.is_unusable(UnusableList::Delta),
                ISSUING_DISTRIBUTION_POINT => {
                    if let Some(reason) = scope(extension.value)? {
                        self.is_unusable(reason);
                    }
                }
                _ if extension.critical => self.is_unusable(extension.unknown()),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_entries(&mut self, entries: &Tlv<'_>, der: &[u8]) -> Result<(), RevocationListError> {
        let mut elements = entries.elements();
        // A small entry has 37 bytes (serial of 16, UTCTime, no extensions).
        self.index.reserve(entries.content.len() / 37);
        while !elements.is_empty() {
            let entry = elements.expect(tlv::SEQUENCE).map_err(inside("revokedCertificates"))?;
            let revokes = self.read_entry(&entry).map_err(inside("revokedCertificates"))?;
            self.revoked_count += 1;
            let start = u32::try_from(entry.start).map_err(|_| malformed("revokedCertificates"))?;
            if let Some(key) = revokes {
                self.index.push(Entry { key, start });
            }
        }
        let order = |a: &Entry, b: &Entry| {
            a.key.cmp(&b.key).then_with(|| serial_at(der, a.start).cmp(serial_at(der, b.start)))
        };
        // Many authorities write them in order. The sort is in place: what it costs does not depend on the input.
        if !self.index.is_sorted_by(|a, b| order(a, b).is_lt()) {
            self.index.sort_unstable_by(order);
            self.index.dedup_by(|a, b| order(a, b).is_eq());
        }
        Ok(())
    }

    /// The key of an entry's serial number if it revokes.
    fn read_entry(&mut self, entry: &Tlv<'_>) -> Result<Option<u64>, TlvError> {
        let mut fields = entry.elements();
        let serial = fields.expect(tlv::INTEGER)?.content;
        if serial.is_empty() || instant(&fields.element()?).is_none() {
            return Err(TlvError::Malformed);
        }
        let mut reason = None;
        if let Some(extensions) = fields.optional(&[tlv::SEQUENCE])? {
            let mut elements = extensions.elements();
            while !elements.is_empty() {
                let extension = Extension::read(&elements.expect(tlv::SEQUENCE)?)?;
                match extension.oid {
                    REASON_CODE if reason.is_none() => reason = Some(reason_code(extension.value)),
                    // Of two reasons one might revoke and one not.
                    REASON_CODE => return Err(TlvError::Malformed),
                    INVALIDITY_DATE => {}
                    CERTIFICATE_ISSUER => self.is_unusable(UnusableList::Indirect),
                    _ if extension.critical => self.is_unusable(extension.unknown()),
                    _ => {}
                }
            }
        }
        let revokes = reason != Some(Some(REMOVE_FROM_CRL));
        let key = revokes.then(|| key_of(tlv::significant(serial)));
        if fields.is_empty() { Ok(key) } else { Err(TlvError::Malformed) }
    }

    fn is_unusable(&mut self, reason: UnusableList) {
        self.unusable.get_or_insert(reason);
    }

    pub(super) fn bytes(&self, range: Range) -> &[u8] {
        self.der.get(range.start..).and_then(|rest| rest.get(..range.len)).unwrap_or_default()
    }

    /// The entry of this serial number (the content of its INTEGER).
    pub(super) fn entry(&self, serial: &[u8]) -> Option<Revocation> {
        let serial = tlv::significant(serial);
        let key = key_of(serial);
        let found = self.index.binary_search_by(|entry| {
            entry.key.cmp(&key).then_with(|| serial_at(&self.der, entry.start).cmp(serial))
        });
        let start = self.index.get(found.ok()?)?.start;
        revocation_at(&self.der, start)
    }

    pub(super) fn verifies_with(&self, issuer: &Certificate) -> bool {
        issuer.verifies(self.signature_oid, self.bytes(self.tbs), self.bytes(self.signature))
    }
}

impl Range {
    fn of(element: &Tlv<'_>) -> Self {
        Self { start: element.start, len: element.whole.len() }
    }

    fn content_of(element: &Tlv<'_>, skip: usize) -> Self {
        let header = element.whole.len() - element.content.len();
        Self { start: element.start + header + skip, len: element.content.len().saturating_sub(skip) }
    }
}

struct Extension<'a> {
    /// The content of its OBJECT IDENTIFIER.
    oid: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

impl<'a> Extension<'a> {
    fn read(sequence: &Tlv<'a>) -> Result<Self, TlvError> {
        let mut fields = sequence.elements();
        let oid = fields.expect(tlv::OBJECT_IDENTIFIER)?.content;
        let critical = fields.optional(&[tlv::BOOLEAN])?.is_some_and(|boolean| is_true(&boolean));
        let value = fields.expect(tlv::OCTET_STRING)?.content;
        if fields.is_empty() { Ok(Self { oid, critical, value }) } else { Err(TlvError::Malformed) }
    }

    fn unknown(&self) -> UnusableList {
        let oid = ObjectIdentifier::from_bytes(self.oid);
        UnusableList::ExtensionUnknown {
            oid: oid.map_or_else(|_| "malformed".to_owned(), |oid| oid.to_string()),
        }
    }
}

/// Why a list with this issuingDistributionPoint (RFC 5280 §5.2.5) is not a complete one.
fn scope(value: &[u8]) -> Result<Option<UnusableList>, TlvError> {
    let mut fields = Elements::new(value).expect(tlv::SEQUENCE)?.elements();
    let mut reason = None;
    while !fields.is_empty() {
        let field = fields.element()?;
        match field.tag {
            // indirectCRL.
            0x84 if is_true(&field) => return Ok(Some(UnusableList::Indirect)),
            // An encoded FALSE of onlyContainsUserCerts, -CACerts, -AttributeCerts and indirectCRL.
            0x81 | 0x82 | 0x84 | 0x85 if !is_true(&field) => {}
            _ => reason = Some(UnusableList::Partial),
        }
    }
    Ok(reason)
}

fn is_true(boolean: &Tlv<'_>) -> bool {
    boolean.content.iter().any(|octet| *octet != 0)
}

fn reason_code(value: &[u8]) -> Option<u8> {
    match Elements::new(value).expect(tlv::ENUMERATED).ok()?.content {
        [code] => Some(*code),
        _ => None,
    }
}

fn revocation_at(der: &[u8], start: u32) -> Option<Revocation> {
    let mut fields = entry_at(der, start)?.elements();
    fields.expect(tlv::INTEGER).ok()?;
    let at = instant(&fields.element().ok()?)?;
    let mut reason = None;
    if let Some(extensions) = fields.optional(&[tlv::SEQUENCE]).ok()? {
        let mut elements = extensions.elements();
        while let Ok(sequence) = elements.expect(tlv::SEQUENCE) {
            let extension = Extension::read(&sequence).ok()?;
            if extension.oid == REASON_CODE {
                reason = reason_code(extension.value).map(RevocationReason::from_code);
            }
        }
    }
    Some(Revocation { at, reason })
}

fn entry_at(der: &[u8], start: u32) -> Option<Tlv<'_>> {
    let rest = der.get(usize::try_from(start).ok()?..)?;
    Elements::new(rest).expect(tlv::SEQUENCE).ok()
}

/// The significant bytes of the serial number of the entry that begins there.
fn serial_at(der: &[u8], start: u32) -> &[u8] {
    let serial = entry_at(der, start).and_then(|entry| entry.elements().expect(tlv::INTEGER).ok());
    serial.map_or(&[], |serial| tlv::significant(serial.content))
}

/// The length, then the first seven bytes; any total order does.
fn key_of(serial: &[u8]) -> u64 {
    let len = u8::try_from(serial.len()).unwrap_or(u8::MAX);
    let mut key = [len, 0, 0, 0, 0, 0, 0, 0];
    key.iter_mut().skip(1).zip(serial).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(key)
}

/// `UTCTime` `YYMMDDHHMMSSZ` or `GeneralizedTime` `YYYYMMDDHHMMSSZ`, the only forms of RFC 5280 §5.1.2.4.
fn instant(time: &Tlv<'_>) -> Option<OffsetDateTime> {
    let (digits, last) = time.content.split_last_chunk::<1>()?;
    let number = |from: usize| match digits.get(from..)? {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] => Some((tens - b'0') * 10 + (ones - b'0')),
        _ => None,
    };
    let (year, rest) = match (time.tag, digits.len(), last) {
        (tlv::UTC_TIME, 12, b"Z") => {
            let year = i32::from(number(0)?);
            (if year < 50 { 2000 + year } else { 1900 + year }, 2)
        }
        (tlv::GENERALIZED_TIME, 14, b"Z") => (i32::from(number(0)?) * 100 + i32::from(number(2)?), 4),
        _ => return None,
    };
    let month = Month::try_from(number(rest)?).ok()?;
    let date = Date::from_calendar_date(year, month, number(rest + 2)?).ok()?;
    let time = Time::from_hms(number(rest + 4)?, number(rest + 6)?, number(rest + 8)?).ok()?;
    Some(OffsetDateTime::new_utc(date, time))
}

fn malformed(reason: &'static str) -> RevocationListError {
    RevocationListError::Malformed { reason }
}

/// Outermost, missing bytes mean that the list was cut off.
fn error(place: &'static str) -> impl Fn(TlvError) -> RevocationListError {
    move |error| match error {
        TlvError::Truncated => RevocationListError::Truncated,
        TlvError::Malformed => malformed(place),
    }
}

fn inside(place: &'static str) -> impl Fn(TlvError) -> RevocationListError {
    move |_| malformed(place)
}

const TIMES: [u8; 2] = [tlv::UTC_TIME, tlv::GENERALIZED_TIME];

/// Contents of OBJECT IDENTIFIERs under 2.5.29 (id-ce).
const CRL_NUMBER: &[u8] = &[0x55, 0x1D, 20];
const REASON_CODE: &[u8] = &[0x55, 0x1D, 21];
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1D, 24];
const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1D, 27];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1D, 28];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1D, 29];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1D, 35];

/// RFC 5280 §5.3.1: takes back an entry of an earlier list.
const REMOVE_FROM_CRL: u8 = 8;

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn time(tag: u8, text: &str) -> Option<OffsetDateTime> {
        let element = Tlv { tag, start: 0, whole: &[], content: text.as_bytes() };
        instant(&element)
    }

    #[test]
    fn instants_have_the_forms_of_rfc_5280_only() {
        assert_eq!(time(tlv::UTC_TIME, "491231235959Z"), Some(datetime!(2049-12-31 23:59:59 UTC)));
        assert_eq!(time(tlv::UTC_TIME, "500101000000Z"), Some(datetime!(1950-01-01 0:00 UTC)));
        assert_eq!(time(tlv::GENERALIZED_TIME, "20500101000000Z"), Some(datetime!(2050-01-01 0:00 UTC)));
        for (tag, text) in [
            (tlv::UTC_TIME, "4912312359Z"),
            (tlv::UTC_TIME, "491231235959+0100"),
            (tlv::UTC_TIME, "491331235959Z"),
            (tlv::UTC_TIME, "4912312359 9Z"),
            (tlv::UTC_TIME, "20500101000000Z"),
            (tlv::GENERALIZED_TIME, "20500101000000.5Z"),
            (tlv::UTC_TIME, ""),
        ] {
            assert_eq!(time(tag, text), None, "{text}");
        }
    }

    #[test]
    fn keys_tell_serials_of_other_lengths_and_beginnings_apart() {
        assert!(key_of(&[1]) < key_of(&[2]) && key_of(&[0xFF]) < key_of(&[0, 0xFF]));
        assert_eq!(key_of(&[1, 2, 3, 4, 5, 6, 7, 8]), key_of(&[1, 2, 3, 4, 5, 6, 7, 9]));
    }
}

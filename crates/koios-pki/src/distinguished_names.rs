//! Whether two distinguished names are one.

use crate::tlv::{self, Elements, Tlv, TlvError};

/// Whether two names in DER are the same: byte for byte, or but for values that one has as `PrintableString` and the
/// other as `UTF8String`.
///
/// That much of the comparison of RFC 5280 §7.1 is needed, because some authorities re-encode the names they copy
/// into certificates; and it is sound, because both types write these characters with the same bytes. Case and blanks
/// count: no authority changes them.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    // Re-encoding changes tags only, never a length.
    a == b || (a.len() == b.len() && is_reencoded(a, b).unwrap_or(false))
}

fn is_reencoded(a: &[u8], b: &[u8]) -> Result<bool, TlvError> {
    let mut a_rdns = Elements::new(a).expect(tlv::SEQUENCE)?.elements();
    let mut b_rdns = Elements::new(b).expect(tlv::SEQUENCE)?.elements();
    while !a_rdns.is_empty() && !b_rdns.is_empty() {
        let mut a_attributes = a_rdns.expect(tlv::SET)?.elements();
        let mut b_attributes = b_rdns.expect(tlv::SET)?.elements();
        while !a_attributes.is_empty() && !b_attributes.is_empty() {
            let mut a = a_attributes.expect(tlv::SEQUENCE)?.elements();
            let mut b = b_attributes.expect(tlv::SEQUENCE)?.elements();
            let types = a.element()?.whole == b.element()?.whole;
            if !(types && same_value(&a.element()?, &b.element()?) && a.is_empty() && b.is_empty()) {
                return Ok(false);
            }
        }
        if !(a_attributes.is_empty() && b_attributes.is_empty()) {
            return Ok(false);
        }
    }
    Ok(a_rdns.is_empty() && b_rdns.is_empty())
}

fn same_value(a: &Tlv<'_>, b: &Tlv<'_>) -> bool {
    let text = |value: &Tlv<'_>| matches!(value.tag, tlv::PRINTABLE_STRING | tlv::UTF8_STRING);
    // A PrintableString has ASCII only; other bytes mean something else there than in UTF-8.
    a.whole == b.whole || (text(a) && text(b) && a.content == b.content && a.content.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(tag: u8, value: &[u8]) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
        let attribute = [wrap(0x06, &[0x55, 0x04, 0x03]), wrap(tag, value)].concat();
        wrap(0x30, &wrap(0x31, &wrap(0x30, &attribute)))
    }

    #[test]
    fn a_name_is_the_same_as_printable_and_as_utf8_string_and_in_no_other_way() {
        let printable = name(tlv::PRINTABLE_STRING, b"Plant CA");
        assert!(same(&printable, &printable));
        assert!(same(&printable, &name(tlv::UTF8_STRING, b"Plant CA")));
        for other in [
            name(tlv::UTF8_STRING, b"plant CA"),
            name(tlv::UTF8_STRING, b"Plant  CA"),
            name(0x14, b"Plant CA"),
            name(0x16, b"Plant CA"),
            name(tlv::UTF8_STRING, b"Plant CB"),
        ] {
            assert!(!same(&printable, &other));
        }
        assert!(!same(&name(tlv::PRINTABLE_STRING, b"W\xC3\xA4"), &name(tlv::UTF8_STRING, b"W\xC3\xA4")));
        assert!(!same(b"", b"\x30") && !same(b"\x30\x02\x31\x00", b"\x31\x02\x31\x00"));
    }
}

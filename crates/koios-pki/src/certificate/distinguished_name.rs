//! Distinguished names as text: in the order of the certificate, escaped as in RFC 4514 §2.4.

use std::fmt::Write as _;

use der::Tag;
use der::Tagged as _;
use der::asn1::{Any, ObjectIdentifier};
use x509_cert::name::Name;

pub(crate) const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
pub(super) const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

/// `CN=…, O=…`; the parts of a multi-valued RDN are joined by `+`.
pub(crate) fn text(name: &Name) -> String {
    let rdns = name.as_ref().iter().map(|rdn| {
        let attributes = rdn.as_ref().iter().map(|attribute| {
            let mut text = short_name(attribute.oid).map_or_else(|| attribute.oid.to_string(), str::to_owned);
            text.push('=');
            match string(&attribute.value) {
                Some(value) => push_escaped(&mut text, &value),
                None => push_encoded(&mut text, &attribute.value),
            }
            text
        });
        attributes.collect::<Vec<_>>().join("+")
    });
    rdns.collect::<Vec<_>>().join(", ")
}

/// The first attribute of this kind that is a string, unescaped.
pub(crate) fn first(name: &Name, oid: ObjectIdentifier) -> Option<String> {
    let attributes = name.as_ref().iter().flat_map(|rdn| rdn.as_ref().iter());
    attributes.filter(|attribute| attribute.oid == oid).find_map(|attribute| string(&attribute.value))
}

/// The text of a `DirectoryString` in any of its encodings, those that RFC 5280 no longer wants included.
fn string(value: &Any) -> Option<String> {
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        // Nobody implements T.61; everybody means Latin-1.
        Tag::TeletexString => Some(bytes.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let units = bytes.chunks(2).map(|pair| match *pair {
                [high, low] => u16::from_be_bytes([high, low]),
                // Half a character at the end.
                _ => 0xFFFD,
            });
            Some(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
        }
        _ => None,
    }
}

fn push_escaped(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (index, character) in value.chars().enumerate() {
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => text.extend(['\\', character]),
            '#' if index == 0 => text.push_str("\\#"),
            ' ' if index == 0 || index == last => text.push_str("\\ "),
            // Line breaks, terminal sequences and direction overrides would deceive whoever reads a log or a list.
            _ if character.is_control() || is_direction_override(character) => {
                let mut buffer = [0; 4];
                for byte in character.encode_utf8(&mut buffer).bytes() {
                    // Writing into a String cannot fail.
                    let _ = write!(text, "\\{byte:02X}");
                }
            }
            _ => text.push(character),
        }
    }
}

/// RFC 4514 §2.4: a value without a string form is `#` and the hex of its encoding.
fn push_encoded(text: &mut String, value: &Any) {
    text.push('#');
    for byte in der::Encode::to_der(value).unwrap_or_default() {
        let _ = write!(text, "{byte:02X}");
    }
}

fn is_direction_override(character: char) -> bool {
    matches!(character, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn short_name(oid: ObjectIdentifier) -> Option<&'static str> {
    SHORT_NAMES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name)
}

/// RFC 4514 §3, and e-mail as OpenSSL spells it.
const SHORT_NAMES: [(ObjectIdentifier, &str); 10] = [
    (COMMON_NAME, "CN"),
    (ORGANIZATION, "O"),
    (ObjectIdentifier::new_unwrap("2.5.4.5"), "serialNumber"),
    (ObjectIdentifier::new_unwrap("2.5.4.6"), "C"),
    (ObjectIdentifier::new_unwrap("2.5.4.7"), "L"),
    (ObjectIdentifier::new_unwrap("2.5.4.8"), "ST"),
    (ObjectIdentifier::new_unwrap("2.5.4.9"), "STREET"),
    (ObjectIdentifier::new_unwrap("2.5.4.11"), "OU"),
    (ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.25"), "DC"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1"), "emailAddress"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(value: &str) -> String {
        let mut text = String::new();
        push_escaped(&mut text, value);
        text
    }

    #[test]
    fn values_are_escaped_so_that_no_part_can_pretend_to_be_another() {
        assert_eq!(escaped("a, O=Evil"), "a\\, O=Evil");
        assert_eq!(escaped("#x"), "\\#x");
        assert_eq!(escaped(" x "), "\\ x\\ ");
        assert_eq!(escaped(" "), "\\ ");
        assert_eq!(escaped("a\nb\u{1B}[2J"), "a\\0Ab\\1B[2J");
        assert_eq!(escaped("abc\u{202E}fed"), "abc\\E2\\80\\AEfed");
        assert_eq!(escaped("Größe"), "Größe");
    }

    #[test]
    fn every_string_type_is_read() {
        let value = |tag, bytes: &[u8]| string(&Any::new(tag, bytes.to_vec()).unwrap());
        assert_eq!(value(Tag::Utf8String, "Wärme".as_bytes()).as_deref(), Some("Wärme"));
        assert_eq!(value(Tag::Utf8String, b"\xFFx").as_deref(), Some("\u{FFFD}x"));
        assert_eq!(value(Tag::TeletexString, b"W\xE4rme").as_deref(), Some("Wärme"));
        assert_eq!(value(Tag::BmpString, b"\0W\0\xE4").as_deref(), Some("Wä"));
        assert_eq!(value(Tag::BmpString, b"\xD8\x00").as_deref(), Some("\u{FFFD}"));
        assert_eq!(value(Tag::BmpString, b"\0W\0").as_deref(), Some("W\u{FFFD}"));
        assert_eq!(value(Tag::Integer, b"\x01"), None);
    }
}

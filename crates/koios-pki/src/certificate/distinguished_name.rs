//! Distinguished names, typed; as text in the order of the certificate, escaped as in RFC 4514 §2.4.

use std::fmt::{self, Write as _};

use der::asn1::ObjectIdentifier;

use super::layout;
use crate::Oid;
use crate::tlv::{self, Elements, Tlv, TlvError};

/// A distinguished name (RFC 5280 §4.1.2.4): relative names in the order of the certificate.
///
/// Displayed as text for people, `CN=Koios@gw01, O=Koios`; never compare names by their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistinguishedName {
    attributes: Vec<Attribute>,
}

impl DistinguishedName {
    /// Reads the SEQUENCE of a name, as far as it is one.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, TlvError> {
        let mut elements = Elements::new(der);
        let mut rdns = elements.expect(tlv::SEQUENCE)?.elements();
        if !elements.is_empty() {
            return Err(TlvError::Malformed);
        }
        // Most names have two or three.
        let mut attributes = Vec::with_capacity(4);
        let mut rdn = 0;
        while !rdns.is_empty() {
            let mut parts = rdns.expect(tlv::SET)?.elements();
            while !parts.is_empty() {
                let mut fields = parts.expect(tlv::SEQUENCE)?.elements();
                let oid = layout::object_identifier(fields.expect(tlv::OBJECT_IDENTIFIER)?.content)?;
                let value = fields.element()?;
                if !fields.is_empty() {
                    return Err(TlvError::Malformed);
                }
                attributes.push(Attribute {
                    kind: AttributeType::of(oid),
                    value: text_of(value),
                    encoding: StringKind::of(value),
                    rdn,
                });
            }
            rdn += 1;
        }
        Ok(Self { attributes })
    }

    pub(crate) const fn empty() -> Self {
        Self { attributes: Vec::new() }
    }

    /// The attributes of all relative names, in their order.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The relative names; one of several attributes is multi-valued.
    pub fn rdns(&self) -> impl Iterator<Item = &[Attribute]> {
        self.attributes.chunk_by(|one, next| one.rdn == next.rdn)
    }

    /// The first attribute of this type that is a string.
    pub fn first(&self, kind: AttributeType) -> Option<&str> {
        let strings = self.attributes.iter().filter(|attribute| !attribute.is_opaque());
        strings.filter(|attribute| attribute.kind == kind).map(|attribute| attribute.value.as_str()).next()
    }

    /// Whether there is no attribute.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }
}

/// The parts of a multi-valued relative name are joined by `+`.
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut previous = None;
        for attribute in &self.attributes {
            match previous {
                None => {}
                Some(rdn) if rdn == attribute.rdn => f.write_char('+')?,
                Some(_) => f.write_str(", ")?,
            }
            previous = Some(attribute.rdn);
            write!(f, "{}=", attribute.kind)?;
            if attribute.is_opaque() {
                f.write_str(&attribute.value)?;
            } else {
                write_escaped(f, &attribute.value)?;
            }
        }
        Ok(())
    }
}

/// One attribute of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attribute {
    /// What it says.
    pub kind: AttributeType,
    /// The text, unescaped; `#` and hex for a value that is no string (RFC 4514 §2.4).
    pub value: String,
    /// How the text is encoded.
    pub encoding: StringKind,
    rdn: usize,
}

impl Attribute {
    fn is_opaque(&self) -> bool {
        matches!(self.encoding, StringKind::Other { .. })
    }
}

/// Declares the attribute types once: variant, object identifier, short name.
macro_rules! attribute_types {
    ($($(#[$meaning:meta])* $variant:ident = $oid:literal, $name:literal;)+) => {
        /// The type of an attribute of a name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum AttributeType {
            $($(#[$meaning])* $variant,)+
            /// Any other.
            Other {
                /// Its object identifier.
                oid: Oid,
            },
        }

        impl AttributeType {
            fn of(oid: ObjectIdentifier) -> Self {
                $(
                    if oid == const { ObjectIdentifier::new_unwrap($oid) } {
                        return Self::$variant;
                    }
                )+
                Self::Other { oid: Oid::new(oid) }
            }
        }

        /// The short name of RFC 4514 §3, else the dotted object identifier.
        impl fmt::Display for AttributeType {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($name),)+
                    Self::Other { oid } => oid.fmt(f),
                }
            }
        }
    };
}

attribute_types! {
    /// `CN`.
    CommonName = "2.5.4.3", "CN";
    /// `O`.
    Organization = "2.5.4.10", "O";
    /// `OU`.
    OrganizationalUnit = "2.5.4.11", "OU";
    /// `C`.
    Country = "2.5.4.6", "C";
    /// `L`.
    Locality = "2.5.4.7", "L";
    /// `ST`.
    State = "2.5.4.8", "ST";
    /// `STREET`.
    Street = "2.5.4.9", "STREET";
    /// `serialNumber`, of the thing named and not of the certificate.
    SerialNumber = "2.5.4.5", "serialNumber";
    /// `DC`.
    DomainComponent = "0.9.2342.19200300.100.1.25", "DC";
    /// `emailAddress`, as OpenSSL spells it.
    EmailAddress = "1.2.840.113549.1.9.1", "emailAddress";
}

/// How the text of an attribute is encoded (X.680 §41).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StringKind {
    /// `UTF8String`, what RFC 5280 wants for new names.
    Utf8,
    /// `PrintableString`.
    Printable,
    /// `IA5String`.
    Ia5,
    /// `NumericString`.
    Numeric,
    /// `VisibleString`.
    Visible,
    /// `TeletexString`, also called `T61String`; read as Latin-1, which is what everybody means.
    Teletex,
    /// `BMPString`, UTF-16.
    Bmp,
    /// `UniversalString`, UTF-32.
    Universal,
    /// No string.
    Other {
        /// The identifier octet of the value.
        tag: u8,
    },
}

impl StringKind {
    fn of(value: Tlv<'_>) -> Self {
        match value.tag {
            tlv::UTF8_STRING => Self::Utf8,
            tlv::PRINTABLE_STRING => Self::Printable,
            0x12 => Self::Numeric,
            0x14 => Self::Teletex,
            0x16 => Self::Ia5,
            0x1A => Self::Visible,
            0x1C => Self::Universal,
            0x1E => Self::Bmp,
            tag => Self::Other { tag },
        }
    }
}

/// The text of a `DirectoryString` in any of its encodings, those that RFC 5280 no longer wants included.
fn text_of(value: Tlv<'_>) -> String {
    let bytes = value.content;
    match StringKind::of(value) {
        StringKind::Teletex => bytes.iter().copied().map(char::from).collect(),
        StringKind::Bmp => {
            let units = bytes.chunks(2).map(|pair| match *pair {
                [high, low] => u16::from_be_bytes([high, low]),
                // Half a character at the end.
                _ => 0xFFFD,
            });
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        StringKind::Universal => {
            let units = bytes.chunks(4).map(|quad| <[u8; 4]>::try_from(quad).map(u32::from_be_bytes));
            units
                .map(|unit| unit.ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        StringKind::Other { .. } => {
            let mut text = "#".to_owned();
            for byte in value.whole {
                // Writing into a String cannot fail.
                let _ = write!(text, "{byte:02X}");
            }
            text
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let needs_no_escape = |byte: u8| byte.is_ascii_alphanumeric() || b"@.-_:/()".contains(&byte);
    if value.bytes().all(needs_no_escape) {
        return f.write_str(value);
    }
    let last = value.chars().count().saturating_sub(1);
    for (index, character) in value.chars().enumerate() {
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => write!(f, "\\{character}")?,
            '#' if index == 0 => f.write_str("\\#")?,
            ' ' if index == 0 || index == last => f.write_str("\\ ")?,
            // Line breaks, terminal sequences and direction overrides would deceive whoever reads a log or a list.
            _ if character.is_control() || is_direction_override(character) => {
                let mut buffer = [0; 4];
                for byte in character.encode_utf8(&mut buffer).bytes() {
                    write!(f, "\\{byte:02X}")?;
                }
            }
            _ => f.write_char(character)?,
        }
    }
    Ok(())
}

fn is_direction_override(character: char) -> bool {
    matches!(character, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(tag: u8, content: &[u8]) -> DistinguishedName {
        let sequence =
            |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
        let fields = [&[0x06, 3, 0x55, 4, 3], sequence(tag, content).as_slice()].concat();
        let name = sequence(tlv::SEQUENCE, &sequence(tlv::SET, &sequence(tlv::SEQUENCE, &fields)));
        DistinguishedName::from_der(&name).unwrap()
    }

    #[test]
    fn values_are_escaped_so_that_no_part_can_pretend_to_be_another() {
        let escaped = |value: &str| attribute(0x0C, value.as_bytes()).to_string();
        assert_eq!(escaped("a, O=Evil"), "CN=a\\, O=Evil");
        assert_eq!(escaped("#x"), "CN=\\#x");
        assert_eq!(escaped(" x "), "CN=\\ x\\ ");
        assert_eq!(escaped(" "), "CN=\\ ");
        assert_eq!(escaped("a\nb\u{1B}[2J"), "CN=a\\0Ab\\1B[2J");
        assert_eq!(escaped("abc\u{202E}fed"), "CN=abc\\E2\\80\\AEfed");
        assert_eq!(escaped("Größe"), "CN=Größe");
    }

    #[test]
    fn every_string_type_is_read() {
        let value = |tag, bytes: &[u8]| {
            let name = attribute(tag, bytes);
            (name.attributes()[0].encoding, name.first(AttributeType::CommonName).map(str::to_owned))
        };
        let some = |kind, text: &str| (kind, Some(text.to_owned()));
        assert_eq!(value(0x0C, "Wärme".as_bytes()), some(StringKind::Utf8, "Wärme"));
        assert_eq!(value(0x0C, b"\xFFx"), some(StringKind::Utf8, "\u{FFFD}x"));
        assert_eq!(value(0x14, b"W\xE4rme"), some(StringKind::Teletex, "Wärme"));
        assert_eq!(value(0x1E, b"\0W\0\xE4"), some(StringKind::Bmp, "Wä"));
        assert_eq!(value(0x1E, b"\xD8\x00"), some(StringKind::Bmp, "\u{FFFD}"));
        assert_eq!(value(0x1E, b"\0W\0"), some(StringKind::Bmp, "W\u{FFFD}"));
        assert_eq!(value(0x1C, b"\0\0\0W\0\0\0\xE4"), some(StringKind::Universal, "Wä"));
        assert_eq!(value(0x1C, b"\0\0\0W\0\x11\0\0\0"), some(StringKind::Universal, "W\u{FFFD}\u{FFFD}"));
        assert_eq!(value(0x02, b"\x01"), (StringKind::Other { tag: 2 }, None));
        assert_eq!(attribute(0x02, b"\x01").to_string(), "CN=#020101");
    }
}

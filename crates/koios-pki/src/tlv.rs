//! DER elements by their bytes (X.690 §8.1, §10.1): for what is too large, or too broken, to become a tree of values.

/// One element; offsets are those in the bytes that were read at first.
#[derive(Clone, Copy)]
pub(crate) struct Tlv<'a> {
    pub(crate) tag: u8,
    pub(crate) start: usize,
    pub(crate) whole: &'a [u8],
    pub(crate) content: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// The elements inside of a constructed one.
    pub(crate) fn elements(&self) -> Elements<'a> {
        let header = self.whole.len().saturating_sub(self.content.len());
        Elements { rest: self.content, offset: self.start.saturating_add(header) }
    }

    /// The first element inside, which must have this tag.
    pub(crate) fn expect_inner(&self, tag: u8) -> Result<Self, TlvError> {
        self.elements().expect(tag)
    }
}

/// Elements one after the other.
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Elements<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next element; none is left when it is [`TlvError::Truncated`].
    pub(crate) fn element(&mut self) -> Result<Tlv<'a>, TlvError> {
        let (&tag, rest) = self.rest.split_first().ok_or(TlvError::Truncated)?;
        // Tag numbers of 31 and above have more octets; nothing read here has them.
        if tag & 0x1F == 0x1F {
            return Err(TlvError::Malformed);
        }
        let (&first, rest) = rest.split_first().ok_or(TlvError::Truncated)?;
        let (len, after_header) = match first {
            0..=0x7F => (usize::from(first), rest),
            0x81..=0x84 => {
                let (octets, rest) =
                    rest.split_at_checked(usize::from(first & 0x7F)).ok_or(TlvError::Truncated)?;
                let len = octets.iter().fold(0_usize, |len, octet| (len << 8) | usize::from(*octet));
                // The shortest form is the only one (X.690 §10.1).
                let shortest = octets.first().is_some_and(|octet| *octet != 0) && len > 0x7F;
                if !shortest {
                    return Err(TlvError::Malformed);
                }
                (len, rest)
            }
            _ => return Err(TlvError::Malformed),
        };
        let header_len = self.rest.len() - after_header.len();
        let content = after_header.get(..len).ok_or(TlvError::Truncated)?;
        let whole_len = header_len.saturating_add(len);
        let (whole, rest) = self.rest.split_at_checked(whole_len).ok_or(TlvError::Truncated)?;
        let element = Tlv { tag, start: self.offset, whole, content };
        self.rest = rest;
        self.offset = self.offset.saturating_add(whole_len);
        Ok(element)
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Tlv<'a>, TlvError> {
        let element = self.element()?;
        if element.tag == tag { Ok(element) } else { Err(TlvError::Malformed) }
    }

    /// The next element if it has one of these tags.
    pub(crate) fn optional(&mut self, tags: &[u8]) -> Result<Option<Tlv<'a>>, TlvError> {
        match self.rest.first() {
            Some(tag) if tags.contains(tag) => self.element().map(Some),
            _ => Ok(None),
        }
    }
}

/// One element of these parts (X.690 §8.1, §10.1).
pub(crate) fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut element = Vec::with_capacity(header_len(len).saturating_add(len));
    write_header(&mut element, tag, len);
    parts.iter().for_each(|part| element.extend_from_slice(part));
    element
}

/// The tag and the length of a content of `len` bytes.
pub(crate) fn write_header(out: &mut Vec<u8>, tag: u8, len: usize) {
    out.push(tag);
    match u8::try_from(len) {
        Ok(short @ 0..=0x7F) => out.push(short),
        _ => {
            let octets = length_octets(len);
            // A length has at most eight octets.
            out.push(0x80 | u8::try_from(octets).unwrap_or(0x7F));
            out.extend(len.to_be_bytes().into_iter().skip(size_of::<usize>() - octets));
        }
    }
}

/// How many bytes [`write_header`] writes.
pub(crate) fn header_len(len: usize) -> usize {
    if len <= 0x7F { 2 } else { 2 + length_octets(len) }
}

/// How many octets a length needs without leading zeros.
fn length_octets(len: usize) -> usize {
    let zeros = usize::try_from(len.leading_zeros() / 8).unwrap_or_default();
    size_of::<usize>() - zeros
}

/// Why bytes are no DER element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlvError {
    Truncated,
    Malformed,
}

/// The content of an INTEGER without the sign octets that say nothing, so that equal numbers have equal bytes.
pub(crate) fn significant(mut integer: &[u8]) -> &[u8] {
    while let [sign, rest @ ..] = integer
        && let Some(next) = rest.first()
        && matches!((sign, next), (0x00, 0x00..=0x7F) | (0xFF, 0x80..=0xFF))
    {
        integer = rest;
    }
    integer
}

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0A;
pub(crate) const UTF8_STRING: u8 = 0x0C;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
/// `[0]`, constructed.
pub(crate) const CONTEXT_0: u8 = 0xA0;

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: &[u8]) -> Result<(usize, usize), TlvError> {
        Elements::new(bytes).element().map(|element| (element.whole.len(), element.content.len()))
    }

    #[test]
    fn lengths_are_read_in_their_shortest_form_only() {
        assert_eq!(one(&[0x30, 0x00]), Ok((2, 0)));
        assert_eq!(one(&[[0x04, 0x81, 0x80].as_slice(), &[0; 200]].concat()), Ok((131, 128)));
        assert_eq!(one(&[[0x04, 0x82, 0x01, 0x00].as_slice(), &[0; 256]].concat()), Ok((260, 256)));
        for malformed in
            [&[0x30, 0x80, 0, 0][..], &[0x30, 0x81, 0x05, 0, 0, 0, 0, 0], &[0x1F, 0x00], &[0x30, 0x85]]
        {
            assert_eq!(one(malformed), Err(TlvError::Malformed), "{malformed:?}");
        }
        assert_eq!(one(&[0x30, 0x82, 0x00, 0xFF]), Err(TlvError::Malformed));
        for truncated in
            [&[][..], &[0x30], &[0x30, 0x01], &[0x30, 0x82, 0x01], &[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]]
        {
            assert_eq!(one(truncated), Err(TlvError::Truncated), "{truncated:?}");
        }
    }

    #[test]
    fn offsets_are_those_of_the_outermost_bytes() {
        let bytes = [0x30, 0x07, 0x02, 0x01, 0x05, 0x30, 0x02, 0x05, 0x00];
        let mut inside = Elements::new(&bytes).expect(SEQUENCE).unwrap().elements();
        assert_eq!(inside.expect(INTEGER).unwrap().start, 2);
        let nested = inside.expect(SEQUENCE).unwrap();
        assert_eq!((nested.start, nested.elements().element().unwrap().start), (5, 7));
        assert!(inside.is_empty() && inside.element().is_err());
    }

    #[test]
    fn equal_numbers_have_equal_significant_bytes() {
        assert_eq!(significant(&[0x00, 0x00, 0x05]), [0x05]);
        assert_eq!(significant(&[0x00, 0x80]), [0x00, 0x80]);
        assert_eq!(significant(&[0xFF, 0xFF, 0x80]), [0x80]);
        assert_eq!(significant(&[0xFF, 0x7F]), [0xFF, 0x7F]);
        assert_eq!(significant(&[0x00]), [0x00]);
    }
}

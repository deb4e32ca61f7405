//! BER as DER: PKCS#7 and PKCS#12 files of Windows, of Java and of Mozilla come with indefinite lengths and with strings in
//! pieces (X.690 §8.1.3.6, §8.7.3), which the readers here need not know.
//!
//! The bytes may be secret, so that the output is the only copy that is made of them: a first walk measures, a second one
//! writes.

use zeroize::Zeroizing;

use crate::tlv;

/// The first element of `bytes` in DER form, if it is BER that DER can express within the limits, and what follows it.
pub(crate) fn first_to_der(bytes: &[u8]) -> Option<(Zeroizing<Vec<u8>>, &[u8])> {
    let mut measure = Measure::default();
    let mut reader = Reader { rest: bytes };
    reader.element(&mut measure, 0)?;
    let rest = reader.rest;
    let mut write = Write {
        out: Zeroizing::new(Vec::with_capacity(measure.total)),
        contents: measure.contents.into_iter(),
    };
    Reader { rest: bytes }.element(&mut write, 0)?;
    Some((write.out, rest))
}

/// As [`first_to_der`], of bytes that are one element and nothing else.
pub(crate) fn whole_to_der(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (der, rest) = first_to_der(bytes)?;
    rest.is_empty().then_some(der)
}

/// What a walk meets, in DER's terms: a string in pieces is one string.
trait Sink {
    fn open(&mut self, tag: u8) -> Option<()>;
    fn bytes(&mut self, content: &[u8]) -> Option<()>;
    fn close(&mut self) -> Option<()>;
}

/// Finds the length of every element's content, in the order in which the elements begin.
#[derive(Default)]
struct Measure {
    contents: Vec<usize>,
    /// The elements that have begun and not ended, by their place in `contents`.
    open: Vec<usize>,
    total: usize,
}

impl Measure {
    fn grow(&mut self, len: usize) -> Option<()> {
        let content = match self.open.last() {
            Some(place) => self.contents.get_mut(*place)?,
            None => &mut self.total,
        };
        *content = content.checked_add(len)?;
        Some(())
    }
}

impl Sink for Measure {
    fn open(&mut self, _: u8) -> Option<()> {
        self.open.push(self.contents.len());
        self.contents.push(0);
        Some(())
    }

    fn bytes(&mut self, content: &[u8]) -> Option<()> {
        self.grow(content.len())
    }

    fn close(&mut self) -> Option<()> {
        let content = *self.contents.get(self.open.pop()?)?;
        self.grow(tlv::header_len(content).checked_add(content)?)
    }
}

struct Write {
    out: Zeroizing<Vec<u8>>,
    contents: std::vec::IntoIter<usize>,
}

impl Sink for Write {
    fn open(&mut self, tag: u8) -> Option<()> {
        tlv::write_header(&mut self.out, tag, self.contents.next()?);
        Some(())
    }

    fn bytes(&mut self, content: &[u8]) -> Option<()> {
        self.out.extend_from_slice(content);
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        Some(())
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn element(&mut self, sink: &mut impl Sink, depth: u32) -> Option<()> {
        // Tag numbers of 31 and above stand in neither format.
        let tag = self.byte().filter(|tag| tag & 0x1F != 0x1F)?;
        sink.open(if tag == STRING_IN_PIECES { tlv::OCTET_STRING } else { tag })?;
        self.content(tag, sink, depth)?;
        sink.close()
    }

    /// A piece of a string, of which only the content matters.
    fn piece(&mut self, sink: &mut impl Sink, depth: u32) -> Option<()> {
        let tag = self.byte().filter(|tag| matches!(*tag, tlv::OCTET_STRING | STRING_IN_PIECES))?;
        self.content(tag, sink, depth)
    }

    fn content(&mut self, tag: u8, sink: &mut impl Sink, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let constructed = tag & CONSTRUCTED != 0;
        let part = |reader: &mut Reader<'_>, sink: &mut _| match tag {
            STRING_IN_PIECES => reader.piece(sink, depth + 1),
            _ => reader.element(sink, depth + 1),
        };
        match self.length()? {
            Length::Definite(len) => {
                let (content, rest) = self.rest.split_at_checked(len)?;
                self.rest = rest;
                if !constructed {
                    return sink.bytes(content);
                }
                let mut inner = Reader { rest: content };
                while !inner.rest.is_empty() {
                    part(&mut inner, sink)?;
                }
            }
            Length::Indefinite if constructed => {
                while !self.rest.starts_with(&END_OF_CONTENTS) {
                    part(self, sink)?;
                }
                self.rest = self.rest.get(END_OF_CONTENTS.len()..)?;
            }
            Length::Indefinite => return None,
        }
        Some(())
    }

    fn length(&mut self) -> Option<Length> {
        let first = self.byte()?;
        match first {
            0..=0x7F => Some(Length::Definite(usize::from(first))),
            0x80 => Some(Length::Indefinite),
            0x81..=0x84 => {
                let mut len = 0_usize;
                for _ in 0..first & 0x7F {
                    len = len << 8 | usize::from(self.byte()?);
                }
                Some(Length::Definite(len))
            }
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }
}

enum Length {
    Definite(usize),
    Indefinite,
}

const CONSTRUCTED: u8 = 0x20;
/// An OCTET STRING made of others.
const STRING_IN_PIECES: u8 = 0x24;
const END_OF_CONTENTS: [u8; 2] = [0, 0];
/// Both formats nest about a dozen levels.
const MAX_DEPTH: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn to_der(bytes: &[u8]) -> Option<Vec<u8>> {
        first_to_der(bytes).map(|(der, _)| der.to_vec())
    }

    #[test]
    fn indefinite_lengths_and_strings_in_pieces_become_der() {
        let ber =
            [0x30, 0x80, 0x24, 0x80, 0x04, 0x01, 0xAA, 0x04, 0x81, 0x01, 0xBB, 0, 0, 0x02, 0x01, 5, 0, 0];
        assert_eq!(to_der(&ber).unwrap(), [0x30, 7, 0x04, 2, 0xAA, 0xBB, 0x02, 1, 5]);
        let der = [0x30, 3, 0x02, 1, 5];
        assert_eq!(to_der(&der).unwrap(), der);
        let followed = [der.as_slice(), &[1, 2]].concat();
        let (first, rest) = first_to_der(&followed).unwrap();
        assert_eq!((first.as_slice(), rest), (&der[..], &[1, 2][..]));
        assert!(whole_to_der(&followed).is_none());
        assert_eq!(*whole_to_der(&der).unwrap(), der);
    }

    #[test]
    fn lengths_grow_where_der_needs_more_octets_and_pieces_nest() {
        let inner =
            [[0x24, 0x80].as_slice(), &[0x04, 0x7F], &[1; 127], &[0x24, 0x03, 0x04, 0x01, 2], &[0, 0]];
        let ber = [[0x30, 0x80].as_slice(), &inner.concat(), &[0, 0]].concat();
        let der = [[0x30, 0x81, 131, 0x04, 0x81, 128].as_slice(), &[1; 127], &[2]].concat();
        assert_eq!(to_der(&ber).unwrap(), der);
        let large = [[0x30, 0x80, 0x04, 0x83, 1, 0, 0].as_slice(), &[7; 0x1_0000], &[0, 0]].concat();
        let (der, _) = first_to_der(&large).unwrap();
        assert_eq!(der.get(..10).unwrap(), [0x30, 0x83, 1, 0, 5, 0x04, 0x83, 1, 0, 0]);
        assert_eq!(der.capacity(), der.len(), "nothing was moved while it grew");
    }

    #[test]
    fn what_ends_early_or_nests_without_end_is_refused() {
        for bytes in
            [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 5, 2, 1, 1], &[0x04, 0x80, 0, 0], &[0x1F, 1, 0]]
        {
            assert!(to_der(bytes).is_none(), "{bytes:?}");
        }
        assert!(to_der(&[0x30, 0x80].repeat(100_000)).is_none());
        assert!(to_der(&[0x24, 0x80].repeat(100_000)).is_none());
        assert!(to_der(&[0x24, 0x80, 0x02, 0x01, 0x05, 0, 0]).is_none(), "a piece that is no string");
    }
}

//! BER as DER: PKCS#7 and PKCS#12 files of Windows and of Java come with indefinite lengths and with strings in pieces
//! (X.690 §8.1.3.6, §8.7.3), which the readers here need not know.

use crate::tlv;

/// The first element of `bytes` in DER form, if it is BER that DER can express within the limits.
pub(crate) fn to_der(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut reader = Reader { rest: bytes };
    reader.element(&mut out, 0)?;
    Some(out)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn element(&mut self, out: &mut Vec<u8>, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let tag = self.byte()?;
        // Tag numbers of 31 and above stand in neither format.
        if tag & 0x1F == 0x1F {
            return None;
        }
        let constructed = tag & CONSTRUCTED != 0;
        let content = self.content(constructed, tag == STRING_IN_PIECES, depth)?;
        match tag {
            STRING_IN_PIECES => out.extend(tlv::encode(tlv::OCTET_STRING, &[&content])),
            tag => out.extend(tlv::encode(tag, &[&content])),
        }
        Some(())
    }

    /// The content, its elements in DER form; of a string in pieces, what the pieces hold.
    fn content(&mut self, constructed: bool, in_pieces: bool, depth: u32) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        match self.length()? {
            Length::Definite(len) => {
                let (inner, rest) = self.rest.split_at_checked(len)?;
                self.rest = rest;
                if !constructed {
                    return Some(inner.to_vec());
                }
                let mut inner = Reader { rest: inner };
                while !inner.rest.is_empty() {
                    inner.part(&mut content, in_pieces, depth)?;
                }
            }
            Length::Indefinite if constructed => {
                while !self.rest.starts_with(&END_OF_CONTENTS) {
                    self.part(&mut content, in_pieces, depth)?;
                }
                self.rest = self.rest.get(END_OF_CONTENTS.len()..)?;
            }
            Length::Indefinite => return None,
        }
        Some(content)
    }

    fn part(&mut self, content: &mut Vec<u8>, in_pieces: bool, depth: u32) -> Option<()> {
        if !in_pieces {
            return self.element(content, depth + 1);
        }
        let mut piece = Vec::new();
        self.element(&mut piece, depth + 1)?;
        let piece = tlv::Elements::new(&piece).expect(tlv::OCTET_STRING).ok()?;
        content.extend_from_slice(piece.content);
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

    #[test]
    fn indefinite_lengths_and_strings_in_pieces_become_der() {
        let ber =
            [0x30, 0x80, 0x24, 0x80, 0x04, 0x01, 0xAA, 0x04, 0x81, 0x01, 0xBB, 0, 0, 0x02, 0x01, 5, 0, 0];
        assert_eq!(to_der(&ber).unwrap(), [0x30, 7, 0x04, 2, 0xAA, 0xBB, 0x02, 1, 5]);
        let der = [0x30, 3, 0x02, 1, 5];
        assert_eq!(to_der(&der).unwrap(), der);
        assert_eq!(to_der(&[der.as_slice(), &[1, 2]].concat()).unwrap(), der, "the first element");
    }

    #[test]
    fn what_ends_early_or_nests_without_end_is_refused() {
        for bytes in
            [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 5, 2, 1, 1], &[0x04, 0x80, 0, 0], &[0x1F, 1, 0]]
        {
            assert!(to_der(bytes).is_none(), "{bytes:?}");
        }
        assert!(to_der(&[0x30, 0x80].repeat(100_000)).is_none());
        assert!(to_der(&[0x24, 0x80, 0x02, 0x01, 0x05, 0, 0]).is_none(), "a piece that is no string");
    }
}

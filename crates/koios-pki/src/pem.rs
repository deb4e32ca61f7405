//! PEM as people send it: any line ends, text around the blocks, indentation, RFC 1421 headers.
//!
//! Bodies are decoded into zeroising memory, since any of them may be a private key.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

/// One block between a BEGIN and its END line.
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    /// `Proc-Type: 4,ENCRYPTED` (RFC 1421 §4.6.1.1), the traditional encryption of OpenSSL.
    pub(crate) legacy_encrypted: bool,
    /// What `DEK-Info` says (RFC 1421 §4.6.1.3).
    pub(crate) dek_info: Option<&'a str>,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// Why a text is no well-formed PEM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// A BEGIN marker that does not have a line of its own, as in a JSON or YAML string.
    #[error("the PEM text does not have its BEGIN line on a line of its own; restore the line breaks")]
    MarkerNotOnOwnLine,
    /// The END line is missing or ends another block.
    #[error("the PEM block \"{label}\" has no END line; the file may have been cut off")]
    Unterminated {
        /// What stands after BEGIN.
        label: String,
    },
    /// The lines between the markers are not base64.
    #[error("the PEM block \"{label}\" does not hold valid base64; the file may have been damaged")]
    Base64 {
        /// What stands after BEGIN.
        label: String,
    },
}

/// Whether the bytes are to be read as PEM rather than as DER.
pub(crate) fn is_pem(input: &[u8]) -> bool {
    input.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes())
}

/// All blocks, in their order. Text that is no UTF-8 may stand around the blocks, not in them.
pub(crate) fn blocks(input: &[u8]) -> Result<Vec<Block<'_>>, PemError> {
    let mut lines = input.split(|byte| matches!(byte, b'\n' | b'\r')).map(trimmed);
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(label) = label_of(line, BEGIN) {
            blocks.push(block(label, &mut lines)?);
        }
    }
    if blocks.is_empty() && is_pem(input) { Err(PemError::MarkerNotOnOwnLine) } else { Ok(blocks) }
}

/// The PEM text of `der`, in lines of 64 characters (RFC 7468 §2).
pub(crate) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    // 48 bytes give 64 characters.
    let lines = der.len().div_ceil(48);
    let mut text = Zeroizing::new(String::with_capacity(lines * 65 + 2 * label.len() + 40));
    text.extend([BEGIN, label, DASHES, "\n"]);
    let mut line = Zeroizing::new([0; 64]);
    for chunk in der.chunks(48) {
        // 48 bytes always fit; an empty line would be the only trace of a broken invariant.
        text.push_str(Base64::encode(chunk, line.as_mut()).unwrap_or_default());
        text.push('\n');
    }
    text.extend([END, label, DASHES, "\n"]);
    text
}

fn block<'a>(label: &'a str, lines: &mut impl Iterator<Item = &'a [u8]>) -> Result<Block<'a>, PemError> {
    let mut body = Zeroizing::new(Vec::new());
    let mut legacy_encrypted = false;
    let mut dek_info = None;
    let mut in_headers = false;
    for line in lines {
        if let Some(end) = label_of(line, END) {
            if end != label {
                return Err(PemError::Unterminated { label: label.to_owned() });
            }
            let base64 = || PemError::Base64 { label: label.to_owned() };
            // Into memory that is wiped also when the text turns out to be damaged in its middle.
            let mut der = Zeroizing::new(vec![0; body.len().div_ceil(4) * 3]);
            let len = Base64::decode(body.as_slice(), &mut der).map_err(|_| base64())?.len();
            der.truncate(len);
            return Ok(Block { label, legacy_encrypted, dek_info, der });
        }
        if label_of(line, BEGIN).is_some() {
            break;
        }
        if line.contains(&b':') {
            in_headers = true;
            legacy_encrypted |= line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED");
            let value = line.strip_prefix(b"DEK-Info:").and_then(|value| str::from_utf8(value).ok());
            dek_info = dek_info.or(value);
        } else if line.is_empty() {
            in_headers = false;
        } else if !in_headers {
            let characters = line.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
            extend_zeroizing(&mut body, characters);
        }
    }
    Err(PemError::Unterminated { label: label.to_owned() })
}

/// Appends without leaving copies in memory that a growing vector gave back.
fn extend_zeroizing(body: &mut Zeroizing<Vec<u8>>, bytes: impl Iterator<Item = u8>) {
    for byte in bytes {
        if body.len() == body.capacity() {
            let mut grown = Zeroizing::new(Vec::with_capacity((2 * body.capacity()).max(4096)));
            grown.extend_from_slice(body);
            *body = grown;
        }
        body.push(byte);
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    // A byte order mark may stand before the first line.
    line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii()
}

fn label_of<'a>(line: &'a [u8], marker: &str) -> Option<&'a str> {
    let label = line.strip_prefix(marker.as_bytes())?.strip_suffix(DASHES.as_bytes())?;
    str::from_utf8(label).ok().filter(|label| !label.contains('-') && label.len() <= MAX_LABEL)
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// Longer than every label in use; labels are repeated in messages.
const MAX_LABEL: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn ders(text: &str) -> Vec<(String, Vec<u8>)> {
        blocks(text.as_bytes()).unwrap().iter().map(|b| (b.label.to_owned(), b.der.to_vec())).collect()
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        for len in [0, 1, 47, 48, 49, 96, 1000] {
            let der = vec![0xA5; len];
            let text = encode("CERTIFICATE", &der);
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(ders(&text), [("CERTIFICATE".to_owned(), der)]);
        }
    }

    #[test]
    fn line_ends_indentation_byte_order_mark_and_surrounding_text_do_not_matter() {
        let expected = [("X".to_owned(), b"hello".to_vec())];
        for text in [
            "-----BEGIN X-----\r\naGVs\r\nbG8=\r\n-----END X-----\r\n",
            "-----BEGIN X-----\raGVsbG8=\r-----END X-----",
            "subject=/CN=a: b\nissuer\n  -----BEGIN X-----  \n  aGVs bG8=\n\n  -----END X-----\ntrailing",
            "\u{FEFF}-----BEGIN X-----\naGVsbG8=\n-----END X-----\n",
        ] {
            assert_eq!(ders(text), expected, "{text:?}");
        }
    }

    #[test]
    fn headers_are_no_part_of_the_body_and_announce_legacy_encryption() {
        let text = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\naGVsbG8=\n-----END RSA PRIVATE KEY-----\n";
        let blocks = blocks(text.as_bytes()).unwrap();
        assert!(blocks[0].legacy_encrypted);
        assert_eq!(*blocks[0].der, b"hello");
    }

    #[test]
    fn broken_blocks_are_named() {
        let error = |text: &str| blocks(text.as_bytes()).err();
        let label = || "X".to_owned();
        assert_eq!(error("-----BEGIN X-----\naGVs\n"), Some(PemError::Unterminated { label: label() }));
        assert_eq!(
            error("-----BEGIN X-----\n-----END Y-----"),
            Some(PemError::Unterminated { label: label() })
        );
        assert_eq!(
            error("-----BEGIN X-----\naGVs\n-----BEGIN X-----\n-----END X-----"),
            Some(PemError::Unterminated { label: label() })
        );
        assert_eq!(
            error("-----BEGIN X-----\na*\n-----END X-----"),
            Some(PemError::Base64 { label: label() })
        );
        assert_eq!(
            error(r"-----BEGIN X-----\naGVsbG8=\n-----END X-----"),
            Some(PemError::MarkerNotOnOwnLine)
        );
        assert_eq!(error("no PEM at all"), None);
    }
}

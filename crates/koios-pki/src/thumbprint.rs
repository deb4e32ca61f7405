use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;

/// SHA-1 over a certificate's DER: the identity OPC UA puts on the wire and into rejected folders (OPC 10000-6 §3.1).
///
/// SHA-1 serves here as a name only; nothing is trusted because of it. Displayed and parsed as hex, upper case
/// when displayed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha1Thumbprint([u8; 20]);

/// SHA-256 over a certificate's DER: the identity used wherever Koios itself compares certificates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Thumbprint([u8; 32]);

/// A text that is no thumbprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal digits without separators, got {found} characters")]
#[non_exhaustive]
pub struct ThumbprintError {
    /// The number of hexadecimal digits a thumbprint of this kind has.
    pub expected: usize,
    /// The number of characters given.
    pub found: usize,
}

impl Sha1Thumbprint {
    /// The thumbprint of one certificate, given its complete DER.
    pub fn of(der: &[u8]) -> Self {
        Self(array_of(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der).as_ref()))
    }

    /// The 20 bytes, as `ReceiverCertificateThumbprint` carries them.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl Sha256Thumbprint {
    /// The thumbprint of one certificate, given its complete DER.
    pub fn of(der: &[u8]) -> Self {
        Self(array_of(digest::digest(&digest::SHA256, der).as_ref()))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 20]> for Sha1Thumbprint {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl From<[u8; 32]> for Sha256Thumbprint {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Sha1Thumbprint {
    type Err = ThumbprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(Self)
    }
}

impl FromStr for Sha256Thumbprint {
    type Err = ThumbprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(Self)
    }
}

impl fmt::Display for Sha1Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Display for Sha256Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Sha1Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha1Thumbprint({self})")
    }
}

impl fmt::Debug for Sha256Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Thumbprint({self})")
    }
}

/// Copies a digest into an array of its own length; the lengths always agree, because the algorithm fixes both.
fn array_of<const N: usize>(digest: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    array
}

fn parse<const N: usize>(text: &str) -> Result<[u8; N], ThumbprintError> {
    let error = || ThumbprintError { expected: 2 * N, found: text.chars().count() };
    if text.len() != 2 * N {
        return Err(error());
    }
    let mut bytes = [0; N];
    let digits = text.as_bytes().chunks_exact(2);
    for (byte, pair) in bytes.iter_mut().zip(digits) {
        let pair = std::str::from_utf8(pair).map_err(|_| error())?;
        // `from_str_radix` accepts a leading sign, which is no hexadecimal digit.
        if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(error());
        }
        *byte = u8::from_str_radix(pair, 16).map_err(|_| error())?;
    }
    Ok(bytes)
}

/// Upper-case hex without separators, as `rest-api.md` and most rejected folders spell it.
pub(crate) fn write_hex(f: &mut impl fmt::Write, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprints_match_the_published_digests_of_abc() {
        assert_eq!(Sha1Thumbprint::of(b"abc").to_string(), "A9993E364706816ABA3E25717850C26C9CD0D89D");
        assert_eq!(
            Sha256Thumbprint::of(b"abc").to_string(),
            "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"
        );
    }

    #[test]
    fn a_thumbprint_is_read_in_either_case_and_shown_in_upper_case() {
        let lower = "a9993e364706816aba3e25717850c26c9cd0d89d";
        let parsed: Sha1Thumbprint = lower.parse().unwrap();
        assert_eq!(parsed, Sha1Thumbprint::of(b"abc"));
        assert_eq!(parsed.to_string(), lower.to_uppercase());
    }

    #[test]
    fn text_that_is_no_thumbprint_is_refused_with_both_lengths() {
        let forty_signs = "+1".repeat(20);
        for text in ["", "AB", "A9:99", &"G".repeat(40), &forty_signs, &"é".repeat(20)] {
            let error = text.parse::<Sha1Thumbprint>().unwrap_err();
            assert_eq!(error, ThumbprintError { expected: 40, found: text.chars().count() });
        }
        assert!("A9993E364706816ABA3E25717850C26C9CD0D89D".parse::<Sha256Thumbprint>().is_err());
    }
}

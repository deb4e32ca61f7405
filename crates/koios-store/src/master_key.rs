//! The master key, under which every other secret is sealed: from outside of the data directory, or in `secrets.key`.

mod rewrap;
mod settle;
mod witness;

use std::fmt;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::secrets::{KEY_LEN, SecretsKey, random_key};

pub use rewrap::NewMasterKey;
pub(crate) use settle::{NAME_IT, SetUp, for_reading, is_external, settle};
pub(crate) use witness::{InForce, NotInForce};

/// A master key that is kept outside of the data directory: 256 random bits.
///
/// Whoever has it and the data directory has every private key and password. Without it, passwords and encrypted private
/// keys are lost for good: keep a copy where no copy of the data directory is.
#[derive(Clone)]
pub struct MasterKey {
    bytes: Zeroizing<[u8; KEY_LEN]>,
    origin: String,
}

/// Why something is no master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyError {
    /// It has another form.
    #[error(
        "it holds no master key: that is 32 random bytes, raw, as 64 hexadecimal digits or in base64; `koiosd master-key \
         generate` makes one"
    )]
    Malformed,
    /// The system's randomness failed.
    #[error("the system's source of randomness failed")]
    Randomness,
}

impl MasterKey {
    /// Makes a key; `origin` names it in errors, such as the path of its file.
    ///
    /// # Errors
    /// [`MasterKeyError::Randomness`].
    pub fn generate(origin: impl Into<String>) -> Result<Self, MasterKeyError> {
        let bytes = random_key().map_err(|_| MasterKeyError::Randomness)?;
        Ok(Self { bytes, origin: origin.into() })
    }

    /// Reads a key as people keep it: 32 bytes, or text of 64 hexadecimal digits or of base64 (RFC 4648 §4), with white
    /// space around it. `origin` names it in errors.
    ///
    /// # Errors
    /// [`MasterKeyError::Malformed`].
    pub fn parse(contents: &[u8], origin: impl Into<String>) -> Result<Self, MasterKeyError> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        let text = contents.trim_ascii();
        match (contents.len(), text.len()) {
            (KEY_LEN, _) => bytes.copy_from_slice(contents),
            (_, HEX_LEN) => from_hex(text, &mut bytes).ok_or(MasterKeyError::Malformed)?,
            (_, BASE64_LEN) => {
                let decoded = Base64::decode(text, bytes.as_mut()).map_err(|_| MasterKeyError::Malformed)?;
                if decoded.len() != KEY_LEN {
                    return Err(MasterKeyError::Malformed);
                }
            }
            _ => return Err(MasterKeyError::Malformed),
        }
        Ok(Self { bytes, origin: origin.into() })
    }

    /// The key as 64 hexadecimal digits, to be kept where only the owner reads it.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(HEX_LEN));
        for byte in self.bytes.iter() {
            for half in [byte >> 4, byte & 0xF] {
                text.extend(char::from_digit(u32::from(half), 16));
            }
        }
        text
    }

    /// What names it in errors.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn secrets_key(&self) -> Option<SecretsKey> {
        SecretsKey::from_bytes(self.bytes.as_ref())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("origin", &self.origin).finish_non_exhaustive()
    }
}

const HEX_LEN: usize = 2 * KEY_LEN;

/// 32 bytes and a padding character.
const BASE64_LEN: usize = 44;

fn from_hex(text: &[u8], bytes: &mut [u8; KEY_LEN]) -> Option<()> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(contents: &[u8]) -> Option<[u8; KEY_LEN]> {
        MasterKey::parse(contents, "test").ok().map(|key| *key.bytes)
    }

    #[test]
    fn a_key_is_read_in_each_form_that_people_keep_it_in() {
        let raw: [u8; KEY_LEN] = std::array::from_fn(|index| u8::try_from(index * 7).unwrap());
        let key = MasterKey::parse(&raw, "test").unwrap();
        let hex = key.to_text();
        assert_eq!(hex.len(), 64);
        assert_eq!(parsed(hex.as_bytes()), Some(raw));
        assert_eq!(parsed(format!("  {}\r\n", hex.to_uppercase()).as_bytes()), Some(raw));
        assert_eq!(parsed(format!("{}\n", Base64::encode_string(&raw)).as_bytes()), Some(raw));
        // Bytes that are white space count when the length is right.
        assert_eq!(parsed(&[b'\n'; KEY_LEN]), Some([b'\n'; KEY_LEN]));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for contents in [
            b"".as_slice(),
            b"secret",
            &[0; 31],
            &[0; 33],
            "ä".repeat(32).as_bytes(),
            "g".repeat(64).as_bytes(),
            "=".repeat(44).as_bytes(),
            Base64::encode_string(&[0; 33]).as_bytes(),
            Base64::encode_string(&[0; 31]).as_bytes(),
        ] {
            assert_eq!(parsed(contents), None, "{contents:?}");
        }
    }

    #[test]
    fn keys_differ_and_debug_shows_where_from_alone() {
        let (one, two) = (MasterKey::generate("a").unwrap(), MasterKey::generate("a").unwrap());
        assert_ne!(one.to_text(), two.to_text());
        assert_eq!(format!("{one:?}"), "MasterKey { origin: \"a\", .. }");
    }
}

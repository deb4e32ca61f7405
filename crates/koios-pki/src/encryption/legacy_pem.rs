//! OpenSSL's traditional encryption of PEM keys: `Proc-Type: 4,ENCRYPTED` and `DEK-Info` (RFC 1421 §4.6.1), with a key
//! derived by one round of MD5 (`EVP_BytesToKey`). Read only, since it protects little.

use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::Unopenable;
use super::cipher::Cipher;

/// The cipher and initialization vector that `DEK-Info` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DekInfo {
    cipher: String,
    iv: Vec<u8>,
}

impl DekInfo {
    /// Reads `AES-256-CBC,0123…`.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (cipher, iv) = value.split_once(',')?;
        let (cipher, iv) = (cipher.trim(), iv.trim());
        // Names are repeated in messages.
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if cipher.is_empty() || cipher.len() > MAX_NAME || !cipher.bytes().all(is_name) {
            return None;
        }
        if iv.is_empty() || iv.len() > 64 || !iv.len().is_multiple_of(2) {
            return None;
        }
        let digits = iv.as_bytes().chunks_exact(2);
        let iv = digits.map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'))?;
            u8::from_str_radix(pair, 16).ok()
        });
        Some(Self { cipher: cipher.to_owned(), iv: iv.collect::<Option<_>>()? })
    }

    /// Judges the cipher, and what it is to open.
    pub(crate) fn check(&self, encrypted: &[u8]) -> Result<LegacyScheme<'_>, Unopenable> {
        let cipher = match self.cipher.as_str() {
            "DES-CBC" => Cipher::Des,
            "DES-EDE3-CBC" => Cipher::TripleDes,
            "AES-128-CBC" => Cipher::Aes128,
            "AES-192-CBC" => Cipher::Aes192,
            "AES-256-CBC" => Cipher::Aes256,
            other => return Err(Unopenable::Algorithm(other.to_owned())),
        };
        cipher.check(&self.iv, encrypted)?;
        let salt = self.iv.get(..8).ok_or(Unopenable::Damaged)?;
        Ok(LegacyScheme { cipher, iv: &self.iv, salt })
    }
}

/// What opens a key.
pub(crate) struct LegacyScheme<'a> {
    cipher: Cipher,
    iv: &'a [u8],
    /// The start of the initialization vector.
    salt: &'a [u8],
}

impl LegacyScheme<'_> {
    /// Opens `encrypted`; `None` when the password is another one, or the data are damaged.
    pub(crate) fn decrypt(&self, password: &str, encrypted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let key = derive(password.as_bytes(), self.salt, self.cipher.key_len());
        self.cipher.decrypt(&key, self.iv, encrypted)
    }
}

/// `EVP_BytesToKey` with MD5 and one iteration.
fn derive(password: &[u8], salt: &[u8], len: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(len + 16));
    let mut block = Zeroizing::new([0_u8; 16]);
    while key.len() < len {
        let mut hash = Md5::new();
        if !key.is_empty() {
            hash.update(block.as_slice());
        }
        hash.update(password);
        hash.update(salt);
        block.copy_from_slice(&hash.finalize());
        key.extend_from_slice(block.as_slice());
    }
    key.truncate(len);
    key
}

/// The longest in use has twelve characters.
const MAX_NAME: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_message_is_a_name_and_what_no_password_opens_is_damage() {
        for value in [
            "AES-128-CBC",
            "AES-128-CBC,",
            ",00",
            "AES-128-CBC,0",
            "AES-128-CBC,+0",
            "AES-128-CBC,zz",
            "<b>AES</b>,00112233",
            "A\u{202E}S,00112233",
            &format!("{},00", "A".repeat(MAX_NAME + 1)),
        ] {
            assert_eq!(DekInfo::parse(value), None, "{value}");
        }
        let check = |value: &str, len: usize| DekInfo::parse(value).unwrap().check(&vec![0; len]).err();
        let vector = "00112233445566778899AABBCCDDEEFF";
        assert_eq!(check(&format!("AES-128-CBC, {vector}"), 32), None);
        for (value, len) in [(&format!("AES-128-CBC,{vector}"), 31), (&format!("AES-128-CBC,{vector}"), 0)] {
            assert_eq!(check(value, len), Some(Unopenable::Damaged), "{value} {len}");
        }
        assert_eq!(check("AES-128-CBC,0011223344556677", 32), Some(Unopenable::Damaged));
        assert_eq!(
            check("CAMELLIA-256-CBC,00", 32),
            Some(Unopenable::Algorithm("CAMELLIA-256-CBC".to_owned()))
        );
    }
}

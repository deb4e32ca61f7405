//! OpenSSL's traditional encryption of PEM keys: `Proc-Type: 4,ENCRYPTED` and `DEK-Info` (RFC 1421 §4.6.1), with a key
//! derived by one round of MD5 (`EVP_BytesToKey`). Read only, since it protects little.

use cbc::cipher::KeyIvInit as _;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::open;

/// The cipher and initialization vector that `DEK-Info` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DekInfo {
    pub(crate) cipher: String,
    iv: Vec<u8>,
}

impl DekInfo {
    /// Reads `AES-256-CBC,0123…`.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (cipher, iv) = value.split_once(',')?;
        let iv = iv.trim();
        if iv.is_empty() || iv.len() > 64 || !iv.len().is_multiple_of(2) {
            return None;
        }
        let digits = iv.as_bytes().chunks_exact(2);
        let iv = digits.map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        });
        Some(Self { cipher: cipher.trim().to_owned(), iv: iv.collect::<Option<_>>()? })
    }

    /// Whether the cipher is one that is opened.
    pub(crate) fn is_known(&self) -> bool {
        self.key_len().is_some()
    }

    /// Opens `encrypted`; `None` when the password is another one, or the data are damaged.
    pub(crate) fn decrypt(&self, password: &str, encrypted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let key = derive(password.as_bytes(), self.iv.get(..8)?, self.key_len()?);
        let (key, iv) = (key.as_slice(), self.iv.as_slice());
        let mut plain = Zeroizing::new(encrypted.to_vec());
        let len = match self.cipher.as_str() {
            "DES-CBC" => open(cbc::Decryptor::<des::Des>::new_from_slices(key, iv).ok()?, &mut plain),
            "DES-EDE3-CBC" => {
                open(cbc::Decryptor::<des::TdesEde3>::new_from_slices(key, iv).ok()?, &mut plain)
            }
            "AES-128-CBC" => open(cbc::Decryptor::<aes::Aes128>::new_from_slices(key, iv).ok()?, &mut plain),
            "AES-192-CBC" => open(cbc::Decryptor::<aes::Aes192>::new_from_slices(key, iv).ok()?, &mut plain),
            "AES-256-CBC" => open(cbc::Decryptor::<aes::Aes256>::new_from_slices(key, iv).ok()?, &mut plain),
            _ => None,
        }?;
        plain.truncate(len);
        Some(plain)
    }

    fn key_len(&self) -> Option<usize> {
        match self.cipher.as_str() {
            "DES-CBC" => Some(8),
            "AES-128-CBC" => Some(16),
            "DES-EDE3-CBC" | "AES-192-CBC" => Some(24),
            "AES-256-CBC" => Some(32),
            _ => None,
        }
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

//! Block ciphers in CBC mode with the padding of PKCS#7 (RFC 8018 §6.1.1), as files in use have them; RC4 is nobody's.

use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt as _, InnerIvInit as _, KeyIvInit as _};
use des::{Des, TdesEde3};
use zeroize::Zeroizing;

use super::Unopenable;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cipher {
    Aes128,
    Aes192,
    Aes256,
    Des,
    TripleDes,
    /// RC2 whose effective key is as long as its key (RFC 2268 §2).
    Rc2Bits40,
    Rc2Bits128,
}

impl Cipher {
    /// In bytes.
    pub(crate) fn key_len(self) -> usize {
        match self {
            Self::Rc2Bits40 => 5,
            Self::Des => 8,
            Self::Aes128 | Self::Rc2Bits128 => 16,
            Self::Aes192 | Self::TripleDes => 24,
            Self::Aes256 => 32,
        }
    }

    /// That of a block and of an initialization vector, in bytes.
    pub(crate) fn block_len(self) -> usize {
        match self {
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
            Self::Des | Self::TripleDes | Self::Rc2Bits40 | Self::Rc2Bits128 => 8,
        }
    }

    /// Refuses what no key opens.
    pub(crate) fn check(self, iv: &[u8], encrypted: &[u8]) -> Result<(), Unopenable> {
        let fits = iv.len() == self.block_len()
            && !encrypted.is_empty()
            && encrypted.len().is_multiple_of(self.block_len());
        if fits { Ok(()) } else { Err(Unopenable::Damaged) }
    }

    /// Opens `encrypted`; `None` when the padding is none, as that of another key is 255 times in 256.
    pub(crate) fn decrypt(self, key: &[u8], iv: &[u8], encrypted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut plain = Zeroizing::new(encrypted.to_vec());
        let data = plain.as_mut_slice();
        let len = match self {
            Self::Aes128 => unpad(Decryptor::<Aes128>::new_from_slices(key, iv).ok()?, data),
            Self::Aes192 => unpad(Decryptor::<Aes192>::new_from_slices(key, iv).ok()?, data),
            Self::Aes256 => unpad(Decryptor::<Aes256>::new_from_slices(key, iv).ok()?, data),
            Self::Des => unpad(Decryptor::<Des>::new_from_slices(key, iv).ok()?, data),
            Self::TripleDes => unpad(Decryptor::<TdesEde3>::new_from_slices(key, iv).ok()?, data),
            Self::Rc2Bits40 | Self::Rc2Bits128 => {
                let rc2 = rc2::Rc2::new_with_eff_key_len(key, key.len().saturating_mul(8));
                unpad(Decryptor::inner_iv_slice_init(rc2, iv).ok()?, data)
            }
        }?;
        plain.truncate(len);
        Some(plain)
    }
}

/// Decrypts in place; the length without the padding.
fn unpad(mode: impl BlockModeDecrypt, data: &mut [u8]) -> Option<usize> {
    Some(mode.decrypt_padded::<Pkcs7>(data).ok()?.len())
}

/// What AES-256 makes of `plain`.
pub(crate) fn encrypt_aes256(key: &[u8; 32], iv: &[u8; 16], plain: &[u8]) -> Vec<u8> {
    cbc::Encryptor::<Aes256>::new(key.into(), iv.into()).encrypt_padded_vec::<Pkcs7>(plain)
}

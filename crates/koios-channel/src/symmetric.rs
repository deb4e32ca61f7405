//! The keys of one direction under one token: HMAC and AES-CBC (OPC 10000-6 §6.7.5), or authenticated encryption
//! (§6.8.1).

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, AES_128_KEY_LEN, AES_256, Algorithm, DecryptingKey, DecryptionContext, EncryptingKey,
    EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{aead, constant_time, hmac};
use koios_pki::SecurityMode;

use crate::error::Fault;
use crate::kdf::KeyMaterial;
use crate::policy::{AES_BLOCK_LEN, Aead, Mac, Symmetric};

/// What secures the chunks of one direction.
pub(crate) struct DirectionKeys<C>(Protection<C>);

/// The keys of what we send.
pub(crate) type SendingKeys = DirectionKeys<EncryptingKey>;
/// The keys of what we receive.
pub(crate) type ReceivingKeys = DirectionKeys<DecryptingKey>;

enum Protection<C> {
    Cbc(Box<Cbc<C>>),
    Aead(AeadKey),
}

/// Where a message stands in its direction; no two stand at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) token_id: u32,
    /// The sequence number of the message before: the one of this message may be encrypted.
    pub(crate) previous_sequence_number: u32,
}

struct Cbc<C> {
    mac: hmac::Key,
    mac_len: usize,
    /// Absent in mode Sign.
    cipher: Option<CbcCipher<C>>,
}

/// A key of AES-CBC and the vector derived with it.
pub(crate) struct CbcCipher<C> {
    key: C,
    vector: [u8; AES_BLOCK_LEN],
}

/// A key of AES for one direction.
pub(crate) trait AesKey: Sized {
    fn bind(key: UnboundCipherKey) -> Result<Self, Unspecified>;
}

impl AesKey for EncryptingKey {
    fn bind(key: UnboundCipherKey) -> Result<Self, Unspecified> {
        Self::cbc(key)
    }
}

impl AesKey for DecryptingKey {
    fn bind(key: UnboundCipherKey) -> Result<Self, Unspecified> {
        Self::cbc(key)
    }
}

/// A key of authenticated encryption.
pub(crate) struct AeadKey {
    key: LessSafeKey,
    vector: [u8; aead::NONCE_LEN],
    encrypts: bool,
}

impl<C: AesKey> DirectionKeys<C> {
    pub(crate) fn of(
        mode: SecurityMode,
        symmetric: Symmetric,
        material: &KeyMaterial,
    ) -> Result<Self, Fault> {
        let encrypts = mode == SecurityMode::SignAndEncrypt;
        Ok(Self(match symmetric {
            Symmetric::Cbc { mac, .. } => Protection::Cbc(Box::new(Cbc::new(encrypts, mac, material)?)),
            Symmetric::Aead(aead) => Protection::Aead(AeadKey::new(aead, material, encrypts)?),
        }))
    }
}

impl<C> DirectionKeys<C> {
    pub(crate) const fn trailer(&self) -> Trailer {
        match &self.0 {
            Protection::Cbc(cbc) => Trailer { signature_len: cbc.mac_len, padded: cbc.cipher.is_some() },
            Protection::Aead(_) => Trailer { signature_len: AEAD_TAG_LEN, padded: false },
        }
    }
}

/// What stands behind the content of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// In bytes.
    pub(crate) signature_len: usize,
    /// Whether padding to whole blocks stands before the signature.
    pub(crate) padded: bool,
}

impl SendingKeys {
    /// Signs `message`, padded already, and encrypts what follows its headers.
    pub(crate) fn protect(
        &self,
        message: &mut Vec<u8>,
        headers_len: usize,
        position: Position,
    ) -> Result<(), Fault> {
        match &self.0 {
            Protection::Cbc(keys) => {
                let mac = hmac::sign(&keys.mac, message);
                message.extend_from_slice(mac.as_ref());
                match &keys.cipher {
                    Some(cipher) => cipher.encrypt(message.get_mut(headers_len..).unwrap_or_default()),
                    None => Ok(()),
                }
            }
            Protection::Aead(key) => key.seal(message, headers_len, position),
        }
    }
}

impl ReceivingKeys {
    /// Decrypts what follows the headers of `message` and cuts off its signature, once that holds.
    pub(crate) fn unprotect(
        &self,
        message: &mut Vec<u8>,
        headers_len: usize,
        position: Position,
    ) -> Result<(), Fault> {
        match &self.0 {
            Protection::Cbc(keys) => {
                if let Some(cipher) = &keys.cipher {
                    cipher.decrypt(message.get_mut(headers_len..).unwrap_or_default())?;
                }
                let signature_at = signature_at(message, headers_len, keys.mac_len)?;
                let (signed, mac) = message.split_at_checked(signature_at).ok_or_else(too_short)?;
                let expected = hmac::sign(&keys.mac, signed);
                constant_time::verify_slices_are_equal(expected.as_ref(), mac)
                    .map_err(|_| Fault::BadSignature)?;
                message.truncate(signature_at);
                Ok(())
            }
            Protection::Aead(key) => key.open(message, headers_len, position),
        }
    }
}

impl<C: AesKey> Cbc<C> {
    fn new(encrypts: bool, mac: Mac, material: &KeyMaterial) -> Result<Self, Fault> {
        let cipher = encrypts.then(|| CbcCipher::new(material)).transpose()?;
        Ok(Self { mac: hmac::Key::new(mac.hmac(), material.signing_key()), mac_len: mac.len(), cipher })
    }
}

impl<C: AesKey> CbcCipher<C> {
    pub(crate) fn new(material: &KeyMaterial) -> Result<Self, Fault> {
        const FAILED: Fault = Fault::Crypto { operation: "setting up AES" };
        let key = material.encryption_key();
        let key = UnboundCipherKey::new(aes(key.len()), key).and_then(C::bind).map_err(|_| FAILED)?;
        let vector = material.initialisation_vector().try_into().map_err(|_| FAILED)?;
        Ok(Self { key, vector })
    }
}

impl CbcCipher<EncryptingKey> {
    /// Encrypts in place.
    pub(crate) fn encrypt(&self, bytes: &mut [u8]) -> Result<(), Fault> {
        // "Less safe" because the caller chooses the vector: OPC 10000-6 derives one per token and uses it for every
        // chunk, whose first block holds the sequence number and so never repeats under one token. That of a user's
        // secret is derived for it alone.
        let context = EncryptionContext::Iv128(FixedLength::from(&self.vector));
        match self.key.less_safe_encrypt(bytes, context) {
            Ok(_) => Ok(()),
            Err(_) => Err(Fault::Crypto { operation: "AES encryption" }),
        }
    }
}

impl CbcCipher<DecryptingKey> {
    /// Decrypts in place.
    fn decrypt(&self, bytes: &mut [u8]) -> Result<(), Fault> {
        if !bytes.len().is_multiple_of(AES_BLOCK_LEN) {
            return Err(Fault::decoding(format!(
                "a cipher text of {} bytes is no whole number of blocks",
                bytes.len()
            )));
        }
        match self.key.decrypt(bytes, DecryptionContext::Iv128(FixedLength::from(&self.vector))) {
            Ok(_) => Ok(()),
            Err(_) => Err(Fault::BadSignature),
        }
    }
}

impl AeadKey {
    pub(crate) fn new(aead: Aead, material: &KeyMaterial, encrypts: bool) -> Result<Self, Fault> {
        const FAILED: Fault = Fault::Crypto { operation: "setting up authenticated encryption" };
        let key = UnboundKey::new(aead.algorithm(), material.encryption_key()).map_err(|_| FAILED)?;
        let vector = material.initialisation_vector().try_into().map_err(|_| FAILED)?;
        Ok(Self { key: LessSafeKey::new(key), vector, encrypts })
    }

    /// Encrypts what follows the headers, unless only signatures are wanted, and appends the tag over all.
    fn seal(&self, message: &mut Vec<u8>, headers_len: usize, position: Position) -> Result<(), Fault> {
        let nonce = self.nonce(position);
        let clear_len = if self.encrypts { headers_len } else { message.len() };
        let (clear, content) = message.split_at_mut_checked(clear_len).ok_or_else(too_short)?;
        let tag = self.seal_part(nonce, clear, content)?;
        message.extend_from_slice(tag.as_ref());
        Ok(())
    }

    fn open(&self, message: &mut Vec<u8>, headers_len: usize, position: Position) -> Result<(), Fault> {
        let tag_at = signature_at(message, headers_len, AEAD_TAG_LEN)?;
        let clear_len = if self.encrypts { headers_len } else { tag_at };
        let (clear, content) = message.split_at_mut_checked(clear_len).ok_or_else(too_short)?;
        self.key
            .open_in_place(self.nonce(position), Aad::from(&*clear), content)
            .map_err(|_| Fault::BadSignature)?;
        message.truncate(tag_at);
        Ok(())
    }

    /// Encrypts a part that is the only one under this key, behind `clear`, which is signed with it.
    pub(crate) fn seal_once(
        &self,
        clear: &[u8],
        content: &mut [u8],
    ) -> Result<impl AsRef<[u8]> + use<>, Fault> {
        self.seal_part(Nonce::assume_unique_for_key(self.vector), clear, content)
    }

    // "Less safe" because the caller chooses the nonce.
    fn seal_part(&self, nonce: Nonce, clear: &[u8], content: &mut [u8]) -> Result<aead::Tag, Fault> {
        self.key
            .seal_in_place_separate_tag(nonce, Aad::from(clear), content)
            .map_err(|_| Fault::Crypto { operation: "authenticated encryption" })
    }

    /// The derived vector, masked with the position (OPC 10000-6 §6.7.2.4).
    fn nonce(&self, position: Position) -> Nonce {
        let masks = position
            .token_id
            .to_le_bytes()
            .into_iter()
            .chain(position.previous_sequence_number.to_le_bytes());
        let mut vector = self.vector;
        for (byte, mask) in vector.iter_mut().zip(masks) {
            *byte ^= mask;
        }
        Nonce::assume_unique_for_key(vector)
    }
}

/// Where the signature begins that a message ends with.
fn signature_at(message: &[u8], headers_len: usize, signature_len: usize) -> Result<usize, Fault> {
    message.len().checked_sub(signature_len).filter(|at| *at >= headers_len).ok_or_else(too_short)
}

pub(crate) fn too_short() -> Fault {
    Fault::decoding("a chunk is shorter than its headers and signature")
}

fn aes(key_len: usize) -> &'static Algorithm {
    if key_len == AES_128_KEY_LEN { &AES_128 } else { &AES_256 }
}

/// Of all algorithms here.
pub(crate) const AEAD_TAG_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use koios_pki::SecurityPolicy;

    use super::*;
    use crate::policy::Algorithms;

    /// NIST SP 800-38A F.2.1 and F.2.5: AES-CBC, the first two blocks.
    #[test]
    fn aes_cbc_gives_the_published_nist_vectors() {
        let iv: [u8; 16] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let plain = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
        for (key, cipher) in [
            (
                "2b7e151628aed2a6abf7158809cf4f3c",
                "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2",
            ),
            (
                "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
                "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d",
            ),
        ] {
            let key = hex(key);
            let unbound = || UnboundCipherKey::new(aes(key.len()), &key).unwrap();
            let sending = CbcCipher { key: EncryptingKey::cbc(unbound()).unwrap(), vector: iv };
            let receiving = CbcCipher { key: DecryptingKey::cbc(unbound()).unwrap(), vector: iv };
            let mut bytes = plain.clone();
            sending.encrypt(&mut bytes).unwrap();
            assert_eq!(bytes, hex(cipher));
            receiving.decrypt(&mut bytes).unwrap();
            assert_eq!(bytes, plain);
        }
    }

    /// RFC 4231 §4.3: HMAC-SHA-256, test case 2.
    #[test]
    fn the_mac_gives_the_published_vector() {
        let mac = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        let sending: SendingKeys =
            DirectionKeys(Protection::Cbc(Box::new(Cbc { mac, mac_len: 32, cipher: None })));
        let text = b"what do ya want for nothing?";
        let mut message = text.to_vec();
        sending.protect(&mut message, 0, ANYWHERE).unwrap();
        let expected = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(message, [text.as_slice(), &expected].concat());
    }

    #[test]
    fn a_cipher_text_that_is_no_whole_number_of_blocks_is_refused() {
        let algorithms = Algorithms::of(SecurityPolicy::Basic256Sha256).unwrap();
        let material = KeyMaterial::of_nonces(&algorithms, &[1; 32], &[2; 32]);
        let keys = ReceivingKeys::of(SecurityMode::SignAndEncrypt, algorithms.symmetric, &material).unwrap();
        for len in [0, 17] {
            let refused = keys.unprotect(&mut vec![0; len], 0, ANYWHERE);
            assert!(matches!(refused, Err(Fault::Decoding { .. })), "{len}");
        }
    }

    const ANYWHERE: Position = Position { token_id: 0, previous_sequence_number: 0 };

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }
}

//! The keys of one direction under one token: HMAC and AES-CBC (OPC 10000-6 §6.7.5).

use aws_lc_rs::cipher::{
    AES_128, AES_128_KEY_LEN, AES_256, Algorithm, DecryptingKey, DecryptionContext, EncryptingKey,
    EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{constant_time, hmac};
use koios_pki::SecurityMode;

use crate::error::Fault;
use crate::kdf::KeyMaterial;
use crate::policy::{AES_BLOCK_LEN, Mac};

/// What secures the chunks of one direction.
pub(crate) struct DirectionKeys<C> {
    mac: hmac::Key,
    mac_len: usize,
    /// Absent in mode Sign.
    cipher: Option<(C, [u8; AES_BLOCK_LEN])>,
}

/// The keys of what we send.
pub(crate) type SendingKeys = DirectionKeys<EncryptingKey>;
/// The keys of what we receive.
pub(crate) type ReceivingKeys = DirectionKeys<DecryptingKey>;

impl<C> DirectionKeys<C> {
    fn new(
        mode: SecurityMode,
        mac: Mac,
        material: &KeyMaterial,
        bind: impl FnOnce(UnboundCipherKey) -> Result<C, aws_lc_rs::error::Unspecified>,
    ) -> Result<Self, Fault> {
        let failed = |_| Fault::Crypto { operation: "setting up AES" };
        let cipher = match mode {
            SecurityMode::SignAndEncrypt => {
                let key = material.encryption_key();
                let cipher =
                    bind(UnboundCipherKey::new(aes(key.len()), key).map_err(failed)?).map_err(failed)?;
                let iv = material.initialisation_vector().try_into();
                Some((cipher, iv.map_err(|_| Fault::Crypto { operation: "setting up AES" })?))
            }
            SecurityMode::None | SecurityMode::Sign => None,
        };
        Ok(Self { mac: hmac::Key::new(mac.hmac(), material.signing_key()), mac_len: mac.len(), cipher })
    }

    /// In bytes.
    pub(crate) const fn mac_len(&self) -> usize {
        self.mac_len
    }

    pub(crate) const fn encrypts(&self) -> bool {
        self.cipher.is_some()
    }
}

impl SendingKeys {
    pub(crate) fn of(mode: SecurityMode, mac: Mac, material: &KeyMaterial) -> Result<Self, Fault> {
        Self::new(mode, mac, material, EncryptingKey::cbc)
    }

    pub(crate) fn mac(&self, message: &[u8]) -> hmac::Tag {
        hmac::sign(&self.mac, message)
    }

    /// Encrypts in place; a no-op in mode Sign.
    pub(crate) fn encrypt(&self, bytes: &mut [u8]) -> Result<(), Fault> {
        let Some((cipher, iv)) = &self.cipher else { return Ok(()) };
        // "Less safe" because the caller chooses the vector: OPC 10000-6 derives one per token and uses it for every
        // chunk, whose first block holds the sequence number and so never repeats under one token.
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        match cipher.less_safe_encrypt(bytes, context) {
            Ok(_) => Ok(()),
            Err(_) => Err(Fault::Crypto { operation: "AES encryption" }),
        }
    }
}

impl ReceivingKeys {
    pub(crate) fn of(mode: SecurityMode, mac: Mac, material: &KeyMaterial) -> Result<Self, Fault> {
        Self::new(mode, mac, material, DecryptingKey::cbc)
    }

    /// Whether `mac` belongs to `message`, in constant time.
    pub(crate) fn verify(&self, message: &[u8], mac: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(hmac::sign(&self.mac, message).as_ref(), mac).is_ok()
    }

    /// Decrypts in place; a no-op in mode Sign.
    pub(crate) fn decrypt(&self, bytes: &mut [u8]) -> Result<(), Fault> {
        let Some((cipher, iv)) = &self.cipher else { return Ok(()) };
        if !bytes.len().is_multiple_of(AES_BLOCK_LEN) {
            return Err(Fault::decoding(format!(
                "a cipher text of {} bytes is no whole number of blocks",
                bytes.len()
            )));
        }
        match cipher.decrypt(bytes, DecryptionContext::Iv128(FixedLength::from(iv))) {
            Ok(_) => Ok(()),
            Err(_) => Err(Fault::BadSignature),
        }
    }
}

fn aes(key_len: usize) -> &'static Algorithm {
    if key_len == AES_128_KEY_LEN { &AES_128 } else { &AES_256 }
}

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
            let mac = || hmac::Key::new(hmac::HMAC_SHA256, b"");
            let sending = SendingKeys {
                mac: mac(),
                mac_len: 32,
                cipher: Some((EncryptingKey::cbc(unbound()).unwrap(), iv)),
            };
            let receiving = ReceivingKeys {
                mac: mac(),
                mac_len: 32,
                cipher: Some((DecryptingKey::cbc(unbound()).unwrap(), iv)),
            };
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
        let sending =
            SendingKeys { mac: hmac::Key::new(hmac::HMAC_SHA256, b"Jefe"), mac_len: 32, cipher: None };
        let expected = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(sending.mac(b"what do ya want for nothing?").as_ref(), expected);
    }

    #[test]
    fn a_cipher_text_that_is_no_whole_number_of_blocks_is_refused() {
        let algorithms = Algorithms::of(SecurityPolicy::Basic256Sha256).unwrap();
        let material = KeyMaterial::of_nonces(&algorithms, &[1; 32], &[2; 32]);
        let keys = ReceivingKeys::of(SecurityMode::SignAndEncrypt, algorithms.mac, &material).unwrap();
        assert!(matches!(keys.decrypt(&mut [0; 17]), Err(Fault::Decoding { .. })));
        keys.decrypt(&mut []).unwrap();
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }
}

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::KeyPair as _;
use zeroize::Zeroizing;

use crate::{EncryptionScheme, KeyError, RsaPublicKey, SignatureScheme};

/// An RSA private key of 2048 to 4096 bits: signs and decrypts.
///
/// It comes out of [`crate::PrivateKey::as_rsa`] and, like that one, cannot be cloned, printed or serialised.
#[expect(missing_debug_implementations, reason = "a private key is never printed")]
pub struct RsaPrivateKey {
    signing: KeyPair,
    decrypting: OaepPrivateDecryptingKey,
    public_key: RsaPublicKey,
}

impl RsaPrivateKey {
    pub(super) fn generate(size: KeySize) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        Self::new(KeyPair::generate(size).map_err(|_| KeyError::Generation)?)
    }

    /// Reads a DER `RSAPrivateKey` (RFC 8017 §A.1.2).
    pub(super) fn from_pkcs1_der(der: &[u8]) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        let key = pkcs1::RsaPrivateKeyRef::try_from(der).map_err(|_| KeyError::Malformed)?;
        let public = der::Encode::to_der(&key.public_key()).map_err(|_| KeyError::Malformed)?;
        // The size first: the library's own refusal of a short key would not say so.
        RsaPublicKey::from_pkcs1_der(&public)?;
        Self::new(KeyPair::from_der(der).map_err(|_| KeyError::Malformed)?)
    }

    /// The key, and itself as PKCS#8.
    fn new(signing: KeyPair) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        let public_key = RsaPublicKey::from_pkcs1_der(signing.public_key().as_ref())?;
        let encoded = signing.as_der().map_err(|_| KeyError::Encoding)?;
        let pkcs8 = Zeroizing::new(encoded.as_ref().to_vec());
        let decrypting = PrivateDecryptingKey::from_pkcs8(&pkcs8)
            .ok()
            .and_then(|key| OaepPrivateDecryptingKey::new(key).ok())
            .ok_or(KeyError::Malformed)?;
        Ok((Self { signing, decrypting, public_key }, pkcs8))
    }

    /// The public half.
    pub fn public_key(&self) -> &RsaPublicKey {
        &self.public_key
    }

    /// The length of the modulus, in bits.
    pub fn bits(&self) -> u32 {
        self.public_key.bits()
    }

    /// The length of the modulus, which is that of a signature and of an encrypted block, in bytes.
    pub fn modulus_len(&self) -> usize {
        self.public_key.modulus_len()
    }

    /// Signs `message`, which is hashed here; the signature has [`RsaPrivateKey::modulus_len`] bytes.
    ///
    /// # Errors
    /// [`KeyError::Signing`] when the cryptographic library refuses, for example without randomness for PSS.
    pub fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.signing.public_modulus_len()];
        self.signing
            .sign(scheme.encoding(), &SystemRandom::new(), message, &mut signature)
            .map_err(|_| KeyError::Signing)?;
        Ok(signature)
    }

    /// Decrypts one RSAES-OAEP block (RFC 8017 §7.1).
    ///
    /// # Errors
    /// [`KeyError::Decryption`] when the block was not encrypted for this key with this scheme.
    pub fn decrypt_block(&self, scheme: EncryptionScheme, block: &[u8]) -> Result<DecryptedBlock, KeyError> {
        let mut plain = Zeroizing::new(vec![0; self.decrypting.min_output_size()]);
        let len = self
            .decrypting
            .decrypt(scheme.algorithm(), block, &mut plain, None)
            .map_err(|_| KeyError::Decryption)?
            .len();
        plain.truncate(len);
        Ok(DecryptedBlock(plain))
    }
}

/// What one block held, in memory that is overwritten when it is dropped.
#[expect(missing_debug_implementations, reason = "what was encrypted is never printed")]
pub struct DecryptedBlock(Zeroizing<Vec<u8>>);

impl DecryptedBlock {
    /// The secret bytes.
    pub fn secret_bytes(&self) -> &[u8] {
        &self.0
    }
}

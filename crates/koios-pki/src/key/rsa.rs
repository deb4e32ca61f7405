use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
#[cfg(feature = "deprecated-policies")]
use aws_lc_rs::rsa::Pkcs1PrivateDecryptingKey;
use aws_lc_rs::rsa::{
    KeyPair, KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    PrivateDecryptingKey,
};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaSignatureEncoding};
use zeroize::Zeroizing;

#[cfg(feature = "deprecated-policies")]
use crate::deprecated::{self, DeprecatedPrivateKey, Sha1Signer};
use crate::{EncryptionScheme, KeyError, RsaPublicKey, SignatureScheme};

/// An RSA private key of 2048 to 4096 bits, with the feature `deprecated-policies` from 1024 bits: signs and decrypts.
///
/// It comes out of [`crate::PrivateKey::as_rsa`] and, like that one, cannot be cloned, printed or serialised.
#[expect(missing_debug_implementations, reason = "a private key is never printed")]
pub struct RsaPrivateKey {
    parts: Parts,
    public_key: RsaPublicKey,
}

enum Parts {
    /// The library has the key.
    Library(Library),
    #[cfg(feature = "deprecated-policies")]
    Short(DeprecatedPrivateKey),
}

/// The key for each thing that the library does with it.
struct Library {
    signing: KeyPair,
    oaep: OaepPrivateDecryptingKey,
    /// It shares the key of `oaep`.
    #[cfg(feature = "deprecated-policies")]
    pkcs1: Pkcs1PrivateDecryptingKey,
    #[cfg(feature = "deprecated-policies")]
    sha1: Sha1Signer,
}

impl RsaPrivateKey {
    pub(super) fn generate(size: KeySize) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        let signing = KeyPair::generate(size).map_err(|_| KeyError::Generation)?;
        let public_key = RsaPublicKey::from_pkcs1_der(signing.public_key().as_ref())?;
        Self::new(signing, public_key)
    }

    /// Reads a DER `RSAPrivateKey` (RFC 8017 §A.1.2).
    pub(super) fn from_pkcs1_der(der: &[u8]) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        let key = pkcs1::RsaPrivateKeyRef::try_from(der).map_err(|_| KeyError::Malformed)?;
        let public = der::Encode::to_der(&key.public_key()).map_err(|_| KeyError::Malformed)?;
        // The size first: the library's own refusal of a short key would not say so.
        let public_key = RsaPublicKey::from_pkcs1_der(&public)?;
        #[cfg(feature = "deprecated-policies")]
        if deprecated::is_short(public_key.bits()) {
            let (key, pkcs8) = DeprecatedPrivateKey::from_pkcs1_der(der)?;
            return Ok((Self { parts: Parts::Short(key), public_key }, pkcs8));
        }
        Self::new(KeyPair::from_der(der).map_err(|_| KeyError::Malformed)?, public_key)
    }

    /// The key, and itself as PKCS#8.
    fn new(signing: KeyPair, public_key: RsaPublicKey) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        let encoded = signing.as_der().map_err(|_| KeyError::Encoding)?;
        let pkcs8 = Zeroizing::new(encoded.as_ref().to_vec());
        let library = Library::new(signing, &pkcs8)?;
        Ok((Self { parts: Parts::Library(library), public_key }, pkcs8))
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
        match (&self.parts, scheme) {
            (Parts::Library(key), SignatureScheme::RsaPkcs1Sha256) => key.sign(&RSA_PKCS1_SHA256, message),
            (Parts::Library(key), SignatureScheme::RsaPssSha256) => key.sign(&RSA_PSS_SHA256, message),
            #[cfg(feature = "deprecated-policies")]
            (Parts::Library(key), SignatureScheme::RsaPkcs1Sha1) => key.sha1.sign(&key.signing, message),
            #[cfg(feature = "deprecated-policies")]
            (Parts::Short(key), scheme) => key.sign(scheme, message),
        }
    }

    /// Decrypts one block (RFC 8017 §7).
    ///
    /// # Errors
    /// [`KeyError::Decryption`] when the block was not encrypted for this key with this scheme.
    pub fn decrypt_block(&self, scheme: EncryptionScheme, block: &[u8]) -> Result<DecryptedBlock, KeyError> {
        let plain = match (&self.parts, scheme) {
            (Parts::Library(key), EncryptionScheme::OaepSha1) => key.decrypt_oaep(&OAEP_SHA1_MGF1SHA1, block),
            (Parts::Library(key), EncryptionScheme::OaepSha256) => {
                key.decrypt_oaep(&OAEP_SHA256_MGF1SHA256, block)
            }
            #[cfg(feature = "deprecated-policies")]
            (Parts::Library(key), EncryptionScheme::Pkcs1V15) => key.decrypt_pkcs1(block),
            #[cfg(feature = "deprecated-policies")]
            (Parts::Short(key), scheme) => key.decrypt(scheme, block),
        };
        plain.map(DecryptedBlock)
    }
}

impl Library {
    fn new(signing: KeyPair, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let decrypting = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(|_| KeyError::Malformed)?;
        Ok(Self {
            signing,
            #[cfg(feature = "deprecated-policies")]
            pkcs1: Pkcs1PrivateDecryptingKey::new(decrypting.clone()).map_err(|_| KeyError::Malformed)?,
            #[cfg(feature = "deprecated-policies")]
            sha1: Sha1Signer::default(),
            oaep: OaepPrivateDecryptingKey::new(decrypting).map_err(|_| KeyError::Malformed)?,
        })
    }

    fn sign(&self, encoding: &'static RsaSignatureEncoding, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.signing.public_modulus_len()];
        self.signing
            .sign(encoding, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| KeyError::Signing)?;
        Ok(signature)
    }

    fn decrypt_oaep(
        &self,
        algorithm: &'static OaepAlgorithm,
        block: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let mut plain = Zeroizing::new(vec![0; self.oaep.min_output_size()]);
        let len =
            self.oaep.decrypt(algorithm, block, &mut plain, None).map_err(|_| KeyError::Decryption)?.len();
        plain.truncate(len);
        Ok(plain)
    }

    #[cfg(feature = "deprecated-policies")]
    fn decrypt_pkcs1(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let mut plain = Zeroizing::new(vec![0; self.pkcs1.min_output_size()]);
        let len = self.pkcs1.decrypt(block, &mut plain).map_err(|_| KeyError::Decryption)?.len();
        plain.truncate(len);
        Ok(plain)
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

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::KeyPair as _;
use zeroize::Zeroizing;

use crate::{Certificate, OaepHash, PublicKey, SignatureScheme, pem};

/// The kind of key to generate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KeySpec {
    /// RSA with 2048 bits: every server takes it, and it connects fastest.
    #[default]
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits, the longest the security policies allow.
    Rsa4096,
}

impl KeySpec {
    /// Every kind, shortest first.
    pub const ALL: [Self; 3] = [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// The kind with a modulus of `bits` bits, if keys of that length are generated.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        match bits {
            2048 => Some(Self::Rsa2048),
            3072 => Some(Self::Rsa3072),
            4096 => Some(Self::Rsa4096),
            _ => None,
        }
    }

    /// The length of the modulus, in bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Rsa2048 => 2048,
            Self::Rsa3072 => 3072,
            Self::Rsa4096 => 4096,
        }
    }
}

/// An RSA private key of 2048 to 4096 bits, parsed once.
///
/// It cannot be cloned, printed or serialised; the one way out is [`PrivateKey::to_pem`]. Its memory is
/// overwritten when it is dropped, here and in the cryptographic library.
///
/// ```compile_fail,E0277
/// fn prints(key: koios_pki::PrivateKey) -> String { format!("{key:?}") }
/// ```
/// ```compile_fail,E0599
/// fn displays(key: koios_pki::PrivateKey) -> String { key.to_string() }
/// ```
/// ```compile_fail,E0599
/// fn clones(key: &koios_pki::PrivateKey) -> koios_pki::PrivateKey { key.clone() }
/// ```
#[expect(missing_debug_implementations, reason = "a private key is never printed")]
pub struct PrivateKey {
    signing: KeyPair,
    decrypting: OaepPrivateDecryptingKey,
    public_key: PublicKey,
    /// Kept so that writing the key cannot fail once it exists.
    pkcs8: Zeroizing<Vec<u8>>,
}

impl PrivateKey {
    /// Generates a key.
    ///
    /// Takes from 50 ms to some seconds of CPU, by chance and length: never call it on an async reactor.
    ///
    /// # Errors
    /// [`KeyError::Generation`] when the system's randomness fails.
    pub fn generate(spec: KeySpec) -> Result<Self, KeyError> {
        let size = match spec {
            KeySpec::Rsa2048 => KeySize::Rsa2048,
            KeySpec::Rsa3072 => KeySize::Rsa3072,
            KeySpec::Rsa4096 => KeySize::Rsa4096,
        };
        Self::new(KeyPair::generate(size).map_err(|_| KeyError::Generation)?)
    }

    /// Reads what [`PrivateKey::to_pem`] wrote: one PKCS#8 block. What people upload goes through
    /// [`crate::read_pair`].
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when it is not exactly one PKCS#8 RSA key, [`KeyError::UnsupportedSize`] when it has
    /// fewer than 2048 or more than 4096 bits.
    pub fn from_pem(pem: &PrivateKeyPem) -> Result<Self, KeyError> {
        let blocks = pem::blocks(pem.secret_bytes()).map_err(|_| KeyError::Malformed)?;
        match blocks.as_slice() {
            [block] if block.label == PKCS8_LABEL => Self::from_pkcs8_der(&block.der),
            _ => Err(KeyError::Malformed),
        }
    }

    /// Reads a DER `PrivateKeyInfo` (RFC 5958) whose algorithm is `rsaEncryption`.
    pub(crate) fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = pkcs8::PrivateKeyInfoRef::try_from(der).map_err(|_| KeyError::Malformed)?;
        if info.algorithm.oid != pkcs1::ALGORITHM_OID {
            return Err(KeyError::UnsupportedAlgorithm { algorithm: info.algorithm.oid.to_string() });
        }
        Self::from_pkcs1_der(info.private_key.as_bytes())
    }

    /// Reads a DER `RSAPrivateKey` (RFC 8017 §A.1.2).
    pub(crate) fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = pkcs1::RsaPrivateKeyRef::try_from(der).map_err(|_| KeyError::Malformed)?;
        let public = pkcs1_public_key(&key)?;
        // The size first: the library's own refusal of a short key would not say so.
        PublicKey::from_pkcs1_der(&public)?;
        Self::new(KeyPair::from_der(der).map_err(|_| KeyError::Malformed)?)
    }

    fn new(signing: KeyPair) -> Result<Self, KeyError> {
        let public_key = PublicKey::from_pkcs1_der(signing.public_key().as_ref())?;
        let encoded = signing.as_der().map_err(|_| KeyError::Encoding)?;
        let pkcs8 = Zeroizing::new(encoded.as_ref().to_vec());
        let decrypting = PrivateDecryptingKey::from_pkcs8(&pkcs8)
            .ok()
            .and_then(|key| OaepPrivateDecryptingKey::new(key).ok())
            .ok_or(KeyError::Malformed)?;
        Ok(Self { signing, decrypting, public_key, pkcs8 })
    }

    /// The key as one unencrypted PKCS#8 PEM block (RFC 7468 §10).
    pub fn to_pem(&self) -> PrivateKeyPem {
        let text = pem::encode(PKCS8_LABEL, &self.pkcs8);
        PrivateKeyPem(Zeroizing::new(text.as_bytes().to_vec()))
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
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

    /// Signs `message`, which is hashed here; the signature has [`PrivateKey::modulus_len`] bytes.
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
    /// [`KeyError::Decryption`] when the block was not encrypted for this key with this hash.
    pub fn decrypt_block(&self, hash: OaepHash, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let mut plain = Zeroizing::new(vec![0; self.decrypting.min_output_size()]);
        let len = self
            .decrypting
            .decrypt(hash.algorithm(), block, &mut plain, None)
            .map_err(|_| KeyError::Decryption)?
            .len();
        plain.truncate(len);
        Ok(plain)
    }

    /// Whether this is the private half of the certificate's key.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        certificate.public_key().is_ok_and(|key| key == self.public_key)
    }
}

/// A private key as unencrypted PKCS#8 PEM, in memory that is overwritten when it is dropped.
///
/// Nobody but this crate reads what is inside; others store and stream the bytes.
///
/// ```compile_fail,E0277
/// fn prints(pem: koios_pki::PrivateKeyPem) -> String { format!("{pem:?}") }
/// ```
/// ```compile_fail,E0599
/// fn displays(pem: koios_pki::PrivateKeyPem) -> String { pem.to_string() }
/// ```
/// ```compile_fail,E0599
/// fn clones(pem: &koios_pki::PrivateKeyPem) -> koios_pki::PrivateKeyPem { pem.clone() }
/// ```
#[expect(missing_debug_implementations, reason = "a private key is never printed")]
pub struct PrivateKeyPem(Zeroizing<Vec<u8>>);

impl PrivateKeyPem {
    /// Takes bytes as they were stored; [`PrivateKey::from_pem`] judges them.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret bytes, to be written where only the owner reads them.
    pub fn secret_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What can go wrong with a key; never says anything about its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not an RSA key.
    #[error("the key is of a kind no supported security policy takes ({algorithm})")]
    UnsupportedAlgorithm {
        /// The object identifier of the key's algorithm or curve, dotted.
        algorithm: String,
    },
    /// An RSA key of a length that no supported security policy takes.
    #[error("the RSA key has {bits} bits; the security policies take 2048 to 4096")]
    UnsupportedSize {
        /// The length of its modulus.
        bits: u32,
    },
    /// Not the encoding of a key, or of one whose parts do not fit together.
    #[error("the key is malformed or inconsistent in itself")]
    Malformed,
    /// The system's randomness failed.
    #[error("the key could not be generated")]
    Generation,
    /// The key could not be written.
    #[error("the key could not be encoded")]
    Encoding,
    /// The cryptographic library refused to sign.
    #[error("the message could not be signed")]
    Signing,
    /// Too long for one block.
    #[error("{len} bytes do not fit into one block of at most {max}")]
    PlainTextTooLong {
        /// Bytes given.
        len: usize,
        /// Bytes that fit.
        max: usize,
    },
    /// The cryptographic library refused to encrypt.
    #[error("the block could not be encrypted")]
    Encryption,
    /// Not encrypted for this key, or damaged; deliberately without detail (RFC 8017 §7.1.2).
    #[error("the block could not be decrypted")]
    Decryption,
}

fn pkcs1_public_key(key: &pkcs1::RsaPrivateKeyRef<'_>) -> Result<Vec<u8>, KeyError> {
    der::Encode::to_der(&key.public_key()).map_err(|_| KeyError::Malformed)
}

const PKCS8_LABEL: &str = "PRIVATE KEY";

#[cfg(test)]
mod tests {
    use super::*;

    /// Two implementations of `check` apply to a type with the trait, and then nothing can choose between them; so
    /// this compiles only while the type lacks the trait.
    macro_rules! assert_lacks {
        ($type:ty: $trait:path) => {{
            trait Lacks<Marker> {
                fn check() {}
            }
            struct Has;
            impl<T: ?Sized> Lacks<()> for T {}
            impl<T: ?Sized + $trait> Lacks<Has> for T {}
            <$type as Lacks<_>>::check();
        }};
    }

    #[test]
    fn private_keys_cannot_be_printed_displayed_or_cloned() {
        assert_lacks!(PrivateKey: std::fmt::Debug);
        assert_lacks!(PrivateKey: std::fmt::Display);
        assert_lacks!(PrivateKey: Clone);
        assert_lacks!(PrivateKeyPem: std::fmt::Debug);
        assert_lacks!(PrivateKeyPem: std::fmt::Display);
        assert_lacks!(PrivateKeyPem: Clone);
    }

    #[test]
    fn keys_may_be_used_from_many_threads() {
        fn assert_shared<T: Send + Sync + 'static>() {}
        assert_shared::<PrivateKey>();
        assert_shared::<PrivateKeyPem>();
        assert_shared::<PublicKey>();
        assert_shared::<Certificate>();
    }
}

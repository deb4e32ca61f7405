use zeroize::Zeroizing;

use crate::{Certificate, OaepHash, PublicKey, SignatureScheme};

/// The kind of key to generate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KeySpec {
    /// RSA with 2048 bits, which every server takes.
    #[default]
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits, the longest the policies allow.
    Rsa4096,
}

impl KeySpec {
    /// The key with a modulus of `bits` bits, if keys of that length are generated.
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

/// A private key, parsed once.
#[expect(missing_debug_implementations, reason = "a private key is never printed")]
pub struct PrivateKey {
    public_key: PublicKey,
}

impl PrivateKey {
    /// Generates a key; takes from 50 ms to several seconds of CPU, so never on an async reactor.
    ///
    /// # Errors
    /// When the system's randomness fails.
    pub fn generate(_spec: KeySpec) -> Result<Self, KeyError> {
        todo!()
    }

    /// Reads what [`PrivateKey::to_pem`] wrote.
    ///
    /// # Errors
    /// When it is no RSA key of 2048 to 4096 bits.
    pub fn from_pem(_pem: &PrivateKeyPem) -> Result<Self, KeyError> {
        todo!()
    }

    /// The key as PKCS#8 PEM.
    pub fn to_pem(&self) -> PrivateKeyPem {
        todo!()
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The length of the modulus, in bits.
    pub fn bits(&self) -> u32 {
        self.public_key.bits()
    }

    /// The length of the modulus, of a signature and of an encrypted block, in bytes.
    pub fn modulus_len(&self) -> usize {
        self.public_key.modulus_len()
    }

    /// Signs `message`.
    ///
    /// # Errors
    /// When the cryptographic library refuses.
    pub fn sign(&self, _scheme: SignatureScheme, _message: &[u8]) -> Result<Vec<u8>, KeyError> {
        todo!()
    }

    /// Decrypts one RSAES-OAEP block.
    ///
    /// # Errors
    /// When the block is not one encrypted for this key.
    pub fn decrypt_block(&self, _hash: OaepHash, _block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        todo!()
    }

    /// Whether this is the private half of the certificate's key.
    pub fn matches(&self, _certificate: &Certificate) -> bool {
        todo!()
    }
}

/// A private key as PKCS#8 PEM bytes.
#[expect(missing_debug_implementations, reason = "a private key is never printed")]
pub struct PrivateKeyPem(Zeroizing<Vec<u8>>);

impl PrivateKeyPem {
    /// Takes bytes as they were stored, unjudged.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret bytes.
    pub fn secret_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What can go wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key is no RSA key.
    #[error("the key is of an unsupported kind ({algorithm})")]
    UnsupportedAlgorithm {
        /// Name or object identifier.
        algorithm: String,
    },
    /// An RSA key outside of 2048 to 4096 bits.
    #[error("the RSA key has {bits} bits; OPC UA security policies allow 2048 to 4096")]
    UnsupportedSize {
        /// The length of its modulus.
        bits: u32,
    },
    /// Not readable.
    #[error("the key is malformed")]
    Malformed,
    /// The system's randomness failed.
    #[error("key generation failed")]
    Generation,
    /// Signing failed.
    #[error("signing failed")]
    Signing,
    /// Too long for one block.
    #[error("{len} bytes do not fit into one block of at most {max}")]
    PlainTextTooLong {
        /// Bytes given.
        len: usize,
        /// Bytes that fit.
        max: usize,
    },
    /// Encryption failed.
    #[error("encryption failed")]
    Encryption,
    /// Not encrypted for this key, or damaged; deliberately without detail.
    #[error("decryption failed")]
    Decryption,
}

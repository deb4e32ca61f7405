//! Private keys at rest: PKCS#8 encrypted under a random secret, which needs no slow key derivation.

use zeroize::Zeroizing;

use super::{PKCS8_LABEL, PrivateKeyPem};
use crate::encryption::pbes2::Encryption;
use crate::encryption::{EncryptedKeyInfo, EncryptionSeed, Password};
use crate::{KeyError, pem};

/// As OpenSSL writes. Iterations make guessing dear, and 256 random bits are not guessed.
const ITERATIONS: u32 = 2048;

/// A random secret under which private keys lie encrypted ([`PrivateKeyPem::wrap`]).
///
/// It cannot be cloned or printed, and its memory is overwritten when it is dropped.
///
/// ```compile_fail,E0277
/// fn prints(secret: koios_pki::WrappingSecret) -> String { format!("{secret:?}") }
/// ```
#[expect(missing_debug_implementations, reason = "a secret is never printed")]
pub struct WrappingSecret(Zeroizing<String>);

impl WrappingSecret {
    /// Takes 32 bytes of a random generator that is fit for cryptography.
    pub fn from_random_bytes(bytes: &[u8; 32]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(64));
        for byte in bytes {
            for half in [byte >> 4, byte & 0xF] {
                text.extend(char::from_digit(u32::from(half), 16));
            }
        }
        Self(text)
    }

    /// The passphrase that other programs open the keys with: the bytes as 64 lower-case hexadecimal digits.
    pub fn passphrase(&self) -> &str {
        &self.0
    }
}

impl PrivateKeyPem {
    /// The key as one PKCS#8 PEM block, encrypted with PBES2: PBKDF2 over HMAC-SHA-256 and AES-256-CBC (RFC 7468 §11,
    /// RFC 8018).
    ///
    /// The encryption does not notice a change of the file: whoever keeps it keeps its hash too.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when this is not exactly one unencrypted PKCS#8 block.
    pub fn wrap(&self, secret: &WrappingSecret, seed: &EncryptionSeed) -> Result<Vec<u8>, KeyError> {
        let blocks = pem::blocks(self.secret_bytes()).map_err(|_| KeyError::Malformed)?;
        let [block] = blocks.as_slice() else { return Err(KeyError::Malformed) };
        if block.label != PKCS8_LABEL {
            return Err(KeyError::Malformed);
        }
        let [(salt, iv), _] = seed.halves();
        let encryption = Encryption::pbkdf2(salt, iv, ITERATIONS);
        let der = EncryptedKeyInfo::write(&encryption, secret.passphrase(), &block.der)?;
        Ok(pem::encode(ENCRYPTED_LABEL, &der).as_bytes().to_vec())
    }

    /// Opens what [`PrivateKeyPem::wrap`] made.
    ///
    /// # Errors
    /// [`KeyError::Unwrapping`] when it was made under another secret, or is damaged.
    pub fn unwrap_from(wrapped: &[u8], secret: &WrappingSecret) -> Result<Self, KeyError> {
        let blocks = pem::blocks(wrapped).map_err(|_| KeyError::Unwrapping)?;
        let [block] = blocks.as_slice() else { return Err(KeyError::Unwrapping) };
        let der = unwrapped(block, secret).ok_or(KeyError::Unwrapping)?;
        Ok(Self::from_bytes(pem::encode(PKCS8_LABEL, &der).as_bytes().to_vec()))
    }

    /// Whether these bytes are a private key that is encrypted.
    pub fn is_wrapped(bytes: &[u8]) -> bool {
        pem::blocks(bytes)
            .is_ok_and(|blocks| matches!(blocks.as_slice(), [block] if block.label == ENCRYPTED_LABEL))
    }
}

fn unwrapped(block: &pem::Block<'_>, secret: &WrappingSecret) -> Option<Zeroizing<Vec<u8>>> {
    if block.label != ENCRYPTED_LABEL {
        return None;
    }
    let info = EncryptedKeyInfo::read(&block.der).ok()?;
    let opened = info.scheme().ok()?.decrypt(Password::Text(secret.passphrase()), info.encrypted)?;
    // One wrong secret in 256 leaves padding that looks right, and noise before it.
    pkcs8::PrivateKeyInfoRef::try_from(opened.as_slice()).ok()?;
    Some(opened)
}

/// RFC 7468 §11.
pub(super) const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";

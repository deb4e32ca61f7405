//! Private keys: made, read, written, and lent to whoever signs with them.

mod ec;
mod rsa;
mod wrapping;

use std::fmt;

use aws_lc_rs::rsa::KeySize;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef};
use der::{Decode as _, Sequence};
use zeroize::Zeroizing;

pub use self::ec::EcPrivateKey;
pub use self::rsa::{DecryptedBlock, RsaPrivateKey};
pub use self::wrapping::WrappingSecret;
use crate::encryption::EncryptedKeyInfo;
use crate::encryption::pbes2::Encryption;
use crate::public_key::{EC_PUBLIC_KEY, LEAST_RSA_BITS, curve_of};
use crate::{Certificate, Curve, EncryptionSeed, KeyAlgorithm, PublicKey, SignatureScheme, pem};

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
    /// ECDSA on NIST P-256, for the policy `ECC_nistP256`.
    EcP256,
    /// ECDSA on NIST P-384, for the policies `ECC_nistP384` and `ECC_nistP256`.
    EcP384,
}

impl KeySpec {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::EcP256, Self::EcP384];

    /// The kind of RSA key with a modulus of `bits` bits, if keys of that length are generated.
    pub const fn rsa(bits: u32) -> Option<Self> {
        match bits {
            2048 => Some(Self::Rsa2048),
            3072 => Some(Self::Rsa3072),
            4096 => Some(Self::Rsa4096),
            _ => None,
        }
    }

    /// The kind of key on `curve`.
    pub const fn ec(curve: Curve) -> Self {
        match curve {
            Curve::P256 => Self::EcP256,
            Curve::P384 => Self::EcP384,
        }
    }

    /// The kind that makes keys like `algorithm`, if such keys are generated.
    pub const fn of(algorithm: &KeyAlgorithm) -> Option<Self> {
        match algorithm {
            KeyAlgorithm::Rsa { bits } => Self::rsa(*bits),
            KeyAlgorithm::Ec { curve } => Some(Self::ec(*curve)),
            KeyAlgorithm::Other { .. } => None,
        }
    }

    /// What keys of this kind are.
    pub const fn algorithm(self) -> KeyAlgorithm {
        match self {
            Self::Rsa2048 => KeyAlgorithm::Rsa { bits: 2048 },
            Self::Rsa3072 => KeyAlgorithm::Rsa { bits: 3072 },
            Self::Rsa4096 => KeyAlgorithm::Rsa { bits: 4096 },
            Self::EcP256 => KeyAlgorithm::Ec { curve: Curve::P256 },
            Self::EcP384 => KeyAlgorithm::Ec { curve: Curve::P384 },
        }
    }
}

impl fmt::Display for KeySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.algorithm().fmt(f)
    }
}

/// A private key, parsed once: [`RsaPrivateKey`], of 2048 to 4096 bits, or [`EcPrivateKey`], on P-256 or P-384.
///
/// It cannot be cloned, printed or serialised; the ways out are [`PrivateKey::to_pem`],
/// [`PrivateKey::to_encrypted_pem`] and [`PrivateKey::to_pkcs12`]. Its memory is
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
    kind: Kind,
    public_key: PublicKey,
    /// Kept so that writing the key cannot fail once it exists.
    pkcs8: Zeroizing<Vec<u8>>,
}

enum Kind {
    Rsa(RsaPrivateKey),
    Ec(EcPrivateKey),
}

impl PrivateKey {
    /// Generates a key.
    ///
    /// RSA takes from 50 ms to some seconds of CPU, by chance and length: never call it on an async reactor.
    ///
    /// # Errors
    /// [`KeyError::Generation`] when the system's randomness fails.
    pub fn generate(spec: KeySpec) -> Result<Self, KeyError> {
        match spec {
            KeySpec::Rsa2048 => RsaPrivateKey::generate(KeySize::Rsa2048).map(Self::of_rsa),
            KeySpec::Rsa3072 => RsaPrivateKey::generate(KeySize::Rsa3072).map(Self::of_rsa),
            KeySpec::Rsa4096 => RsaPrivateKey::generate(KeySize::Rsa4096).map(Self::of_rsa),
            KeySpec::EcP256 => EcPrivateKey::generate(Curve::P256).map(Self::of_ec),
            KeySpec::EcP384 => EcPrivateKey::generate(Curve::P384).map(Self::of_ec),
        }
    }

    /// Reads what [`PrivateKey::to_pem`] wrote: one PKCS#8 block. What people upload goes through
    /// [`crate::read_pair`].
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when it is not exactly one PKCS#8 key, [`KeyError::UnsupportedAlgorithm`] when the key
    /// is neither RSA nor on P-256 or P-384, [`KeyError::UnsupportedSize`] when an RSA key is shorter or longer than
    /// [`RsaPrivateKey`] says.
    pub fn from_pem(pem: &PrivateKeyPem) -> Result<Self, KeyError> {
        let blocks = pem::blocks(pem.secret_bytes()).map_err(|_| KeyError::Malformed)?;
        match blocks.as_slice() {
            [block] if block.label == PKCS8_LABEL => Self::from_pkcs8_der(&block.der),
            _ => Err(KeyError::Malformed),
        }
    }

    /// Reads a DER `PrivateKeyInfo` (RFC 5958) whose algorithm is `rsaEncryption` or `id-ecPublicKey`.
    pub(crate) fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = pkcs8::PrivateKeyInfoRef::try_from(der).map_err(|_| KeyError::Malformed)?;
        let inner = info.private_key.as_bytes();
        match info.algorithm.oid {
            pkcs1::ALGORITHM_OID => Self::from_pkcs1_der(inner),
            EC_PUBLIC_KEY => {
                let parameters = info.algorithm.parameters.and_then(|any| any.decode_as().ok());
                let curve: ObjectIdentifier = parameters.ok_or(KeyError::CurveNotNamed)?;
                EcPrivateKey::from_sec1_der(known_curve(curve)?, inner).map(Self::of_ec)
            }
            other => Err(KeyError::UnsupportedAlgorithm { algorithm: other.to_string() }),
        }
    }

    /// Reads a DER `RSAPrivateKey` (RFC 8017 §A.1.2).
    pub(crate) fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        RsaPrivateKey::from_pkcs1_der(der).map(Self::of_rsa)
    }

    /// Reads a DER `ECPrivateKey` (RFC 5915 §3), which must name its curve: nothing else around it does.
    pub(crate) fn from_sec1_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = Sec1::from_der(der).map_err(|_| KeyError::Malformed)?;
        let curve = key.parameters.and_then(|parameters| parameters.decode_as().ok());
        EcPrivateKey::from_sec1_der(known_curve(curve.ok_or(KeyError::CurveNotNamed)?)?, der).map(Self::of_ec)
    }

    fn of_rsa((key, pkcs8): (RsaPrivateKey, Zeroizing<Vec<u8>>)) -> Self {
        Self { public_key: PublicKey::from_rsa(key.public_key().clone()), kind: Kind::Rsa(key), pkcs8 }
    }

    fn of_ec((key, pkcs8): (EcPrivateKey, Zeroizing<Vec<u8>>)) -> Self {
        Self { public_key: PublicKey::from_ec(key.public_key().clone()), kind: Kind::Ec(key), pkcs8 }
    }

    /// The key as one unencrypted PKCS#8 PEM block (RFC 7468 §10).
    pub fn to_pem(&self) -> PrivateKeyPem {
        let text = pem::encode(PKCS8_LABEL, &self.pkcs8);
        PrivateKeyPem(Zeroizing::new(text.as_bytes().to_vec()))
    }

    /// The key as one PKCS#8 PEM block (RFC 7468 §11), encrypted with PBES2: scrypt and AES-256-CBC (RFC 8018, RFC 7914).
    ///
    /// It takes about 50 ms and 16 MiB.
    ///
    /// # Errors
    /// [`KeyError::PassphraseMissing`] when the passphrase is empty.
    pub fn to_encrypted_pem(
        &self,
        passphrase: &str,
        seed: &EncryptionSeed,
    ) -> Result<PrivateKeyPem, KeyError> {
        if passphrase.is_empty() {
            return Err(KeyError::PassphraseMissing);
        }
        let [(salt, iv), _] = seed.halves();
        let der = self.to_encrypted_pkcs8(&Encryption::scrypt(salt, iv)?, passphrase)?;
        Ok(PrivateKeyPem::from_bytes(pem::encode(wrapping::ENCRYPTED_LABEL, &der).as_bytes().to_vec()))
    }

    /// `EncryptedPrivateKeyInfo` (RFC 5958 §3).
    pub(crate) fn to_encrypted_pkcs8(
        &self,
        encryption: &Encryption<'_>,
        passphrase: &str,
    ) -> Result<Vec<u8>, KeyError> {
        EncryptedKeyInfo::write(encryption, passphrase, &self.pkcs8)
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// What kind of key it is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.public_key.algorithm()
    }

    /// The key as one of RSA, if it is one.
    pub fn as_rsa(&self) -> Option<&RsaPrivateKey> {
        match &self.kind {
            Kind::Rsa(key) => Some(key),
            Kind::Ec(_) => None,
        }
    }

    /// The key as one on an elliptic curve, if it is one.
    pub fn as_ec(&self) -> Option<&EcPrivateKey> {
        match &self.kind {
            Kind::Rsa(_) => None,
            Kind::Ec(key) => Some(key),
        }
    }

    /// Keeps the RSA key alone, if it is one.
    pub fn into_rsa(self) -> Option<RsaPrivateKey> {
        match self.kind {
            Kind::Rsa(key) => Some(key),
            Kind::Ec(_) => None,
        }
    }

    /// Keeps the elliptic-curve key alone, if it is one.
    pub fn into_ec(self) -> Option<EcPrivateKey> {
        match self.kind {
            Kind::Rsa(_) => None,
            Kind::Ec(key) => Some(key),
        }
    }

    /// Whether this is the private half of the certificate's key.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        certificate.public_key().is_ok_and(|key| key == self.public_key)
    }

    /// Signs what is to be a certificate, a request or a revocation list, with the hash that fits the key
    /// (`opcua-certificates.md` §1.6).
    pub(crate) fn sign_certificate(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.kind {
            Kind::Rsa(key) => key.sign(SignatureScheme::RsaPkcs1Sha256, message),
            Kind::Ec(key) => key.sign_der(message),
        }
    }
}

/// `ECPrivateKey` (RFC 5915 §3), as far as it is read here; the library reads the rest.
#[derive(Sequence)]
struct Sec1<'a> {
    version: u8,
    private_key: &'a OctetStringRef,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    parameters: Option<AnyRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    public_key: Option<BitStringRef<'a>>,
}

fn known_curve(oid: ObjectIdentifier) -> Result<Curve, KeyError> {
    curve_of(oid).ok_or_else(|| KeyError::UnsupportedAlgorithm { algorithm: oid.to_string() })
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
    /// Neither an RSA key nor one on P-256 or P-384.
    #[error("the key is of a kind no supported security policy takes ({algorithm})")]
    UnsupportedAlgorithm {
        /// The object identifier of the key's algorithm or curve, dotted.
        algorithm: String,
    },
    /// An elliptic-curve key that does not say on which curve it lies, or only by the curve's parameters.
    #[error(
        "the elliptic-curve key does not name its curve; write it anew as PKCS#8 with the name of its curve"
    )]
    CurveNotNamed,
    /// An RSA key of a length that no supported security policy takes.
    #[error("the RSA key has {bits} bits; the security policies take {LEAST_RSA_BITS} to 4096")]
    UnsupportedSize {
        /// The length of its modulus.
        bits: u32,
    },
    /// Not the encoding of a key, or of one whose parts do not fit together.
    #[error("the key is malformed or inconsistent in itself")]
    Malformed,
    /// A passphrase of no characters protects nothing.
    #[error("the passphrase is empty")]
    PassphraseMissing,
    /// Key and certificate do not belong together.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
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
    /// Encrypted under another secret, or damaged.
    #[error("the key cannot be decrypted: it was encrypted under another secret, or the file is damaged")]
    Unwrapping,
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
        assert_lacks!(PrivateKey: fmt::Debug);
        assert_lacks!(PrivateKey: fmt::Display);
        assert_lacks!(PrivateKey: Clone);
        assert_lacks!(RsaPrivateKey: fmt::Debug);
        assert_lacks!(RsaPrivateKey: Clone);
        assert_lacks!(EcPrivateKey: fmt::Debug);
        assert_lacks!(EcPrivateKey: Clone);
        assert_lacks!(PrivateKeyPem: fmt::Debug);
        assert_lacks!(PrivateKeyPem: fmt::Display);
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

//! Password-based encryption as others chose it: PBES2 (RFC 8018), the older schemes of PKCS#12 (RFC 7292 appendix C),
//! and OpenSSL's traditional one (`legacy_pem`).

pub(crate) mod legacy_pem;
pub(crate) mod pkcs12_kdf;

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{InnerIvInit as _, KeyIvInit as _};
use der::asn1::ObjectIdentifier;
use der::{Decode as _, Encode as _};
use pkcs8::pkcs5::pbes2::{Kdf, Parameters, Pbkdf2Params, ScryptParams};
use pkcs8::pkcs5::scrypt;
use zeroize::Zeroizing;

use self::pkcs12_kdf::{Purpose, bmp_password};
use crate::KeyError;
use crate::tlv::{self, Tlv};

/// An algorithm that opens what a password encrypted, with parameters that ask for no more work than is done.
pub(crate) enum Scheme {
    Pbes2(Box<Parameters>),
    Pkcs12 { cipher: Pkcs12Cipher, salt: Vec<u8>, iterations: u32 },
}

/// The block ciphers of RFC 7292 appendix C; RC4 is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pkcs12Cipher {
    TripleDes,
    Rc2Bits40,
    Rc2Bits128,
}

/// Why something encrypted is not opened, whatever the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unopenable {
    /// By the algorithm's object identifier.
    Algorithm(String),
    TooMuchWork,
}

impl Scheme {
    /// Reads an `AlgorithmIdentifier` and takes the work it asks for from `budget`.
    pub(crate) fn read(algorithm: Tlv<'_>, budget: &mut WorkBudget) -> Result<Self, Unopenable> {
        let mut fields = algorithm.elements();
        let oid = fields.expect(tlv::OBJECT_IDENTIFIER).ok();
        let oid = oid.and_then(|oid| ObjectIdentifier::from_bytes(oid.content).ok());
        let oid = oid.ok_or_else(|| Unopenable::Algorithm("none".to_owned()))?;
        let unsupported = || Unopenable::Algorithm(oid.to_string());
        let parameters = fields.element().map_err(|_| unsupported())?;
        if oid == PBES2 {
            let parameters = Parameters::from_der(parameters.whole).map_err(|_| unsupported())?;
            budget.take(work_of(&parameters.kdf).ok_or(Unopenable::TooMuchWork)?)?;
            return Ok(Self::Pbes2(Box::new(parameters)));
        }
        let cipher = match oid {
            SHA1_TRIPLE_DES => Pkcs12Cipher::TripleDes,
            SHA1_RC2_128 => Pkcs12Cipher::Rc2Bits128,
            SHA1_RC2_40 => Pkcs12Cipher::Rc2Bits40,
            _ => return Err(unsupported()),
        };
        let mut parameters = parameters.elements();
        let salt = parameters.expect(tlv::OCTET_STRING).map_err(|_| unsupported())?.content.to_vec();
        let iterations = parameters.expect(tlv::INTEGER).ok().and_then(|count| small_number(count.content));
        let iterations = iterations.ok_or(Unopenable::TooMuchWork)?;
        budget.take(iterations)?;
        Ok(Self::Pkcs12 { cipher, salt, iterations })
    }

    /// Opens `encrypted`; `None` when the password is another one, or the data are damaged: nothing tells these apart.
    pub(crate) fn decrypt(&self, password: &str, encrypted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut plain = Zeroizing::new(encrypted.to_vec());
        let len = match self {
            Self::Pbes2(parameters) => parameters.decrypt_in_place(password, &mut plain).ok()?.len(),
            Self::Pkcs12 { cipher, salt, iterations } => {
                let password = bmp_password(password);
                let derive = |purpose, len| {
                    pkcs12_kdf::derive(pkcs12_kdf::Hash::Sha1, purpose, &password, salt, *iterations, len)
                };
                let iv = derive(Purpose::InitializationVector, 8);
                match cipher {
                    Pkcs12Cipher::TripleDes => {
                        let key = derive(Purpose::Key, 24);
                        open(cbc::Decryptor::<des::TdesEde3>::new_from_slices(&key, &iv).ok()?, &mut plain)?
                    }
                    Pkcs12Cipher::Rc2Bits128 => {
                        let key = derive(Purpose::Key, 16);
                        open(cbc::Decryptor::inner_iv_slice_init(rc2(&key), &iv).ok()?, &mut plain)?
                    }
                    Pkcs12Cipher::Rc2Bits40 => {
                        let key = derive(Purpose::Key, 5);
                        open(cbc::Decryptor::inner_iv_slice_init(rc2(&key), &iv).ok()?, &mut plain)?
                    }
                }
            }
        };
        plain.truncate(len);
        Some(plain)
    }
}

/// Iterations that one input may still ask for: they come from the file, and a hostile one could otherwise keep a thread
/// busy for hours.
pub(crate) struct WorkBudget(u32);

impl WorkBudget {
    pub(crate) const fn new() -> Self {
        Self(MAX_ITERATIONS)
    }

    pub(crate) fn take(&mut self, iterations: u32) -> Result<(), Unopenable> {
        self.0 = self.0.checked_sub(iterations).ok_or(Unopenable::TooMuchWork)?;
        Ok(())
    }
}

/// A non-negative INTEGER of at most 31 bits.
pub(crate) fn small_number(content: &[u8]) -> Option<u32> {
    let significant = tlv::significant(content);
    let [first, ..] = significant else { return None };
    if first & 0x80 != 0 || significant.len() > 4 {
        return None;
    }
    Some(significant.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// 64 bytes of the caller's randomness, for what a password encrypts: salts and initialization vectors.
///
/// Each value may serve for one output only.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "randomness of the caller's is nobody's to print")]
pub struct EncryptionSeed([u8; 64]);

impl EncryptionSeed {
    /// Takes bytes of a random generator that is fit for cryptography.
    pub const fn from_random_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// A salt and an initialization vector of the first, or of the second half.
    pub(crate) fn halves(&self) -> [(&[u8], [u8; 16]); 2] {
        let (one, two) = self.0.split_at(32);
        [one, two].map(|half| {
            let (salt, iv) = half.split_at(16);
            let mut vector = [0; 16];
            vector.iter_mut().zip(iv).for_each(|(to, from)| *to = *from);
            (salt, vector)
        })
    }
}

/// PBES2 with scrypt (RFC 7914; N 2^14, r 8, p 1, as OpenSSL writes and the most that it reads: 16 MiB) and AES-256 in CBC mode.
pub(crate) fn scrypt_aes256(salt: &[u8], iv: [u8; 16]) -> Result<Parameters, KeyError> {
    let cost = scrypt::Params::new(14, 8, 1).map_err(|_| KeyError::Encoding)?;
    Parameters::generate_scrypt_aes256cbc(cost, salt, iv).map_err(|_| KeyError::Encoding)
}

/// PBES2 with PBKDF2 over HMAC-SHA-256 and AES-256 in CBC mode, which everybody reads.
pub(crate) fn pbkdf2_aes256(salt: &[u8], iv: [u8; 16], iterations: u32) -> Result<Parameters, KeyError> {
    Parameters::generate_pbkdf2_sha256_aes256cbc(iterations, salt, iv).map_err(|_| KeyError::Encoding)
}

/// The `AlgorithmIdentifier` of PBES2 and what it encrypts.
pub(crate) fn encrypt(
    parameters: &Parameters,
    password: &str,
    plain: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
    let encoding = |_| KeyError::Encoding;
    let encrypted = parameters.encrypt(password, plain).map_err(|_| KeyError::Encryption)?;
    let parameters = parameters.to_der().map_err(encoding)?;
    let oid = PBES2.to_der().map_err(encoding)?;
    Ok((tlv::encode(tlv::SEQUENCE, &[&oid, &parameters]), encrypted))
}

/// What a key derivation costs in iterations of PBKDF2; `None` for more than is done.
fn work_of(kdf: &Kdf) -> Option<u32> {
    match kdf {
        Kdf::Pbkdf2(Pbkdf2Params { iteration_count, .. }) => {
            (*iteration_count > 0).then_some(*iteration_count)
        }
        Kdf::Scrypt(ScryptParams { cost_parameter, block_size, parallelization, .. }) => {
            let blocks = cost_parameter.checked_mul(u64::from(*block_size))?;
            let fits = cost_parameter.is_power_of_two()
                && *cost_parameter > 1
                && (1..=MAX_SCRYPT_BLOCKS).contains(&blocks)
                && (1..=MAX_SCRYPT_PARALLELIZATION).contains(parallelization);
            // At the limit it takes about as long as this share of the iterations.
            fits.then_some(MAX_ITERATIONS / 4)
        }
        _ => None,
    }
}

/// Decrypts in place and takes the padding off; the length of what is left.
pub(crate) fn open<M: cbc::cipher::BlockModeDecrypt>(mode: M, data: &mut [u8]) -> Option<usize> {
    Some(mode.decrypt_padded::<Pkcs7>(data).ok()?.len())
}

/// RC2 whose effective key is as long as its key (RFC 2268 §2).
fn rc2(key: &[u8]) -> rc2::Rc2 {
    rc2::Rc2::new_with_eff_key_len(key, key.len().saturating_mul(8))
}

/// RFC 8018 appendix A.4.
pub(crate) const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
/// RFC 7292 appendix C.
const SHA1_TRIPLE_DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
const SHA1_RC2_128: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.5");
const SHA1_RC2_40: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6");
/// OpenSSL writes 2,048; OWASP advises 600,000 for stored passwords. About two seconds at the limit.
const MAX_ITERATIONS: u32 = 2_000_000;
/// N times r: OpenSSL writes 2^17. At the limit 64 MiB of memory.
const MAX_SCRYPT_BLOCKS: u64 = 1 << 19;
const MAX_SCRYPT_PARALLELIZATION: u16 = 4;

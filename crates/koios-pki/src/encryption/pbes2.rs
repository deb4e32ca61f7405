//! PBES2 (RFC 8018 §6.2): a key derived from the password by PBKDF2 or scrypt, and a block cipher.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use der::Encode as _;
use der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

use super::cipher::{self, Cipher};
use super::{Unopenable, small_number};
use crate::KeyError;
use crate::tlv::{self, Elements, Tlv, TlvError, encode};

/// What an `AlgorithmIdentifier` of PBES2 says.
pub(crate) struct Parameters {
    kdf: Kdf,
    cipher: Cipher,
    iv: Vec<u8>,
}

impl Parameters {
    /// Reads `PBES2-params` (RFC 8018 appendix A.4).
    pub(crate) fn read(parameters: Tlv<'_>) -> Result<Self, Unopenable> {
        let mut fields = parameters.elements();
        let kdf = Kdf::read(fields.expect(tlv::SEQUENCE)?)?;
        let mut scheme = fields.expect(tlv::SEQUENCE)?.elements();
        let oid = super::object_identifier(&mut scheme)?;
        let cipher = match oid {
            AES_128_CBC => Cipher::Aes128,
            AES_192_CBC => Cipher::Aes192,
            AES_256_CBC => Cipher::Aes256,
            DES_CBC => Cipher::Des,
            DES_EDE3_CBC => Cipher::TripleDes,
            other => return Err(Unopenable::Algorithm(other.to_string())),
        };
        let iv = scheme.expect(tlv::OCTET_STRING)?.content.to_vec();
        if kdf.key_len().is_some_and(|len| len != cipher.key_len()) {
            return Err(Unopenable::Damaged);
        }
        Ok(Self { kdf, cipher, iv })
    }

    /// In the units of [`super::WorkBudget`].
    pub(crate) fn work(&self) -> u64 {
        self.kdf.work(self.cipher.key_len())
    }

    pub(crate) fn check(&self, encrypted: &[u8]) -> Result<(), Unopenable> {
        self.cipher.check(&self.iv, encrypted)
    }

    /// As [`super::Scheme::decrypt`].
    pub(crate) fn decrypt(&self, password: &[u8], encrypted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let key = self.kdf.derive(password, self.cipher.key_len())?;
        self.cipher.decrypt(&key, &self.iv, encrypted)
    }
}

/// A function that makes a key of a password.
pub(crate) enum Kdf {
    /// RFC 8018 §5.2.
    Pbkdf2 { prf: Prf, salt: Vec<u8>, iterations: u32, key_len: Option<usize> },
    /// RFC 7914.
    Scrypt { cost: scrypt::Params, salt: Vec<u8>, key_len: Option<usize> },
}

impl Kdf {
    /// Reads the `AlgorithmIdentifier` of a key derivation that asks for no more memory than is given.
    pub(crate) fn read(algorithm: Tlv<'_>) -> Result<Self, Unopenable> {
        let mut fields = algorithm.elements();
        let oid = super::object_identifier(&mut fields)?;
        match oid {
            PBKDF2 => Self::pbkdf2(&mut fields.expect(tlv::SEQUENCE)?.elements()),
            SCRYPT => Self::scrypt(&mut fields.expect(tlv::SEQUENCE)?.elements()),
            other => Err(Unopenable::Algorithm(other.to_string())),
        }
    }

    /// RFC 8018 appendix A.2.
    fn pbkdf2(fields: &mut Elements<'_>) -> Result<Self, Unopenable> {
        let salt = fields.expect(tlv::OCTET_STRING)?.content.to_vec();
        let iterations = number(fields)?;
        if iterations == 0 {
            return Err(Unopenable::Damaged);
        }
        let key_len = optional_key_len(fields)?;
        let prf = match fields.optional(&[tlv::SEQUENCE])? {
            Some(prf) => Prf::read(&mut prf.elements())?,
            None => Prf::Sha1,
        };
        Ok(Self::Pbkdf2 { prf, salt, iterations, key_len })
    }

    /// RFC 7914 §7.1.
    fn scrypt(fields: &mut Elements<'_>) -> Result<Self, Unopenable> {
        let salt = fields.expect(tlv::OCTET_STRING)?.content.to_vec();
        let [n, r, p] = [number(fields)?, number(fields)?, number(fields)?];
        let key_len = optional_key_len(fields)?;
        if !n.is_power_of_two() || n == 1 || r == 0 || p == 0 {
            return Err(Unopenable::Damaged);
        }
        if u64::from(n) * u64::from(r) > MAX_SCRYPT_NR || u64::from(r) * u64::from(p) > MAX_SCRYPT_RP {
            return Err(Unopenable::TooMuchWork);
        }
        let log_n = u8::try_from(n.ilog2()).map_err(|_| Unopenable::TooMuchWork)?;
        let cost = scrypt::Params::new(log_n, r, p).map_err(|_| Unopenable::Damaged)?;
        Ok(Self::Scrypt { cost, salt, key_len })
    }

    /// The length of the key in bytes, when it is said.
    pub(crate) fn key_len(&self) -> Option<usize> {
        match self {
            Self::Pbkdf2 { key_len, .. } | Self::Scrypt { key_len, .. } => *key_len,
        }
    }

    /// What a key of `len` bytes costs, in the units of [`super::WorkBudget`].
    pub(crate) fn work(&self, len: usize) -> u64 {
        match self {
            Self::Pbkdf2 { prf, iterations, .. } => {
                let blocks = u64::try_from(len.div_ceil(prf.output_len())).unwrap_or(u64::MAX);
                u64::from(*iterations).saturating_mul(blocks)
            }
            // A block of scrypt is about as much work as an iteration of PBKDF2.
            Self::Scrypt { cost, .. } => (u64::from(cost.r()) * u64::from(cost.p())) << cost.log_n(),
        }
    }

    /// `None` for what no key can be made with.
    pub(crate) fn derive(&self, password: &[u8], len: usize) -> Option<Zeroizing<Vec<u8>>> {
        let mut key = Zeroizing::new(vec![0; len]);
        match self {
            Self::Pbkdf2 { prf, salt, iterations, .. } => {
                prf.pbkdf2(password, salt, NonZeroU32::new(*iterations)?, &mut key);
            }
            Self::Scrypt { cost, salt, .. } => scrypt::scrypt(password, salt, cost, &mut key).ok()?,
        }
        Some(key)
    }

    fn to_der(&self) -> Result<Vec<u8>, KeyError> {
        let number = |number: u32| number.to_der().map_err(|_| KeyError::Encoding);
        Ok(match self {
            Self::Pbkdf2 { prf, salt, iterations, .. } => {
                let prf = algorithm(prf.oid(), &NULL)?;
                let salt = encode(tlv::OCTET_STRING, &[salt]);
                algorithm(PBKDF2, &encode(tlv::SEQUENCE, &[&salt, &number(*iterations)?, &prf]))?
            }
            Self::Scrypt { cost, salt, .. } => {
                let salt = encode(tlv::OCTET_STRING, &[salt]);
                let [n, r, p] = [number(1 << cost.log_n())?, number(cost.r())?, number(cost.p())?];
                algorithm(SCRYPT, &encode(tlv::SEQUENCE, &[&salt, &n, &r, &p]))?
            }
        })
    }
}

/// An HMAC by its hash, as PBKDF2 uses it (RFC 8018 appendix B.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prf {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Prf {
    /// Reads the fields of an `AlgorithmIdentifier`; the parameters say nothing.
    pub(crate) fn read(fields: &mut Elements<'_>) -> Result<Self, Unopenable> {
        let oid = super::object_identifier(fields)?;
        let known = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];
        known.into_iter().find(|prf| prf.oid() == oid).ok_or_else(|| Unopenable::Algorithm(oid.to_string()))
    }

    fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Sha1 => HMAC_SHA1,
            Self::Sha224 => HMAC_SHA224,
            Self::Sha256 => HMAC_SHA256,
            Self::Sha384 => HMAC_SHA384,
            Self::Sha512 => HMAC_SHA512,
        }
    }

    fn pbkdf2(self, password: &[u8], salt: &[u8], iterations: NonZeroU32, key: &mut [u8]) {
        let algorithm = match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            // Not among those of aws-lc-rs.
            Self::Sha224 => {
                return ::pbkdf2::pbkdf2_hmac::<sha2::Sha224>(password, salt, iterations.get(), key);
            }
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha384 => pbkdf2::PBKDF2_HMAC_SHA384,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        pbkdf2::derive(algorithm, iterations, salt, password, key);
    }

    /// In bytes.
    fn output_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// What encrypts keys and certificates that leave: AES-256 in CBC mode.
pub(crate) struct Encryption<'a> {
    kdf: Kdf,
    iv: &'a [u8; 16],
}

impl<'a> Encryption<'a> {
    /// With scrypt: N 2^14, r 8, p 1, as OpenSSL writes and the most that it reads (16 MiB).
    pub(crate) fn scrypt(salt: &[u8], iv: &'a [u8; 16]) -> Result<Self, KeyError> {
        let cost = scrypt::Params::new(14, 8, 1).map_err(|_| KeyError::Encoding)?;
        Ok(Self { kdf: Kdf::Scrypt { cost, salt: salt.to_vec(), key_len: None }, iv })
    }

    /// With PBKDF2 over HMAC-SHA-256, which everybody reads.
    pub(crate) fn pbkdf2(salt: &[u8], iv: &'a [u8; 16], iterations: u32) -> Self {
        Self { kdf: Kdf::Pbkdf2 { prf: Prf::Sha256, salt: salt.to_vec(), iterations, key_len: None }, iv }
    }

    /// The `AlgorithmIdentifier` and what it makes of `plain`.
    pub(crate) fn encrypt(&self, password: &str, plain: &[u8]) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
        let key = self.kdf.derive(password.as_bytes(), 32).ok_or(KeyError::Encryption)?;
        let key = key.as_slice().try_into().map_err(|_| KeyError::Encryption)?;
        let encrypted = cipher::encrypt_aes256(key, self.iv, plain);
        let cipher = algorithm(AES_256_CBC, &encode(tlv::OCTET_STRING, &[self.iv]))?;
        let parameters = encode(tlv::SEQUENCE, &[&self.kdf.to_der()?, &cipher]);
        Ok((algorithm(PBES2, &parameters)?, encrypted))
    }
}

fn algorithm(oid: ObjectIdentifier, parameters: &[u8]) -> Result<Vec<u8>, KeyError> {
    let oid = oid.to_der().map_err(|_| KeyError::Encoding)?;
    Ok(encode(tlv::SEQUENCE, &[&oid, parameters]))
}

/// A number of at most 32 bits; greater ones ask for more than anybody does.
fn number(fields: &mut Elements<'_>) -> Result<u32, Unopenable> {
    small_number(fields.expect(tlv::INTEGER)?.content)
}

fn optional_key_len(fields: &mut Elements<'_>) -> Result<Option<usize>, Unopenable> {
    let len = fields.optional(&[tlv::INTEGER])?.map(|len| small_number(len.content)).transpose()?;
    // A key of more than 32 bits' worth of bytes is that of no cipher here.
    len.map(|len| usize::try_from(len).map_err(|_| Unopenable::Damaged)).transpose()
}

impl From<TlvError> for Unopenable {
    fn from(_: TlvError) -> Self {
        Self::Damaged
    }
}

/// RFC 8018 appendices A.2, A.4, B.1 and B.2.
pub(crate) const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
pub(crate) const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const HMAC_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA224: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.8");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
const DES_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.7");
const DES_EDE3_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");
const AES_128_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2");
const AES_192_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
/// RFC 7914 §7.
const SCRYPT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.4.11");
const NULL: [u8; 2] = [0x05, 0x00];
/// N times r, in blocks of 128 bytes: 64 MiB. OpenSSL writes 2^17.
const MAX_SCRYPT_NR: u64 = 1 << 19;
/// r times p, in blocks of 128 bytes: another 128 KiB.
const MAX_SCRYPT_RP: u64 = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encryption::{Password, Scheme};

    const ENCRYPTED: [u8; 32] = [0xA5; 32];
    /// salt, iterations 2,048 and HMAC-SHA-256.
    const SALT: &[u8] = &[0x04, 0x08, 1, 2, 3, 4, 5, 6, 7, 8];
    const COUNT: &[u8] = &[0x02, 0x02, 0x08, 0x00];
    const PRF: &[u8] = &[0x30, 0x0C, 0x06, 0x08, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x02, 0x09, 0x05, 0x00];

    fn scheme(kdf: ObjectIdentifier, kdf_parts: &[&[u8]], cipher: ObjectIdentifier, iv: &[u8]) -> Vec<u8> {
        let kdf = algorithm(kdf, &encode(tlv::SEQUENCE, kdf_parts)).unwrap();
        let cipher = algorithm(cipher, &encode(tlv::OCTET_STRING, &[iv])).unwrap();
        algorithm(PBES2, &encode(tlv::SEQUENCE, &[&kdf, &cipher])).unwrap()
    }

    fn read(der: &[u8], encrypted: &[u8]) -> Result<Scheme, Unopenable> {
        Scheme::read(Elements::new(der).element().unwrap(), encrypted)
    }

    fn refused(der: &[u8]) -> Option<Unopenable> {
        read(der, &ENCRYPTED).err()
    }

    #[test]
    fn what_is_encrypted_opens_with_the_same_password_only_and_salts_have_any_length() {
        for salt in [&[][..], &[1; 16], &[2; 64], &[3; 300]] {
            for encryption in
                [Encryption::pbkdf2(salt, &[7; 16], 10), Encryption::scrypt(salt, &[8; 16]).unwrap()]
            {
                let (algorithm, encrypted) = encryption.encrypt("right", b"plain").unwrap();
                let scheme = read(&algorithm, &encrypted).unwrap();
                let opened = |password| scheme.decrypt(Password::Text(password), &encrypted);
                assert_eq!(**opened("right").unwrap(), *b"plain");
                assert!(opened("wrong").is_none_or(|noise| **noise != *b"plain"));
            }
        }
    }

    #[test]
    fn parameters_that_no_cipher_has_are_damage_and_never_a_panic() {
        let good = scheme(PBKDF2, &[SALT, COUNT, PRF], AES_256_CBC, &[0; 16]);
        assert!(read(&good, &ENCRYPTED).is_ok());
        for cut in [&[][..], &[0; 15], &[0; 33]] {
            assert_eq!(read(&good, cut).err(), Some(Unopenable::Damaged), "{} bytes", cut.len());
        }
        for (cipher, iv_len) in [(DES_EDE3_CBC, 0), (DES_EDE3_CBC, 7), (DES_EDE3_CBC, 16), (AES_128_CBC, 8)] {
            let der = scheme(PBKDF2, &[SALT, COUNT, PRF], cipher, &vec![0; iv_len]);
            assert_eq!(refused(&der), Some(Unopenable::Damaged), "{cipher} {iv_len}");
        }
        let wrong_key_len = scheme(PBKDF2, &[SALT, COUNT, &[0x02, 0x01, 16], PRF], AES_256_CBC, &[0; 16]);
        assert_eq!(refused(&wrong_key_len), Some(Unopenable::Damaged));
        let no_iterations = scheme(PBKDF2, &[SALT, &[0x02, 0x01, 0], PRF], AES_256_CBC, &[0; 16]);
        assert_eq!(refused(&no_iterations), Some(Unopenable::Damaged));
        let negative = scheme(PBKDF2, &[SALT, &[0x02, 0x01, 0xFF], PRF], AES_256_CBC, &[0; 16]);
        assert_eq!(refused(&negative), Some(Unopenable::Damaged));
    }

    #[test]
    fn the_algorithm_that_is_not_opened_is_named_wherever_it_stands() {
        let other = ObjectIdentifier::new_unwrap("1.2.3");
        let named = Some(Unopenable::Algorithm("1.2.3".to_owned()));
        assert_eq!(refused(&scheme(other, &[SALT, COUNT], AES_256_CBC, &[0; 16])), named);
        assert_eq!(refused(&scheme(PBKDF2, &[SALT, COUNT, PRF], other, &[0; 16])), named);
        let prf = algorithm(other, &NULL).unwrap();
        assert_eq!(refused(&scheme(PBKDF2, &[SALT, COUNT, &prf], AES_256_CBC, &[0; 16])), named);
    }

    #[test]
    fn work_is_counted_in_blocks_and_bounded_in_memory() {
        let work = |der: &[u8]| read(der, &ENCRYPTED).map(|scheme| scheme.work());
        assert_eq!(work(&scheme(PBKDF2, &[SALT, COUNT, PRF], AES_256_CBC, &[0; 16])), Ok(2048));
        // 32 bytes of HMAC-SHA-1 are two blocks.
        assert_eq!(work(&scheme(PBKDF2, &[SALT, COUNT], AES_256_CBC, &[0; 16])), Ok(2 * 2048));
        let huge: &[u8] = &[0x02, 0x05, 0x01, 0, 0, 0, 0];
        assert_eq!(
            work(&scheme(PBKDF2, &[SALT, huge, PRF], AES_256_CBC, &[0; 16])),
            Err(Unopenable::TooMuchWork)
        );
        let scrypt = |n: u32, r: u32, p: u32| {
            let [n, r, p] = [n, r, p].map(|number| number.to_der().unwrap());
            work(&scheme(SCRYPT, &[SALT, &n, &r, &p], AES_256_CBC, &[0; 16]))
        };
        assert_eq!(scrypt(1 << 14, 8, 1), Ok(1 << 17));
        assert_eq!(scrypt(1 << 16, 8, 4), Ok(1 << 21));
        for (n, r, p) in [(1 << 20, 1, 1), (1 << 17, 8, 1), (2, 2048, 1), (2, 1, 1025), (1 << 31, 1, 1)] {
            assert_eq!(scrypt(n, r, p), Err(Unopenable::TooMuchWork), "{n} {r} {p}");
        }
        for (n, r, p) in [(0, 8, 1), (1, 8, 1), (3, 8, 1), (1 << 14, 0, 1), (1 << 14, 8, 0)] {
            assert_eq!(scrypt(n, r, p), Err(Unopenable::Damaged), "{n} {r} {p}");
        }
    }
}

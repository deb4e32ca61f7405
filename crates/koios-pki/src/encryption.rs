//! Password-based encryption as others chose it: PBES2 (RFC 8018), the older schemes of PKCS#12 (RFC 7292 appendix C),
//! and OpenSSL's traditional one (`legacy_pem`).

mod cipher;
pub(crate) mod legacy_pem;
pub(crate) mod pbes2;
pub(crate) mod pkcs12_kdf;

use der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

use self::cipher::Cipher;
use self::pbes2::Encryption;
use self::pkcs12_kdf::{Hash, Purpose};
use crate::KeyError;
use crate::tlv::{self, Elements, Tlv, TlvError};

/// `EncryptedPrivateKeyInfo` (RFC 5958 §3) as it is read: its algorithm, and what that has made of the key.
pub(crate) struct EncryptedKeyInfo<'a> {
    algorithm: Tlv<'a>,
    pub(crate) encrypted: &'a [u8],
}

impl<'a> EncryptedKeyInfo<'a> {
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, TlvError> {
        let mut info = Elements::new(der).expect(tlv::SEQUENCE)?.elements();
        Ok(Self {
            algorithm: info.expect(tlv::SEQUENCE)?,
            encrypted: info.expect(tlv::OCTET_STRING)?.content,
        })
    }

    /// What opens it, if the work is bounded.
    pub(crate) fn scheme(&self) -> Result<Scheme, Unopenable> {
        let scheme = Scheme::read(self.algorithm, self.encrypted)?;
        WorkBudget::new().take(scheme.work())?;
        Ok(scheme)
    }

    /// The encoding of a key that is encrypted like this.
    pub(crate) fn write(
        encryption: &Encryption<'_>,
        passphrase: &str,
        key: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let (algorithm, encrypted) = encryption.encrypt(passphrase, key)?;
        Ok(tlv::encode(tlv::SEQUENCE, &[&algorithm, &tlv::encode(tlv::OCTET_STRING, &[&encrypted])]))
    }
}

/// A password in the two ways in which PKCS#12 files are written without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Password<'a> {
    /// The empty text has its terminator.
    Text(&'a str),
    /// No bytes at all.
    Absent,
}

impl Password<'_> {
    /// As PBKDF2 and scrypt take it, for which an empty text is no bytes.
    pub(crate) fn utf8(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Absent => &[],
        }
    }

    /// As the older schemes of PKCS#12 take it: UTF-16, most significant byte first, with a terminator (RFC 7292 appendix
    /// B.1).
    pub(crate) fn bmp(&self) -> Zeroizing<Vec<u8>> {
        let Self::Text(text) = self else { return Zeroizing::default() };
        // Two bytes for each unit, of which there are at most as many as bytes of UTF-8.
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * text.len() + 2));
        text.encode_utf16().for_each(|unit| bytes.extend_from_slice(&unit.to_be_bytes()));
        bytes.extend_from_slice(&[0, 0]);
        bytes
    }
}

/// An algorithm that opens what a password encrypted.
pub(crate) enum Scheme {
    Pbes2(pbes2::Parameters),
    Pkcs12 { cipher: Cipher, salt: Vec<u8>, iterations: u32 },
}

/// Why something encrypted is not opened, whatever the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unopenable {
    /// By the algorithm's object identifier.
    Algorithm(String),
    TooMuchWork,
    /// Parameters that do not fit together, or a length that encryption never gives.
    Damaged,
}

impl Scheme {
    /// Reads an `AlgorithmIdentifier`, and judges what it is to open.
    pub(crate) fn read(algorithm: Tlv<'_>, encrypted: &[u8]) -> Result<Self, Unopenable> {
        let mut fields = algorithm.elements();
        let oid = object_identifier(&mut fields)?;
        if oid == pbes2::PBES2 {
            let parameters = pbes2::Parameters::read(fields.expect(tlv::SEQUENCE)?)?;
            parameters.check(encrypted)?;
            return Ok(Self::Pbes2(parameters));
        }
        let cipher = match oid {
            SHA1_TRIPLE_DES => Cipher::TripleDes,
            SHA1_RC2_128 => Cipher::Rc2Bits128,
            SHA1_RC2_40 => Cipher::Rc2Bits40,
            other => return Err(Unopenable::Algorithm(other.to_string())),
        };
        let mut parameters = fields.expect(tlv::SEQUENCE)?.elements();
        let salt = parameters.expect(tlv::OCTET_STRING)?.content.to_vec();
        let iterations = small_number(parameters.expect(tlv::INTEGER)?.content)?;
        if iterations == 0 {
            return Err(Unopenable::Damaged);
        }
        cipher.check(&[0; PKCS12_IV_LEN], encrypted)?;
        Ok(Self::Pkcs12 { cipher, salt, iterations })
    }

    /// What one attempt costs, in the units of [`WorkBudget`].
    pub(crate) fn work(&self) -> u64 {
        match self {
            Self::Pbes2(parameters) => parameters.work(),
            Self::Pkcs12 { cipher, iterations, .. } => pkcs12_kdf::work(
                Hash::Sha1,
                *iterations,
                cipher.key_len(),
            )
            .saturating_add(pkcs12_kdf::work(Hash::Sha1, *iterations, PKCS12_IV_LEN)),
        }
    }

    /// Whether it makes another key of the empty text than of no password.
    pub(crate) fn tells_empty_from_absent(&self) -> bool {
        matches!(self, Self::Pkcs12 { .. })
    }

    /// Opens `encrypted`; `None` when the password is another one, or the data are damaged: nothing tells these apart.
    pub(crate) fn decrypt(&self, password: Password<'_>, encrypted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Pbes2(parameters) => parameters.decrypt(password.utf8(), encrypted),
            Self::Pkcs12 { cipher, salt, iterations } => {
                let password = password.bmp();
                let derive =
                    |purpose, len| pkcs12_kdf::derive(Hash::Sha1, purpose, &password, salt, *iterations, len);
                let key = derive(Purpose::Key, cipher.key_len());
                let iv = derive(Purpose::InitializationVector, PKCS12_IV_LEN);
                cipher.decrypt(&key, &iv, encrypted)
            }
        }
    }
}

/// The work that one input may still ask for: how much comes from the file, and a hostile one could otherwise keep a thread
/// busy for hours.
///
/// A unit is one iteration for one block of the output: an HMAC of PBKDF2, a hash of the older schemes, a block of scrypt.
pub(crate) struct WorkBudget(u64);

impl WorkBudget {
    pub(crate) const fn new() -> Self {
        Self(MAX_WORK)
    }

    pub(crate) fn take(&mut self, work: u64) -> Result<(), Unopenable> {
        self.0 = self.0.checked_sub(work).ok_or(Unopenable::TooMuchWork)?;
        Ok(())
    }

    /// Takes the work of one attempt; whether it is to be made. An attempt after the first is for the other form of no
    /// password, and that it would cost too much says nothing about the file.
    pub(crate) fn attempt(&mut self, place: usize, work: u64) -> Result<bool, Unopenable> {
        match self.take(work) {
            Err(Unopenable::TooMuchWork) if place > 0 => Ok(false),
            taken => taken.map(|()| true),
        }
    }
}

/// A count of at most 32 bits; a greater one asks for more than is done.
pub(crate) fn small_number(content: &[u8]) -> Result<u32, Unopenable> {
    let significant = tlv::significant(content);
    if significant.first().is_none_or(|first| first & 0x80 != 0) {
        return Err(Unopenable::Damaged);
    }
    if significant.len() > 4 {
        return Err(Unopenable::TooMuchWork);
    }
    Ok(significant.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// The next element, an object identifier.
fn object_identifier(fields: &mut Elements<'_>) -> Result<ObjectIdentifier, Unopenable> {
    let oid = fields.expect(tlv::OBJECT_IDENTIFIER)?;
    ObjectIdentifier::from_bytes(oid.content).map_err(|_| Unopenable::Damaged)
}

/// 64 bytes of the caller's randomness, for what a password encrypts: salts and initialization vectors.
///
/// Each value may serve for one output only.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "randomness of the caller's is nobody's to print")]
pub struct EncryptionSeed([[u8; 16]; 4]);

impl EncryptionSeed {
    /// Takes bytes of a random generator that is fit for cryptography.
    pub const fn from_random_bytes(bytes: [u8; 64]) -> Self {
        let mut parts = [[0; 16]; 4];
        let (parts_of_bytes, _) = bytes.as_chunks::<16>();
        parts.copy_from_slice(parts_of_bytes);
        Self(parts)
    }

    /// Two salts, each with an initialization vector.
    pub(crate) fn halves(&self) -> [(&[u8], &[u8; 16]); 2] {
        let [salt, iv, other_salt, other_iv] = &self.0;
        [(salt, iv), (other_salt, other_iv)]
    }
}

/// RFC 7292 appendix C.
const SHA1_TRIPLE_DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
const SHA1_RC2_128: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.5");
const SHA1_RC2_40: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6");
/// All three ciphers have blocks of 64 bits.
const PKCS12_IV_LEN: usize = 8;
/// OpenSSL writes 2,048 iterations, NSS and `GnuTLS` 600,000 for each of three keys: with 3DES, whose key and vector take
/// three blocks of SHA-1, and two forms of no password, 4,800,000 units in all.
const MAX_WORK: u64 = 8_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_for_all_of_an_input_and_the_other_form_of_no_password_is_tried_while_it_lasts() {
        let mut budget = WorkBudget::new();
        assert_eq!(budget.attempt(0, MAX_WORK + 1), Err(Unopenable::TooMuchWork));
        assert_eq!(budget.attempt(0, MAX_WORK - 1), Ok(true));
        assert_eq!(budget.attempt(1, 2), Ok(false), "which says nothing about the file");
        assert_eq!(budget.attempt(1, 1), Ok(true));
        assert_eq!(budget.take(1), Err(Unopenable::TooMuchWork));
    }

    #[test]
    fn the_older_schemes_cost_a_derivation_for_each_block_of_key_and_vector() {
        let scheme = |cipher| Scheme::Pkcs12 { cipher, salt: vec![], iterations: 1000 };
        assert_eq!(scheme(Cipher::TripleDes).work(), 3000);
        assert_eq!(scheme(Cipher::Rc2Bits40).work(), 2000);
    }
}

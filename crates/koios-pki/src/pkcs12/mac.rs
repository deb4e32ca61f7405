//! What protects the whole file: an HMAC whose key comes from the password (RFC 7292 §4, RFC 9579).

use aws_lc_rs::hmac;
use der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

use super::{OpenError, object_identifier};
use crate::encryption::pbes2::{Kdf, Prf};
use crate::encryption::pkcs12_kdf::{self, Hash, Purpose};
use crate::encryption::{Password, Unopenable, WorkBudget, small_number};
use crate::tlv::{self, Tlv};

/// The first of `passwords` with which `mac_data` was made over `content`, by its place among them.
pub(super) fn verifies(
    mac_data: Tlv<'_>,
    passwords: &[Password<'_>],
    content: &[u8],
    budget: &mut WorkBudget,
) -> Result<Option<usize>, OpenError> {
    let mut fields = mac_data.elements();
    let mut digest_info = fields.expect(tlv::SEQUENCE)?.elements();
    let algorithm = digest_info.expect(tlv::SEQUENCE)?;
    let expected = digest_info.expect(tlv::OCTET_STRING)?.content;
    let salt = fields.expect(tlv::OCTET_STRING)?.content;
    let iterations = match fields.optional(&[tlv::INTEGER])? {
        Some(count) => small_number(count.content)?,
        None => 1,
    };
    let mac = Mac::read(algorithm, salt, iterations)?;
    for (place, password) in passwords.iter().enumerate() {
        if place > 0 && !mac.tells_empty_from_absent() || !budget.attempt(place, mac.work())? {
            break;
        }
        let key = mac.key(*password).ok_or(OpenError::Malformed)?;
        if hmac::verify(&hmac::Key::new(mac.hmac(), &key), content, expected).is_ok() {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

enum Mac<'a> {
    /// RFC 7292 §4: an HMAC and a key by the older derivation of the same hash.
    Pkcs12 { hash: Hash, salt: &'a [u8], iterations: u32 },
    /// RFC 8018 appendix A.5; RFC 9579 §4 wants the length of the key said.
    Pbmac1 { kdf: Kdf, key_len: usize, prf: Prf },
}

impl<'a> Mac<'a> {
    fn read(algorithm: Tlv<'a>, salt: &'a [u8], iterations: u32) -> Result<Self, OpenError> {
        let mut algorithm = algorithm.elements();
        let oid = object_identifier(algorithm.expect(tlv::OBJECT_IDENTIFIER)?)?;
        let hash = match oid {
            PBMAC1 => return Self::pbmac1(algorithm.expect(tlv::SEQUENCE)?),
            SHA1 => Hash::Sha1,
            SHA224 => Hash::Sha224,
            SHA256 => Hash::Sha256,
            SHA384 => Hash::Sha384,
            SHA512 => Hash::Sha512,
            other => return Err(Unopenable::Algorithm(other.to_string()).into()),
        };
        if iterations == 0 {
            return Err(OpenError::Malformed);
        }
        Ok(Self::Pkcs12 { hash, salt, iterations })
    }

    fn pbmac1(parameters: Tlv<'a>) -> Result<Self, OpenError> {
        let mut fields = parameters.elements();
        let kdf = Kdf::read(fields.expect(tlv::SEQUENCE)?)?;
        let key_len = kdf.key_len().filter(|len| (1..=64).contains(len)).ok_or(OpenError::Malformed)?;
        let prf = Prf::read(&mut fields.expect(tlv::SEQUENCE)?.elements())?;
        Ok(Self::Pbmac1 { kdf, key_len, prf })
    }

    fn hmac(&self) -> hmac::Algorithm {
        match self {
            Self::Pkcs12 { hash: Hash::Sha1, .. } | Self::Pbmac1 { prf: Prf::Sha1, .. } => {
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY
            }
            Self::Pkcs12 { hash: Hash::Sha224, .. } | Self::Pbmac1 { prf: Prf::Sha224, .. } => {
                hmac::HMAC_SHA224
            }
            Self::Pkcs12 { hash: Hash::Sha256, .. } | Self::Pbmac1 { prf: Prf::Sha256, .. } => {
                hmac::HMAC_SHA256
            }
            Self::Pkcs12 { hash: Hash::Sha384, .. } | Self::Pbmac1 { prf: Prf::Sha384, .. } => {
                hmac::HMAC_SHA384
            }
            Self::Pkcs12 { hash: Hash::Sha512, .. } | Self::Pbmac1 { prf: Prf::Sha512, .. } => {
                hmac::HMAC_SHA512
            }
        }
    }

    fn tells_empty_from_absent(&self) -> bool {
        matches!(self, Self::Pkcs12 { .. })
    }

    /// What one attempt costs.
    fn work(&self) -> u64 {
        match self {
            Self::Pkcs12 { hash, iterations, .. } => {
                pkcs12_kdf::work(*hash, *iterations, hash.algorithm().output_len())
            }
            Self::Pbmac1 { kdf, key_len, .. } => kdf.work(*key_len),
        }
    }

    fn key(&self, password: Password<'_>) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Pkcs12 { hash, salt, iterations } => {
                let len = hash.algorithm().output_len();
                Some(pkcs12_kdf::derive(*hash, Purpose::Mac, &password.bmp(), salt, *iterations, len))
            }
            Self::Pbmac1 { kdf, key_len, .. } => kdf.derive(password.utf8(), *key_len),
        }
    }
}

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA224: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.4");
pub(super) const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
/// RFC 8018 appendix A.
const PBMAC1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.14");

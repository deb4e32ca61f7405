//! What protects the whole file: an HMAC whose key comes from the password (RFC 7292 §4, RFC 9579).

use aws_lc_rs::{hmac, pbkdf2};
use der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

use super::{OpenError, object_identifier};
use crate::encryption::pkcs12_kdf::{self, Hash, Purpose, bmp_password};
use crate::encryption::{Unopenable, WorkBudget, small_number};
use crate::tlv::{self, Tlv};

/// Whether `mac_data` was made over `content` with `password`.
///
/// There are two ways of having no password, the empty text and no bytes at all; both are tried.
pub(super) fn verifies(
    mac_data: Tlv<'_>,
    password: &str,
    content: &[u8],
    budget: &mut WorkBudget,
) -> Result<bool, OpenError> {
    let mut fields = mac_data.elements();
    let mut digest_info = fields.expect(tlv::SEQUENCE)?.elements();
    let algorithm = digest_info.expect(tlv::SEQUENCE)?;
    let expected = digest_info.expect(tlv::OCTET_STRING)?.content;
    let salt = fields.expect(tlv::OCTET_STRING)?.content;
    let iterations = match fields.optional(&[tlv::INTEGER])? {
        Some(count) => small_number(count.content).ok_or(Unopenable::TooMuchWork)?,
        None => 1,
    };
    let mut algorithm = algorithm.elements();
    let oid = object_identifier(algorithm.expect(tlv::OBJECT_IDENTIFIER)?)?;
    if oid == PBMAC1 {
        let Pbmac1 { key, mac } = Pbmac1::read(algorithm.expect(tlv::SEQUENCE)?, password, budget)?;
        return Ok(hmac::verify(&hmac::Key::new(mac, &key), content, expected).is_ok());
    }
    let (hash, mac) = match oid {
        SHA1 => (Hash::Sha1, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        SHA224 => (Hash::Sha224, hmac::HMAC_SHA224),
        SHA256 => (Hash::Sha256, hmac::HMAC_SHA256),
        SHA384 => (Hash::Sha384, hmac::HMAC_SHA384),
        SHA512 => (Hash::Sha512, hmac::HMAC_SHA512),
        other => return Err(Unopenable::Algorithm(other.to_string()).into()),
    };
    let fits = |password: &[u8]| {
        let len = hash.algorithm().output_len();
        let key = pkcs12_kdf::derive(hash, Purpose::Mac, password, salt, iterations, len);
        hmac::verify(&hmac::Key::new(mac, &key), content, expected).is_ok()
    };
    budget.take(iterations)?;
    if fits(&bmp_password(password)) {
        return Ok(true);
    }
    if !password.is_empty() {
        return Ok(false);
    }
    budget.take(iterations)?;
    Ok(fits(&[]))
}

struct Pbmac1 {
    key: Zeroizing<Vec<u8>>,
    mac: hmac::Algorithm,
}

impl Pbmac1 {
    /// RFC 8018 appendix A.5: PBKDF2 and an HMAC; RFC 9579 §4 wants the length of the key said.
    fn read(parameters: Tlv<'_>, password: &str, budget: &mut WorkBudget) -> Result<Self, OpenError> {
        let mut fields = parameters.elements();
        let mut kdf = fields.expect(tlv::SEQUENCE)?.elements();
        let mut scheme = fields.expect(tlv::SEQUENCE)?.elements();
        let mac = object_identifier(scheme.expect(tlv::OBJECT_IDENTIFIER)?)?;
        let (_, mac) = hmac_of(mac)?;
        let kdf_oid = object_identifier(kdf.expect(tlv::OBJECT_IDENTIFIER)?)?;
        if kdf_oid != PBKDF2 {
            return Err(Unopenable::Algorithm(kdf_oid.to_string()).into());
        }
        let mut parameters = kdf.expect(tlv::SEQUENCE)?.elements();
        let salt = parameters.expect(tlv::OCTET_STRING)?.content;
        let iterations = small_number(parameters.expect(tlv::INTEGER)?.content);
        let len = parameters.expect(tlv::INTEGER).ok().and_then(|len| small_number(len.content));
        let len = len.and_then(|len| usize::try_from(len).ok()).filter(|len| (1..=64).contains(len));
        let len = len.ok_or(OpenError::Malformed)?;
        let prf = match parameters.optional(&[tlv::SEQUENCE])? {
            Some(prf) => hmac_of(object_identifier(prf.expect_inner(tlv::OBJECT_IDENTIFIER)?)?)?.0,
            None => pbkdf2::PBKDF2_HMAC_SHA1,
        };
        let iterations = iterations.and_then(std::num::NonZeroU32::new).ok_or(Unopenable::TooMuchWork)?;
        budget.take(iterations.get())?;
        let mut key = Zeroizing::new(vec![0; len]);
        pbkdf2::derive(prf, iterations, salt, password.as_bytes(), &mut key);
        Ok(Self { key, mac })
    }
}

fn hmac_of(oid: ObjectIdentifier) -> Result<(pbkdf2::Algorithm, hmac::Algorithm), OpenError> {
    Ok(match oid {
        HMAC_SHA1 => (pbkdf2::PBKDF2_HMAC_SHA1, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        HMAC_SHA256 => (pbkdf2::PBKDF2_HMAC_SHA256, hmac::HMAC_SHA256),
        HMAC_SHA384 => (pbkdf2::PBKDF2_HMAC_SHA384, hmac::HMAC_SHA384),
        HMAC_SHA512 => (pbkdf2::PBKDF2_HMAC_SHA512, hmac::HMAC_SHA512),
        other => return Err(Unopenable::Algorithm(other.to_string()).into()),
    })
}

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA224: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.4");
pub(super) const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
/// RFC 8018 appendices B.1 and A.
const HMAC_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const PBMAC1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.14");

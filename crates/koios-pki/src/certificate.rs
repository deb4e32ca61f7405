//! One certificate, read once into everything the product shows and judges.

pub(crate) mod distinguished_name;
mod extension;
pub(crate) mod signature;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader};
use time::OffsetDateTime;
use x509_cert::certificate::{CertificateInner, Raw, TbsCertificateInner, Version};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

pub(crate) use self::extension::Extensions;
use self::extension::MalformedExtension;
pub(crate) use self::extension::authority_key_identifier;
pub use self::extension::{AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage};
use crate::tlv::{self, Elements};
use crate::{
    EcPublicKey, KeyAlgorithm, KeyError, PublicKey, RsaPublicKey, Sha1Thumbprint, Sha256Thumbprint, Validity,
    pem, public_key, thumbprint,
};

/// An immutable parsed view over one certificate's DER; cheap to clone.
///
/// Equality is that of the DER bytes. Certificates that break RFC 5280 in ways a reader can live with (serial
/// numbers of zero or below, version 1, malformed extensions) are read, and [`crate::findings`] says so.
#[derive(Clone)]
pub struct Certificate(Arc<Parsed>);

struct Parsed {
    der: Vec<u8>,
    /// Where in `der` the signed part lies, and the signature over it.
    tbs_len: usize,
    tbs_start: usize,
    signature: Vec<u8>,
    signature_oid: ObjectIdentifier,
    signature_algorithm: String,
    version: u8,
    serial_number: String,
    subject: String,
    subject_der: Vec<u8>,
    issuer: String,
    issuer_der: Vec<u8>,
    common_name: Option<String>,
    organization: Option<String>,
    validity: Validity,
    spki: SubjectPublicKey,
    extensions: Extensions,
    self_signed: OnceLock<bool>,
    public_key: OnceLock<Result<PublicKey, KeyError>>,
}

/// The key of a certificate or request as far as it is needed to verify with it.
pub(crate) struct SubjectPublicKey {
    pub(crate) algorithm: KeyAlgorithm,
    oid: ObjectIdentifier,
    bits: Vec<u8>,
    verification_key: signature::CachedKey,
}

impl Certificate {
    /// Reads exactly one certificate.
    ///
    /// # Errors
    /// When the bytes are no X.509 certificate, other bytes follow it, or it is larger than 64 KiB.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.is_empty() {
            return Err(CertificateError::Empty);
        }
        if der.len() > Self::MAX_LEN {
            return Err(CertificateError::TooLarge { len: der.len(), max: Self::MAX_LEN });
        }
        let element = first_element(der)?;
        if element.len() < der.len() {
            return Err(CertificateError::TrailingBytes { count: der.len() - element.len() });
        }
        let certificate = CertificateInner::<Raw>::from_der(der).map_err(malformed)?;
        Parsed::new(der, &certificate).map(|parsed| Self(Arc::new(parsed)))
    }

    /// The longest certificate read, in bytes: far beyond those in use, and what an OPC UA chunk may hold.
    pub const MAX_LEN: usize = 64 * 1024;

    /// The DER bytes as they were read.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// One PEM block (RFC 7468 §5), lines ended by `\n`.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", self.der()).to_string()
    }

    /// The subject in the order of the certificate, escaped as in RFC 4514: `CN=Koios@gw01, O=Koios`.
    ///
    /// For people; never compare names by their text.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The issuer, written as [`Certificate::subject`].
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The first Common Name of the subject, as it stands there.
    pub fn common_name(&self) -> Option<&str> {
        self.0.common_name.as_deref()
    }

    /// The first Organization of the subject, as it stands there.
    pub fn organization(&self) -> Option<&str> {
        self.0.organization.as_deref()
    }

    /// The first URI of the subject alternative name, which peers take as the application URI (OPC 10000-6 §6.2.2).
    pub fn application_uri(&self) -> Option<&str> {
        self.application_uris().first().map(String::as_str)
    }

    /// All URIs of the subject alternative name, in their order; bytes that are no UTF-8 are replaced.
    pub fn application_uris(&self) -> &[String] {
        &self.0.extensions.uris
    }

    /// Whether the first entry of the subject alternative name is a URI.
    pub fn is_application_uri_first(&self) -> bool {
        self.0.extensions.uri_first
    }

    /// All `dNSName` entries, in their order; bytes that are no UTF-8 are replaced.
    pub fn dns_names(&self) -> &[String] {
        &self.0.extensions.dns_names
    }

    /// All `iPAddress` entries, in their order.
    pub fn ip_addresses(&self) -> &[IpAddr] {
        &self.0.extensions.ip_addresses
    }

    /// The validity period.
    pub fn validity(&self) -> Validity {
        self.0.validity
    }

    /// The X.509 version: 1, 2 or 3.
    pub fn version(&self) -> u8 {
        self.0.version
    }

    /// The serial number as upper-case hex of whole bytes without leading zero bytes; `-` before a negative one.
    pub fn serial_number(&self) -> &str {
        &self.0.serial_number
    }

    /// The signature algorithm as OpenSSL names it (`sha256WithRSAEncryption`), else its dotted object identifier.
    pub fn signature_algorithm(&self) -> &str {
        &self.0.signature_algorithm
    }

    /// The kind of the certificate's key.
    pub fn key_algorithm(&self) -> &KeyAlgorithm {
        &self.0.spki.algorithm
    }

    /// The public key, for RSA of 2048 to 4096 bits and for P-256 and P-384.
    ///
    /// # Errors
    /// [`KeyError::UnsupportedAlgorithm`], [`KeyError::UnsupportedSize`] or [`KeyError::Malformed`].
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        self.0.public_key.get_or_init(|| self.0.spki.to_public_key()).clone()
    }

    /// Whether issuer and subject are the same name, byte for byte.
    pub fn is_self_issued(&self) -> bool {
        self.0.issuer_der == self.0.subject_der
    }

    /// Whether the issuer is the subject **and** the signature verifies with the certificate's own key.
    ///
    /// False where the signature's algorithm is one this crate cannot verify, such as MD5.
    pub fn is_self_signed(&self) -> bool {
        *self.0.self_signed.get_or_init(|| self.is_issued_by(self))
    }

    /// Whether `issuer` has the name this certificate gives as its issuer and its key verifies the signature.
    ///
    /// Says nothing about whether `issuer` was allowed to sign.
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        self.is_named_issuer(issuer) && self.verifies_with(issuer)
    }

    /// Whether `issuer`'s subject is this certificate's issuer, byte for byte.
    pub(crate) fn is_named_issuer(&self, issuer: &Self) -> bool {
        self.0.issuer_der == issuer.0.subject_der
    }

    /// Whether `issuer`'s key verifies the signature, whatever the names say.
    pub(crate) fn verifies_with(&self, issuer: &Self) -> bool {
        issuer.verifies(self.0.signature_oid, self.tbs_der(), &self.0.signature)
    }

    /// Whether the certificate's key verifies `signature` over `message`.
    pub(crate) fn verifies(&self, algorithm: ObjectIdentifier, message: &[u8], signature: &[u8]) -> bool {
        self.0.spki.verifies(algorithm, message, signature)
    }

    /// The signed part.
    fn tbs_der(&self) -> &[u8] {
        self.der().get(self.0.tbs_start..).and_then(|rest| rest.get(..self.0.tbs_len)).unwrap_or_default()
    }

    pub(crate) fn subject_der(&self) -> &[u8] {
        &self.0.subject_der
    }

    pub(crate) fn issuer_der(&self) -> &[u8] {
        &self.0.issuer_der
    }

    /// The bytes of the public key, without its algorithm.
    pub(crate) fn spki_bits(&self) -> &[u8] {
        &self.0.spki.bits
    }

    /// The content of the serial number's INTEGER.
    pub(crate) fn serial_content(&self) -> &[u8] {
        self.tbs_fields()
            .and_then(|mut fields| fields.expect(tlv::INTEGER).ok())
            .map_or(&[], |serial| serial.content)
    }

    /// Whether the algorithm in the signed part is that outside of it, byte for byte (RFC 5280 §4.1.1.2).
    pub(crate) fn names_one_signature_algorithm(&self) -> bool {
        let inner = self.tbs_fields().and_then(|mut fields| {
            fields.expect(tlv::INTEGER).ok()?;
            fields.expect(tlv::SEQUENCE).ok()
        });
        let after_tbs = self.der().get(self.0.tbs_start + self.0.tbs_len..).unwrap_or_default();
        let outer = Elements::new(after_tbs).expect(tlv::SEQUENCE).ok();
        matches!((inner, outer), (Some(inner), Some(outer)) if inner.whole == outer.whole)
    }

    /// The fields of the signed part from the serial number on.
    fn tbs_fields(&self) -> Option<Elements<'_>> {
        let mut fields = Elements::new(self.tbs_der()).expect(tlv::SEQUENCE).ok()?.elements();
        fields.optional(&[tlv::CONTEXT_0]).ok()?;
        Some(fields)
    }

    /// SHA-1 of the DER, the certificate's name in OPC UA.
    pub fn thumbprint_sha1(&self) -> Sha1Thumbprint {
        Sha1Thumbprint::of(self.der())
    }

    /// SHA-256 of the DER.
    pub fn thumbprint_sha256(&self) -> Sha256Thumbprint {
        Sha256Thumbprint::of(self.der())
    }

    /// The keyUsage extension, if there is a readable one.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.extensions.key_usage
    }

    /// The extKeyUsage extension, if there is a readable one.
    pub fn extended_key_usage(&self) -> Option<&ExtendedKeyUsage> {
        self.0.extensions.extended_key_usage.as_ref()
    }

    /// The basicConstraints extension, if there is a readable one.
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.0.extensions.basic_constraints
    }

    /// The subjectKeyIdentifier extension, if there is a readable one.
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        self.0.extensions.subject_key_identifier.as_deref()
    }

    /// The authorityKeyIdentifier extension, if there is a readable one.
    pub fn authority_key_identifier(&self) -> Option<&AuthorityKeyIdentifier> {
        self.0.extensions.authority_key_identifier.as_ref()
    }

    pub(crate) fn malformed_extensions(&self) -> &[MalformedExtension] {
        &self.0.extensions.malformed
    }

    /// The extensions that narrow what the certificate may do and are not understood, as dotted object identifiers.
    pub(crate) fn limiting_extensions(&self) -> &[String] {
        &self.0.extensions.limiting
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

impl Hash for Certificate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.der().hash(state);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject())
            .field("thumbprint_sha1", &self.thumbprint_sha1())
            .finish_non_exhaustive()
    }
}

/// Why bytes are no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// No bytes, or no certificate among them.
    #[error("there is no certificate")]
    Empty,
    /// Longer than [`Certificate::MAX_LEN`].
    #[error("the certificate has {len} bytes, more than the {max} that are read")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// More certificates than the caller allows.
    #[error("there are more than {max} certificates")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// Bytes after the end of the certificate.
    #[error("{count} bytes follow the certificate and are none themselves")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// The data end before the certificate does.
    #[error("the certificate is cut off")]
    Truncated,
    /// Not the DER of an X.509 certificate.
    #[error("it is not a well-formed X.509 certificate ({reason})")]
    Malformed {
        /// What the decoder says, with the place.
        reason: String,
    },
    /// The key inside announces RSA and is none.
    #[error("the public key in the certificate is malformed")]
    PublicKeyMalformed,
    /// The text around it is no PEM.
    #[error(transparent)]
    Pem(pem::PemError),
}

impl Parsed {
    fn new(der: &[u8], certificate: &CertificateInner<Raw>) -> Result<Self, CertificateError> {
        let tbs = certificate.tbs_certificate();
        let content = AnyRef::from_der(der).map_err(malformed)?.value();
        let tbs_der =
            SliceReader::new(content).and_then(|mut reader| reader.tlv_bytes()).map_err(malformed)?;
        let signature_oid = certificate.signature_algorithm().oid;
        Ok(Self {
            der: der.to_vec(),
            tbs_len: tbs_der.len(),
            // The content is a suffix of the certificate and begins with the signed part.
            tbs_start: der.len() - content.len(),
            signature: certificate.signature().raw_bytes().to_vec(),
            signature_oid,
            signature_algorithm: signature::name(signature_oid),
            version: match tbs.version() {
                Version::V1 => 1,
                Version::V2 => 2,
                Version::V3 => 3,
            },
            serial_number: serial_of(tbs_der)?,
            subject: distinguished_name::text(tbs.subject()),
            subject_der: der::Encode::to_der(tbs.subject()).map_err(malformed)?,
            issuer: distinguished_name::text(tbs.issuer()),
            issuer_der: der::Encode::to_der(tbs.issuer()).map_err(malformed)?,
            common_name: distinguished_name::first(tbs.subject(), distinguished_name::COMMON_NAME),
            organization: distinguished_name::first(tbs.subject(), distinguished_name::ORGANIZATION),
            validity: validity(tbs)?,
            spki: SubjectPublicKey::new(tbs.subject_public_key_info())?,
            extensions: Extensions::new(tbs.extensions().map_or(&[], Vec::as_slice)),
            self_signed: OnceLock::new(),
            public_key: OnceLock::new(),
        })
    }
}

impl SubjectPublicKey {
    pub(crate) fn new(info: &SubjectPublicKeyInfoOwned) -> Result<Self, CertificateError> {
        let oid = info.algorithm.oid;
        let bits = info.subject_public_key.raw_bytes().to_vec();
        let algorithm = if oid == pkcs1::ALGORITHM_OID {
            let bits = public_key::pkcs1_bits(&bits).map_err(|_| CertificateError::PublicKeyMalformed)?;
            KeyAlgorithm::Rsa { bits }
        } else if oid == public_key::EC_PUBLIC_KEY {
            let curve = info.algorithm.parameters.as_ref().and_then(|any| any.decode_as().ok());
            match curve.and_then(public_key::curve_of) {
                Some(curve) => KeyAlgorithm::Ec { curve },
                None => KeyAlgorithm::Other { oid: curve.unwrap_or(oid).to_string() },
            }
        } else {
            KeyAlgorithm::Other { oid: oid.to_string() }
        };
        Ok(Self { algorithm, oid, bits, verification_key: signature::CachedKey::default() })
    }

    pub(crate) fn verifies(&self, algorithm: ObjectIdentifier, message: &[u8], signature: &[u8]) -> bool {
        let cache = &self.verification_key;
        signature::verifies(algorithm, &self.algorithm, self.oid, &self.bits, cache, message, signature)
    }

    pub(crate) fn to_public_key(&self) -> Result<PublicKey, KeyError> {
        match &self.algorithm {
            KeyAlgorithm::Rsa { .. } => RsaPublicKey::from_pkcs1_der(&self.bits).map(PublicKey::from_rsa),
            KeyAlgorithm::Ec { curve } => EcPublicKey::from_point(*curve, &self.bits).map(PublicKey::from_ec),
            other @ KeyAlgorithm::Other { .. } => {
                Err(KeyError::UnsupportedAlgorithm { algorithm: other.to_string() })
            }
        }
    }
}

/// The bytes of the first DER element, which may be followed by others.
pub(crate) fn first_element(bytes: &[u8]) -> Result<&[u8], CertificateError> {
    SliceReader::new(bytes).and_then(|mut reader| reader.tlv_bytes()).map_err(malformed)
}

fn malformed(error: der::Error) -> CertificateError {
    match error.kind() {
        der::ErrorKind::Incomplete { .. } => CertificateError::Truncated,
        _ => CertificateError::Malformed { reason: error.to_string() },
    }
}

fn validity(tbs: &TbsCertificateInner<Raw>) -> Result<Validity, CertificateError> {
    let instant = |time: x509_cert::time::Time| {
        i64::try_from(time.to_unix_duration().as_secs())
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .ok_or_else(|| CertificateError::Malformed { reason: format!("validity {time}") })
    };
    let validity = tbs.validity();
    Ok(Validity { not_before: instant(validity.not_before)?, not_after: instant(validity.not_after)? })
}

/// Reads the serial from the bytes, because the parser's type forgets signs and lengths.
fn serial_of(tbs_der: &[u8]) -> Result<String, CertificateError> {
    let serial = AnyRef::from_der(tbs_der).and_then(|tbs| {
        let mut fields = SliceReader::new(tbs.value())?;
        let first = AnyRef::decode(&mut fields)?;
        if der::Tagged::tag(&first) == der::Tag::Integer { Ok(first) } else { AnyRef::decode(&mut fields) }
    });
    Ok(serial_text(serial.map_err(malformed)?.value()))
}

/// The content of an INTEGER as [`Certificate::serial_number`] shows it.
pub(crate) fn serial_text(bytes: &[u8]) -> String {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let magnitude = if negative { negated(bytes) } else { bytes.to_vec() };
    let significant: Vec<u8> = magnitude.iter().copied().skip_while(|byte| *byte == 0).collect();
    let mut text = if negative { "-".to_owned() } else { String::new() };
    let shown = if significant.is_empty() { &[0][..] } else { &significant };
    // Writing into a String cannot fail.
    let _ = thumbprint::write_hex(&mut text, shown);
    text
}

/// The magnitude of a negative two's complement number.
fn negated(bytes: &[u8]) -> Vec<u8> {
    let mut magnitude: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    for byte in magnitude.iter_mut().rev() {
        let (sum, carry) = byte.overflowing_add(1);
        *byte = sum;
        if !carry {
            break;
        }
    }
    magnitude
}

//! One certificate, read once into everything the product shows and judges.

pub(crate) mod distinguished_name;
mod extension;
mod layout;
pub(crate) mod signature;
mod subject_public_key;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use der::asn1::ObjectIdentifier;
use der::{Reader, SliceReader};

pub use self::distinguished_name::{Attribute, AttributeType, DistinguishedName, StringKind};
use self::extension::MalformedExtension;
pub use self::extension::{AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage};
pub(crate) use self::extension::{Extensions, authority_key_identifier};
use self::layout::Layout;
pub(crate) use self::layout::{check_extensions, check_name};
pub(crate) use self::subject_public_key::SubjectPublicKey;
use crate::tlv::{self, Elements};
use crate::{
    Extension, ExtensionValue, Inspection, KeyAlgorithm, KeyError, PublicKey, Sha1Thumbprint,
    Sha256Thumbprint, SignatureAlgorithm, TimeEncoding, Validity, pem,
};

/// An immutable parsed view over one certificate's DER; cheap to clone.
///
/// The structure is read when it is made, what it says when it is first asked for. Equality is that of the DER bytes.
/// Certificates that break RFC 5280 in ways a reader can live with (serial numbers of zero or below, version 1,
/// malformed extensions) are read, and [`crate::lint`] says so.
#[derive(Clone)]
pub struct Certificate(Arc<Parsed>);

struct Parsed {
    der: Vec<u8>,
    layout: Layout,
    key: SubjectPublicKey,
    subject: OnceLock<Name>,
    issuer: OnceLock<Name>,
    serial_number: OnceLock<String>,
    signature_algorithm: OnceLock<String>,
    extensions: OnceLock<Extensions>,
    self_signed: OnceLock<bool>,
    public_key: OnceLock<Result<PublicKey, KeyError>>,
}

struct Name {
    typed: DistinguishedName,
    text: OnceLock<String>,
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
        let layout = Layout::read(der)?;
        let part = |range: &Range<usize>| der.get(range.clone()).unwrap_or_default();
        let key =
            SubjectPublicKey::read(layout.key_oid, part(&layout.key_parameters), part(&layout.key_bits))?;
        Ok(Self(Arc::new(Parsed {
            der: der.to_vec(),
            layout,
            key,
            subject: OnceLock::new(),
            issuer: OnceLock::new(),
            serial_number: OnceLock::new(),
            signature_algorithm: OnceLock::new(),
            extensions: OnceLock::new(),
            self_signed: OnceLock::new(),
            public_key: OnceLock::new(),
        })))
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
        self.subject_parts().text()
    }

    /// The issuer, written as [`Certificate::subject`].
    pub fn issuer(&self) -> &str {
        self.issuer_parts().text()
    }

    /// The first Common Name of the subject, as it stands there.
    pub fn common_name(&self) -> Option<&str> {
        self.subject_name().first(AttributeType::CommonName)
    }

    /// The first Organization of the subject, as it stands there.
    pub fn organization(&self) -> Option<&str> {
        self.subject_name().first(AttributeType::Organization)
    }

    /// The first URI of the subject alternative name, which peers take as the application URI (OPC 10000-6 §6.2.2).
    pub fn application_uri(&self) -> Option<&str> {
        self.application_uris().first().map(String::as_str)
    }

    /// All URIs of the subject alternative name, in their order; bytes that are no UTF-8 are replaced.
    pub fn application_uris(&self) -> &[String] {
        &self.known_extensions().uris
    }

    /// Whether the first entry of the subject alternative name is a URI.
    pub fn is_application_uri_first(&self) -> bool {
        self.known_extensions().uri_first
    }

    /// All `dNSName` entries, in their order; bytes that are no UTF-8 are replaced.
    pub fn dns_names(&self) -> &[String] {
        &self.known_extensions().dns_names
    }

    /// All `iPAddress` entries, in their order.
    pub fn ip_addresses(&self) -> &[IpAddr] {
        &self.known_extensions().ip_addresses
    }

    /// The validity period.
    pub fn validity(&self) -> Validity {
        self.0.layout.validity
    }

    /// The X.509 version: 1, 2 or 3.
    pub fn version(&self) -> u8 {
        self.0.layout.version
    }

    /// The serial number as upper-case hex of whole bytes without leading zero bytes; `-` before a negative one.
    pub fn serial_number(&self) -> &str {
        self.0.serial_number.get_or_init(|| self.inspect().serial_number().to_string())
    }

    /// The bytes of the signature.
    pub fn signature(&self) -> &[u8] {
        self.part(&self.0.layout.signature)
    }

    /// The signature algorithm as OpenSSL names it (`sha256WithRSAEncryption`), else its dotted object identifier.
    pub fn signature_algorithm(&self) -> &str {
        let algorithm = SignatureAlgorithm::of(self.signature_oid());
        algorithm.name().unwrap_or_else(|| self.0.signature_algorithm.get_or_init(|| algorithm.to_string()))
    }

    /// The kind of the certificate's key.
    pub fn key_algorithm(&self) -> &KeyAlgorithm {
        &self.0.key.algorithm
    }

    /// The public key, for RSA of 2048 to 4096 bits and for P-256 and P-384.
    ///
    /// # Errors
    /// [`KeyError::UnsupportedAlgorithm`], [`KeyError::UnsupportedSize`] or [`KeyError::Malformed`].
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        self.0.public_key.get_or_init(|| self.0.key.to_public_key(self.spki_bits())).clone()
    }

    /// Whether issuer and subject are the same name, byte for byte.
    pub fn is_self_issued(&self) -> bool {
        self.issuer_der() == self.subject_der()
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

    /// Whether its key may sign revocation lists: without a key usage nothing is forbidden (RFC 5280 §6.3.3 (f)).
    pub(crate) fn may_sign_lists(&self) -> bool {
        self.key_usage().is_none_or(KeyUsage::crl_sign)
    }

    /// Whether `issuer`'s subject is this certificate's issuer, byte for byte.
    pub(crate) fn is_named_issuer(&self, issuer: &Self) -> bool {
        self.issuer_der() == issuer.subject_der()
    }

    /// Whether `issuer`'s key verifies the signature, whatever the names say.
    pub(crate) fn verifies_with(&self, issuer: &Self) -> bool {
        let layout = &self.0.layout;
        issuer.verifies(layout.signature_oid, self.part(&layout.tbs), self.part(&layout.signature))
    }

    /// Whether the certificate's key verifies `signature` over `message`.
    pub(crate) fn verifies(&self, algorithm: ObjectIdentifier, message: &[u8], signature: &[u8]) -> bool {
        self.0.key.verifies(self.spki_bits(), algorithm, message, signature)
    }

    /// Everything the certificate says, in types.
    pub fn inspect(&self) -> Inspection {
        Inspection(self.clone())
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
        self.known_extensions().find(|value| match value {
            ExtensionValue::KeyUsage(usage) => Some(*usage),
            _ => None,
        })
    }

    /// The extKeyUsage extension, if there is a readable one.
    pub fn extended_key_usage(&self) -> Option<&ExtendedKeyUsage> {
        self.known_extensions().find(|value| match value {
            ExtensionValue::ExtendedKeyUsage(usage) => Some(usage),
            _ => None,
        })
    }

    /// The basicConstraints extension, if there is a readable one.
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.known_extensions().find(|value| match value {
            ExtensionValue::BasicConstraints(constraints) => Some(*constraints),
            _ => None,
        })
    }

    /// The subjectKeyIdentifier extension, if there is a readable one.
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        self.known_extensions().find(|value| match value {
            ExtensionValue::SubjectKeyIdentifier(identifier) => Some(identifier.as_slice()),
            _ => None,
        })
    }

    /// The authorityKeyIdentifier extension, if there is a readable one.
    pub fn authority_key_identifier(&self) -> Option<&AuthorityKeyIdentifier> {
        self.known_extensions().find(|value| match value {
            ExtensionValue::AuthorityKeyIdentifier(identifier) => Some(identifier),
            _ => None,
        })
    }

    pub(crate) fn extensions(&self) -> &[Extension] {
        &self.known_extensions().list
    }

    pub(crate) fn malformed_extensions(&self) -> &[MalformedExtension] {
        &self.known_extensions().malformed
    }

    /// The extensions that narrow what the certificate may do and are not understood, as dotted object identifiers.
    pub(crate) fn limiting_extensions(&self) -> &[String] {
        &self.known_extensions().limiting
    }

    /// What of the extensions is not DER, if anything.
    pub(crate) fn not_der(&self) -> Option<&'static str> {
        self.known_extensions().not_der
    }

    pub(crate) fn subject_name(&self) -> &DistinguishedName {
        &self.subject_parts().typed
    }

    pub(crate) fn issuer_name(&self) -> &DistinguishedName {
        &self.issuer_parts().typed
    }

    pub(crate) fn subject_der(&self) -> &[u8] {
        self.part(&self.0.layout.subject)
    }

    pub(crate) fn issuer_der(&self) -> &[u8] {
        self.part(&self.0.layout.issuer)
    }

    /// The content of the serial number's INTEGER.
    pub(crate) fn serial_content(&self) -> &[u8] {
        self.part(&self.0.layout.serial)
    }

    pub(crate) fn signature_oid(&self) -> ObjectIdentifier {
        self.0.layout.signature_oid
    }

    /// Whether the algorithm in the signed part is that outside of it, byte for byte (RFC 5280 §4.1.1.2).
    pub(crate) fn names_one_signature_algorithm(&self) -> bool {
        let layout = &self.0.layout;
        self.part(&layout.inner_algorithm) == self.part(&layout.outer_algorithm)
    }

    pub(crate) fn time_encodings(&self) -> (TimeEncoding, TimeEncoding) {
        self.0.layout.time_encodings
    }

    pub(crate) fn key_oid(&self) -> ObjectIdentifier {
        self.0.layout.key_oid
    }

    /// The `SubjectPublicKeyInfo`.
    pub(crate) fn spki_der(&self) -> &[u8] {
        self.part(&self.0.layout.spki)
    }

    /// The bytes of the public key, without its algorithm.
    pub(crate) fn spki_bits(&self) -> &[u8] {
        self.part(&self.0.layout.key_bits)
    }

    /// The public exponent of an RSA key, without leading zero bytes.
    pub(crate) fn rsa_exponent(&self) -> Option<Vec<u8>> {
        let mut numbers = Elements::new(self.spki_bits()).expect(tlv::SEQUENCE).ok()?.elements();
        numbers.expect(tlv::INTEGER).ok()?;
        let exponent = numbers.expect(tlv::INTEGER).ok()?.content;
        Some(exponent.iter().copied().skip_while(|byte| *byte == 0).collect())
    }

    fn known_extensions(&self) -> &Extensions {
        self.0.extensions.get_or_init(|| Extensions::read(self.part(&self.0.layout.extensions)))
    }

    fn subject_parts(&self) -> &Name {
        self.0.subject.get_or_init(|| Name::read(self.subject_der()))
    }

    fn issuer_parts(&self) -> &Name {
        self.0.issuer.get_or_init(|| Name::read(self.issuer_der()))
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.0.der.get(range.clone()).unwrap_or_default()
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

impl Name {
    /// The grammar was checked when the certificate was read.
    fn read(der: &[u8]) -> Self {
        let typed = DistinguishedName::from_der(der).unwrap_or(DistinguishedName::empty());
        Self { typed, text: OnceLock::new() }
    }

    fn text(&self) -> &str {
        self.text.get_or_init(|| self.typed.to_string())
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

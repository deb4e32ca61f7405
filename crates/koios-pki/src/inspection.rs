//! Everything a certificate says, in types: for detail pages, auditors and the lint.

mod oid;
mod signature_algorithm;

use std::fmt;
use std::net::IpAddr;

pub use self::oid::Oid;
pub use self::signature_algorithm::SignatureAlgorithm;
use crate::{
    AuthorityKeyIdentifier, BasicConstraints, Certificate, DistinguishedName, ExtendedKeyUsage, KeyAlgorithm,
    KeyUsage, Sha1Thumbprint, Sha256Thumbprint, Validity, thumbprint,
};

/// What [`Certificate::inspect`] finds; a view over the certificate, read at most once and cheap to clone.
///
/// Nothing here is judged, see [`crate::lint`].
///
/// ```
/// # use koios_pki::{Certificate, ExtensionValue};
/// # fn show(certificate: &Certificate) {
/// let inspection = certificate.inspect();
/// for attribute in inspection.subject().attributes() {
///     println!("{} = {:?}", attribute.kind, attribute.value);
/// }
/// for extension in inspection.extensions() {
///     if let ExtensionValue::SubjectAltName(names) = &extension.value {
///         println!("{names:?}");
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection(pub(crate) Certificate);

impl Inspection {
    /// The X.509 version: 1, 2 or 3.
    pub fn version(&self) -> u8 {
        self.0.version()
    }

    /// The serial number, whatever its sign and length.
    pub fn serial_number(&self) -> CertificateSerial {
        CertificateSerial::new(self.0.serial_content())
    }

    /// The algorithm of the signature.
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::of(self.0.signature_oid())
    }

    /// Whether the signed part names the algorithm that stands beside the signature, as it must (RFC 5280 §4.1.1.2).
    pub fn names_one_signature_algorithm(&self) -> bool {
        self.0.names_one_signature_algorithm()
    }

    /// Whose certificate it is.
    pub fn subject(&self) -> &DistinguishedName {
        self.0.subject_name()
    }

    /// Who issued it.
    pub fn issuer(&self) -> &DistinguishedName {
        self.0.issuer_name()
    }

    /// The validity period.
    pub fn validity(&self) -> Validity {
        self.0.validity()
    }

    /// How the two ends of the validity are encoded.
    pub fn time_encodings(&self) -> (TimeEncoding, TimeEncoding) {
        self.0.time_encodings()
    }

    /// The public key.
    pub fn key(&self) -> KeyDetails {
        let algorithm = self.0.key_algorithm().clone();
        let exponent = match algorithm {
            KeyAlgorithm::Rsa { .. } => self.0.rsa_exponent(),
            _ => None,
        };
        KeyDetails {
            algorithm,
            algorithm_oid: Oid::new(self.0.key_oid()),
            exponent,
            spki_sha256: Sha256Thumbprint::of(self.0.spki_der()),
            key_identifier: *Sha1Thumbprint::of(self.0.spki_bits()).as_bytes(),
        }
    }

    /// All extensions in the order of the certificate, the malformed and the unknown ones included.
    pub fn extensions(&self) -> &[Extension] {
        self.0.extensions()
    }

    /// Whether issuer and subject are the same name, byte for byte.
    pub fn is_self_issued(&self) -> bool {
        self.0.is_self_issued()
    }

    /// Whether the issuer is the subject and the signature verifies with the certificate's own key.
    pub fn is_self_signed(&self) -> bool {
        self.0.is_self_signed()
    }

    /// SHA-1 of the DER, the certificate's name in OPC UA.
    pub fn thumbprint_sha1(&self) -> Sha1Thumbprint {
        self.0.thumbprint_sha1()
    }

    /// SHA-256 of the DER.
    pub fn thumbprint_sha256(&self) -> Sha256Thumbprint {
        self.0.thumbprint_sha256()
    }

    /// The length of the DER in bytes.
    pub fn der_len(&self) -> usize {
        self.0.der().len()
    }
}

/// A serial number as it stands in a certificate: zero, negative and long ones included (RFC 5280 §4.1.2.2).
///
/// Displayed as upper-case hex of whole bytes without leading zero bytes; `-` before a negative one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateSerial(Vec<u8>);

impl CertificateSerial {
    pub(crate) fn new(content: &[u8]) -> Self {
        Self(content.to_vec())
    }

    /// The content of the INTEGER: big-endian two's complement.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.0.first().is_some_and(|byte| byte & 0x80 != 0)
    }

    /// Whether it is above zero, as RFC 5280 demands.
    pub fn is_positive(&self) -> bool {
        !self.is_negative() && self.0.iter().any(|byte| *byte != 0)
    }

    /// The bytes of the magnitude without leading zero bytes; empty for zero.
    pub fn magnitude(&self) -> Vec<u8> {
        let magnitude = if self.is_negative() { negated(&self.0) } else { self.0.clone() };
        magnitude.into_iter().skip_while(|byte| *byte == 0).collect()
    }
}

impl fmt::Display for CertificateSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_negative() {
            f.write_str("-")?;
        }
        let magnitude = self.magnitude();
        thumbprint::write_hex(f, if magnitude.is_empty() { &[0] } else { &magnitude })
    }
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

/// How an instant is encoded (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "RFC 5280 §4.1 names exactly these")]
pub enum TimeEncoding {
    /// `UTCTime`: what is to be used up to the year 2049.
    Utc,
    /// `GeneralizedTime`: what is to be used from the year 2050 on.
    Generalized,
}

/// What there is to know of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyDetails {
    /// Its kind, with the bits of RSA or the curve.
    pub algorithm: KeyAlgorithm,
    /// The object identifier of its algorithm.
    pub algorithm_oid: Oid,
    /// The public exponent of RSA, big-endian without leading zero bytes.
    pub exponent: Option<Vec<u8>>,
    /// SHA-256 of the `SubjectPublicKeyInfo`, which stays when the certificate is renewed for the same key.
    pub spki_sha256: Sha256Thumbprint,
    /// SHA-1 of the key's bits, what a subjectKeyIdentifier usually is (RFC 5280 §4.2.1.2).
    pub key_identifier: [u8; 20],
}

/// One extension (RFC 5280 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extension {
    /// Which one.
    pub oid: Oid,
    /// Its name when it is one that OPC 10000-6 §6.2.2 speaks of.
    pub name: Option<&'static str>,
    /// Whether who does not understand it must refuse the certificate.
    pub critical: bool,
    /// Whether one of this kind stands before it; only the first one counts.
    pub repeated: bool,
    /// What it says.
    pub value: ExtensionValue,
}

/// What an extension says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtensionValue {
    /// subjectAltName, entries in their order.
    SubjectAltName(Vec<GeneralName>),
    /// keyUsage.
    KeyUsage(KeyUsage),
    /// extKeyUsage.
    ExtendedKeyUsage(ExtendedKeyUsage),
    /// basicConstraints.
    BasicConstraints(BasicConstraints),
    /// subjectKeyIdentifier.
    SubjectKeyIdentifier(Vec<u8>),
    /// authorityKeyIdentifier.
    AuthorityKeyIdentifier(AuthorityKeyIdentifier),
    /// cRLDistributionPoints: the URIs of all points.
    CrlDistributionPoints(Vec<String>),
    /// authorityInfoAccess.
    AuthorityInfoAccess {
        /// The URIs of OCSP responders.
        ocsp: Vec<String>,
        /// The URIs of the issuer's certificates.
        ca_issuers: Vec<String>,
    },
    /// certificatePolicies.
    CertificatePolicies(Vec<Oid>),
    /// nameConstraints; their content is not read.
    NameConstraints,
    /// One that is not read here.
    Unknown {
        /// The length of its content in bytes.
        len: usize,
    },
    /// One that cannot be read, or stands there twice.
    Malformed,
}

/// One entry of a subject alternative name (RFC 5280 §4.2.1.6); bytes that are no UTF-8 are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GeneralName {
    /// `otherName`.
    Other {
        /// What kind of name.
        kind: Oid,
    },
    /// `rfc822Name`.
    Email(String),
    /// `dNSName`.
    Dns(String),
    /// `x400Address`.
    X400,
    /// `directoryName`.
    Directory(DistinguishedName),
    /// `ediPartyName`.
    EdiParty,
    /// `uniformResourceIdentifier`.
    Uri(String),
    /// `iPAddress`.
    Ip(IpAddr),
    /// `registeredID`.
    RegisteredId(Oid),
    /// None of these, or an address of another length than 4 or 16 bytes.
    Malformed {
        /// The identifier octet of the entry.
        tag: u8,
    },
}

impl GeneralName {
    pub(crate) fn into_uri(self) -> Option<String> {
        match self {
            Self::Uri(uri) => Some(uri),
            _ => None,
        }
    }
}

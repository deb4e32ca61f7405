//! Certificate requests (PKCS#10, RFC 2986): what an authority is asked to certify.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use der::asn1::{Any, ObjectIdentifier, SetOfVec};
use der::{Decode, Encode};
use x509_cert::attr::Attribute;
use x509_cert::request::CertReq;

use crate::certificate::{Extensions, SubjectPublicKey, check_extensions, first_element};
use crate::issue::extensions::{self, key_identifier};
use crate::issue::signed::RequestBody;
use crate::issue::{IssueError, Subject, alternative_names, unencodable};
use crate::tlv::{self, Elements, TlvError};
use crate::{
    ApplicationUri, AttributeType, BasicConstraints, Certificate, DistinguishedName, ExtendedKeyUsage,
    ExtensionValue, KeyAlgorithm, KeyError, KeyUsage, PemError, PrivateKey, Profile, PublicKey, pem,
};

/// What a certificate request is to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestParams {
    subject: Vec<u8>,
    /// The one URI, first in the subject alternative name.
    pub application_uri: ApplicationUri,
    /// `dNSName` entries, in this order.
    pub dns_names: Vec<String>,
    /// `iPAddress` entries, in this order, after the names.
    pub ip_addresses: Vec<IpAddr>,
}

impl RequestParams {
    /// Asks for a certificate with the subject CN and O.
    ///
    /// # Errors
    /// When a name is empty or longer than X.509 allows.
    pub fn new(
        common_name: &str,
        organization: &str,
        application_uri: ApplicationUri,
    ) -> Result<Self, IssueError> {
        Self::for_subject(&Subject::new(common_name, organization), application_uri)
    }

    /// Asks for a certificate with a subject that says more than CN and O.
    ///
    /// # Errors
    /// When an attribute is empty or longer than X.509 allows, or the country is not two upper-case letters.
    pub fn for_subject(subject: &Subject, application_uri: ApplicationUri) -> Result<Self, IssueError> {
        Ok(Self {
            subject: subject.to_der()?,
            application_uri,
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
        })
    }

    /// Asks for a certificate that says the same as `certificate`: its subject byte for byte, its application URI, host
    /// names and addresses.
    ///
    /// # Errors
    /// [`IssueError::RequestRefused`] when the certificate has no application URI that a new one may carry.
    pub fn from_certificate(certificate: &Certificate) -> Result<Self, IssueError> {
        let uri = certificate.application_uri().unwrap_or_default();
        let application_uri = ApplicationUri::parse(uri)
            .map_err(|error| IssueError::RequestRefused { reason: error.to_string() })?;
        Ok(Self {
            subject: certificate.subject_der().to_vec(),
            application_uri,
            dns_names: certificate.dns_names().to_vec(),
            ip_addresses: certificate.ip_addresses().to_vec(),
        })
    }
}

/// Makes a request for a certificate of `key`, signed with it (RFC 2986 §4).
///
/// It asks for what OPC 10000-6 §6.2.2 wants of a certificate that an authority issues ([`Profile::CaIssued`]):
/// subjectAltName with the URI first, keyUsage, extKeyUsage, basicConstraints and subjectKeyIdentifier, in an
/// `extensionRequest` attribute (RFC 2985 §5.4.2).
///
/// # Errors
/// When a host name is no ASCII text, or signing fails.
pub fn certificate_request(
    params: &RequestParams,
    key: &PrivateKey,
) -> Result<CertificateRequest, IssueError> {
    let RequestParams { subject, application_uri, dns_names, ip_addresses } = params;
    let mut asked = extensions::Extensions::of_profile(Profile::CaIssued.rules(), key.public_key())?;
    asked.subject_alternative_name(alternative_names::to_der(application_uri, dns_names, ip_addresses)?)?;
    asked.subject_key_identifier(&key_identifier(key.public_key())?)?;
    let attribute = || -> der::Result<Attribute> {
        let value = Any::encode_from(&asked.into_vec())?;
        Ok(Attribute { oid: EXTENSION_REQUEST, values: SetOfVec::try_from(vec![value])? })
    };
    let attribute = attribute().map_err(unencodable)?;
    let body =
        RequestBody { subject, spki: key.public_key().spki_der(), attributes: vec![attribute] }.sign(key)?;
    CertificateRequest::from_der(&body).map_err(unencodable)
}

/// An immutable parsed view over a certificate request whose signature was verified: who made it holds the key.
///
/// Cheap to clone. Equality is that of the DER bytes.
#[derive(Clone)]
pub struct CertificateRequest(Arc<Parsed>);

struct Parsed {
    der: Vec<u8>,
    subject: DistinguishedName,
    subject_text: String,
    subject_der: Vec<u8>,
    key_algorithm: KeyAlgorithm,
    public_key: PublicKey,
    extensions: Extensions,
}

impl CertificateRequest {
    /// Reads exactly one request, and verifies that its own key signed it.
    ///
    /// # Errors
    /// When the bytes are no PKCS#10 request, other bytes follow it, it is larger than 64 KiB, its key is of a kind that
    /// no security policy takes, or its signature does not verify.
    pub fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > Certificate::MAX_LEN {
            return Err(RequestError::TooLarge { len: der.len(), max: Certificate::MAX_LEN });
        }
        let malformed = |error: der::Error| RequestError::Malformed { reason: error.to_string() };
        let element =
            first_element(der).map_err(|error| RequestError::Malformed { reason: error.to_string() })?;
        if element.len() < der.len() {
            return Err(RequestError::Malformed { reason: "bytes follow it".to_owned() });
        }
        let request = CertReq::from_der(der).map_err(malformed)?;
        let (body, subject_der) =
            signed_part(der).map_err(|_| RequestError::Malformed { reason: "the subject".to_owned() })?;
        let info = &request.info.public_key;
        let parameters =
            info.algorithm.parameters.as_ref().map(Encode::to_der).transpose().map_err(malformed)?;
        let bits = info.subject_public_key.raw_bytes();
        let key = SubjectPublicKey::read(info.algorithm.oid, &parameters.unwrap_or_default(), bits)
            .map_err(|error| RequestError::Malformed { reason: error.to_string() })?;
        // The key first: the signature of one of another kind cannot be judged.
        let public_key = key.to_public_key(bits).map_err(RequestError::Key)?;
        if !key.verifies(bits, request.algorithm.oid, body, request.signature.raw_bytes()) {
            return Err(RequestError::SignatureInvalid);
        }
        let subject = DistinguishedName::from_der(subject_der)
            .map_err(|_| RequestError::Malformed { reason: "the subject".to_owned() })?;
        Ok(Self(Arc::new(Parsed {
            der: der.to_vec(),
            subject_text: subject.to_string(),
            subject,
            subject_der: subject_der.to_vec(),
            key_algorithm: key.algorithm,
            public_key,
            extensions: asked(&request)?,
        })))
    }

    /// Reads the one `CERTIFICATE REQUEST` block of a PEM text (RFC 7468 §7, and the older `NEW CERTIFICATE REQUEST`).
    ///
    /// # Errors
    /// When there is not exactly one, or as [`CertificateRequest::from_der`].
    pub fn from_pem(text: &[u8]) -> Result<Self, RequestError> {
        let blocks = pem::blocks(text).map_err(RequestError::Pem)?;
        let mut requests = blocks.iter().filter(|block| PEM_LABELS.contains(&block.label));
        match (requests.next(), requests.next()) {
            (Some(block), None) => Self::from_der(&block.der),
            (None, _) => Err(RequestError::Missing),
            (Some(_), Some(_)) => Err(RequestError::Several),
        }
    }

    /// The DER bytes as they were read.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// One PEM block (RFC 7468 §7), lines ended by `\n`.
    pub fn to_pem(&self) -> String {
        pem::encode(PEM_LABEL, self.der()).to_string()
    }

    /// The subject, written as [`Certificate::subject`].
    pub fn subject(&self) -> &str {
        &self.0.subject_text
    }

    pub(crate) fn subject_der(&self) -> &[u8] {
        &self.0.subject_der
    }

    /// The first Common Name of the subject.
    pub fn common_name(&self) -> Option<&str> {
        self.0.subject.first(AttributeType::CommonName)
    }

    /// The kind of the key to be certified.
    pub fn key_algorithm(&self) -> &KeyAlgorithm {
        &self.0.key_algorithm
    }

    /// The key to be certified.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// All URIs of the subject alternative name asked for, in their order.
    pub fn application_uris(&self) -> &[String] {
        &self.0.extensions.uris
    }

    /// Whether the first entry of the subject alternative name asked for is a URI.
    pub fn is_application_uri_first(&self) -> bool {
        self.0.extensions.uri_first
    }

    /// All `dNSName` entries asked for, in their order.
    pub fn dns_names(&self) -> &[String] {
        &self.0.extensions.dns_names
    }

    /// All `iPAddress` entries asked for, in their order.
    pub fn ip_addresses(&self) -> &[IpAddr] {
        &self.0.extensions.ip_addresses
    }

    /// The keyUsage asked for.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.extensions.find(|value| match value {
            ExtensionValue::KeyUsage(usage) => Some(*usage),
            _ => None,
        })
    }

    /// The extKeyUsage asked for.
    pub fn extended_key_usage(&self) -> Option<&ExtendedKeyUsage> {
        self.0.extensions.find(|value| match value {
            ExtensionValue::ExtendedKeyUsage(usage) => Some(usage),
            _ => None,
        })
    }

    /// The basicConstraints asked for.
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.0.extensions.find(|value| match value {
            ExtensionValue::BasicConstraints(constraints) => Some(*constraints),
            _ => None,
        })
    }

    pub(crate) fn has_malformed_extensions(&self) -> bool {
        !self.0.extensions.malformed.is_empty()
    }
}

impl PartialEq for CertificateRequest {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for CertificateRequest {}

impl fmt::Debug for CertificateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateRequest").field("subject", &self.subject()).finish_non_exhaustive()
    }
}

/// Why bytes are no certificate request that could be granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No request among the PEM blocks.
    #[error("there is no certificate request")]
    Missing,
    /// More than one request.
    #[error("there are several certificate requests; give one")]
    Several,
    /// Longer than 64 KiB.
    #[error("the certificate request has {len} bytes, more than the {max} that are read")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// Not the DER of a PKCS#10 request.
    #[error("it is not a well-formed certificate request ({reason})")]
    Malformed {
        /// What the decoder says, with the place.
        reason: String,
    },
    /// Who made the request does not hold its key, or signed in a way that is not verified here.
    #[error("the certificate request is not signed by its own key")]
    SignatureInvalid,
    /// Its key is of a kind that no security policy takes.
    #[error(transparent)]
    Key(KeyError),
    /// The text around it is no PEM.
    #[error(transparent)]
    Pem(PemError),
}

/// The signed part, and the subject as it stands in it (RFC 2986 §4.1), also where its order is not that of DER: encoded
/// anew it would be another name.
fn signed_part(der: &[u8]) -> Result<(&[u8], &[u8]), TlvError> {
    let body = Elements::new(der).expect(tlv::SEQUENCE)?.expect_inner(tlv::SEQUENCE)?;
    let mut fields = body.elements();
    fields.expect(tlv::INTEGER)?;
    Ok((body.whole, fields.expect(tlv::SEQUENCE)?.whole))
}

/// The extensions asked for; none when there is no such attribute.
fn asked(request: &CertReq) -> Result<Extensions, RequestError> {
    let attribute = request.info.attributes.iter().find(|attribute| attribute.oid == EXTENSION_REQUEST);
    match attribute.and_then(|attribute| attribute.values.iter().next()) {
        Some(sequence) => {
            check_extensions(Elements::new(sequence.value()))
                .map_err(|_| RequestError::Malformed { reason: "the extensions asked for".to_owned() })?;
            Ok(Extensions::read(sequence.value()))
        }
        None => Ok(Extensions::default()),
    }
}

/// `pkcs-9-at-extensionRequest` (RFC 2985 §5.4.2).
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
const PEM_LABEL: &str = "CERTIFICATE REQUEST";
const PEM_LABELS: [&str; 2] = [PEM_LABEL, "NEW CERTIFICATE REQUEST"];

use std::net::IpAddr;
use std::sync::Arc;

use crate::{KeyAlgorithm, KeyError, PublicKey, Sha1Thumbprint, Sha256Thumbprint, Validity};

/// An immutable parsed view over one certificate's DER.
#[derive(Clone)]
pub struct Certificate(Arc<Parsed>);

struct Parsed {
    der: Vec<u8>,
}

impl Certificate {
    /// Reads exactly one certificate.
    ///
    /// # Errors
    /// When it is none, or bytes follow it.
    pub fn from_der(_der: &[u8]) -> Result<Self, CertificateError> {
        todo!()
    }
    /// The DER bytes as they were read.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }
    /// PEM, lines ended by `\n`.
    pub fn to_pem(&self) -> String {
        todo!()
    }
    /// The subject, in the order of the certificate: `CN=…, O=…`.
    pub fn subject(&self) -> &str {
        todo!()
    }
    /// The issuer, in the order of the certificate.
    pub fn issuer(&self) -> &str {
        todo!()
    }
    /// Whether issuer and subject are the same name.
    pub fn issuer_is_subject(&self) -> bool {
        todo!()
    }
    /// The first Common Name of the subject.
    pub fn common_name(&self) -> Option<&str> {
        todo!()
    }
    /// The first Organization of the subject.
    pub fn organization(&self) -> Option<&str> {
        todo!()
    }
    /// The first URI of the subject alternative name.
    pub fn application_uri(&self) -> Option<&str> {
        todo!()
    }
    /// All URIs of the subject alternative name.
    pub fn application_uris(&self) -> &[String] {
        todo!()
    }
    /// All `dNSName` entries.
    pub fn dns_names(&self) -> &[String] {
        todo!()
    }
    /// All `iPAddress` entries.
    pub fn ip_addresses(&self) -> &[IpAddr] {
        todo!()
    }
    /// The validity period.
    pub fn validity(&self) -> Validity {
        todo!()
    }
    /// Upper-case hex, a leading `-` when negative.
    pub fn serial_number(&self) -> &str {
        todo!()
    }
    /// The signature algorithm's name, or its dotted object identifier.
    pub fn signature_algorithm(&self) -> &str {
        todo!()
    }
    /// The kind of the certificate's key.
    pub fn key_algorithm(&self) -> &KeyAlgorithm {
        todo!()
    }
    /// The public key, RSA of 2048 to 4096 bits only.
    ///
    /// # Errors
    /// For any other key.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        PublicKey::of(self)
    }
    /// The `SubjectPublicKeyInfo` in DER.
    pub fn spki_der(&self) -> &[u8] {
        todo!()
    }
    /// Issuer is subject, and the signature verifies with the certificate's own key.
    pub fn is_self_signed(&self) -> bool {
        todo!()
    }
    /// Whether `issuer`'s subject is this certificate's issuer and its key verifies the signature.
    pub fn is_issued_by(&self, _issuer: &Self) -> bool {
        todo!()
    }
    /// SHA-1 of the DER.
    pub fn thumbprint_sha1(&self) -> Sha1Thumbprint {
        Sha1Thumbprint::of(self.der())
    }
    /// SHA-256 of the DER.
    pub fn thumbprint_sha256(&self) -> Sha256Thumbprint {
        Sha256Thumbprint::of(self.der())
    }
    /// The keyUsage extension.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        todo!()
    }
    /// The extKeyUsage extension.
    pub fn extended_key_usage(&self) -> Option<&ExtendedKeyUsage> {
        todo!()
    }
    /// The basicConstraints extension.
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        todo!()
    }
    /// The subjectKeyIdentifier extension.
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        todo!()
    }
    /// The authorityKeyIdentifier extension.
    pub fn authority_key_identifier(&self) -> Option<&AuthorityKeyIdentifier> {
        todo!()
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}
impl Eq for Certificate {}
impl std::hash::Hash for Certificate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.der().hash(state);
    }
}
impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

/// keyUsage (RFC 5280 §4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage {}
/// extKeyUsage (RFC 5280 §4.2.1.12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedKeyUsage {}
/// basicConstraints (RFC 5280 §4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BasicConstraints {}
/// authorityKeyIdentifier (RFC 5280 §4.2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorityKeyIdentifier {}

/// Why bytes are no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Nothing was given.
    #[error("there are no bytes")]
    Empty,
}

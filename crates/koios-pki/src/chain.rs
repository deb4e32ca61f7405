use crate::{Certificate, CertificateError};

/// A certificate and what it was sent with: non-empty, leaf first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateChain {
    leaf: Certificate,
    issuers: Vec<Certificate>,
}

#[expect(clippy::len_without_is_empty, reason = "a chain is never empty")]
impl CertificateChain {
    /// A chain of `leaf` and the certificates that follow it.
    pub fn new(leaf: Certificate, issuers: Vec<Certificate>) -> Self {
        Self { leaf, issuers }
    }

    /// Reads concatenated DER (OPC 10000-6 §6.2.6), at most `max` certificates.
    ///
    /// # Errors
    /// When an element is no certificate, or there are none or more than `max`.
    pub fn from_der_blob(_blob: &[u8], _max: usize) -> Result<Self, CertificateError> {
        todo!()
    }

    /// Reads all `CERTIFICATE` blocks of a PEM text, in their order.
    ///
    /// # Errors
    /// When there is none, or one is malformed.
    pub fn from_pem(_pem: &[u8]) -> Result<Self, CertificateError> {
        todo!()
    }

    /// The first certificate.
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The certificates after the leaf.
    pub fn issuers(&self) -> &[Certificate] {
        &self.issuers
    }

    /// All certificates, leaf first.
    pub fn iter(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.leaf).chain(&self.issuers)
    }

    /// The number of certificates, at least one.
    pub fn len(&self) -> usize {
        1 + self.issuers.len()
    }

    /// Concatenated DER, leaf first.
    pub fn to_der_blob(&self) -> Vec<u8> {
        self.iter().flat_map(|certificate| certificate.der().iter().copied()).collect()
    }

    /// PEM blocks, leaf first.
    pub fn to_pem(&self) -> String {
        self.iter().map(Certificate::to_pem).collect()
    }
}

impl From<Certificate> for CertificateChain {
    fn from(leaf: Certificate) -> Self {
        Self::new(leaf, Vec::new())
    }
}

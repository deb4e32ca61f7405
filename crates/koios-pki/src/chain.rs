use crate::certificate::first_element;
use crate::{Certificate, CertificateError, PublicKey, pem};

/// A certificate and the certificates it came with: non-empty, leaf first.
///
/// The order is kept as given; that each certificate issued the one before it is not promised, but told by
/// [`crate::findings`].
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

    /// The most certificates [`CertificateChain::from_pem`] and [`crate::read_pair`] take: chains in use have up to
    /// four.
    pub const MAX_LEN: usize = 16;

    /// Reads certificates in DER, one after the other without separator, leaf first, as OPC UA sends them
    /// (OPC 10000-6 §6.2.6).
    ///
    /// # Errors
    /// When there is none, there are more than `max`, or any bytes are not part of a certificate.
    pub fn from_der_blob(blob: &[u8], max: usize) -> Result<Self, CertificateError> {
        let mut certificates = Vec::new();
        let mut rest = blob;
        while !rest.is_empty() {
            if certificates.len() == max {
                return Err(CertificateError::TooMany { max });
            }
            let certificate = first_element(rest).and_then(Certificate::from_der);
            // What follows a certificate and is none is told apart from a first one that is none.
            let certificate = certificate.map_err(|error| match error {
                CertificateError::Truncated if looks_cut_off(rest) => CertificateError::Truncated,
                CertificateError::Malformed { .. } | CertificateError::Truncated
                    if !certificates.is_empty() =>
                {
                    CertificateError::TrailingBytes { count: rest.len() }
                }
                other => other,
            })?;
            rest = rest.get(certificate.der().len()..).unwrap_or_default();
            certificates.push(certificate);
        }
        Self::from_certificates(certificates)
    }

    /// Reads all `CERTIFICATE` blocks of a PEM text, in their order, ignoring blocks of other kinds.
    ///
    /// # Errors
    /// When there is none, there are more than [`CertificateChain::MAX_LEN`], or one of them is malformed.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        let blocks = pem::blocks(pem).map_err(CertificateError::Pem)?;
        Self::from_pem_blocks(&blocks)
    }

    pub(crate) fn from_pem_blocks(blocks: &[pem::Block<'_>]) -> Result<Self, CertificateError> {
        let blocks: Vec<_> = blocks.iter().filter(|block| PEM_LABELS.contains(&block.label)).collect();
        if blocks.len() > Self::MAX_LEN {
            return Err(CertificateError::TooMany { max: Self::MAX_LEN });
        }
        let certificates = blocks.iter().map(|block| Certificate::from_der(&block.der));
        Self::from_certificates(certificates.collect::<Result<_, _>>()?)
    }

    /// The one that issued none of the others first, each followed by its issuer as far as that is there.
    pub(crate) fn from_unordered(certificates: Vec<Certificate>) -> Result<Self, CertificateError> {
        let issues_another = |issuer: &Certificate| {
            certificates.iter().any(|other| other != issuer && other.is_named_issuer(issuer))
        };
        let leaf = certificates.iter().position(|certificate| !issues_another(certificate)).unwrap_or(0);
        let chain = Self::from_certificates(certificates)?;
        Ok(chain.with_leaf(leaf))
    }

    fn from_certificates(mut certificates: Vec<Certificate>) -> Result<Self, CertificateError> {
        if certificates.is_empty() {
            return Err(CertificateError::Empty);
        }
        let leaf = certificates.remove(0);
        Ok(Self::new(leaf, certificates))
    }

    /// The same certificates with the one at `index` as leaf, each followed by the one it names as its issuer as far
    /// as there is one, the others at the end as they were.
    pub(crate) fn with_leaf(self, index: usize) -> Self {
        let mut others: Vec<_> =
            std::iter::once(self.leaf.clone()).chain(self.issuers.iter().cloned()).collect();
        if index >= others.len() {
            return self;
        }
        let leaf = others.remove(index);
        let mut issuers: Vec<Certificate> = Vec::with_capacity(others.len());
        loop {
            let last = issuers.last().unwrap_or(&leaf);
            match others.iter().position(|other| last.is_named_issuer(other)) {
                Some(next) if !last.is_self_issued() => issuers.push(others.remove(next)),
                _ => break,
            }
        }
        issuers.append(&mut others);
        Self { leaf, issuers }
    }

    /// The same certificates with the one of `key` first; `None` when there is none of it.
    pub fn for_key(self, key: &PublicKey) -> Option<Self> {
        let owns = |certificate: &Certificate| certificate.public_key().is_ok_and(|own| own == *key);
        let index = self.iter().position(owns)?;
        match index {
            0 => Some(self),
            index => Some(self.with_leaf(index)),
        }
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

    /// Certificates in DER, one after the other, leaf first; what [`CertificateChain::from_der_blob`] reads.
    pub fn to_der_blob(&self) -> Vec<u8> {
        self.iter().flat_map(|certificate| certificate.der().iter().copied()).collect()
    }

    /// One PEM block after the other, leaf first.
    pub fn to_pem(&self) -> String {
        self.iter().map(Certificate::to_pem).collect()
    }
}

/// Whether bytes begin as a certificate does: a SEQUENCE (X.690 §8.9) with a long length, since none is short.
fn looks_cut_off(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x81..=0xFF, ..])
}

impl From<Certificate> for CertificateChain {
    fn from(leaf: Certificate) -> Self {
        Self::new(leaf, Vec::new())
    }
}

/// RFC 7468 §5 and the older names it tells parsers to accept.
pub(crate) const PEM_LABELS: [&str; 2] = ["CERTIFICATE", "X509 CERTIFICATE"];

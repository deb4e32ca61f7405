//! Certificate revocation lists (RFC 5280 §5).

mod parse;

use std::fmt;
use std::sync::{Arc, OnceLock};

use time::OffsetDateTime;

use self::parse::Parsed;
use crate::{
    AuthorityKeyIdentifier, Certificate, KeyAlgorithm, PemError, Sha256Thumbprint, distinguished_names, pem,
};

/// An authority's list of the certificates it revoked; cheap to clone.
///
/// It is read once, whatever its length, and answers from an index afterwards: 100,000 entries cost 16 bytes each
/// beside the list itself, and an answer takes 17 comparisons. Versions 1 and 2 are read, with any extensions; whether
/// the list may be asked in validation says [`RevocationList::unusable`].
///
/// Entries with the reason removeFromCRL take back those of earlier lists and revoke nothing.
#[derive(Clone)]
pub struct RevocationList(Arc<Shared>);

struct Shared {
    parsed: Parsed,
    /// The key that verified the signature: neither changes, so a large list is hashed once and not at each use.
    verified_with: OnceLock<(KeyAlgorithm, Vec<u8>)>,
}

impl RevocationList {
    /// Reads exactly one list.
    ///
    /// # Errors
    /// When the bytes are no X.509 revocation list, other bytes follow it, or it is larger than
    /// [`RevocationList::MAX_LEN`].
    pub fn from_der(der: &[u8]) -> Result<Self, RevocationListError> {
        if der.is_empty() {
            return Err(RevocationListError::Empty);
        }
        if der.len() > Self::MAX_LEN {
            return Err(RevocationListError::TooLarge { len: der.len(), max: Self::MAX_LEN });
        }
        let parsed = Parsed::new(der)?;
        Ok(Self(Arc::new(Shared { parsed, verified_with: OnceLock::new() })))
    }

    /// Reads the one `X509 CRL` block of a PEM text (RFC 7468 §6), ignoring blocks of other kinds.
    ///
    /// # Errors
    /// As for [`RevocationList::from_der`], and when there are several.
    pub fn from_pem(pem: &[u8]) -> Result<Self, RevocationListError> {
        // Base64 has a third more bytes, and its line breaks a few.
        if pem.len() > Self::MAX_LEN / 2 * 3 {
            return Err(RevocationListError::TooLarge { len: pem.len(), max: Self::MAX_LEN / 2 * 3 });
        }
        let blocks = pem::blocks(pem).map_err(RevocationListError::Pem)?;
        let mut lists = blocks.iter().filter(|block| block.label == PEM_LABEL);
        let list = lists.next().ok_or(RevocationListError::Empty)?;
        match lists.count() {
            0 => Self::from_der(&list.der),
            more => Err(RevocationListError::Several { count: 1 + more }),
        }
    }

    /// Reads one list, DER or PEM by its content.
    ///
    /// # Errors
    /// As for [`RevocationList::from_der`] and [`RevocationList::from_pem`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RevocationListError> {
        if pem::is_pem(bytes) { Self::from_pem(bytes) } else { Self::from_der(bytes) }
    }

    /// The longest list read, in bytes: room for 400,000 entries, a hundred times what plants have.
    pub const MAX_LEN: usize = 16 * 1024 * 1024;

    /// The DER bytes as they were read.
    pub fn der(&self) -> &[u8] {
        &self.0.parsed.der
    }

    /// One PEM block (RFC 7468 §6), lines ended by `\n`.
    pub fn to_pem(&self) -> String {
        pem::encode(PEM_LABEL, self.der()).to_string()
    }

    /// The authority, written as [`Certificate::subject`]; for people.
    pub fn issuer(&self) -> &str {
        &self.0.parsed.issuer
    }

    /// The CRL number as upper-case hex, written as [`Certificate::serial_number`], if there is a readable one.
    pub fn number(&self) -> Option<&str> {
        self.0.parsed.number.as_deref()
    }

    /// When the list was made.
    pub fn this_update(&self) -> OffsetDateTime {
        self.0.parsed.this_update
    }

    /// When the next one is due, if the list says so.
    pub fn next_update(&self) -> Option<OffsetDateTime> {
        self.0.parsed.next_update
    }

    /// How many entries the list has.
    pub fn revoked_count(&self) -> usize {
        self.0.parsed.revoked_count
    }

    /// The signature algorithm, written as [`Certificate::signature_algorithm`].
    pub fn signature_algorithm(&self) -> &str {
        &self.0.parsed.signature_algorithm
    }

    /// The authorityKeyIdentifier extension, if there is a readable one.
    pub fn authority_key_identifier(&self) -> Option<&AuthorityKeyIdentifier> {
        self.0.parsed.authority_key_identifier.as_ref()
    }

    /// Why the list gives no answer in [`crate::validate`]; `None` for a complete list that is understood.
    pub fn unusable(&self) -> Option<&UnusableList> {
        self.0.parsed.unusable.as_ref()
    }

    /// The entry of `certificate`'s serial number, if the list names `certificate`'s issuer and has one that revokes.
    ///
    /// Says nothing about who signed the list; [`RevocationList::is_issued_by`] does.
    pub fn revocation_of(&self, certificate: &Certificate) -> Option<Revocation> {
        let named = distinguished_names::same(self.issuer_der(), certificate.issuer_der());
        if named { self.entry_of(certificate) } else { None }
    }

    /// Whether `issuer` has the name the list gives as its issuer and its key verifies the signature.
    pub fn is_issued_by(&self, issuer: &Certificate) -> bool {
        distinguished_names::same(self.issuer_der(), issuer.subject_der()) && self.verifies_with(issuer)
    }

    /// SHA-256 of the DER.
    pub fn sha256(&self) -> Sha256Thumbprint {
        Sha256Thumbprint::of(self.der())
    }

    pub(crate) fn issuer_der(&self) -> &[u8] {
        self.0.parsed.bytes(self.0.parsed.issuer_der)
    }

    /// The entry of `certificate`'s serial number, whoever its issuer is.
    pub(crate) fn entry_of(&self, certificate: &Certificate) -> Option<Revocation> {
        self.0.parsed.entry(certificate.serial_content())
    }

    pub(crate) fn verifies_with(&self, issuer: &Certificate) -> bool {
        let is_issuers =
            |(algorithm, bits): &(_, _)| algorithm == issuer.key_algorithm() && bits == issuer.spki_bits();
        if self.0.verified_with.get().is_some_and(is_issuers) {
            return true;
        }
        let verifies = self.0.parsed.verifies_with(issuer);
        if verifies {
            let _ = self.0.verified_with.set((issuer.key_algorithm().clone(), issuer.spki_bits().to_vec()));
        }
        verifies
    }
}

impl PartialEq for RevocationList {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for RevocationList {}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("issuer", &self.issuer())
            .field("this_update", &self.this_update())
            .field("revoked_count", &self.revoked_count())
            .finish_non_exhaustive()
    }
}

/// One entry of a [`RevocationList`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revocation {
    /// When the certificate was revoked.
    pub at: OffsetDateTime,
    /// Why, if the entry says so.
    pub reason: Option<RevocationReason>,
}

/// Why a certificate was revoked (RFC 5280 §5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevocationReason {
    /// No reason given, 0.
    Unspecified,
    /// The key is in wrong hands, 1.
    KeyCompromise,
    /// The authority's key is in wrong hands, 2.
    CaCompromise,
    /// The name or other data changed, 3.
    AffiliationChanged,
    /// Replaced by another, 4.
    Superseded,
    /// No longer needed, 5.
    CessationOfOperation,
    /// Suspended, 6.
    CertificateHold,
    /// No longer entitled, 9.
    PrivilegeWithdrawn,
    /// The attribute authority's key is in wrong hands, 10.
    AaCompromise,
    /// A number RFC 5280 does not define.
    Other(u8),
}

impl RevocationReason {
    const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Unspecified,
            1 => Self::KeyCompromise,
            2 => Self::CaCompromise,
            3 => Self::AffiliationChanged,
            4 => Self::Superseded,
            5 => Self::CessationOfOperation,
            6 => Self::CertificateHold,
            9 => Self::PrivilegeWithdrawn,
            10 => Self::AaCompromise,
            other => Self::Other(other),
        }
    }

    /// The number in X.509.
    pub const fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::CaCompromise => 2,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::CertificateHold => 6,
            Self::PrivilegeWithdrawn => 9,
            Self::AaCompromise => 10,
            Self::Other(code) => code,
        }
    }

    /// The name in X.509, for example `keyCompromise`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
            Self::AaCompromise => "aACompromise",
            Self::Other(_) => "other",
        }
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a list, though well-formed, is not asked: it covers a part only, or says something that is not understood.
///
/// Such a list is never half-used: it neither clears nor revokes a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableList {
    /// It holds the changes since another list only (RFC 5280 §5.2.4).
    #[error("it is a delta list")]
    Delta,
    /// It holds certificates of other authorities (RFC 5280 §5.2.5).
    #[error("it is an indirect list")]
    Indirect,
    /// It covers some certificates or some reasons only (RFC 5280 §5.2.5).
    #[error("it covers a part of the certificates or reasons only")]
    Partial,
    /// A critical extension, of the list or of an entry, that is not understood (RFC 5280 §5.2 and §5.3).
    #[error("its critical extension {oid} is not understood")]
    ExtensionUnknown {
        /// The extension's object identifier, dotted.
        oid: String,
    },
}

/// Why bytes are no revocation list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationListError {
    /// No bytes, or no revocation list among them.
    #[error("there is no revocation list")]
    Empty,
    /// Longer than [`RevocationList::MAX_LEN`].
    #[error("the revocation list has {len} bytes, more than the {max} that are read")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// Several where one was expected.
    #[error("there are {count} revocation lists; give one")]
    Several {
        /// How many.
        count: usize,
    },
    /// Bytes after the end of the list.
    #[error("{count} bytes follow the revocation list")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// The data end before the list does.
    #[error("the revocation list is cut off")]
    Truncated,
    /// Not the DER of an X.509 revocation list.
    #[error("it is not a well-formed X.509 revocation list ({reason})")]
    Malformed {
        /// What is wrong.
        reason: &'static str,
    },
    /// The text around it is no PEM.
    #[error(transparent)]
    Pem(PemError),
}

/// RFC 7468 §6.
const PEM_LABEL: &str = "X509 CRL";

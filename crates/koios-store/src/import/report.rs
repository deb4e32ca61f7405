//! What an import found and did, for every file.

use std::fmt;
use std::path::PathBuf;

use koios_pki::{Certificate, CertificateChain, ReadError, RevocationList};

use super::ForeignLayout;
use crate::error::StoreError;
use crate::id::CertificateId;
use crate::name::Name;
use crate::trust_lists::TrustListName;

/// What was found in the folders of another product, and what became of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ImportReport {
    /// What was asked for, and how its files are laid out.
    pub layouts: Vec<(PathBuf, ForeignLayout)>,
    /// Certificates with their keys.
    pub identities: Vec<ImportedIdentity>,
    /// The servers and authorities that the other product trusts.
    pub trust: Vec<ImportedTrust>,
    /// Every file, in the order in which they were read.
    pub files: Vec<ImportedFile>,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

impl ImportReport {
    /// Whether something was found, every private key of it is in the store now, or would be, with its certificate, and so is
    /// whatever was to be taken over of the trust lists. Authorities' keys are not meant to be.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let identities = self.identities.iter().all(|identity| {
            !matches!(
                identity.outcome,
                IdentityOutcome::Failed(_) | IdentityOutcome::Refused(Refusal::Key(_))
            )
        });
        let trust = self.trust.iter().all(|trust| !matches!(trust.outcome, TrustOutcome::Failed(_)));
        let mut notes = self.files.iter().flat_map(|file| &file.notes);
        let is_there = |identity: &ImportedIdentity| !matches!(identity.outcome, IdentityOutcome::Refused(_));
        let anything = self.identities.iter().any(is_there)
            || self.trust.iter().any(|trust| !matches!(trust.outcome, TrustOutcome::Left));
        anything && identities && trust && !notes.any(FileNote::may_be_a_key)
    }
}

/// A certificate with its key.
#[derive(Debug)]
#[non_exhaustive]
pub struct ImportedIdentity {
    /// Leaf first, its issuers as far as they were found.
    pub chain: CertificateChain,
    /// Where the certificate lies.
    pub certificate_files: Vec<PathBuf>,
    /// Where its key lies.
    pub key_files: Vec<PathBuf>,
    /// What became of it.
    pub outcome: IdentityOutcome,
}

/// What became of a certificate with its key.
#[derive(Debug)]
#[non_exhaustive]
pub enum IdentityOutcome {
    /// This very certificate was in the store before; nothing was done.
    AlreadyThere {
        /// Its id.
        id: CertificateId,
        /// Its name.
        name: String,
    },
    /// It could not be stored.
    Failed(StoreError),
    /// It is in the store now.
    Imported {
        /// Its id.
        id: CertificateId,
        /// Its name.
        name: String,
        /// Whether devices that name none use it from now on.
        is_default: bool,
    },
    /// It was left.
    Refused(Refusal),
    /// It would be stored under this name.
    WouldBeImported(Name),
}

/// Why a pair is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It signs certificates, and is no application's.
    Authority,
    /// The key is not to be used.
    Key(ReadError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority => {
                f.write_str("an authority's own certificate and key, which no application connects with")
            }
            Self::Key(error) => error.fmt(f),
        }
    }
}

/// Something of the other product's trust lists.
#[derive(Debug)]
#[non_exhaustive]
pub struct ImportedTrust {
    /// In which list.
    pub list: TrustListName,
    /// What it is.
    pub item: TrustItem,
    /// Where it lies.
    pub files: Vec<PathBuf>,
    /// What became of it.
    pub outcome: TrustOutcome,
}

/// An entry of a trust list.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "trust lists hold these two (OPC 10000-12 §7.8.2)")]
pub enum TrustItem {
    /// The certificate of a server or of an authority.
    Certificate(Certificate),
    /// What an authority has revoked.
    RevocationList(RevocationList),
}

impl TrustItem {
    /// Whose it is, for a person.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Certificate(certificate) => {
                certificate.common_name().unwrap_or_else(|| certificate.subject())
            }
            Self::RevocationList(list) => list.issuer(),
        }
    }
}

/// What became of an entry of a trust list.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrustOutcome {
    /// The list of the store held it before.
    AlreadyThere,
    /// It could not be added.
    Failed(StoreError),
    /// It is in the list of the store now.
    Imported,
    /// Nobody asked for it.
    Left,
    /// It is among the rejected ones of the store, which a person has said.
    Rejected,
    /// It would be added.
    WouldBeImported,
}

/// A file, and everything that is to be said about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ImportedFile {
    /// Where it lies, as below what was asked for.
    pub path: PathBuf,
    /// What it holds, or why nothing came of it; never empty.
    pub notes: Vec<FileNote>,
}

/// Something that is to be said about a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FileNote {
    /// It holds a certificate whose key was found.
    Certificate {
        /// Its place in [`ImportReport::identities`].
        identity: usize,
    },
    /// It holds an issuer of one.
    Issuer {
        /// Its place in [`ImportReport::identities`].
        identity: usize,
    },
    /// It is a key store that only Java reads.
    JavaKeyStore {
        /// The command that converts it.
        keytool: String,
    },
    /// It holds a private key, or a key store, that is not to be had.
    Key(ReadError),
    /// It is a symbolic link below a folder; those are not followed.
    Link {
        /// Where it leads.
        target: PathBuf,
    },
    /// Nothing in it is for an import.
    NotNeeded {
        /// What it is.
        what: String,
    },
    /// It holds the key of a certificate that was found.
    PrivateKey {
        /// Its place in [`ImportReport::identities`].
        identity: usize,
    },
    /// It holds an entry of a trust list.
    Trust {
        /// Its place in [`ImportReport::trust`].
        item: usize,
    },
    /// It cannot be read, or is damaged.
    Unreadable {
        /// Why.
        why: String,
    },
    /// It holds a key, and the certificate of none that was found.
    WithoutCertificate,
    /// It holds a certificate whose key was not found.
    WithoutKey {
        /// The certificate.
        certificate: Certificate,
    },
}

impl FileNote {
    /// The word for it in a report for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Certificate { .. } => "certificate",
            Self::Issuer { .. } => "issuer",
            Self::JavaKeyStore { .. } => "java_key_store",
            Self::Key(ReadError::PassphraseRequired) => "passphrase_required",
            Self::Key(ReadError::PassphraseWrong) => "passphrase_wrong",
            Self::Key(_) => "key_unusable",
            Self::Link { .. } => "link",
            Self::NotNeeded { .. } => "not_needed",
            Self::PrivateKey { .. } => "private_key",
            Self::Trust { .. } => "trust",
            Self::Unreadable { .. } => "unreadable",
            Self::WithoutCertificate => "key_without_certificate",
            Self::WithoutKey { .. } => "certificate_without_key",
        }
    }

    /// Whether a private key may have been missed here.
    #[must_use]
    pub fn may_be_a_key(&self) -> bool {
        matches!(
            self,
            Self::JavaKeyStore { .. } | Self::Key(_) | Self::Unreadable { .. } | Self::WithoutCertificate
        )
    }

    pub(super) fn not_needed(what: impl Into<String>) -> Self {
        Self::NotNeeded { what: what.into() }
    }

    pub(super) fn unreadable(why: impl Into<String>) -> Self {
        Self::Unreadable { why: why.into() }
    }
}

impl fmt::Display for FileNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { .. } => f.write_str("certificate"),
            Self::Issuer { .. } => f.write_str("issuer"),
            Self::JavaKeyStore { keytool } => {
                write!(f, "a key store in Java's own format; convert it, and import the new file: {keytool}")
            }
            Self::Key(ReadError::PassphraseRequired) => {
                f.write_str("protected by a passphrase; give it with --passphrase-file")
            }
            Self::Key(ReadError::PassphraseWrong) => {
                f.write_str("protected by a passphrase, and none that was given opens it")
            }
            Self::Key(error) => error.fmt(f),
            Self::Link { target } => write!(
                f,
                "a symbolic link, not followed; where {} lies outside of this folder, name it on the command line",
                target.display()
            ),
            Self::NotNeeded { what } => write!(f, "not needed: {what}"),
            Self::PrivateKey { .. } => f.write_str("private key"),
            Self::Trust { .. } => f.write_str("trust list"),
            Self::Unreadable { why } => write!(f, "cannot be read: {why}"),
            Self::WithoutCertificate => f.write_str("a private key, and no certificate of it was found"),
            Self::WithoutKey { certificate } => {
                write!(f, "a certificate without its key: {}", certificate.subject())
            }
        }
    }
}

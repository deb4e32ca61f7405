//! Which server certificates are trusted: folders in the layout of OPC 10000-12, which other tools may change as well.
//!
//! What lies in the folders is what counts, whoever put it there; the database knows why certificates were rejected.

mod change;
mod entries;
mod file_moves;
mod files;
mod rejected;

use std::collections::HashSet;
use std::sync::Arc;

use koios_pki::{Certificate, CertificateChain, RevocationList, Sha256Thumbprint, TrustList};
use time::OffsetDateTime;

use crate::device::DeviceRef;

pub(crate) use file_moves::{INCOMING, OUTGOING};
pub(crate) use file_moves::{Move, noted as noted_file_moves, take_back as take_back_file_moves};
pub(crate) use files::{Folders, folders, names_in, unreadable as unreadable_files};
pub(crate) use rejected::forget_rejection;

text_enum! {
    /// A list of server certificates.
    pub enum TrustListName {
        /// Trusted: applications for themselves, authorities for everything below them.
        Trusted = "trusted",
        /// Authorities that complete chains and give no trust.
        Issuer = "issuer",
        /// Refused, kept for a person to look at.
        Rejected = "rejected",
    }
}

/// What lies in the folders of the trust lists.
#[derive(Debug, Default)]
pub struct TrustLists {
    certificates: Vec<Filed<Certificate>>,
    revocation_lists: Vec<Filed<RevocationList>>,
    held: HashSet<(TrustListName, Sha256Thumbprint)>,
    validation: Arc<TrustList>,
}

/// Something in a file of one of the lists.
#[derive(Clone, Debug)]
struct Filed<T> {
    list: TrustListName,
    /// Below the data directory.
    path: std::path::PathBuf,
    item: T,
}

impl TrustLists {
    fn new(certificates: Vec<Filed<Certificate>>, revocation_lists: Vec<Filed<RevocationList>>) -> Self {
        let of = |list| {
            let filed = certificates.iter().filter(move |filed| filed.list == list);
            filed.map(|filed| filed.item.clone()).collect()
        };
        let mut lists: Vec<RevocationList> = Vec::new();
        for filed in &revocation_lists {
            if !lists.contains(&filed.item) {
                lists.push(filed.item.clone());
            }
        }
        let validation = TrustList::new(of(TrustListName::Trusted), of(TrustListName::Issuer), lists);
        // Hashed once, not at each question.
        let held = certificates.iter().map(|filed| (filed.list, filed.item.thumbprint_sha256())).collect();
        Self { certificates, revocation_lists, held, validation: Arc::new(validation) }
    }

    /// What validation needs ([`koios_pki::validate`]).
    #[must_use]
    pub fn validation(&self) -> &Arc<TrustList> {
        &self.validation
    }

    /// The certificates of one list.
    pub fn certificates(&self, list: TrustListName) -> impl Iterator<Item = &Certificate> {
        self.certificates.iter().filter(move |filed| filed.list == list).map(|filed| &filed.item)
    }

    /// Whether a list holds this very certificate.
    #[must_use]
    pub fn holds(&self, list: TrustListName, thumbprint: Sha256Thumbprint) -> bool {
        self.held.contains(&(list, thumbprint))
    }

    /// Whether this very revocation list lies beside one of them.
    #[must_use]
    pub fn holds_revocation_list(&self, list: &RevocationList) -> bool {
        self.revocation_lists.iter().any(|filed| filed.item == *list)
    }

    /// What lies in the trusted and issuer folders here and not in the other lists, as `list/thumbprint`.
    fn without(&self, other: &Self) -> Vec<String> {
        let names = |lists: &Self| {
            let certificates =
                lists.certificates.iter().filter(|filed| filed.list != TrustListName::Rejected);
            let certificates =
                certificates.map(|filed| format!("{}/{}", filed.list, filed.item.thumbprint_sha256()));
            let revocation_lists = lists.revocation_lists.iter();
            let revocation_lists =
                revocation_lists.map(|filed| format!("{}/crl/{}", filed.list, filed.item.sha256()));
            certificates.chain(revocation_lists).collect::<std::collections::BTreeSet<_>>()
        };
        names(self).difference(&names(other)).cloned().collect()
    }

    /// Whether a validation could come to another result.
    fn decides_as(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.validation, &other.validation);
        ours.trusted == theirs.trusted
            && ours.issuers == theirs.issuers
            && ours.revocation_lists == theirs.revocation_lists
    }

    fn files_of(&self, thumbprint: Sha256Thumbprint) -> impl Iterator<Item = &Filed<Certificate>> {
        self.certificates.iter().filter(move |filed| filed.item.thumbprint_sha256() == thumbprint)
    }
}

/// A server certificate in one of the lists, with what is known of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrustEntry {
    /// Where it is.
    pub list: TrustListName,
    /// The certificate; with the issuers that came along when it was rejected.
    pub chain: CertificateChain,
    /// The connection code of the last refusal.
    pub reason_code: Option<String>,
    /// Why it is rejected, for a person; `None` in the other lists, and for a file that somebody put there.
    pub reason: Option<String>,
    /// Rejected: by which devices. In the other lists: those whose server presented it last.
    pub devices: Vec<DeviceRef>,
    /// When a server presented it first.
    pub first_seen: Option<OffsetDateTime>,
    /// When a server presented it last, to within a minute.
    pub last_seen: Option<OffsetDateTime>,
}

/// A revocation list in the folders.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RevocationListEntry {
    /// Beside the certificates of which list it lies; it counts for both.
    pub list: TrustListName,
    /// The revocation list.
    pub revocation_list: RevocationList,
    /// Whether the authority that signed it is in one of the lists: without it, it is never asked.
    pub issuer_known: bool,
}

/// A refusal of a server's certificate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rejection {
    /// What the server presented, leaf first.
    pub chain: CertificateChain,
    /// Whose connection it was; `None` for a Test of settings that are not stored.
    pub device: Option<crate::id::DeviceId>,
    /// The connection code.
    pub code: String,
    /// Why, for a person.
    pub reason: String,
    /// When.
    pub at: OffsetDateTime,
}

impl Rejection {
    /// A refusal by a connection that is no device's.
    #[must_use]
    pub fn new(
        chain: CertificateChain,
        code: impl Into<String>,
        reason: impl Into<String>,
        at: OffsetDateTime,
    ) -> Self {
        Self { chain, device: None, code: code.into(), reason: reason.into(), at }
    }
}

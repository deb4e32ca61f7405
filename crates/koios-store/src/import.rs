//! Identities of other products: certificates and keys as they lie in the folders of OPC UA applications, taken over with key
//! and application URI, so that no server notices.
//!
//! Three steps, the middle one pure: [`look_for_identities`] reads files and pairs what it finds, a plan compares that with
//! what the store has, [`Store::import_identities`] carries it out. A key belongs to the certificate with its public key, whatever
//! their files are called and wherever they lie.

mod carry_out;
mod folders;
mod layout;
mod naming;
mod pairing;
mod place;
mod plan;
mod report;

use std::fmt;
use std::io;
use std::path::PathBuf;

use koios_pki::{CertificateChain, PrivateKey, ReadError, Validity};
use zeroize::Zeroizing;

use crate::blocking::run_blocking;
use crate::name::Name;
use crate::progress::Progress;
use crate::store::{Apply, Store};
use crate::trust_lists::TrustListName;

pub use layout::ForeignLayout;
pub use report::{
    FileNote, IdentityOutcome, ImportReport, ImportedFile, ImportedIdentity, ImportedTrust, Refusal,
    TrustItem, TrustOutcome,
};

use folders::Walk;
use plan::Known;

/// Where another product keeps its identity, and what is needed to read it.
#[derive(Clone)]
#[non_exhaustive]
pub struct ImportOrder {
    /// Folders, which are read with everything below them, and files.
    pub sources: Vec<PathBuf>,
    /// Tried one after the other on whatever is protected by one.
    pub passphrases: Vec<Zeroizing<String>>,
    /// What pairs are taken.
    pub rules: PairRules,
    /// Whom the work tells how far it has come.
    pub progress: Progress,
}

impl ImportOrder {
    /// Without passphrases, by the rules of [`PairRules::default`].
    #[must_use]
    pub fn new(sources: Vec<PathBuf>) -> Self {
        Self { sources, passphrases: Vec::new(), rules: PairRules::default(), progress: Progress::default() }
    }
}

impl fmt::Debug for ImportOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportOrder").field("sources", &self.sources).finish_non_exhaustive()
    }
}

/// The caller's own rules for pairs that come from elsewhere.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PairRules {
    /// Refuses keys that `koios-pki` reads.
    pub judge_key: fn(&PrivateKey) -> Result<(), ReadError>,
    /// The length of validity that a regeneration repeats, in days.
    pub validity_days: fn(Validity) -> u32,
}

impl Default for PairRules {
    /// Every key that is read, and the length that the certificate has.
    fn default() -> Self {
        Self {
            judge_key: |_| Ok(()),
            validity_days: |validity| {
                u32::try_from((validity.not_after - validity.not_before).whole_days()).unwrap_or(0).max(1)
            },
        }
    }
}

/// How what was found is stored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportOptions {
    /// What the new certificate is called; else its common name.
    pub name: Option<Name>,
    /// Whether the servers that the other product trusts are trusted from now on.
    pub server_trust: ServerTrust,
    /// Who imports, for the audit trail.
    pub actor: String,
    /// Whom the work tells how far it has come.
    pub progress: Progress,
}

impl ImportOptions {
    /// Under their common names, and without the servers that were trusted.
    #[must_use]
    pub fn new(actor: impl Into<String>) -> Self {
        Self {
            name: None,
            server_trust: ServerTrust::Leave,
            actor: actor.into(),
            progress: Progress::default(),
        }
    }
}

/// What becomes of the trust lists of the other product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "they are taken over or not")]
pub enum ServerTrust {
    /// They are told of, and left.
    Leave,
    /// Certificates and revocation lists of its trusted and issuer folders are added to those of the store.
    Import,
}

/// Why nothing was looked at, or nothing imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportRefused {
    /// A name is given for more than one certificate.
    #[error(
        "a name is given, and there are {count} certificates to import; name the one file or folder that is meant"
    )]
    NameForSeveral {
        /// How many would be new.
        count: usize,
    },
    /// A certificate has that name.
    #[error("the name {name:?} is taken")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// What was to be read is not there.
    #[error("{} cannot be read", .path.display())]
    Source {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The runtime was shut down.
    #[error("it was interrupted")]
    Interrupted,
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] crate::error::StoreError),
}

/// What lies in the folders of another product.
pub struct ForeignPki {
    layouts: Vec<(PathBuf, ForeignLayout)>,
    files: Vec<ReadFile>,
    identities: Vec<ForeignIdentity>,
    keys: Vec<PrivateKey>,
    trust: Vec<ForeignTrust>,
    rules: PairRules,
}

impl ForeignPki {
    /// How many certificates there are with their keys.
    #[must_use]
    pub fn identity_count(&self) -> usize {
        self.identities.len()
    }

    /// How many entries of trust lists there are.
    #[must_use]
    pub fn trust_count(&self) -> usize {
        self.trust.len()
    }

    /// What importing it into a store without any certificate would do.
    ///
    /// # Errors
    /// [`ImportRefused::NameForSeveral`].
    pub fn preview(self, options: &ImportOptions) -> Result<ImportReport, ImportRefused> {
        Ok(plan::plan(self, &Known::default(), options)?.into_report())
    }
}

impl fmt::Debug for ForeignPki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignPki")
            .field("files", &self.files.len())
            .field("identities", &self.identities.len())
            .field("trust", &self.trust.len())
            .finish_non_exhaustive()
    }
}

/// A file, and what is said about it so far.
#[derive(Debug)]
struct ReadFile {
    path: PathBuf,
    notes: Vec<FileNote>,
}

/// A certificate with its key.
#[derive(Debug)]
struct ForeignIdentity {
    chain: CertificateChain,
    /// Its place among the keys.
    key: usize,
    certificate_files: Vec<PathBuf>,
    key_files: Vec<PathBuf>,
    /// Why it is not taken.
    refused: Option<Refusal>,
}

/// What the other product trusts.
#[derive(Debug)]
struct ForeignTrust {
    list: TrustListName,
    item: TrustItem,
    files: Vec<PathBuf>,
}

/// Reads folders and files, and pairs certificates with keys. Symbolic links below a folder are not followed, what is longer
/// than a certificate or a key is not read, and nothing is changed.
///
/// # Errors
/// [`ImportRefused::Source`] when one of the sources is not there; what cannot be read below a folder is told of each file.
pub async fn look_for_identities(order: ImportOrder) -> Result<ForeignPki, ImportRefused> {
    run_blocking(move || {
        let passphrases: Vec<&str> = order.passphrases.iter().map(|text| text.as_str()).collect();
        let mut walk = Walk::new(&passphrases, &order.progress);
        for source in &order.sources {
            walk.source(source)?;
        }
        Ok(pairing::pair(walk, order.rules))
    })
    .await
    .map_err(|_| ImportRefused::Interrupted)?
}

impl Store {
    /// Stores what [`look_for_identities`] has found, as far as it is not there yet: each certificate in a commit of its own,
    /// its files and its audit entry included, each entry of the trust lists as well. What one of them fails for does not
    /// keep the others; doing it again goes on where it stopped.
    ///
    /// # Errors
    /// [`ImportRefused`]; nothing is stored then. What failed for one certificate is told there.
    pub async fn import_identities(
        &self,
        found: ForeignPki,
        options: &ImportOptions,
        apply: Apply,
    ) -> Result<ImportReport, ImportRefused> {
        let known = Known::of(self).await?;
        let planned = plan::plan(found, &known, options)?;
        match apply {
            Apply::DryRun => Ok(planned.into_report()),
            Apply::Commit => Ok(carry_out::carry_out(self, planned, options).await),
        }
    }
}

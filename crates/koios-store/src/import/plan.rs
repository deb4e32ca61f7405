//! What an import will do: what was found, beside what the store has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use koios_pki::{PrivateKey, Sha256Thumbprint};

use super::naming::name_for;
use super::report::{
    IdentityOutcome, ImportReport, ImportedFile, ImportedIdentity, ImportedTrust, TrustItem, TrustOutcome,
};
use super::{
    ForeignIdentity, ForeignPki, ForeignTrust, ImportOptions, ImportRefused, PairRules, ServerTrust,
};
use crate::certificate::CertificateName;
use crate::certificates::CertificateQuery;
use crate::error::StoreError;
use crate::instant;
use crate::name::fold;
use crate::page::PageRequest;
use crate::store::Store;
use crate::trust_lists::{TrustListName, TrustLists};

/// What a store has.
#[derive(Debug, Default)]
pub(super) struct Known {
    certificates: HashMap<Sha256Thumbprint, CertificateName>,
    /// Folded.
    names: HashSet<String>,
    trust: Arc<TrustLists>,
}

impl Known {
    pub(super) async fn of(store: &Store) -> Result<Self, StoreError> {
        let mut known = Self { trust: store.trust_lists().await?, ..Self::default() };
        let mut query = CertificateQuery { page: PageRequest::new(500, None), ..CertificateQuery::default() };
        loop {
            let page = store.certificates(query.clone(), instant::now(), time::Duration::ZERO).await?;
            for record in page.items {
                known.names.insert(fold(&record.name));
                let thumbprint = record.chain.leaf().thumbprint_sha256();
                let name = CertificateName { id: record.id, name: record.name };
                known.certificates.insert(thumbprint, name);
            }
            match page.next_cursor {
                Some(cursor) => query.page.cursor = Some(cursor),
                None => return Ok(known),
            }
        }
    }
}

/// A report of what would be, and the keys that it takes to make it so.
pub(super) struct Planned {
    pub(super) report: ImportReport,
    pub(super) keys: Vec<PrivateKey>,
    /// The key of each identity.
    pub(super) key_of: Vec<usize>,
    pub(super) rules: PairRules,
}

impl Planned {
    pub(super) fn into_report(self) -> ImportReport {
        self.report
    }
}

pub(super) fn plan(
    found: ForeignPki,
    known: &Known,
    options: &ImportOptions,
) -> Result<Planned, ImportRefused> {
    let ForeignPki { layouts, files, identities, keys, trust, rules } = found;
    let key_of = identities.iter().map(|identity| identity.key).collect();
    let identities = plan_identities(identities, known, options)?;
    let trust = trust.into_iter().map(|entry| plan_trust(entry, known, options)).collect();
    let files = files.into_iter().map(|file| ImportedFile { path: file.path, notes: file.notes }).collect();
    let report = ImportReport { layouts, identities, trust, files, warnings: Vec::new() };
    Ok(Planned { report, keys, key_of, rules })
}

fn plan_identities(
    identities: Vec<ForeignIdentity>,
    known: &Known,
    options: &ImportOptions,
) -> Result<Vec<ImportedIdentity>, ImportRefused> {
    let is_known = |identity: &ForeignIdentity| {
        known.certificates.contains_key(&identity.chain.leaf().thumbprint_sha256())
    };
    let count = identities.iter().filter(|one| one.refused.is_none() && !is_known(one)).count();
    if let Some(name) = &options.name {
        if count > 1 {
            return Err(ImportRefused::NameForSeveral { count });
        }
        if count == 1 && known.names.contains(&name.folded()) {
            return Err(ImportRefused::NameTaken { name: name.as_str().to_owned() });
        }
    }
    let mut taken = known.names.clone();
    let planned = identities.into_iter().map(|identity| {
        let ForeignIdentity { chain, key: _, certificate_files, key_files, refused } = identity;
        let there = known.certificates.get(&chain.leaf().thumbprint_sha256());
        let outcome = match (there, refused) {
            (Some(there), _) => IdentityOutcome::AlreadyThere { id: there.id, name: there.name.clone() },
            (None, Some(refusal)) => IdentityOutcome::Refused(refusal),
            (None, None) => {
                let name = options.name.clone().or_else(|| name_for(chain.leaf(), &taken));
                match name {
                    Some(name) => {
                        taken.insert(name.folded());
                        IdentityOutcome::WouldBeImported(name)
                    }
                    None => IdentityOutcome::Failed(StoreError::NameTaken { name: "Imported".to_owned() }),
                }
            }
        };
        ImportedIdentity { chain, certificate_files, key_files, outcome }
    });
    Ok(planned.collect())
}

fn plan_trust(entry: ForeignTrust, known: &Known, options: &ImportOptions) -> ImportedTrust {
    let ForeignTrust { list, item, files } = entry;
    let is_there = match &item {
        TrustItem::Certificate(certificate) => known.trust.holds(list, certificate.thumbprint_sha256()),
        TrustItem::RevocationList(revocations) => known.trust.holds_revocation_list(revocations),
    };
    let is_rejected = matches!(&item, TrustItem::Certificate(certificate)
        if known.trust.holds(TrustListName::Rejected, certificate.thumbprint_sha256()));
    let outcome = match options.server_trust {
        _ if is_there => TrustOutcome::AlreadyThere,
        ServerTrust::Leave => TrustOutcome::Left,
        // What was refused here is not trusted because it was trusted there.
        ServerTrust::Import if is_rejected => TrustOutcome::Rejected,
        ServerTrust::Import => TrustOutcome::WouldBeImported,
    };
    ImportedTrust { list, item, files, outcome }
}

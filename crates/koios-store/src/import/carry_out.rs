//! Storing what a plan says, one commit after the other.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use koios_pki::PrivateKey;
use serde_json::json;

use super::plan::Planned;
use super::report::{IdentityOutcome, ImportReport, ImportedTrust, TrustItem, TrustOutcome};
use super::{ImportOptions, ImportedIdentity, PairRules};
use crate::audit::{AuditEntry, AuditResource};
use crate::backup::database_files;
use crate::certificate::Origin;
use crate::certificates::NewCertificate;
use crate::error::{StoreError, with_causes};
use crate::instant;
use crate::layout::Layout;
use crate::name::Name;
use crate::owner;
use crate::store::Store;
use crate::trust_lists;

pub(super) async fn carry_out(store: &Store, planned: Planned, options: &ImportOptions) -> ImportReport {
    let Planned { mut report, keys, key_of, rules } = planned;
    let before = store.blocking(|layout| Ok(entries(layout))).await;
    let identities = report.identities.iter_mut().zip(key_of);
    for (identity, key) in options.progress.over("importing certificates", identities) {
        if let (IdentityOutcome::WouldBeImported(name), Some(key)) = (&identity.outcome, keys.get(key)) {
            identity.outcome = import_identity(store, identity, name.clone(), key, rules, options).await;
        }
    }
    // The list of revocations goes beside the certificate of its authority, so that this comes first.
    let is_certificate = |entry: &ImportedTrust| matches!(entry.item, TrustItem::Certificate(_));
    for certificates in [true, false] {
        for entry in report.trust.iter_mut().filter(|entry| is_certificate(entry) == certificates) {
            if matches!(entry.outcome, TrustOutcome::WouldBeImported) {
                entry.outcome = import_trust(store, entry, options).await;
            }
        }
    }
    let handed_over = match before {
        Ok(before) => store.blocking(move |layout| hand_over(layout, &before)).await,
        Err(error) => Err(error),
    };
    if let Err(error) = handed_over {
        report.warnings.push(format!(
            "the new files may not belong to the owner of the data directory, who could not read them then: {}",
            with_causes(&error)
        ));
    }
    report
}

async fn import_identity(
    store: &Store,
    identity: &ImportedIdentity,
    name: Name,
    key: &PrivateKey,
    rules: PairRules,
    options: &ImportOptions,
) -> IdentityOutcome {
    let chain = identity.chain.clone();
    let days = (rules.validity_days)(chain.leaf().validity());
    let mut entry = AuditEntry::new(instant::now(), options.actor.as_str(), "certificate.imported");
    entry.after = Some(json!({
        "thumbprint_sha256": chain.leaf().thumbprint_sha256().to_string(),
        "origin": Origin::Imported.as_str(),
        "certificate_files": recorded(&identity.certificate_files),
        "private_key_files": recorded(&identity.key_files),
    }));
    let new = NewCertificate::new(name, Origin::Imported, chain, key.to_pem(), days);
    match store.recording(entry).create_certificate(new).await {
        Ok(record) => {
            IdentityOutcome::Imported { id: record.id, name: record.name, is_default: record.is_default }
        }
        // Somebody else was faster, in a service that goes on beside this.
        Err(StoreError::CertificateExists { id, name }) => IdentityOutcome::AlreadyThere { id, name },
        Err(error) => IdentityOutcome::Failed(error),
    }
}

async fn import_trust(store: &Store, trust: &ImportedTrust, options: &ImportOptions) -> TrustOutcome {
    let files = recorded(&trust.files);
    let entry = |action: &str, resource: AuditResource| {
        let mut entry = AuditEntry::new(instant::now(), options.actor.as_str(), action);
        entry.resource = Some(resource);
        entry.after = Some(json!({ "list": trust.list.as_str(), "files": files }));
        entry
    };
    let added = match &trust.item {
        TrustItem::Certificate(certificate) => {
            let id = certificate.thumbprint_sha256().to_string();
            let name = certificate.common_name().map(str::to_owned);
            let resource = AuditResource::new("server_certificate", id, name);
            let store = store.recording(entry("server_certificate.added", resource));
            store.add_to_trust_list(trust.list, certificate.clone()).await.map(drop)
        }
        TrustItem::RevocationList(list) => {
            let name = Some(list.issuer().to_owned());
            let resource = AuditResource::new("crl", list.sha256().to_string(), name);
            store.recording(entry("crl.added", resource)).add_revocation_list(list.clone()).await.map(drop)
        }
    };
    match added {
        Ok(()) => TrustOutcome::Imported,
        Err(StoreError::InTrustList { .. }) => TrustOutcome::AlreadyThere,
        Err(error) => TrustOutcome::Failed(error),
    }
}

/// Files as the audit trail names them: wherever it is read, and whoever moves about.
fn recorded(files: &[PathBuf]) -> Vec<String> {
    let absolute = |file: &PathBuf| std::path::absolute(file).unwrap_or_else(|_| file.clone());
    files.iter().map(|file| absolute(file).display().to_string()).collect()
}

/// What lies in the folders to which an import adds.
fn entries(layout: &Layout) -> HashSet<PathBuf> {
    let trust = trust_lists::folders().map(|(folder, _)| layout.root().join(folder));
    let folders = std::iter::once(layout.certificates()).chain(trust);
    let listed = folders.filter_map(|folder| std::fs::read_dir(folder).ok());
    listed.flatten().filter_map(Result::ok).map(|entry| entry.path()).collect()
}

/// Gives what is new to the owner of the directory: root imports, because the keys of others are root's to read, and the
/// daemon's user is to use them. In a directory that was empty, that is everything.
fn hand_over(layout: &Layout, before: &HashSet<PathBuf>) -> Result<(), StoreError> {
    let root = layout.root();
    let new: Vec<_> = entries(layout).difference(before).cloned().collect();
    let Some(sample) = new.first() else { return Ok(()) };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::io(&path, source)
    };
    // Before what is like the sample is told by it, which is given away as well.
    for path in opened(layout) {
        owner::give_what_is_like(sample, &path, root).map_err(failed(&path))?;
    }
    for path in &new {
        let is_folder = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
        let given = if is_folder { owner::give_all(path, root) } else { owner::give(path, root).map(drop) };
        given.map_err(failed(path))?;
    }
    Ok(())
}

/// What opening a store makes when it is not there.
fn opened(layout: &Layout) -> Vec<PathBuf> {
    let mut paths = vec![layout.lock(), layout.secrets_key(), layout.certificates()];
    // SQLite itself gives these to the owner of the database.
    paths.extend(database_files(&layout.database()));
    for (folder, _) in trust_lists::folders() {
        let mut folder = folder.as_path();
        while folder != Path::new("") {
            paths.push(layout.root().join(folder));
            folder = folder.parent().unwrap_or_else(|| Path::new(""));
        }
    }
    paths
}

//! What a restore changes, told by what a person knows: names and thumbprints.

use std::collections::BTreeMap;
use std::path::Path;

use koios_pki::Sha256Thumbprint;

use crate::backup::{BackupError, Rows, Unpacked, blocking};
use crate::database::Database;
use crate::error::StoreError;
use crate::key_files::read_bounded;
use crate::layout::Layout;
use crate::trust_lists;

text_enum! {
    /// What happens to something.
    pub enum DifferenceKind {
        /// It is in the backup alone.
        Added = "added",
        /// It is otherwise in the backup.
        Changed = "changed",
        /// It is not in the backup.
        Removed = "removed",
    }
}

/// Something that a restore changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// A certificate.
    Certificate {
        /// What happens to it.
        kind: DifferenceKind,
        /// Its name, in the backup where it is there.
        name: String,
        /// The present one.
        present: Option<Sha256Thumbprint>,
        /// The one in the backup.
        restored: Option<Sha256Thumbprint>,
    },
    /// A device.
    Device {
        /// What happens to it.
        kind: DifferenceKind,
        /// Its name, in the backup where it is there.
        name: String,
    },
    /// An access token: one that was revoked since the backup is valid again, one that was made since is not.
    Token {
        /// What happens to it.
        kind: DifferenceKind,
        /// Its name.
        name: String,
    },
    /// A file of the trust lists.
    TrustListFile {
        /// What happens to it.
        kind: DifferenceKind,
        /// Its path below the data directory.
        path: String,
    },
}

/// Against a data directory that is not there, or cannot be read.
pub(super) fn with_nothing(rows: &Rows) -> Vec<Difference> {
    of_rows(None, rows)
}

/// Against the data directory as it is; one that is not there holds nothing.
pub(super) async fn with_present(
    layout: &Layout,
    unpacked: &Unpacked,
    rows: &Rows,
) -> Result<Vec<Difference>, BackupError> {
    let present = match std::fs::symlink_metadata(layout.database()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        _ => {
            let database = Database::open_for_reading(&layout.database()).await?;
            let rows = Rows::read(&database).await;
            database.close().await;
            Some(rows?)
        }
    };
    let mut differences = of_rows(present.as_ref(), rows);
    let layout = layout.clone();
    let present = blocking(move || Ok(present_trust_files(&layout)?)).await?;
    let in_backup: BTreeMap<&String, &[u8]> = unpacked
        .files
        .iter()
        .filter(|(path, _)| Path::new(path).starts_with("trust"))
        .map(|(path, contents)| (path, contents.as_slice()))
        .collect();
    differences.extend(compared(
        &present.iter().map(|(path, contents)| (path, contents.as_slice())).collect(),
        &in_backup,
        |path, kind, _, _| Difference::TrustListFile { kind, path: (*path).clone() },
    ));
    Ok(differences)
}

fn of_rows(present: Option<&Rows>, restored: &Rows) -> Vec<Difference> {
    let mut differences = certificates(present, restored);
    differences.extend(devices(present, restored));
    differences.extend(tokens(present, restored));
    differences
}

fn certificates(present: Option<&Rows>, restored: &Rows) -> Vec<Difference> {
    let of = |rows: &Rows| -> BTreeMap<String, (String, i64, Sha256Thumbprint)> {
        let row = rows.certificates.iter();
        row.map(|row| {
            (row.id.to_string(), (row.name.clone(), row.revision, row.chain.leaf().thumbprint_sha256()))
        })
        .collect()
    };
    compared(&present.map(of).unwrap_or_default(), &of(restored), |_, kind, present, restored| {
        Difference::Certificate {
            kind,
            name: restored.or(present).map(|(name, _, _)| name.clone()).unwrap_or_default(),
            present: present.map(|(_, _, thumbprint)| *thumbprint),
            restored: restored.map(|(_, _, thumbprint)| *thumbprint),
        }
    })
}

fn devices(present: Option<&Rows>, restored: &Rows) -> Vec<Difference> {
    let of = |rows: &Rows| -> BTreeMap<String, (String, i64, i64)> {
        let row = rows.devices.iter();
        row.map(|row| (row.id.to_string(), (row.name.clone(), row.revision, row.updated_at))).collect()
    };
    compared(&present.map(of).unwrap_or_default(), &of(restored), |_, kind, present, restored| {
        let name = restored.or(present).map(|(name, _, _)| name.clone()).unwrap_or_default();
        Difference::Device { kind, name }
    })
}

fn tokens(present: Option<&Rows>, restored: &Rows) -> Vec<Difference> {
    let of = |rows: &Rows| -> BTreeMap<String, String> { rows.tokens.iter().cloned().collect() };
    compared(&present.map(of).unwrap_or_default(), &of(restored), |_, kind, present, restored| {
        Difference::Token { kind, name: restored.or(present).cloned().unwrap_or_default() }
    })
}

fn compared<K: Ord, V: PartialEq>(
    present: &BTreeMap<K, V>,
    restored: &BTreeMap<K, V>,
    tell: impl Fn(&K, DifferenceKind, Option<&V>, Option<&V>) -> Difference,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (key, new) in restored {
        match present.get(key) {
            None => differences.push(tell(key, DifferenceKind::Added, None, Some(new))),
            Some(old) if old != new => {
                differences.push(tell(key, DifferenceKind::Changed, Some(old), Some(new)));
            }
            Some(_) => {}
        }
    }
    let removed = present.iter().filter(|(key, _)| !restored.contains_key(*key));
    differences.extend(removed.map(|(key, old)| tell(key, DifferenceKind::Removed, Some(old), None)));
    differences
}

fn present_trust_files(layout: &Layout) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
    let mut files = BTreeMap::new();
    for (folder, longest) in trust_lists::folders() {
        for name in trust_lists::names_in(&layout.root().join(&folder))? {
            let path = folder.join(name);
            let Ok(contents) = read_bounded(&layout.root().join(&path), longest) else { continue };
            files.insert(path.to_string_lossy().into_owned(), contents);
        }
    }
    Ok(files)
}

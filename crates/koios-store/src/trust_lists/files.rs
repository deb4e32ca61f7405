//! Reading the folders: each look lists them, and reads only the files that are not as they were at the last one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use koios_pki::{Certificate, CertificateChain, RevocationList, read_certificates};
use serde_json::json;
use tokio::sync::MutexGuard;

use super::{Filed, TrustListName, TrustLists};
use crate::atomic;
use crate::audit::AuditEntry;
use crate::change::Change;
use crate::error::StoreError;
use crate::file_stamp::FileStamp;
use crate::instant;
use crate::key_files::read_bounded;
use crate::layout::Layout;
use crate::store::Store;

/// The lists as they were at the last look.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    /// Whoever changes the folders holds it meanwhile.
    seen: tokio::sync::Mutex<Seen>,
    /// How many looks have begun.
    begun: AtomicU64,
    /// Whether the moves of a change that failed could not be taken back yet.
    pub(super) moves_left: AtomicBool,
}

/// One look at the folders.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Which look it was.
    number: u64,
    files: Arc<BTreeMap<PathBuf, File>>,
    pub(super) lists: Arc<TrustLists>,
}

#[derive(Clone, Debug)]
struct File {
    /// `None`: it is read again at the next look, because it could not be read or has just been written.
    stamp: Option<FileStamp>,
    contents: Contents,
}

#[derive(Clone, Debug, PartialEq)]
enum Contents {
    Certificates(Vec<Certificate>),
    RevocationList(RevocationList),
    Unreadable,
}

/// What a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Certificates,
    RevocationLists,
}

/// Every folder, in the layout of OPC 10000-12. Rejected certificates need no revocation lists.
const FOLDERS: [(TrustListName, Kind); 5] = [
    (TrustListName::Trusted, Kind::Certificates),
    (TrustListName::Trusted, Kind::RevocationLists),
    (TrustListName::Issuer, Kind::Certificates),
    (TrustListName::Issuer, Kind::RevocationLists),
    (TrustListName::Rejected, Kind::Certificates),
];

/// Files of a folder that are read: twice as many as there are devices in the largest plants, whose servers may all have
/// signed their own certificates. What is left out is not trusted.
const MAX_FILES: usize = 20_000;

/// A certificate with its chain takes a few kilobytes.
const MAX_CERTIFICATE_BYTES: u64 = 256 * 1024;

/// The longest list, as PEM.
const MAX_REVOCATION_LIST_BYTES: u64 = 24 * 1024 * 1024;

/// Every folder below the data directory, with the longest file in it that is read.
pub(crate) fn folders() -> impl Iterator<Item = (PathBuf, u64)> {
    FOLDERS.into_iter().map(|(list, kind)| {
        let longest = match kind {
            Kind::Certificates => MAX_CERTIFICATE_BYTES,
            Kind::RevocationLists => MAX_REVOCATION_LIST_BYTES,
        };
        (Path::new("trust").join(relative(list, kind)), longest)
    })
}

impl Store {
    /// The trust lists as they lie in their folders now: files that somebody has put there or taken away count at once.
    ///
    /// Tells [`Change::TrustListsChanged`] when they could decide otherwise than at the last look.
    ///
    /// Those who ask while a look is under way share the next one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when a folder cannot be read. One that is missing is empty.
    pub async fn trust_lists(&self) -> Result<Arc<TrustLists>, StoreError> {
        self.reading(async {
            let asked = self.inner.trust.begun.load(Ordering::SeqCst);
            let mut seen = self.lock_trust_lists().await;
            if seen.number > asked {
                return Ok(Arc::clone(&seen.lists));
            }
            if self.inner.trust.moves_left.load(Ordering::Acquire) {
                // What was refused is not in force.
                if let Err(error) = self.take_back_left_moves().await {
                    tracing::warn!(%error, "a change of the trust lists that failed can still not be taken back");
                }
            }
            let before = Arc::clone(&seen.lists);
            let now = self.look_at_trust_lists(&mut seen).await?;
            if !Arc::ptr_eq(&before, &now) {
                self.record_folder_changes(&before, &now).await;
            }
            Ok(now)
        })
        .await
    }

    /// Leaves a trace of what somebody has changed in the folders; it is in force whether or not that succeeds.
    async fn record_folder_changes(&self, before: &TrustLists, now: &TrustLists) {
        let (added, removed) = (now.without(before), before.without(now));
        if added.is_empty() && removed.is_empty() {
            return;
        }
        tracing::info!(?added, ?removed, "somebody has changed the folders of the trust lists");
        let mut entry = AuditEntry::new(instant::now(), "folder", "trust_lists.changed");
        entry.before = (!removed.is_empty()).then(|| json!(removed));
        entry.after = (!added.is_empty()).then(|| json!(added));
        if let Err(error) = self.append_audit(entry).await {
            tracing::warn!(%error, "a change of the trust folders was not recorded");
        }
    }

    pub(super) async fn lock_trust_lists(&self) -> MutexGuard<'_, Seen> {
        self.inner.trust.seen.lock().await
    }

    pub(super) async fn look_at_trust_lists(&self, seen: &mut Seen) -> Result<Arc<TrustLists>, StoreError> {
        let known = seen.clone();
        let number = self.inner.trust.begun.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(now) = self.blocking(move |layout| look(layout, &known)).await? {
            let decides_otherwise = !now.lists.decides_as(&seen.lists);
            *seen = now;
            if decides_otherwise {
                self.inner.announce(Change::TrustListsChanged);
            }
        }
        seen.number = number;
        Ok(Arc::clone(&seen.lists))
    }
}

impl Folders {
    /// Makes the folders and looks at them.
    pub(crate) fn open(layout: &Layout) -> io::Result<Self> {
        for (list, kind) in FOLDERS {
            atomic::create_folder(&layout.trust().join(relative(list, kind)))?;
        }
        Ok(Self::look_once(layout))
    }

    /// Looks at the folders as they are. What cannot be read now is read when it is needed.
    pub(crate) fn look_once(layout: &Layout) -> Self {
        let seen = look(layout, &Seen::default()).unwrap_or_else(|error| {
            tracing::warn!(%error, "the trust lists cannot be read");
            None
        });
        Self { seen: tokio::sync::Mutex::new(seen.unwrap_or_default()), ..Self::default() }
    }
}

/// Where the certificates of a list lie, below the data directory.
pub(super) fn certificates_folder(list: TrustListName) -> PathBuf {
    Path::new("trust").join(relative(list, Kind::Certificates))
}

/// Where the revocation lists of a list lie, below the data directory.
pub(super) fn revocation_lists_folder(list: TrustListName) -> PathBuf {
    Path::new("trust").join(relative(list, Kind::RevocationLists))
}

fn relative(list: TrustListName, kind: Kind) -> PathBuf {
    Path::new(list.as_str()).join(match kind {
        Kind::Certificates => "certs",
        Kind::RevocationLists => "crl",
    })
}

/// `None` when everything is as it is known.
fn look(layout: &Layout, known: &Seen) -> Result<Option<Seen>, StoreError> {
    let mut files = BTreeMap::new();
    let (mut changed, mut stamped) = (false, false);
    let mut certificates = Vec::new();
    let mut revocation_lists = Vec::new();
    for (list, kind) in FOLDERS {
        let folder = Path::new("trust").join(relative(list, kind));
        let names = names_in(&layout.root().join(&folder))?;
        for name in names {
            let path = folder.join(name);
            let absolute = layout.root().join(&path);
            // Gone since the folder was listed, or a dangling link.
            let Ok(metadata) = std::fs::metadata(&absolute) else { continue };
            if !metadata.is_file() {
                continue;
            }
            let stamp = FileStamp::of(&metadata);
            let file = match known.files.get(&path) {
                Some(file) if file.stamp.as_ref() == Some(&stamp) => file.clone(),
                earlier => {
                    let was_unreadable =
                        earlier.is_some_and(|earlier| earlier.contents == Contents::Unreadable);
                    let file = read(&absolute, kind, stamp, was_unreadable);
                    changed |= earlier.is_none_or(|earlier| earlier.contents != file.contents);
                    stamped |= earlier.is_none_or(|earlier| earlier.stamp != file.stamp);
                    file
                }
            };
            match &file.contents {
                Contents::Certificates(items) => certificates.extend(items.iter().map(|item| Filed {
                    list,
                    path: path.clone(),
                    item: item.clone(),
                })),
                Contents::RevocationList(item) => {
                    revocation_lists.push(Filed { list, path: path.clone(), item: item.clone() });
                }
                Contents::Unreadable => {}
            }
            files.insert(path, file);
        }
    }
    let as_before = !changed && files.len() == known.files.len();
    if as_before && !stamped {
        return Ok(None);
    }
    let lists = if as_before {
        Arc::clone(&known.lists)
    } else {
        Arc::new(TrustLists::new(certificates, revocation_lists))
    };
    Ok(Some(Seen { number: 0, files: Arc::new(files), lists }))
}

/// The names in a folder that are read, in order.
pub(crate) fn names_in(folder: &Path) -> Result<Vec<std::ffi::OsString>, StoreError> {
    let mut names = all_names_in(folder)?;
    if names.len() > MAX_FILES {
        tracing::warn!(folder = %folder.display(), files = names.len(), "only {MAX_FILES} files of this folder are read");
        names.truncate(MAX_FILES);
    }
    Ok(names)
}

/// The names in a folder, in order; those that begin with a dot are on their way here.
fn all_names_in(folder: &Path) -> Result<Vec<std::ffi::OsString>, StoreError> {
    let failed = |source| StoreError::io(folder, source);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Every file of the folders that cannot be read, with the reason; those that no look reads count too.
pub(crate) fn unreadable(layout: &Layout) -> Result<Vec<(PathBuf, String)>, StoreError> {
    let mut found = Vec::new();
    for (list, kind) in FOLDERS {
        let folder = Path::new("trust").join(relative(list, kind));
        for (position, name) in all_names_in(&layout.root().join(&folder))?.into_iter().enumerate() {
            let path = folder.join(name);
            let absolute = layout.root().join(&path);
            match std::fs::metadata(&absolute) {
                Ok(metadata) if !metadata.is_file() => continue,
                // Gone since the folder was listed, and no dangling link.
                Err(_) if std::fs::symlink_metadata(&absolute).is_err() => continue,
                _ => {}
            }
            if position >= MAX_FILES {
                found.push((path, format!("only {MAX_FILES} files of a folder are read")));
            } else if let Err(unreadable) = try_read(&absolute, kind)
                // Else it has gone while it was read.
                && std::fs::symlink_metadata(&absolute).is_ok()
            {
                found.push((path, unreadable.reason));
            }
        }
    }
    Ok(found)
}

fn read(path: &Path, kind: Kind, stamp: FileStamp, was_unreadable: bool) -> File {
    match try_read(path, kind) {
        Ok(contents) => File { stamp: Some(stamp).filter(FileStamp::is_settled), contents },
        Err(unreadable) => {
            if !was_unreadable {
                tracing::warn!(path = %path.display(), why = unreadable.reason, "this file of the trust lists cannot be read and is left out");
            }
            let stamp = Some(stamp).filter(|stamp| match unreadable.until {
                Until::Rewritten => stamp.is_settled(),
                Until::NextLook => false,
            });
            File { stamp, contents: Contents::Unreadable }
        }
    }
}

/// Why a file is left out.
struct Unreadable {
    reason: String,
    until: Until,
}

/// When it may be otherwise.
enum Until {
    Rewritten,
    NextLook,
}

fn try_read(path: &Path, kind: Kind) -> Result<Contents, Unreadable> {
    let max = match kind {
        Kind::Certificates => MAX_CERTIFICATE_BYTES,
        Kind::RevocationLists => MAX_REVOCATION_LIST_BYTES,
    };
    let bytes = read_bounded(path, max).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => {
            Unreadable { reason: "it is too long".to_owned(), until: Until::Rewritten }
        }
        _ => Unreadable { reason: error.to_string(), until: Until::NextLook },
    })?;
    match kind {
        Kind::Certificates => read_certificates(&bytes)
            .map(|chain| Contents::Certificates(chain_certificates(&chain)))
            .map_err(|error| error.to_string()),
        Kind::RevocationLists => RevocationList::from_bytes(&bytes)
            .map(Contents::RevocationList)
            .map_err(|error| error.to_string()),
    }
    .map_err(|reason| Unreadable { reason, until: Until::Rewritten })
}

fn chain_certificates(chain: &CertificateChain) -> Vec<Certificate> {
    chain.iter().cloned().collect()
}

/// A file name for a certificate or a revocation list, in the form of OPC 10000-12's own store: `Name [THUMBPRINT].ext`.
///
/// The name is a stranger's: only harmless characters of it are kept.
pub(super) fn file_name(name: &str, sha1: &str, extension: &str) -> String {
    let kept: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_@ ".contains(c) { c } else { '_' })
        .take(64)
        .collect();
    let kept = kept.trim();
    let kept = if kept.is_empty() { "certificate" } else { kept };
    format!("{kept} [{sha1}].{extension}")
}

/// The same folder and another name when there is a file of that name already.
pub(super) fn free_path(layout: &Layout, folder: &Path, name: &str) -> PathBuf {
    let taken = |path: &Path| std::fs::symlink_metadata(layout.root().join(path)).is_ok();
    let mut path = folder.join(name);
    let mut copy = 2_u32;
    while taken(&path) && copy < 1_000 {
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "der"));
        path = folder.join(format!("{stem} {copy}.{extension}"));
        copy += 1;
    }
    path
}

/// The name of a file, when the database can hold it.
pub(super) fn text_of(path: &Path) -> Result<&str, StoreError> {
    path.to_str().ok_or_else(|| StoreError::Unavailable {
        path: path.to_owned(),
        source: "its name is not UTF-8; rename it".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;

    #[tokio::test]
    async fn those_who_wait_share_one_look_that_began_after_they_asked() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(folder.path())).await.unwrap();
        let begun = || store.inner.trust.begun.load(Ordering::SeqCst);
        store.trust_lists().await.unwrap();
        let before = begun();
        let held = store.lock_trust_lists().await;
        let asking: Vec<_> = (0..50)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(
                    async move { store.trust_lists().await.map(|lists| lists.revocation_lists.len()) },
                )
            })
            .collect();
        // One thread: all of them have asked when this one goes on.
        tokio::task::yield_now().await;
        drop(held);
        for asked in asking {
            asked.await.unwrap().unwrap();
        }
        assert_eq!(begun() - before, 1);
        store.trust_lists().await.unwrap();
        assert_eq!(begun() - before, 2, "what was seen before it asked is no answer");
    }
}

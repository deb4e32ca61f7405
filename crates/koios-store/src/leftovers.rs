//! What a start does with files that the database does not name as current.
//!
//! Only what the database proves obsolete is deleted. Whatever it does not know may be newer than it: after an older
//! `koios.db` was restored, such a folder holds the only copy of a key.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::OpenError;
use crate::id::CertificateId;
use crate::layout::Layout;
use crate::removed_keys::{Presence, RemovedKey};
use crate::{atomic, certificate_files};

/// What the database says about the folders of certificates.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The current generation of each certificate.
    pub(crate) current: HashMap<CertificateId, u32>,
    /// Where the keys of certificate requests wait for an authority's answer.
    pub(crate) staged: HashMap<CertificateId, u32>,
    /// The keys that were given up, by where they lay.
    pub(crate) removed: HashMap<(CertificateId, u32), Vec<RemovedKey>>,
    /// The certificates that were deleted; their ids never come back.
    pub(crate) deleted: HashSet<CertificateId>,
    /// Whether setting up was done once; since then there was always a certificate.
    pub(crate) set_up: bool,
}

/// What to do with the folder of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Current,
    Obsolete,
    Unknown,
    /// Which of these, the next start may tell.
    Unreadable,
}

/// What the folder of a generation that is not current is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The database proves that it is needed no more.
    Obsolete,
    /// Unknown, and without a private key: a writing that was cut off.
    Unfinished,
    /// The database does not know it, and it holds a private key.
    Unknown,
    /// Its key was given up, and can be neither read nor removed now.
    Unreadable,
}

/// The folder of a generation that is not current.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Leftover {
    pub(crate) id: CertificateId,
    pub(crate) generation: u32,
    pub(crate) folder: PathBuf,
    pub(crate) kind: Kind,
}

impl Known {
    fn judge(&self, layout: &Layout, id: CertificateId, generation: u32) -> Verdict {
        match self.current.get(&id) {
            Some(_) if self.staged.get(&id) == Some(&generation) => Verdict::Current,
            Some(current) if generation == *current => Verdict::Current,
            Some(current) if generation < *current => Verdict::Obsolete,
            None if self.deleted.contains(&id) => Verdict::Obsolete,
            _ => {
                let removed = self.removed.get(&(id, generation)).into_iter().flatten();
                match removed.map(|key| key.presence(layout)).max() {
                    Some(Presence::There) => Verdict::Obsolete,
                    Some(Presence::Unreadable) => Verdict::Unreadable,
                    Some(Presence::Gone) | None => Verdict::Unknown,
                }
            }
        }
    }
}

/// Whether there is any certificate's folder.
pub(crate) fn any(layout: &Layout) -> bool {
    std::fs::read_dir(layout.certificates()).is_ok_and(|mut entries| entries.next().is_some())
}

/// Clears away every generation that is not current: what a crash between file and commit, or between commit and
/// removal, left behind, and what a restored database does not know. Folders that are not named as ours are left
/// alone.
///
/// # Errors
/// [`OpenError::Damaged`] when the database holds no certificate and cannot be the one that belongs to the folders.
pub(crate) fn sweep(layout: &Layout, known: &Known) -> Result<(), OpenError> {
    let leftovers = survey(layout, known)?;
    refuse_foreign_database(layout, known, &leftovers)?;
    for Leftover { id, generation, folder, kind } in &leftovers {
        match kind {
            // A writing that was cut off was never current.
            Kind::Obsolete | Kind::Unfinished => remove(folder),
            Kind::Unknown => move_aside(layout, *id, *generation),
            Kind::Unreadable => tracing::warn!(
                path = %folder.display(),
                "a private key that was given up can neither be read nor removed; the next start tries again"
            ),
        }
    }
    for (id, folder) in named_folders::<CertificateId>(&layout.certificates())? {
        if !known.current.contains_key(&id) {
            // What is not ours keeps its folder.
            let _ = std::fs::remove_dir(folder);
        }
    }
    Ok(())
}

/// Every folder of a generation that is not current. Changes nothing.
pub(crate) fn survey(layout: &Layout, known: &Known) -> Result<Vec<Leftover>, OpenError> {
    let mut leftovers = Vec::new();
    for (id, folder) in named_folders::<CertificateId>(&layout.certificates())? {
        for (generation, folder) in named_folders::<u32>(&folder)? {
            let kind = match known.judge(layout, id, generation) {
                Verdict::Current => continue,
                Verdict::Obsolete => Kind::Obsolete,
                Verdict::Unreadable => Kind::Unreadable,
                Verdict::Unknown if certificate_files::holds_key(layout, id, generation) => Kind::Unknown,
                Verdict::Unknown => Kind::Unfinished,
            };
            leftovers.push(Leftover { id, generation, folder, kind });
        }
    }
    Ok(leftovers)
}

/// A first start that was cut off leaves one certificate without a row; more of them, or any after setting up, belong
/// to another database.
pub(crate) fn refuse_foreign_database(
    layout: &Layout,
    known: &Known,
    leftovers: &[Leftover],
) -> Result<(), OpenError> {
    let complete = leftovers.iter().filter(|leftover| leftover.kind == Kind::Unknown).count();
    let explained = if known.set_up { 0 } else { 1 };
    if !known.current.is_empty() || complete <= explained {
        return Ok(());
    }
    Err(OpenError::Damaged {
        path: layout.database(),
        problem: format!("it holds no certificate, but there are files of {complete} beside it"),
        remedy: "restore koios.db from a newer backup, or move the folder \"certificates\" away to begin anew",
        source: None,
    })
}

/// Keeps a generation where nothing reads it; the operator decides.
fn move_aside(layout: &Layout, id: CertificateId, generation: u32) {
    let from = layout.generation(id, generation);
    match try_move_aside(layout, &from, id, generation) {
        Ok(to) => tracing::warn!(
            from = %from.display(),
            to = %to.display(),
            "moved aside a private key that the database does not know: it was never in use, or the database is older \
             than it; put it to use by uploading it with its certificate, or delete it"
        ),
        Err(error) => tracing::warn!(
            path = %from.display(),
            %error,
            "a private key that the database does not know cannot be moved aside"
        ),
    }
}

/// Keeps a generation where nothing reads it; answers where that is.
pub(crate) fn try_move_aside(
    layout: &Layout,
    from: &Path,
    id: CertificateId,
    generation: u32,
) -> io::Result<PathBuf> {
    let orphaned = layout.orphaned();
    atomic::create_folder(&orphaned)?;
    let mut to = orphaned.join(format!("{id}-{generation}"));
    let mut copy = 1_u32;
    // The same generation can come here again, after each restored backup.
    while std::fs::symlink_metadata(&to).is_ok() {
        copy = copy.checked_add(1).ok_or(io::ErrorKind::AlreadyExists)?;
        to = orphaned.join(format!("{id}-{generation}-{copy}"));
    }
    std::fs::rename(from, &to)?;
    atomic::sync_folder(&orphaned)?;
    atomic::sync_folder(&layout.certificate(id))?;
    atomic::sync_folder(layout.root())?;
    Ok(to)
}

/// A folder that stays is no reason to keep every device disconnected; the next start tries again.
fn remove(folder: &Path) {
    let removed = atomic::remove_folder(folder).and_then(|()| match folder.parent() {
        // Only what is gone for good may be forgotten.
        Some(parent) => atomic::sync_folder(parent),
        None => Ok(()),
    });
    match removed {
        Ok(()) => tracing::info!(path = %folder.display(), "removed what an interrupted change left behind"),
        Err(error) => {
            tracing::warn!(path = %folder.display(), %error, "what an interrupted change left behind cannot be removed");
        }
    }
}

/// The folders whose name is exactly that of a `T`. One that is gone meanwhile, as beside a running daemon, is empty.
fn named_folders<T: std::str::FromStr + ToString>(root: &Path) -> Result<Vec<(T, PathBuf)>, OpenError> {
    let failed = |source| OpenError::io(root, source);
    let mut folders = Vec::new();
    let entries = match std::fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(folders),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(value) =
            name.to_str().and_then(|name| name.parse::<T>().ok().filter(|v| v.to_string() == name))
        else {
            continue;
        };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => folders.push((value, entry.path())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(folders)
}

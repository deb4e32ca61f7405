//! Reading a data directory, perhaps beside a daemon that changes it, as it was at one moment.
//!
//! The database is copied first, then the files that its rows name. A generation that was replaced in between is gone, so
//! another copy is taken: its rows name the new one. What was read already stays, so each round has less to read; after a
//! few rounds writers are kept waiting for the next.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::manifest::{INITIAL_ADMIN_TOKEN, Place, SECRETS_KEY};
use super::rows::Rows;
use super::{BackupError, LeftOut};
use crate::database::{self, Database, HeldWrites};
use crate::error::{OpenError, StoreError};
use crate::file_digest::FileDigest;
use crate::file_stamp::FileStamp;
use crate::key_files::read_bounded;
use crate::layout::Layout;
use crate::progress::Progress;
use crate::store::blocking_open;
use crate::trust_lists::{self, TrustListName};
use crate::{atomic, trust_lists::folders};

/// Rounds that let the daemon write meanwhile.
const UNDISTURBING_ROUNDS: u32 = 3;

const ROUNDS: u32 = 12;

/// Between two rounds that keep writers waiting; SQLite asks for a lock every tenth of a second.
const PAUSE: Duration = Duration::from_millis(250);

/// A data directory as it was at one moment.
pub(super) struct Collected {
    pub(super) rows: Rows,
    /// By path below the data directory.
    pub(super) files: BTreeMap<String, Zeroizing<Vec<u8>>>,
    pub(super) left_out: Vec<LeftOut>,
}

type TrustFiles = BTreeMap<String, (FileStamp, Zeroizing<Vec<u8>>)>;

/// Copies the database to `snapshot` and reads the files that belong to it.
pub(super) async fn collect(
    layout: &Layout,
    snapshot: &Path,
    progress: &Progress,
) -> Result<Collected, BackupError> {
    let mut known = Known::default();
    for round in 0..ROUNDS {
        let held = match round {
            0..UNDISTURBING_ROUNDS => None,
            _ => Some(HeldWrites::hold(&layout.database()).await?),
        };
        let result = known.round(layout, snapshot, progress).await;
        let was_held = held.is_some();
        if let Some(held) = held {
            held.release().await?;
        }
        if let Some(collected) = result? {
            return Ok(collected);
        }
        if was_held {
            // A change of the trust lists may wait for its last commit, and asks again now and then: else no round sees its end.
            tokio::time::sleep(PAUSE).await;
        }
    }
    Err(BackupError::Unsettled)
}

/// What earlier rounds have read.
#[derive(Default)]
struct Known {
    files: BTreeMap<String, (FileDigest, Zeroizing<Vec<u8>>)>,
    trust: TrustFiles,
    /// Files that were not as their rows say, when they were read.
    faults: BTreeMap<String, (FileDigest, &'static str)>,
}

impl Known {
    /// `None` when something changed meanwhile.
    async fn round(
        &mut self,
        layout: &Layout,
        snapshot: &Path,
        progress: &Progress,
    ) -> Result<Option<Collected>, BackupError> {
        progress.tell("copying the database", 0, None);
        let before = {
            let layout = layout.clone();
            blocking(move || stamps(&layout)).await?
        };
        for file in database_files(snapshot) {
            atomic::remove_file(&file).map_err(|source| OpenError::io(&file, source))?;
        }
        database::copy(&layout.database(), snapshot).await?;
        // Brings the copy, and never the original, to the present format.
        let copy = Database::open(snapshot).await?;
        let rows = Rows::read(&copy).await;
        copy.close().await;
        let rows = rows?;
        let mut known = std::mem::take(self);
        let (layout, progress) = (layout.clone(), progress.clone());
        let (known, collected) = blocking(move || {
            let collected = known.read(&layout, rows, &before, &progress)?;
            Ok((known, collected))
        })
        .await?;
        *self = known;
        Ok(collected)
    }

    fn read(
        &mut self,
        layout: &Layout,
        rows: Rows,
        before: &BTreeMap<String, FileStamp>,
        progress: &Progress,
    ) -> Result<Option<Collected>, BackupError> {
        let mut files = BTreeMap::new();
        let mut faults = BTreeMap::new();
        let certificates = progress.over("reading certificates", &rows.certificates);
        for (path, _, digest) in certificates.flat_map(|row| row.files()) {
            match self.files.remove(&path).filter(|(known, _)| *known == digest) {
                Some((_, contents)) => files.insert(path, (digest, contents)),
                None => match certificate_file(layout, &path, digest) {
                    Ok(contents) => files.insert(path, (digest, contents)),
                    Err(why) => {
                        faults.insert(path, (digest, why));
                        continue;
                    }
                },
            };
        }
        let (trust, unreadable) = read_trust(layout, std::mem::take(&mut self.trust))?;
        let after = stamps(layout)?;
        // A file that was not there for the rows of the last copy either is missing; else another generation took its
        // place after this copy.
        let explained = faults
            .iter()
            .all(|(path, (digest, _))| self.faults.get(path).is_some_and(|(earlier, _)| earlier == digest));
        let settled = explained && !rows.trust_moving && deciding(before) == deciding(&after);
        if !settled {
            (self.files, self.trust, self.faults) = (files, trust, faults);
            return Ok(None);
        }
        let mut left_out: Vec<LeftOut> =
            faults.into_iter().map(|(path, (_, why))| LeftOut { path, why: why.to_owned() }).collect();
        let mut files: BTreeMap<String, Zeroizing<Vec<u8>>> =
            files.into_iter().map(|(path, (_, contents))| (path, contents)).collect();
        left_out.extend(
            unreadable.into_iter().map(|path| LeftOut { path, why: "it could not be read".to_owned() }),
        );
        files.extend(trust.into_iter().map(|(path, (_, contents))| (path, contents)));
        if !rows.external_master_key {
            files.insert(SECRETS_KEY.to_owned(), needed(&layout.secrets_key())?);
        }
        match read_bounded(&layout.initial_admin_token(), 4096) {
            Ok(token) => {
                files.insert(INITIAL_ADMIN_TOKEN.to_owned(), Zeroizing::new(token));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io(&layout.initial_admin_token(), error).into()),
        }
        Ok(Some(Collected { rows, files, left_out }))
    }
}

fn certificate_file(
    layout: &Layout,
    path: &str,
    digest: FileDigest,
) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let longest = Place::parse(path).and_then(Place::longest).unwrap_or(0);
    match read_bounded(&layout.root().join(path), longest).map(Zeroizing::new) {
        Ok(contents) if FileDigest::of(&contents) == digest => Ok(contents),
        Ok(_) => Err("it was not the file that was stored"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("it was missing"),
        Err(_) => Err("it could not be read"),
    }
}

fn needed(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    read_bounded(path, 4096).map(Zeroizing::new).map_err(|source| StoreError::io(path, source))
}

/// The files of the trust lists, and which of them could not be read.
fn read_trust(layout: &Layout, mut known: TrustFiles) -> Result<(TrustFiles, Vec<String>), StoreError> {
    let mut files = TrustFiles::new();
    let mut unreadable = Vec::new();
    for (path, stamp, longest) in trust_files(layout)? {
        match known.remove(&path) {
            Some((seen, contents)) if seen == stamp => {
                files.insert(path, (stamp, contents));
            }
            _ => match read_bounded(&layout.root().join(&path), longest) {
                Ok(contents) => {
                    files.insert(path, (stamp, Zeroizing::new(contents)));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => unreadable.push(path),
            },
        }
    }
    Ok((files, unreadable))
}

fn stamps(layout: &Layout) -> Result<BTreeMap<String, FileStamp>, BackupError> {
    Ok(trust_files(layout)?.into_iter().map(|(path, stamp, _)| (path, stamp)).collect())
}

/// Those that decide what is trusted. Rejected certificates come all the time, and say themselves what they are.
fn deciding(stamps: &BTreeMap<String, FileStamp>) -> BTreeMap<&String, &FileStamp> {
    let rejected = format!("trust/{}/", TrustListName::Rejected.as_str());
    stamps.iter().filter(|(path, _)| !path.starts_with(&rejected)).collect()
}

/// Files that are longer than Koios reads are no part of the lists.
fn trust_files(layout: &Layout) -> Result<Vec<(String, FileStamp, u64)>, StoreError> {
    let mut files = Vec::new();
    for (folder, longest) in folders() {
        for name in trust_lists::names_in(&layout.root().join(&folder))? {
            let path = folder.join(name);
            let absolute = layout.root().join(&path);
            // Gone since the folder was listed, or no file.
            let Ok(metadata) = std::fs::metadata(&absolute) else { continue };
            if !metadata.is_file() || metadata.len() > longest {
                continue;
            }
            let text = path.to_str().ok_or_else(|| StoreError::Unavailable {
                path: absolute.clone(),
                source: "its name is not UTF-8; rename it".into(),
            })?;
            files.push((text.to_owned(), FileStamp::of(&metadata), longest));
        }
    }
    Ok(files)
}

/// A database and what SQLite lays beside it.
pub(crate) fn database_files(database: &Path) -> [PathBuf; 4] {
    ["", "-wal", "-shm", "-journal"].map(|suffix| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

/// Runs file work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    blocking_open(move || Ok(work())).await?
}

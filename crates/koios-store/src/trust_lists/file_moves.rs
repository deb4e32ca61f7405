//! Changes of the folders that come with rows: both, or neither.
//!
//! Every change is a set of renames: what is to come is written to one folder first, what is to go ends in another. The
//! moves are noted before the first of them and forgotten by the commit of the change, so that a start takes back those
//! of a change that never ended.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::files::text_of;
use crate::atomic::{self, Access};
use crate::database::{Connection, Database, DatabaseResult};
use crate::error::StoreError;
use crate::fault::FaultPoint;
use crate::layout::Layout;
use crate::store::{Apply, Store};

/// Files that a change moves, as paths below the data directory.
#[derive(Debug, Default)]
pub(super) struct FileMoves {
    moves: Vec<Move>,
    written: Vec<(PathBuf, Vec<u8>)>,
}

/// One file, from where to where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Move {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
}

/// Files on their way in, and files on their way out; both are empty between changes.
pub(crate) const INCOMING: &str = "trust/.incoming";
pub(crate) const OUTGOING: &str = "trust/.outgoing";

impl FileMoves {
    /// A new file with these contents.
    pub(super) fn put(&mut self, target: PathBuf, contents: Vec<u8>) {
        let source = Path::new(INCOMING).join(self.moves.len().to_string());
        self.written.push((source.clone(), contents));
        self.moves.push(Move { source, target });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }

    /// A file that is to go.
    pub(super) fn take(&mut self, source: PathBuf) {
        if !self.moves.iter().any(|earlier| earlier.source == source) {
            let target = Path::new(OUTGOING).join(self.moves.len().to_string());
            self.moves.push(Move { source, target });
        }
    }
}

impl Store {
    /// Notes the moves and carries them out. Until [`forget`] is committed they can be taken back.
    pub(super) async fn move_files(&self, moves: FileMoves) -> Result<Moved, StoreError> {
        let FileMoves { moves, written } = moves;
        self.blocking(move |layout| write(layout, &written)).await?;
        // Its own commit: the moves must be known before the first of them is made.
        let mut noting = Self { audit: None, ..self.clone() }.begin().await?;
        for step in &moves {
            sqlx::query("INSERT INTO trust_file_moves (source, target) VALUES ($1, $2)")
                .bind(text_of(&step.source)?)
                .bind(text_of(&step.target)?)
                .execute(noting.connection())
                .await
                .database()?;
        }
        noting.finish(Apply::Commit).await?;
        self.inner.faults.pass(FaultPoint::BeforeFiles).await;
        let moved = Moved(moves.clone());
        match self.blocking(move |layout| carry_out(layout, &moves)).await {
            Ok(()) => Ok(moved),
            Err(error) => {
                self.undo(moved).await;
                Err(error)
            }
        }
    }

    /// Takes back the moves of a change that failed.
    pub(super) async fn undo(&self, moved: Moved) {
        let forgotten = async {
            self.inner.database.settle().await?;
            self.blocking(move |layout| take_back_moves(layout, &moved.0)).await?;
            let mut write = Self { audit: None, ..self.clone() }.begin().await?;
            forget(write.connection()).await?;
            write.finish(Apply::Commit).await
        };
        if let Err(error) = forgotten.await {
            self.inner.trust.moves_left.store(true, Ordering::Release);
            tracing::warn!(%error, "a change of the trust lists could not be taken back; the next look, change or start does it");
        }
    }

    /// Takes back the moves of an earlier change that failed and could not be taken back then.
    pub(super) async fn take_back_left_moves(&self) -> Result<(), StoreError> {
        let moves = noted(&self.inner.database).await?;
        if !moves.is_empty() {
            self.inner.database.settle().await?;
            self.blocking(move |layout| take_back_moves(layout, &moves)).await?;
            let mut write = Self { audit: None, ..self.clone() }.begin().await?;
            forget(write.connection()).await?;
            write.finish(Apply::Commit).await?;
        }
        self.inner.trust.moves_left.store(false, Ordering::Release);
        Ok(())
    }

    /// Clears away what has left the lists for good.
    pub(super) async fn clear_outgoing(&self) {
        let cleared = self.blocking(|layout| {
            let folder = layout.root().join(OUTGOING);
            atomic::remove_folder(&folder).map_err(|source| StoreError::io(&folder, source))
        });
        if let Err(error) = cleared.await {
            tracing::warn!(%error, "files that were removed from the trust lists are still on the disk");
        }
    }
}

/// Moves that were made.
#[derive(Debug)]
pub(super) struct Moved(Vec<Move>);

/// Forgets the moves of the change that is under way: from its commit on they stay.
pub(super) async fn forget(connection: &mut Connection) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM trust_file_moves").execute(connection).await.database()?;
    Ok(())
}

/// At a start: takes back the moves of a change that did not come to its commit.
pub(crate) async fn take_back(database: &Database, layout: &Layout) -> Result<(), StoreError> {
    let moves = noted(database).await?;
    take_back_moves(layout, &moves)?;
    if !moves.is_empty() {
        let (_turn, mut write) = database.write().await?;
        forget(&mut write).await?;
        write.commit().await.database()?;
    }
    for folder in [INCOMING, OUTGOING] {
        let folder = layout.root().join(folder);
        atomic::remove_folder(&folder).map_err(|source| StoreError::io(&folder, source))?;
    }
    Ok(())
}

/// The moves of a change that is under way or did not end.
pub(crate) async fn noted(database: &Database) -> Result<Vec<Move>, StoreError> {
    let noted: Vec<(String, String)> = sqlx::query_as("SELECT source, target FROM trust_file_moves")
        .fetch_all(&mut *database.read().await?)
        .await
        .database()?;
    Ok(noted
        .into_iter()
        .map(|(source, target)| Move { source: source.into(), target: target.into() })
        .collect())
}

fn write(layout: &Layout, written: &[(PathBuf, Vec<u8>)]) -> Result<(), StoreError> {
    for folder in [INCOMING, OUTGOING] {
        let folder = layout.root().join(folder);
        // Leftovers of a change that failed would be in the way.
        atomic::remove_folder(&folder)
            .and_then(|()| atomic::create_folder(&folder))
            .map_err(|source| StoreError::io(&folder, source))?;
    }
    for (path, contents) in written {
        let path = layout.root().join(path);
        atomic::write_new(&path, contents, Access::Public).map_err(|source| StoreError::io(&path, source))?;
    }
    sync(layout.root().join(INCOMING).as_path())
}

fn carry_out(layout: &Layout, moves: &[Move]) -> Result<(), StoreError> {
    for Move { source, target } in moves {
        move_to(layout, source, target)?;
    }
    sync_folders(layout, moves)
}

/// Backwards; a move that was not made is fine.
fn take_back_moves(layout: &Layout, moves: &[Move]) -> Result<(), StoreError> {
    for Move { source, target } in moves.iter().rev() {
        let there = |path: &Path| std::fs::symlink_metadata(layout.root().join(path)).is_ok();
        if there(target) && !there(source) {
            move_to(layout, target, source)?;
        }
    }
    sync_folders(layout, moves)
}

fn move_to(layout: &Layout, from: &Path, to: &Path) -> Result<(), StoreError> {
    let (from, to) = (layout.root().join(from), layout.root().join(to));
    if let Some(folder) = to.parent() {
        atomic::create_folder(folder).map_err(|source| StoreError::io(folder, source))?;
    }
    std::fs::rename(&from, &to).map_err(|source| StoreError::io(&from, source))
}

fn sync_folders(layout: &Layout, moves: &[Move]) -> Result<(), StoreError> {
    let mut folders: Vec<&Path> =
        moves.iter().flat_map(|step| [step.source.parent(), step.target.parent()]).flatten().collect();
    folders.sort_unstable();
    folders.dedup();
    folders.into_iter().try_for_each(|folder| sync(&layout.root().join(folder)))
}

fn sync(folder: &Path) -> Result<(), StoreError> {
    match atomic::sync_folder(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|source| StoreError::io(folder, source)),
    }
}

#[cfg(test)]
mod tests {
    use koios_pki::{KeySpec, PrivateKey, SelfSignedParams, SerialNumber, Validity, self_signed};
    use time::OffsetDateTime;

    use super::*;
    use crate::store::StoreOptions;
    use crate::trust_lists::TrustListName;

    fn certificate(serial: u8) -> koios_pki::Certificate {
        let params = SelfSignedParams::new(
            "Server",
            "Plant",
            koios_pki::ApplicationUri::parse("urn:plant:server").unwrap(),
            Validity::starting_at(OffsetDateTime::now_utc(), 30),
            SerialNumber::from_random_bytes([serial; 16]),
        );
        self_signed(&params, &PrivateKey::generate(KeySpec::EcP256).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn what_a_failed_change_left_is_taken_back_before_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(folder.path())).await.unwrap();
        let (left, other) = (certificate(1), certificate(2));
        for certificate in [&left, &other] {
            store.add_to_trust_list(TrustListName::Trusted, certificate.clone()).await.unwrap();
        }
        // As after a full disk: the commit failed, and so did taking back.
        let lists = store.trust_lists().await.unwrap();
        let source = lists.files_of(left.thumbprint_sha256()).next().unwrap().path.clone();
        let mut moves = FileMoves::default();
        moves.take(source);
        store.move_files(moves).await.unwrap();

        store.reject_server_certificate(other.thumbprint_sha256()).await.unwrap();
        let lists = store.trust_lists().await.unwrap();
        assert!(lists.holds(TrustListName::Trusted, left.thumbprint_sha256()));
        assert!(lists.holds(TrustListName::Rejected, other.thumbprint_sha256()));
    }
}

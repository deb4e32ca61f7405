//! The database. What is particular to SQLite stands in `database/sqlite.rs` and, as words of DDL, in the migrations; every
//! other statement runs on PostgreSQL as it is.
//!
//! That is tested: `--cfg koios_postgresql` compiles `database/postgresql.rs` in its place, and `cargo xtask postgresql`
//! runs all tests so (ADR 16).

#[cfg(koios_postgresql)]
mod postgresql;
#[cfg(not(koios_postgresql))]
mod sqlite;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::migrate::MigrateError;
use sqlx::pool::PoolConnection;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::atomic::{self, Access};
use crate::error::{OpenError, StoreError};
use crate::layout::DATABASE;

#[cfg(koios_postgresql)]
use postgresql as backend;
#[cfg(not(koios_postgresql))]
use sqlite as backend;

pub(crate) use backend::{Db, HeldWrites, copy};

pub(crate) type Connection = <Db as sqlx::Database>::Connection;
pub(crate) type QueryBuilder = sqlx::QueryBuilder<Db>;
pub(crate) type Row = <Db as sqlx::Database>::Row;
pub(crate) type Transaction = sqlx::Transaction<'static, Db>;
type Pool = sqlx::Pool<Db>;

/// One writer, and readers that do not wait for it.
const CONNECTIONS: u32 = 4;

/// Databases bound the number of values in one query.
const IDS_PER_QUERY: usize = 500;

const RESTORE: &str = "restore koios.db from a backup; the certificates' folders may be whole, so keep them";

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// The open database; clones are handles on the same one.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pool: Pool,
    /// Writers wait here for their turn, in order; SQLite would let them starve.
    turn: Arc<Mutex<()>>,
    /// Whether a commit that failed may still come into force; see [`Database::settle`].
    unsettled: Arc<AtomicBool>,
    guard: backend::Guard,
}

/// How many rows of a table name rows of another that do not exist.
#[derive(Debug)]
pub(crate) struct BrokenReferences {
    pub(crate) table: String,
    pub(crate) parent: String,
    count: u64,
}

impl std::fmt::Display for BrokenReferences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { table, parent, count } = self;
        write!(f, "{count} rows of {table} name rows of {parent} that do not exist")
    }
}

/// The rows with these ids, in any order; `select` ends where the ids go, in brackets.
pub(crate) async fn rows_by_id<T>(
    connection: &mut Connection,
    select: &'static str,
    ids: &[String],
) -> Result<Vec<T>, StoreError>
where
    T: for<'row> sqlx::FromRow<'row, Row> + Send + Unpin,
{
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(IDS_PER_QUERY) {
        let mut query = QueryBuilder::new(select);
        query.push(" (");
        let mut separated = query.separated(", ");
        for id in ids {
            separated.push_bind(id);
        }
        separated.push_unseparated(")");
        found.extend(query.build_query_as::<T>().fetch_all(&mut *connection).await.database()?);
    }
    Ok(found)
}

/// The rows with these ids, in their order; one that was deleted meanwhile is left out. As [`rows_by_id`].
pub(crate) async fn rows_in_order<T>(
    connection: &mut Connection,
    select: &'static str,
    ids: &[String],
    id_of: impl Fn(&T) -> &String,
) -> Result<Vec<T>, StoreError>
where
    T: for<'row> sqlx::FromRow<'row, Row> + Send + Unpin,
{
    let rows = rows_by_id::<T>(connection, select, ids).await?;
    let mut rows: HashMap<String, T> = rows.into_iter().map(|row| (id_of(&row).clone(), row)).collect();
    Ok(ids.iter().filter_map(|id| rows.remove(id)).collect())
}

impl Database {
    /// Opens and checks the database, or makes a new one, and brings it to the present format.
    pub(crate) async fn open(path: &Path) -> Result<Self, OpenError> {
        let (pool, guard) = backend::open(path).await?;
        Ok(Self { pool, turn: Arc::default(), unsettled: Arc::default(), guard })
    }

    /// Opens a database that another process may be using, to read it. It must be there, and of the present format.
    pub(crate) async fn open_for_reading(path: &Path) -> Result<Self, OpenError> {
        Self::of_present_format(backend::open_for_reading(path).await?, path).await
    }

    /// Opens a database that another process may be using, to change it. It must be there, and of the present format.
    pub(crate) async fn open_beside(path: &Path) -> Result<Self, OpenError> {
        Self::of_present_format(backend::open_beside(path).await?, path).await
    }

    async fn of_present_format(pool: Pool, path: &Path) -> Result<Self, OpenError> {
        let applied: Vec<(i64, bool)> =
            sqlx::query_as("SELECT version, success FROM _sqlx_migrations ORDER BY version")
                .fetch_all(&pool)
                .await
                .map_err(|source| open_error(path, source))?;
        let known: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        if let Some((format, _)) = applied.iter().find(|(version, _)| !known.contains(version)) {
            return Err(OpenError::NewerFormat { path: path.to_owned(), format: *format });
        }
        if applied.len() < known.len() || applied.iter().any(|(_, success)| !success) {
            return Err(OpenError::OlderFormat { path: path.to_owned() });
        }
        Ok(Self { pool, turn: Arc::default(), unsettled: Arc::default(), guard: backend::Guard::default() })
    }

    /// Goes through the whole database; what is damaged, at most 20 sentences of the database itself.
    pub(crate) async fn damage(&self) -> Result<Vec<String>, StoreError> {
        backend::damage(&mut *self.read().await?).await
    }

    /// Rows that name a row of another table which does not exist.
    pub(crate) async fn broken_references(&self) -> Result<Vec<BrokenReferences>, StoreError> {
        backend::broken_references(&mut *self.read().await?).await
    }

    /// A connection for statements that change nothing.
    pub(crate) async fn read(&self) -> Result<PoolConnection<Db>, StoreError> {
        self.pool.acquire().await.database()
    }

    /// Waits for its turn and begins a transaction that can write.
    pub(crate) async fn write(&self) -> Result<(OwnedMutexGuard<()>, Transaction), StoreError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let transaction = backend::begin(&self.pool, &self.guard).await.database()?;
        Ok((turn, transaction))
    }

    /// Commits; when that fails, what was to be committed is not in force, nor will it be.
    ///
    /// The caller has its turn still.
    pub(crate) async fn commit(&self, transaction: Transaction) -> Result<(), StoreError> {
        match transaction.commit().await.database() {
            Ok(()) => {
                self.unsettled.store(false, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                self.unsettled.store(true, Ordering::Release);
                if let Err(error) = Box::pin(self.overwrite()).await {
                    tracing::warn!(%error, "a change that failed may be in force after a sudden end of this program");
                }
                Err(error)
            }
        }
    }

    /// Makes sure that no commit that failed comes into force any more; an error when that is still uncertain.
    ///
    /// To be called before the files of such a commit are removed.
    pub(crate) async fn settle(&self) -> Result<(), StoreError> {
        if !self.unsettled.load(Ordering::Acquire) {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        self.overwrite().await
    }

    /// When only the sync of a commit failed, the change lies whole in the write-ahead log, although nobody sees it: the
    /// next start after a sudden end would take it for committed. Another commit takes its place in the log.
    async fn overwrite(&self) -> Result<(), StoreError> {
        if !self.unsettled.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut transaction = backend::begin(&self.pool, &self.guard).await.database()?;
        backend::overwrite(&mut transaction).await.database()?;
        transaction.commit().await.database()?;
        self.unsettled.store(false, Ordering::Release);
        Ok(())
    }

    /// Waits for the running write and closes; every later call fails.
    pub(crate) async fn close(&self) {
        let _turn = self.turn.lock().await;
        self.pool.close().await;
        self.guard.close().await;
    }
}

/// A text as every database takes it: U+0000 is in none of PostgreSQL's, and servers send what they like.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

/// Makes the file before the database does, which would make it readable for all; its companions inherit the mode.
fn create_private(path: &Path) -> Result<(), OpenError> {
    match atomic::write_new(path, b"", Access::Secret) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(|source| OpenError::io(path, source)),
    }
}

/// What the database's errors mean to us.
enum Trouble {
    Damaged,
    Full,
    ReadOnly,
    Unavailable,
    Other,
}

fn trouble(error: &sqlx::Error) -> Trouble {
    match error {
        sqlx::Error::Database(error) => error.code().map_or(Trouble::Other, |code| backend::trouble(&code)),
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => Trouble::Unavailable,
        _ => Trouble::Other,
    }
}

fn open_error(path: &Path, source: sqlx::Error) -> OpenError {
    let path = path.to_owned();
    match trouble(&source) {
        Trouble::Damaged => OpenError::Damaged {
            path,
            problem: "it is no SQLite database, or a damaged one".to_owned(),
            remedy: RESTORE,
            source: Some(source.into()),
        },
        Trouble::Full => OpenError::StorageFull { path, source: source.into() },
        Trouble::ReadOnly => OpenError::NotWritable { path, source: std::io::Error::other(source) },
        Trouble::Unavailable | Trouble::Other => OpenError::Unavailable { path, source: source.into() },
    }
}

fn migrate_error(path: &Path, source: MigrateError) -> OpenError {
    match source {
        MigrateError::VersionMissing(format) => OpenError::NewerFormat { path: path.to_owned(), format },
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => open_error(path, source),
        source => OpenError::Damaged {
            path: path.to_owned(),
            problem: "its format is not one that any version wrote".to_owned(),
            remedy: RESTORE,
            source: Some(source.into()),
        },
    }
}

/// Makes store errors of database errors.
pub(crate) trait DatabaseResult<T> {
    /// The same result, its error told by what can be done about it. [`StoreError::located`] completes the
    /// path.
    fn database(self) -> Result<T, StoreError>;
}

impl<T> DatabaseResult<T> for Result<T, sqlx::Error> {
    fn database(self) -> Result<T, StoreError> {
        self.map_err(|source| match (trouble(&source), &source) {
            (_, sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed) => StoreError::Interrupted,
            (Trouble::Full, _) => {
                StoreError::StorageFull { path: PathBuf::from(DATABASE), source: source.into() }
            }
            // So it says of a file that the system fails to read, too (`SQLITE_IOERR_CORRUPTFS`).
            (Trouble::Damaged, _) => {
                StoreError::Damaged { path: PathBuf::from(DATABASE), source: source.into() }
            }
            (Trouble::ReadOnly | Trouble::Unavailable, _) => {
                StoreError::Unavailable { path: PathBuf::from(DATABASE), source: source.into() }
            }
            (Trouble::Other, _) => StoreError::corrupt(DATABASE, source),
        })
    }
}

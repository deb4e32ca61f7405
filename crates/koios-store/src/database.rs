//! The database. All that is particular to SQLite stands here and in the migrations; every other statement is
//! to run on `PostgreSQL` as it is.

mod snapshot;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use sqlx::migrate::MigrateError;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, QueryBuilder, Row, Sqlite, SqlitePool, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::atomic::{self, Access};
use crate::error::{OpenError, StoreError};
use crate::layout::DATABASE;

pub(crate) use snapshot::{HeldWrites, copy};
pub(crate) use sqlx::SqliteConnection as Connection;

/// One writer, and readers that do not wait for it.
const CONNECTIONS: u32 = 4;

/// Databases bound the number of values in one query.
const IDS_PER_QUERY: usize = 500;

/// How long SQLite waits for another process' lock, such as a backup's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const RESTORE: &str = "restore koios.db from a backup; the certificates' folders may be whole, so keep them";

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// The open database; clones are handles on the same one.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pool: SqlitePool,
    /// Writers wait here for their turn, in order; SQLite would let them starve.
    turn: Arc<Mutex<()>>,
    /// Whether a commit that failed may still come into force; see [`Database::settle`].
    unsettled: Arc<AtomicBool>,
    /// Never used: when the last connection of a process is closed, the next one looks for commits in the write-ahead log
    /// anew, and finds one that failed. Connections of the pool are closed when they are spoilt.
    anchor: Arc<Mutex<Option<Connection>>>,
    /// Connections opened before are not used any more; see [`Database::begin`].
    distrusted: Arc<std::sync::Mutex<Option<Instant>>>,
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
    T: for<'row> sqlx::FromRow<'row, sqlx::sqlite::SqliteRow> + Send + Unpin,
{
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(IDS_PER_QUERY) {
        let mut query = QueryBuilder::<Sqlite>::new(select);
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

impl Database {
    /// Opens and checks the database, or makes a new one, and brings it to the present format.
    pub(crate) async fn open(path: &Path) -> Result<Self, OpenError> {
        create_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let distrusted = Arc::<std::sync::Mutex<Option<Instant>>>::default();
        let known = Arc::clone(&distrusted);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .idle_timeout(None)
            .max_lifetime(None)
            .before_acquire(move |_, connection| {
                let distrusted = *known.lock().unwrap_or_else(PoisonError::into_inner);
                let trusted = distrusted.is_none_or(|since| connection.age < since.elapsed());
                Box::pin(async move { Ok(trusted) })
            })
            .after_release(|connection, _| Box::pin(is_usable(connection)))
            .connect_with(options.clone())
            .await
            .map_err(|source| open_error(path, source))?;
        check(&pool, path).await?;
        MIGRATIONS.run(&pool).await.map_err(|source| migrate_error(path, source))?;
        // Setting the journal mode makes it read, which is what ties it to the log.
        let anchor = options.connect().await.map_err(|source| open_error(path, source))?;
        let anchor = Arc::new(Mutex::new(Some(anchor)));
        Ok(Self { pool, turn: Arc::default(), unsettled: Arc::default(), anchor, distrusted })
    }

    /// Opens a database that another process may be using, to read it. It must be there, and of the present format.
    pub(crate) async fn open_for_reading(path: &Path) -> Result<Self, OpenError> {
        // Not SQLite's own read-only mode, in which it could not share the write-ahead log with the other process.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .pragma("query_only", "ON")
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect_with(options)
            .await
            .map_err(|source| open_error(path, source))?;
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
        Ok(Self {
            pool,
            turn: Arc::default(),
            unsettled: Arc::default(),
            anchor: Arc::default(),
            distrusted: Arc::default(),
        })
    }

    /// Goes through the whole database; what is damaged, at most 20 sentences of SQLite.
    pub(crate) async fn damage(&self) -> Result<Vec<String>, StoreError> {
        let mut said: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(20)")
            .fetch_all(&mut *self.read().await?)
            .await
            .database()?;
        said.retain(|sentence| sentence != "ok");
        Ok(said)
    }

    /// Rows that name a row of another table which does not exist.
    pub(crate) async fn broken_references(&self) -> Result<Vec<BrokenReferences>, StoreError> {
        let rows =
            sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut *self.read().await?).await.database()?;
        let mut broken = std::collections::BTreeMap::new();
        for row in rows {
            let tables: (String, String) =
                (row.try_get("table").database()?, row.try_get("parent").database()?);
            let count: &mut u64 = broken.entry(tables).or_default();
            *count = count.saturating_add(1);
        }
        let references = broken.into_iter();
        Ok(references.map(|((table, parent), count)| BrokenReferences { table, parent, count }).collect())
    }

    /// A connection for statements that change nothing.
    pub(crate) async fn read(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        self.pool.acquire().await.database()
    }

    /// Waits for its turn and begins a transaction that can write.
    pub(crate) async fn write(
        &self,
    ) -> Result<(OwnedMutexGuard<()>, Transaction<'static, Sqlite>), StoreError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let transaction = self.begin().await.database()?;
        Ok((turn, transaction))
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        // IMMEDIATE takes the write lock at once; a transaction that begins as a reader may be refused it
        // later.
        const BEGIN: &str = "BEGIN IMMEDIATE";
        let mut begun = self.pool.begin_with(BEGIN).await;
        for _ in 0..CONNECTIONS {
            // What SQLite opens while the disk cannot be written, it opens to read, for as long as the connection is open.
            if !begun.as_ref().is_err_and(|error| matches!(trouble(error), Trouble::ReadOnly)) {
                break;
            }
            *self.distrusted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            begun = self.pool.begin_with(BEGIN).await;
        }
        begun
    }

    /// Commits; when that fails, what was to be committed is not in force, nor will it be.
    ///
    /// The caller has its turn still.
    pub(crate) async fn commit(&self, transaction: Transaction<'static, Sqlite>) -> Result<(), StoreError> {
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
        let mut transaction = self.begin().await.database()?;
        // Ours to use, and writes a page whatever stood there.
        sqlx::query("PRAGMA user_version = 0").execute(&mut *transaction).await.database()?;
        transaction.commit().await.database()?;
        self.unsettled.store(false, Ordering::Release);
        Ok(())
    }

    /// Waits for the running write and closes; every later call fails.
    pub(crate) async fn close(&self) {
        let _turn = self.turn.lock().await;
        self.pool.close().await;
        if let Some(anchor) = self.anchor.lock().await.take() {
            // Closing fails only where there is nothing to be done about it.
            let _ = anchor.close().await;
        }
    }
}

/// Makes the file before SQLite does, which would make it readable for all; its companions inherit the mode.
fn create_private(path: &Path) -> Result<(), OpenError> {
    match atomic::write_new(path, b"", Access::Secret) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(|source| OpenError::io(path, source)),
    }
}

/// Whether a connection that was given back can begin a transaction.
///
/// When a write or a sync fails, SQLite ends the transaction by itself. The rollback that sqlx sends fails then, and it
/// takes the transaction for begun for ever: every later one on that connection would be refused.
async fn is_usable(connection: &mut Connection) -> Result<bool, sqlx::Error> {
    // The rollback of a transaction that was dropped comes before the answer to this.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Looks for damage: a database that is damaged gets worse by being used.
async fn check(pool: &SqlitePool, path: &Path) -> Result<(), OpenError> {
    let findings: Vec<String> = sqlx::query_scalar("PRAGMA quick_check(5)")
        .fetch_all(pool)
        .await
        .map_err(|source| open_error(path, source))?;
    if findings.iter().all(|finding| finding == "ok") {
        return Ok(());
    }
    Err(OpenError::Damaged {
        path: path.to_owned(),
        problem: findings.join("; "),
        remedy: RESTORE,
        source: None,
    })
}

/// What SQLite's primary result codes mean to us (<https://sqlite.org/rescode.html>).
enum Trouble {
    Damaged,
    Full,
    ReadOnly,
    Unavailable,
    Other,
}

fn trouble(error: &sqlx::Error) -> Trouble {
    let sqlx::Error::Database(database) = error else {
        return match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => Trouble::Unavailable,
            _ => Trouble::Other,
        };
    };
    // The low byte of an extended code is the primary one.
    match database.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xFF) {
        // SQLITE_CORRUPT, SQLITE_NOTADB
        Some(11 | 26) => Trouble::Damaged,
        // SQLITE_FULL
        Some(13) => Trouble::Full,
        // SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH
        Some(8 | 3 | 23) => Trouble::ReadOnly,
        // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_NOMEM, SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_PROTOCOL
        Some(5 | 6 | 7 | 10 | 14 | 15) => Trouble::Unavailable,
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn open() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join(DATABASE)).await.unwrap();
        (folder, database)
    }

    #[tokio::test]
    async fn every_connection_is_durable_and_checks_references() {
        let (_folder, database) = open().await;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut connection = database.read().await.unwrap();
            let journal: String =
                sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.unwrap();
            let synchronous: i64 =
                sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await.unwrap();
            let references: i64 =
                sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut *connection).await.unwrap();
            // 2 is FULL.
            assert_eq!((journal.as_str(), synchronous, references), ("wal", 2, 1));
            connections.push(connection);
        }
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_ended_by_itself_spoils_no_later_one() {
        let (_folder, database) = open().await;
        for _ in 0..2 * CONNECTIONS {
            let (_turn, mut write) = database.write().await.unwrap();
            sqlx::query("PRAGMA max_page_count = 1").execute(&mut *write).await.unwrap();
            let big = sqlx::query("INSERT INTO facts (fact, value) VALUES ('big', $1)")
                .bind("x".repeat(1_000_000))
                .execute(&mut *write)
                .await;
            big.unwrap_err();
            sqlx::query("PRAGMA max_page_count = 0xfffffffe").execute(&mut *write).await.unwrap();
        }
        let (_turn, mut write) = database.write().await.unwrap();
        sqlx::query("INSERT INTO facts (fact, value) VALUES ('small', '')")
            .execute(&mut *write)
            .await
            .unwrap();
        write.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_full_database_is_told_from_one_that_cannot_be_written() {
        let (_folder, database) = open().await;
        let (_turn, mut write) = database.write().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(&mut *write).await.unwrap();
        let big = sqlx::query("INSERT INTO facts (fact, value) VALUES ('big', $1)")
            .bind("x".repeat(1_000_000))
            .execute(&mut *write)
            .await
            .database();
        assert!(
            matches!(&big, Err(StoreError::StorageFull { path, .. }) if path.as_os_str() == DATABASE),
            "{big:?}"
        );
        sqlx::query("PRAGMA query_only = ON").execute(&mut *write).await.unwrap();
        let refused = sqlx::query("DELETE FROM facts").execute(&mut *write).await.database();
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    }
}

//! What is SQLite's own: how its file is opened and examined, how it writes, copies of it, and its errors.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, Row as _, SqliteConnection};
use tokio::sync::Mutex;

use super::{
    BrokenReferences, CONNECTIONS, DatabaseResult, MIGRATIONS, Pool, RESTORE, Transaction, Trouble,
    create_private, migrate_error, open_error,
};
use crate::error::{OpenError, StoreError};

pub(crate) type Db = sqlx::Sqlite;

/// How long SQLite waits for another process' lock, such as a backup's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The same for a command beside a daemon: SQLite gives no turns, and a busy daemon leaves little time between two writes.
const BUSY_TIMEOUT_BESIDE: Duration = Duration::from_secs(60);

/// What keeps the pool to connections that are good for something.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    /// Never used: when the last connection of a process is closed, the next one looks for commits in the write-ahead log
    /// anew, and finds one that failed. Connections of the pool are closed when they are spoilt.
    anchor: Arc<Mutex<Option<SqliteConnection>>>,
    /// Connections opened before are not used any more; see [`begin`].
    distrusted: Arc<std::sync::Mutex<Option<Instant>>>,
}

impl Guard {
    pub(super) async fn close(&self) {
        if let Some(anchor) = self.anchor.lock().await.take() {
            // Closing fails only where there is nothing to be done about it.
            let _ = anchor.close().await;
        }
    }
}

/// As `Database::open`.
pub(super) async fn open(path: &Path) -> Result<(Pool, Guard), OpenError> {
    create_private(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT);
    let guard = Guard::default();
    let known = Arc::clone(&guard.distrusted);
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
    *guard.anchor.lock().await = Some(anchor);
    Ok((pool, guard))
}

/// As `Database::open_for_reading`, without a look at the format.
pub(super) async fn open_for_reading(path: &Path) -> Result<Pool, OpenError> {
    // Not SQLite's own read-only mode, in which it could not share the write-ahead log with the other process.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .pragma("query_only", "ON")
        .busy_timeout(BUSY_TIMEOUT);
    connect_pool(path, options).await
}

/// As `Database::open_beside`, without a look at the format.
pub(super) async fn open_beside(path: &Path) -> Result<Pool, OpenError> {
    // The journal mode is the file's own; to set it would be a change.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT_BESIDE);
    connect_pool(path, options).await
}

async fn connect_pool(path: &Path, options: SqliteConnectOptions) -> Result<Pool, OpenError> {
    SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .connect_with(options)
        .await
        .map_err(|source| open_error(path, source))
}

/// Whether a connection that was given back can begin a transaction.
///
/// When a write or a sync fails, SQLite ends the transaction by itself. The rollback that sqlx sends fails then, and it
/// takes the transaction for begun for ever: every later one on that connection would be refused.
async fn is_usable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // The rollback of a transaction that was dropped comes before the answer to this.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Looks for damage: a database that is damaged gets worse by being used.
async fn check(pool: &Pool, path: &Path) -> Result<(), OpenError> {
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

/// As `Database::damage`.
pub(super) async fn damage(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let mut said: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check(20)").fetch_all(connection).await.database()?;
    said.retain(|sentence| sentence != "ok");
    Ok(said)
}

/// As `Database::broken_references`.
pub(super) async fn broken_references(
    connection: &mut SqliteConnection,
) -> Result<Vec<BrokenReferences>, StoreError> {
    let rows = sqlx::query("PRAGMA foreign_key_check").fetch_all(connection).await.database()?;
    let mut broken = std::collections::BTreeMap::new();
    for row in rows {
        let tables: (String, String) = (row.try_get("table").database()?, row.try_get("parent").database()?);
        let count: &mut u64 = broken.entry(tables).or_default();
        *count = count.saturating_add(1);
    }
    let references = broken.into_iter();
    Ok(references.map(|((table, parent), count)| BrokenReferences { table, parent, count }).collect())
}

/// Begins a transaction that can write.
pub(super) async fn begin(pool: &Pool, guard: &Guard) -> Result<Transaction, sqlx::Error> {
    let mut begun = begin_once(pool).await;
    for _ in 0..CONNECTIONS {
        // What SQLite opens while the disk cannot be written, it opens to read, for as long as the connection is open.
        if !begun.as_ref().is_err_and(|error| matches!(super::trouble(error), Trouble::ReadOnly)) {
            break;
        }
        *guard.distrusted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        begun = begin_once(pool).await;
    }
    begun
}

async fn begin_once(pool: &Pool) -> Result<Transaction, sqlx::Error> {
    // IMMEDIATE takes the write lock at once; a transaction that begins as a reader may be refused it later.
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    // On a file that was opened to read, SQLite begins a reader all the same. This writes nothing, and is refused then.
    sqlx::query("DELETE FROM facts WHERE FALSE").execute(&mut *transaction).await?;
    Ok(transaction)
}

/// Writes a page whatever stood there, so that a commit takes the place of a failed one in the write-ahead log.
pub(super) async fn overwrite(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    // Ours to use.
    sqlx::query("PRAGMA user_version = 0").execute(connection).await.map(drop)
}

/// What its primary result codes mean to us (<https://sqlite.org/rescode.html>).
pub(super) fn trouble(code: &str) -> Trouble {
    // The low byte of an extended code is the primary one.
    match code.parse::<u32>().map(|code| code & 0xFF) {
        // SQLITE_CORRUPT, SQLITE_NOTADB
        Ok(11 | 26) => Trouble::Damaged,
        // SQLITE_FULL
        Ok(13) => Trouble::Full,
        // SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH
        Ok(8 | 3 | 23) => Trouble::ReadOnly,
        // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_NOMEM, SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_PROTOCOL
        Ok(5 | 6 | 7 | 10 | 14 | 15) => Trouble::Unavailable,
        _ => Trouble::Other,
    }
}

/// Keeps every writer waiting, in whatever process, until it is dropped or released.
pub(crate) struct HeldWrites(SqliteConnection);

impl HeldWrites {
    pub(crate) async fn hold(database: &Path) -> Result<Self, OpenError> {
        let failed = |source| open_error(database, source);
        let mut connection = connect(database).await.map_err(failed)?;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.map_err(failed)?;
        Ok(Self(connection))
    }

    pub(crate) async fn release(self) -> Result<(), StoreError> {
        // Nothing was written; closing rolls back.
        self.0.close().await.database()
    }
}

/// Writes what the database holds now, as of one moment, into a new file for the owner alone.
pub(crate) async fn copy(database: &Path, to: &Path) -> Result<(), OpenError> {
    let failed = |source| open_error(database, source);
    let target = to.to_str().ok_or_else(|| OpenError::Unavailable {
        path: to.to_owned(),
        source: "the path is not UTF-8".into(),
    })?;
    // SQLite takes an empty file, but makes one that all may read.
    create_private(to)?;
    let mut connection = connect(database).await.map_err(failed)?;
    sqlx::query("VACUUM INTO $1")
        .bind(target)
        .execute(&mut connection)
        .await
        .map_err(|source| open_error(to, source))?;
    connection.close().await.map_err(failed)
}

async fn connect(database: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        .connect()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::layout::DATABASE;

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
    async fn a_file_that_was_opened_to_read_begins_no_transaction_that_can_write() {
        let (folder, database) = open().await;
        let options = SqliteConnectOptions::new().filename(folder.path().join(DATABASE)).read_only(true);
        let pool = SqlitePoolOptions::new().connect_with(options).await.unwrap();
        let begun = begin(&pool, &Guard::default()).await;
        assert!(begun.is_err_and(|error| matches!(super::super::trouble(&error), Trouble::ReadOnly)));
        drop(database);
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

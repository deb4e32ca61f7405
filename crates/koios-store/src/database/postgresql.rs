//! PostgreSQL in SQLite's place, for the test that every statement runs on it unchanged: `cargo xtask postgresql` starts a
//! server and names it in [`SERVER`].
//!
//! Each database is a schema of that server; `koios.db` holds its name, so a data directory that is moved or opened anew
//! keeps its own. The server's collation is C: lists are paged in the order of bytes, here as in SQLite.

use std::path::Path;
use std::str::FromStr;

use sqlx::migrate::{Migration, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, SqlSafeStr};
use uuid::Uuid;

use super::{
    BrokenReferences, CONNECTIONS, DatabaseResult, MIGRATIONS, Pool, RESTORE, Transaction, Trouble,
    create_private, migrate_error, open_error,
};
use crate::atomic::{self, Access};
use crate::error::{OpenError, StoreError};

pub(crate) type Db = sqlx::Postgres;

/// The variable of the environment with the server's URL.
const SERVER: &str = "KOIOS_POSTGRESQL_URL";

/// SQLite's pool needs guarding.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard(());

impl Guard {
    #[expect(clippy::unused_async, reason = "the same signature as SQLite's")]
    pub(super) async fn close(&self) {}
}

/// As `Database::open`.
pub(super) async fn open(path: &Path) -> Result<(Pool, Guard), OpenError> {
    create_private(path)?;
    let options = match std::fs::read(path) {
        Ok(contents) if contents.is_empty() => create(path).await?,
        _ => options(path)?,
    };
    let pool = connect(path, options).await?;
    migrations().run(&pool).await.map_err(|source| migrate_error(path, source))?;
    Ok((pool, Guard::default()))
}

/// As `Database::open_for_reading`, without a look at the format.
pub(super) async fn open_for_reading(path: &Path) -> Result<Pool, OpenError> {
    connect(path, options(path)?.options([("default_transaction_read_only", "on")])).await
}

/// As `Database::open_beside`, without a look at the format.
pub(super) async fn open_beside(path: &Path) -> Result<Pool, OpenError> {
    connect(path, options(path)?).await
}

async fn connect(path: &Path, options: PgConnectOptions) -> Result<Pool, OpenError> {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
        .map_err(|source| open_error(path, source))
}

/// A new schema, named in the file.
async fn create(path: &Path) -> Result<PgConnectOptions, OpenError> {
    let failed = |source| open_error(path, source);
    let schema = format!("koios_{}", Uuid::now_v7().simple());
    let mut connection = server().map_err(failed)?.connect().await.map_err(failed)?;
    // The migrations have one type by a name that is not PostgreSQL's.
    for statement in [format!("CREATE SCHEMA {schema}"), format!("CREATE DOMAIN {schema}.blob AS bytea")] {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.map_err(failed)?;
    }
    connection.close().await.map_err(failed)?;
    atomic::replace(path, schema.as_bytes(), Access::Secret).map_err(|source| OpenError::io(path, source))?;
    options(path)
}

/// How to connect to the database whose file that is.
fn options(path: &Path) -> Result<PgConnectOptions, OpenError> {
    let server = server().map_err(|source| open_error(path, source))?;
    Ok(server.options([("search_path", schema(path)?)]))
}

fn schema(path: &Path) -> Result<String, OpenError> {
    let text = std::fs::read_to_string(path).map_err(|source| OpenError::io(path, source))?;
    let is_schema = text
        .strip_prefix("koios_")
        .is_some_and(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_schema {
        return Ok(text);
    }
    Err(OpenError::Damaged {
        path: path.to_owned(),
        problem: "it names no schema of the server".to_owned(),
        remedy: RESTORE,
        source: None,
    })
}

fn server() -> Result<PgConnectOptions, sqlx::Error> {
    let url = std::env::var(SERVER).map_err(|source| sqlx::Error::Configuration(source.into()))?;
    // Tells the server's log of statements whose they are.
    Ok(PgConnectOptions::from_str(&url)?.application_name("koios-store"))
}

/// The migrations; SQLite's form of a trigger is turned into PostgreSQL's.
fn migrations() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|migration| Migration {
        sql: AssertSqlSafe(translated(migration.sql.as_str())).into_sql_str(),
        ..migration.clone()
    });
    Migrator { migrations: migrations.collect(), ..Migrator::DEFAULT }
}

fn translated(ddl: &str) -> String {
    let mut translated = String::with_capacity(ddl.len());
    let mut rest = ddl;
    while let Some((before, trigger)) = rest.split_once("CREATE TRIGGER ") {
        translated.push_str(before);
        rest = match trigger.split_once("\nEND;").and_then(|(trigger, rest)| Some((refusal(trigger)?, rest)))
        {
            Some((trigger, rest)) => {
                translated.push_str(&trigger);
                rest
            }
            // The server will say what it does not understand.
            None => {
                translated.push_str("CREATE TRIGGER ");
                trigger
            }
        };
    }
    translated.push_str(rest);
    translated
}

/// `name BEFORE event ON table WHEN condition BEGIN SELECT RAISE(ABORT, 'text');`
fn refusal(trigger: &str) -> Option<String> {
    let (head, body) = trigger.split_once("\nBEGIN\n")?;
    let (name, _) = head.split_once(' ')?;
    let (event, condition) = head.split_once(" WHEN ")?;
    let text = body.trim().strip_prefix("SELECT RAISE(ABORT, ")?.strip_suffix(");")?;
    Some(format!(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING MESSAGE = {text}; \
         END $$;\nCREATE TRIGGER {event} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION {name}();"
    ))
}

/// As `Database::damage`: the server looks after its files itself.
pub(super) async fn damage(_: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    Ok(Vec::new())
}

/// As `Database::broken_references`.
pub(super) async fn broken_references(
    connection: &mut PgConnection,
) -> Result<Vec<BrokenReferences>, StoreError> {
    let references: Vec<(String, String, String, String)> = sqlx::query_as(
        "SELECT conrelid::regclass::text, confrelid::regclass::text, child.attname::text, parent.attname::text \
         FROM pg_constraint JOIN pg_attribute child ON child.attrelid = conrelid AND child.attnum = conkey[1] \
         JOIN pg_attribute parent ON parent.attrelid = confrelid AND parent.attnum = confkey[1] \
         WHERE contype = 'f' AND connamespace = current_schema()::regnamespace ORDER BY 1, 2",
    )
    .fetch_all(&mut *connection)
    .await
    .database()?;
    let mut broken = Vec::new();
    for (table, parent, column, key) in references {
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT COUNT(*) FROM {table} WHERE {column} IS NOT NULL AND {column} NOT IN (SELECT {key} FROM {parent})"
        )))
        .fetch_one(&mut *connection)
        .await
        .database()?;
        if count > 0 {
            broken.push(BrokenReferences { table, parent, count: crate::store::count(count) });
        }
    }
    Ok(broken)
}

/// Begins a transaction that can write.
pub(super) async fn begin(pool: &Pool, _guard: &Guard) -> Result<Transaction, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query(WRITERS).execute(&mut *transaction).await?;
    Ok(transaction)
}

/// A commit that failed is undone here.
#[expect(clippy::unused_async, reason = "the same signature as SQLite's")]
pub(super) async fn overwrite(_connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    Ok(())
}

/// One writer at a time, as SQLite has it: what is read before a write is still so at the commit.
const WRITERS: &str = "SELECT pg_advisory_xact_lock(hashtext(current_schema()))";

/// What SQLSTATE means to us (PostgreSQL's manual, appendix A).
pub(super) fn trouble(code: &str) -> Trouble {
    match code {
        // disk_full
        "53100" => Trouble::Full,
        // read_only_sql_transaction
        "25006" => Trouble::ReadOnly,
        // Data corrupted, connections, resources, operator intervention, system errors
        _ => match code.get(..2) {
            Some("XX") => Trouble::Damaged,
            Some("08" | "53" | "57" | "58") => Trouble::Unavailable,
            _ => Trouble::Other,
        },
    }
}

/// Keeps every writer waiting, in whatever process, until it is dropped or released.
pub(crate) struct HeldWrites(PgConnection);

impl HeldWrites {
    pub(crate) async fn hold(database: &Path) -> Result<Self, OpenError> {
        let failed = |source| open_error(database, source);
        let mut connection = options(database)?.connect().await.map_err(failed)?;
        sqlx::query("BEGIN").execute(&mut connection).await.map_err(failed)?;
        sqlx::query(WRITERS).execute(&mut connection).await.map_err(failed)?;
        Ok(Self(connection))
    }

    pub(crate) async fn release(self) -> Result<(), StoreError> {
        self.0.close().await.database()
    }
}

/// Writes what the database holds now, as of one moment, into a new schema, which a new file for the owner alone names.
pub(crate) async fn copy(database: &Path, to: &Path) -> Result<(), OpenError> {
    let failed = |source| open_error(database, source);
    let source = schema(database)?;
    open(to).await?.0.close().await;
    let mut connection = options(to)?.connect().await.map_err(failed)?;
    // No triggers and no checks of references: the rows come in any order, and as they are.
    sqlx::query("SET session_replication_role = replica").execute(&mut connection).await.map_err(failed)?;
    sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ").execute(&mut connection).await.map_err(failed)?;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = $1")
            .bind(&source)
            .fetch_all(&mut connection)
            .await
            .map_err(failed)?;
    for table in tables.iter().filter(|table| !table.starts_with('_')) {
        // Migrations may have put rows there.
        for statement in
            [format!("DELETE FROM {table}"), format!("INSERT INTO {table} SELECT * FROM {source}.{table}")]
        {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.map_err(failed)?;
        }
    }
    sqlx::query("COMMIT").execute(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)
}

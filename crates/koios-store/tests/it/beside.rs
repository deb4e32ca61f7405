//! The database past its store: what somebody with its file could do to it.
//!
//! Statements are written as SQLite takes them. [`sql`] and [`trigger`] say the little that PostgreSQL wants
//! otherwise; of the store's own statements nothing is.

use std::path::Path;

use sqlx::{AssertSqlSafe, ConnectOptions};

#[cfg(not(koios_postgresql))]
type Connection = sqlx::SqliteConnection;
#[cfg(koios_postgresql)]
type Connection = sqlx::PgConnection;

/// A connection beside the store's own.
pub(crate) async fn connect(data: &Path) -> Connection {
    options(data).connect().await.unwrap()
}

/// One for which references need not be good.
pub(crate) async fn connect_unchecked(data: &Path) -> Connection {
    #[cfg(not(koios_postgresql))]
    let options = options(data).foreign_keys(false);
    #[cfg(koios_postgresql)]
    let options = options(data).options([("session_replication_role", "replica")]);
    options.connect().await.unwrap()
}

#[cfg(not(koios_postgresql))]
fn options(data: &Path) -> sqlx::sqlite::SqliteConnectOptions {
    sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("koios.db"))
}

#[cfg(koios_postgresql)]
fn options(data: &Path) -> sqlx::postgres::PgConnectOptions {
    let server = std::env::var("KOIOS_POSTGRESQL_URL").expect("`cargo xtask postgresql` names a server");
    let schema = std::fs::read_to_string(data.join("koios.db")).unwrap();
    server.parse::<sqlx::postgres::PgConnectOptions>().unwrap().options([("search_path", schema)])
}

/// A statement, whose literals of bytes (`x'00'`) become what the database calls so.
pub(crate) fn sql(statement: &str) -> AssertSqlSafe<String> {
    if cfg!(not(koios_postgresql)) {
        return AssertSqlSafe(statement.to_owned());
    }
    let mut parts = statement.split(" x'");
    let mut translated = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (bytes, rest) = part.split_once('\'').unwrap();
        translated.push_str(&format!(" '\\x{bytes}'::bytea{rest}"));
    }
    AssertSqlSafe(translated)
}

/// Statements that make a trigger: after `event` (such as `INSERT ON certificates`) it runs `body`.
pub(crate) fn trigger(name: &str, event: &str, body: &str) -> Vec<String> {
    if cfg!(koios_postgresql) {
        vec![
            format!(
                "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NULL; END $$"
            ),
            format!("CREATE TRIGGER {name} AFTER {event} FOR EACH ROW EXECUTE FUNCTION {name}()"),
        ]
    } else {
        vec![format!("CREATE TRIGGER {name} AFTER {event} BEGIN {body}; END")]
    }
}

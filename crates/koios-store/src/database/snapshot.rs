//! Copies of a database, also of one that another process is writing.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection as _, SqliteConnection};

use super::{BUSY_TIMEOUT, DatabaseResult, create_private, open_error};
use crate::error::{OpenError, StoreError};

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

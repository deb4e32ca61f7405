//! What the store knows about itself, by name.

use crate::database::{Connection, DatabaseResult};
use crate::error::StoreError;

pub(crate) async fn read(connection: &mut Connection, fact: &str) -> Result<Option<String>, StoreError> {
    sqlx::query_scalar("SELECT value FROM facts WHERE fact = $1")
        .bind(fact)
        .fetch_optional(connection)
        .await
        .database()
}

pub(crate) async fn write(connection: &mut Connection, fact: &str, value: &str) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO facts (fact, value) VALUES ($1, $2) ON CONFLICT (fact) DO UPDATE SET value = excluded.value",
    )
    .bind(fact)
    .bind(value)
    .execute(connection)
    .await
    .database()?;
    Ok(())
}

pub(crate) async fn forget(connection: &mut Connection, fact: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM facts WHERE fact = $1").bind(fact).execute(connection).await.database()?;
    Ok(())
}

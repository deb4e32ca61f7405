//! What became of a device, newest first and bounded.

use sqlx::FromRow;
use time::OffsetDateTime;

use crate::database::DatabaseResult;
use crate::devices::row::DeviceRow;
use crate::error::StoreError;
use crate::id::DeviceId;
use crate::instant;
use crate::page::{Direction, Entry, Page, PageRequest, SortValue, paginate};
use crate::store::{Apply, Store};

text_enum! {
    /// The state of a device.
    pub enum DeviceState {
        /// Disabled.
        Stopped = "stopped",
        /// Not connected yet.
        Starting = "starting",
        /// Connected and scanning.
        Running = "running",
        /// Not connected, for the reason given.
        Failed = "failed",
    }
}

/// A change of a device's state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// When.
    pub at: OffsetDateTime,
    /// The state since then.
    pub state: DeviceState,
    /// Why it failed, for machines.
    pub error_code: Option<String>,
    /// Why it failed, for people.
    pub error_message: Option<String>,
}

impl Transition {
    /// A transition without an error.
    #[must_use]
    pub fn new(at: OffsetDateTime, state: DeviceState) -> Self {
        Self { at, state, error_code: None, error_message: None }
    }
}

/// How many transitions of a device are kept.
const KEPT_PER_DEVICE: i64 = 200;

impl Store {
    /// Notes a change of a device's state; the newest 200 are kept.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::StorageFull`] and its like.
    pub async fn record_transition(
        &self,
        device: DeviceId,
        transition: Transition,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        self.run(async move {
            let mut write = store.begin().await?;
            DeviceRow::find(write.connection(), device).await?;
            let (newest,): (Option<i64>,) =
                sqlx::query_as("SELECT MAX(sequence) FROM device_history WHERE device_id = $1")
                    .bind(device.to_string())
                    .fetch_one(write.connection())
                    .await
                    .database()?;
            let sequence = newest.unwrap_or(0).saturating_add(1);
            let Transition { at, state, error_code, error_message } = transition;
            sqlx::query(
                "INSERT INTO device_history (device_id, sequence, at, state, error_code, error_message) \
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(device.to_string())
            .bind(sequence)
            .bind(instant::to_micros(at))
            .bind(state.as_str())
            .bind(error_code)
            .bind(error_message)
            .execute(write.connection())
            .await
            .database()?;
            sqlx::query("DELETE FROM device_history WHERE device_id = $1 AND sequence <= $2")
                .bind(device.to_string())
                .bind(sequence.saturating_sub(KEPT_PER_DEVICE))
                .execute(write.connection())
                .await
                .database()?;
            write.finish(Apply::Commit).await
        })
        .await
    }

    /// A device's transitions, newest first.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::InvalidCursor`]; [`StoreError::Unavailable`] and its like.
    pub async fn history(&self, device: DeviceId, page: PageRequest) -> Result<Page<Transition>, StoreError> {
        self.reading(async {
            let mut connection = self.inner.database.read().await?;
            DeviceRow::find(&mut connection, device).await?;
            let rows: Vec<TransitionRow> =
                sqlx::query_as("SELECT * FROM device_history WHERE device_id = $1")
                    .bind(device.to_string())
                    .fetch_all(&mut *connection)
                    .await
                    .database()?;
            let entries = rows
                .into_iter()
                .map(|row| Entry { value: SortValue::Number(row.sequence), id: String::new(), item: row })
                .collect();
            let page = paginate(entries, "sequence", Direction::Descending, &page)?;
            let items = page.items.iter().map(TransitionRow::transition).collect::<Result<_, _>>()?;
            Ok(page.with_items(items))
        })
        .await
    }
}

#[derive(Debug, FromRow)]
struct TransitionRow {
    sequence: i64,
    at: i64,
    state: String,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl TransitionRow {
    fn transition(&self) -> Result<Transition, StoreError> {
        Ok(Transition {
            at: instant::from_micros(self.at, "device_history.at")?,
            state: DeviceState::from_name(&self.state).ok_or_else(|| StoreError::Corrupt {
                what: "device_history.state".to_owned(),
                source: None,
            })?,
            error_code: self.error_code.clone(),
            error_message: self.error_message.clone(),
        })
    }
}

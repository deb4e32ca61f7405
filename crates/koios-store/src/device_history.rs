//! What became of a device, newest first and bounded.

use std::collections::HashSet;

use sqlx::FromRow;
use time::OffsetDateTime;

use crate::database::{Connection, DatabaseResult, storable};
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
            insert(write.connection(), device, transition).await?;
            write.finish(Apply::Commit).await
        })
        .await
    }

    /// Notes changes of devices' states in one write; the newest 200 of each device are kept. Devices that are no more are
    /// passed over.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like; then none of them is noted.
    pub async fn record_transitions(
        &self,
        transitions: Vec<(DeviceId, Transition)>,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        self.run(async move {
            let mut write = store.begin().await?;
            for (device, transition) in transitions {
                insert(write.connection(), device, transition).await?;
            }
            write.finish(Apply::Commit).await
        })
        .await
    }

    /// The enabled devices whose newest transition to `running` or `failed` was to `failed`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like; [`StoreError::Corrupt`].
    pub async fn devices_last_failed(&self) -> Result<HashSet<DeviceId>, StoreError> {
        self.reading(async {
            let ids: Vec<(String,)> = sqlx::query_as(
                "SELECT history.device_id FROM device_history AS history JOIN (SELECT device_id, MAX(sequence) AS \
                 newest FROM device_history WHERE state IN ($1, $2) GROUP BY device_id) AS last ON \
                 history.device_id = last.device_id AND history.sequence = last.newest JOIN devices ON \
                 devices.id = history.device_id WHERE history.state = $2 AND devices.enabled",
            )
            .bind(DeviceState::Running.as_str())
            .bind(DeviceState::Failed.as_str())
            .fetch_all(&mut *self.inner.database.read().await?)
            .await
            .database()?;
            let id = |(text,): (String,)| {
                text.parse().map_err(|source| StoreError::corrupt("device_history.device_id", source))
            };
            ids.into_iter().map(id).collect()
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

async fn insert(
    connection: &mut Connection,
    device: DeviceId,
    transition: Transition,
) -> Result<(), StoreError> {
    let Transition { at, state, error_code, error_message } = transition;
    let (newest,): (Option<i64>,) =
        sqlx::query_as("SELECT MAX(sequence) FROM device_history WHERE device_id = $1")
            .bind(device.to_string())
            .fetch_one(&mut *connection)
            .await
            .database()?;
    let sequence = newest.unwrap_or(0).saturating_add(1);
    let inserted = sqlx::query(
        "INSERT INTO device_history (device_id, sequence, at, state, error_code, error_message) \
         SELECT id, $2, $3, $4, $5, $6 FROM devices WHERE id = $1",
    )
    .bind(device.to_string())
    .bind(sequence)
    .bind(instant::to_micros(at))
    .bind(state.as_str())
    .bind(error_code)
    .bind(error_message.as_deref().map(storable))
    .execute(&mut *connection)
    .await
    .database()?;
    if inserted.rows_affected() > 0 && sequence > KEPT_PER_DEVICE {
        sqlx::query("DELETE FROM device_history WHERE device_id = $1 AND sequence <= $2")
            .bind(device.to_string())
            .bind(sequence.saturating_sub(KEPT_PER_DEVICE))
            .execute(&mut *connection)
            .await
            .database()?;
    }
    Ok(())
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

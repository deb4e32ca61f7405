//! The list of devices: searched, filtered and sorted.

use std::collections::{HashMap, HashSet};

use sqlx::{FromRow, QueryBuilder, Sqlite};

use crate::database::{Connection, DatabaseResult};
use crate::device::Device;
use crate::devices::row::{DeviceRow, Users, device_refs, mode_text};
use crate::devices::{DeviceQuery, DeviceSortKey};
use crate::error::StoreError;
use crate::name::fold;
use crate::page::{Entry, Page, SortValue, paginate};
use crate::store::Store;

impl Store {
    /// A page of the devices asked for. An unknown [`DeviceQuery::certificate_id`] is nobody's.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`]; [`StoreError::Unavailable`] and its like.
    pub async fn devices(&self, query: DeviceQuery) -> Result<Page<Device>, StoreError> {
        self.reading(self.list_devices(query)).await
    }

    async fn list_devices(&self, query: DeviceQuery) -> Result<Page<Device>, StoreError> {
        let DeviceQuery { q, enabled, certificate_id, security_mode, ids, sort, page } = query;
        let mut connection = self.inner.database.read().await?;
        let mut rows: Vec<Summary> =
            sqlx::query_as(SUMMARIES).fetch_all(&mut *connection).await.database()?;
        if let Some(certificate) = certificate_id {
            let users = device_refs(&mut connection, Users::Of(certificate)).await?;
            let users: HashSet<String> = users.iter().map(|device| device.id.to_string()).collect();
            rows.retain(|row| users.contains(&row.id));
        }
        if let Some(ids) = ids {
            let ids: HashSet<String> = ids.iter().map(ToString::to_string).collect();
            rows.retain(|row| ids.contains(&row.id));
        }
        if let Some(enabled) = enabled {
            rows.retain(|row| row.enabled == enabled);
        }
        if let Some(mode) = security_mode {
            rows.retain(|row| row.security_mode == mode_text(mode));
        }
        if let Some(q) = q.map(|q| fold(q.trim())).filter(|q| !q.is_empty()) {
            rows.retain(|row| mentions(row, &q));
        }
        let entries = rows
            .into_iter()
            .map(|row| Entry { value: sort_value(&row, sort.key), id: row.id.clone(), item: row.id })
            .collect();
        let page = paginate(entries, sort.key.as_str(), sort.direction, &page)?;
        let rows = rows_of(&mut connection, &page.items).await?;
        // One that was deleted since the list was read is left out.
        let rows = page.items.iter().filter_map(|id| rows.get(id));
        let devices = rows.map(DeviceRow::device).collect::<Result<_, _>>()?;
        Ok(page.with_items(devices))
    }
}

/// The rows of a page, in one query.
async fn rows_of(
    connection: &mut Connection,
    ids: &[String],
) -> Result<HashMap<String, DeviceRow>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM devices WHERE id IN (");
    let mut separated = query.separated(", ");
    for id in ids {
        separated.push_bind(id);
    }
    separated.push_unseparated(")");
    let rows: Vec<DeviceRow> = query.build_query_as().fetch_all(connection).await.database()?;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
}

/// What lists are searched, filtered and sorted by: of ten thousand devices a page shows fifty, and their server
/// certificates are most of a row.
#[derive(Debug, FromRow)]
struct Summary {
    id: String,
    name: String,
    name_key: String,
    description: Option<String>,
    endpoint_url: String,
    security_mode: String,
    enabled: bool,
    created_at: i64,
}

const SUMMARIES: &str =
    "SELECT id, name, name_key, description, endpoint_url, security_mode, enabled, created_at FROM devices";

/// Whether `q`, which is folded, is part of anything one would search for.
fn mentions(row: &Summary, q: &str) -> bool {
    [Some(&row.name), row.description.as_ref(), Some(&row.endpoint_url)]
        .into_iter()
        .flatten()
        .any(|text| fold(text).contains(q))
}

fn sort_value(row: &Summary, key: DeviceSortKey) -> SortValue {
    match key {
        DeviceSortKey::Name => SortValue::Text(row.name_key.clone()),
        DeviceSortKey::EndpointUrl => SortValue::Text(row.endpoint_url.clone()),
        DeviceSortKey::CreatedAt => SortValue::Number(row.created_at),
    }
}

//! The list of devices: searched, filtered and sorted.

use std::collections::{HashMap, HashSet};

use koios_pki::SecurityMode;
use sqlx::FromRow;

use crate::database::{Connection, DatabaseResult, QueryBuilder, rows_by_id};
use crate::device::Device;
use crate::devices::row::{DeviceRow, Users, device_refs, mode_text};
use crate::devices::{DeviceQuery, DeviceSortKey};
use crate::error::StoreError;
use crate::name::fold;
use crate::page::{Entry, Keyset, Page, PageRequest, Sort, SortValue, paginate};
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
        let wanted = Wanted { enabled, security_mode };
        if q.is_none() && certificate_id.is_none() && ids.is_none() {
            return by_order(&mut connection, wanted, sort, &page).await;
        }
        let q = q.map(|q| fold(q.trim())).filter(|q| !q.is_empty());
        let mut keys = match q {
            Some(q) => mentioning(&mut connection, wanted, sort.key, &q).await?,
            None => keys(&mut connection, wanted, sort.key).await?,
        };
        if let Some(certificate) = certificate_id {
            let users = device_refs(&mut connection, Users::Of(certificate)).await?;
            let users: HashSet<String> = users.iter().map(|device| device.id.to_string()).collect();
            keys.retain(|(id, _)| users.contains(id));
        }
        if let Some(ids) = ids {
            let ids: HashSet<String> = ids.iter().map(ToString::to_string).collect();
            keys.retain(|(id, _)| ids.contains(id));
        }
        let entries = keys.into_iter().map(|(id, value)| Entry { value, id: id.clone(), item: id }).collect();
        let page = paginate(entries, sort.key.as_str(), sort.direction, &page)?;
        let rows = rows_of(&mut connection, &page.items).await?;
        // One that was deleted since the list was read is left out.
        let rows = page.items.iter().filter_map(|id| rows.get(id));
        let devices = rows.map(DeviceRow::device).collect::<Result<_, _>>()?;
        Ok(page.with_items(devices))
    }
}

/// A page as the database's own indexes find it.
async fn by_order(
    connection: &mut Connection,
    wanted: Wanted,
    sort: Sort<DeviceSortKey>,
    page: &PageRequest,
) -> Result<Page<Device>, StoreError> {
    let column = match sort.key {
        DeviceSortKey::Name => "name_key",
        DeviceSortKey::EndpointUrl => "endpoint_url",
        DeviceSortKey::CreatedAt => "created_at",
    };
    let keyset = Keyset { column, sort_name: sort.key.as_str(), direction: sort.direction, request: page };
    let mut query = QueryBuilder::new("SELECT * FROM devices WHERE TRUE");
    wanted.restrict(&mut query);
    keyset.cut(&mut query)?;
    let rows: Vec<DeviceRow> = query.build_query_as().fetch_all(&mut *connection).await.database()?;

    let mut counting = QueryBuilder::new("SELECT COUNT(*) FROM devices WHERE TRUE");
    wanted.restrict(&mut counting);
    let (total,): (i64,) = counting.build_query_as().fetch_one(connection).await.database()?;

    let page = keyset.page(rows, total, |last| (last.sort_value(sort.key), last.id.clone()))?;
    let devices = page.items.iter().map(DeviceRow::device).collect::<Result<_, _>>()?;
    Ok(page.with_items(devices))
}

/// The rows of a page.
async fn rows_of(
    connection: &mut Connection,
    ids: &[String],
) -> Result<HashMap<String, DeviceRow>, StoreError> {
    let rows: Vec<DeviceRow> = rows_by_id(connection, "SELECT * FROM devices WHERE id IN", ids).await?;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
}

/// What the database itself can tell apart.
#[derive(Clone, Copy)]
struct Wanted {
    enabled: Option<bool>,
    security_mode: Option<SecurityMode>,
}

impl Wanted {
    fn restrict(self, query: &mut QueryBuilder) {
        if let Some(enabled) = self.enabled {
            query.push(" AND enabled = ").push_bind(enabled);
        }
        if let Some(mode) = self.security_mode {
            query.push(" AND security_mode = ").push_bind(mode_text(mode));
        }
    }
}

impl DeviceRow {
    fn sort_value(&self, key: DeviceSortKey) -> SortValue {
        match key {
            DeviceSortKey::Name => SortValue::Text(self.name_key.clone()),
            DeviceSortKey::EndpointUrl => SortValue::Text(self.endpoint_url.clone()),
            DeviceSortKey::CreatedAt => SortValue::Number(self.created_at),
        }
    }
}

/// A device's id, and what it is sorted by.
type Key = (String, SortValue);

/// Of ten thousand devices a page shows fifty: of the others no more is read than their place.
async fn keys(
    connection: &mut Connection,
    wanted: Wanted,
    sort: DeviceSortKey,
) -> Result<Vec<Key>, StoreError> {
    let text = match sort {
        DeviceSortKey::Name => {
            "SELECT id, name_key FROM devices WHERE ($1 IS NULL OR enabled = $1) \
             AND ($2 IS NULL OR security_mode = $2)"
        }
        DeviceSortKey::EndpointUrl => {
            "SELECT id, endpoint_url FROM devices WHERE ($1 IS NULL OR enabled = $1) \
             AND ($2 IS NULL OR security_mode = $2)"
        }
        DeviceSortKey::CreatedAt => {
            let rows: Vec<(String, i64)> = sqlx::query_as(
                "SELECT id, created_at FROM devices WHERE ($1 IS NULL OR enabled = $1) \
                 AND ($2 IS NULL OR security_mode = $2)",
            )
            .bind(wanted.enabled)
            .bind(wanted.security_mode.map(mode_text))
            .fetch_all(connection)
            .await
            .database()?;
            return Ok(rows.into_iter().map(|(id, at)| (id, SortValue::Number(at))).collect());
        }
    };
    let rows: Vec<(String, String)> = sqlx::query_as(text)
        .bind(wanted.enabled)
        .bind(wanted.security_mode.map(mode_text))
        .fetch_all(connection)
        .await
        .database()?;
    Ok(rows.into_iter().map(|(id, value)| (id, SortValue::Text(value))).collect())
}

/// The same of those that mention `q`, which is folded: only that is read which it can stand in.
async fn mentioning(
    connection: &mut Connection,
    wanted: Wanted,
    sort: DeviceSortKey,
    q: &str,
) -> Result<Vec<Key>, StoreError> {
    let mut rows: Vec<Summary> = sqlx::query_as(
        "SELECT id, name, name_key, description, endpoint_url, created_at FROM devices \
         WHERE ($1 IS NULL OR enabled = $1) AND ($2 IS NULL OR security_mode = $2)",
    )
    .bind(wanted.enabled)
    .bind(wanted.security_mode.map(mode_text))
    .fetch_all(connection)
    .await
    .database()?;
    rows.retain(|row| mentions(row, q));
    Ok(rows.into_iter().map(|row| (row.id.clone(), sort_value(&row, sort))).collect())
}

#[derive(Debug, FromRow)]
struct Summary {
    id: String,
    name: String,
    name_key: String,
    description: Option<String>,
    endpoint_url: String,
    created_at: i64,
}

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

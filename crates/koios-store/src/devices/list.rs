//! The list of devices: searched, filtered and sorted.

use std::collections::HashSet;

use crate::database::DatabaseResult;
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
        let mut rows: Vec<DeviceRow> =
            sqlx::query_as("SELECT * FROM devices").fetch_all(&mut *connection).await.database()?;
        if let Some(certificate) = certificate_id {
            let users = device_refs(&mut connection, Users::Of(certificate)).await?;
            let users: HashSet<String> = users.iter().map(|device| device.id.to_string()).collect();
            rows.retain(|row| users.contains(&row.id));
        }
        drop(connection);
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
            .map(|row| Entry { value: sort_value(&row, sort.key), id: row.id.clone(), item: row })
            .collect();
        let page = paginate(entries, sort.key.as_str(), sort.direction, &page)?;
        let devices = page.items.iter().map(DeviceRow::device).collect::<Result<_, _>>()?;
        Ok(page.with_items(devices))
    }
}

/// Whether `q`, which is folded, is part of anything one would search for.
fn mentions(row: &DeviceRow, q: &str) -> bool {
    [Some(&row.name), row.description.as_ref(), Some(&row.endpoint_url)]
        .into_iter()
        .flatten()
        .any(|text| fold(text).contains(q))
}

fn sort_value(row: &DeviceRow, key: DeviceSortKey) -> SortValue {
    match key {
        DeviceSortKey::Name => SortValue::Text(row.name_key.clone()),
        DeviceSortKey::EndpointUrl => SortValue::Text(row.endpoint_url.clone()),
        DeviceSortKey::CreatedAt => SortValue::Number(row.created_at),
    }
}

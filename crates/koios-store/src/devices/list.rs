//! The list of devices: searched, filtered and sorted.

use crate::database::{Connection, DatabaseResult, QueryBuilder, rows_in_order};
use crate::device::Device;
use crate::devices::row::DeviceRow;
use crate::devices::{DeviceQuery, DeviceSortKey};
use crate::error::StoreError;
use crate::id::DeviceId;
use crate::listing::{DeviceOrder, Search};
use crate::page::{Direction, Keyset, Page, PageRequest, Sort, SortValue};
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
        let DeviceQuery { q, enabled, certificate_id, security_mode, filter, sort, page } = query;
        let search = Search::of(q.as_deref());
        // In the other orders, many devices may have the same value, and among them ids always ascend.
        let is_indexed = sort.key == DeviceSortKey::Name || sort.direction == Direction::Ascending;
        if is_indexed
            && search.is_none()
            && enabled.is_none()
            && certificate_id.is_none()
            && security_mode.is_none()
            && filter.is_none()
        {
            return by_order(&mut *self.inner.database.read().await?, sort, &page).await;
        }
        let ids = self
            .listed(move |lists| {
                let order = match sort.key {
                    DeviceSortKey::Name => DeviceOrder::Name,
                    DeviceSortKey::EndpointUrl => DeviceOrder::EndpointUrl,
                    DeviceSortKey::CreatedAt => DeviceOrder::CreatedAt,
                };
                let certificate = certificate_id.map(|id| id.as_uuid());
                lists.devices.page((order, sort.key.as_str(), sort.direction), &page, |device| {
                    enabled.is_none_or(|enabled| device.enabled == enabled)
                        && security_mode.is_none_or(|mode| device.security_mode == mode)
                        && certificate.is_none_or(|id| device.uses(lists.default) == Some(id))
                        && filter
                            .as_ref()
                            .is_none_or(|filter| filter.fits(DeviceId::from_uuid(device.id), device.enabled))
                        && search.as_ref().is_none_or(|search| search.finds(&device.text))
                })
            })
            .await?;
        let ids = ids.map(|id| id.to_string());
        let connection = &mut *self.inner.database.read().await?;
        let select = "SELECT * FROM devices WHERE id IN";
        let rows = rows_in_order(connection, select, &ids.items, |row: &DeviceRow| &row.id).await?;
        let devices = rows.iter().map(DeviceRow::device).collect::<Result<_, _>>()?;
        Ok(ids.with_items(devices))
    }
}

/// A page as the database's own indexes find it.
async fn by_order(
    connection: &mut Connection,
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
    keyset.cut(&mut query)?;
    let rows: Vec<DeviceRow> = query.build_query_as().fetch_all(&mut *connection).await.database()?;

    let total: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM devices").fetch_one(connection).await.database()?;

    let page = keyset.page(rows, total, |last| (last.sort_value(sort.key), last.id.clone()))?;
    let devices = page.items.iter().map(DeviceRow::device).collect::<Result<_, _>>()?;
    Ok(page.with_items(devices))
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

//! Every server certificate ever seen, by endpoint.

use super::SeenEndpoint;
use super::seen::seen_at;
use crate::database::DatabaseResult;
use crate::devices::row::devices_at;
use crate::error::StoreError;
use crate::page::{Direction, Entry, Page, PageRequest, SortValue, paginate};
use crate::store::Store;

impl Store {
    /// A page of the endpoints at which a server certificate was ever seen, by URL.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`]; [`StoreError::Unavailable`] and its like.
    pub async fn seen_endpoints(&self, page: PageRequest) -> Result<Page<SeenEndpoint>, StoreError> {
        self.reading(async {
            let mut connection = self.inner.database.read().await?;
            let urls: Vec<String> = sqlx::query_scalar("SELECT DISTINCT endpoint_url FROM seen_certificates")
                .fetch_all(&mut *connection)
                .await
                .database()?;
            let entries = urls
                .into_iter()
                .map(|url| Entry { value: SortValue::Text(url.clone()), id: String::new(), item: url })
                .collect();
            let page = paginate(entries, "endpoint_url", Direction::Ascending, &page)?;
            let mut items = Vec::with_capacity(page.items.len());
            for url in &page.items {
                items.push(SeenEndpoint {
                    endpoint_url: url.clone(),
                    certificates: seen_at(&mut connection, url).await?,
                    devices: devices_at(&mut connection, url).await?,
                });
            }
            Ok(page.with_items(items))
        })
        .await
    }
}

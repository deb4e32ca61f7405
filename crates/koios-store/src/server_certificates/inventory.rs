//! Every server certificate ever seen, by endpoint.

use super::SeenEndpoint;
use super::seen::seen_at;
use crate::database::DatabaseResult;
use crate::devices::row::devices_at;
use crate::error::StoreError;
use crate::page::{Direction, Keyset, Page, PageRequest, SortValue};
use crate::store::Store;

impl Store {
    /// A page of the endpoints at which a server certificate was ever seen, by URL.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`]; [`StoreError::Unavailable`] and its like.
    pub async fn seen_endpoints(&self, page: PageRequest) -> Result<Page<SeenEndpoint>, StoreError> {
        self.reading(async {
            let mut connection = self.inner.database.read().await?;
            let keyset = Keyset {
                column: "endpoint_url",
                sort_name: "endpoint_url",
                direction: Direction::Ascending,
                request: &page,
            };
            let last = match keyset.begin()? {
                // Before every URL.
                None => String::new(),
                Some((SortValue::Text(last), _)) => last,
                Some((SortValue::Number(_), _)) => return Err(StoreError::InvalidCursor),
            };
            let urls: Vec<String> = sqlx::query_scalar(
                "SELECT DISTINCT endpoint_url FROM seen_certificates WHERE endpoint_url > $1 ORDER BY endpoint_url LIMIT $2",
            )
            .bind(last)
            .bind(keyset.rows())
            .fetch_all(&mut *connection)
            .await
            .database()?;
            let total: i64 = sqlx::query_scalar("SELECT COUNT(DISTINCT endpoint_url) FROM seen_certificates")
                .fetch_one(&mut *connection)
                .await
                .database()?;
            let page = keyset.page(urls, total, |url| (SortValue::Text(url.clone()), String::new()))?;
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

//! Pages as the database's own indexes find them, however long the list is.

use super::{Direction, Page, PageRequest, SortValue, begin_of, cursor_behind};
use crate::database::QueryBuilder;
use crate::error::StoreError;
use crate::store::count;

/// A page in the order of a column, which an index serves together with the id: ascending; in both directions when no two
/// rows have the same value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keyset<'a> {
    pub(crate) column: &'static str,
    /// What cursors call this order.
    pub(crate) sort_name: &'static str,
    pub(crate) direction: Direction,
    pub(crate) request: &'a PageRequest,
}

impl Keyset<'_> {
    /// Completes a query that ends with its conditions; it then answers one row more than the page shows.
    pub(crate) fn cut(&self, query: &mut QueryBuilder) -> Result<(), StoreError> {
        let column = self.column;
        let (beyond, order) = match self.direction {
            Direction::Ascending => (">", "ASC"),
            Direction::Descending => ("<", "DESC"),
        };
        if let Some((value, id)) = self.begin()? {
            // Databases differ in what they make of a text beside a number.
            if matches!(value, SortValue::Number(_)) != NUMBERS.contains(&column) {
                return Err(StoreError::InvalidCursor);
            }
            let bind = |query: &mut QueryBuilder| match &value {
                SortValue::Number(number) => drop(query.push_bind(*number)),
                SortValue::Text(text) => drop(query.push_bind(text.clone())),
            };
            // The values together: else all rows with the same value would be read again for each page of them.
            query.push(format!(" AND ({column}, id) {beyond} ("));
            bind(query);
            query.push(", ").push_bind(id).push(")");
        }
        query.push(format!(" ORDER BY {column} {order}, id ASC LIMIT "));
        query.push_bind(self.rows());
        Ok(())
    }

    /// Behind which value and id the page begins.
    pub(crate) fn begin(&self) -> Result<Option<(SortValue, String)>, StoreError> {
        begin_of(self.request, self.sort_name, self.direction)
    }

    /// How many rows tell whether there is another page.
    pub(crate) fn rows(&self) -> i64 {
        i64::try_from(self.limit()).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// The page that those rows make; `place` is a row's sort value and id.
    pub(crate) fn page<T>(
        &self,
        mut rows: Vec<T>,
        total: i64,
        place: impl FnOnce(&T) -> (SortValue, String),
    ) -> Result<Page<T>, StoreError> {
        let more = rows.len() > self.limit();
        rows.truncate(self.limit());
        let next_cursor = match rows.last().filter(|_| more) {
            Some(last) => {
                let (value, id) = place(last);
                Some(cursor_behind(value, id, self.sort_name, self.direction)?)
            }
            None => None,
        };
        Ok(Page { items: rows, total: count(total), next_cursor })
    }

    fn limit(&self) -> usize {
        self.request.limit.max(1)
    }
}

/// The columns that hold numbers.
const NUMBERS: [&str; 2] = ["created_at", "not_after"];

#[cfg(test)]
mod tests {
    use crate::database::Database;
    use crate::layout::DATABASE;

    use super::*;

    /// However deep in a list, and however many rows have the same value: a page must not cost what lies before it.
    #[tokio::test]
    #[cfg_attr(koios_postgresql, ignore = "it asks SQLite for its plan")]
    async fn every_page_is_a_range_of_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join(DATABASE)).await.unwrap();
        let number = || SortValue::Number(7);
        let text = || SortValue::Text("7".to_owned());
        use Direction::{Ascending, Descending};
        for (table, column, direction, value) in [
            ("devices", "name_key", Ascending, text()),
            ("devices", "name_key", Descending, text()),
            ("devices", "endpoint_url", Ascending, text()),
            ("devices", "created_at", Ascending, number()),
            ("certificates", "name_key", Ascending, text()),
            ("certificates", "name_key", Descending, text()),
            ("certificates", "not_after", Ascending, number()),
            ("certificates", "created_at", Ascending, number()),
        ] {
            let cursor = cursor_behind(value, "0193".to_owned(), column, direction).unwrap();
            let request = PageRequest::new(50, Some(cursor));
            let keyset = Keyset { column, sort_name: column, direction, request: &request };
            let mut query = QueryBuilder::new(format!("EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE TRUE"));
            keyset.cut(&mut query).unwrap();
            let plan: Vec<(i64, i64, i64, String)> =
                query.build_query_as().fetch_all(&mut *database.read().await.unwrap()).await.unwrap();
            let steps: Vec<&str> = plan.iter().map(|(.., step)| step.as_str()).collect();
            // One step: none sorts what was found.
            assert!(
                matches!(steps[..], [step] if step.starts_with(&format!("SEARCH {table} USING INDEX"))),
                "{table} by {column}, {direction:?}: {steps:?}"
            );
        }
        database.close().await;
    }
}

//! Pages as the database's own indexes find them, however long the list is.

use sqlx::{QueryBuilder, Sqlite};

use super::{Direction, Page, PageRequest, SortValue, begin_of, cursor_behind};
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
    pub(crate) fn cut(&self, query: &mut QueryBuilder<Sqlite>) -> Result<(), StoreError> {
        let column = self.column;
        let (beyond, order) = match self.direction {
            Direction::Ascending => (">", "ASC"),
            Direction::Descending => ("<", "DESC"),
        };
        if let Some((value, id)) = self.begin()? {
            let bind = |query: &mut QueryBuilder<Sqlite>| match &value {
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

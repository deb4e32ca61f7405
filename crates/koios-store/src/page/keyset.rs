//! Pages as the database's own indexes find them, however long the list is.

use super::{Direction, Page, PageRequest, SortValue, begin_of, cursor_behind};
use crate::database::QueryBuilder;
use crate::error::StoreError;
use crate::store::count;

/// A page in the order of a column, which an index serves.
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
        if let Some((value, id)) = begin_of(self.request, self.sort_name, self.direction)? {
            // Databases differ in what they make of a text beside a number.
            if matches!(value, SortValue::Number(_)) != NUMBERS.contains(&column) {
                return Err(StoreError::InvalidCursor);
            }
            let bind = |query: &mut QueryBuilder| match &value {
                SortValue::Number(number) => drop(query.push_bind(*number)),
                SortValue::Text(text) => drop(query.push_bind(text.clone())),
            };
            // The first condition is the one that an index serves.
            query.push(format!(" AND {column} {beyond}= "));
            bind(query);
            query.push(format!(" AND ({column} {beyond} "));
            bind(query);
            query.push(" OR id > ").push_bind(id).push(")");
        }
        query.push(format!(" ORDER BY {column} {order}, id ASC LIMIT "));
        query.push_bind(i64::try_from(self.limit()).unwrap_or(i64::MAX).saturating_add(1));
        Ok(())
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

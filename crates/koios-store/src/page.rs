//! Pages of lists, and the cursors that lead from one to the next.
//!
//! A cursor holds the sort key and id of the last item shown, not a position: items that come or go between
//! two pages neither repeat nor hide others.

mod keyset;
mod ordered;

use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::file_digest::hex;

pub(crate) use keyset::Keyset;
pub(crate) use ordered::{Listed, Ordered, SortRef};

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// How many items there are on all pages.
    pub total: u64,
    /// Leads to the next page; `None` on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The same page of what `make` makes of its items.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Page<U> {
        let Self { items, total, next_cursor } = self;
        Page { items: items.into_iter().map(make).collect(), total, next_cursor }
    }

    pub(crate) fn with_items<U>(self, items: Vec<U>) -> Page<U> {
        Page { items, total: self.total, next_cursor: self.next_cursor }
    }
}

/// Which page is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageRequest {
    /// Most items on the page; 0 counts as 1.
    pub limit: usize,
    /// [`Page::next_cursor`] of the page before; `None` for the first.
    pub cursor: Option<String>,
}

impl PageRequest {
    /// A page of at most `limit` items.
    #[must_use]
    pub fn new(limit: usize, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }
}

impl Default for PageRequest {
    /// The first 50 items (`rest-api`: the default limit).
    fn default() -> Self {
        Self { limit: 50, cursor: None }
    }
}

/// Which way a list is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third direction")]
pub enum Direction {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

/// What a list is sorted by; equal items are ordered by id, ascending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a key and a direction are all there is to it")]
pub struct Sort<K> {
    /// The property.
    pub key: K,
    /// The direction.
    pub direction: Direction,
}

/// A value that lists are sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum SortValue {
    #[serde(rename = "n")]
    Number(i64),
    #[serde(rename = "t")]
    Text(String),
}

/// One item on its way into a page.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) value: SortValue,
    pub(crate) id: String,
    pub(crate) item: T,
}

#[derive(Serialize, Deserialize)]
struct Cursor {
    /// Name of the sort, so that a cursor of another order is noticed.
    s: String,
    v: SortValue,
    i: String,
}

/// Sorts entries and cuts out the page asked for.
pub(crate) fn paginate<T>(
    mut entries: Vec<Entry<T>>,
    sort_name: &str,
    direction: Direction,
    request: &PageRequest,
) -> Result<Page<T>, StoreError> {
    let order = |value: &SortValue, id: &str, other: &SortValue, other_id: &str| {
        let by_value = match direction {
            Direction::Ascending => value.cmp(other),
            Direction::Descending => other.cmp(value),
        };
        by_value.then_with(|| id.cmp(other_id))
    };
    entries.sort_by(|a, b| order(&a.value, &a.id, &b.value, &b.id));
    let total = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    let limit = request.limit.max(1);

    let start = match begin_of(request, sort_name, direction)? {
        None => 0,
        Some((value, id)) => {
            entries.partition_point(|entry| order(&entry.value, &entry.id, &value, &id).is_le())
        }
    };
    let mut rest = entries.into_iter().skip(start);
    let page: Vec<Entry<T>> = rest.by_ref().take(limit).collect();
    let next_cursor = match (page.last(), rest.next()) {
        (Some(last), Some(_)) => {
            Some(cursor_behind(last.value.clone(), last.id.clone(), sort_name, direction)?)
        }
        _ => None,
    };
    Ok(Page { items: page.into_iter().map(|entry| entry.item).collect(), total, next_cursor })
}

/// Where the page begins: behind an item with this value and id.
fn begin_of(
    request: &PageRequest,
    sort_name: &str,
    direction: Direction,
) -> Result<Option<(SortValue, String)>, StoreError> {
    let Some(text) = &request.cursor else { return Ok(None) };
    let sort_name = directed(sort_name, direction);
    let last = decode(text).filter(|cursor| cursor.s == sort_name).ok_or(StoreError::InvalidCursor)?;
    Ok(Some((last.v, last.i)))
}

/// The cursor of a page that ends with an item of this value and id.
fn cursor_behind(
    value: SortValue,
    id: String,
    sort_name: &str,
    direction: Direction,
) -> Result<String, StoreError> {
    encode(&Cursor { s: directed(sort_name, direction), v: value, i: id })
}

fn directed(sort_name: &str, direction: Direction) -> String {
    match direction {
        Direction::Ascending => sort_name.to_owned(),
        Direction::Descending => format!("-{sort_name}"),
    }
}

/// Hexadecimal, so that a cursor stands in a query string as it is.
fn encode(cursor: &Cursor) -> Result<String, StoreError> {
    let json = serde_json::to_vec(cursor).map_err(|_| StoreError::InvalidCursor)?;
    Ok(hex(&json))
}

fn decode(text: &str) -> Option<Cursor> {
    let bytes: Option<Vec<u8>> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    serde_json::from_slice(&bytes?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(items: &[(i64, u32)]) -> Vec<Entry<(i64, u32)>> {
        items
            .iter()
            .map(|&(value, id)| Entry {
                value: SortValue::Number(value),
                id: format!("{id:08}"),
                item: (value, id),
            })
            .collect()
    }

    fn walk(items: &[(i64, u32)], limit: usize, direction: Direction) -> Vec<(i64, u32)> {
        let mut request = PageRequest::new(limit, None);
        let mut all = Vec::new();
        loop {
            let page = paginate(entries(items), "value", direction, &request).unwrap();
            assert_eq!(page.total, u64::try_from(items.len()).unwrap());
            all.extend(page.items);
            assert!(all.len() <= items.len(), "a cursor leads back");
            match page.next_cursor {
                Some(cursor) => request.cursor = Some(cursor),
                None => return all,
            }
        }
    }

    proptest! {
        #[test]
        fn walking_the_pages_shows_everything_once_in_order(
            values in proptest::collection::vec(0..5i64, 0..30), limit in 1..7usize
        ) {
            let items: Vec<(i64, u32)> = values.into_iter().zip(0u32..).collect();
            let mut ascending = items.clone();
            ascending.sort_unstable();
            prop_assert_eq!(walk(&items, limit, Direction::Ascending), ascending);
            let mut descending = items.clone();
            descending.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            prop_assert_eq!(walk(&items, limit, Direction::Descending), descending);
        }

        #[test]
        fn no_text_makes_the_cursor_reader_panic(text in "\\PC{0,80}") {
            let request = PageRequest::new(3, Some(text));
            let _ = paginate(entries(&[(1, 1)]), "value", Direction::Ascending, &request);
        }
    }

    #[test]
    fn a_cursor_survives_inserts_and_deletes() {
        let first = paginate(
            entries(&[(1, 1), (2, 2), (3, 3)]),
            "value",
            Direction::Ascending,
            &PageRequest::new(2, None),
        );
        let cursor = first.unwrap().next_cursor;
        // The item the cursor stands on is gone, one came before it and one behind it.
        let request = PageRequest::new(5, cursor);
        let second =
            paginate(entries(&[(0, 9), (1, 1), (3, 3), (4, 4)]), "value", Direction::Ascending, &request);
        assert_eq!(second.unwrap().items, [(3, 3), (4, 4)]);
    }

    #[test]
    fn a_cursor_of_another_order_is_refused() {
        let page =
            paginate(entries(&[(1, 1), (2, 2)]), "value", Direction::Ascending, &PageRequest::new(1, None));
        let request = PageRequest::new(1, page.unwrap().next_cursor);
        let other = paginate(entries(&[(1, 1), (2, 2)]), "value", Direction::Descending, &request);
        assert!(matches!(other, Err(StoreError::InvalidCursor)));
    }
}

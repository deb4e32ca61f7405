//! Lists on the wire.

use koios_store::Page;
use serde::Serialize;
use utoipa::ToSchema;

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageBody<T> {
    /// The items of this page.
    pub(crate) items: Vec<T>,
    /// How many items there are on all pages.
    pub(crate) total: u64,
    /// Leads to the next page; `null` on the last one.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<String>,
}

impl<T> PageBody<T> {
    pub(crate) fn of<R>(page: Page<R>, represent: impl FnMut(R) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(represent).collect(),
            total: page.total,
            next_cursor: page.next_cursor,
        }
    }
}

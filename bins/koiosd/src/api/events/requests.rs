//! What a stream of events is asked for with.

use utoipa::IntoParams;

use crate::api::query::{FromQuery, QueryReader};

/// How to come in, and where to go on.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// In place of a token: what `POST /api/v1/events/ticket` answered, once.
    pub(super) ticket: Option<String>,
    /// As the header `Last-Event-ID`, which goes first, for a page that opens a new `EventSource` with a new ticket.
    pub(super) last_event_id: Option<String>,
}

impl FromQuery for StreamQuery {
    fn from_query(query: &mut QueryReader) -> Self {
        Self { ticket: query.text("ticket"), last_event_id: query.text("last_event_id") }
    }
}

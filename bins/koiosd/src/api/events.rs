//! Events as a stream (server-sent events, WHATWG HTML §9.2), and the tickets that open one.

mod representation;
mod requests;

use std::time::Duration;

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName},
    },
    middleware::{Next, from_fn},
    rt,
    web::{self, Bytes, Data, ServiceConfig},
};
use futures_util::stream;
use koios_store::{StoreError, TokenId};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};
use utoipa::{OpenApi, ToSchema};

use super::{
    auth::{self, Require, Viewer},
    body::NoBody,
    error::{ApiError, ApiResult, Problem},
    query::{NoParameters, Query},
    routes,
};
use crate::{
    error_chain::error_chain,
    service::{
        Services,
        access::Access,
        error::ServiceError,
        events::{LastEvent, Listener, TICKET_LIFE},
    },
};
pub(crate) use representation::render;
use representation::{EventBody, Examples};
use requests::StreamQuery;

const PATH: &str = "/api/v1/events";

/// When nothing happens, something is said this often: proxies and clients see that the connection stands. Then it is
/// also asked whether the token is still good.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Who takes nothing for that long is let go.
const STALLED: Duration = Duration::from_secs(60);

/// After how many milliseconds a browser comes back when the connection broke.
const RETRY_MS: u32 = 3000;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(OpenApi)]
#[openapi(
    paths(stream_events, issue_ticket),
    modifiers(&Examples),
    tags((name = "events", description = "What happens, as it happens"))
)]
pub(crate) struct EventsDocument;

pub(crate) fn configure(config: &mut ServiceConfig) {
    // Apart from the rest of `/api/v1`: here a ticket may stand in place of a token.
    config.service(web::scope(PATH).wrap(from_fn(admit)).configure(|config| {
        routes::at("").get(stream_events).register(config);
        routes::at("/ticket").post(issue_ticket).register(config);
        config.default_service(web::to(super::nothing_here));
    }));
}

/// Lets those pass who have a ticket, if it is for the stream, and those who have a token.
async fn admit<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if request.path() == PATH && request.method() == Method::GET {
        let query = request.extract::<Query<StreamQuery>>().await;
        if let Ok(Query(StreamQuery { ticket: Some(ticket), .. })) = query {
            let services =
                request.app_data::<Data<Services>>().ok_or_else(ApiError::internal_unexplained)?.clone();
            let mut caller = services.events.redeem_ticket(&ticket).ok_or_else(ApiError::ticket_refused)?;
            if !services.access.still_valid(caller.token.id).await.map_err(ApiError::from)? {
                return Err(ApiError::ticket_refused().into());
            }
            caller.address = request.peer_addr().map(|address| address.ip().to_string());
            request.extensions_mut().insert(caller);
            return next.call(request).await;
        }
    }
    auth::authenticate(request, next).await
}

/// Tells events as they happen, in the order of the commits.
///
/// `id:` is a number that grows, over restarts too; `event:` is the type; `data:` is one line of JSON. With `Last-Event-ID`
/// everything after that event comes first, as long as it is kept (the newest 1,024 events); otherwise, and for a reader
/// that falls behind, an event `reset` says that everything is to be read anew. A comment comes every 15 seconds. At most
/// 64 streams are open at a time. A stream ends when its token does.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", operation_id = "stream",
    params(StreamQuery, ("Last-Event-ID" = Option<String>, Header, description = "The last event that was received; browsers send it by themselves")),
    security(("bearer_token" = ["viewer"]), ("event_ticket" = [])),
    responses(
        (status = 200, body = EventBody, content_type = "text/event-stream", description = "The stream; the schema is that of `data`."),
        (status = "default", body = Problem)
    )
)]
async fn stream_events(
    caller: Require<Viewer>,
    query: Query<StreamQuery>,
    request: HttpRequest,
    services: Data<Services>,
) -> ApiResult {
    let header = request.headers().get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or_default());
    let last = header.or(query.0.last_event_id.as_deref()).map(LastEvent::parse);
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        // nginx would keep events back until it has a page of them.
        .insert_header((HeaderName::from_static("x-accel-buffering"), "no"));
    if request.method() == Method::HEAD {
        return Ok(answer.finish());
    }
    let listener = services.events.listen(last)?;
    // One piece on its way: a reader that is slow holds back its own events, and nobody else's.
    let (sender, mut receiver) = mpsc::channel(1);
    rt::spawn(tell(listener, services.access.clone(), caller.0.token.id, sender));
    let pieces = stream::poll_fn(move |context| receiver.poll_recv(context));
    Ok(answer.streaming(futures_util::StreamExt::map(pieces, Ok::<_, Error>)))
}

/// Tells one reader everything, until it goes away or takes nothing any more, its token ends, or the daemon stops.
async fn tell(mut listener: Listener, access: Access, token: TokenId, reader: mpsc::Sender<Bytes>) {
    // A client that has seen no event yet also knows where to go on.
    let position = listener.position().map(|position| format!("id: {position}\n")).unwrap_or_default();
    let mut piece = Bytes::from(format!("retry: {RETRY_MS}\n{position}\n"));
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat.reset();
    loop {
        tokio::select! {
            sent = reader.send(piece) => if sent.is_err() { return },
            () = sleep(STALLED) => {
                tracing::info!("a reader of events takes nothing any more and is let go");
                return;
            }
            () = listener.stopped() => return,
        }
        piece = tokio::select! {
            biased;
            () = reader.closed() => return,
            _ = heartbeat.tick() => match access.still_valid(token).await {
                Ok(true) => Bytes::from_static(b": still here\n\n"),
                Ok(false) | Err(ServiceError::Store(StoreError::Interrupted)) => return,
                Err(error) => {
                    tracing::warn!(error = error_chain(&error), "whether a token is still good is not known");
                    Bytes::from_static(b": still here\n\n")
                }
            },
            events = listener.next() => match events {
                Some(text) => Bytes::from(text),
                None => return,
            },
        };
    }
}

/// What opens one stream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventTicket)]
struct TicketBody {
    /// For `GET /api/v1/events?ticket=`, once.
    #[schema(example = "n0QyJv2bXk3T9m8b7uU1fWl5c4aZ6sE0hRxgYdPqKtM")]
    ticket: String,
    /// Until when it may be used.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// How long it may be used.
    #[schema(example = 30)]
    expires_in_seconds: u64,
}

/// Gives a ticket that opens one stream within half a minute: for a browser's `EventSource`, which cannot send the token.
#[utoipa::path(
    post, path = "/api/v1/events/ticket", tag = "events", operation_id = "ticket", security(("bearer_token" = ["viewer"])),
    responses((status = 200, body = TicketBody), (status = "default", body = Problem))
)]
async fn issue_ticket(
    caller: Require<Viewer>,
    _: Query<NoParameters>,
    _: NoBody,
    services: Data<Services>,
) -> ApiResult {
    let ticket = services.events.issue_ticket(&caller.0)?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(TicketBody {
        ticket: ticket.text.to_string(),
        expires_at: ticket.expires_at,
        expires_in_seconds: TICKET_LIFE.as_secs(),
    }))
}

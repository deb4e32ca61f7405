//! Whether a connection waits for us or we for its client.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Bytes,
};
use tokio::time::Instant;

/// The requests of one connection that are being answered.
#[derive(Clone, Debug)]
pub(super) struct InFlight(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    requests: Cell<usize>,
    idle_since: Cell<Instant>,
}

impl InFlight {
    pub(super) fn new() -> Self {
        Self(Rc::new(Inner { requests: Cell::new(0), idle_since: Cell::new(Instant::now()) }))
    }

    /// Since when the client has had nothing to wait for; `None` while a request is being answered.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.0.requests.get() == 0).then(|| self.0.idle_since.get())
    }

    /// The client has just taken something: its time begins anew.
    pub(super) fn touch(&self) {
        self.0.idle_since.set(Instant::now());
    }

    fn begin(&self) -> RequestInFlight {
        self.0.requests.set(self.0.requests.get() + 1);
        RequestInFlight(self.clone())
    }
}

/// A request from its head to the end of its answer.
#[derive(Debug)]
struct RequestInFlight(InFlight);

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        let inner = &self.0.0;
        inner.requests.set(inner.requests.get() - 1);
        inner.idle_since.set(Instant::now());
    }
}

/// Tells the connection of a request how long that is being answered.
pub(crate) async fn follow<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let in_flight = request.conn_data::<InFlight>().map(InFlight::begin);
    let answer = next.call(request).await?;
    Ok(answer.map_body(|_, body| FollowedBody { body: body.boxed(), _in_flight: in_flight }))
}

/// A body that is being sent.
struct FollowedBody {
    body: BoxBody,
    _in_flight: Option<RequestInFlight>,
}

impl MessageBody for FollowedBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

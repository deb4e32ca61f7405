//! The id of a request: in `X-Request-Id`, in every problem and on every log line.

use std::fmt;

use actix_web::http::header::HeaderName;
use uuid::Uuid;

/// Says the id to the client.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: RequestId;
}

/// Names one request among all of this daemon's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestId(Uuid);

impl RequestId {
    pub(crate) fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of the request that the running task answers; outside of one, an id that leads nowhere.
    pub(crate) fn current() -> Self {
        CURRENT.try_with(|id| *id).unwrap_or(Self(Uuid::nil()))
    }

    /// Runs a future as the answer to this request.
    pub(crate) async fn scope<F: Future>(self, answer: F) -> F::Output {
        CURRENT.scope(self, answer).await
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

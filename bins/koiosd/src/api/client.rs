//! Clients that do not wait for their answer.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use tokio::sync::watch;

use super::error::ApiError;

/// Tells a handler that the client has gone away. Only what changes nothing may stop for that.
#[derive(Clone, Debug)]
pub(crate) struct ClientGone(watch::Receiver<()>);

/// Stands for a client that waits; dropped when it has gone away.
#[derive(Debug)]
pub(crate) struct ClientWaits(
    #[expect(dead_code, reason = "its being dropped is what is told")] watch::Sender<()>,
);

/// A client that waits, and what tells that it no longer does.
pub(crate) fn client() -> (ClientWaits, ClientGone) {
    let (waits, gone) = watch::channel(());
    (ClientWaits(waits), ClientGone(gone))
}

impl ClientGone {
    /// Ends when the client has gone away.
    pub(crate) async fn wait(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

impl FromRequest for ClientGone {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let gone = request.extensions().get::<Self>().cloned();
        ready(gone.ok_or_else(ApiError::internal_unexplained))
    }
}

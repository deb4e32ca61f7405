//! The listener: which connections are taken, how long a client may take, and what is spoken on them.
//!
//! HTTP/1.1 alone, with and without TLS: what HTTP/2 would bring, few calls of one client at a time do not need, and every limit
//! of a connection (heads, bodies, slow clients) holds for the one request on it.

mod client_stream;
mod in_flight;
mod slots;

use std::{fmt, io, net::TcpListener, num::NonZeroUsize, sync::Arc, thread, time::Duration};

use actix_http::{HttpService, Request, Response};
use actix_server::{Server, ServerBuilder};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::{
    body::MessageBody,
    dev::{AppConfig, Service},
    rt::net::TcpStream,
};
use rustls::ServerConfig;

use client_stream::ClientStream;
pub(crate) use in_flight::follow;
use slots::Slots;

/// How long requests that run at a stop may go on, in seconds.
const REQUESTS_GRACE_SECONDS: u64 = 5;

/// How long a client may go on sending a body that was refused. Closing at once would reset the connection, and
/// the client might never see why.
const UNREAD_BODY_GRACE: Duration = Duration::from_secs(5);

/// How long a connection on which nothing is asked is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What the listener allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at the same time; more wait in the system's queue.
    pub(crate) connections: usize,
    /// Of these, how many one address may have; more are closed at once.
    pub(crate) connections_per_address: usize,
    /// For a handshake, for the head of a request, and for any progress in taking an answer.
    pub(crate) client_timeout: Duration,
}

/// Serves what `app` makes on the listener, under TLS when there is any.
pub(crate) fn serve<F, I, S, B>(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let address = listener.local_addr()?;
    let workers = thread::available_parallelism().map_or(2, NonZeroUsize::get).min(MOST_WORKERS);
    let builder = ServerBuilder::default()
        .workers(workers)
        .disable_signals()
        .shutdown_timeout(REQUESTS_GRACE_SECONDS)
        .max_concurrent_connections(limits.connections.div_ceil(workers));
    let stopping = builder.graceful_shutdown_signal();
    let slots = Slots::new(limits.connections_per_address);
    let server = builder.listen("koiosd", listener, move || {
        let stopping = stopping.clone();
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(limits.client_timeout)
            .client_disconnect_timeout(UNREAD_BODY_GRACE)
            // Else a client that is gone would look like one that has only said everything, until it is written to.
            .h1_allow_half_closed(false)
            .local_addr(address)
            .on_connect_ext(|stream: &ClientStream, extensions| {
                extensions.insert(stream.in_flight());
            })
            .h1(map_config(app().into_factory().map_err(|error| error.into().error_response()), |()| {
                AppConfig::default()
            }));
        let (tls, slots) = (tls.clone(), slots.clone());
        fn_service(move |stream: TcpStream| {
            let (tls, slots) = (tls.clone(), slots.clone());
            async move {
                let peer = stream.peer_addr().ok();
                let slot = slots.take(peer.map(|peer| peer.ip())).ok_or(NotServed)?;
                // Answers are small and whole: waiting to fill a segment would only cost time.
                let _ = stream.set_nodelay(true);
                let stream = ClientStream::accept(stream, tls, slot, limits.client_timeout);
                Ok((stream.await.map_err(|_| NotServed)?, peer))
            }
        })
        .and_then(http.map_err(|_| NotServed))
    })?;
    Ok(server.run())
}

/// The bound of the server library.
const MOST_WORKERS: usize = 512;

/// A connection on which nothing was asked, or that broke: nobody is left to tell.
#[derive(Debug)]
struct NotServed;

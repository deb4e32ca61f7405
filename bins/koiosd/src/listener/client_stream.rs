//! The connection of a client: plain or under TLS, and cut off when the client does not get on.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::rt::net::TcpStream;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{in_flight::InFlight, slots::Slot};

/// What HTTP is spoken on.
pub(super) struct ClientStream {
    stream: Layer,
    in_flight: InFlight,
    /// When a client to whom nothing is owed must have sent the head of a request.
    idle: Timer,
    patience: Duration,
    _slot: Slot,
}

enum Layer {
    Plain(Watched),
    Tls(Box<TlsStream<Watched>>),
}

impl ClientStream {
    /// Shakes hands, if TLS is spoken.
    pub(super) async fn accept(
        stream: TcpStream,
        tls: Option<Arc<ServerConfig>>,
        slot: Slot,
        patience: Duration,
    ) -> io::Result<Self> {
        let in_flight = InFlight::new();
        let watched = Watched { stream, in_flight: in_flight.clone(), stalled: Timer::default(), patience };
        let stream = match tls {
            None => Layer::Plain(watched),
            Some(config) => {
                let accepted = timeout(patience, TlsAcceptor::from(config).accept(watched)).await;
                Layer::Tls(Box::new(accepted.map_err(|_| io::ErrorKind::TimedOut)??))
            }
        };
        in_flight.touch();
        Ok(Self { stream, in_flight, idle: Timer::default(), patience, _slot: slot })
    }

    pub(super) fn in_flight(&self) -> InFlight {
        self.in_flight.clone()
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // The HTTP library bounds the head of a connection's first request alone, and answers it with 408: it goes first.
        match this.in_flight.idle_since() {
            Some(since) => this.idle.check(since + this.patience + HEAD_START, context)?,
            None => this.idle.stop(),
        }
        match &mut this.stream {
            Layer::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Layer::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Layer::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Layer::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Layer::Plain(stream) => Pin::new(stream).poll_flush(context),
            Layer::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Layer::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Layer::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// How much later than the HTTP library this ends a connection.
const HEAD_START: Duration = Duration::from_millis(500);

/// The connection below TLS, where the progress of a client shows.
struct Watched {
    stream: TcpStream,
    in_flight: InFlight,
    stalled: Timer,
    patience: Duration,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_write(context, bytes) {
            Poll::Ready(done) => {
                this.stalled.stop();
                this.in_flight.touch();
                Poll::Ready(done)
            }
            Poll::Pending => {
                let deadline = this.stalled.deadline().unwrap_or_else(|| Instant::now() + this.patience);
                this.stalled.check(deadline, context)?;
                Poll::Pending
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Wakes the connection's task at its deadline.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn deadline(&self) -> Option<Instant> {
        self.0.as_ref().map(|sleep| sleep.deadline())
    }

    fn stop(&mut self) {
        self.0 = None;
    }

    /// An error once the deadline is there; before, the task is woken at it.
    fn check(&mut self, deadline: Instant, context: &mut Context<'_>) -> io::Result<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        match sleep.as_mut().poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

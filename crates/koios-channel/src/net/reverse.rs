//! Reverse connect: servers behind a firewall that come to us (OPC 10000-6 §7.1.3).

use std::fmt;
use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::{Connection, Deadline};
use crate::EndpointUrl;
use crate::error::{ChannelError, Fault, Stage};
use crate::wire::{self, ReverseHello};

/// Waits for servers that connect by themselves.
///
/// Who comes is anybody until a secure channel has shown whose certificate it is: what a `ReverseHello` says only tells
/// which of the expected servers it claims to be.
#[derive(Debug)]
pub struct ReverseListener {
    listener: TcpListener,
}

impl ReverseListener {
    /// Listens on `address`.
    ///
    /// # Errors
    /// At [`Stage::Connect`], [`Fault::Io`]: the port is taken, or not to be had without a right.
    pub async fn bind(address: SocketAddr) -> Result<Self, ChannelError> {
        TcpListener::bind(address).await.map(|listener| Self { listener }).map_err(|error| failed(&error))
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// The next one who connects; nothing is read yet, so that one who says nothing holds nobody up.
    ///
    /// # Errors
    /// At [`Stage::Connect`]: [`Fault::Io`], after which the next one may be accepted.
    pub async fn accept(&self) -> Result<Incoming, ChannelError> {
        let (stream, peer) = self.listener.accept().await.map_err(|error| failed(&error))?;
        Ok(Incoming { stream, peer })
    }
}

/// One who has connected and said nothing yet.
#[derive(Debug)]
pub struct Incoming {
    stream: TcpStream,
    peer: SocketAddr,
}

impl Incoming {
    /// The address it comes from.
    pub const fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Waits for its `ReverseHello`.
    ///
    /// # Errors
    /// At [`Stage::Hello`]: [`Fault::TimedOut`], [`Fault::Closed`], [`Fault::NotOpcUa`] for other first bytes, and
    /// [`Fault::Decoding`] for a message that is none.
    pub async fn reverse_hello(mut self, deadline: Deadline) -> Result<ReverseConnection, ChannelError> {
        let stage = Stage::Hello;
        let read = async {
            let mut bytes = Vec::new();
            loop {
                match wire::reverse_hello(&bytes) {
                    Ok(Some(hello)) => return Ok(hello),
                    Ok(None) => {}
                    Err(fault) => return Err(ChannelError::local(stage, fault)),
                }
                // Byte by byte up to the length it names: what follows is the conversation's.
                let wanted = wire::reverse_hello_wants(&bytes);
                let before = bytes.len();
                bytes.resize(before + wanted, 0);
                let len = match self.stream.read(bytes.get_mut(before..).unwrap_or_default()).await {
                    Ok(0) => {
                        let received = before > 0;
                        return Err(ChannelError::transport(stage, Fault::Closed { received }));
                    }
                    Ok(len) => len,
                    Err(error) => return Err(ChannelError::transport(stage, Fault::Io(error.kind()))),
                };
                bytes.truncate(before + len);
            }
        };
        let ReverseHello { server_uri, endpoint_url } = deadline.bound(stage, read).await?;
        Ok(ReverseConnection { server_uri, endpoint_url, connection: Connection::of_tcp(self.stream) })
    }
}

/// A server that has come and said which one it is.
pub struct ReverseConnection {
    server_uri: String,
    endpoint_url: EndpointUrl,
    connection: Connection,
}

impl ReverseConnection {
    /// The application URI that it claims.
    pub fn server_uri(&self) -> &str {
        &self.server_uri
    }

    /// The endpoint it wants to be asked for, by [`Connection::hello`].
    pub const fn endpoint_url(&self) -> &EndpointUrl {
        &self.endpoint_url
    }

    /// The connection, on which all goes on as on one that we made.
    pub fn into_connection(self) -> Connection {
        self.connection
    }
}

impl fmt::Debug for ReverseConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReverseConnection").field("server_uri", &self.server_uri).finish_non_exhaustive()
    }
}

fn failed(error: &std::io::Error) -> ChannelError {
    ChannelError::transport(Stage::Connect, Fault::Io(error.kind()))
}

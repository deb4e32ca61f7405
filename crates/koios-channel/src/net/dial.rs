use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::{Deadline, Transport};
use crate::{ChannelError, EndpointUrl, Limits};

/// The addresses of a URL's host, in the order the system gives them.
///
/// # Errors
/// At [`Stage::Resolve`](crate::Stage::Resolve): [`Fault::NotResolved`](crate::Fault::NotResolved) or
/// [`Fault::TimedOut`](crate::Fault::TimedOut).
pub async fn resolve(_url: &EndpointUrl, _deadline: Deadline) -> Result<Vec<SocketAddr>, ChannelError> {
    todo!()
}

/// A TCP connection to the first of `addresses` that takes one.
///
/// # Errors
/// At [`Stage::Connect`](crate::Stage::Connect): [`Fault::Refused`](crate::Fault::Refused) when any address refused, else `Unreachable`, `TimedOut` or `Io`.
pub async fn connect(_addresses: &[SocketAddr], _deadline: Deadline) -> Result<Connection, ChannelError> {
    todo!()
}

/// A TCP connection on which nothing was said yet.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// The address that answered.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }

    /// Says HELLO and waits for ACK.
    ///
    /// # Errors
    /// At [`Stage::Hello`](crate::Stage::Hello).
    pub async fn hello(
        self,
        _url: &EndpointUrl,
        _limits: Limits,
        _deadline: Deadline,
    ) -> Result<Transport, ChannelError> {
        todo!()
    }
}

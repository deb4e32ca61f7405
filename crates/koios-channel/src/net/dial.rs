use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use koios_pki::HostName;
use tokio::net::{TcpStream, lookup_host};

use super::link::{Cost, Link};
use super::{Deadline, Transport};
use crate::conversation::Conversation;
use crate::error::{ChannelError, Fault, Stage};
use crate::random::SystemRandom;
use crate::{EndpointUrl, Limits};

/// The addresses of a URL's host, in the order the system gives them.
///
/// # Errors
/// At [`Stage::Resolve`]: [`Fault::NotResolved`] or [`Fault::TimedOut`].
pub async fn resolve(url: &EndpointUrl, deadline: Deadline) -> Result<Vec<SocketAddr>, ChannelError> {
    let not_resolved = || ChannelError::transport(Stage::Resolve, Fault::NotResolved);
    let host = dialled(url.host()).ok_or_else(not_resolved)?;
    let found = deadline
        .bound(Stage::Resolve, async { lookup_host((&*host, url.port())).await.map_err(|_| not_resolved()) })
        .await?;
    let addresses: Vec<_> = found.collect();
    if addresses.is_empty() { Err(not_resolved()) } else { Ok(addresses) }
}

/// The host as name services know it: international names as A-labels (RFC 5890 §2.3.2.1), all others as typed.
fn dialled(host: &str) -> Option<Cow<'_, str>> {
    if host.is_ascii() {
        return Some(Cow::Borrowed(host));
    }
    HostName::parse(host).ok().map(|name| Cow::Owned(name.to_string()))
}

/// A TCP connection to the first of `addresses` that takes one. Each gets an equal share of the time that is left, so
/// that one that swallows packets leaves some to the next.
///
/// # Errors
/// At [`Stage::Connect`]: [`Fault::Refused`] when any address refused, else [`Fault::TimedOut`],
/// [`Fault::Unreachable`] or [`Fault::Io`]; [`Fault::NotResolved`] without an address.
pub async fn connect(addresses: &[SocketAddr], deadline: Deadline) -> Result<Connection, ChannelError> {
    let mut worst = Fault::NotResolved;
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let fault = match tokio::time::timeout(share(deadline, left), TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Requests are small and answered one by one: waiting to fill a segment would only cost time. A
                // stream that does not take the option works all the same.
                let _ = stream.set_nodelay(true);
                return Ok(Connection { stream });
            }
            Ok(Err(error)) => connect_fault(&error),
            Err(_) => Fault::TimedOut,
        };
        if telling(&fault) >= telling(&worst) {
            worst = fault;
        }
    }
    Err(ChannelError::transport(Stage::Connect, worst))
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
    /// At [`Stage::Hello`]: [`Fault::NotOpcUa`] when something else answers, [`Fault::TimedOut`] when nothing does.
    pub async fn hello(
        self,
        url: &EndpointUrl,
        limits: Limits,
        deadline: Deadline,
    ) -> Result<Transport, ChannelError> {
        let mut link = Link::new(self.stream, Conversation::new(limits, SystemRandom));
        let url = url.clone();
        link.exchange(Stage::Hello, deadline, Cost::Small, move |conversation, _| conversation.hello(&url))
            .await?;
        Ok(Transport::new(link))
    }
}

fn share(deadline: Deadline, addresses_left: u32) -> Duration {
    deadline.remaining() / addresses_left.max(1)
}

fn connect_fault(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Fault::Refused,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => Fault::Unreachable,
        io::ErrorKind::TimedOut => Fault::TimedOut,
        kind => Fault::Io(kind),
    }
}

/// How much a fault of one address says about the host: a refusal comes from a machine that is there.
const fn telling(fault: &Fault) -> u8 {
    match fault {
        Fault::Refused => 4,
        Fault::TimedOut => 3,
        Fault::Io(_) => 2,
        Fault::Unreachable => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_international_name_is_dialled_as_its_a_label_and_any_other_as_typed() {
        for (host, name) in [
            ("münchen.example", Some("xn--mnchen-3ya.example")),
            ("MÜNCHEN.example", Some("xn--mnchen-3ya.example")),
            ("Press_4.", Some("Press_4.")),
            ("fe80::1", Some("fe80::1")),
            ("ü\u{200d}", None),
        ] {
            assert_eq!(dialled(host).as_deref(), name, "{host}");
        }
    }

    #[test]
    fn time_is_shared_between_the_addresses_that_are_left() {
        let deadline = Deadline::after(Duration::from_secs(4000));
        assert!(share(deadline, 4) <= Duration::from_secs(1000));
        assert!(share(deadline, 4) > Duration::from_secs(990));
        assert_eq!(share(Deadline::after(Duration::ZERO), 0), Duration::ZERO);
    }
}

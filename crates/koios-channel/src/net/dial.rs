use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use koios_pki::HostName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;

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
    resolve_allowed(url, deadline, |_| true).await
}

/// As [`resolve`], and of these addresses the ones that `allowed` lets pass.
///
/// What it answers was looked at: to connect to these addresses, and not to the name again, is what keeps a name that changes
/// its address from leading elsewhere.
///
/// # Errors
/// As [`resolve`]; [`Fault::TargetNotAllowed`] when there are addresses and none of them passes.
pub async fn resolve_allowed(
    url: &EndpointUrl,
    deadline: Deadline,
    allowed: impl Fn(IpAddr) -> bool,
) -> Result<Vec<SocketAddr>, ChannelError> {
    let not_resolved = || ChannelError::transport(Stage::Resolve, Fault::NotResolved);
    let host = dialled(url.host()).ok_or_else(not_resolved)?;
    let found = deadline
        .bound(Stage::Resolve, async { lookup_host((&*host, url.port())).await.map_err(|_| not_resolved()) })
        .await?;
    let mut addresses: Vec<_> = found.collect();
    if addresses.is_empty() {
        return Err(not_resolved());
    }
    addresses.retain(|address| allowed(address.ip()));
    if addresses.is_empty() {
        return Err(ChannelError::local(Stage::Resolve, Fault::TargetNotAllowed));
    }
    Ok(addresses)
}

/// The host as name services know it: international names as A-labels (RFC 5890 §2.3.2.1), all others as typed.
fn dialled(host: &str) -> Option<Cow<'_, str>> {
    if host.is_ascii() {
        return Some(Cow::Borrowed(host));
    }
    HostName::parse(host).ok().map(|name| Cow::Owned(name.to_string()))
}

/// A TCP connection to the first of `addresses` that takes one.
///
/// As RFC 8305 says, the families take turns, and the next address is tried when one fails or says nothing for a quarter of
/// a second, while the ones before go on.
///
/// # Errors
/// At [`Stage::Connect`]: [`Fault::Refused`] when any address refused, else [`Fault::TimedOut`],
/// [`Fault::Unreachable`] or [`Fault::Io`]; [`Fault::NotResolved`] without an address.
pub async fn connect(addresses: &[SocketAddr], deadline: Deadline) -> Result<Connection, ChannelError> {
    let mut left = in_turns(addresses).into_iter();
    // Dropping it ends the attempts that lost.
    let mut attempts = JoinSet::new();
    let mut worst = Fault::NotResolved;
    loop {
        if let Some(address) = left.next() {
            attempts.spawn(TcpStream::connect(address));
        } else if attempts.is_empty() {
            return Err(ChannelError::transport(Stage::Connect, worst));
        }
        let patience = if left.len() > 0 { deadline.at_most(ATTEMPT_DELAY) } else { deadline };
        let fault = match tokio::time::timeout_at(patience.instant(), attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(Connection::of_tcp(stream)),
            Ok(Some(Ok(Err(error)))) => connect_fault(&error),
            // Nobody else ends these tasks, and they do not panic.
            Ok(Some(Err(_)) | None) => Fault::NotReady,
            Err(_) if deadline.remaining().is_zero() => {
                let worst = if telling(&Fault::TimedOut) > telling(&worst) { Fault::TimedOut } else { worst };
                return Err(ChannelError::transport(Stage::Connect, worst));
            }
            Err(_) => continue,
        };
        if telling(&fault) >= telling(&worst) {
            worst = fault;
        }
    }
}

/// The addresses with the families in turns, that of the first one first (RFC 8305 §4).
fn in_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_first_family =
        |address: &&SocketAddr| addresses.first().is_some_and(|first| first.is_ipv6() == address.is_ipv6());
    let mut first = addresses.iter().filter(is_first_family);
    let mut second = addresses.iter().filter(|address| !is_first_family(address));
    let mut ordered = Vec::with_capacity(addresses.len());
    while ordered.len() < addresses.len() {
        ordered.extend(first.next().into_iter().chain(second.next()));
    }
    ordered
}

/// What a conversation runs on.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection on which nothing was said yet.
pub struct Connection {
    stream: Box<dyn Stream>,
    peer: Option<SocketAddr>,
}

impl Connection {
    /// A connection that was made elsewhere: through a proxy or a tunnel, or in memory.
    pub fn from_stream(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { stream: Box::new(stream), peer: None }
    }

    pub(super) fn of_tcp(stream: TcpStream) -> Self {
        // Requests are small and answered one by one: waiting to fill a segment would only cost time. A stream that does
        // not take the option works all the same.
        let _ = stream.set_nodelay(true);
        Self { peer: stream.peer_addr().ok(), stream: Box::new(stream) }
    }

    /// The address that answered; `None` for a stream that was made elsewhere.
    pub const fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
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

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).finish_non_exhaustive()
    }
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

/// RFC 8305 §8: the delay between attempts that it recommends.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

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
    fn the_families_take_turns_and_the_systems_order_is_kept_within_each() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        let given = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(in_turns(&given), expected);
        let given = addresses(&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"]);
        assert_eq!(in_turns(&given), addresses(&["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]));
        assert_eq!(in_turns(&[]), []);
    }
}

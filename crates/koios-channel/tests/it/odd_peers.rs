//! Peers that are no OPC UA servers.

use std::time::Duration;

use koios_channel::{ChannelError, Deadline, EndpointUrl, Fault, Origin, Stage, connect, resolve};
use koios_testkit::{OddKind, OddPeer};

use crate::client::hello;

async fn meet(kind: OddKind, timeout: Duration) -> ChannelError {
    let peer = OddPeer::start(kind);
    let url = EndpointUrl::parse(&peer.endpoint_url()).unwrap();
    let error = hello(&url, Deadline::after(timeout)).await.unwrap_err();
    assert_eq!(error.stage, Stage::Hello, "{kind:?}: {error}");
    error
}

#[tokio::test]
async fn other_protocols_are_told_by_their_first_bytes() {
    for (kind, begins) in
        [(OddKind::Http, &b"HTTP/1.1 400"[..]), (OddKind::Ssh, b"SSH-2.0-"), (OddKind::Tls, b"\x15\x03")]
    {
        let error = meet(kind, Duration::from_secs(60)).await;
        let Fault::NotOpcUa { first_bytes } = &error.fault else { panic!("{kind:?}: {error}") };
        assert!(first_bytes.starts_with(begins), "{kind:?}: {error:?}");
        assert_eq!(error.origin, Origin::Local);
    }
    let error = meet(OddKind::Garbage, Duration::from_secs(60)).await;
    assert!(matches!(error.fault, Fault::NotOpcUa { .. }), "{error}");
}

#[tokio::test]
async fn silence_ends_with_the_deadline() {
    for kind in [OddKind::Silent, OddKind::SilentHttp, OddKind::SlowDrip] {
        let error = meet(kind, Duration::from_millis(300)).await;
        assert_eq!((error.origin, error.fault), (Origin::Transport, Fault::TimedOut), "{kind:?}");
    }
}

#[tokio::test]
async fn a_closed_connection_says_that_nothing_came() {
    for kind in [OddKind::ClosesAtOnce, OddKind::ClosesAfterHello, OddKind::Resets] {
        let error = meet(kind, Duration::from_secs(60)).await;
        assert_eq!(
            (error.origin, error.fault),
            (Origin::Transport, Fault::Closed { received: false }),
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn a_port_without_a_listener_refuses_and_a_name_without_an_address_is_named() {
    let deadline = Deadline::after(Duration::from_secs(60));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = connect(&[address], deadline).await.unwrap_err();
    assert_eq!((error.stage, error.origin), (Stage::Connect, Origin::Transport));
    assert_eq!(error.fault, Fault::Refused);

    let url = EndpointUrl::parse("opc.tcp://no-such-host.invalid").unwrap();
    let error = resolve(&url, deadline).await.unwrap_err();
    assert_eq!((error.stage, error.fault), (Stage::Resolve, Fault::NotResolved));
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let deadline = Deadline::after(Duration::from_secs(60));
    let refusing = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let peer = OddPeer::start(OddKind::Silent);
    let connection = connect(&[refusing, peer.address], deadline).await.unwrap();
    assert_eq!(connection.peer_addr(), Some(peer.address));
}

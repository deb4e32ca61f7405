//! Odd peers behave as their names say.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use koios_testkit::{OddKind, OddPeer};

/// What a peer sends in answer to these bytes, up to its end, or to a time-out when it keeps the connection open.
fn answer(kind: OddKind, bytes: &[u8]) -> (Vec<u8>, Option<ErrorKind>) {
    let peer = OddPeer::start(kind);
    let mut stream = TcpStream::connect(peer.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    // A peer that closes at once may be gone by now.
    let _ = stream.write_all(bytes);
    let mut received = vec![0; 64];
    let result = stream.read(&mut received);
    received.truncate(*result.as_ref().unwrap_or(&0));
    (received, result.err().map(|error| error.kind()))
}

/// The header of a HELLO; no line end in it.
const HELLO: &[u8] = b"HELF\x20\0\0\0\0\0\0\0\0\0\x01\0";

#[test]
fn peers_that_answer_say_something_that_is_not_opc_ua() {
    assert!(answer(OddKind::Http, HELLO).0.starts_with(b"HTTP/1.1 400"));
    assert!(answer(OddKind::Ssh, b"").0.starts_with(b"SSH-2.0-"));
    assert!(answer(OddKind::Tls, HELLO).0.starts_with(&[0x15, 0x03]));
    assert_eq!(answer(OddKind::Garbage, HELLO).0.len(), 64);
    assert_eq!(answer(OddKind::SlowDrip, HELLO).0, b"A");
}

#[test]
fn peers_that_keep_silent_leave_the_connection_open() {
    for kind in [OddKind::Silent, OddKind::SilentHttp] {
        let (received, error) = answer(kind, HELLO);
        assert_eq!(received, b"");
        assert!(matches!(error, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{kind:?}: {error:?}");
    }
    assert!(answer(OddKind::SilentHttp, b"GET / HTTP/1.1\r\n").0.starts_with(b"HTTP/1.0 400"));
}

#[test]
fn peers_that_answer_hello_answer_it_as_a_server() {
    for kind in [OddKind::EndlessAnswer, OddKind::GarbageAfterHello, OddKind::SilentAfterHello] {
        // All of the header and the message that it announces.
        let received = answer(kind, &[HELLO, &[0; 16]].concat()).0;
        assert!(received.starts_with(b"ACKF\x1c\0\0\0"), "{kind:?}: {received:?}");
    }
}

#[test]
fn peers_that_close_close() {
    assert_eq!(answer(OddKind::ClosesAfterHello, HELLO), (vec![], None));
    assert_eq!(answer(OddKind::ClosesAtOnce, b""), (vec![], None));
    assert_eq!(answer(OddKind::Resets, HELLO), (vec![], Some(ErrorKind::ConnectionReset)));
}

#[test]
fn a_peer_counts_its_connections_and_ends_when_dropped() {
    let peer = OddPeer::start(OddKind::Silent);
    assert_eq!(peer.endpoint_url(), format!("opc.tcp://{}", peer.address));
    let _stream = TcpStream::connect(peer.address).unwrap();
    while peer.connections() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(peer.connections(), 1);
    let address = peer.address;
    drop(peer);
    // The accepting thread closes the port a moment later.
    while TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
}

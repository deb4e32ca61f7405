//! A relay that changes what passes, for faults that neither Koios nor the servers make themselves.
//!
//! Certificates travel in clear where they are switched: in OpenSecureChannel's header and in the endpoints. So a server
//! gets to see a key that does not fit its certificate, and a client endpoints with a certificate that the server does not
//! have any more.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use koios_testkit::{Server, TestCertificate};

/// The direction of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Towards {
    Client,
    Server,
}

/// A relay to the server that puts `by` in the place of `certificate`; returns its URL.
///
/// It lives as long as the test process, with one idle thread: there are a handful of them.
pub(crate) fn switch(
    server: &Server,
    towards: Towards,
    certificate: &TestCertificate,
    by: &TestCertificate,
) -> String {
    let (certificate, by) = (certificate.der().to_vec(), by.der().to_vec());
    assert_eq!(certificate.len(), by.len(), "messages keep their length");
    start(server, move |direction, message| {
        if direction == towards {
            replace(message, &certificate, &by);
        }
        Passing::GoesOn
    })
}

/// A relay to the server that closes the connection at the first message for a channel with security, as some servers do
/// without a word; returns its URL.
pub(crate) fn closing_at_open(server: &Server) -> String {
    start(server, |_, message| {
        let policy = b"SecurityPolicy#";
        let named = message.windows(policy.len()).position(|window| window == policy);
        let secured = named.is_some_and(|at| !message[at + policy.len()..].starts_with(b"None"));
        if message.starts_with(b"OPN") && secured { Passing::Ends } else { Passing::GoesOn }
    })
}

/// What becomes of a connection after a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Passing {
    GoesOn,
    Ends,
}

fn start(
    server: &Server,
    change: impl Fn(Towards, &mut Vec<u8>) -> Passing + Send + Sync + 'static,
) -> String {
    let change = Arc::new(change);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    let port = server.port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            for (from, to, towards) in
                [(&client, &server, Towards::Server), (&server, &client, Towards::Client)]
            {
                let change = Arc::clone(&change);
                pump(from, to, move |message| change(towards, message));
            }
        }
    });
    format!("opc.tcp://{address}/")
}

fn pump(from: &TcpStream, to: &TcpStream, change: impl Fn(&mut Vec<u8>) -> Passing + Send + 'static) {
    let mut from = from.try_clone().expect("a second handle");
    let mut to = to.try_clone().expect("a second handle");
    thread::spawn(move || {
        while let Some(mut message) = read_chunk(&mut from) {
            if change(&mut message) == Passing::Ends || to.write_all(&message).is_err() {
                break;
            }
        }
        // The end of one direction is the end of both: OPC UA has no half-open connections.
        to.shutdown(Shutdown::Both).ok();
        from.shutdown(Shutdown::Both).ok();
    });
}

/// One whole message chunk: its size is in the header (OPC 10000-6 §7.1.2.2).
fn read_chunk(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut chunk = vec![0; 8];
    from.read_exact(&mut chunk).ok()?;
    let size = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
    chunk.resize(usize::try_from(size).ok()?.max(8), 0);
    from.read_exact(&mut chunk[8..]).ok()?;
    Some(chunk)
}

fn replace(message: &mut [u8], certificate: &[u8], by: &[u8]) {
    let mut at = 0;
    while at + certificate.len() <= message.len() {
        if message[at..].starts_with(certificate) {
            message[at..at + by.len()].copy_from_slice(by);
            at += by.len();
        } else {
            at += 1;
        }
    }
}

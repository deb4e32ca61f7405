//! A TCP proxy that counts.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::Result;

/// What went over the wire, as the clients see it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) connections: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// What goes to this port and back while `visit` is given the proxy's URL.
pub(crate) fn count(port: u16, visit: impl FnOnce(&str) -> Result<()>) -> Result<Traffic> {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let (counters, is_over) = (Counters::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        let (counters, is_over) = (&counters, &is_over);
        let accepting = scope.spawn(move || -> io::Result<()> {
            loop {
                let (client, _) = listener.accept()?;
                if is_over.load(Ordering::Relaxed) {
                    return Ok(());
                }
                counters.connections.fetch_add(1, Ordering::Relaxed);
                let server = TcpStream::connect(server)?;
                client.set_nodelay(true)?;
                server.set_nodelay(true)?;
                let (to_client, from_server) = (client.try_clone()?, server.try_clone()?);
                scope.spawn(move || carry(client, server, &counters.sent));
                scope.spawn(move || carry(from_server, to_client, &counters.received));
            }
        });
        let visited = visit(&format!("opc.tcp://{address}/"));
        is_over.store(true, Ordering::Relaxed);
        // So that it looks. When it has failed already, it is not there to be waked.
        let _ = TcpStream::connect(address);
        accepting.join().map_err(|_| "the proxy panicked")??;
        visited
    })?;
    // All that were carrying have ended with the scope.
    Ok(Traffic {
        connections: counters.connections.into_inner(),
        sent: counters.sent.into_inner(),
        received: counters.received.into_inner(),
    })
}

#[derive(Default)]
struct Counters {
    connections: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// Ends both directions when one has ended: after either side has closed, OPC UA has nothing to say.
fn carry(mut from: TcpStream, mut to: TcpStream, counter: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        let Some(bytes) = buffer.get(..len) else { break };
        if to.write_all(bytes).is_err() {
            break;
        }
        counter.fetch_add(u64::try_from(len).unwrap_or_default(), Ordering::Relaxed);
    }
    for stream in [from, to] {
        // It may be closed already.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

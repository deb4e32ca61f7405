//! A TCP relay that counts the connections through it: what a session's end looks like from outside.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub(crate) struct Relay {
    address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    total: AtomicUsize,
}

impl Relay {
    #[cfg(feature = "store")]
    pub(crate) fn to_port(port: u16) -> Self {
        Self::to_ports(vec![port])
    }

    /// The first connection goes to the first port, and so on; all that come later to the last one.
    pub(crate) fn to_ports(ports: Vec<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        thread::spawn(move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                let port = ports[number.min(ports.len() - 1)];
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                counted.open.fetch_add(1, Ordering::SeqCst);
                counted.total.fetch_add(1, Ordering::SeqCst);
                let (to_server, to_client) = (pump(&client, &server), pump(&server, &client));
                let counted = Arc::clone(&counted);
                thread::spawn(move || {
                    to_server.join().ok();
                    to_client.join().ok();
                    counted.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, counts }
    }

    pub(crate) fn endpoint_url(&self) -> String {
        format!("opc.tcp://{}", self.address)
    }

    #[cfg(feature = "store")]
    pub(crate) fn open_connections(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.counts.total.load(Ordering::SeqCst)
    }
}

fn pump(from: &TcpStream, to: &TcpStream) -> thread::JoinHandle<()> {
    let mut from = from.try_clone().expect("a second handle");
    let mut to = to.try_clone().expect("a second handle");
    thread::spawn(move || {
        let mut buffer = [0; 16_384];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        // The end of one direction is the end of both: OPC UA has no half-open connections.
        to.shutdown(Shutdown::Both).ok();
        from.shutdown(Shutdown::Both).ok();
    })
}

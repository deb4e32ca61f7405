//! A TCP relay that counts the connections and messages through it, holds them up and loses them: what a session's life
//! looks like from outside, and what networks do to it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub(crate) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    open: AtomicUsize,
    total: AtomicUsize,
    /// Messages from clients by type.
    opens: AtomicUsize,
    closes: AtomicUsize,
    messages: AtomicUsize,
    /// Whether nothing is passed on at present.
    held: AtomicBool,
    /// Connections with a smaller number are lost without the client's having been told.
    lost_before: AtomicUsize,
    servers: Mutex<Vec<(usize, TcpStream)>>,
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
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                let port = ports[number.min(ports.len() - 1)];
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                accepting.open.fetch_add(1, Ordering::SeqCst);
                let number = accepting.total.fetch_add(1, Ordering::SeqCst);
                let known = server.try_clone().expect("a second handle");
                accepting.servers.lock().unwrap().push((number, known));
                let pipe = |from: &TcpStream, to: &TcpStream, from_client| Pipe {
                    from: from.try_clone().expect("a second handle"),
                    to: to.try_clone().expect("a second handle"),
                    number,
                    from_client,
                    shared: Arc::clone(&accepting),
                };
                let pipes = [pipe(&client, &server, true), pipe(&server, &client, false)];
                let pumps = pipes.map(|pipe| thread::spawn(move || pipe.pump()));
                let shared = Arc::clone(&accepting);
                thread::spawn(move || {
                    for pump in pumps {
                        pump.join().ok();
                    }
                    shared.servers.lock().unwrap().retain(|(known, _)| *known != number);
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, shared }
    }

    pub(crate) fn endpoint_url(&self) -> String {
        format!("opc.tcp://{}", self.address)
    }

    #[cfg(feature = "store")]
    pub(crate) fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.total.load(Ordering::SeqCst)
    }

    /// How many `OpenSecureChannel` requests clients have sent, renewals included.
    pub(crate) fn opens(&self) -> usize {
        self.shared.opens.load(Ordering::SeqCst)
    }

    /// How many `CloseSecureChannel` requests clients have sent.
    pub(crate) fn closes(&self) -> usize {
        self.shared.closes.load(Ordering::SeqCst)
    }

    /// How many other requests clients have sent.
    pub(crate) fn messages(&self) -> usize {
        self.shared.messages.load(Ordering::SeqCst)
    }

    /// Holds up what comes, in both directions, until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.shared.held.store(true, Ordering::SeqCst);
    }

    pub(crate) fn release(&self) {
        self.shared.held.store(false, Ordering::SeqCst);
    }

    /// Loses the connections there are: the server sees them closed, the client hears nothing, as after a router's restart.
    pub(crate) fn lose(&self) {
        self.shared.lost_before.store(self.connections(), Ordering::SeqCst);
        for (_, server) in self.shared.servers.lock().unwrap().iter() {
            server.shutdown(Shutdown::Both).ok();
        }
    }
}

/// One direction of a connection.
struct Pipe {
    from: TcpStream,
    to: TcpStream,
    number: usize,
    from_client: bool,
    shared: Arc<Shared>,
}

impl Pipe {
    fn pump(mut self) {
        let mut buffer = [0; 16_384];
        let mut sniffer = Sniffer::default();
        while let Ok(count @ 1..) = self.from.read(&mut buffer) {
            if self.from_client {
                sniffer.note(&buffer[..count], &self.shared);
            }
            while self.shared.held.load(Ordering::SeqCst) && !self.is_lost() {
                thread::sleep(Duration::from_millis(1));
            }
            if !self.is_lost() && self.to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        if self.is_lost() && !self.from_client {
            return;
        }
        // The end of one direction is the end of both: OPC UA has no half-closed connections.
        self.to.shutdown(Shutdown::Both).ok();
        self.from.shutdown(Shutdown::Both).ok();
    }

    fn is_lost(&self) -> bool {
        self.number < self.shared.lost_before.load(Ordering::SeqCst)
    }
}

/// Finds the messages in what a client sends (OPC 10000-6 §7.1.2.2): three bytes of type, one, four of length.
#[derive(Default)]
struct Sniffer {
    header: Vec<u8>,
    left: usize,
}

impl Sniffer {
    fn note(&mut self, mut bytes: &[u8], shared: &Shared) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            self.header.push(bytes[0]);
            bytes = &bytes[1..];
            if let [kind @ .., _, a, b, c, d] = self.header.as_slice()
                && kind.len() == 3
            {
                match kind {
                    b"OPN" => drop(shared.opens.fetch_add(1, Ordering::SeqCst)),
                    b"CLO" => drop(shared.closes.fetch_add(1, Ordering::SeqCst)),
                    b"MSG" => drop(shared.messages.fetch_add(1, Ordering::SeqCst)),
                    _ => {}
                }
                let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
                self.left = length.saturating_sub(self.header.len());
                self.header.clear();
            }
        }
    }
}

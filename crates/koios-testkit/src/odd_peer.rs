//! What may listen at a port instead of an OPC UA server.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// How an [`OddPeer`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OddKind {
    /// Reads what comes (a HELLO) and closes without a word.
    ClosesAfterHello,
    /// Accepts and closes.
    ClosesAtOnce,
    /// Opens a channel without security as a server does, and answers the first request with chunks without end.
    EndlessAnswer,
    /// Sends random-looking bytes without end.
    Garbage,
    /// Answers HELLO as a server does, then sends random-looking bytes without end.
    GarbageAfterHello,
    /// Answers anything with `HTTP/1.1 400 Bad Request` and closes, as most HTTP servers do.
    Http,
    /// Waits for the first bytes, then resets the connection.
    Resets,
    /// Accepts, reads, never answers.
    Silent,
    /// Answers HELLO as a server does, then nothing any more.
    SilentAfterHello,
    /// An HTTP server that waits for a line end, which no HELLO has: as Python's `http.server`.
    SilentHttp,
    /// Begins a proper ACK and sends it one byte at a time, never ending.
    SlowDrip,
    /// Says `SSH-2.0-…` at once, then waits.
    Ssh,
    /// Answers anything with a TLS alert and closes.
    Tls,
}

impl OddKind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::ClosesAfterHello,
        Self::ClosesAtOnce,
        Self::EndlessAnswer,
        Self::Garbage,
        Self::GarbageAfterHello,
        Self::Http,
        Self::Resets,
        Self::Silent,
        Self::SilentAfterHello,
        Self::SilentHttp,
        Self::SlowDrip,
        Self::Ssh,
        Self::Tls,
    ];
}

/// A listener on a free port of 127.0.0.1 that is no OPC UA server; it stops when dropped.
#[derive(Debug)]
pub struct OddPeer {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    connections: AtomicUsize,
}

impl OddPeer {
    /// Starts it; it listens when this returns.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub fn start(kind: OddKind) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&accepting);
                // The thread ends when the other side goes away (an error), or with the peer. What it could not send or
                // read is no concern of anybody.
                thread::spawn(move || kind.serve(stream, &shared.stopped));
            }
        });
        Self { address, shared }
    }

    /// `opc.tcp://127.0.0.1:<port>`.
    pub fn endpoint_url(&self) -> String {
        format!("opc.tcp://{}", self.address)
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for OddPeer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees the flag and closes the port.
        let _ = TcpStream::connect(self.address);
    }
}

impl OddKind {
    fn serve(self, mut stream: TcpStream, stopped: &AtomicBool) {
        let mut buffer = [0; 4096];
        match self {
            Self::ClosesAfterHello => {
                let _ = stream.read(&mut buffer);
            }
            Self::ClosesAtOnce => {}
            Self::EndlessAnswer => answer_without_end(&mut stream, stopped),
            Self::Garbage => send_garbage(&mut stream, stopped),
            Self::GarbageAfterHello => {
                if acknowledge(&mut stream).is_some() {
                    send_garbage(&mut stream, stopped);
                }
            }
            Self::Http => {
                let _ = stream.read(&mut buffer);
                let body = "Bad Request";
                let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n";
                let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
            }
            Self::Resets => {
                // Closing a socket with unread bytes sends RST instead of FIN (RFC 2525 §2.17).
                let _ = stream.peek(&mut buffer);
            }
            Self::Silent => read_until_closed(&mut stream, stopped),
            Self::SilentAfterHello => {
                if acknowledge(&mut stream).is_some() {
                    read_until_closed(&mut stream, stopped);
                }
            }
            Self::SilentHttp => {
                let mut request = Vec::new();
                while !request.ends_with(b"\n") {
                    match stream.read(&mut buffer) {
                        Ok(0) | Err(_) => return,
                        Ok(length) => request.extend_from_slice(&buffer[..length]),
                    }
                }
                let _ = stream.write_all(b"HTTP/1.0 400 Bad request syntax\r\nConnection: close\r\n\r\n");
            }
            Self::SlowDrip => {
                // A message header of 64 KiB (OPC 10000-6 §7.1.2.2), so that the end is hours away.
                let header = b"ACKF\x00\x00\x01\x00";
                for byte in header.iter().copied().chain(std::iter::repeat(0)) {
                    if stopped.load(Ordering::SeqCst) || stream.write_all(&[byte]).is_err() {
                        return;
                    }
                    thread::sleep(Duration::from_millis(100));
                }
            }
            Self::Ssh => {
                let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n");
                read_until_closed(&mut stream, stopped);
            }
            Self::Tls => {
                let _ = stream.read(&mut buffer);
                // Alert record, TLS 1.2, fatal unexpected_message (RFC 5246 §7.2).
                let _ = stream.write_all(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0A]);
            }
        }
    }
}

/// Reads HELLO and answers it (OPC 10000-6 §7.1.2.4).
fn acknowledge(stream: &mut TcpStream) -> Option<()> {
    read_message(stream)?;
    let mut acknowledge = b"ACKF\x1c\0\0\0".to_vec();
    // Protocol version, receive and send buffer, no limit of message size and chunk count.
    for value in [0_u32, BUFFER_SIZE, BUFFER_SIZE, 0, 0] {
        acknowledge.extend(value.to_le_bytes());
    }
    stream.write_all(&acknowledge).ok()
}

/// One message, its header included: its size stands there (OPC 10000-6 §7.1.2.2).
fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = vec![0; 8];
    stream.read_exact(&mut message).ok()?;
    let size = u32::from_le_bytes(message[4..8].try_into().ok()?).min(BUFFER_SIZE);
    message.resize(usize::try_from(size).ok()?.max(8), 0);
    stream.read_exact(&mut message[8..]).ok()?;
    Some(message)
}

fn answer_without_end(stream: &mut TcpStream, stopped: &AtomicBool) {
    let served = acknowledge(stream)
        .and_then(|()| read_message(stream))
        .and_then(|request| stream.write_all(&open_secure_channel_response(&request)?).ok())
        .and_then(|()| read_message(stream));
    let Some(request) = served else { return };
    let Some(request_id) = request.get(20..24) else { return };
    for sequence_number in 2_u32.. {
        let mut chunk = b"MSGC\0\x20\0\0".to_vec();
        // Channel and token (OPC 10000-6 §6.7.2.4), both as they were given below.
        chunk.extend([1, 0, 0, 0, 1, 0, 0, 0]);
        chunk.extend(sequence_number.to_le_bytes());
        chunk.extend(request_id);
        chunk.resize(0x2000, 0);
        if stopped.load(Ordering::SeqCst) || stream.write_all(&chunk).is_err() {
            return;
        }
    }
}

/// The answer to a request for a channel without security (OPC 10000-6 §6.7.2, OPC 10000-4 §5.6.2).
fn open_secure_channel_response(request: &[u8]) -> Option<Vec<u8>> {
    // Header and channel, the policy's URI, two empty byte strings, sequence number.
    let policy = 4 + usize::try_from(u32::from_le_bytes(request.get(12..16)?.try_into().ok()?)).ok()?;
    let request_id = 12 + policy + 8 + 4;
    // Type, authentication token, timestamp.
    let request_handle = request_id + 4 + 4 + 2 + 8;
    let mut response = b"OPNF\0\0\0\0\x01\0\0\0".to_vec();
    response.extend(request.get(12..12 + policy)?);
    response.extend([0xff; 8]);
    response.extend(1_u32.to_le_bytes());
    response.extend(request.get(request_id..request_id + 4)?);
    // OpenSecureChannelResponse: i=449; the timestamp is none.
    response.extend([0x01, 0x00, 0xc1, 0x01]);
    response.extend([0; 8]);
    response.extend(request.get(request_handle..request_handle + 4)?);
    // Good, no diagnostics, no strings, no additional header, protocol version.
    response.extend([0; 4 + 1]);
    response.extend([0xff; 4]);
    response.extend([0; 3 + 4]);
    // Channel 1 with token 1, made at no time, for an hour; no nonce.
    response.extend([1, 0, 0, 0, 1, 0, 0, 0]);
    response.extend([0; 8]);
    response.extend(3_600_000_u32.to_le_bytes());
    response.extend([0xff; 4]);
    let size = u32::try_from(response.len()).ok()?;
    response[4..8].copy_from_slice(&size.to_le_bytes());
    Some(response)
}

fn send_garbage(stream: &mut TcpStream, stopped: &AtomicBool) {
    let mut buffer = [0; 4096];
    // xorshift (Marsaglia 2003): the same bytes each time.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    while !stopped.load(Ordering::SeqCst) {
        for bytes in buffer.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.copy_from_slice(&state.to_le_bytes());
        }
        if stream.write_all(&buffer).is_err() {
            return;
        }
    }
}

fn read_until_closed(stream: &mut TcpStream, stopped: &AtomicBool) {
    let mut buffer = [0; 4096];
    // The time-out only serves to look at the flag.
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    while !stopped.load(Ordering::SeqCst) {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

/// What the peers that answer HELLO take and send at most: 64 KiB, as most stacks.
const BUFFER_SIZE: u32 = 0x1_0000;

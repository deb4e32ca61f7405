//! How connections come about: several addresses, streams made elsewhere, servers that connect to us.

use std::net::{Ipv4Addr, SocketAddr};

use koios_channel::{
    Connection, Fault, Incoming, Limits, ReverseListener, Security, SecurityMode, SecurityPolicy, Stage,
    UserIdentity, connect,
};
use koios_testkit::{ServerOptions, Stack, start_or_skip};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Client, certificate, soon, url};

/// A port whose queue is full: what comes is neither taken nor refused.
struct FullPort {
    address: SocketAddr,
    _listener: std::os::fd::OwnedFd,
    _waiting: Vec<tokio::task::JoinHandle<()>>,
}

impl FullPort {
    fn new() -> Self {
        use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, getsockname, listen, socket};
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        listen(&listener, 0).unwrap();
        let address = SocketAddrV4::try_from(getsockname(&listener).unwrap()).unwrap().into();
        // The kernel lets in one more than it was told.
        let waiting = (0..4).map(|_| {
            tokio::spawn(async move {
                let stream = TcpStream::connect(address).await;
                std::future::pending::<()>().await;
                drop(stream);
            })
        });
        Self { address, _waiting: waiting.collect(), _listener: listener }
    }

    /// Until one that comes is not let in any more.
    async fn fill(&self) {
        let mut let_in = Vec::new();
        while let Ok(stream) =
            tokio::time::timeout(std::time::Duration::from_millis(300), TcpStream::connect(self.address))
                .await
        {
            let_in.push(stream);
            assert!(let_in.len() < 100, "the queue never fills");
        }
        // Those that were let in stay.
        std::mem::forget(let_in);
    }
}

#[tokio::test]
async fn an_address_that_says_nothing_does_not_keep_the_next_one_from_being_tried() {
    let silent = FullPort::new();
    silent.fill().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = listener.local_addr().unwrap();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    for addresses in [&[silent.address, good][..], &[silent.address, closed, good], &[closed, good], &[good]]
    {
        let connection = connect(addresses, soon()).await.unwrap();
        assert_eq!(connection.peer_addr(), Some(good), "{addresses:?}");
    }
    let error = connect(&[closed, closed], soon()).await.unwrap_err();
    assert_eq!((error.stage, error.fault), (Stage::Connect, Fault::Refused));
    let short = koios_channel::Deadline::after(std::time::Duration::from_millis(400));
    let error = connect(&[silent.address], short).await.unwrap_err();
    assert_eq!((error.stage, error.fault), (Stage::Connect, Fault::TimedOut));
    let error = connect(&[], soon()).await.unwrap_err();
    assert_eq!((error.stage, error.fault), (Stage::Connect, Fault::NotResolved));
}

#[tokio::test]
async fn a_conversation_runs_on_a_stream_that_was_made_elsewhere() {
    let own = certificate(2048);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, ServerOptions::trusting(&[&own])) else { return };
    // A tunnel: our end in memory, the other one at the server.
    let (ours, mut theirs) = tokio::io::duplex(1000);
    let port = server.port();
    let tunnel = tokio::spawn(async move {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut theirs, &mut stream).await;
    });
    let client = Client::of(&server, &own).await;
    let connection = Connection::from_stream(ours);
    assert_eq!(connection.peer_addr(), None);
    let transport = connection.hello(&url(&server), Limits::default(), soon()).await.unwrap();
    let mut session = client
        .session_on(
            transport,
            SecurityPolicy::Basic256Sha256,
            SecurityMode::SignAndEncrypt,
            &UserIdentity::Anonymous,
        )
        .await
        .unwrap();
    session.read_server_status(soon()).await.unwrap();
    session.close(soon()).await.unwrap();
    tunnel.await.unwrap();
}

/// The next one that comes and says which server it is.
async fn next(listener: &ReverseListener) -> koios_channel::ReverseConnection {
    listener.accept().await.unwrap().reverse_hello(soon()).await.unwrap()
}

#[tokio::test]
async fn a_server_that_connects_by_itself_is_asked_for_its_endpoints_and_given_a_session() {
    let own = certificate(2048);
    let listener = ReverseListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mut options = ServerOptions::trusting(&[&own]);
    options.reverse_connect = Some(format!("opc.tcp://{}", listener.local_addr().unwrap()));
    let Some(server) = start_or_skip(Stack::Open62541, options) else { return };
    let reverse = next(&listener).await;
    assert_eq!(reverse.server_uri(), server.application_uri());
    let endpoint_url = reverse.endpoint_url().clone();
    let transport = reverse.into_connection().hello(&endpoint_url, Limits::default(), soon()).await.unwrap();
    let mut channel = transport.open(Security::None, soon()).await.unwrap();
    let endpoints = channel.get_endpoints(&endpoint_url, soon()).await.unwrap();
    channel.close(soon()).await;

    // It comes again once it was let go.
    let client = Client { url: endpoint_url.clone(), endpoints, ..Client::of(&server, &own).await };
    let reverse = next(&listener).await;
    let transport = reverse.into_connection().hello(&endpoint_url, Limits::default(), soon()).await.unwrap();
    let mut session = client
        .session_on(
            transport,
            SecurityPolicy::Basic256Sha256,
            SecurityMode::SignAndEncrypt,
            &UserIdentity::Anonymous,
        )
        .await
        .unwrap();
    session.read_server_status(soon()).await.unwrap();
    session.close(soon()).await.unwrap();
}

async fn incoming(listener: &ReverseListener, bytes: &[u8]) -> (Incoming, TcpStream) {
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    (listener.accept().await.unwrap(), stream)
}

#[tokio::test]
async fn who_connects_and_is_no_server_is_told_from_who_says_nothing() {
    let listener = ReverseListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (web, _stream) = incoming(&listener, b"GET / HTTP/1.1\r\n\r\n").await;
    let error = web.reverse_hello(soon()).await.unwrap_err();
    assert!(matches!((error.stage, &error.fault), (Stage::Hello, Fault::NotOpcUa { .. })), "{error}");
    let (huge, _stream) = incoming(&listener, b"RHEF\xFF\xFF\xFF\x7F").await;
    assert!(matches!(huge.reverse_hello(soon()).await.unwrap_err().fault, Fault::Decoding { .. }));
    let (gone, stream) = incoming(&listener, b"RHEF").await;
    drop(stream);
    assert_eq!(gone.reverse_hello(soon()).await.unwrap_err().fault, Fault::Closed { received: true });
    let (silent, _stream) = incoming(&listener, b"").await;
    let short = koios_channel::Deadline::after(std::time::Duration::from_millis(50));
    assert_eq!(silent.reverse_hello(short).await.unwrap_err().fault, Fault::TimedOut);
}

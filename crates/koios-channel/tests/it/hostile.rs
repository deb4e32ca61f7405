//! Servers that speak OPC UA until they do not: never a hang, always the right stage and origin.

use std::time::Duration;

use koios_channel::{
    CertificateSending, ChannelError, Deadline, EndpointUrl, Fault, Origin, Security, SecurityMode,
    SecurityPolicy, Stage, StatusCode,
};
use koios_pki::{Certificate, CertificateChain};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{certificate, hello, identity, soon};

/// What a server does next.
#[derive(Clone)]
enum Act {
    /// Waits for a whole frame.
    Read,
    Send(Vec<u8>),
    /// Sends these over and over, a few every other millisecond.
    Forever(Vec<u8>),
    /// Says nothing more and keeps the connection open.
    Hold,
}

/// Plays `acts` to every connection, then closes it.
async fn server(acts: Vec<Act>) -> EndpointUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("opc.tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(play(stream, acts.clone()));
        }
    });
    EndpointUrl::parse(&url).unwrap()
}

/// Ends when the acts are over or the client goes away.
async fn play(mut stream: TcpStream, acts: Vec<Act>) -> std::io::Result<()> {
    for act in acts {
        match act {
            Act::Read => {
                let mut header = [0; 8];
                stream.read_exact(&mut header).await?;
                let size = u32::from_le_bytes(header[4..].try_into().unwrap());
                let mut rest = vec![0; usize::try_from(size).unwrap() - header.len()];
                stream.read_exact(&mut rest).await?;
            }
            Act::Send(bytes) => stream.write_all(&bytes).await?,
            Act::Forever(bytes) => loop {
                stream.write_all(&bytes).await?;
                tokio::time::sleep(Duration::from_millis(2)).await;
            },
            Act::Hold => std::future::pending().await,
        }
    }
    Ok(())
}

fn frame(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap();
    [kind.as_slice(), &size.to_le_bytes(), body].concat()
}

fn numbers(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn byte_string(bytes: &[u8]) -> Vec<u8> {
    [numbers(&[u32::try_from(bytes.len()).unwrap()]), bytes.to_vec()].concat()
}

fn acknowledge() -> Vec<u8> {
    frame(b"ACKF", &numbers(&[0, 65_536, 65_536, 0, 0]))
}

fn err(status: u32, reason: &str) -> Vec<u8> {
    frame(b"ERRF", &[numbers(&[status]), byte_string(reason.as_bytes())].concat())
}

/// Type and header of a response.
fn response(type_id: u16, status: u32) -> Vec<u8> {
    let id = type_id.to_le_bytes();
    [&[1, 0, id[0], id[1]], [0; 8].as_slice(), &numbers(&[1, status]), &[0], &numbers(&[0]), &[0; 3]].concat()
}

/// An OPN without security, the answer to the first request.
fn plain_open(body: &[u8]) -> Vec<u8> {
    let uri = byte_string(SecurityPolicy::None.uri().as_bytes());
    let header = [numbers(&[7]), uri, numbers(&[u32::MAX, u32::MAX]), numbers(&[1, 1])].concat();
    frame(b"OPNF", &[header, body.to_vec()].concat())
}

/// A good answer to an OPN without security.
fn opened() -> Vec<u8> {
    plain_open(&[response(449, 0), numbers(&[0, 7, 1, 0, 0, 60_000, u32::MAX])].concat())
}

const SERVICE_FAULT: u16 = 397;

async fn at_hello(acts: Vec<Act>, deadline: Deadline) -> ChannelError {
    hello(&server(acts).await, deadline).await.unwrap_err()
}

/// The failure of a secured OpenSecureChannel, after a proper ACK.
async fn at_open(acts: Vec<Act>, deadline: Deadline) -> ChannelError {
    let acts = [vec![Act::Read, Act::Send(acknowledge()), Act::Read], acts].concat();
    let transport = hello(&server(acts).await, soon()).await.unwrap();
    let other =
        koios_testkit::CertificateSpec::application("urn:koios:test:server").with_shared_key(2048, 1).make();
    let security = Security::Secure {
        policy: SecurityPolicy::Basic256Sha256,
        mode: SecurityMode::SignAndEncrypt,
        identity: identity(&certificate(2048)),
        server_certificate: CertificateChain::new(Certificate::from_der(other.der()).unwrap(), Vec::new()),
        sending: CertificateSending::Chain,
    };
    let error = transport.open(security, deadline).await.unwrap_err();
    assert_eq!(error.stage, Stage::OpenSecureChannel);
    error
}

/// The failure of GetEndpoints on a channel without security.
async fn at_get_endpoints(acts: Vec<Act>, deadline: Deadline) -> ChannelError {
    let acts =
        [vec![Act::Read, Act::Send(acknowledge()), Act::Read, Act::Send(opened()), Act::Read], acts].concat();
    let url = server(acts).await;
    let mut channel = hello(&url, soon()).await.unwrap().open(Security::None, soon()).await.unwrap();
    let error = channel.get_endpoints(&url, deadline).await.unwrap_err();
    assert_eq!(error.stage, Stage::GetEndpoints);
    error
}

fn short() -> Deadline {
    Deadline::after(Duration::from_millis(300))
}

#[tokio::test]
async fn a_broken_answer_to_hello_is_our_refusal() {
    for (answer, what) in [
        (b"ACKF\xff\xff\xff\xff".to_vec(), "4 GiB"),
        (b"ACKF\x07\0\0\0".to_vec(), "shorter than its header"),
        (frame(b"ACKF", &[0; 8]), "cut short"),
        (frame(b"ACKF", &numbers(&[0, 16, 16, 0, 0])), "tiny buffers"),
        (frame(b"MSGF", &[0; 24]), "another message"),
        (frame(b"ACKX", &[0; 20]), "another chunk kind"),
        (frame(b"HELF", &[0; 24]), "a HELLO"),
    ] {
        let error = at_hello(vec![Act::Read, Act::Send(answer), Act::Hold], soon()).await;
        assert_eq!((error.stage, error.origin), (Stage::Hello, Origin::Local), "{what}: {error}");
    }
}

#[tokio::test]
async fn a_refusal_of_hello_is_the_peers_even_when_it_comes_before_hello() {
    for acts in [
        vec![Act::Read, Act::Send(err(0x8083_0000, "no such path"))],
        vec![Act::Send(err(0x8083_0000, "no such path"))],
    ] {
        let error = at_hello(acts, soon()).await;
        assert_eq!((error.stage, error.origin, &error.fault), (Stage::Hello, Origin::Peer, &Fault::Err));
        assert_eq!(error.status, Some(StatusCode::BAD_TCP_ENDPOINT_URL_INVALID));
        assert_eq!(error.reason.as_deref(), Some("no such path"));
    }
    let error = at_hello(vec![Act::Read, Act::Send(err(0, "good bye"))], soon()).await;
    assert_eq!((error.origin, error.fault, error.status), (Origin::Peer, Fault::MalformedErr, None));
}

#[tokio::test]
async fn a_close_says_at_which_stage_and_whether_anything_had_come() {
    let error = at_open(vec![], soon()).await;
    assert_eq!((error.origin, error.fault), (Origin::Transport, Fault::Closed { received: false }));
    let answer = plain_open(&response(SERVICE_FAULT, 0x8013_0000));
    for len in [1, 3, 4, 7, 8, 12, 40, answer.len() - 1] {
        let error = at_open(vec![Act::Send(answer[..len].to_vec())], soon()).await;
        assert_eq!(
            (error.origin, error.fault),
            (Origin::Transport, Fault::Closed { received: true }),
            "{len}"
        );
    }
    let error = at_get_endpoints(vec![], soon()).await;
    assert_eq!((error.origin, error.fault), (Origin::Transport, Fault::Closed { received: false }));
}

#[tokio::test]
async fn silence_and_a_drip_without_end_stop_at_the_deadline() {
    let error = at_open(vec![Act::Hold], short()).await;
    assert_eq!((error.origin, error.fault), (Origin::Transport, Fault::TimedOut));
    let start = b"OPNF\x00\xf0\0\0".to_vec();
    let error = at_open(vec![Act::Send(start), Act::Forever(vec![0])], short()).await;
    assert_eq!((error.origin, error.fault), (Origin::Transport, Fault::TimedOut));
    let error = at_get_endpoints(vec![Act::Hold], short()).await;
    assert_eq!((error.origin, error.fault), (Origin::Transport, Fault::TimedOut));
}

#[tokio::test]
async fn a_forged_answer_without_security_is_a_hint_or_nothing() {
    let refusal = plain_open(&response(SERVICE_FAULT, 0x8013_0000));
    let error = at_open(vec![Act::Send(refusal)], soon()).await;
    assert_eq!((error.origin, error.fault), (Origin::Peer, Fault::UnsecuredFault));
    assert_eq!(error.status, Some(StatusCode::BAD_SECURITY_CHECKS_FAILED));

    let error = at_open(vec![Act::Send(opened())], soon()).await;
    assert_eq!((error.origin, error.fault), (Origin::Local, Fault::Downgraded));
}

#[tokio::test]
async fn a_refusal_of_the_channel_says_what_the_server_said() {
    let error = at_open(vec![Act::Send(err(0x8055_0000, "policy"))], soon()).await;
    assert_eq!((error.origin, error.fault), (Origin::Peer, Fault::Err));
    assert_eq!(error.status, Some(StatusCode::BAD_SECURITY_POLICY_REJECTED));

    // node-opcua before 2.182.
    let body = [
        numbers(&[0x0000_0007]),
        byte_string(SecurityPolicy::Basic256Sha256.uri().as_bytes()),
        byte_string(&[0x30; 900]),
        byte_string(&[1; 20]),
        numbers(&[1, 1]),
        response(SERVICE_FAULT, 0x8014_0000),
    ];
    let error = at_open(vec![Act::Send(frame(b"ERRF", &body.concat()))], soon()).await;
    assert_eq!((error.origin, error.fault), (Origin::Peer, Fault::MalformedErr));
    assert_eq!(error.status.unwrap().name(), "BadCertificateTimeInvalid");
}

#[tokio::test]
async fn an_answer_that_is_none_is_our_refusal() {
    for (answer, what) in [
        (frame(b"MSGF", &[0; 30]), "MSG"),
        (frame(b"ACKF", &[0; 30]), "ACK"),
        (frame(b"OPNC", &[0; 30]), "an OPN in chunks"),
        (frame(b"OPNF", &[0xff; 30]), "nonsense"),
        (frame(b"OPNF", &[]), "nothing"),
        (plain_open(&[]), "no body"),
        (plain_open(&response(1, 0)), "another type"),
        (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), "another protocol"),
        (b"OPNF\xff\xff\xff\xff".to_vec(), "4 GiB"),
    ] {
        let error = at_open(vec![Act::Send(answer), Act::Hold], soon()).await;
        assert_eq!(error.origin, Origin::Local, "{what}: {error}");
    }
}

#[tokio::test]
async fn chunks_without_end_stop_at_the_limit() {
    // The sequence number stays the same, so even the second one is refused; with right numbers the limit on chunks
    // refuses the 513th, which the conversation's own tests show.
    let chunk = frame(b"MSGC", &[numbers(&[7, 1, 2, 2]), vec![0; 1000]].concat());
    let error = at_get_endpoints(vec![Act::Forever(chunk)], soon()).await;
    assert_eq!(
        (error.origin, error.fault),
        (Origin::Local, Fault::SequenceNumber { previous: 2, received: 2 })
    );
    let mut chunks = Vec::new();
    for sequence_number in 2..600 {
        chunks.push(Act::Send(frame(b"MSGC", &numbers(&[7, 1, sequence_number, 2]))));
    }
    let error = at_get_endpoints(chunks, soon()).await;
    assert_eq!(error.fault, Fault::LimitExceeded { what: "answer in chunks", size: 513, limit: 512 });
}

/// The step that was cut off left its answer on the way: the channel is not used for another one.
#[tokio::test]
async fn after_a_deadline_the_channel_takes_no_further_step() {
    let acts = vec![Act::Read, Act::Send(acknowledge()), Act::Read, Act::Send(opened()), Act::Hold];
    let url = server(acts).await;
    let mut channel = hello(&url, soon()).await.unwrap().open(Security::None, soon()).await.unwrap();
    assert_eq!(channel.get_endpoints(&url, short()).await.unwrap_err().fault, Fault::TimedOut);
    let error = channel.get_endpoints(&url, soon()).await.unwrap_err();
    assert_eq!((error.origin, error.fault), (Origin::Local, Fault::NotReady));
    channel.close(soon()).await;
}

//! Servers that cut, flip, repeat, reorder and exaggerate what an honest one says, at every step.

use super::session::{a_session_request, activated, active, proof};
use super::*;
use crate::chunk::asymmetric::SecurityHeader;
use crate::keys::ClientIdentity;
use crate::test_server::server_for;
use crate::wire::finish;

/// A client that waits, and the answer of an honest server.
struct Awaiting {
    client: Conversation,
    answer: Vec<u8>,
    stage: Stage,
}

type Step = fn() -> Awaiting;

/// Every step with an answer of its own kind of protection, by name.
const STEPS: [(&str, Step); 11] = [
    ("hello", hello),
    ("plain open", || open_of(None)),
    ("open under RSA", || open_of(Some(POLICY))),
    ("open on a curve", || open_of(Some(SecurityPolicy::EccNistP256))),
    ("open on a curve, bound", || open_of(Some(SecurityPolicy::EccNistP256AesGcm))),
    ("renewal", renewal),
    ("plain endpoints", || endpoints(false)),
    ("endpoints", || endpoints(true)),
    ("session", session),
    ("user", user),
    ("end of a session", end_of_session),
];

fn hello() -> Awaiting {
    let mut client = Conversation::new(Limits::default(), Counter(0));
    client.hello(&url()).unwrap();
    Awaiting { client, answer: TestServer::acknowledge(65_536), stage: Stage::Hello }
}

fn open_of(policy: Option<SecurityPolicy>) -> Awaiting {
    let mut client = acknowledged(65_536);
    let mut server = TestServer::new(policy.map(|policy| (policy, MODE)));
    let asked = policy.map_or(Security::None, |policy| security(policy, MODE));
    let request = server.read_open(&client.open(asked, TIMING).unwrap());
    Awaiting { client, answer: server.answer_open(&request), stage: Stage::OpenSecureChannel }
}

fn renewal() -> Awaiting {
    let (mut client, mut server) = opened(true);
    let request = server.read_open(&client.renew(TIMING).unwrap());
    Awaiting { client, answer: server.answer_open(&request), stage: Stage::RenewSecureChannel }
}

fn endpoints(secured: bool) -> Awaiting {
    let (mut client, mut server) = opened(secured);
    let request = ask(&mut client, &mut server);
    Awaiting { client, answer: server.answer(&request, &no_endpoints()), stage: Stage::GetEndpoints }
}

fn session() -> Awaiting {
    let (mut client, mut server) = opened(true);
    let request = server.read(&client.create_session(a_session_request(&SERVER), TIMING).unwrap());
    let body = server.created_session(&proof());
    Awaiting { client, answer: server.answer(&request, &body), stage: Stage::CreateSession }
}

fn user() -> Awaiting {
    let (mut client, mut server) = active();
    let request = server.read(&client.activate_session(&UserIdentity::Anonymous, TIMING).unwrap());
    Awaiting { client, answer: server.answer(&request, &activated(&[7; 32])), stage: Stage::ActivateSession }
}

fn end_of_session() -> Awaiting {
    let (mut client, mut server) = active();
    let request = server.read(&client.close_session(TIMING).unwrap());
    Awaiting { client, answer: server.answer(&request, &response(476, 0)), stage: Stage::CloseSession }
}

/// Drips byte by byte, and closes or falls silent after each one.
#[test]
fn an_answer_cut_off_at_any_byte_is_cut_off_at_its_stage() {
    for (name, step) in STEPS {
        let Awaiting { mut client, answer, stage } = step();
        let (last, rest) = answer.split_last().unwrap();
        for (at, byte) in rest.iter().enumerate() {
            let closed = client.closed();
            assert_eq!((closed.stage, closed.origin), (stage, Origin::Transport), "{name} at {at}");
            assert_eq!(closed.fault, Fault::Closed { received: at > 0 }, "{name} at {at}");
            let late = client.timed_out();
            assert_eq!(
                (late.stage, late.origin, &late.status),
                (stage, Origin::Transport, &None),
                "{name} at {at}"
            );
            client.receive(&[*byte]);
            assert_eq!(client.poll(), Ok(None), "{name} at {at}");
        }
        client.receive(&[*last]);
        assert!(matches!(client.poll(), Ok(Some(_))), "{name}");
    }
}

/// One bit in every byte of short messages, and in every eleventh of long ones, which meets every field.
#[test]
fn a_flipped_bit_is_refused_by_us_and_never_the_servers_word() {
    for (name, step) in STEPS {
        let len = step().answer.len();
        let stride = if len > 400 { 11 } else { 1 };
        for at in (0..len).step_by(stride) {
            let Awaiting { mut client, mut answer, stage } = step();
            answer[at] ^= 1 << (at % 8);
            client.receive(&answer);
            match client.poll() {
                Err(error) => {
                    assert_eq!(
                        (error.stage, error.origin),
                        (stage, Origin::Local),
                        "{name} at {at}: {error}"
                    );
                }
                // Its length has grown, and the rest never comes.
                Ok(None) => assert!((4..8).contains(&at), "{name} at {at}"),
                // Nobody vouches for what is neither signed nor encrypted.
                Ok(Some(_)) => assert!(stage == Stage::Hello || name.starts_with("plain"), "{name} at {at}"),
            }
        }
    }
}

#[test]
fn chunks_that_come_again_or_in_another_order_are_refused() {
    for secured in [false, true] {
        let pieces = |client: &mut Conversation, server: &mut TestServer| {
            let request = ask(client, server);
            let body = no_endpoints();
            let (first, second) = body.split_at(9);
            [
                server.chunk(ChunkKind::Intermediate, request.request_id, first),
                server.chunk(ChunkKind::Final, request.request_id, second),
            ]
        };
        let refused = |client: &mut Conversation, bytes: &[u8], expected| {
            let error = fault_of(client, bytes);
            assert_eq!((error.stage, error.origin), (Stage::GetEndpoints, Origin::Local));
            assert_eq!(error.fault, expected);
        };
        let (mut client, mut server) = opened(secured);
        let [first, second] = pieces(&mut client, &mut server);
        client.receive(&second);
        // Nothing says that the first one was not the whole before: the number does.
        refused(&mut client, &first, Fault::SequenceNumber { previous: 51, received: 53 });

        let (mut client, mut server) = opened(secured);
        let [first, _] = pieces(&mut client, &mut server);
        client.receive(&first);
        assert_eq!(client.poll(), Ok(None));
        refused(&mut client, &first, Fault::SequenceNumber { previous: 52, received: 52 });

        // A whole answer from before, for the next question.
        let (mut client, mut server) = opened(secured);
        let parts = pieces(&mut client, &mut server).concat();
        client.receive(&parts);
        assert_eq!(client.poll(), Ok(Some(Event::Endpoints(Vec::new()))));
        let _ = ask(&mut client, &mut server);
        refused(&mut client, &parts, Fault::SequenceNumber { previous: 53, received: 52 });
    }
}

#[test]
fn the_answer_to_the_first_open_is_none_to_a_renewal() {
    let (mut client, mut server, request) = opening(true);
    let first = server.answer_open(&request);
    client.receive(&first);
    client.poll().unwrap();
    client.renew(TIMING).unwrap();
    let error = fault_of(&mut client, &first);
    assert_eq!((error.stage, error.origin), (Stage::RenewSecureChannel, Origin::Local));
    assert_eq!(error.fault, Fault::SequenceNumber { previous: 51, received: 51 });
}

#[test]
fn an_unknown_token_and_another_channel_are_named() {
    for token in [0, 2, u32::MAX] {
        let Awaiting { mut client, mut answer, .. } = endpoints(true);
        answer[12..16].copy_from_slice(&token.to_le_bytes());
        assert_eq!(fault_of(&mut client, &answer).fault, Fault::UnknownToken { token });
    }
    let Awaiting { mut client, mut answer, .. } = endpoints(true);
    answer[8..12].copy_from_slice(&8_u32.to_le_bytes());
    let fault = fault_of(&mut client, &answer).fault;
    assert!(matches!(&fault, Fault::UnexpectedMessage { .. }), "{fault}");
}

/// An error must not pass for success because it calls itself good, nor the other way round.
#[test]
fn a_fault_that_is_good_is_a_fault_all_the_same() {
    for secured in [false, true] {
        for status in [0, 0x4000_0000, 0x00AB_0000] {
            let (mut client, mut server) = opened(secured);
            let request = ask(&mut client, &mut server);
            let bytes = server.answer(&request, &response(SERVICE_FAULT, status));
            let error = fault_of(&mut client, &bytes);
            assert_eq!((error.stage, error.origin), (Stage::GetEndpoints, Origin::Peer));
            assert_eq!(error.fault, Fault::ServiceFault);
            assert_eq!(error.status.filter(|status| status.is_bad()), None);
        }
    }
}

#[test]
fn messages_of_every_wrong_type_are_refused_at_every_step() {
    for (name, step) in STEPS {
        for kind in [b"HELF", b"ACKF", b"OPNF", b"OPNC", b"MSGA", b"CLOF", b"RHEF", b"XYZF", b"MSGX"] {
            let Awaiting { mut client, mut answer, stage } = step();
            // Without security an abort is the server's word, see `an_abort_is_the_servers_word`.
            if answer.starts_with(kind) || (kind == b"MSGA" && name == "plain endpoints") {
                continue;
            }
            answer[..4].copy_from_slice(kind);
            client.receive(&answer);
            let error = client.poll().unwrap_err();
            assert_eq!((error.stage, error.origin), (stage, Origin::Local), "{name}: {kind:?}: {error}");
            assert_eq!(client.poll().unwrap_err().fault, Fault::NotReady, "{name}: {kind:?}: it is over");
        }
    }
}

/// An OPN answer with `certificates` in its header, which the server signs for.
fn open_with(certificates: &[u8]) -> (Conversation, Vec<u8>) {
    let policy = SecurityPolicy::EccNistP256;
    let Awaiting { client, answer, .. } = open_of(Some(policy));
    let server: std::sync::Arc<ClientIdentity> = server_for(policy);
    let leaf = server.leaf().der();
    let header = SecurityHeader::read(&answer).unwrap();
    assert_eq!(header.certificates, leaf);
    let at = answer.windows(leaf.len()).position(|window| window == leaf).unwrap();
    let signature_len = server.key().signature_len();
    let mut message = answer[..at - 4].to_vec();
    put_byte_string(&mut message, Some(certificates));
    message.extend_from_slice(&answer[at + leaf.len()..answer.len() - signature_len]);
    let size = message.len() + signature_len;
    wire::finish_as(&mut message, size);
    let signature = server.key().sign(&Algorithms::of(policy).unwrap(), &message).unwrap();
    message.extend(signature);
    (client, message)
}

/// What follows the leaf cannot undo that its key has signed; it is only left out.
#[test]
fn odd_issuers_behind_the_servers_leaf_change_nothing() {
    let leaf = server_for(SecurityPolicy::EccNistP256).leaf().der().to_vec();
    let deep = [[0x30, 0x80].repeat(2000), vec![0; 4000]].concat();
    for behind in [
        &b""[..],
        &[0x30],
        &[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF],
        &[0x30, 0x80, 0x00, 0x00],
        &[0xFF; 500],
        &[0x30, 0x03, 0x02, 0x01, 0x00],
        &deep,
        &leaf[..leaf.len() - 1],
    ] {
        let (mut client, answer) = open_with(&[&leaf, behind].concat());
        client.receive(&answer);
        assert!(matches!(client.poll(), Ok(Some(Event::ChannelOpened { .. }))), "{:02X?}", behind.get(..6));
        let chain = client.server_chain().unwrap();
        assert_eq!((chain.leaf().der(), chain.issuers().len()), (leaf.as_slice(), 0));
    }
    for wrong in [&b""[..], &leaf[1..], &[&[0x30, 0x00], leaf.as_slice()].concat()] {
        let (mut client, answer) = open_with(wrong);
        let error = fault_of(&mut client, &answer);
        assert_eq!((error.stage, error.origin), (Stage::OpenSecureChannel, Origin::Local));
        assert_eq!(error.fault, Fault::WrongSenderCertificate);
    }
}

#[test]
fn a_chain_of_a_thousand_certificates_costs_what_it_is_long() {
    let leaf = SERVER.leaf().der();
    let thousand = leaf.repeat(1000);
    // No chunk holds as many.
    let (mut client, answer) = open_with(&thousand);
    let mut fault = None;
    let info = allocation_counter::measure(|| fault = Some(fault_of(&mut client, &answer[..60_000]).fault));
    assert!(matches!(fault, Some(Fault::LimitExceeded { .. })), "{fault:?}");
    assert!(info.bytes_max < 200_000, "{info:?}");

    // In several chunks they arrive, and are more than a chain may be.
    let (mut client, mut server) = opened(true);
    let request = server.read(&client.create_session(a_session_request(&SERVER), TIMING).unwrap());
    let body = server.created_session(&CreatedSession { certificate: thousand, ..proof() });
    let chunks: Vec<_> = body.chunks(60_000).collect();
    let (last, rest) = chunks.split_last().unwrap();
    let mut frames: Vec<_> =
        rest.iter().map(|part| server.chunk(ChunkKind::Intermediate, request.request_id, part)).collect();
    frames.push(server.chunk(ChunkKind::Final, request.request_id, last));
    let mut answer = Ok(None);
    let info = allocation_counter::measure(|| {
        for frame in &frames {
            client.receive(frame);
            answer = client.poll();
        }
    });
    let error = answer.unwrap_err();
    assert_eq!((error.stage, error.origin), (Stage::CreateSession, Origin::Local));
    assert!(matches!(error.fault, Fault::Decoding { .. }), "{error}");
    let len = u64::try_from(body.len()).unwrap();
    assert!(info.bytes_max < 4 * len, "{} for {len}", info.bytes_max);
}

/// Sizes are judged before anything is waited for.
#[test]
fn a_frame_of_an_impossible_size_is_refused_at_its_header() {
    for (name, step) in STEPS {
        for size in [0_u32, 1, 7, 70_000, 0x7FFF_FFFF, u32::MAX] {
            let Awaiting { mut client, answer, stage } = step();
            let mut header = answer[..4].to_vec();
            put_u32(&mut header, size);
            client.receive(&header);
            let error = client.poll().unwrap_err();
            assert_eq!((error.stage, error.origin), (stage, Origin::Local), "{name}: {size}: {error}");
        }
    }
}

/// Those that fit are read to their end, and found wanting there.
#[test]
fn a_frame_shorter_than_what_must_be_in_it_is_refused() {
    for (name, step) in STEPS {
        let len = step().answer.len();
        for short in [8, 9, 12, 16, 24, 25, len / 2, len - 1] {
            let Awaiting { mut client, mut answer, stage } = step();
            answer.truncate(short);
            finish(&mut answer);
            client.receive(&answer);
            let error = client.poll().unwrap_err();
            assert_eq!((error.stage, error.origin), (stage, Origin::Local), "{name}: {short}: {error}");
        }
    }
}

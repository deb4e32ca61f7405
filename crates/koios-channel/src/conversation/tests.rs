//! Conversations with a server in memory, honest and otherwise.

mod hostile;
mod memory;
mod model;
mod session;

use self::session::a_session_request;
use super::*;
use crate::policy::Algorithms;
use crate::test_server::{
    CLIENT, Counter, CreatedSession, Request, SERVER, TIMING, TestServer, response, security, server_for,
};
use crate::wire::{ChunkKind, put_byte_string, put_u32};
use crate::{Origin, SecurityMode, SecurityPolicy, StatusCode};

const POLICY: SecurityPolicy = SecurityPolicy::Basic256Sha256;
const MODE: SecurityMode = SecurityMode::SignAndEncrypt;
const GET_ENDPOINTS_RESPONSE: u16 = 431;
const SERVICE_FAULT: u16 = 397;

fn url() -> EndpointUrl {
    EndpointUrl::parse("opc.tcp://server").unwrap()
}

fn acknowledged(chunk_len: u32) -> Conversation {
    let mut client = Conversation::new(Limits::default(), Counter(0));
    client.hello(&url()).unwrap();
    client.receive(&TestServer::acknowledge(chunk_len));
    assert_eq!(client.poll(), Ok(Some(Event::Acknowledged)));
    client
}

/// A client that has asked for a channel, and the server that has read it.
fn opening(secured: bool) -> (Conversation, TestServer, Request) {
    let mut client = acknowledged(65_536);
    let mut server = TestServer::new(secured.then_some((POLICY, MODE)));
    let asked = if secured { security(POLICY, MODE) } else { Security::None };
    let request = server.read_open(&client.open(asked, TIMING).unwrap());
    (client, server, request)
}

fn opened(secured: bool) -> (Conversation, TestServer) {
    let (mut client, mut server, request) = opening(secured);
    client.receive(&server.answer_open(&request));
    assert!(matches!(client.poll(), Ok(Some(Event::ChannelOpened { .. }))));
    (client, server)
}

fn no_endpoints() -> Vec<u8> {
    let mut body = response(GET_ENDPOINTS_RESPONSE, 0);
    put_u32(&mut body, 0);
    body
}

/// The client's GetEndpoints, read by the server.
fn ask(client: &mut Conversation, server: &mut TestServer) -> Request {
    server.read(&client.get_endpoints(&url(), TIMING).unwrap())
}

fn fault_of(client: &mut Conversation, bytes: &[u8]) -> ChannelError {
    client.receive(bytes);
    client.poll().unwrap_err()
}

fn err_message() -> Vec<u8> {
    let mut err = b"ERRF\0\0\0\0".to_vec();
    put_u32(&mut err, 0x8002_0000);
    put_byte_string(&mut err, Some(b"no"));
    wire::finish(&mut err);
    err
}

fn renew(client: &mut Conversation, server: &mut TestServer) {
    let request = server.read_open(&client.renew(TIMING).unwrap());
    client.receive(&server.answer_open(&request));
    assert!(matches!(client.poll(), Ok(Some(Event::ChannelRenewed { .. }))));
}

#[test]
fn a_step_out_of_order_is_not_ready_and_sends_nothing() {
    let mut client = Conversation::new(Limits::default(), Counter(0));
    assert_eq!(client.open(Security::None, TIMING).unwrap_err().fault, Fault::NotReady);
    assert_eq!(client.get_endpoints(&url(), TIMING).unwrap_err().fault, Fault::NotReady);
    assert_eq!(client.close(TIMING).unwrap_err().fault, Fault::NotReady);
    let (mut client, _) = opened(false);
    for error in [
        client.hello(&url()).unwrap_err(),
        client.read_server_status(TIMING).unwrap_err(),
        client.close_session(TIMING).unwrap_err(),
        client.activate_session(&UserIdentity::Anonymous, TIMING).unwrap_err(),
    ] {
        assert_eq!((error.origin, error.fault), (Origin::Local, Fault::NotReady));
    }
    client.get_endpoints(&url(), TIMING).unwrap();
    let error = client.renew(TIMING).unwrap_err();
    assert_eq!((error.stage, error.fault), (Stage::RenewSecureChannel, Fault::NotReady));
}

#[test]
fn long_keys_are_costly_where_they_decrypt() {
    for (bits, costly) in [(2048, false), (3072, true), (4096, true)] {
        let Security::Secure { policy, mode, server_certificate, sending, .. } = security(POLICY, MODE)
        else {
            panic!("secure")
        };
        let security = Security::Secure {
            policy,
            mode,
            identity: crate::test_server::identity(bits, 0),
            server_certificate,
            sending,
        };
        assert_eq!(security.is_costly(), costly);
        let mut client = acknowledged(65_536);
        client.open(security, TIMING).unwrap();
        assert!(!client.poll_is_costly(), "nothing has come");
        client.receive(b"OPNF\x08\0\0\0");
        assert_eq!(client.poll_is_costly(), costly, "{bits}");
    }
}

#[test]
fn the_channel_opens_whatever_the_security() {
    opened(false);
    for policy in SecurityPolicy::SECURE {
        for mode in [SecurityMode::Sign, SecurityMode::SignAndEncrypt] {
            let mut client = acknowledged(65_536);
            let mut server = TestServer::new(Some((policy, mode)));
            let request = server.read_open(&client.open(security(policy, mode), TIMING).unwrap());
            assert!(!client.poll_is_costly());
            client.receive(&server.answer_open(&request));
            assert!(!client.poll_is_costly(), "keys are short");
            assert!(matches!(client.poll(), Ok(Some(Event::ChannelOpened { .. }))));
            assert_eq!(client.server_chain().unwrap().leaf(), server_for(policy).leaf());
            let request = ask(&mut client, &mut server);
            client.receive(&server.answer(&request, &no_endpoints()));
            assert_eq!(client.poll(), Ok(Some(Event::Endpoints(Vec::new()))));
        }
    }
}

#[test]
fn a_request_is_cut_into_chunks_the_server_takes() {
    let mut client = acknowledged(8192);
    let mut server = TestServer::new(None);
    let request = server.read_open(&client.open(Security::None, TIMING).unwrap());
    client.receive(&server.answer_open(&request));
    client.poll().unwrap();
    let long = EndpointUrl::parse(&format!("opc.tcp://h/{}", "x".repeat(4000))).unwrap();
    let mut endpoint = a_session_request(&CLIENT).endpoint;
    endpoint.url = "x".repeat(10);
    let mut session = SessionRequest::new(long, endpoint, "u".repeat(9000));
    session.session_name = "n".repeat(9000);
    let bytes = client.create_session(session, TIMING).unwrap();
    let frames = bytes.windows(4).filter(|w| w == b"MSGC" || w == b"MSGF").count();
    assert_eq!(frames, 3);
    let request = server.read(&bytes);
    assert!(request.body.len() > 22_000);
}

#[test]
fn an_unsecured_answer_to_a_secured_request_is_never_success() {
    let (mut client, _, request) = opening(true);
    let mut attacker = TestServer::new(None);
    let error = fault_of(&mut client, &attacker.answer_open(&request));
    assert_eq!((error.stage, error.origin), (Stage::OpenSecureChannel, Origin::Local));
    assert_eq!(error.fault, Fault::Downgraded);
    assert_eq!(client.get_endpoints(&url(), TIMING).unwrap_err().fault, Fault::NotReady);
}

#[test]
fn an_unsecured_refusal_of_a_secured_request_is_a_hint() {
    for (type_id, status) in [(SERVICE_FAULT, 0x8013_0000), (449, 0x8013_0000), (SERVICE_FAULT, 0)] {
        let (mut client, _, request) = opening(true);
        let mut attacker = TestServer::new(None);
        let bytes = attacker.seal_open(request.request_id, &response(type_id, status));
        let error = fault_of(&mut client, &bytes);
        assert_eq!((error.origin, error.fault), (Origin::Peer, Fault::UnsecuredFault));
        assert_eq!(error.status, Some(StatusCode(status)).filter(|status| status.is_bad()));
    }
}

#[test]
fn a_signed_refusal_is_the_servers() {
    let (mut client, mut server, request) = opening(true);
    let bytes = server.seal_open(request.request_id, &response(SERVICE_FAULT, 0x8013_0000));
    let error = fault_of(&mut client, &bytes);
    assert_eq!((error.stage, error.origin), (Stage::OpenSecureChannel, Origin::Peer));
    assert_eq!((error.fault, error.status), (Fault::ServiceFault, Some(StatusCode(0x8013_0000))));
}

#[test]
fn an_answer_of_another_certificate_or_to_another_is_refused() {
    let (mut client, mut server, request) = opening(true);
    let mut bytes = server.answer_open(&request);
    let leaf = SERVER.leaf().der();
    let at = bytes.windows(leaf.len()).position(|window| window == leaf).unwrap();
    bytes[at + leaf.len() - 1] ^= 1;
    assert_eq!(fault_of(&mut client, &bytes).fault, Fault::WrongSenderCertificate);

    let (mut client, mut server, request) = opening(true);
    let mut bytes = server.answer_open(&request);
    // The thumbprint of 20 bytes follows the certificate and its own length.
    bytes[at + leaf.len() + 4] ^= 1;
    assert_eq!(fault_of(&mut client, &bytes).fault, Fault::WrongReceiver);

    let (mut client, mut server, request) = opening(true);
    let mut bytes = server.answer_open(&request);
    bytes[at + leaf.len() + 4 + 20] ^= 1;
    assert_eq!(fault_of(&mut client, &bytes).fault, Fault::BadSignature);
}

#[test]
fn a_server_nonce_of_another_length_is_refused() {
    for len in [0, 31, 33] {
        let (mut client, mut server, request) = opening(true);
        server.nonce = vec![1; len];
        assert_eq!(fault_of(&mut client, &server.answer_open(&request)).fault, Fault::ServerNonce { len });
    }
}

/// A client that has asked for a channel under a policy on a curve, with an answer of a good server changed in its body.
fn opened_on_a_curve(policy: SecurityPolicy, change: impl FnOnce(&mut Vec<u8>)) -> Result<(), Fault> {
    let mut client = acknowledged(65_536);
    let mut server = TestServer::new(Some((policy, MODE)));
    let request = server.read_open(&client.open(security(policy, MODE), TIMING).unwrap());
    // The keys are derived, and its body is made anew below.
    server.answer_open(&request);
    server.thumbprint = None;
    let mut body = server.open_response();
    change(&mut body);
    client.receive(&server.seal_open(request.request_id, &body));
    client.poll().map(|_| ()).map_err(|error| {
        assert_eq!((error.stage, error.origin), (Stage::OpenSecureChannel, Origin::Local));
        error.fault
    })
}

#[test]
fn an_ephemeral_key_that_is_none_is_refused() {
    for (policy, len) in [
        (SecurityPolicy::EccNistP256, 64),
        (SecurityPolicy::EccNistP384, 96),
        (SecurityPolicy::EccNistP256AesGcm, 64),
        (SecurityPolicy::EccNistP384AesGcm, 96),
    ] {
        assert_eq!(opened_on_a_curve(policy, |_| ()), Ok(()));
        let key_at = |body: &Vec<u8>| body.len() - len;
        for byte in [0x00, 0x01, 0xFF] {
            let refused = opened_on_a_curve(policy, |body| {
                let at = key_at(body);
                body[at..].fill(byte);
            });
            assert_eq!(refused, Err(Fault::ServerEphemeralKey), "{policy} {byte}");
        }
        let flipped = opened_on_a_curve(policy, |body| *body.last_mut().unwrap() ^= 1);
        assert_eq!(flipped, Err(Fault::ServerEphemeralKey), "off the curve");
        for other in [0, 32, len - 1, len + 1, 64 + 96 - len] {
            let refused = opened_on_a_curve(policy, |body| {
                let at = key_at(body);
                body.truncate(at - 4);
                put_byte_string(body, Some(&vec![1; other]));
            });
            assert_eq!(refused, Err(Fault::ServerNonce { len: other }), "{policy}");
        }
    }
}

#[test]
fn one_stray_byte_is_forgiven_under_a_policy_on_a_curve_and_nowhere_else() {
    let policy = SecurityPolicy::EccNistP256;
    assert_eq!(opened_on_a_curve(policy, |body| body.push(0)), Ok(()));
    let refused = opened_on_a_curve(policy, |body| body.extend([0, 0]));
    assert!(matches!(refused, Err(Fault::Decoding { .. })), "{refused:?}");
    let (mut client, mut server, request) = opening(true);
    server.answer_open(&request);
    let mut body = server.open_response();
    body.push(0);
    let fault = fault_of(&mut client, &server.seal_open(request.request_id, &body)).fault;
    assert!(matches!(fault, Fault::Decoding { .. }), "{fault:?}");
}

#[test]
fn renewals_under_policies_on_curves_make_other_keys() {
    for policy in SecurityPolicy::SECURE.into_iter().filter(|policy| !SecurityPolicy::RSA.contains(policy)) {
        let mut client = acknowledged(65_536);
        let mut server = TestServer::new(Some((policy, MODE)));
        let request = server.read_open(&client.open(security(policy, MODE), TIMING).unwrap());
        client.receive(&server.answer_open(&request));
        client.poll().unwrap();
        let first = server.nonce.clone();
        for _ in 0..3 {
            renew(&mut client, &mut server);
            assert_ne!(server.nonce, first);
            // The server has not seen the new token when it answers first.
            let request = ask(&mut client, &mut server);
            client.receive(&server.answer_with_old_token(&request, &no_endpoints()));
            assert_eq!(client.poll(), Ok(Some(Event::Endpoints(Vec::new()))), "{policy}");
            let request = ask(&mut client, &mut server);
            client.receive(&server.answer(&request, &no_endpoints()));
            assert_eq!(client.poll(), Ok(Some(Event::Endpoints(Vec::new()))), "{policy}");
        }
        let request = ask(&mut client, &mut server);
        let error = fault_of(&mut client, &server.answer_with_old_token(&request, &no_endpoints()));
        assert!(matches!(error.fault, Fault::UnknownToken { .. }), "{error}");
    }
}

/// `SecureChannelEnhancements`: the first answer is signed together with the request's signature.
#[test]
fn an_answer_that_is_not_signed_for_this_request_is_refused_where_sessions_are_bound() {
    for (policy, refused) in [(SecurityPolicy::EccNistP256AesGcm, true), (SecurityPolicy::EccNistP256, false)]
    {
        let mut client = acknowledged(65_536);
        let mut server = TestServer::new(Some((policy, MODE)));
        let request = server.read_open(&client.open(security(policy, MODE), TIMING).unwrap());
        // To a server that has answered on this channel before, this is a renewal.
        server.thumbprint = Some(Vec::new());
        client.receive(&server.answer_open(&request));
        let answer = client.poll().map_err(|error| error.fault);
        assert_eq!(answer == Err(Fault::BadSignature), refused, "{policy}: {answer:?}");
    }
}

/// Nonces of authenticated encryption count by the message before, so that a lost one is noticed by the next one's tag.
#[test]
fn a_lost_message_is_noticed_under_authenticated_encryption() {
    let policy = SecurityPolicy::EccNistP256ChaChaPoly;
    for mode in [SecurityMode::Sign, SecurityMode::SignAndEncrypt] {
        let mut client = acknowledged(65_536);
        let mut server = TestServer::new(Some((policy, mode)));
        let request = server.read_open(&client.open(security(policy, mode), TIMING).unwrap());
        client.receive(&server.answer_open(&request));
        client.poll().unwrap();
        let request = ask(&mut client, &mut server);
        server.sequence_number += 1;
        let error = fault_of(&mut client, &server.answer(&request, &no_endpoints()));
        assert_eq!(error.fault, Fault::BadSignature);
    }
}

#[test]
fn tokens_overlap_until_the_server_has_used_the_new_one() {
    let (mut client, mut server) = opened(true);
    renew(&mut client, &mut server);
    // The server has not seen the new token when it answers.
    let request = ask(&mut client, &mut server);
    client.receive(&server.answer_with_old_token(&request, &no_endpoints()));
    assert_eq!(client.poll(), Ok(Some(Event::Endpoints(Vec::new()))));
    let request = ask(&mut client, &mut server);
    client.receive(&server.answer(&request, &no_endpoints()));
    assert_eq!(client.poll(), Ok(Some(Event::Endpoints(Vec::new()))));
    // Now it has.
    let request = ask(&mut client, &mut server);
    let error = fault_of(&mut client, &server.answer_with_old_token(&request, &no_endpoints()));
    assert_eq!((error.stage, error.fault), (Stage::GetEndpoints, Fault::UnknownToken { token: 1 }));
}

#[test]
fn sequence_numbers_go_on_over_renewals_and_none_may_be_missing() {
    let (mut client, mut server) = opened(true);
    renew(&mut client, &mut server);
    let request = ask(&mut client, &mut server);
    server.sequence_number += 1;
    let error = fault_of(&mut client, &server.answer(&request, &no_endpoints()));
    assert_eq!(error.fault, Fault::SequenceNumber { previous: 52, received: 54 });
}

#[test]
fn a_renewal_of_another_channel_is_refused() {
    let (mut client, mut server) = opened(true);
    let request = server.read_open(&client.renew(TIMING).unwrap());
    server.channel_id = 8;
    server.token_id += 1;
    let body = server.open_response();
    let error = fault_of(&mut client, &server.seal_open(request.request_id, &body));
    assert!(matches!(error.fault, Fault::UnexpectedMessage { .. }), "{error}");
    assert_eq!(error.stage, Stage::RenewSecureChannel);
}

#[test]
fn chunks_are_joined_and_endless_ones_are_not() {
    let (mut client, mut server) = opened(true);
    let request = ask(&mut client, &mut server);
    let body = no_endpoints();
    for byte in &body[..body.len() - 1] {
        client.receive(&server.chunk(ChunkKind::Intermediate, request.request_id, &[*byte]));
        assert_eq!(client.poll(), Ok(None));
    }
    client.receive(&server.chunk(ChunkKind::Final, request.request_id, &body[body.len() - 1..]));
    assert_eq!(client.poll(), Ok(Some(Event::Endpoints(Vec::new()))));

    let request = ask(&mut client, &mut server);
    let error = loop {
        client.receive(&server.chunk(ChunkKind::Intermediate, request.request_id, b"x"));
        if let Err(error) = client.poll() {
            break error;
        }
    };
    assert_eq!(error.fault, Fault::LimitExceeded { what: "answer in chunks", size: 513, limit: 512 });

    let (mut client, mut server) = opened(true);
    let request = ask(&mut client, &mut server);
    let error = loop {
        client.receive(&server.chunk(ChunkKind::Intermediate, request.request_id, &[0; 60_000]));
        if let Err(error) = client.poll() {
            break error;
        }
    };
    assert!(
        matches!(error.fault, Fault::LimitExceeded { what: "answer in bytes", limit: 4_194_304, .. }),
        "{error}"
    );
}

#[test]
fn chunks_of_two_messages_do_not_mix() {
    let (mut client, mut server) = opened(true);
    let request = ask(&mut client, &mut server);
    client.receive(&server.chunk(ChunkKind::Intermediate, request.request_id, b"x"));
    assert_eq!(client.poll(), Ok(None));
    let error = fault_of(&mut client, &server.chunk(ChunkKind::Final, request.request_id + 1, b"x"));
    assert!(matches!(error.fault, Fault::UnexpectedMessage { .. }), "{error}");

    let (mut client, mut server) = opened(true);
    let request = ask(&mut client, &mut server);
    let error =
        fault_of(&mut client, &server.chunk(ChunkKind::Final, request.request_id + 1, &no_endpoints()));
    assert!(matches!(error.fault, Fault::UnexpectedMessage { .. }), "{error}");
}

#[test]
fn an_abort_is_the_servers_word() {
    let (mut client, mut server) = opened(true);
    let request = ask(&mut client, &mut server);
    let mut body = 0x80B9_0000u32.to_le_bytes().to_vec();
    put_byte_string(&mut body, Some(b"too large"));
    let error = fault_of(&mut client, &server.chunk(ChunkKind::Abort, request.request_id, &body));
    assert_eq!((error.origin, error.fault), (Origin::Peer, Fault::Aborted));
    assert_eq!((error.status, error.reason.as_deref()), (Some(StatusCode(0x80B9_0000)), Some("too large")));
}

#[test]
fn a_refused_service_leaves_the_channel_usable() {
    let (mut client, mut server) = opened(true);
    for type_id in [SERVICE_FAULT, GET_ENDPOINTS_RESPONSE] {
        let request = ask(&mut client, &mut server);
        let error = fault_of(&mut client, &server.answer(&request, &response(type_id, 0x80EE_0000)));
        assert_eq!((error.stage, error.origin), (Stage::GetEndpoints, Origin::Peer));
        assert_eq!(error.status.unwrap().name(), "BadServerTooBusy");
    }
    let request = ask(&mut client, &mut server);
    client.receive(&server.answer(&request, &no_endpoints()));
    assert_eq!(client.poll(), Ok(Some(Event::Endpoints(Vec::new()))));
    assert_eq!(client.server_time().unwrap().year(), 2025);
}

#[test]
fn an_err_message_ends_the_conversation_at_any_stage() {
    let err = err_message();
    let (mut client, mut server) = opened(true);
    let _ = ask(&mut client, &mut server);
    let error = fault_of(&mut client, &err);
    assert_eq!((error.stage, error.origin), (Stage::GetEndpoints, Origin::Peer));
    assert_eq!((error.fault, error.reason.as_deref()), (Fault::Err, Some("no")));
    let (mut client, ..) = opening(true);
    assert_eq!(fault_of(&mut client, &err).stage, Stage::OpenSecureChannel);
}

#[test]
fn what_a_closed_connection_or_a_passed_deadline_means_depends_on_what_came() {
    let (mut client, mut server, request) = opening(true);
    assert_eq!(client.closed().fault, Fault::Closed { received: false });
    client.receive(&server.answer_open(&request)[..40]);
    assert_eq!(client.poll(), Ok(None));
    let error = client.closed();
    assert_eq!((error.stage, error.origin), (Stage::OpenSecureChannel, Origin::Transport));
    assert_eq!(error.fault, Fault::Closed { received: true });
    assert_eq!(client.timed_out().fault, Fault::TimedOut);

    let mut client = Conversation::new(Limits::default(), Counter(0));
    client.hello(&url()).unwrap();
    client.receive(b"HT");
    assert_eq!(client.poll(), Ok(None));
    assert_eq!(client.timed_out().fault, Fault::NotOpcUa { first_bytes: b"HT".to_vec() });
}

#[test]
fn a_granted_token_lifetime_is_kept_and_none_is_the_one_asked_for() {
    for (granted, expected) in [(4_000, Duration::from_secs(4)), (0, Limits::default().token_lifetime)] {
        let (mut client, mut server, request) = opening(false);
        server.token_lifetime = granted;
        client.receive(&server.answer_open(&request));
        assert_eq!(client.poll(), Ok(Some(Event::ChannelOpened { token_lifetime: expected })));
    }
}

#[test]
fn keys_and_modes_that_do_not_fit_are_named_before_anything_is_sent() {
    let mut client = acknowledged(65_536);
    let error = client.open(security(POLICY, SecurityMode::None), TIMING).unwrap_err();
    assert_eq!(error.fault, Fault::UnsupportedSecurity { policy: POLICY, mode: SecurityMode::None });
    let error = client.open(security(SecurityPolicy::None, MODE), TIMING).unwrap_err();
    assert_eq!(error.fault, Fault::UnsupportedSecurity { policy: SecurityPolicy::None, mode: MODE });
    let mut small = acknowledged(1024);
    let error = small.open(security(POLICY, MODE), TIMING).unwrap_err();
    assert!(matches!(error.fault, Fault::LimitExceeded { limit: 1024, .. }), "{error}");
}

#[test]
fn debug_shows_no_key_and_no_token() {
    let (client, _) = opened(true);
    assert_eq!(format!("{client:?}"), "Conversation { stage: OpenSecureChannel, .. }");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn anything_received_at_any_stage_is_an_answer_or_an_error_and_no_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            kind in prop::sample::select(vec!["ACKF", "ERRF", "OPNF", "MSGF", "MSGC", "MSGA", "CLOF"]),
            secured: bool,
        ) {
            let mut frame = kind.as_bytes().to_vec();
            put_u32(&mut frame, 0);
            frame.extend(bytes);
            wire::finish(&mut frame);
            let mut hello = Conversation::new(Limits::default(), Counter(0));
            hello.hello(&url()).unwrap();
            let (opening, ..) = opening(secured);
            let (mut open, mut server) = opened(secured);
            let _ = ask(&mut open, &mut server);
            for mut client in [hello, opening, open] {
                client.receive(&frame);
                while let Ok(Some(_)) = client.poll() {}
            }
        }

        #[test]
        fn any_body_of_an_answer_is_an_event_or_an_error_and_no_panic(
            body in prop::collection::vec(any::<u8>(), 0..300),
            type_id in prop::sample::select(vec![SERVICE_FAULT, GET_ENDPOINTS_RESPONSE, 464, 634]),
        ) {
            let (mut client, mut server) = opened(false);
            let request = ask(&mut client, &mut server);
            client.receive(&server.answer(&request, &body));
            let _ = client.poll();
            let (mut client, mut server) = opened(false);
            let request = ask(&mut client, &mut server);
            client.receive(&server.answer(&request, &[response(type_id, 0), body].concat()));
            let _ = client.poll();
        }
    }
}

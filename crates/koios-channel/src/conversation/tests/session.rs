//! Sessions: what their server must prove, and how they go on over another channel.

use koios_pki::SignatureScheme;

use super::*;

pub(super) fn a_session_request(server: &crate::ClientIdentity) -> SessionRequest {
    let endpoint = Endpoint {
        url: String::new(),
        security_mode: Some(MODE),
        security_policy_uri: POLICY.uri().to_owned(),
        security_policy: Some(POLICY),
        security_level: 0,
        server_certificate: Some(server.leaf().der().to_vec()),
        transport_profile_uri: String::new(),
        user_tokens: Vec::new(),
        server: crate::ApplicationDescription::default(),
    };
    SessionRequest::new(url(), endpoint, "urn:koios:test")
}

/// What an honest server claims in its session; the client nonce is the second 32 bytes drawn.
pub(super) fn proof() -> CreatedSession {
    CreatedSession {
        nonce: vec![9; 32],
        certificate: SERVER.leaf().der().to_vec(),
        algorithm: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        scheme: SignatureScheme::RsaPkcs1Sha256,
        signed: [CLIENT.leaf().der(), &(32..64).collect::<Vec<u8>>()].concat(),
    }
}

/// What a client says to a `CreateSessionResponse` changed by `change`.
fn created(change: impl FnOnce(&mut CreatedSession)) -> Result<Option<Event>, ChannelError> {
    created_for(a_session_request(&SERVER), change)
}

fn created_for(
    request: SessionRequest,
    change: impl FnOnce(&mut CreatedSession),
) -> Result<Option<Event>, ChannelError> {
    let (mut client, mut server) = opened(true);
    let bytes = client.create_session(request, TIMING).unwrap();
    let request = server.read(&bytes);
    let mut session = proof();
    change(&mut session);
    let body = server.created_session(&session);
    client.receive(&server.answer(&request, &body));
    client.poll()
}

#[test]
fn a_session_is_created_when_the_server_proves_itself() {
    let expected = Event::SessionCreated { timeout: Duration::from_secs(30) };
    assert_eq!(created(|_| ()), Ok(Some(expected.clone())));
    let chain = [SERVER.leaf().der(), CLIENT.leaf().der()].concat();
    assert_eq!(created(|session| session.certificate = chain), Ok(Some(expected)));
}

/// node-opcua has named RSA-PSS in a way of its own until 2.170; what counts is that the signature is the policy's.
#[test]
fn the_name_that_a_server_gives_its_signature_is_of_no_matter() {
    for name in [
        "",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-pss-sha256",
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
    ] {
        assert!(
            matches!(created(|session| session.algorithm = name), Ok(Some(Event::SessionCreated { .. }))),
            "{name}"
        );
        let error = created(|session| {
            session.algorithm = name;
            session.scheme = SignatureScheme::RsaPssSha256;
        });
        assert_eq!(error.unwrap_err().fault, Fault::BadSignature, "{name}");
    }
}

/// The answer is signed: an empty list is the server's own, and hides nothing.
#[test]
fn a_server_that_lists_no_endpoints_in_the_session_is_not_refused_for_it() {
    let mut request = a_session_request(&SERVER);
    request.expected_endpoints = vec![request.endpoint.clone()];
    assert!(matches!(created_for(request, |_| ()), Ok(Some(Event::SessionCreated { .. }))));
}

#[test]
fn a_session_whose_server_does_not_prove_itself_is_refused() {
    let fault = |change: fn(&mut CreatedSession)| {
        let error = created(change).unwrap_err();
        assert_eq!((error.stage, error.origin), (Stage::CreateSession, Origin::Local));
        error.fault
    };
    assert_eq!(
        fault(|session| session.certificate = CLIENT.leaf().der().to_vec()),
        Fault::ServerCertificateDiffers
    );
    assert_eq!(fault(|session| session.certificate.clear()), Fault::ServerCertificateDiffers);
    assert_eq!(fault(|session| session.signed[100] ^= 1), Fault::BadSignature);
    assert_eq!(fault(|session| session.signed.clear()), Fault::BadSignature);
    assert_eq!(fault(|session| session.scheme = SignatureScheme::RsaPssSha256), Fault::BadSignature);
    assert_eq!(fault(|session| session.nonce = vec![9; 31]), Fault::ServerNonce { len: 31 });
}

#[test]
fn a_session_that_we_refuse_can_be_closed_and_nothing_else() {
    let (mut client, mut server) = opened(true);
    let request = server.read(&client.create_session(a_session_request(&SERVER), TIMING).unwrap());
    let session = CreatedSession { nonce: vec![9; 31], ..proof() };
    let body = server.created_session(&session);
    let error = fault_of(&mut client, &server.answer(&request, &body));
    assert_eq!((error.stage, error.fault), (Stage::CreateSession, Fault::ServerNonce { len: 31 }));
    for error in [
        client.create_session(a_session_request(&SERVER), TIMING).unwrap_err(),
        client.activate_session(&UserIdentity::Anonymous, TIMING).unwrap_err(),
        client.read_server_status(TIMING).unwrap_err(),
    ] {
        assert_eq!(error.fault, Fault::NotReady);
    }
    let request = server.read(&client.close_session(TIMING).unwrap());
    // The type of the request, and the token of the refused session.
    assert_eq!(request.body[..6], [0x01, 0, 0xd9, 0x01, 0, 2]);
    client.receive(&server.answer(&request, &response(476, 0)));
    assert_eq!(client.poll(), Ok(Some(Event::SessionClosed)));
    client.close(TIMING).unwrap();
}
/// A client with an active session, and its server.
pub(super) fn active() -> (Conversation, TestServer) {
    let (mut client, mut server) = opened(true);
    let mut wanted = a_session_request(&SERVER);
    wanted.endpoint = Endpoint::new("", MODE, POLICY);
    wanted.endpoint.server_certificate = Some(SERVER.leaf().der().to_vec());
    wanted.endpoint.user_tokens = vec![crate::UserTokenPolicy::new("a", crate::UserTokenKind::Anonymous)];
    let request = server.read(&client.create_session(wanted, TIMING).unwrap());
    let body = server.created_session(&proof());
    client.receive(&server.answer(&request, &body));
    assert!(matches!(client.poll(), Ok(Some(Event::SessionCreated { .. }))));
    let request = server.read(&client.activate_session(&UserIdentity::Anonymous, TIMING).unwrap());
    client.receive(&server.answer(&request, &activated(&[8; 32])));
    assert_eq!(client.poll(), Ok(Some(Event::SessionActivated)));
    (client, server)
}

pub(super) fn activated(nonce: &[u8]) -> Vec<u8> {
    let mut body = response(470, 0);
    put_byte_string(&mut body, Some(nonce));
    put_u32(&mut body, 0);
    put_u32(&mut body, 0);
    body
}

#[test]
fn a_session_goes_on_in_another_conversation_with_its_token_and_the_newest_nonce() {
    let (mut lost, _) = active();
    let detached = lost.detach_session().expect("it was alive");
    assert!(lost.detach_session().is_none(), "there is one of it");
    assert_eq!(lost.read_server_status(TIMING).unwrap_err().fault, Fault::NotReady);
    assert!(!format!("{detached:?}").contains("token"));

    let (mut client, mut server) = opened(true);
    client.attach_session(detached).unwrap();
    let second = active().0.detach_session().unwrap();
    assert_eq!(client.attach_session(second).unwrap_err().fault, Fault::NotReady, "it has one");
    let request = server.read(&client.activate_session(&UserIdentity::Anonymous, TIMING).unwrap());
    // The type of the request, and the token of the session.
    assert_eq!(request.body[..6], [0x01, 0, 0xd3, 0x01, 0, 2]);
    let signed = [SERVER.leaf().der(), &[8; 32]].concat();
    let holds = |signature: &[u8]| {
        let key = CLIENT.leaf().public_key().unwrap();
        Algorithms::of(POLICY).unwrap().verify(&key, &signed, signature)
    };
    assert!(request.body.windows(256).any(holds), "our signature is over the server's newest nonce");
    client.receive(&server.answer(&request, &activated(&[7; 32])));
    assert_eq!(client.poll(), Ok(Some(Event::SessionActivated)));
}

#[test]
fn a_session_whose_server_gave_no_nonce_goes_on_here_and_nowhere_else() {
    let (mut client, mut server) = active();
    let request = server.read(&client.activate_session(&UserIdentity::Anonymous, TIMING).unwrap());
    client.receive(&server.answer(&request, &activated(&[])));
    assert_eq!(client.poll(), Ok(Some(Event::SessionActivated)), "the user is in");
    let detached = client.detach_session().unwrap();
    let (mut other, _) = opened(true);
    other.attach_session(detached).unwrap();
    let error = other.activate_session(&UserIdentity::Anonymous, TIMING).unwrap_err();
    assert_eq!(error.fault, Fault::ServerNonce { len: 0 });
}

#[test]
fn nothing_is_kept_of_a_server_that_broke_the_rules() {
    let (mut client, mut server) = active();
    let request = ask(&mut client, &mut server);
    let mut bytes = server.answer(&request, &no_endpoints());
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(fault_of(&mut client, &bytes).fault, Fault::BadSignature);
    assert!(client.detach_session().is_none());
}

//! Certificates issued by an authority, on both sides.

use koios_channel::{
    CertificateSending, Fault, Origin, SecurityMode, SecurityPolicy, Stage, StatusCode, UserIdentity,
};
use koios_testkit::{
    CertificateSpec, ServerCertificate, ServerOptions, Stack, TestCertificate, revocation_list, start_or_skip,
};

use crate::client::{APPLICATION_URI, Client, certificate, soon};

const POLICY: SecurityPolicy = SecurityPolicy::Basic256Sha256;
const MODE: SecurityMode = SecurityMode::SignAndEncrypt;

fn authority() -> TestCertificate {
    CertificateSpec::authority("Koios test authority").make()
}

fn issued(authority: &TestCertificate) -> TestCertificate {
    CertificateSpec::issued_application(APPLICATION_URI, authority).with_shared_key(2048, 1).make()
}

fn trusting_authority(authority: &TestCertificate) -> ServerOptions {
    ServerOptions {
        trusted: vec![authority.der().to_vec()],
        revocation_lists: vec![revocation_list(authority, &[])],
        ..ServerOptions::default()
    }
}

async fn works(client: &Client) {
    for policy in SecurityPolicy::RSA {
        let mut session = client.session(policy, MODE, &UserIdentity::Anonymous).await.unwrap();
        session.read_server_status(soon()).await.unwrap();
        session.renew(soon()).await.unwrap();
        session.close(soon()).await.unwrap();
    }
}

#[tokio::test]
async fn our_chain_is_sent_and_accepted_by_a_server_that_trusts_the_authority() {
    let authority = authority();
    let Some(server) = start_or_skip(Stack::NodeOpcua, trusting_authority(&authority)) else { return };
    let mut client = Client::of(&server, &issued(&authority)).await;
    assert_eq!(client.identity.chain().len(), 2);
    for sending in
        [CertificateSending::Chain, CertificateSending::LeafInSession, CertificateSending::LeafOnly]
    {
        client.sending = sending;
        works(&client).await;
    }
}

/// What a caller reads off a failure to know which form to try next.
#[tokio::test]
async fn asyncua_trips_over_the_chain_in_the_session_and_takes_the_leaf() {
    let authority = authority();
    let Some(server) = start_or_skip(Stack::Asyncua, trusting_authority(&authority)) else { return };
    let mut client = Client::of(&server, &issued(&authority)).await;
    let error = client.create(POLICY, MODE).await.unwrap_err();
    assert_eq!((error.stage, error.origin), (Stage::CreateSession, Origin::Peer));
    assert_eq!(error.status, Some(StatusCode::BAD_INTERNAL_ERROR));
    client.sending = CertificateSending::LeafInSession;
    works(&client).await;
}

#[tokio::test]
async fn async_opcua_trips_over_the_chain_when_the_channel_opens() {
    let authority = authority();
    let own = issued(&authority);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, ServerOptions::trusting(&[&own])) else { return };
    let mut client = Client::of(&server, &own).await;
    let error = client.open(POLICY, MODE).await.unwrap_err();
    assert_eq!((error.stage, error.origin), (Stage::OpenSecureChannel, Origin::Peer), "{error}");
    assert_eq!(error.status, Some(StatusCode::BAD_CERTIFICATE_INVALID), "{error}");
    client.sending = CertificateSending::LeafOnly;
    works(&client).await;
}

#[tokio::test]
async fn a_server_that_sends_a_chain_is_known_by_its_leaf() {
    let own = certificate(2048);
    let options = ServerOptions { certificate: ServerCertificate::Chain, ..ServerOptions::trusting(&[&own]) };
    let Some(server) = start_or_skip(Stack::NodeOpcua, options) else { return };
    let client = Client::of(&server, &own).await;
    let endpoint = client.endpoint(POLICY, MODE);
    assert!(endpoint.server_certificate.as_ref().unwrap().len() > server.certificate().der().len());
    works(&client).await;
    let channel = client.open(POLICY, MODE).await.unwrap();
    assert_eq!(channel.server_chain().unwrap().leaf().der(), server.certificate().der());
    channel.close(soon()).await;
}

#[tokio::test]
async fn an_untrusted_certificate_is_refused_by_the_server_and_not_by_us() {
    for stack in [Stack::NodeOpcua, Stack::Asyncua, Stack::AsyncOpcua] {
        let Some(server) = start_or_skip(stack, ServerOptions::default()) else { continue };
        let client = Client::of(&server, &certificate(2048)).await;
        let error = client.create(POLICY, MODE).await.unwrap_err();
        assert_eq!(error.origin, Origin::Peer, "{error}");
        let expected = match stack {
            Stack::NodeOpcua => (Stage::OpenSecureChannel, StatusCode::BAD_SECURITY_CHECKS_FAILED),
            _ => (Stage::CreateSession, StatusCode::BAD_CERTIFICATE_UNTRUSTED),
        };
        assert_eq!((error.stage, error.status), (expected.0, Some(expected.1)), "{error}");
        assert!(matches!(error.fault, Fault::ServiceFault | Fault::ServiceResult), "{error}");
    }
}

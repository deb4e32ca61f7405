//! Whole sessions on real servers of three stacks.

use koios_channel::{Fault, Origin, SecurityMode, SecurityPolicy, ServerState, Stage, UserIdentity};
use koios_testkit::{Policy, Server, ServerOptions, Stack, start_or_skip};

use crate::client::{Client, KEY_BITS, certificate, soon};

const MODES: [SecurityMode; 2] = [SecurityMode::Sign, SecurityMode::SignAndEncrypt];

/// Connect, read, renew twice, read under each token, close.
pub(crate) async fn use_session(client: &Client, policy: SecurityPolicy, mode: SecurityMode) {
    let what = format!("{policy} {mode}");
    let mut session = client.session(policy, mode, &UserIdentity::Anonymous).await.expect(&what);
    for _ in 0..3 {
        let status = session.read_server_status(soon()).await.expect(&what);
        assert_eq!(status.state, ServerState::Running, "{what}");
        assert!((status.current_time - session.server_time().unwrap()).abs().whole_seconds() < 60, "{what}");
        let due = session.needs_renewal_at();
        session.renew(soon()).await.expect(&what);
        assert!(session.needs_renewal_at() >= due, "{what}");
    }
    session.read_server_status(soon()).await.expect(&what);
    assert_eq!(session.server_chain().is_some(), mode != SecurityMode::None, "{what}");
    session.close(soon()).await.expect(&what);
}

async fn every_policy_mode_and_client_key(server: &Server) {
    for key_bits in KEY_BITS {
        let client = Client::of(server, &certificate(key_bits)).await;
        for policy in SecurityPolicy::RSA {
            for mode in MODES {
                use_session(&client, policy, mode).await;
            }
        }
    }
}

fn start(stack: Stack, options: ServerOptions) -> Option<Server> {
    let trusted = KEY_BITS.map(|bits| certificate(bits).der().to_vec()).to_vec();
    start_or_skip(stack, ServerOptions { trusted, ..options })
}

#[tokio::test]
async fn sessions_work_on_async_opcua_with_every_policy_mode_and_client_key() {
    let Some(server) = start(Stack::AsyncOpcua, ServerOptions::default()) else { return };
    every_policy_mode_and_client_key(&server).await;
}

#[tokio::test]
async fn sessions_work_on_node_opcua_with_every_policy_mode_and_client_key() {
    let Some(server) = start(Stack::NodeOpcua, ServerOptions::default()) else { return };
    every_policy_mode_and_client_key(&server).await;
}

#[tokio::test]
async fn sessions_work_on_asyncua_with_every_policy_mode_and_client_key() {
    let Some(server) = start(Stack::Asyncua, ServerOptions::default()) else { return };
    every_policy_mode_and_client_key(&server).await;
}

/// The policies on curves, with the size of the keys. `ECC_nistP256` allows keys on P-384 too, of which open62541 takes the
/// signatures for ones of P-256.
///
/// No server here has the forms of `ECC_nistP384` with authenticated encryption.
pub(crate) const ON_CURVES: [(SecurityPolicy, Policy, u32); 4] = [
    (SecurityPolicy::EccNistP256, Policy::EccNistP256, 256),
    (SecurityPolicy::EccNistP384, Policy::EccNistP384, 384),
    (SecurityPolicy::EccNistP256AesGcm, Policy::EccNistP256AesGcm, 256),
    (SecurityPolicy::EccNistP256ChaChaPoly, Policy::EccNistP256ChaChaPoly, 256),
];

#[tokio::test]
async fn sessions_work_on_open62541_with_the_policies_on_curves() {
    for (policy, offered, key_bits) in ON_CURVES {
        let own = certificate(key_bits);
        let options = ServerOptions { key_bits, policies: vec![offered], ..ServerOptions::trusting(&[&own]) };
        let Some(server) = start_or_skip(Stack::Open62541, options) else { return };
        let client = Client::of(&server, &own).await;
        for mode in MODES {
            use_session(&client, policy, mode).await;
        }
    }
}

#[tokio::test]
async fn sessions_work_on_open62541_with_every_policy_of_rsa() {
    let Some(server) = start(Stack::Open62541, ServerOptions::default()) else { return };
    every_policy_mode_and_client_key(&server).await;
}

#[tokio::test]
async fn long_server_keys_work_on_every_stack() {
    for stack in [Stack::AsyncOpcua, Stack::NodeOpcua, Stack::Asyncua] {
        for key_bits in [3072, 4096] {
            let Some(server) = start(stack, ServerOptions { key_bits, ..ServerOptions::default() }) else {
                continue;
            };
            for client_bits in [2048, 4096] {
                let client = Client::of(&server, &certificate(client_bits)).await;
                for policy in SecurityPolicy::RSA {
                    use_session(&client, policy, SecurityMode::SignAndEncrypt).await;
                }
            }
        }
    }
}

/// A connection is lost, the session goes on with another one. asyncua drops sessions with their connection.
#[tokio::test]
async fn a_session_is_taken_to_another_channel() {
    let own = certificate(2048);
    let users = [
        UserIdentity::Anonymous,
        UserIdentity::UserName { user_name: "op".to_owned(), password: "secret".to_owned().into() },
    ];
    for stack in [Stack::AsyncOpcua, Stack::NodeOpcua, Stack::Open62541] {
        let Some(server) = start_or_skip(stack, ServerOptions::trusting(&[&own])) else { continue };
        let client = Client::of(&server, &own).await;
        for user in &users {
            let (policy, mode) = (SecurityPolicy::Basic256Sha256, SecurityMode::SignAndEncrypt);
            let session = client.session(policy, mode, user).await.unwrap();
            let timeout = session.timeout();
            let mut detached = session.detach().expect("it was alive");
            for round in 0..2 {
                let channel = client.open(policy, mode).await.unwrap();
                let mut session = channel
                    .attach_session(detached, user, soon())
                    .await
                    .unwrap_or_else(|error| panic!("{stack} {user:?} {round}: {error}"));
                assert_eq!(session.timeout(), timeout);
                session.read_server_status(soon()).await.unwrap();
                detached = session.detach().unwrap();
            }
            // What protects less is not given the session, nor asked.
            let channel = client.open(policy, SecurityMode::Sign).await.unwrap();
            let error = channel.attach_session(detached, user, soon()).await.unwrap_err();
            assert!(matches!(error.fault, Fault::UnsupportedSecurity { .. }), "{error}");
            assert_eq!(error.origin, Origin::Local);
        }
    }
}

#[tokio::test]
async fn a_session_under_a_policy_on_a_curve_is_taken_to_another_channel() {
    for (policy, offered, key_bits) in ON_CURVES {
        let own = certificate(key_bits);
        let options = ServerOptions { key_bits, policies: vec![offered], ..ServerOptions::trusting(&[&own]) };
        let Some(server) = start_or_skip(Stack::Open62541, options) else { return };
        let client = Client::of(&server, &own).await;
        let user =
            UserIdentity::UserName { user_name: "op".to_owned(), password: "secret".to_owned().into() };
        let mode = SecurityMode::Sign;
        let detached = client.session(policy, mode, &user).await.unwrap().detach().unwrap();
        let channel = client.open(policy, mode).await.unwrap();
        let mut session = channel.attach_session(detached, &user, soon()).await.unwrap();
        session.read_server_status(soon()).await.unwrap();
        session.close(soon()).await.unwrap();
    }
}

#[tokio::test]
async fn a_session_that_the_server_has_dropped_is_refused_by_the_server() {
    let own = certificate(2048);
    let Some(mut server) = start_or_skip(Stack::AsyncOpcua, ServerOptions::trusting(&[&own])) else { return };
    let client = Client::of(&server, &own).await;
    let (policy, mode) = (SecurityPolicy::Basic256Sha256, SecurityMode::SignAndEncrypt);
    let session = client.session(policy, mode, &UserIdentity::Anonymous).await.unwrap();
    let detached = session.detach().unwrap();
    server.restart();
    let channel = client.open(policy, mode).await.unwrap();
    let error = channel.attach_session(detached, &UserIdentity::Anonymous, soon()).await.unwrap_err();
    assert_eq!((error.stage, error.origin), (Stage::ActivateSession, Origin::Peer), "{error}");
}

#[tokio::test]
async fn sessions_without_security_work_on_every_stack() {
    for stack in [Stack::AsyncOpcua, Stack::NodeOpcua, Stack::Asyncua] {
        let options = ServerOptions { none_endpoint: true, ..ServerOptions::default() };
        let Some(server) = start(stack, options) else { continue };
        let client = Client::of(&server, &certificate(2048)).await;
        use_session(&client, SecurityPolicy::None, SecurityMode::None).await;
    }
}

#[tokio::test]
async fn endpoints_say_who_the_server_is_and_what_it_takes() {
    let Some(server) = start(Stack::AsyncOpcua, ServerOptions::default()) else { return };
    let client = Client::of(&server, &certificate(2048)).await;
    let endpoint = client.endpoint(SecurityPolicy::Basic256Sha256, SecurityMode::Sign);
    assert_eq!(endpoint.server.application_uri, server.application_uri());
    assert_eq!(endpoint.server.application_name, server.application_name());
    assert_eq!(endpoint.server_certificate.as_deref(), Some(server.certificate().der()));
    assert_eq!(endpoint.user_tokens.len(), 2);
}

#[tokio::test]
async fn an_answer_in_several_chunks_is_joined() {
    // Long certificates in every endpoint make an answer of more than the 8 KiB announced below.
    let options = ServerOptions { none_endpoint: true, key_bits: 4096, ..ServerOptions::default() };
    let Some(server) = start(Stack::NodeOpcua, options) else { return };
    let url = crate::client::url(&server);
    let whole = crate::client::discover(&url).await.unwrap();
    let mut limits = koios_channel::Limits::default();
    limits.buffer_size = 8192;
    let addresses = koios_channel::resolve(&url, soon()).await.unwrap();
    let connection = koios_channel::connect(&addresses, soon()).await.unwrap();
    let transport = connection.hello(&url, limits, soon()).await.unwrap();
    let mut channel = transport.open(koios_channel::Security::None, soon()).await.unwrap();
    assert_eq!(channel.get_endpoints(&url, soon()).await.unwrap(), whole);
    let size: usize = whole.iter().filter_map(|e| e.server_certificate.as_ref()).map(Vec::len).sum();
    assert!(size > 8192, "the answer needs several chunks, its certificates alone have {size} bytes");
    channel.close(soon()).await;
}

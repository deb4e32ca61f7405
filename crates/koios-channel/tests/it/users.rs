//! User names, passwords and certificates of users on real servers.

use koios_channel::{
    Fault, Origin, SecurityMode, SecurityPolicy, SessionRequest, Stage, StatusCode, UserIdentity,
};
use koios_testkit::{CertificateSpec, ServerOptions, Stack, TestCertificate, start_or_skip};

use crate::client::{APPLICATION_URI, Client, certificate, identity, soon};
use crate::sessions::ON_CURVES;

fn user(password: &str) -> UserIdentity {
    UserIdentity::UserName { user_name: "op".to_owned(), password: password.to_owned().into() }
}

async fn in_and_out(client: &Client, policy: SecurityPolicy, mode: SecurityMode) {
    let mut session = client.session(policy, mode, &user("secret")).await.unwrap();
    session.read_server_status(soon()).await.unwrap();
    session.close(soon()).await.unwrap();
}

async fn is_refused(client: &Client, policy: SecurityPolicy, mode: SecurityMode, password: &str) {
    let error = client.session(policy, mode, &user(password)).await.unwrap_err();
    assert_eq!((error.stage, error.origin), (Stage::ActivateSession, Origin::Peer), "{error}");
    let status = error.status.unwrap();
    assert!(
        ["BadUserAccessDenied", "BadIdentityTokenRejected", "BadIdentityTokenInvalid"]
            .contains(&status.name().as_str()),
        "{error}"
    );
}

/// Longer than one block of RSA-2048 under any policy: the secret takes several.
fn long_password() -> String {
    "x".repeat(300)
}

#[tokio::test]
async fn the_right_password_opens_and_wrong_ones_are_refused_under_every_policy() {
    for stack in [Stack::AsyncOpcua, Stack::NodeOpcua] {
        let own = certificate(2048);
        let Some(server) = start_or_skip(stack, ServerOptions::trusting(&[&own])) else { continue };
        let client = Client::of(&server, &own).await;
        for policy in SecurityPolicy::RSA {
            for mode in [SecurityMode::Sign, SecurityMode::SignAndEncrypt] {
                in_and_out(&client, policy, mode).await;
                is_refused(&client, policy, mode, "wrong").await;
                is_refused(&client, policy, mode, &long_password()).await;
            }
        }
    }
}

#[tokio::test]
async fn a_password_of_several_blocks_is_understood() {
    for stack in [Stack::AsyncOpcua, Stack::NodeOpcua] {
        let own = certificate(2048);
        let mut options = ServerOptions::trusting(&[&own]);
        options.users = vec![("op".to_owned(), long_password())];
        let Some(server) = start_or_skip(stack, options) else { continue };
        let client = Client::of(&server, &own).await;
        for policy in SecurityPolicy::RSA {
            let mode = SecurityMode::SignAndEncrypt;
            let session = client.session(policy, mode, &user(&long_password())).await.unwrap();
            session.close(soon()).await.unwrap();
            is_refused(&client, policy, mode, "secret").await;
        }
    }
}

fn person(key: u32) -> TestCertificate {
    CertificateSpec::application("urn:koios:test:person").with_shared_key(2048, key).make()
}

/// async-opcua 0.19 wants these signed under `Basic128Rsa15`; the asyncua fixture offers no such tokens.
#[tokio::test]
async fn the_holder_of_a_certificate_comes_in_and_a_stranger_does_not() {
    let (own, known, stranger) = (certificate(2048), person(1), person(2));
    let options = ServerOptions::trusting(&[&own, &known]);
    let Some(server) = start_or_skip(Stack::NodeOpcua, options) else { return };
    let client = Client::of(&server, &own).await;
    for policy in SecurityPolicy::RSA {
        for mode in [SecurityMode::Sign, SecurityMode::SignAndEncrypt] {
            let user = UserIdentity::Certificate(identity(&known));
            let mut session = client.session(policy, mode, &user).await.unwrap();
            session.read_server_status(soon()).await.unwrap();
            session.close(soon()).await.unwrap();

            let user = UserIdentity::Certificate(identity(&stranger));
            let error = client.session(policy, mode, &user).await.unwrap_err();
            assert_eq!((error.stage, error.origin), (Stage::ActivateSession, Origin::Peer), "{error}");
        }
    }
}

/// The secret is sealed for an ephemeral key of the server (OPC 10000-4 §7.40.2.5).
#[tokio::test]
async fn passwords_and_certificates_of_users_work_under_the_policies_on_curves() {
    for (policy, offered, bits) in ON_CURVES {
        let own = certificate(bits);
        let person = CertificateSpec::application("urn:koios:test:person").with_shared_key(bits, 1).make();
        let mut options = ServerOptions::trusting(&[&own, &person]);
        options.key_bits = bits;
        options.policies = vec![offered];
        options.users.push(("long".to_owned(), long_password()));
        let Some(server) = start_or_skip(Stack::Open62541, options) else { return };
        let client = Client::of(&server, &own).await;
        for mode in [SecurityMode::Sign, SecurityMode::SignAndEncrypt] {
            in_and_out(&client, policy, mode).await;
            is_refused(&client, policy, mode, "wrong").await;
            is_refused(&client, policy, mode, "").await;
            let long =
                UserIdentity::UserName { user_name: "long".to_owned(), password: long_password().into() };
            client.session(policy, mode, &long).await.unwrap().close(soon()).await.unwrap();
            let user = UserIdentity::Certificate(identity(&person));
            client.session(policy, mode, &user).await.unwrap().close(soon()).await.unwrap();
        }
    }
}

/// asyncua's user name token has no encryption of its own where the channel encrypts.
#[tokio::test]
async fn a_token_without_encryption_is_used_in_an_encrypted_channel() {
    let own = certificate(2048);
    let Some(server) = start_or_skip(Stack::Asyncua, ServerOptions::trusting(&[&own])) else { return };
    let client = Client::of(&server, &own).await;
    for policy in SecurityPolicy::RSA {
        let mode = SecurityMode::SignAndEncrypt;
        let none = Some(SecurityPolicy::None.uri());
        let endpoint = client.endpoint(policy, mode);
        assert!(endpoint.user_tokens.iter().any(|token| token.security_policy_uri.as_deref() == none));
        in_and_out(&client, policy, mode).await;
        is_refused(&client, policy, mode, "wrong").await;
        in_and_out(&client, policy, SecurityMode::Sign).await;
        is_refused(&client, policy, SecurityMode::Sign, "wrong").await;
    }
}

/// As an attacker would have it who changes discovery: the password stays here.
#[tokio::test]
async fn a_token_changed_to_clear_text_does_not_get_the_password() {
    let own = certificate(2048);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, ServerOptions::trusting(&[&own])) else { return };
    let mut client = Client::of(&server, &own).await;
    for token in client.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.user_tokens) {
        token.security_policy_uri = Some(SecurityPolicy::None.uri().to_owned());
    }
    let policy = SecurityPolicy::Basic256Sha256;
    let error = client.create(policy, SecurityMode::Sign).await.unwrap_err();
    assert!(matches!(error.fault, Fault::EndpointsDiffer { .. }), "{error}");
    assert_eq!((error.stage, error.origin), (Stage::CreateSession, Origin::Local));

    // Without the list to compare with, the token itself is refused.
    let channel = client.open(policy, SecurityMode::Sign).await.unwrap();
    let endpoint = client.endpoint(policy, SecurityMode::Sign);
    let request = SessionRequest::new(client.url.clone(), endpoint, APPLICATION_URI);
    let created = channel.create_session(request, soon()).await.unwrap();
    let error = created.activate(&user("secret"), soon()).await.unwrap_err();
    assert_eq!((error.origin, error.fault), (Origin::Local, Fault::PasswordWouldBeInClear));
}

/// A None endpoint whose user name token has a policy of its own: the password goes to the endpoint's certificate.
#[tokio::test]
async fn without_security_the_password_is_encrypted_or_not_sent() {
    for stack in [Stack::AsyncOpcua, Stack::NodeOpcua, Stack::Asyncua] {
        let own = certificate(2048);
        let options = ServerOptions { none_endpoint: true, ..ServerOptions::trusting(&[&own]) };
        let Some(server) = start_or_skip(stack, options) else { continue };
        let client = Client::of(&server, &own).await;
        let (policy, mode) = (SecurityPolicy::None, SecurityMode::None);
        let endpoint = client.endpoint(policy, mode);
        let encrypts = endpoint.user_tokens.iter().any(|token| {
            token
                .security_policy_uri
                .as_deref()
                .and_then(SecurityPolicy::from_uri)
                .is_some_and(|p| p != policy && !p.is_deprecated())
        });
        println!("{}: the password is encrypted: {encrypts}", stack.name());
        if encrypts {
            in_and_out(&client, policy, mode).await;
            is_refused(&client, policy, mode, "wrong").await;
        } else {
            let error = client.session(policy, mode, &user("secret")).await.unwrap_err();
            assert_eq!(error.fault, Fault::PasswordWouldBeInClear, "{}", stack.name());
        }
    }
}

#[tokio::test]
async fn an_endpoint_without_anonymous_users_is_named_before_anything_is_sent() {
    let own = certificate(2048);
    let options = ServerOptions { anonymous: false, ..ServerOptions::trusting(&[&own]) };
    let Some(server) = start_or_skip(Stack::AsyncOpcua, options) else { return };
    let client = Client::of(&server, &own).await;
    let (policy, mode) = (SecurityPolicy::Basic256Sha256, SecurityMode::SignAndEncrypt);
    let error = client.session(policy, mode, &UserIdentity::Anonymous).await.unwrap_err();
    assert!(matches!(error.fault, Fault::NoUserTokenPolicy { .. }), "{error}");
    assert_eq!((error.stage, error.origin), (Stage::ActivateSession, Origin::Local));
    assert_eq!(error.status, None::<StatusCode>);
}

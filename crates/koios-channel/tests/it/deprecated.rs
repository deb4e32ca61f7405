//! `Basic128Rsa15` and `Basic256` on real servers.

use koios_channel::{Fault, Origin, SecurityMode, SecurityPolicy, Stage, UserIdentity};
use koios_testkit::{CertificateSpec, Policy, ServerOptions, Stack, TestCertificate, start_or_skip};

use crate::client::{APPLICATION_URI, Client, identity, soon};
use crate::sessions::use_session;

const POLICIES: [(SecurityPolicy, Policy); 2] =
    [(SecurityPolicy::Basic128Rsa15, Policy::Basic128Rsa15), (SecurityPolicy::Basic256, Policy::Basic256)];
const MODES: [SecurityMode; 2] = [SecurityMode::Sign, SecurityMode::SignAndEncrypt];

fn certificate(bits: u32) -> TestCertificate {
    CertificateSpec::application(APPLICATION_URI).with_shared_key(bits, 0).make()
}

#[tokio::test]
async fn sessions_work_on_every_stack_with_the_deprecated_policies() {
    let own = [1024, 2048].map(certificate);
    for stack in [Stack::AsyncOpcua, Stack::NodeOpcua, Stack::Asyncua, Stack::Open62541] {
        for key_bits in [1024, 2048] {
            let options = ServerOptions {
                key_bits,
                policies: POLICIES.map(|(_, offered)| offered).to_vec(),
                ..ServerOptions::trusting(&[&own[0], &own[1]])
            };
            let Some(server) = start_or_skip(stack, options) else { continue };
            for own in &own {
                let client = Client::of(&server, own).await;
                for (policy, _) in POLICIES {
                    for mode in MODES {
                        use_session(&client, policy, mode).await;
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn passwords_are_refused_before_they_are_sent_and_certificates_of_users_work() {
    let own = certificate(2048);
    let person = CertificateSpec::application("urn:koios:test:person").with_shared_key(2048, 1).make();
    let options = ServerOptions {
        policies: POLICIES.map(|(_, offered)| offered).to_vec(),
        ..ServerOptions::trusting(&[&own, &person])
    };
    let Some(server) = start_or_skip(Stack::NodeOpcua, options) else { return };
    let client = Client::of(&server, &own).await;
    let user = UserIdentity::UserName { user_name: "op".to_owned(), password: "secret".to_owned().into() };
    for (policy, _) in POLICIES {
        for mode in MODES {
            let error = client.session(policy, mode, &user).await.unwrap_err();
            assert_eq!((error.stage, error.origin), (Stage::ActivateSession, Origin::Local), "{error}");
            assert_eq!(error.fault, Fault::PasswordUnderDeprecatedPolicy { policy });

            let user = UserIdentity::Certificate(identity(&person));
            client.session(policy, mode, &user).await.unwrap().close(soon()).await.unwrap();
        }
    }
}

/// Keys of 1024 bits are for the deprecated policies alone.
#[tokio::test]
async fn a_short_key_is_refused_under_a_current_policy_before_anything_is_sent() {
    let own = certificate(1024);
    let Some(server) = start_or_skip(Stack::AsyncOpcua, ServerOptions::trusting(&[&own])) else { return };
    let client = Client::of(&server, &own).await;
    for policy in SecurityPolicy::RSA {
        let error = client.open(policy, SecurityMode::Sign).await.unwrap_err();
        assert!(matches!(error.fault, Fault::KeyNotAllowed { .. }), "{error}");
        assert_eq!(error.origin, Origin::Local);
    }
}

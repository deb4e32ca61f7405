//! What is no matter of our certificate, of every stack.

use koios_opcua::{ClockReading, SecurityMode, SecurityPolicy, ServerTrust, Target, UserIdentity, attempt};
use koios_testkit::{
    Ability, CertificateSpec, Mode, Policy, ServerCertificate, ServerOptions, Stack, TestCertificate,
    start_or_skip,
};
use zeroize::Zeroizing;

use super::certificates::with_security;
use super::relay::{Towards, switch};
use super::{Case, Key, Table, Verdicts, observe};
use crate::client::{certificate, identity, run, secured, url};

/// In this order they are asked of every stack.
pub(crate) const CASES: &[Case] = &[
    Case { name: "wrong_path", title: "the path of the URL is wrong" },
    Case { name: "other_host_name", title: "the URL has another name of the host" },
    Case {
        name: "server_certificate_pinned",
        title: "the server has another certificate than the one pinned",
    },
    Case {
        name: "stale_server_certificate",
        title: "the endpoints show a certificate that the server does not use",
    },
    Case { name: "server_sends_chain", title: "the server sends its issuers along" },
    Case { name: "server_key_4096", title: "the server's key has 4096 bits" },
    Case { name: "server_expired", title: "the server's own certificate is expired, and accepted" },
    Case { name: "policy_not_offered", title: "the policy is not offered" },
    Case { name: "anonymous_not_offered", title: "anonymous users are not let in" },
    Case { name: "wrong_password", title: "the password is wrong" },
    Case { name: "right_password", title: "the password is right" },
    Case { name: "too_many_sessions", title: "the server has no session left" },
    Case { name: "only_none_offered", title: "the server offers no security" },
    Case { name: "none", title: "security mode None is wanted and offered" },
    Case { name: "none_with_password", title: "security mode None with a password" },
    Case { name: "server_down", title: "the server is down" },
];

/// Asks them.
pub(crate) fn see(stack: Stack, expected: &Table) -> Option<Verdicts> {
    let client = certificate();
    let mut asking = Asking { expected, verdicts: Verdicts::new() };
    asking.of_a_usual_server(stack, &client)?;
    asking.of_a_strict_server(stack, &client)?;
    asking.of_a_server_without_security(stack, &client)?;
    Some(asking.verdicts)
}

struct Asking<'a> {
    expected: &'a Table,
    verdicts: Verdicts,
}

impl Asking<'_> {
    fn ask(&mut self, case: &'static str, target: &Target) {
        let key = Key::of(case);
        let (observation, _) = observe(self.expected, &key, target, ClockReading::system());
        self.verdicts.push((key, observation));
    }

    /// The same with each policy and mode: each encrypts the user's secret in its own way.
    fn ask_with_all(&mut self, case: &'static str, target: &Target) {
        for policy in USER_POLICIES {
            for mode in Mode::ALL {
                let key = Key::with(case, policy, mode);
                let target = with_security(target, policy, mode);
                let (observation, _) = observe(self.expected, &key, &target, ClockReading::system());
                self.verdicts.push((key, observation));
            }
        }
    }

    fn of_a_usual_server(&mut self, stack: Stack, client: &TestCertificate) -> Option<()> {
        let options = ServerOptions::trusting(&[client]);
        // It could have had this one before.
        let former = ServerCertificate::Replaced.make(&options);
        let mut server = start_or_skip(stack, options)?;
        let mut target = secured(&server, client);
        target.endpoint_url = url(&format!("{}nope", server.endpoint_url));
        self.ask("wrong_path", &target);
        target.endpoint_url = url(&server.endpoint_url.replace("127.0.0.1", "localhost"));
        self.ask("other_host_name", &target);

        let mut target = secured(&server, client);
        target.server_trust = ServerTrust::Pin { expected: Some(identity(&former).chain().clone()) };
        self.ask("server_certificate_pinned", &target);
        let relay = switch(&server, Towards::Client, server.certificate(), &former);
        let mut target = secured(&server, client);
        target.endpoint_url = url(&relay);
        self.ask("stale_server_certificate", &target);

        if stack.can(Ability::SendsChain) {
            server.replace_certificate(ServerCertificate::Chain);
            self.ask("server_sends_chain", &secured(&server, client));
        }
        let large = CertificateSpec::application(server.application_uri()).with_shared_key(4096, 200).make();
        server.replace_certificate(ServerCertificate::Given(large));
        self.ask("server_key_4096", &secured(&server, client));
        server.replace_certificate(ServerCertificate::Expired);
        self.ask("server_expired", &secured(&server, client));
        Some(())
    }

    fn of_a_strict_server(&mut self, stack: Stack, client: &TestCertificate) -> Option<()> {
        let max_sessions = stack.can(Ability::LimitsSessions).then_some(MAX_SESSIONS);
        let options = ServerOptions {
            policies: USER_POLICIES.to_vec(),
            anonymous: false,
            max_sessions,
            ..ServerOptions::trusting(&[client])
        };
        let server = start_or_skip(stack, options)?;
        let mut target = secured(&server, client);
        target.security_policy = Some(SecurityPolicy::Aes128Sha256RsaOaep);
        self.ask("policy_not_offered", &target);
        target.security_policy = None;
        self.ask("anonymous_not_offered", &target);
        for (case, password) in [("wrong_password", "wrong"), ("right_password", "secret")] {
            target.user = user(password);
            self.ask_with_all(case, &target);
        }
        if max_sessions.is_some() {
            let sessions = hold_sessions(&target);
            self.ask("too_many_sessions", &target);
            drop(sessions);
        }
        Some(())
    }

    fn of_a_server_without_security(&mut self, stack: Stack, client: &TestCertificate) -> Option<()> {
        let mut server = start_or_skip(stack, ServerOptions::without_security())?;
        self.ask("only_none_offered", &secured(&server, client));
        let mut target = Target::new(url(&server.endpoint_url), crate::client::URI);
        assert_eq!(target.security_mode, SecurityMode::None);
        self.ask("none", &target);
        target.user = user("secret");
        self.ask("none_with_password", &target);
        server.stop();
        self.ask("server_down", &target);
        Some(())
    }
}

/// Sessions until the server has no more: whatever came before, some of it may count still.
fn hold_sessions(target: &Target) -> Vec<koios_opcua::Connected> {
    (0..MAX_SESSIONS).map_while(|_| run(attempt(target, ClockReading::system())).result.ok()).collect()
}

fn user(password: &str) -> UserIdentity {
    UserIdentity::UserName { user_name: "op".to_owned(), password: Zeroizing::new(password.to_owned()) }
}

const MAX_SESSIONS: u32 = 3;

/// One of each way to encrypt, and one policy is left that is not offered.
const USER_POLICIES: [Policy; 2] = [Policy::Basic256Sha256, Policy::Aes256Sha256RsaPss];

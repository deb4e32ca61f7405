//! open62541 1.5 (C, with OpenSSL), a child process; the one with policies on curves.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::{Ability, Implementation, Running};
use crate::server::{Mode, Policy, ServerOptions, foreign};
use crate::{PkiFolders, TestCertificate};

pub(super) struct Fixture;

impl Implementation for Fixture {
    fn name(&self) -> &'static str {
        "open62541"
    }

    fn abilities(&self) -> &'static [Ability] {
        // Its lists are read at its start, and what it rejects stays in its memory.
        &[Ability::Authorities, Ability::LimitsSessions, Ability::ReverseConnect]
    }

    /// The arguments are those that `fixtures/servers/open62541/server.c` tells.
    fn start(
        &self,
        options: &ServerOptions,
        certificate: &TestCertificate,
        pki: &PkiFolders,
    ) -> (u16, Running) {
        let own = foreign::write_own(pki, &certificate.pem(), certificate.key_pem());
        let der_file = own.certificate.with_extension("der");
        fs::write(&der_file, certificate.der()).expect("a writable PKI folder");
        let flag = |set| if set { "1" } else { "0" };
        let policies: Vec<_> = options.policies.iter().map(|policy: &Policy| policy.name()).collect();
        let modes: Vec<_> = options.modes.iter().map(|mode: &Mode| mode.name()).collect();
        foreign::start(self.name(), options, pki, |port| {
            let server = foreign::interpreter(self.name()).expect("checked at the start");
            let mut command = Command::new(server);
            command.arg(port.to_string()).arg(&options.application_uri);
            command.args([&der_file, &own.private_key, &pki.root]);
            command.args([flag(options.anonymous), flag(options.none_endpoint)]);
            command.args([policies.join(","), modes.join(",")]);
            for (name, password) in &options.users {
                command.args([name, password]);
            }
            command.envs(options.reverse_connect.as_ref().map(|url| ("REVERSE_CONNECT", url)));
            command.envs(options.max_sessions.map(|limit| ("MAX_SESSIONS", limit.to_string())));
            let millis = |duration: Duration| duration.as_millis().to_string();
            command.envs(options.token_lifetime.map(|lifetime| ("TOKEN_LIFETIME_MS", millis(lifetime))));
            command.envs(options.session_timeout.map(|timeout| ("SESSION_TIMEOUT_MS", millis(timeout))));
            command.envs(options.trusts_any.then_some(("TRUST_ANY", "1")));
            command
        })
    }

    fn bench_client(&self) -> Option<Command> {
        // The server is what was noted at its installation; the client lies beside it.
        let client = foreign::interpreter(self.name())?.with_file_name("client");
        client.exists().then(|| Command::new(client))
    }
}

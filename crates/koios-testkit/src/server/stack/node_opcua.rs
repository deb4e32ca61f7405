//! node-opcua 2.186 (JavaScript), a child process.

use std::process::Command;

use super::{Ability, Implementation, Running};
use crate::server::{ServerOptions, foreign};
use crate::{PkiFolders, TestCertificate};

pub(super) struct Fixture;

impl Implementation for Fixture {
    fn name(&self) -> &'static str {
        "node-opcua"
    }

    fn abilities(&self) -> &'static [Ability] {
        ABILITIES
    }

    fn start(
        &self,
        options: &ServerOptions,
        certificate: &TestCertificate,
        pki: &PkiFolders,
    ) -> (u16, Running) {
        start(self.name(), options, certificate, pki)
    }

    fn bench_client(&self) -> Option<Command> {
        foreign::program(self.name(), "client-bench.mjs")
    }
}

/// The server of any release of node-opcua, from its folder.
pub(super) fn start(
    name: &str,
    options: &ServerOptions,
    certificate: &TestCertificate,
    pki: &PkiFolders,
) -> (u16, Running) {
    let own = foreign::write_own(pki, &certificate.chain_pem(), certificate.key_pem());
    foreign::start(name, options, pki, |port| {
        foreign::script(name, "server.mjs", &foreign::configuration(port, options, pki, &own))
    })
}

/// What the server of any release can do.
pub(super) const ABILITIES: &[Ability] = &[
    Ability::Authorities,
    Ability::KeepsRejected,
    Ability::LimitsSessions,
    // It watches its folders, and may need two seconds.
    Ability::LiveTrust,
    Ability::SendsChain,
];

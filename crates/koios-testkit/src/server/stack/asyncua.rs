//! asyncua 2.1 (Python), a child process.

use std::process::Command;

use super::{Ability, Implementation, Running};
use crate::server::{ServerOptions, foreign};
use crate::{PkiFolders, TestCertificate};

pub(super) struct Fixture;

impl Implementation for Fixture {
    fn name(&self) -> &'static str {
        "asyncua"
    }

    fn abilities(&self) -> &'static [Ability] {
        // It writes no rejected certificates, and takes one certificate of its own.
        &[Ability::Authorities, Ability::LiveTrust]
    }

    fn start(
        &self,
        options: &ServerOptions,
        certificate: &TestCertificate,
        pki: &PkiFolders,
    ) -> (u16, Running) {
        let own = foreign::write_own(pki, &certificate.pem(), certificate.key_pem());
        foreign::start(self.name(), options, pki, |port| {
            foreign::script(self.name(), "server.py", &foreign::configuration(port, options, pki, &own))
        })
    }

    fn bench_client(&self) -> Option<Command> {
        foreign::program(self.name(), "client-bench.py")
    }
}

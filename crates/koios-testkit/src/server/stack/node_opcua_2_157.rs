//! node-opcua 2.157 (JavaScript), a child process: of the releases that refuse certificates with a malformed ERR, which are
//! in use for years to come.

use super::{Ability, Implementation, Running, node_opcua};
use crate::server::ServerOptions;
use crate::{PkiFolders, TestCertificate};

pub(super) struct Fixture;

impl Implementation for Fixture {
    fn name(&self) -> &'static str {
        "node-opcua-2.157"
    }

    fn abilities(&self) -> &'static [Ability] {
        node_opcua::ABILITIES
    }

    fn start(
        &self,
        options: &ServerOptions,
        certificate: &TestCertificate,
        pki: &PkiFolders,
    ) -> (u16, Running) {
        node_opcua::start(self.name(), options, certificate, pki)
    }
}

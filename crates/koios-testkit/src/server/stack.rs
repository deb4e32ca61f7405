//! The stacks that Koios is tested against: what is particular to one lies in one file.
//!
//! A new one is a file beside the others, and its name in the two lists here.

pub(super) mod async_opcua;
mod asyncua;
mod node_opcua;
mod node_opcua_2_157;
mod open62541;

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use crate::server::child::Child;
use crate::server::{ServerOptions, foreign};
use crate::{PkiFolders, TestCertificate};

stacks! {
    AsyncOpcua = async_opcua,
    Asyncua = asyncua,
    NodeOpcua = node_opcua,
    NodeOpcua2157 = node_opcua_2_157,
    Open62541 = open62541,
}

impl Stack {
    /// Those that most tests are run against: they notice changes of their trust lists while they run, and are of different
    /// languages.
    pub const COMMON: [Self; 3] = [Self::AsyncOpcua, Self::Asyncua, Self::NodeOpcua];

    /// Its name as its makers write it, with the release where there are several of it.
    pub fn name(self) -> &'static str {
        self.implementation().name()
    }

    /// Whether its server can do this.
    pub fn can(self, ability: Ability) -> bool {
        self.implementation().abilities().contains(&ability)
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What some servers can do and others cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ability {
    /// Knows certificates of authorities, trusts what a trusted one has issued, and takes revocation lists.
    Authorities,
    /// Puts refused certificates into a folder.
    KeepsRejected,
    /// Bounds its sessions by [`ServerOptions::max_sessions`].
    LimitsSessions,
    /// Notices changes of its trust lists while it runs, others at their start.
    LiveTrust,
    /// Connects to clients by [`ServerOptions::reverse_connect`].
    ReverseConnect,
    /// Sends the issuers of its own certificate along.
    SendsChain,
}

/// What a stack's file tells: a server, and how it is dealt with.
pub(super) trait Implementation: Sync {
    /// See [`Stack::name`].
    fn name(&self) -> &'static str;

    /// See [`Stack::can`].
    fn abilities(&self) -> &'static [Ability];

    /// Why it cannot be started on this machine; `None` when it can.
    fn missing(&self) -> Option<String> {
        foreign::missing(self.name())
    }

    /// Where in its PKI folder the lists lie.
    fn folders(&self, root: PathBuf) -> PkiFolders {
        foreign::folders(root, self.abilities())
    }

    /// The name under which it finds a trusted certificate.
    fn file_name(&self, der: &[u8]) -> String {
        foreign::file_name(der)
    }

    /// Starts a server: it answers when this returns, which also tells the port.
    fn start(
        &self,
        options: &ServerOptions,
        certificate: &TestCertificate,
        pki: &PkiFolders,
    ) -> (u16, Running);

    /// The program that connects with the stack's own client; see [`bench_client`].
    fn bench_client(&self) -> Option<Command> {
        None
    }
}

/// A server that runs; dropping it stops it.
#[derive(Debug)]
pub(super) enum Running {
    Child(Child),
    #[expect(dead_code, reason = "held to be dropped")]
    InProcess(async_opcua::Running),
}

/// The program that connects many times, or holds many sessions, with the stack's own client, for the benchmarks.
///
/// node-opcua's and asyncua's take a configuration as JSON, open62541's the arguments that `client.c` tells. `None` when it
/// is not installed or the stack has none here.
pub fn bench_client(stack: Stack) -> Option<Command> {
    stack.implementation().bench_client()
}

macro_rules! stacks {
    ($($stack:ident = $file:ident,)+) => {
        /// An OPC UA implementation that Koios is tested against.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "their files tell")]
        pub enum Stack {
            $($stack,)+
        }

        impl Stack {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$stack,)+];

            pub(super) fn implementation(self) -> &'static dyn Implementation {
                match self {
                    $(Self::$stack => &$file::Fixture,)+
                }
            }
        }
    };
}
use stacks;

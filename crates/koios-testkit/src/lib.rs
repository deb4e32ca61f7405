//! What the tests of Koios are made with: certificates, real OPC UA servers, and peers that behave badly.
//!
//! - [`CertificateSpec`] makes certificates of any kind, good and bad, with rcgen (and with the `openssl` program
//!   where rcgen refuses). Keys come from a pool, since making RSA keys is slow.
//! - [`Server`] is a secured OPC UA server with a PKI folder of its own: async-opcua inside the test process,
//!   node-opcua, asyncua and open62541 as child processes. It rejects, and is told to trust, as an operator would do it.
//! - [`ProsysStandIn`] is a server that keeps clients' certificates as the Prosys OPC UA Simulation Server does.
//! - [`OddPeer`] is something else that listens: silent, HTTP, SSH, closing, resetting, dripping.
//! - [`Browser`] is a headless Chromium, for the pages that the daemon serves.
//! - [`ClientFixture`] is a client of the REST API in another language.
//! - [`foreign_pki`] lets other products write the folders and key stores in which they keep certificates.
//! - [`start_or_skip`] and [`skip`](fn@skip) leave a trace of what could not run, for `cargo xtask test`.
//!
//! This crate depends on none of the crates it tests, so that their mistakes cannot judge themselves. It panics
//! where a test could not go on anyway.
#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations)]

mod browser;
pub use browser::{Browser, ColorScheme, Element};

mod certificate;
pub use certificate::{
    BasicConstraints, CertificateSpec, ExtendedKeyUsage, KeyUsage, San, SignatureHash, TestCertificate,
    revocation_list,
};

mod client_fixture;
pub use client_fixture::ClientFixture;

pub mod foreign_pki;

mod key;
pub use key::TestKey;

mod odd_peer;
pub use odd_peer::{OddKind, OddPeer};

pub mod openssl;

mod pki_folders;
pub use pki_folders::PkiFolders;

mod server;
pub use server::{
    Ability, Mode, Policy, ProsysStandIn, Server, ServerCertificate, ServerOptions, Stack, Unavailable,
    bench_client, start, start_or_skip,
};

mod skip;
pub use skip::skip;

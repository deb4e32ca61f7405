//! Fuzz targets of Koios as plain functions: each takes any bytes and panics only when a promise is broken.
//!
//! - Fuzz (nightly, cargo-fuzz): `cargo +nightly fuzz run certificate --features libfuzzer`
//! - Replay the corpus (stable): `cargo run --manifest-path fuzz/Cargo.toml --bin replay`
//! - Make the corpus anew (openssl): `fuzz/make-corpus`
#![forbid(unsafe_code)]

mod pki;
pub use pki::{certificate, chain, hostname, pair, private_key};

/// One target: its name, which is that of its corpus directory, and its function.
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "certificate", run: certificate },
    Target { name: "chain", run: chain },
    Target { name: "hostname", run: hostname },
    Target { name: "pair", run: pair },
    Target { name: "private_key", run: private_key },
];

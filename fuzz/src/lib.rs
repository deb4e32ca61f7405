//! Fuzz targets of Koios as plain functions: each takes any bytes and panics only when a promise is broken.
//!
//! - Fuzz (nightly, cargo-fuzz): `cargo +nightly fuzz run certificate --features libfuzzer`
//! - Replay the corpus (stable): `cargo run --manifest-path fuzz/Cargo.toml --bin replay`
//! - Replay with changes (stable): `cargo run --manifest-path fuzz/Cargo.toml --bin mutate -- 100000 answer`
//! - Make the corpora anew: `fuzz/make-corpus` (openssl), `fuzz/make-channel-corpus`, `fuzz/make-backup-corpus` (Python)
#![forbid(unsafe_code)]

pub use koios_channel::fuzzing::{answer, asymmetric, conversation, err, reverse_hello, symmetric};
pub use koios_store::fuzzing::backup;
mod pki;
pub use pki::{certificate, chain, crl, hostname, pair, pkcs7, pkcs12, private_key, request, trust};

/// One target: its name, which is that of its corpus directory, and its function.
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "answer", run: answer },
    Target { name: "asymmetric", run: asymmetric },
    Target { name: "backup", run: backup },
    Target { name: "certificate", run: certificate },
    Target { name: "chain", run: chain },
    Target { name: "conversation", run: conversation },
    Target { name: "crl", run: crl },
    Target { name: "err", run: err },
    Target { name: "hostname", run: hostname },
    Target { name: "pair", run: pair },
    Target { name: "pkcs12", run: pkcs12 },
    Target { name: "pkcs7", run: pkcs7 },
    Target { name: "private_key", run: private_key },
    Target { name: "request", run: request },
    Target { name: "reverse_hello", run: reverse_hello },
    Target { name: "symmetric", run: symmetric },
    Target { name: "trust", run: trust },
];

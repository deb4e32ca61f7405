//! koios-pki through its public API: judged by OpenSSL where a foreign judge is possible, by properties where none is
//! needed.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the tests start openssl, which works on files; the library itself stays pure"
)]

mod authorities;
mod containers;
mod contents;
#[cfg(feature = "deprecated-policies")]
mod deprecated;
mod findings;
mod foreign_certificates;
mod foreign_keys;
mod generation;
mod inspection;
mod keys;
mod matrix;
mod openssl;
mod pkits;
mod properties;
mod requests;
mod samples;
mod trust;
mod trust_pki;
mod trust_properties;
mod trust_revocation;
mod trust_rules;
mod upload;

//! A server, and who comes to it.

use std::fs;
use std::path::PathBuf;

use koios_testkit::{CertificateSpec, Server, ServerOptions, Stack, Unavailable};
use tempfile::TempDir;

/// A running server, and the client that it trusts; keys of both have the same length.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) own: Own,
    _folder: TempDir,
}

/// Files (PEM) of the client's certificate and key.
pub(crate) struct Own {
    pub(crate) certificate: PathBuf,
    pub(crate) private_key: PathBuf,
}

impl Scene {
    pub(crate) fn set(stack: Stack, bits: u32) -> Result<Self, Unavailable> {
        let certificate = CertificateSpec::application(APPLICATION_URI).with_shared_key(bits, 0).make();
        let options = ServerOptions { key_bits: bits, ..ServerOptions::trusting(&[&certificate]) };
        let server = koios_testkit::start(stack, options)?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = Own {
            certificate: folder.path().join("certificate.pem"),
            private_key: folder.path().join("private-key.pem"),
        };
        fs::write(&own.certificate, certificate.pem()).expect("a writable folder");
        fs::write(&own.private_key, certificate.key_pem()).expect("a writable folder");
        Ok(Self { server, own, _folder: folder })
    }
}

/// Of all clients, which come with the same certificate.
pub(crate) const APPLICATION_URI: &str = "urn:koios:bench:client";

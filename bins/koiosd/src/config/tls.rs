//! The settings below `tls`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// With which certificate the REST API is served; without any, plain HTTP is spoken.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsSettings {
    /// PEM, the server's certificate first, then those that issued it.
    pub certificate: Option<PathBuf>,
    /// Its private key in PEM: PKCS#8, PKCS#1 or SEC1.
    pub private_key: Option<PathBuf>,
    /// Whether the daemon makes a certificate of its own instead.
    #[serde(default)]
    pub self_signed: bool,
}

impl TlsSettings {
    /// Whether connections are encrypted.
    pub(crate) fn is_on(&self) -> bool {
        self.self_signed || self.certificate.is_some()
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        match (&self.certificate, &self.private_key, self.self_signed) {
            (Some(_), None, _) => Err("tls.certificate is set and tls.private_key is not; give both"),
            (None, Some(_), _) => Err("tls.private_key is set and tls.certificate is not; give both"),
            (Some(_), Some(_), true) => {
                Err("tls.self_signed is true although tls.certificate names one; give one of them")
            }
            _ => Ok(()),
        }
    }
}

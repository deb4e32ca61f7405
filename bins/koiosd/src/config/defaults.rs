//! What holds where no source says otherwise.

use std::{env, path::PathBuf};

use serde::Serialize;

use super::{DefaultKey, DefaultServerCertificatePolicy, LogFormat, LogLevel};

/// What holds where no source says otherwise; `data_dir` has its own rule.
#[derive(Serialize)]
pub(super) struct Defaults {
    listen: &'static str,
    cors_allowed_origins: Vec<String>,
    create_default_certificate: bool,
    default_key: DefaultKey,
    default_validity_days: u32,
    expiring_soon_days: u32,
    default_server_certificate_policy: DefaultServerCertificatePolicy,
    retry_max_seconds: f64,
    connect_concurrency: usize,
    allow_deprecated_policies: bool,
    insecure_allow_plain_http: bool,
    encryption_at_rest: bool,
    log_level: LogLevel,
    log_format: LogFormat,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8470",
            cors_allowed_origins: Vec::new(),
            create_default_certificate: true,
            default_key: DefaultKey::Rsa2048,
            default_validity_days: 1095,
            expiring_soon_days: 30,
            default_server_certificate_policy: DefaultServerCertificatePolicy::Pin,
            retry_max_seconds: 10.0,
            connect_concurrency: 32,
            allow_deprecated_policies: false,
            insecure_allow_plain_http: false,
            encryption_at_rest: false,
            log_level: LogLevel::Info,
            log_format: LogFormat::Text,
        }
    }
}

/// The platform's folder for a user's data.
pub(super) fn user_data_dir() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = if cfg!(windows) {
        folder("LOCALAPPDATA")?
    } else if cfg!(target_os = "macos") {
        folder("HOME")?.join("Library/Application Support")
    } else {
        // A relative XDG_DATA_HOME is to be ignored (XDG Base Directory Specification 0.8).
        match folder("XDG_DATA_HOME") {
            Some(path) => path,
            None => folder("HOME")?.join(".local/share"),
        }
    };
    Some(base.join("koios"))
}

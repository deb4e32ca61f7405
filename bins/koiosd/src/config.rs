//! The settings: flags over environment over the TOML file over defaults.

mod check;
mod defaults;
mod environment;
mod error;
mod form;
pub(crate) mod master_key;
mod values;

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use figment::{
    Figment,
    providers::{Format, Serialized, Toml},
};
use koios_opcua::DeprecatedPolicies;
use koios_store::{MasterKey, ServerCertificatePolicy, StoreOptions};
use serde::{Deserialize, Serialize};

use crate::command_line::Arguments;
use crate::service::devices::DeviceRules;
use defaults::{Defaults, user_data_dir};
use environment::{ENVIRONMENT, ValueKind, literal};
use form::{list, listen_address};

pub use error::ConfigError;
pub use values::{DefaultKey, DefaultServerCertificatePolicy, LogFormat, LogLevel};

/// Longest validity that can be asked for, in days (25 years).
pub(crate) const VALIDITY_DAYS_MAX: u32 = 9125;

/// Every setting, checked.
///
/// The file's key is the field's name; the environment's is `KOIOS_` and that name in upper case.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// Address and port of the REST API.
    #[serde(deserialize_with = "listen_address")]
    pub listen: SocketAddr,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Origins whose pages may call the API (`https://host[:port]`).
    #[serde(deserialize_with = "list")]
    pub cors_allowed_origins: Vec<String>,
    /// Whether the first start generates the default certificate.
    pub create_default_certificate: bool,
    /// The subject's organization where a request names none.
    pub organization: Option<String>,
    /// The kind of key generated where a request names none.
    pub default_key: DefaultKey,
    /// The validity of generated certificates where a request names none, in days.
    pub default_validity_days: u32,
    /// How long before its end a certificate is `expiring_soon`, in days.
    pub expiring_soon_days: u32,
    /// How new devices that name no policy judge their server's certificate.
    pub default_server_certificate_policy: DefaultServerCertificatePolicy,
    /// Longest pause between two attempts to connect a device, in seconds.
    pub retry_max_seconds: f64,
    /// How many attempts to connect may run at the same time.
    pub connect_concurrency: usize,
    /// Whether devices may name the deprecated security policies, and certificates have the short keys that go with them.
    pub allow_deprecated_policies: bool,
    /// Allows an address other than loopback although the API speaks plain HTTP.
    pub insecure_allow_plain_http: bool,
    /// The file of the master key, where that is kept outside of the data directory.
    pub master_key_file: Option<PathBuf>,
    /// Whether private keys are encrypted on the disk.
    pub encryption_at_rest: bool,
    /// The master key, wherever from; `None`: the one in the data directory.
    #[serde(skip)]
    pub(crate) master_key: Option<MasterKey>,
    /// What is logged.
    pub log_level: LogLevel,
    /// How it is logged.
    pub log_format: LogFormat,
}

impl Settings {
    /// Reads and checks the settings.
    ///
    /// # Errors
    ///
    /// Everything that makes a start senseless is a [`ConfigError`]: an unreadable file, an unknown key, a value
    /// of the wrong type or out of range, a plain HTTP address that others can reach.
    pub fn load(arguments: &Arguments) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Defaults::default()));
        if let Some(path) = &arguments.config {
            figment = figment.merge(read_file(path)?);
        }
        for (key, kind) in ENVIRONMENT {
            let name = format!("KOIOS_{}", key.to_ascii_uppercase());
            let value = match env::var(&name) {
                Ok(value) => value,
                Err(env::VarError::NotPresent) => continue,
                Err(env::VarError::NotUnicode(_)) => {
                    return Err(ConfigError::EnvironmentNotUnicode { name });
                }
            };
            figment = match kind {
                ValueKind::Text => figment.merge((key, value)),
                ValueKind::Literal => figment.merge((key, literal(&value))),
            };
        }
        if let Some(data_dir) = &arguments.data_dir {
            figment = figment.merge(("data_dir", data_dir));
        }
        if let Some(listen) = &arguments.listen {
            figment = figment.merge(("listen", listen));
        }
        if let Some(log_format) = &arguments.log_format {
            figment = figment.merge(("log_format", log_format));
        }
        if !figment.contains("data_dir") {
            figment = figment.merge(("data_dir", user_data_dir().ok_or(ConfigError::NoDataDirectory)?));
        }
        let mut settings: Self =
            figment.extract().map_err(|source| ConfigError::Sources(Box::new(source)))?;
        settings.master_key = master_key::find(settings.master_key_file.as_deref())?;
        settings.check()
    }

    /// How the data directory is opened.
    pub(crate) fn store_options(&self) -> StoreOptions {
        let mut options = StoreOptions::new(&self.data_dir);
        options.master_key.clone_from(&self.master_key);
        options.encryption_at_rest = self.encryption_at_rest;
        options
    }

    /// How long before its end a certificate is `expiring_soon`.
    pub(crate) fn expiring_soon(&self) -> time::Duration {
        time::Duration::days(self.expiring_soon_days.into())
    }

    /// Longest pause between two attempts to connect a device.
    pub(crate) fn retry_max(&self) -> Duration {
        Duration::from_secs_f64(self.retry_max_seconds)
    }

    /// What holds for devices.
    pub(crate) fn device_rules(&self) -> DeviceRules {
        use DefaultServerCertificatePolicy as Policy;
        DeviceRules {
            deprecated: self.deprecated_policies(),
            default_server_certificate_policy: match self.default_server_certificate_policy {
                Policy::Pin => ServerCertificatePolicy::Pin,
                Policy::TrustList => ServerCertificatePolicy::TrustList,
                Policy::AcceptAny => ServerCertificatePolicy::AcceptAny,
            },
        }
    }

    pub(crate) fn deprecated_policies(&self) -> DeprecatedPolicies {
        if self.allow_deprecated_policies { DeprecatedPolicies::Allowed } else { DeprecatedPolicies::Refused }
    }
}

/// figment ignores a file that is not there; a file that someone named must be.
fn read_file(path: &Path) -> Result<figment::providers::Data<Toml>, ConfigError> {
    std::fs::metadata(path).map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
    Ok(Toml::file_exact(path))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use clap::Parser;

    use super::*;

    fn load(file: &str, flags: &[&str]) -> Result<Settings, ConfigError> {
        let mut config = tempfile::NamedTempFile::new().unwrap();
        config.write_all(file.as_bytes()).unwrap();
        let mut line = vec!["koiosd", "--config", config.path().to_str().unwrap()];
        line.extend(flags);
        Settings::load(&Arguments::parse_from(line))
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let file = "listen = \"127.0.0.1:1\"\ndata_dir = \"/file\"\nexpiring_soon_days = 7\n";
        let settings = load(file, &["--listen", "[::1]:2"]).unwrap();
        assert_eq!(settings.listen, "[::1]:2".parse().unwrap());
        assert_eq!(settings.data_dir, Path::new("/file"));
        assert_eq!(settings.expiring_soon_days, 7);
        assert_eq!(settings.default_validity_days, 1095);
        assert_eq!(settings.default_key, DefaultKey::Rsa2048);
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let Err(ConfigError::Sources(source)) =
            load("listen_on = \"127.0.0.1:1\"\n", &["--data-dir", "/tmp/x"])
        else {
            panic!("the key was accepted");
        };
        assert!(source.to_string().contains("listen_on"), "{source}");
    }

    #[test]
    fn values_out_of_range_and_of_the_wrong_type_are_errors() {
        for file in [
            "default_validity_days = 0",
            "default_validity_days = 9126",
            "default_validity_days = \"many\"",
            "expiring_soon_days = -1",
            "retry_max_seconds = 0.5",
            "connect_concurrency = 0",
            "default_key = \"rsa-1024\"",
            "log_level = \"loud\"",
            "listen = \"nowhere\"",
            "organization = \"a\\u0007b\"",
            "cors_allowed_origins = [\"*\"]",
            "cors_allowed_origins = [\"https://a/path\"]",
            "not toml",
        ] {
            assert!(load(&format!("{file}\n"), &["--data-dir", "/tmp/x"]).is_err(), "accepted: {file}");
        }
    }

    #[test]
    fn plain_http_beyond_loopback_needs_the_insecure_setting() {
        let flags = ["--listen", "0.0.0.0:0", "--data-dir", "/tmp/x"];
        assert!(matches!(load("", &flags), Err(ConfigError::PlainHttpOnNetwork { .. })));
        assert!(load("insecure_allow_plain_http = true\n", &flags).is_ok());
        assert!(load("", &["--listen", "localhost:0", "--data-dir", "/tmp/x"]).is_ok());
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let arguments = Arguments::parse_from(["koiosd", "--config", "/nowhere/koios.toml"]);
        assert!(matches!(Settings::load(&arguments), Err(ConfigError::File { .. })));
    }

    #[test]
    fn origins_may_be_a_list_or_text_with_commas() {
        let expected = ["https://a.example", "http://localhost:3000"];
        for file in [
            "cors_allowed_origins = [\"https://a.example\", \"http://localhost:3000\"]\n",
            "cors_allowed_origins = \"https://a.example, http://localhost:3000\"\n",
        ] {
            assert_eq!(load(file, &["--data-dir", "/tmp/x"]).unwrap().cors_allowed_origins, expected);
        }
    }
}

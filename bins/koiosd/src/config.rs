//! The settings: flags over environment over the TOML file over defaults.

mod check;
mod defaults;
mod error;
mod form;
mod live;
pub(crate) mod master_key;
mod nearest;
mod show;
mod sources;
pub(crate) mod table;
mod tls;
mod values;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use koios_opcua::{DeprecatedPolicies, TargetNetworks};
use koios_store::{MasterKey, ServerCertificatePolicy, StoreOptions};
use serde::{Deserialize, Serialize};

use crate::command_line::Arguments;
use crate::service::devices::DeviceRules;
use form::{days, list, listen_address};
use sources::process_environment;

pub(crate) use live::LiveSettings;

pub use error::{ConfigError, ConfigErrors, Problem};
pub(crate) use show::{reference, show};
pub use sources::{Origin, warn_of_misspelt_variables};
pub(crate) use sources::{Sources, UnknownVariable};
pub use tls::TlsSettings;
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
    /// Whether the example console is served at `/console/`.
    pub console: bool,
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
    /// How many days before its end a certificate is warned of; once for each.
    #[serde(deserialize_with = "days")]
    pub expiry_warning_days: Vec<u32>,
    /// How new devices that name no policy judge their server's certificate.
    pub default_server_certificate_policy: DefaultServerCertificatePolicy,
    /// Longest pause between two attempts to connect a device, in seconds.
    pub retry_max_seconds: f64,
    /// How many attempts to connect may run at the same time.
    pub connect_concurrency: usize,
    /// How many devices may have a session at the same time.
    pub session_limit: usize,
    /// Whether devices may name the deprecated security policies, and certificates have the short keys that go with them.
    pub allow_deprecated_policies: bool,
    /// TLS of the REST API.
    pub tls: TlsSettings,
    /// Allows an address other than loopback although the API speaks plain HTTP.
    pub insecure_allow_plain_http: bool,
    /// What links in answers start with, where clients reach the API by another address than the daemon knows.
    pub public_url: Option<String>,
    /// How many connections of clients are held at the same time.
    pub max_connections: usize,
    /// How many of them one address may have.
    pub max_connections_per_address: usize,
    /// How long a client may take to send a request, and to take each part of its answer, in seconds.
    pub client_timeout_seconds: u32,
    /// Networks that OPC UA connections may lead to (`10.1.0.0/16`); none: all.
    #[serde(deserialize_with = "list")]
    pub test_allowed_networks: Vec<String>,
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
    /// Everything that makes a start senseless is in [`ConfigErrors`]: an unreadable file, an unknown key, a value
    /// of the wrong type or out of range, a plain HTTP address that others can reach.
    pub fn load(arguments: &Arguments) -> Result<Self, ConfigErrors> {
        Loaded::read(arguments, &process_environment()).settings
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

    /// How long a client may take.
    pub(crate) fn client_timeout(&self) -> Duration {
        Duration::from_secs(self.client_timeout_seconds.into())
    }

    /// A path of the API as answers name it.
    pub(crate) fn link(&self, path: String) -> String {
        match &self.public_url {
            Some(public_url) => format!("{public_url}{path}"),
            None => path,
        }
    }

    /// The host of `public_url`.
    pub(crate) fn public_host(&self) -> Option<&str> {
        let (_, rest) = self.public_url.as_deref()?.split_once("://")?;
        let authority = rest.split('/').next()?;
        Some(match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        })
    }

    /// Which networks OPC UA connections may lead to.
    pub(crate) fn target_networks(&self) -> TargetNetworks {
        // Each was read when the settings were checked.
        self.test_allowed_networks.iter().filter_map(|text| text.parse().ok()).collect()
    }

    pub(crate) fn deprecated_policies(&self) -> DeprecatedPolicies {
        if self.allow_deprecated_policies { DeprecatedPolicies::Allowed } else { DeprecatedPolicies::Refused }
    }
}

/// The settings with all that can be said about them.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) settings: Result<Settings, ConfigErrors>,
    pub(crate) sources: Sources,
    pub(crate) unknown_variables: Vec<UnknownVariable>,
}

impl Loaded {
    /// What the daemon would start with here and now.
    pub(crate) fn here(arguments: &Arguments) -> Self {
        Self::read(arguments, &process_environment())
    }

    fn read(arguments: &Arguments, environment: &[(OsString, OsString)]) -> Self {
        let (sources, mut findings) = Sources::read(arguments, environment);
        let mut settings = sources.settings(&mut findings);
        if let Some(settings) = &mut settings {
            settings.check(&sources, &mut findings);
            match master_key::find(settings.master_key_file.as_deref()) {
                Ok(key) => settings.master_key = key,
                Err(error) => {
                    let origin = sources.origin("master_key_file").cloned();
                    findings.problems.push(Problem::new(origin, error));
                }
            }
        }
        // In the order of the file, which somebody will go through.
        findings.problems.sort_by_key(|problem| match problem.origin {
            Some(Origin::File { line, .. }) => line,
            _ => usize::MAX,
        });
        let settings = match settings {
            Some(settings) if findings.problems.is_empty() => Ok(settings),
            _ => Err(ConfigErrors::new(findings.problems)),
        };
        Self { settings, sources, unknown_variables: findings.warnings }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, path::Path};

    use clap::Parser;

    use super::*;

    fn loaded(file: &str, flags: &[&str], environment: &[(&str, &str)]) -> Loaded {
        let mut config = tempfile::NamedTempFile::new().unwrap();
        config.write_all(file.as_bytes()).unwrap();
        let mut line = vec!["koiosd", "--config", config.path().to_str().unwrap()];
        line.extend(flags);
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
        Loaded::read(&Arguments::parse_from(line), &environment)
    }

    fn load(file: &str, flags: &[&str]) -> Result<Settings, ConfigErrors> {
        loaded(file, flags, &[]).settings
    }

    fn problems(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
        let errors = loaded(file, &["--data-dir", "/tmp/x"], environment).settings.unwrap_err();
        let text = |problem: &Problem| {
            let text = problem.to_string();
            // The name of the file is another one each time.
            text.find(", line").map_or_else(|| text.clone(), |at| text[at + 2..].to_owned())
        };
        errors.problems().iter().map(text).collect()
    }

    impl Settings {
        pub(crate) fn defaults_for_tests() -> Self {
            load("", &["--data-dir", "/tmp/x"]).unwrap()
        }
    }

    #[test]
    fn the_console_is_served_only_when_asked_for() {
        let flags = ["--data-dir", "/tmp/x"];
        assert!(!load("", &flags).unwrap().console);
        assert!(load("console = true\n", &flags).unwrap().console);
        assert!(load("console = false\n", &[&flags[..], &["--console"]].concat()).unwrap().console);
        assert!(load("console = \"perhaps\"\n", &flags).is_err());
    }

    #[test]
    fn a_flag_beats_the_environment_and_that_the_file_and_that_the_default() {
        let file = "listen = \"127.0.0.1:1\"\ndata_dir = \"/file\"\nexpiring_soon_days = 7\norganization = \"File\"\n";
        let environment = [
            ("KOIOS_LISTEN", "127.0.0.1:3"),
            ("KOIOS_DATA_DIR", "/environment"),
            ("KOIOS_ORGANIZATION", "42"),
            ("KOIOS_CONNECT_CONCURRENCY", "42"),
        ];
        let loaded = loaded(file, &["--listen", "[::1]:2"], &environment);
        let settings = loaded.settings.unwrap();
        assert_eq!(settings.listen, "[::1]:2".parse().unwrap());
        assert_eq!(settings.data_dir, Path::new("/environment"));
        assert_eq!(settings.organization.as_deref(), Some("42"));
        assert_eq!(settings.connect_concurrency, 42);
        assert_eq!(settings.expiring_soon_days, 7);
        assert_eq!(settings.default_validity_days, 1095);
        assert_eq!(settings.default_key, DefaultKey::Rsa2048);
        let origin = |key| loaded.sources.origin(key).unwrap().to_string();
        assert_eq!(origin("listen"), "flag --listen");
        assert_eq!(origin("data_dir"), "environment variable KOIOS_DATA_DIR");
        assert!(origin("expiring_soon_days").ends_with(", line 3"), "{}", origin("expiring_soon_days"));
        assert_eq!(origin("default_key"), "default");
    }

    #[test]
    fn all_that_is_wrong_is_told_with_line_and_remedy() {
        let file = "listen_adress = \"127.0.0.1:1\"\n\ndefault_validity_days = 0\nlog_level = \"loud\"\nconnect_concurrency = \"many\"\n[tsl]\nx = 1\n";
        assert_eq!(
            problems(file, &[("KOIOS_EXPIRING_SOON_DAYS", "9126")]),
            [
                "line 1: unknown setting `listen_adress`; did you mean `listen`?",
                "line 3: the setting default_validity_days is 0, but it must be 1 to 9125 days",
                "line 4: the setting log_level cannot be read: unknown variant `loud`, expected one of `error`, `warn`, `info`, \
                 `debug`, `trace`; it must be: error warn info debug trace",
                "line 5: the setting connect_concurrency cannot be read: invalid type: string \"many\", expected usize; it \
                 must be: 1 to 1024",
                "line 6: unknown setting `tsl`; `koiosd config reference` lists all that there are",
                "environment variable KOIOS_EXPIRING_SOON_DAYS: the setting expiring_soon_days is 9126, but it must be 0 to \
                 9125 days",
            ]
        );
    }

    #[test]
    fn a_file_that_is_not_toml_is_told_with_its_line() {
        let problems = problems("listen = \"127.0.0.1:1\"\nnot toml\n", &[]);
        assert!(problems[0].starts_with("line 2: this is not TOML: "), "{problems:?}");
    }

    #[test]
    fn variables_that_are_no_settings_are_told_and_those_of_others_are_not() {
        let environment = [
            ("KOIOS_LISTEM", "x"),
            ("KOIOS_URL", "x"),
            ("KOIOS_CONFIG", "x"),
            ("KOIOS_BOOTSTRAP_TOKEN", "x"),
            ("KOIOS_SERVICE_HOST", "10.0.0.1"),
            ("KOIOS_PORT_8470_TCP", "tcp://10.0.0.1:8470"),
            ("KOIOS_PROSYS_PKI", "x"),
            ("PATH", "x"),
        ];
        let loaded = loaded("", &["--data-dir", "/tmp/x"], &environment);
        assert!(loaded.settings.is_ok());
        let told: Vec<String> = loaded.unknown_variables.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "the environment variable KOIOS_LISTEM is no setting; did you mean KOIOS_LISTEN?",
                "the environment variable KOIOS_URL is no setting",
            ]
        );
    }

    #[test]
    fn values_out_of_range_and_of_the_wrong_type_are_errors() {
        for file in [
            "default_validity_days = 0",
            "default_validity_days = 9126",
            "default_validity_days = \"many\"",
            "expiring_soon_days = -1",
            "expiry_warning_days = [30, 0]",
            "expiry_warning_days = [9126]",
            "expiry_warning_days = \"30, soon\"",
            "expiry_warning_days = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, \
             26, 27, 28, 29, 30, 31, 32, 33]",
            "retry_max_seconds = 0.5",
            "connect_concurrency = 0",
            "session_limit = 0",
            "session_limit = 100001",
            "default_key = \"rsa-1024\"",
            "log_level = \"loud\"",
            "listen = \"nowhere\"",
            "organization = \"a\\u0007b\"",
            "cors_allowed_origins = [\"*\"]",
            "cors_allowed_origins = [\"https://a/path\"]",
            "public_url = \"koios.plant.example\"",
            "public_url = \"ftp://koios.plant.example\"",
            "public_url = \"https://\"",
            "public_url = \"https://user@koios.plant.example\"",
            "public_url = \"https://koios.plant.example/?x\"",
            "public_url = \"https://koios.plant.example/#x\"",
            "max_connections = 15",
            "max_connections_per_address = 3",
            "client_timeout_seconds = 0",
            "test_allowed_networks = [\"10.0.0.0/33\"]",
            "test_allowed_networks = \"plant\"",
            "tls.self_signed = \"yes\"",
            "tls.key = \"/k\"",
            "tls.certificate = \"/c\"",
            "tls.private_key = \"/k\"",
            "tls = { certificate = \"/c\", private_key = \"/k\", self_signed = true }",
            "not toml",
        ] {
            assert!(load(&format!("{file}\n"), &["--data-dir", "/tmp/x"]).is_err(), "accepted: {file}");
        }
    }

    #[test]
    fn plain_http_beyond_loopback_needs_the_insecure_setting() {
        let flags = ["--listen", "0.0.0.0:0", "--data-dir", "/tmp/x"];
        let errors = load("", &flags).unwrap_err();
        assert!(matches!(errors.problems()[0].error, ConfigError::PlainHttpOnNetwork { .. }), "{errors}");
        assert!(load("insecure_allow_plain_http = true\n", &flags).is_ok());
        assert!(load("[tls]\nself_signed = true\n", &flags).is_ok());
        assert!(load("[tls]\ncertificate = \"/c\"\nprivate_key = \"/k\"\n", &flags).is_ok());
        assert!(load("", &["--listen", "localhost:0", "--data-dir", "/tmp/x"]).is_ok());
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let arguments = Arguments::parse_from(["koiosd", "--config", "/nowhere/koios.toml"]);
        let errors = Settings::load(&arguments).unwrap_err();
        assert!(matches!(errors.problems()[0].error, ConfigError::File { .. }), "{errors}");
    }

    #[test]
    fn a_public_url_may_have_a_path_and_loses_the_slash_at_its_end() {
        for (given, kept) in [
            ("https://koios.plant.example/", Some("https://koios.plant.example")),
            ("http://10.1.2.3:8080/koios", Some("http://10.1.2.3:8080/koios")),
            ("https://[fd00::1]:8470/a/b/", Some("https://[fd00::1]:8470/a/b")),
            ("", None),
        ] {
            let settings = load(&format!("public_url = \"{given}\"\n"), &["--data-dir", "/tmp/x"]).unwrap();
            assert_eq!(settings.public_url.as_deref(), kept);
        }
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

    #[test]
    fn days_of_warnings_may_be_a_list_or_text_with_commas_and_none() {
        let load = |file: &str| load(file, &["--data-dir", "/tmp/x"]).unwrap().expiry_warning_days;
        assert_eq!(load(""), [60, 30, 14, 7, 1]);
        assert_eq!(load("expiry_warning_days = [90, 10]\n"), [90, 10]);
        assert_eq!(load("expiry_warning_days = \"90, 10,\"\n"), [90, 10]);
        assert_eq!(load("expiry_warning_days = []\n"), [0; 0]);
    }
}

//! Why settings cannot be used.

use std::{net::SocketAddr, path::PathBuf};

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Some source holds an unknown key or a value of the wrong type.
    #[error("the configuration cannot be used")]
    Sources(#[source] Box<figment::Error>),
    /// A variable of the environment is not UTF-8.
    #[error("the environment variable {name} is not valid UTF-8")]
    EnvironmentNotUnicode {
        /// The variable.
        name: String,
    },
    /// What is named as the master key is none.
    #[error("{origin} cannot be used as the master key")]
    MasterKey {
        /// The file or the variable.
        origin: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The master key is named twice.
    #[error("the master key is given by {0} and by {1}; give one of them")]
    SeveralMasterKeys(String, String),
    /// Neither a setting nor the environment says where the data directory is.
    #[error("there is no data directory: neither XDG_DATA_HOME nor HOME is set, name one with --data-dir")]
    NoDataDirectory,
    /// A value is outside of what is allowed.
    #[error("the setting {key} is {value}, but it must be {expected}")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// What was given.
        value: String,
        /// What would do.
        expected: &'static str,
    },
    /// The deprecated policies are asked for, and this build does not speak them.
    #[error(
        "allow_deprecated_policies is true, but this build does not speak them; build koiosd with \
         --features deprecated-policies, or set it to false"
    )]
    DeprecatedPoliciesNotBuilt,
    /// Plain HTTP would be reachable from other machines.
    #[error(
        "refusing to listen on {listen}: the API speaks plain HTTP, so tokens and keys would cross the network in \
         clear; listen on a loopback address behind a TLS proxy, or set insecure_allow_plain_http = true"
    )]
    PlainHttpOnNetwork {
        /// The address asked for.
        listen: SocketAddr,
    },
}

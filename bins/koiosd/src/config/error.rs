//! Why settings cannot be used.

use std::{error::Error, fmt, net::SocketAddr, path::PathBuf};

use super::Origin;
use crate::error_chain::error_chain;

/// All that is wrong with the settings.
#[derive(Debug)]
pub struct ConfigErrors {
    problems: Vec<Problem>,
}

impl ConfigErrors {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// Each problem for itself; at least one.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = &*self.problems {
            return problem.fmt(f);
        }
        f.write_str("the configuration cannot be used:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl Error for ConfigErrors {}

/// Something that is wrong, and where. Its text holds the causes too: there may be several problems.
#[derive(Debug)]
#[non_exhaustive]
pub struct Problem {
    /// Where it was given, if at one place.
    pub origin: Option<Origin>,
    /// What is wrong.
    pub error: ConfigError,
}

impl Problem {
    pub(super) fn new(origin: Option<Origin>, error: ConfigError) -> Self {
        Self { origin, error }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = self.origin.as_ref().filter(|origin| **origin != Origin::Default) {
            write!(f, "{origin}: ")?;
        }
        f.write_str(&error_chain(&self.error))
    }
}

/// One thing that is wrong with the settings.
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
    /// The configuration file is not TOML.
    #[error("this is not TOML: {problem}")]
    Syntax {
        /// What is wrong.
        problem: String,
    },
    /// The configuration file has a key that is no setting.
    #[error("unknown setting `{key}`{}", hint(.nearest.as_deref()))]
    UnknownSetting {
        /// The key.
        key: String,
        /// The setting that may be meant.
        nearest: Option<String>,
    },
    /// A value is not of the right kind.
    #[error("the setting {key} cannot be read: {problem}; it must be: {expected}")]
    Value {
        /// The setting.
        key: &'static str,
        /// What is wrong with its value.
        problem: String,
        /// What would do.
        expected: String,
    },
    /// Taken together, the settings make no sense.
    #[error("the settings cannot be used: {problem}")]
    Unusable {
        /// Why.
        problem: String,
    },
    /// A path is not UTF-8.
    #[error("the path of {key} is not valid UTF-8; name another one")]
    NotUnicode {
        /// The setting.
        key: &'static str,
    },
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
        source: Box<dyn Error + Send + Sync>,
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
    /// The settings of TLS do not go together.
    #[error("{0}")]
    Tls(&'static str),
    /// Plain HTTP would be reachable from other machines.
    #[error(
        "refusing to listen on {listen}: the API would speak plain HTTP, so that tokens and keys cross the network in \
         clear; set tls.self_signed = true, or tls.certificate and tls.private_key; or listen on a loopback address \
         behind a TLS proxy; insecure_allow_plain_http = true does without"
    )]
    PlainHttpOnNetwork {
        /// The address asked for.
        listen: SocketAddr,
    },
}

fn hint(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => "; `koiosd config reference` lists all that there are".to_owned(),
    }
}

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A host as it goes into a certificate: a DNS name or an IP address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a certificate names hosts in these two ways (RFC 5280 §4.2.1.6)"
)]
pub enum HostName {
    /// A DNS name.
    Dns {
        /// Lower case, international labels as A-labels, no trailing dot.
        name: String,
        /// Whether it may stand in the certificate as a `dNSName`: false with an underscore.
        valid_in_san: bool,
    },
    /// An address.
    Ip(IpAddr),
}

impl HostName {
    /// Reads a host as a person or the system gives it.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(_text: &str) -> Result<Self, HostNameError> {
        todo!()
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns { name, .. } => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// The Common Name of a certificate for `host`: `Koios@<host>`.
///
/// # Errors
/// When no form of it fits into 64 characters.
pub fn common_name_for(_host: &HostName) -> Result<String, HostNameError> {
    todo!()
}

/// Why a text is no host name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostNameError {
    /// Nothing was given.
    #[error("the host name is empty")]
    Empty,
}

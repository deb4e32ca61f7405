use std::fmt;
use std::str::FromStr;

use crate::HostName;

/// An application's globally unique name (OPC 10000-3 §4.2), as it stands in the certificate and in the session.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApplicationUri(String);

impl ApplicationUri {
    /// Reads an absolute URI.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(_text: &str) -> Result<Self, ApplicationUriError> {
        todo!()
    }

    /// `urn:koios:<host>:<slug>`.
    pub fn for_certificate(_host: &HostName, _name_slug: &str) -> Self {
        todo!()
    }

    /// The URI's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApplicationUri {
    type Err = ApplicationUriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for ApplicationUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no application URI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplicationUriError {
    /// Nothing was given.
    #[error("the application URI is empty")]
    Empty,
}

//! Why the story ended early, for a person and for a pipeline.

use std::process::ExitCode;

/// What kind of thing went wrong; its number is the exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Other,
    Settings,
    Folders,
    Rejected,
    ServerCertificate,
    Unreachable,
    User,
    Interrupted,
}

impl Kind {
    /// From 10 to 13 those of `koiosd test`; 130 is what a shell says of Ctrl-C.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::Settings => 2,
            Self::Folders => 3,
            Self::Rejected => 10,
            Self::ServerCertificate => 11,
            Self::Unreachable => 12,
            Self::User => 13,
            Self::Interrupted => 130,
        }
    }

    pub(super) fn exit_code(self) -> ExitCode {
        ExitCode::from(self.number())
    }
}

/// What was seen, and what to do.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    pub(super) seen: String,
    pub(super) advice: Vec<String>,
}

impl Failure {
    pub(super) fn new(kind: Kind, seen: impl Into<String>) -> Self {
        Self { kind, seen: seen.into(), advice: Vec::new() }
    }

    pub(super) fn other(seen: impl Into<String>) -> Self {
        Self::new(Kind::Other, seen)
    }

    pub(super) fn advising(mut self, advice: impl Into<String>) -> Self {
        self.advice.push(advice.into());
        self
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::other(format!("{error:#}"))
    }
}

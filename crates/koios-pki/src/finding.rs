use time::OffsetDateTime;

use crate::CertificateChain;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "the contract of rest-api.md §3 names exactly these")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Some peers refuse the certificate.
    Warning,
    /// Peers that follow the specification refuse the certificate.
    Error,
}

impl Severity {
    /// `info`, `warning` or `error`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something about a certificate that a peer may dislike.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is, for machines.
    pub code: FindingCode,
    /// How much it matters.
    pub severity: Severity,
    /// A sentence for a person, with what to do.
    pub message: String,
    /// The clause that asks for it.
    pub reference: &'static str,
}

impl Finding {
    /// A finding of another layer's, such as changed files.
    pub fn new(
        code: FindingCode,
        severity: Severity,
        message: impl Into<String>,
        reference: &'static str,
    ) -> Self {
        Self { code, severity, message: message.into(), reference }
    }
}

/// The closed list of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FindingCode {
    /// The certificate has expired.
    Expired,
    /// The files on disk are not those stored (found by the store).
    FilesChanged,
    /// There is no application URI.
    NoApplicationUri,
    /// Not valid yet.
    NotYetValid,
}

impl FindingCode {
    /// Every code.
    pub const ALL: &[Self] = &[Self::Expired, Self::FilesChanged, Self::NoApplicationUri, Self::NotYetValid];

    /// The code in snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::FilesChanged => "files_changed",
            Self::NoApplicationUri => "no_application_uri",
            Self::NotYetValid => "not_yet_valid",
        }
    }
}

/// What servers may dislike about our own chain at `now`.
pub fn findings(_chain: &CertificateChain, _now: OffsetDateTime) -> Vec<Finding> {
    todo!()
}

/// What is wrong with a server's chain, seen from a client that connects to `endpoint_host`.
pub fn server_findings(
    _chain: &CertificateChain,
    _endpoint_host: &str,
    _application_uri: Option<&str>,
    _now: OffsetDateTime,
) -> Vec<Finding> {
    todo!()
}

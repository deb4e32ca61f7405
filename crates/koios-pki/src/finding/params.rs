use time::OffsetDateTime;

use crate::{CertificateType, SecurityPolicy};

/// What [`crate::lint`] judges by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LintParams<'a> {
    /// The instant to judge at.
    pub at: OffsetDateTime,
    /// What the certificate is used for.
    pub role: LintRole<'a>,
    /// The type wanted; `None` for any that a current policy takes.
    pub certificate_type: Option<CertificateType>,
}

impl<'a> LintParams<'a> {
    /// Judges for every current security policy.
    pub fn new(at: OffsetDateTime, role: LintRole<'a>) -> Self {
        Self { at, role, certificate_type: None }
    }

    /// Judges for one security policy; for [`SecurityPolicy::None`] as for every current one.
    #[must_use]
    pub fn for_policy(self, policy: SecurityPolicy) -> Self {
        Self { certificate_type: policy.certificate_type(), ..self }
    }
}

/// What the certificate is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LintRole<'a> {
    /// Our own, shown to servers.
    Client,
    /// A server's, shown to us.
    Server {
        /// The host of the URL connected to; `None` leaves it unjudged.
        host: Option<&'a str>,
        /// The application URI of the server's description, when it is known.
        application_uri: Option<&'a str>,
    },
    /// Our own, of an application that is client and server.
    Either,
    /// Our own, by which a person or a program logs on inside of a session (OPC 10000-6 §6.2.3).
    User,
}

impl LintRole<'_> {
    pub(super) const fn is_own(self) -> bool {
        !matches!(self, Self::Server { .. })
    }

    /// Whether it stands for an application of ours, which is known by its URI.
    pub(super) const fn is_own_application(self) -> bool {
        matches!(self, Self::Client | Self::Either)
    }
}

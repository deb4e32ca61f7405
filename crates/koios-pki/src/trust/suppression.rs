use std::fmt;

use super::TrustStatus;

/// A check whose failure an administrator may choose to accept (OPC 10000-4 §6.1.3, column "suppress").
///
/// Structure, chain, signature, trust, application URI and revocation are not among them: no setting makes
/// [`crate::validate`] accept a certificate that fails those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Suppression {
    /// Step 4: algorithms, key lengths and hashes the security policy does not allow.
    PolicyCheck,
    /// Step 6: the peer's certificate is expired or not yet valid.
    Time,
    /// Step 6: an authority's certificate is expired or not yet valid.
    IssuerTime,
    /// Step 7: the server's certificate does not name the host.
    HostName,
    /// Step 9: the peer's certificate is not for this use, and does not mark its usage critical.
    Usage,
    /// Step 9: an authority's certificate is not for this use, and does not mark its usage critical.
    IssuerUsage,
    /// Step 10: no current revocation list of the authority that issued the peer's certificate.
    RevocationUnknown,
    /// Step 10: no current revocation list of an authority further up.
    IssuerRevocationUnknown,
}

impl Suppression {
    /// Every check that may be suppressed.
    pub const ALL: [Self; 8] = [
        Self::PolicyCheck,
        Self::Time,
        Self::IssuerTime,
        Self::HostName,
        Self::Usage,
        Self::IssuerUsage,
        Self::RevocationUnknown,
        Self::IssuerRevocationUnknown,
    ];

    /// The status that is accepted by it.
    pub const fn status(self) -> TrustStatus {
        match self {
            Self::PolicyCheck => TrustStatus::PolicyCheckFailed,
            Self::Time => TrustStatus::TimeInvalid,
            Self::IssuerTime => TrustStatus::IssuerTimeInvalid,
            Self::HostName => TrustStatus::HostNameInvalid,
            Self::Usage => TrustStatus::UseNotAllowed,
            Self::IssuerUsage => TrustStatus::IssuerUseNotAllowed,
            Self::RevocationUnknown => TrustStatus::RevocationUnknown,
            Self::IssuerRevocationUnknown => TrustStatus::IssuerRevocationUnknown,
        }
    }

    /// The suppression that accepts `status`, if any may.
    pub fn of(status: TrustStatus) -> Option<Self> {
        Self::ALL.into_iter().find(|suppression| suppression.status() == status)
    }

    const fn bit(self) -> u16 {
        match self {
            Self::PolicyCheck => 1,
            Self::Time => 1 << 1,
            Self::IssuerTime => 1 << 2,
            Self::HostName => 1 << 3,
            Self::Usage => 1 << 4,
            Self::IssuerUsage => 1 << 5,
            Self::RevocationUnknown => 1 << 6,
            Self::IssuerRevocationUnknown => 1 << 7,
        }
    }
}

impl fmt::Display for Suppression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(f)
    }
}

/// The checks an administrator has switched off; none by default.
///
/// ```
/// use koios_pki::{Suppression, Suppressions};
///
/// let suppressed = Suppressions::NONE.with(Suppression::HostName).with(Suppression::Time);
/// assert!(suppressed.contains(Suppression::Time));
/// assert!(!suppressed.contains(Suppression::IssuerTime));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Suppressions(u16);

impl Suppressions {
    /// Nothing suppressed.
    pub const NONE: Self = Self(0);

    /// These, and `suppression` as well.
    #[must_use]
    pub const fn with(self, suppression: Suppression) -> Self {
        Self(self.0 | suppression.bit())
    }

    /// Whether `suppression` is among them.
    pub const fn contains(self, suppression: Suppression) -> bool {
        self.0 & suppression.bit() != 0
    }

    /// Whether nothing is suppressed.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are switched off, in the order of the steps.
    pub fn iter(self) -> impl Iterator<Item = Suppression> {
        Suppression::ALL.into_iter().filter(move |suppression| self.contains(*suppression))
    }
}

impl FromIterator<Suppression> for Suppressions {
    fn from_iter<I: IntoIterator<Item = Suppression>>(suppressions: I) -> Self {
        suppressions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Suppressions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_suppression_accepts_one_status_and_is_kept_apart_from_the_others() {
        for suppression in Suppression::ALL {
            assert_eq!(Suppression::of(suppression.status()), Some(suppression));
            let only: Vec<_> = Suppressions::NONE.with(suppression).iter().collect();
            assert_eq!(only, [suppression]);
        }
        assert!(Suppressions::default().is_empty());
        assert_eq!(Suppression::ALL.into_iter().collect::<Suppressions>().iter().count(), 8);
    }

    #[test]
    fn what_the_standard_never_lets_pass_cannot_be_suppressed() {
        for status in [
            TrustStatus::CertificateInvalid,
            TrustStatus::ChainIncomplete,
            TrustStatus::Untrusted,
            TrustStatus::UriInvalid,
            TrustStatus::Revoked,
            TrustStatus::IssuerRevoked,
        ] {
            assert_eq!(Suppression::of(status), None);
        }
    }
}

use std::fmt;

/// One of the eleven steps of validation (OPC 10000-4 §6.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "OPC 10000-4 §6.1.3 has these eleven steps")]
pub enum ValidationStep {
    /// Step 1: the certificate is well-formed and has its mandatory fields.
    Structure,
    /// Step 2: a chain leads to a self-signed root.
    Chain,
    /// Step 3: each signature verifies.
    Signature,
    /// Step 4: keys and signatures are those of the security policy.
    SecurityPolicy,
    /// Step 5: the certificate, or an authority above it, is in the trusted list.
    Trust,
    /// Step 6: each certificate is within its validity.
    Validity,
    /// Step 7: the server's certificate names the host.
    HostName,
    /// Step 8: the certificate holds the application's URI.
    ApplicationUri,
    /// Step 9: each certificate may be used for what it is used for.
    Usage,
    /// Step 10: there is a revocation list of each authority.
    RevocationList,
    /// Step 11: no certificate is revoked.
    Revocation,
}

impl ValidationStep {
    /// All steps, in their order.
    pub const ALL: [Self; 11] = [
        Self::Structure,
        Self::Chain,
        Self::Signature,
        Self::SecurityPolicy,
        Self::Trust,
        Self::Validity,
        Self::HostName,
        Self::ApplicationUri,
        Self::Usage,
        Self::RevocationList,
        Self::Revocation,
    ];

    /// The number of the step, 1 to 11.
    pub const fn number(self) -> u8 {
        match self {
            Self::Structure => 1,
            Self::Chain => 2,
            Self::Signature => 3,
            Self::SecurityPolicy => 4,
            Self::Trust => 5,
            Self::Validity => 6,
            Self::HostName => 7,
            Self::ApplicationUri => 8,
            Self::Usage => 9,
            Self::RevocationList => 10,
            Self::Revocation => 11,
        }
    }

    /// The status of a failure of this step: the one for the leaf, or the one for its issuers.
    pub(crate) const fn status(self, of_issuer: bool) -> TrustStatus {
        match (self, of_issuer) {
            (Self::Structure | Self::Signature, _) => TrustStatus::CertificateInvalid,
            (Self::Chain, _) => TrustStatus::ChainIncomplete,
            (Self::SecurityPolicy, _) => TrustStatus::PolicyCheckFailed,
            (Self::Trust, _) => TrustStatus::Untrusted,
            (Self::Validity, false) => TrustStatus::TimeInvalid,
            (Self::Validity, true) => TrustStatus::IssuerTimeInvalid,
            (Self::HostName, _) => TrustStatus::HostNameInvalid,
            (Self::ApplicationUri, _) => TrustStatus::UriInvalid,
            (Self::Usage, false) => TrustStatus::UseNotAllowed,
            (Self::Usage, true) => TrustStatus::IssuerUseNotAllowed,
            (Self::RevocationList, false) => TrustStatus::RevocationUnknown,
            (Self::RevocationList, true) => TrustStatus::IssuerRevocationUnknown,
            (Self::Revocation, false) => TrustStatus::Revoked,
            (Self::Revocation, true) => TrustStatus::IssuerRevoked,
        }
    }
}

/// The status codes OPC UA has for certificates (OPC 10000-4 §6.1.3 and §7.38).
///
/// These are for the local log and for the administrator: which of them a peer may be told is a question of its own
/// (OPC 10000-6 §6.7.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TrustStatus {
    /// The structure or a signature is wrong.
    CertificateInvalid,
    /// No chain leads to a root.
    ChainIncomplete,
    /// A key or signature is not that of the security policy.
    PolicyCheckFailed,
    /// Neither the certificate nor an authority above it is in the trusted list.
    Untrusted,
    /// The certificate is expired or not yet valid.
    TimeInvalid,
    /// An authority's certificate is expired or not yet valid.
    IssuerTimeInvalid,
    /// The certificate does not name the host.
    HostNameInvalid,
    /// The certificate does not hold the application's URI.
    UriInvalid,
    /// The certificate may not be used for this.
    UseNotAllowed,
    /// An authority's certificate may not be used for this.
    IssuerUseNotAllowed,
    /// It cannot be told whether the certificate is revoked.
    RevocationUnknown,
    /// It cannot be told whether an authority's certificate is revoked.
    IssuerRevocationUnknown,
    /// The certificate is revoked.
    Revoked,
    /// An authority's certificate is revoked.
    IssuerRevoked,
}

impl TrustStatus {
    /// Every status.
    pub const ALL: [Self; 14] = [
        Self::CertificateInvalid,
        Self::ChainIncomplete,
        Self::PolicyCheckFailed,
        Self::Untrusted,
        Self::TimeInvalid,
        Self::IssuerTimeInvalid,
        Self::HostNameInvalid,
        Self::UriInvalid,
        Self::UseNotAllowed,
        Self::IssuerUseNotAllowed,
        Self::RevocationUnknown,
        Self::IssuerRevocationUnknown,
        Self::Revoked,
        Self::IssuerRevoked,
    ];

    /// The name of the status code, for example `BadCertificateUntrusted`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CertificateInvalid => "BadCertificateInvalid",
            Self::ChainIncomplete => "BadCertificateChainIncomplete",
            Self::PolicyCheckFailed => "BadCertificatePolicyCheckFailed",
            Self::Untrusted => "BadCertificateUntrusted",
            Self::TimeInvalid => "BadCertificateTimeInvalid",
            Self::IssuerTimeInvalid => "BadCertificateIssuerTimeInvalid",
            Self::HostNameInvalid => "BadCertificateHostNameInvalid",
            Self::UriInvalid => "BadCertificateUriInvalid",
            Self::UseNotAllowed => "BadCertificateUseNotAllowed",
            Self::IssuerUseNotAllowed => "BadCertificateIssuerUseNotAllowed",
            Self::RevocationUnknown => "BadCertificateRevocationUnknown",
            Self::IssuerRevocationUnknown => "BadCertificateIssuerRevocationUnknown",
            Self::Revoked => "BadCertificateRevoked",
            Self::IssuerRevoked => "BadCertificateIssuerRevoked",
        }
    }

    /// The status code on the wire.
    pub const fn code(self) -> u32 {
        match self {
            Self::CertificateInvalid => 0x8012_0000,
            Self::ChainIncomplete => 0x810D_0000,
            Self::PolicyCheckFailed => 0x8114_0000,
            Self::Untrusted => 0x801A_0000,
            Self::TimeInvalid => 0x8014_0000,
            Self::IssuerTimeInvalid => 0x8015_0000,
            Self::HostNameInvalid => 0x8016_0000,
            Self::UriInvalid => 0x8017_0000,
            Self::UseNotAllowed => 0x8018_0000,
            Self::IssuerUseNotAllowed => 0x8019_0000,
            Self::RevocationUnknown => 0x801B_0000,
            Self::IssuerRevocationUnknown => 0x801C_0000,
            Self::Revoked => 0x801D_0000,
            Self::IssuerRevoked => 0x801E_0000,
        }
    }
}

impl fmt::Display for TrustStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn steps_are_numbered_in_order_and_statuses_are_told_apart() {
        let numbers: Vec<_> = ValidationStep::ALL.iter().map(|step| step.number()).collect();
        assert_eq!(numbers, (1..=11).collect::<Vec<u8>>());
        let codes: BTreeSet<_> = TrustStatus::ALL.iter().map(|status| status.code()).collect();
        let names: BTreeSet<_> = TrustStatus::ALL.iter().map(|status| status.name()).collect();
        assert_eq!((codes.len(), names.len()), (14, 14));
    }

    #[test]
    fn every_status_is_that_of_a_step() {
        let of_steps: BTreeSet<_> =
            ValidationStep::ALL.iter().flat_map(|step| [step.status(false), step.status(true)]).collect();
        assert_eq!(of_steps, TrustStatus::ALL.into_iter().collect());
    }
}

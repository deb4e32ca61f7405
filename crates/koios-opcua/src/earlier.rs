//! What earlier attempts have shown: evidence for answers that hide their reason.

use koios_channel::{SecurityPolicy, StatusCode};
use koios_pki::Sha256Thumbprint;
use time::OffsetDateTime;

use crate::code::Code;
use crate::stage::Stage;
use crate::verdict::Verdict;

/// One thing that an earlier attempt at the same server has shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct EarlierAttempt {
    /// The client certificate presented; `None` without security.
    pub client: Option<Sha256Thumbprint>,
    /// The server's certificate; `None` without security.
    pub server: Option<Sha256Thumbprint>,
    /// The policy.
    pub security_policy: SecurityPolicy,
    /// What came of it.
    pub outcome: EarlierOutcome,
    /// When.
    pub at: OffsetDateTime,
}

impl EarlierAttempt {
    /// What an attempt with security has shown.
    #[must_use]
    pub fn secured(
        client: Sha256Thumbprint,
        server: Sha256Thumbprint,
        security_policy: SecurityPolicy,
        outcome: EarlierOutcome,
        at: OffsetDateTime,
    ) -> Self {
        Self { client: Some(client), server: Some(server), security_policy, outcome, at }
    }

    /// A session without security that the server accepted.
    #[must_use]
    pub fn unsecured(at: OffsetDateTime) -> Self {
        let security_policy = SecurityPolicy::None;
        Self { client: None, server: None, security_policy, outcome: EarlierOutcome::Accepted, at }
    }
}

/// What an attempt has shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EarlierOutcome {
    /// The server made a session: it accepted the certificate, if one was presented.
    Accepted,
    /// The server refused the certificate and named the reason.
    Refused(Code),
}

impl EarlierOutcome {
    /// What an attempt that ended like this has shown; `None` when that is nothing. An answer that hides its reason is
    /// no evidence for the next one.
    #[must_use]
    pub fn of(verdict: &Verdict) -> Option<Self> {
        let names_its_reason = verdict.code != Code::CertificateRejectedByServer
            || verdict
                .status_code
                .is_some_and(|status| status.is_same_as(StatusCode::BAD_CERTIFICATE_UNTRUSTED));
        if verdict.code.is_certificate_refusal() {
            return names_its_reason.then_some(Self::Refused(verdict.code));
        }
        let session_stood = verdict.is_success() || verdict.failed_stage >= Some(Stage::UserIdentity);
        session_stood.then_some(Self::Accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::ReportedBy;

    fn ended(code: Code, stage: Stage, status: Option<u32>) -> Option<EarlierOutcome> {
        let mut verdict = Verdict::failure(code, stage, ReportedBy::Server, "x");
        verdict.status_code = status.map(StatusCode);
        EarlierOutcome::of(&verdict)
    }

    #[test]
    fn only_what_is_said_by_name_or_proven_by_a_session_is_evidence() {
        assert_eq!(EarlierOutcome::of(&Verdict::connected()), Some(EarlierOutcome::Accepted));
        let user = ended(Code::UserIdentityRejected, Stage::UserIdentity, Some(0x801F_0000));
        assert_eq!(user, Some(EarlierOutcome::Accepted), "the certificate was accepted, the user was not");
        let hidden = ended(Code::CertificateRejectedByServer, Stage::SecureChannel, Some(0x8013_0000));
        assert_eq!(hidden, None);
        let named = ended(Code::CertificateRejectedByServer, Stage::Session, Some(0x801A_0000));
        assert_eq!(named, Some(EarlierOutcome::Refused(Code::CertificateRejectedByServer)));
        let uri = ended(Code::CertificateUriMismatch, Stage::Session, Some(0x8017_0000));
        assert_eq!(uri, Some(EarlierOutcome::Refused(Code::CertificateUriMismatch)));
        for (code, stage) in [
            (Code::HandshakeFailed, Stage::SecureChannel),
            (Code::ServerSilent, Stage::SecureChannel),
            (Code::ServerCertificateChanged, Stage::ServerCertificate),
            (Code::Timeout, Stage::Connect),
        ] {
            assert_eq!(ended(code, stage, None), None);
        }
    }
}

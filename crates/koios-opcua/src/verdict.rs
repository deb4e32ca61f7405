//! What an attempt came to: a code, a sentence, ranked causes with their evidence, and what to do.

mod cause;
mod classification;
mod detail;
mod earlier;
mod explanation;
mod refusal;
mod remedy;
mod uninvited;

use std::fmt;

use koios_channel::StatusCode;

use crate::code::Code;
use crate::stage::Stage;

pub(crate) use classification::is_refused_for_its_path;
pub(crate) use detail::quoted;
pub(crate) use refusal::{Facts, Observed, verdict_of};

/// The judgement on one connection attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// For programs.
    pub code: Code,
    /// For people: [`Code::message`].
    pub message: String,
    /// What was observed, in a sentence or two.
    pub detail: Option<String>,
    /// The stage at which the attempt ended; `None` on success.
    pub failed_stage: Option<Stage>,
    /// The OPC UA status code behind it, where one was reported.
    pub status_code: Option<StatusCode>,
    /// Who said it; `None` on success.
    pub reported_by: Option<ReportedBy>,
    /// What may be behind it, most probable first.
    pub causes: Vec<Cause>,
    /// What to do, in order.
    pub remedy: Vec<Remedy>,
}

impl Verdict {
    /// The verdict of an attempt that came through.
    #[must_use]
    pub fn connected() -> Self {
        Self {
            code: Code::Connected,
            message: Code::Connected.message().to_owned(),
            detail: None,
            failed_stage: None,
            status_code: None,
            reported_by: None,
            causes: Vec::new(),
            remedy: Vec::new(),
        }
    }

    /// The verdict for an error of ours; `detail` must hold no secret.
    #[must_use]
    pub fn internal(stage: Option<Stage>, detail: impl Into<String>) -> Self {
        let mut verdict = Self::failure(Code::Internal, Stage::Certificate, ReportedBy::Koios, detail);
        verdict.failed_stage = stage;
        verdict
    }

    /// Whether the attempt came through.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code == Code::Connected
    }

    pub(crate) fn failure(
        code: Code,
        stage: Stage,
        reported_by: ReportedBy,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            code,
            message: code.message().to_owned(),
            detail: Some(detail.into()),
            failed_stage: Some(stage),
            status_code: None,
            reported_by: Some(reported_by),
            causes: Vec::new(),
            remedy: remedy::remedy_for(code),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Verdict {}

/// Who said that the attempt fails.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ReportedBy {
    /// Our own check.
    Koios,
    /// The network: no address, no route, nobody listening, no answer.
    Network,
    /// The server's answer. Not authenticated before the secure channel stands: a hint, never proof.
    Server,
}

impl ReportedBy {
    /// The stable name, `snake_case`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Koios => "koios",
            Self::Network => "network",
            Self::Server => "server",
        }
    }
}

/// One thing that may be behind a failure.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Cause {
    /// For programs.
    pub code: CauseCode,
    /// How sure that is.
    pub confidence: Confidence,
    /// For people.
    pub explanation: String,
    /// What was observed that points there.
    pub evidence: Vec<String>,
}

impl Cause {
    pub(crate) fn new(code: CauseCode, confidence: Confidence, explanation: impl Into<String>) -> Self {
        Self { code, confidence, explanation: explanation.into(), evidence: Vec::new() }
    }

    pub(crate) fn because(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }
}

/// How sure a cause is; the derived order puts the surest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "closed by the REST contract")]
pub enum Confidence {
    /// Observed, or the only possibility left.
    Certain,
    /// The usual reason for what was observed.
    Likely,
    /// Cannot be excluded from here.
    Possible,
}

impl Confidence {
    /// The stable name, `snake_case`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Possible => "possible",
        }
    }
}

pub use cause::CauseCode;

/// One step towards a cure.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Remedy {
    /// What to do, for a person.
    pub text: String,
    /// Where it can be done; the caller knows the address.
    pub link: Option<RemedyLink>,
}

/// A place to which a remedy points. This crate knows no addresses.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RemedyLink {
    /// How this server is made to trust a certificate.
    TrustGuide,
    /// The download of the client certificate, for the server's trust list.
    CertificateDownload,
    /// The device's server certificate, pinned and presented, where the new one is approved.
    ServerCertificate,
    /// The trust lists of server certificates, with those that were rejected.
    TrustLists,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_the_message_for_an_untrusted_certificate_is_exactly_the_promised_one() {
        let verdict =
            Verdict::failure(Code::CertificateRejectedByServer, Stage::SecureChannel, ReportedBy::Server, "");
        assert_eq!(verdict.message, "Certificate rejected by server");
        assert_eq!(verdict.to_string(), verdict.message);
    }

    #[test]
    fn every_failure_but_our_own_error_says_what_to_do() {
        for code in Code::ALL {
            let remedy = remedy::remedy_for(code);
            assert_eq!(remedy.is_empty(), code == Code::Connected, "{code}");
        }
    }

    #[test]
    fn the_surest_cause_sorts_first() {
        let mut confidences = [Confidence::Possible, Confidence::Certain, Confidence::Likely];
        confidences.sort();
        assert_eq!(confidences, [Confidence::Certain, Confidence::Likely, Confidence::Possible]);
    }
}

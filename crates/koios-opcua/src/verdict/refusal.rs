//! The verdict on an attempt that the conversation with the server ended.

use std::time::Duration;

use koios_channel::{
    ChannelError, EndpointUrl, Fault, Origin, SecurityMode, SecurityPolicy, Stage as Step, StatusCode,
};
use koios_pki::{CertificateChain, Sha256Thumbprint};
use time::OffsetDateTime;

use super::{ReportedBy, Verdict, classification, explanation, quoted, remedy};
use crate::clock::ClockTrust;
use crate::code::Code;
use crate::earlier::EarlierAttempt;
use crate::stage::Stage;

/// What is known about an attempt besides the error that ended it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// The URL that was dialled.
    pub(crate) endpoint_url: &'a EndpointUrl,
    /// The mode of the device.
    pub(crate) security_mode: SecurityMode,
    /// The policy of the endpoint that was chosen.
    pub(crate) security_policy: Option<SecurityPolicy>,
    /// The client certificate presented.
    pub(crate) certificate: Option<&'a CertificateChain>,
    /// The server's certificate with which it was to be opened.
    pub(crate) server_certificate: Option<Sha256Thumbprint>,
    /// The ApplicationUri presented.
    pub(crate) application_uri: &'a str,
    /// The time of the attempt.
    pub(crate) now: OffsetDateTime,
    /// Whether that can be right.
    pub(crate) clock_trust: ClockTrust,
    /// The server's clock minus ours, when an answer told it.
    pub(crate) clock_offset: Option<time::Duration>,
    /// The bound of the whole attempt.
    pub(crate) timeout: Duration,
    /// What earlier attempts at the server have shown.
    pub(crate) earlier: &'a [EarlierAttempt],
    /// Whether the endpoints were fetched again after the failure, and showed the same certificate.
    pub(crate) endpoints_confirmed: bool,
}

impl Facts<'_> {
    /// Whether the client certificate was issued by an authority.
    pub(super) fn is_issued(&self) -> bool {
        self.certificate.is_some_and(|chain| !chain.leaf().is_self_signed())
    }
}

/// What the conversation reported, without the type that only koios-channel can make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed<'a> {
    pub(crate) step: Step,
    pub(crate) origin: Origin,
    pub(crate) status: Option<StatusCode>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) fault: &'a Fault,
}

impl<'a> From<&'a ChannelError> for Observed<'a> {
    fn from(error: &'a ChannelError) -> Self {
        Self {
            step: error.stage,
            origin: error.origin,
            status: error.status,
            reason: error.reason.as_deref(),
            fault: &error.fault,
        }
    }
}

/// Judges what ended the attempt at `stage`.
pub(crate) fn verdict_of(observed: &Observed<'_>, stage: Stage, facts: &Facts<'_>) -> Verdict {
    let code = classification::classify(observed, stage, facts.security_mode);
    let mut verdict = Verdict::failure(code, stage, reporter(observed), describe(code, observed, facts));
    verdict.status_code = observed.status;
    verdict.causes = explanation::causes(code, observed, stage, facts);
    if facts.is_issued() {
        remedy::mind_issuers(code, &mut verdict.remedy);
    }
    verdict
}

fn reporter(observed: &Observed<'_>) -> ReportedBy {
    match (observed.origin, observed.fault) {
        // Nobody says a silence, whoever noticed it.
        (_, Fault::TimedOut | Fault::Refused | Fault::Unreachable | Fault::NotResolved | Fault::Io(_)) => {
            ReportedBy::Network
        }
        (Origin::Local, _) => ReportedBy::Koios,
        (Origin::Peer, _) => ReportedBy::Server,
        (Origin::Transport, _) => ReportedBy::Network,
    }
}

fn describe(code: Code, observed: &Observed<'_>, facts: &Facts<'_>) -> String {
    let step = step_name(observed.step);
    let url = facts.endpoint_url;
    match (observed.fault, observed.status) {
        (fault, None) if code == Code::NotOpcUa && !matches!(fault, Fault::NotOpcUa { .. }) => {
            format!("{url} does not speak OPC UA: its answer to {step} is none ({fault}).")
        }
        (Fault::TimedOut, _) => {
            format!(
                "{url} did not answer {step} within the {} s of the attempt.",
                facts.timeout.as_secs_f64()
            )
        }
        (Fault::Closed { received: false }, _) => {
            format!("{url} closed the connection at {step} without an answer.")
        }
        (Fault::Closed { received: true }, _) => {
            format!("{url} closed the connection in the middle of its answer to {step}.")
        }
        (Fault::NotOpcUa { first_bytes }, _) => describe_uninvited(url, first_bytes),
        (Fault::MalformedErr, None) => {
            format!("{url} refused {step} with a malformed message whose reason cannot be read.")
        }
        (fault, Some(status)) => {
            let mut text = format!("{url} answered {step} with {status}");
            if let Some(reason) = observed.reason {
                text.push_str(", saying ");
                text.push_str(&quoted(reason));
            }
            text.push('.');
            if matches!(fault, Fault::UnsecuredFault) {
                text.push_str(" The answer came without security: it is a hint, not proof.");
            }
            text
        }
        (fault, None) => format!("{url}, {step}: {fault}."),
    }
}

fn describe_uninvited(url: &EndpointUrl, first_bytes: &[u8]) -> String {
    let begin = quoted(&String::from_utf8_lossy(first_bytes));
    match super::uninvited::recognise(first_bytes) {
        Some(name) => format!("{url} looks like {name}: its first bytes are {begin}."),
        None => format!("{url} does not speak OPC UA: its first bytes are {begin}."),
    }
}

/// The step as OPC UA writes it.
pub(super) fn step_name(step: Step) -> &'static str {
    match step {
        Step::Resolve => "name resolution",
        Step::Connect => "the TCP connection",
        Step::Hello => "HELLO",
        Step::OpenSecureChannel => "OpenSecureChannel",
        Step::GetEndpoints => "GetEndpoints",
        Step::CreateSession => "CreateSession",
        Step::ActivateSession => "ActivateSession",
        Step::Read => "Read",
        Step::RenewSecureChannel => "the renewal of the secure channel",
        Step::CloseSession => "CloseSession",
        Step::CloseSecureChannel => "CloseSecureChannel",
        _ => "the request",
    }
}

impl Verdict {
    /// The verdict on a running session that ended.
    #[cfg(feature = "store")]
    pub(crate) fn of_lost_session(error: &ChannelError, facts: &Facts<'_>) -> Self {
        let mut verdict = verdict_of(&error.into(), Stage::Read, facts);
        if verdict.code == Code::ConnectionClosed {
            verdict.message = "The server closed the connection".to_owned();
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{CauseCode, Confidence};

    fn facts(url: &EndpointUrl) -> Facts<'_> {
        Facts {
            endpoint_url: url,
            security_mode: SecurityMode::SignAndEncrypt,
            security_policy: Some(SecurityPolicy::Basic256Sha256),
            certificate: None,
            server_certificate: None,
            application_uri: "urn:test",
            now: OffsetDateTime::UNIX_EPOCH,
            clock_trust: ClockTrust::Plausible,
            clock_offset: None,
            timeout: Duration::from_millis(2_500),
            earlier: &[],
            endpoints_confirmed: false,
        }
    }

    fn judge(step: Step, stage: Stage, origin: Origin, status: Option<u32>, fault: &Fault) -> Verdict {
        let url = EndpointUrl::parse("opc.tcp://press4:4840/").unwrap();
        let reason = status.map(|_| "go\naway");
        let observed = Observed { step, origin, status: status.map(StatusCode), reason, fault };
        verdict_of(&observed, stage, &facts(&url))
    }

    #[test]
    fn r14_an_untrusted_certificate_is_said_in_the_promised_words_with_evidence_and_a_way_out() {
        for (step, stage, status) in [
            (Step::OpenSecureChannel, Stage::SecureChannel, 0x8013_0000),
            (Step::CreateSession, Stage::Session, 0x801A_0000),
        ] {
            let verdict = judge(step, stage, Origin::Peer, Some(status), &Fault::ServiceFault);
            assert_eq!(verdict.message, "Certificate rejected by server");
            assert_eq!(verdict.failed_stage, Some(stage));
            assert_eq!(verdict.status_code, Some(StatusCode(status)));
            assert_eq!(verdict.reported_by, Some(ReportedBy::Server));
            assert_eq!(verdict.causes[0].code, CauseCode::NotTrusted);
            assert!(!verdict.causes[0].evidence.is_empty());
            assert!(verdict.remedy.iter().any(|remedy| remedy.text.contains("move")));
        }
    }

    #[test]
    fn only_a_server_that_names_the_trust_list_makes_untrusted_certain() {
        let confidence = |status| {
            judge(Step::CreateSession, Stage::Session, Origin::Peer, Some(status), &Fault::ServiceFault)
                .causes[0]
                .confidence
        };
        assert_eq!(confidence(0x801A_0000), Confidence::Certain);
        assert_eq!(confidence(0x8013_0000), Confidence::Likely);
    }

    #[test]
    fn a_silence_names_the_step_and_the_bound() {
        let verdict = judge(Step::Hello, Stage::Hello, Origin::Transport, None, &Fault::TimedOut);
        assert_eq!(verdict.code, Code::Timeout);
        assert_eq!(verdict.reported_by, Some(ReportedBy::Network));
        let detail = verdict.detail.unwrap();
        assert!(detail.contains("HELLO") && detail.contains("2.5 s"), "{detail}");
        assert_eq!(verdict.causes[0].code, CauseCode::NotOpcUa);
    }

    #[test]
    fn what_answers_instead_of_opc_ua_is_named() {
        for (bytes, name) in [(&b"HTTP/1.1 400"[..], "HTTP"), (b"SSH-2.0-x", "SSH"), (b"\x15\x03\x03", "TLS")]
        {
            let fault = Fault::NotOpcUa { first_bytes: bytes.to_vec() };
            let verdict = judge(Step::Hello, Stage::Hello, Origin::Local, None, &fault);
            assert_eq!(verdict.code, Code::NotOpcUa);
            assert!(verdict.detail.unwrap().contains(name));
        }
    }

    #[test]
    fn nonsense_in_answer_to_hello_is_not_opc_ua_and_the_detail_says_what_came() {
        let fault = Fault::LimitExceeded { what: "message", size: 0x7FFF_FFFF, limit: 65_536 };
        let verdict = judge(Step::Hello, Stage::Hello, Origin::Local, None, &fault);
        assert_eq!((verdict.code, verdict.reported_by), (Code::NotOpcUa, Some(ReportedBy::Koios)));
        assert!(verdict.detail.is_some_and(|detail| detail.contains("message of 2147483647")));
        assert_eq!(verdict.causes[0].confidence, Confidence::Likely);
    }

    #[test]
    fn the_servers_text_is_quoted_without_control_characters() {
        let verdict = judge(Step::Hello, Stage::Hello, Origin::Peer, Some(0x8083_0000), &Fault::Err);
        let detail = verdict.detail.unwrap();
        assert!(
            detail.contains("\"go\u{fffd}away\"") && detail.contains("BadTcpEndpointUrlInvalid"),
            "{detail}"
        );
    }

    #[test]
    fn every_failure_explains_itself() {
        for fault in
            [Fault::TimedOut, Fault::Closed { received: false }, Fault::MalformedErr, Fault::BadSignature]
        {
            for (step, stage) in [
                (Step::Connect, Stage::Connect),
                (Step::Hello, Stage::Hello),
                (Step::GetEndpoints, Stage::Endpoints),
                (Step::OpenSecureChannel, Stage::SecureChannel),
                (Step::CreateSession, Stage::Session),
                (Step::ActivateSession, Stage::UserIdentity),
                (Step::Read, Stage::Read),
            ] {
                let verdict = judge(step, stage, Origin::Transport, None, &fault);
                assert!(!verdict.causes.is_empty(), "{fault:?} at {step:?}");
                assert!(
                    verdict.causes.is_sorted_by_key(|cause| cause.confidence),
                    "ranked: {:?}",
                    verdict.causes
                );
                assert!(verdict.detail.is_some_and(|detail| detail.ends_with('.')));
            }
        }
    }
}

//! Ranking by what earlier attempts have shown, where an answer leaves several causes.

use koios_channel::{Fault, SecurityPolicy, StatusCode};

use super::{Cause, CauseCode, Confidence, Facts, Observed};
use crate::clock::rfc3339;
use crate::code::Code;
use crate::earlier::{EarlierAttempt, EarlierOutcome};

/// Puts what earlier attempts with the same certificates have shown into the causes.
pub(super) fn weigh(causes: &mut Vec<Cause>, code: Code, observed: &Observed<'_>, facts: &Facts<'_>) {
    let shown = Shown::of(facts);
    match code {
        Code::CertificateRejectedByServer => refusal(causes, is_named(observed), &shown),
        Code::HandshakeFailed | Code::ServerSilent => handshake(causes, code, observed, &shown, facts),
        _ => {}
    }
}

fn is_named(observed: &Observed<'_>) -> bool {
    observed.status.is_some_and(|status| status.is_same_as(StatusCode::BAD_CERTIFICATE_UNTRUSTED))
}

/// What has been shown of this pair of certificates.
struct Shown<'a> {
    /// It was accepted, last at that time.
    accepted: Option<&'a EarlierAttempt>,
    /// It was accepted under this very policy.
    accepted_so: Option<&'a EarlierAttempt>,
    /// It was refused by name since it was last accepted.
    refused: Option<(Code, &'a EarlierAttempt)>,
    /// A session without security was made.
    unsecured: Option<&'a EarlierAttempt>,
}

impl<'a> Shown<'a> {
    fn of(facts: &Facts<'a>) -> Self {
        let client = facts.certificate.map(|chain| chain.leaf().thumbprint_sha256());
        let pair = |attempt: &&EarlierAttempt| {
            attempt.client.is_some() && attempt.client == client && attempt.server == facts.server_certificate
        };
        let newest = |fits: &dyn Fn(&EarlierAttempt) -> bool| {
            let fitting = facts.earlier.iter().filter(|attempt| fits(attempt));
            fitting.max_by_key(|attempt| attempt.at)
        };
        let accepted = newest(&|attempt| pair(&attempt) && attempt.outcome == EarlierOutcome::Accepted);
        let accepted_so = newest(&|attempt| {
            pair(&attempt)
                && attempt.outcome == EarlierOutcome::Accepted
                && Some(attempt.security_policy) == facts.security_policy
        });
        let refused = newest(&|attempt| {
            pair(&attempt)
                && matches!(attempt.outcome, EarlierOutcome::Refused(_))
                && accepted.is_none_or(|accepted| accepted.at < attempt.at)
        });
        let refused = refused.and_then(|attempt| match attempt.outcome {
            EarlierOutcome::Refused(code) => Some((code, attempt)),
            EarlierOutcome::Accepted => None,
        });
        let unsecured =
            newest(&|attempt| attempt.client.is_none() && attempt.outcome == EarlierOutcome::Accepted);
        Self { accepted, accepted_so, refused, unsecured }
    }
}

/// Not trusted, or one of the reasons that hide behind the same answer.
fn refusal(causes: &mut Vec<Cause>, named: bool, shown: &Shown<'_>) {
    if let Some(accepted) = shown.accepted {
        let evidence = format!("It accepted this certificate at {}.", rfc3339(accepted.at));
        // What has been accepted is neither too weak nor wrongly made.
        causes.retain(|cause| {
            !matches!(cause.code, CauseCode::TooWeakForServer | CauseCode::CertificateProfile)
        });
        for cause in causes.iter_mut() {
            match cause.code {
                CauseCode::NotTrusted => {
                    "The server trusts this certificate no longer: it was taken out of its trust list, or the list \
                     was replaced."
                        .clone_into(&mut cause.explanation);
                    cause.evidence.insert(0, evidence.clone());
                }
                CauseCode::Revoked | CauseCode::RevocationListMissing => {
                    cause.confidence = Confidence::Likely;
                    cause.evidence.insert(0, evidence.clone());
                }
                _ => {}
            }
        }
    }
    let Some((code, earlier)) = shown.refused.filter(|_| !named) else { return };
    let evidence = format!(
        "At {} it answered to the same certificate, with the same one of its own: {}.",
        rfc3339(earlier.at),
        code.message()
    );
    let Some(named) = cause_of(code) else {
        // It named the trust list itself, and hides it now.
        for cause in causes.iter_mut().filter(|cause| cause.code == CauseCode::NotTrusted) {
            cause.evidence.insert(0, evidence.clone());
        }
        return;
    };
    let cause = Cause::new(
        named,
        Confidence::Likely,
        "The server has refused this certificate for another reason before, and hides it now.",
    )
    .because(evidence)
    .because("Some servers move a certificate to their rejected ones after such a refusal, trusted or not.");
    causes.retain(|cause| cause.code != named);
    causes.insert(0, cause);
}

/// A failed handshake: the key, the policy, or the server.
fn handshake(
    causes: &mut Vec<Cause>,
    code: Code,
    observed: &Observed<'_>,
    shown: &Shown<'_>,
    facts: &Facts<'_>,
) {
    if facts.endpoints_confirmed {
        // Fetched again, they show that nothing was renewed meanwhile; that they show what the server uses, they do not, and
        // a server that says it cannot decrypt uses another one.
        causes.retain(|cause| {
            cause.code != CauseCode::StaleServerCertificate || cause.confidence < Confidence::Possible
        });
        if let Some(first) = causes.first_mut() {
            first
                .evidence
                .push("The endpoints, fetched again afterwards, show the same certificate.".to_owned());
        }
    }
    if let Some(accepted) = shown.accepted_so {
        let evidence =
            format!("At {} it accepted the same certificate, key and security policy.", rfc3339(accepted.at));
        causes.retain(|cause| !matches!(cause.code, CauseCode::KeyNotAccepted | CauseCode::PolicyNotWorking));
        let closed = matches!(observed.fault, Fault::Closed { .. } | Fault::Io(_));
        let (cause, explanation) = if code == Code::HandshakeFailed && closed {
            (
                CauseCode::NotTrusted,
                "The server trusts this certificate no longer, and refuses without a word.",
            )
        } else {
            (CauseCode::ServerBusy, "The server is overloaded, starting, stopping or defective.")
        };
        put_first(causes, Cause::new(cause, Confidence::Likely, explanation).because(evidence));
        return;
    }
    let policy = facts.security_policy.map_or("this security policy", SecurityPolicy::name);
    let explanation = format!("The server offers {policy} and cannot do it after all.");
    let evidence = match (shown.accepted, shown.unsecured) {
        (Some(accepted), _) => format!(
            "With {} it accepted the same certificate and key at {}.",
            accepted.security_policy,
            rfc3339(accepted.at)
        ),
        (None, Some(unsecured)) => {
            format!(
                "Without security it made a session at {}: only its secured side fails.",
                rfc3339(unsecured.at)
            )
        }
        (None, None) => return,
    };
    if shown.accepted.is_some() {
        for cause in causes.iter_mut().filter(|cause| cause.code == CauseCode::KeyNotAccepted) {
            cause.confidence = Confidence::Possible;
        }
    }
    put_first(
        causes,
        Cause::new(CauseCode::PolicyNotWorking, Confidence::Likely, explanation).because(evidence),
    );
}

/// Before all others of its confidence, and instead of another mention of it.
fn put_first(causes: &mut Vec<Cause>, cause: Cause) {
    causes.retain(|other| other.code != cause.code);
    causes.insert(0, cause);
}

fn cause_of(code: Code) -> Option<CauseCode> {
    Some(match code {
        Code::CertificateTimeInvalidAtServer => CauseCode::CertificateTime,
        Code::CertificateUriMismatch => CauseCode::ApplicationUriDiffers,
        Code::CertificateUsageNotAllowed | Code::CertificateInvalidAtServer => CauseCode::CertificateProfile,
        Code::CertificateRevoked => CauseCode::Revoked,
        Code::CertificateChainIncomplete => CauseCode::IssuerUnknown,
        Code::CertificateRevocationUnknown => CauseCode::RevocationListMissing,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use koios_channel::{EndpointUrl, Origin, SecurityMode, Stage as Step};
    use koios_pki::Sha256Thumbprint;
    use time::OffsetDateTime;

    use super::super::{Verdict, verdict_of};
    use super::*;
    use crate::clock::ClockTrust;
    use crate::stage::Stage;
    use crate::test_identity::identity;

    const POLICY: SecurityPolicy = SecurityPolicy::Basic256Sha256;
    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn server() -> Sha256Thumbprint {
        Sha256Thumbprint::of(b"server")
    }

    fn earlier(policy: SecurityPolicy, outcome: EarlierOutcome, hours_ago: i64) -> EarlierAttempt {
        let client = identity().leaf().thumbprint_sha256();
        EarlierAttempt::secured(client, server(), policy, outcome, NOW - time::Duration::hours(hours_ago))
    }

    fn accepted(policy: SecurityPolicy, hours_ago: i64) -> EarlierAttempt {
        earlier(policy, EarlierOutcome::Accepted, hours_ago)
    }

    fn judged(earlier: &[EarlierAttempt], status: Option<u32>, fault: &Fault, confirmed: bool) -> Verdict {
        judged_for(None, earlier, status, fault, confirmed)
    }

    fn judged_for(
        reason: Option<&str>,
        earlier: &[EarlierAttempt],
        status: Option<u32>,
        fault: &Fault,
        confirmed: bool,
    ) -> Verdict {
        let url = EndpointUrl::parse("opc.tcp://press4").unwrap();
        let identity = identity();
        let facts = Facts {
            endpoint_url: &url,
            security_mode: SecurityMode::Sign,
            security_policy: Some(POLICY),
            certificate: Some(identity.chain()),
            server_certificate: Some(server()),
            application_uri: identity.leaf().application_uri().unwrap(),
            now: NOW,
            clock_trust: ClockTrust::Plausible,
            clock_offset: None,
            timeout: Duration::from_secs(1),
            earlier,
            endpoints_confirmed: confirmed,
        };
        let origin = if status.is_some() { Origin::Peer } else { Origin::Transport };
        let step = Step::OpenSecureChannel;
        let status = status.map(StatusCode);
        let observed = Observed { step, origin, status, reason, fault };
        verdict_of(&observed, Stage::SecureChannel, &facts)
    }

    fn hidden(earlier: &[EarlierAttempt]) -> Vec<Cause> {
        judged(earlier, Some(0x8013_0000), &Fault::ServiceFault, false).causes
    }

    #[test]
    fn a_reason_that_was_named_before_comes_first_where_it_is_hidden_now() {
        let named = EarlierOutcome::Refused(Code::CertificateUriMismatch);
        let causes = hidden(&[earlier(POLICY, named, 1)]);
        assert_eq!(causes[0].code, CauseCode::ApplicationUriDiffers, "{causes:?}");
        assert!(causes[0].evidence[0].contains("1969-12-31T23:00:00Z"), "{causes:?}");
        assert_eq!(causes[1].code, CauseCode::NotTrusted);

        // Once the certificate was accepted, the older refusal is over.
        let causes = hidden(&[earlier(POLICY, named, 2), accepted(POLICY, 1)]);
        assert_eq!(causes[0].code, CauseCode::NotTrusted);
        assert!(causes[0].explanation.contains("no longer") && causes[0].evidence[0].contains("accepted"));
    }

    #[test]
    fn what_was_shown_to_another_certificate_or_by_another_server_is_no_evidence() {
        let plain = hidden(&[]);
        for stranger in [
            EarlierAttempt { client: Some(server()), ..accepted(POLICY, 1) },
            EarlierAttempt { server: Some(Sha256Thumbprint::of(b"another")), ..accepted(POLICY, 1) },
            EarlierAttempt::unsecured(NOW),
        ] {
            assert_eq!(hidden(&[stranger]), plain);
        }
    }

    #[test]
    fn a_server_that_says_untrusted_is_taken_at_its_word() {
        let named = EarlierOutcome::Refused(Code::CertificateUriMismatch);
        let verdict = judged(&[earlier(POLICY, named, 1)], Some(0x801A_0000), &Fault::ServiceFault, false);
        assert_eq!((verdict.causes.len(), verdict.causes[0].code), (1, CauseCode::NotTrusted));
    }

    #[test]
    fn silence_is_blamed_on_what_earlier_attempts_leave() {
        let first = |earlier: &[EarlierAttempt]| {
            let verdict = judged(earlier, None, &Fault::TimedOut, false);
            assert_eq!(verdict.code, Code::ServerSilent);
            assert!(verdict.causes.is_sorted_by_key(|cause| cause.confidence), "{:?}", verdict.causes);
            (verdict.causes[0].code, verdict.causes[0].evidence.concat())
        };
        assert_eq!(first(&[]).0, CauseCode::KeyNotAccepted);
        let (cause, evidence) = first(&[EarlierAttempt::unsecured(NOW)]);
        assert_eq!(cause, CauseCode::PolicyNotWorking);
        assert!(evidence.contains("Without security"));
        let (cause, evidence) = first(&[accepted(SecurityPolicy::Aes256Sha256RsaPss, 1)]);
        assert_eq!(cause, CauseCode::PolicyNotWorking);
        assert!(evidence.contains("Aes256_Sha256_RsaPss"));
        assert_eq!(first(&[accepted(POLICY, 1)]).0, CauseCode::ServerBusy);
    }

    #[test]
    fn a_close_where_the_same_was_accepted_before_is_a_refusal_without_a_word() {
        let closed = Fault::Closed { received: false };
        let causes = judged(&[accepted(POLICY, 1)], None, &closed, false).causes;
        assert_eq!((causes[0].code, causes[0].confidence), (CauseCode::NotTrusted, Confidence::Likely));
        assert!(causes.iter().all(|cause| cause.code != CauseCode::KeyNotAccepted));
    }

    #[test]
    fn endpoints_that_were_fetched_again_rule_a_stale_certificate_out() {
        // BadTcpInternalError
        let causes = |confirmed| judged(&[], Some(0x8082_0000), &Fault::Err, confirmed).causes;
        let stale =
            |causes: &[Cause]| causes.iter().any(|cause| cause.code == CauseCode::StaleServerCertificate);
        assert!(stale(&causes(false)) && !stale(&causes(true)));
        assert!(causes(true)[0].evidence.iter().any(|line| line.contains("fetched again")));

        // Unless the server says that it cannot read what was encrypted with it.
        let reason = Some("Cannot decrypt OPN package");
        let causes = judged_for(reason, &[], Some(0x8082_0000), &Fault::Err, true).causes;
        assert_eq!(
            (causes[0].code, causes[0].confidence),
            (CauseCode::StaleServerCertificate, Confidence::Likely)
        );
    }
}

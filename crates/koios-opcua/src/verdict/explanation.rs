//! What may be behind a failure, most probable first.

mod certificate;
mod handshake;
mod reach;

use koios_channel::{Origin, Stage as Step};

use super::refusal::step_name;
use super::{Cause, CauseCode, Confidence, Facts, Observed, earlier};
use crate::code::Code;
use crate::stage::Stage;
use certificate::{
    clock_offset, missing_application_uri, not_trusted, profile, revocation_unknown, time_invalid,
    uri_mismatch,
};
use handshake::{handshake, silent};
use reach::{nonsense, single, timeout};

/// The causes of a failure, ranked; those of equal confidence keep the order in which they are pushed here.
pub(super) fn causes(code: Code, observed: &Observed<'_>, stage: Stage, facts: &Facts<'_>) -> Vec<Cause> {
    let mut causes = match code {
        Code::CertificateRejectedByServer => not_trusted(observed, facts),
        Code::CertificateTimeInvalidAtServer => time_invalid(observed, facts),
        Code::CertificateUriMismatch => uri_mismatch(observed, facts),
        Code::CertificateInvalidAtServer | Code::CertificateUsageNotAllowed => profile(code, observed, facts),
        Code::CertificateRevoked => {
            vec![said(
                observed,
                CauseCode::Revoked,
                "The certificate, or an issuer of it, is on a revocation list.",
            )]
        }
        Code::CertificateChainIncomplete => vec![said(
            observed,
            CauseCode::IssuerUnknown,
            "The server does not know an issuer of the certificate. Trusting the certificate alone is not enough.",
        )],
        Code::CertificateRevocationUnknown => revocation_unknown(observed, facts),
        Code::HandshakeFailed => handshake(observed, facts),
        Code::ServerSilent => silent(facts),
        Code::Timeout => timeout(stage),
        Code::ServerError if observed.origin == Origin::Local => nonsense(observed),
        _ => single(code, observed),
    };
    if let Some(cause) = missing_application_uri(code, facts) {
        causes.insert(0, cause);
    }
    if code.is_certificate_refusal() || code == Code::HandshakeFailed {
        causes.extend(clock_offset(code, facts));
    }
    earlier::weigh(&mut causes, code, observed, facts);
    causes.sort_by_key(|cause| cause.confidence);
    causes
}

/// A cause that the server named.
fn said(observed: &Observed<'_>, code: CauseCode, explanation: &str) -> Cause {
    Cause::new(code, Confidence::Certain, explanation).because(answer(observed))
}

fn answer(observed: &Observed<'_>) -> String {
    let step: Step = observed.step;
    match observed.status {
        Some(status) => format!("The server answered {} with {status}.", step_name(step)),
        None => format!("At {}: {}.", step_name(step), observed.fault),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use koios_channel::{EndpointUrl, Fault, SecurityMode, StatusCode};
    use koios_pki::{
        ApplicationUri, CertificateChain, KeySpec, PrivateKey, SelfSignedParams, SerialNumber, Validity,
        self_signed,
    };
    use time::OffsetDateTime;

    use super::*;
    use crate::clock::ClockTrust;
    use crate::test_identity::identity;

    const TIME_INVALID: StatusCode = StatusCode(0x8014_0000);
    const URI_INVALID: StatusCode = StatusCode(0x8017_0000);

    fn explain(
        code: Code,
        status: StatusCode,
        chain: &CertificateChain,
        change: impl Fn(&mut Facts<'_>),
    ) -> Vec<Cause> {
        let url = EndpointUrl::parse("opc.tcp://press4").unwrap();
        let observed = Observed {
            step: Step::CreateSession,
            origin: Origin::Peer,
            status: Some(status),
            reason: None,
            fault: &Fault::ServiceFault,
        };
        let mut facts = Facts {
            certificate: Some(chain),
            application_uri: chain.leaf().application_uri().unwrap_or("urn:koios:gw01"),
            ..facts(&url)
        };
        change(&mut facts);
        causes(code, &observed, Stage::Session, &facts)
    }

    fn facts(url: &EndpointUrl) -> Facts<'_> {
        Facts {
            endpoint_url: url,
            security_mode: SecurityMode::Sign,
            security_policy: None,
            certificate: None,
            server_certificate: None,
            application_uri: "urn:koios:gw01",
            now: OffsetDateTime::now_utc(),
            clock_trust: ClockTrust::Plausible,
            clock_offset: None,
            timeout: Duration::from_secs(1),
            earlier: &[],
            endpoints_confirmed: false,
        }
    }

    fn codes(causes: &[Cause]) -> Vec<CauseCode> {
        causes.iter().map(|cause| cause.code).collect()
    }

    #[test]
    fn a_server_whose_clock_makes_the_certificate_invalid_has_the_wrong_time() {
        let chain = identity().chain().clone();
        let code = Code::CertificateTimeInvalidAtServer;
        let wrong = explain(code, TIME_INVALID, &chain, |facts| {
            facts.clock_offset = Some(time::Duration::days(-400));
        });
        assert_eq!((wrong[0].code, wrong[0].confidence), (CauseCode::ClockSkew, Confidence::Certain));
        let unknown = explain(code, TIME_INVALID, &chain, |_| {});
        assert_eq!((unknown[0].code, unknown[0].confidence), (CauseCode::ClockSkew, Confidence::Likely));
        // With a clock of ours that is plainly wrong, only the server's counts.
        let ours_is_wrong = |offset| {
            explain(code, TIME_INVALID, &chain, |facts| {
                facts.clock_trust = ClockTrust::Implausible;
                facts.now -= time::Duration::days(9_000);
                facts.clock_offset = Some(time::Duration::days(9_000) + offset);
            })
        };
        assert_eq!(codes(&ours_is_wrong(time::Duration::days(400))), [CauseCode::CertificateTime]);
        assert_eq!(ours_is_wrong(time::Duration::ZERO)[0].code, CauseCode::ClockSkew);
        let expired = explain(code, TIME_INVALID, &chain, |facts| facts.now += time::Duration::days(400));
        assert_eq!(codes(&expired), [CauseCode::CertificateTime]);
        let period = expired[0].evidence.last().unwrap();
        assert!(period.ends_with("Z.") && !period.contains("+00"), "{period}");
    }

    #[test]
    fn a_uri_that_differs_is_certain_where_it_is_named_and_likely_where_it_is_hidden() {
        let chain = identity().chain().clone();
        let another = |facts: &mut Facts<'_>| facts.application_uri = "urn:another";
        let named = explain(Code::CertificateUriMismatch, URI_INVALID, &chain, another);
        assert_eq!(
            (named[0].code, named[0].confidence),
            (CauseCode::ApplicationUriDiffers, Confidence::Certain)
        );
        assert_eq!(named[0].evidence.len(), 3);
        // One stack answers BadCertificateInvalid to a URI that differs.
        let invalid = StatusCode::BAD_CERTIFICATE_INVALID;
        let hidden = explain(Code::CertificateInvalidAtServer, invalid, &chain, another);
        assert_eq!(
            (hidden[0].code, hidden[0].confidence),
            (CauseCode::ApplicationUriDiffers, Confidence::Likely)
        );
    }

    #[test]
    fn a_certificate_of_an_authority_has_more_possible_causes_than_one_of_its_own() {
        let own = identity().chain().clone();
        let hidden = StatusCode::BAD_SECURITY_CHECKS_FAILED;
        let self_signed = explain(Code::CertificateRejectedByServer, hidden, &own, |_| {});
        assert_eq!(codes(&self_signed), [CauseCode::NotTrusted], "{self_signed:?}");

        let issued = issued_by_somebody_else(&own);
        let of_authority = explain(Code::CertificateRejectedByServer, hidden, &issued, |_| {});
        assert!(of_authority[0].explanation.contains("issuer"), "{of_authority:?}");
        let seen = codes(&of_authority);
        assert_eq!(seen[0], CauseCode::NotTrusted);
        for code in [CauseCode::IssuerUnknown, CauseCode::RevocationListMissing, CauseCode::Revoked] {
            assert!(seen.contains(&code), "{seen:?}");
        }
    }

    #[test]
    fn clocks_that_differ_are_mentioned_beside_every_refusal() {
        let chain = identity().chain().clone();
        let status = StatusCode::BAD_SECURITY_CHECKS_FAILED;
        for (minutes, mentioned) in [(4, false), (-4, false), (6, true), (-6, true)] {
            let causes = explain(Code::CertificateRejectedByServer, status, &chain, |facts| {
                facts.clock_offset = Some(time::Duration::minutes(minutes));
            });
            assert_eq!(codes(&causes).contains(&CauseCode::ClockSkew), mentioned, "{minutes}");
        }
    }

    #[test]
    fn what_the_server_says_of_its_failure_ranks_the_causes_and_proves_none() {
        let url = EndpointUrl::parse("opc.tcp://press4").unwrap();
        let chain = identity().chain().clone();
        let first = |reason| {
            let observed = Observed {
                step: Step::OpenSecureChannel,
                origin: Origin::Peer,
                status: Some(StatusCode(0x8082_0000)),
                reason,
                fault: &Fault::Err,
            };
            let facts = Facts { certificate: Some(&chain), ..facts(&url) };
            let causes = causes(Code::HandshakeFailed, &observed, Stage::SecureChannel, &facts);
            assert_eq!(causes.len(), 3, "{causes:?}");
            (causes[0].code, causes[0].confidence)
        };
        let (likely, possible) = (Confidence::Likely, Confidence::Possible);
        let (stale, key) = (CauseCode::StaleServerCertificate, CauseCode::KeyNotAccepted);
        assert_eq!(first(Some("Cannot decrypt OPN package error")), (stale, likely));
        assert_eq!(first(Some("asymmetricVerify : Invalid packet signature")), (key, likely));
        assert_eq!(first(Some("Transport error")), (stale, possible));
        assert_eq!(first(None), (stale, possible));
    }

    #[test]
    fn a_certificate_that_fails_the_servers_policy_is_too_weak_for_it() {
        let chain = identity().chain().clone();
        let code = Code::CertificateInvalidAtServer;
        let named = explain(code, StatusCode(0x8114_0000), &chain, |_| {});
        assert_eq!((named[0].code, named[0].confidence), (CauseCode::TooWeakForServer, Confidence::Likely));
        assert!(named[0].evidence[0].contains("BadCertificatePolicyCheckFailed"), "{named:?}");
        let unnamed = explain(code, StatusCode::BAD_CERTIFICATE_INVALID, &chain, |_| {});
        assert_eq!(codes(&unnamed), [CauseCode::CertificateProfile]);
    }

    #[test]
    fn an_issuer_that_was_sent_along_need_not_be_trusted() {
        let status = StatusCode(0x801B_0000);
        let code = Code::CertificateRevocationUnknown;
        let alone = identity().chain().clone();
        let missing = CauseCode::RevocationListMissing;
        assert_eq!(codes(&explain(code, status, &alone, |_| {})), [missing]);
        let with_issuer = CertificateChain::new(alone.leaf().clone(), vec![alone.leaf().clone()]);
        assert_eq!(codes(&explain(code, status, &with_issuer, |_| {})), [missing, CauseCode::IssuerUnknown]);
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_a_defect_and_no_busy_server() {
        let url = EndpointUrl::parse("opc.tcp://press4").unwrap();
        let fault = Fault::Decoding { detail: "nonsense".to_owned() };
        let observed = Observed {
            step: Step::GetEndpoints,
            origin: Origin::Local,
            status: None,
            reason: None,
            fault: &fault,
        };
        let causes = causes(Code::ServerError, &observed, Stage::Endpoints, &facts(&url));
        assert_eq!((causes[0].code, causes[0].confidence), (CauseCode::Defect, Confidence::Likely));
        assert!(causes[0].evidence[0].contains("nonsense"), "{causes:?}");
    }

    // A certificate whose issuer's signature cannot be its own: the subject is changed in place, in both lengths equal.
    fn issued_by_somebody_else(chain: &CertificateChain) -> CertificateChain {
        let key = PrivateKey::generate(KeySpec::Rsa2048).unwrap();
        let params = SelfSignedParams::new(
            "Koios@tesT".to_owned(),
            "Koios".to_owned(),
            ApplicationUri::parse("urn:koios:test:unit").unwrap(),
            Validity::starting_at(OffsetDateTime::now_utc(), 30),
            SerialNumber::from_random_bytes([3; 16]),
        );
        let mut der = self_signed(&params, &key).unwrap().der().to_vec();
        let issuer_name = b"Koios@tesT";
        let first = der.windows(issuer_name.len()).position(|window| window == issuer_name).unwrap();
        der[first..first + issuer_name.len()].copy_from_slice(b"Koios@TEST");
        let leaf = koios_pki::Certificate::from_der(&der).unwrap();
        assert!(!leaf.is_self_signed());
        CertificateChain::new(leaf, chain.issuers().to_vec())
    }
}

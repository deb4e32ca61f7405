//! What may be behind a failure, most probable first.

use koios_channel::{Fault, Origin, SecurityPolicy, Stage as Step, StatusCode};
use koios_pki::{FindingCode, KeyAlgorithm, Severity, findings};

use super::refusal::step_name;
use super::{Cause, CauseCode, Confidence, Facts, Observed, earlier};
use crate::clock::rfc3339;
use crate::code::Code;
use crate::stage::Stage;

/// OPC 10000-4 §7.32: servers may refuse a request whose timestamp is off; stacks commonly tolerate five minutes.
const NOTABLE_CLOCK_OFFSET: time::Duration = time::Duration::minutes(5);

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

fn not_trusted(observed: &Observed<'_>, facts: &Facts<'_>) -> Vec<Cause> {
    let named =
        observed.status.is_some_and(|status| status.is_same_as(StatusCode::BAD_CERTIFICATE_UNTRUSTED));
    let confidence = if named { Confidence::Certain } else { Confidence::Likely };
    let explanation = if facts.is_issued() {
        "The server's trust lists hold neither this certificate nor an issuer of it."
    } else {
        "The server's trust list does not hold this certificate."
    };
    let mut causes = vec![said(observed, CauseCode::NotTrusted, explanation).because(
        "Certificate and private key belong together, and the server's certificate was read just before.",
    )];
    for cause in &mut causes {
        cause.confidence = confidence;
    }
    if named {
        return causes;
    }
    let Some(chain) = facts.certificate else { return causes };
    if facts.is_issued() {
        let issuer = format!("The certificate was issued by {}.", super::quoted(chain.leaf().issuer()));
        let mut possible = |code, explanation: &str| {
            causes.push(Cause::new(code, Confidence::Possible, explanation).because(issuer.clone()));
        };
        possible(CauseCode::IssuerUnknown, "The server does not know an issuer of the certificate.");
        possible(CauseCode::RevocationListMissing, "The server lacks the revocation list of an issuer.");
        possible(
            CauseCode::Revoked,
            "The certificate is revoked; many servers hide that behind this answer.",
        );
    }
    let weak = weaknesses(facts);
    if !weak.is_empty() {
        let mut cause = Cause::new(CauseCode::TooWeakForServer, Confidence::Possible, TOO_WEAK);
        cause.evidence = weak;
        causes.push(cause);
    }
    let defects = defects(facts);
    if !defects.is_empty() {
        let mut cause = Cause::new(
            CauseCode::CertificateProfile,
            Confidence::Possible,
            "The certificate differs from what OPC UA prescribes. Once it is trusted, the server may refuse it for that.",
        );
        cause.evidence = defects;
        causes.push(cause);
    }
    causes
}

fn revocation_unknown(observed: &Observed<'_>, facts: &Facts<'_>) -> Vec<Cause> {
    let mut causes = vec![said(
        observed,
        CauseCode::RevocationListMissing,
        "The server has no revocation list of an issuer of the certificate.",
    )];
    // Some servers look for the list of an issuer that they do not trust before they say so.
    if facts.certificate.is_some_and(|chain| !chain.issuers().is_empty()) {
        causes.push(
            Cause::new(
                CauseCode::IssuerUnknown,
                Confidence::Possible,
                "The server does not trust an issuer of the certificate either.",
            )
            .because("The issuers were sent along: that the server has seen them does not say that it trusts them."),
        );
    }
    causes
}

fn time_invalid(observed: &Observed<'_>, facts: &Facts<'_>) -> Vec<Cause> {
    let Some(chain) = facts.certificate else {
        return vec![said(
            observed,
            CauseCode::CertificateTime,
            "The certificate is outside its validity period.",
        )];
    };
    let validity = chain.leaf().validity();
    let period = format!(
        "The certificate is valid from {} to {}.",
        rfc3339(validity.not_before),
        rfc3339(validity.not_after)
    );
    let inside = |at| validity.not_before <= at && at <= validity.not_after;
    if !inside(facts.now) {
        return vec![
            said(observed, CauseCode::CertificateTime, "The certificate is outside its validity period.")
                .because(period),
        ];
    }
    let server_is_outside = facts
        .clock_offset
        .is_some_and(|offset| facts.now.checked_add(offset).is_none_or(|server_time| !inside(server_time)));
    if server_is_outside {
        return vec![
            said(observed, CauseCode::ClockSkew, "By the server's clock the certificate is not valid.")
                .because(period),
        ];
    }
    vec![
        Cause::new(
            CauseCode::ClockSkew,
            Confidence::Likely,
            "The clock by which the server judges certificates is wrong.",
        )
        .because(answer(observed))
        .because(period),
        Cause::new(
            CauseCode::CertificateTime,
            Confidence::Possible,
            "An issuer of the certificate is expired.",
        ),
    ]
}

fn uri_mismatch(observed: &Observed<'_>, facts: &Facts<'_>) -> Vec<Cause> {
    vec![application_uri(observed, facts).unwrap_or_else(|| {
        Cause::new(
            CauseCode::ApplicationUriDiffers,
            Confidence::Possible,
            "The server compares the session's application URI with another entry of the certificate.",
        )
        .because(answer(observed))
    })]
}

// Some servers answer BadCertificateInvalid to a URI that differs and to extensions that are missing.
fn profile(code: Code, observed: &Observed<'_>, facts: &Facts<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if code == Code::CertificateInvalidAtServer {
        causes.extend(application_uri(observed, facts).map(|mut cause| {
            cause.confidence = Confidence::Likely;
            cause
        }));
    }
    causes.extend(too_weak(observed, facts));
    let defects = defects(facts);
    let confidence = if defects.is_empty() { Confidence::Possible } else { Confidence::Likely };
    let mut cause = Cause::new(
        CauseCode::CertificateProfile,
        confidence,
        "The server demands something of the certificate's extensions that this one does not have.",
    )
    .because(answer(observed));
    cause.evidence.extend(defects);
    causes.push(cause);
    causes
}

// A key or signature that the server's policy does not take: by the status for it (OPC 10000-4 §6.1.3), where there is a
// weakness also by the one for usages, which some stacks answer to a short key.
fn too_weak(observed: &Observed<'_>, facts: &Facts<'_>) -> Option<Cause> {
    let named = observed.status.is_some_and(|status| status.name() == "BadCertificatePolicyCheckFailed");
    let weak = weaknesses(facts);
    if !named && weak.is_empty() {
        return None;
    }
    let confidence = if named { Confidence::Likely } else { Confidence::Possible };
    let mut cause = Cause::new(CauseCode::TooWeakForServer, confidence, TOO_WEAK);
    if named {
        cause.evidence.push(answer(observed));
    }
    cause.evidence.extend(weak);
    Some(cause)
}

fn application_uri(observed: &Observed<'_>, facts: &Facts<'_>) -> Option<Cause> {
    let in_certificate = facts.certificate?.leaf().application_uri()?;
    (in_certificate != facts.application_uri).then(|| {
        said(
            observed,
            CauseCode::ApplicationUriDiffers,
            "The session's application URI is not the one in the certificate.",
        )
        .because(format!("The session says {}.", super::quoted(facts.application_uri)))
        .because(format!("The certificate says {}.", super::quoted(in_certificate)))
    })
}

fn missing_application_uri(code: Code, facts: &Facts<'_>) -> Option<Cause> {
    let lacks_it = facts.certificate.is_some_and(|chain| chain.leaf().application_uri().is_none());
    (code.is_certificate_refusal() && lacks_it).then(|| {
        // Certain is the fact, not that the server minds it; it leads the causes all the same, since OPC 10000-6
        // §6.2.2 makes the URI mandatory and most servers refuse a certificate without it.
        Cause::new(
            CauseCode::NoApplicationUri,
            Confidence::Certain,
            "The certificate names no application URI, which OPC UA demands.",
        )
        .because(format!("The session says {} instead.", super::quoted(facts.application_uri)))
    })
}

fn clock_offset(code: Code, facts: &Facts<'_>) -> Option<Cause> {
    let offset = facts.clock_offset.filter(|offset| offset.abs() > NOTABLE_CLOCK_OFFSET)?;
    (code != Code::CertificateTimeInvalidAtServer).then(|| {
        Cause::new(CauseCode::ClockSkew, Confidence::Possible, "The clocks of server and client differ.")
            .because(format!("The server's clock is {} s off ours.", offset.whole_seconds()))
    })
}

fn handshake(observed: &Observed<'_>, facts: &Facts<'_>) -> Vec<Cause> {
    let possible = |code, explanation: &str| Cause::new(code, Confidence::Possible, explanation);
    match observed.fault {
        Fault::Closed { .. } | Fault::Io(_) => vec![
            possible(CauseCode::KeyNotAccepted, "The server did not accept our signature or key.").because(
                format!("It closed the connection at {} instead of answering.", step_name(observed.step)),
            ),
            policy_not_working(facts),
            possible(
                CauseCode::NotTrusted,
                "Older servers refuse an untrusted certificate by closing the connection.",
            ),
        ],
        Fault::MalformedErr => vec![
            Cause::new(
                CauseCode::NotTrusted,
                Confidence::Likely,
                "The server's trust list does not hold this certificate.",
            )
            .because("Releases of one stack are known to refuse certificates with a malformed message."),
            possible(CauseCode::OldServerRelease, "An update of the server would let it say why."),
        ],
        Fault::BadSignature
        | Fault::BadPadding
        | Fault::Downgraded
        | Fault::EndpointsDiffer { .. }
        | Fault::ServerNonce { .. }
        | Fault::WrongReceiver => vec![
            possible(CauseCode::Impostor, "Somebody between here and the server changed the messages.")
                .because(format!("{}.", observed.fault)),
            possible(CauseCode::Defect, "The server, or this client, does not follow the specification."),
        ],
        _ => {
            let mut stale = stale_server_certificate().because(answer(observed));
            let mut key =
                possible(CauseCode::KeyNotAccepted, "The server did not accept our signature or key.");
            match observed.reason.map(|reason| (reason, step_that_failed(reason))) {
                Some((reason, Some(FailedStep::Decryption))) => point_to(&mut stale, reason),
                Some((reason, Some(FailedStep::Verification))) => point_to(&mut key, reason),
                _ => {}
            }
            vec![stale, key, policy_not_working(facts)]
        }
    }
}

fn stale_server_certificate() -> Cause {
    Cause::new(
        CauseCode::StaleServerCertificate,
        Confidence::Possible,
        "The server uses another certificate than its endpoint shows.",
    )
}

/// What the server did with OpenSecureChannel when it gave up, as its text tells.
enum FailedStep {
    Decryption,
    Verification,
}

// Stacks word it as they like, and in English; a text that holds neither word tells nothing.
fn step_that_failed(reason: &str) -> Option<FailedStep> {
    let reason = reason.to_ascii_lowercase();
    if reason.contains("decrypt") {
        Some(FailedStep::Decryption)
    } else if reason.contains("signature") {
        Some(FailedStep::Verification)
    } else {
        None
    }
}

fn point_to(cause: &mut Cause, reason: &str) {
    cause.confidence = Confidence::Likely;
    cause.evidence.push(format!("The server says {}.", super::quoted(reason)));
}

fn silent(facts: &Facts<'_>) -> Vec<Cause> {
    vec![
        Cause::new(
            CauseCode::KeyNotAccepted,
            Confidence::Likely,
            "Some servers drop, without a word, what they cannot verify or decrypt.",
        )
        .because("The server answered GetEndpoints, and then not OpenSecureChannel."),
        stale_server_certificate(),
        policy_not_working(facts),
        Cause::new(CauseCode::ServerBusy, Confidence::Possible, "The server is overloaded."),
    ]
}

fn policy_not_working(facts: &Facts<'_>) -> Cause {
    let policy = facts.security_policy.map_or("this security policy", SecurityPolicy::name);
    Cause::new(
        CauseCode::PolicyNotWorking,
        Confidence::Possible,
        format!("The server offers {policy} and cannot do it after all."),
    )
}

fn timeout(stage: Stage) -> Vec<Cause> {
    let cause = Cause::new;
    match stage {
        Stage::Resolve => vec![cause(
            CauseCode::HostNameWrong,
            Confidence::Likely,
            "The name service of this machine does not answer for this host name.",
        )],
        Stage::Connect => vec![
            cause(CauseCode::Firewall, Confidence::Likely, "A firewall drops the connection."),
            cause(
                CauseCode::ServerDown,
                Confidence::Possible,
                "The host is switched off, or the address is wrong.",
            ),
        ],
        Stage::Hello => vec![
            cause(
                CauseCode::NotOpcUa,
                Confidence::Likely,
                "Something else than an OPC UA server listens on that port.",
            )
            .because("The connection was accepted, and HELLO never answered."),
            cause(CauseCode::ServerBusy, Confidence::Possible, "The server is frozen or overloaded."),
        ],
        _ => vec![cause(
            CauseCode::ServerBusy,
            Confidence::Likely,
            "The server is overloaded, frozen, or slower than the timeout.",
        )],
    }
}

// The server did answer, and we could not make sense of it.
fn nonsense(observed: &Observed<'_>) -> Vec<Cause> {
    vec![
        Cause::new(
            CauseCode::Defect,
            Confidence::Likely,
            "The server does not follow the specification, or something on the way changes its messages.",
        )
        .because(answer(observed)),
    ]
}

fn single(code: Code, observed: &Observed<'_>) -> Vec<Cause> {
    use Confidence::{Certain, Likely, Possible};
    let list: &[(CauseCode, Confidence, &str)] = match code {
        Code::HostNotFound => &[(
            CauseCode::HostNameWrong,
            Likely,
            "The host name is misspelt, or unknown to this machine's name service.",
        )],
        Code::ConnectionRefused => &[
            (CauseCode::ServerDown, Likely, "The server does not run."),
            (CauseCode::PortWrong, Possible, "The port is wrong."),
            (CauseCode::Firewall, Possible, "A firewall refuses the connection."),
        ],
        Code::HostUnreachable => &[
            (CauseCode::ServerDown, Possible, "The host is switched off, or the address is wrong."),
            (CauseCode::Firewall, Possible, "A route is missing, or a firewall refuses the connection."),
        ],
        Code::NotOpcUa if matches!(observed.fault, Fault::NotOpcUa { .. }) => {
            &[(CauseCode::PortWrong, Certain, "The port belongs to another service.")]
        }
        Code::NotOpcUa => &[
            (CauseCode::PortWrong, Likely, "The port belongs to another service."),
            (CauseCode::Defect, Possible, "The server does not follow the specification."),
        ],
        Code::ConnectionClosed => &[
            (CauseCode::NotOpcUa, Possible, "Something else than an OPC UA server listens on that port."),
            (
                CauseCode::ServerBusy,
                Possible,
                "The server takes no more connections, or is starting or stopping.",
            ),
        ],
        Code::EndpointUrlRejected => {
            &[(CauseCode::PathWrong, Likely, "The path of the endpoint URL is wrong.")]
        }
        Code::UserIdentityRejected => &[
            (CauseCode::CredentialsWrong, Likely, "User name or password are wrong."),
            (CauseCode::UserNotAllowed, Possible, "The user may not log in here, or the account is locked."),
        ],
        Code::UserIdentityNotOffered | Code::PasswordWouldBeInClear => &[(
            CauseCode::NotOffered,
            Certain,
            "The endpoint does not offer a safe way for this kind of user identity.",
        )],
        Code::ServerCertificateInvalid => &[
            (CauseCode::Impostor, Possible, "Somebody else answers in the server's place."),
            (
                CauseCode::StaleServerCertificate,
                Possible,
                "The server shows one certificate and uses another one.",
            ),
        ],
        Code::TooManySessions => {
            &[(CauseCode::ServerBusy, Certain, "The server's limit of sessions or connections is reached.")]
        }
        Code::ClockSkew => &[(CauseCode::ClockSkew, Likely, "The clocks of server and client differ.")],
        Code::ServerError => {
            &[(CauseCode::ServerBusy, Possible, "The server is starting, stopping, overloaded or defective.")]
        }
        Code::Internal => &[(CauseCode::Defect, Certain, "An error of this program.")],
        _ => &[],
    };
    let mut causes: Vec<_> =
        list.iter().map(|&(code, confidence, text)| Cause::new(code, confidence, text)).collect();
    if let (Some(first), Some(_)) = (causes.first_mut(), observed.status) {
        first.evidence.push(answer(observed));
    }
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

const TOO_WEAK: &str = "The key or the signature of the certificate is too weak for this server.";

fn weaknesses(facts: &Facts<'_>) -> Vec<String> {
    let Some(chain) = facts.certificate else { return Vec::new() };
    let leaf = chain.leaf();
    let mut weak = Vec::new();
    if let KeyAlgorithm::Rsa { bits } = leaf.key_algorithm()
        && *bits < 2048
    {
        weak.push(format!("The key has {bits} bits."));
    }
    if leaf.signature_algorithm().to_ascii_lowercase().starts_with("sha1") {
        weak.push(format!("The signature algorithm is {}.", leaf.signature_algorithm()));
    }
    weak
}

// What our own lint has to say about the certificate. Validity is judged by preflight, a missing URI has its own cause.
fn defects(facts: &Facts<'_>) -> Vec<String> {
    let Some(chain) = facts.certificate else { return Vec::new() };
    findings(chain, facts.now)
        .into_iter()
        .filter(|finding| finding.severity >= Severity::Warning)
        .filter(|finding| {
            !matches!(
                finding.code,
                FindingCode::Expired | FindingCode::NotYetValid | FindingCode::NoApplicationUri
            )
        })
        .map(|finding| format!("{}: {}", finding.code.as_str(), finding.message))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use koios_channel::{EndpointUrl, Origin, SecurityMode};
    use koios_pki::{
        ApplicationUri, CertificateChain, KeySpec, PrivateKey, SelfSignedParams, SerialNumber, Validity,
        self_signed,
    };
    use time::OffsetDateTime;

    use super::*;
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

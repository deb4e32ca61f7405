//! What may be behind a refusal of our certificate.

use koios_channel::StatusCode;
use koios_pki::{FindingCode, KeyAlgorithm, Severity, findings};

use super::{answer, said};
use crate::clock::{ClockTrust, rfc3339};
use crate::code::Code;
use crate::verdict::{Cause, CauseCode, Confidence, Facts, Observed, quoted};

/// OPC 10000-4 §7.32: servers may refuse a request whose timestamp is off; stacks commonly tolerate five minutes.
const NOTABLE_CLOCK_OFFSET: time::Duration = time::Duration::minutes(5);

pub(super) fn not_trusted(observed: &Observed<'_>, facts: &Facts<'_>) -> Vec<Cause> {
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
        let issuer = format!("The certificate was issued by {}.", quoted(chain.leaf().issuer()));
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

pub(super) fn revocation_unknown(observed: &Observed<'_>, facts: &Facts<'_>) -> Vec<Cause> {
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

pub(super) fn time_invalid(observed: &Observed<'_>, facts: &Facts<'_>) -> Vec<Cause> {
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
    let servers = facts.clock_offset.and_then(|offset| facts.now.checked_add(offset));
    // A clock of ours that cannot be right says nothing; the server's is the one that it judged by.
    let believed = match (facts.clock_trust, servers) {
        (ClockTrust::Implausible, Some(servers)) => servers,
        _ => facts.now,
    };
    if !inside(believed) {
        return vec![
            said(observed, CauseCode::CertificateTime, "The certificate is outside its validity period.")
                .because(period),
        ];
    }
    let server_is_outside = servers.is_some_and(|servers| !inside(servers));
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

pub(super) fn uri_mismatch(observed: &Observed<'_>, facts: &Facts<'_>) -> Vec<Cause> {
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
pub(super) fn profile(code: Code, observed: &Observed<'_>, facts: &Facts<'_>) -> Vec<Cause> {
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

pub(super) fn missing_application_uri(code: Code, facts: &Facts<'_>) -> Option<Cause> {
    let lacks_it = facts.certificate.is_some_and(|chain| chain.leaf().application_uri().is_none());
    (code.is_certificate_refusal() && lacks_it).then(|| {
        // Certain is the fact, not that the server minds it; it leads the causes all the same, since OPC 10000-6
        // §6.2.2 makes the URI mandatory and most servers refuse a certificate without it.
        Cause::new(
            CauseCode::NoApplicationUri,
            Confidence::Certain,
            "The certificate names no application URI, which OPC UA demands.",
        )
        .because(format!("The session says {} instead.", quoted(facts.application_uri)))
    })
}

pub(super) fn clock_offset(code: Code, facts: &Facts<'_>) -> Option<Cause> {
    let offset = facts.clock_offset.filter(|offset| offset.abs() > NOTABLE_CLOCK_OFFSET)?;
    (code != Code::CertificateTimeInvalidAtServer).then(|| {
        Cause::new(CauseCode::ClockSkew, Confidence::Possible, "The clocks of server and client differ.")
            .because(format!("The server's clock is {} s off ours.", offset.whole_seconds()))
    })
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
        .because(format!("The session says {}.", quoted(facts.application_uri)))
        .because(format!("The certificate says {}.", quoted(in_certificate)))
    })
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

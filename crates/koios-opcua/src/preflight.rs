//! What can be known to fail before anything is sent.

use koios_channel::{SecurityMode, SecurityPolicy};
use koios_pki::{
    Certificate, CertificateChain, KeyAlgorithm, LintParams, LintRole, Severity, ValidityStatus, lint,
};

use crate::clock::{ClockReading, ClockTrust, rfc3339};
use crate::code::Code;
use crate::stage::Stage;
use crate::target::{ClientCertificate, Target, UnavailableReason};
use crate::verdict::{Cause, CauseCode, Confidence, ReportedBy, Verdict};

/// What the preflight let pass.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Preflight {
    /// The mode is `None`: there is nothing to present.
    NotNeeded,
    /// The certificate may be presented.
    Passed {
        /// What was let pass although a server may dislike it, or although our clock, which is not believed, speaks
        /// against it.
        warning: Option<String>,
    },
}

/// Judges what a target names of policy and certificate.
pub(crate) fn preflight_of(target: &Target, clock: ClockReading) -> Result<Preflight, Box<Verdict>> {
    let Target { security_mode, security_policy, client, user, deprecated_policies, .. } = target;
    let deprecated = match security_mode {
        SecurityMode::None => None,
        _ => deprecated_policies.judge(*security_policy, user)?,
    };
    let passed = preflight(*security_mode, *security_policy, client, clock)?;
    Ok(match (passed, deprecated) {
        (Preflight::Passed { warning }, Some(deprecated)) => {
            let warning =
                warning.map_or_else(|| deprecated.clone(), |warning| format!("{deprecated} Also {warning}."));
            Preflight::Passed { warning: Some(warning) }
        }
        (passed, _) => passed,
    })
}

/// Judges our own certificate before an attempt; pure.
///
/// # Errors
/// A verdict at stage `certificate`: no certificate, files missing, a key that does not fit the certificate or the
/// policy, a certificate outside its validity period.
pub fn preflight(
    mode: SecurityMode,
    policy: Option<SecurityPolicy>,
    client: &ClientCertificate,
    clock: ClockReading,
) -> Result<Preflight, Box<Verdict>> {
    if mode == SecurityMode::None {
        return Ok(Preflight::NotNeeded);
    }
    let chain = match client {
        ClientCertificate::Ready { identity, .. } => identity.chain(),
        ClientCertificate::Unavailable { reason, detail, .. } => {
            let code = match reason {
                UnavailableReason::Files => Code::CertificateFilesMissing,
                UnavailableReason::KeyMismatch => Code::CertificateKeyMismatch,
                UnavailableReason::KeySize => Code::CertificateKeySize,
                UnavailableReason::KeyType => Code::CertificateKeyTypeUnsupported,
            };
            let mut verdict = refuse(code, detail.clone());
            let (cause, explanation) = match reason {
                UnavailableReason::Files => (
                    CauseCode::FilesMissing,
                    "A file of the certificate on this machine is missing, or is not the one that was stored.",
                ),
                UnavailableReason::KeyMismatch => {
                    (CauseCode::KeyMismatch, "The private key belongs to another certificate.")
                }
                UnavailableReason::KeySize | UnavailableReason::KeyType => (CauseCode::KeyUnfit, KEY_UNFIT),
            };
            let cause = Cause::new(cause, Confidence::Certain, explanation).because(detail.clone());
            verdict.causes.push(cause);
            return Err(verdict);
        }
        ClientCertificate::None | ClientCertificate::NotNeeded => {
            let detail = format!(
                "The security mode {mode} needs a client certificate, and none is assigned or the default."
            );
            let mut verdict = refuse(Code::NoCertificate, detail);
            verdict.causes.push(Cause::new(
                CauseCode::NoCertificate,
                Confidence::Certain,
                "No certificate is assigned to the device, and there is no default certificate.",
            ));
            return Err(verdict);
        }
    };
    judge_key(chain.leaf(), policy)?;
    let warning = judge_validity(chain.leaf(), clock)?.or_else(|| warning_of_findings(chain, policy, clock));
    Ok(Preflight::Passed { warning })
}

/// What servers may dislike: no reason not to try, since many do not.
fn warning_of_findings(
    chain: &CertificateChain,
    policy: Option<SecurityPolicy>,
    clock: ClockReading,
) -> Option<String> {
    let params =
        LintParams::new(clock.now, LintRole::Client).for_policy(policy.unwrap_or(SecurityPolicy::None));
    let findings = lint(chain, &params);
    let codes: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity >= Severity::Warning)
        .map(|finding| finding.code.as_str())
        .collect();
    (!codes.is_empty()).then(|| format!("presented with findings: {}", codes.join(", ")))
}

fn judge_key(leaf: &Certificate, policy: Option<SecurityPolicy>) -> Result<(), Box<Verdict>> {
    let key = leaf.key_algorithm();
    if fits(key, policy) {
        return Ok(());
    }
    let is_for_rsa = policy.is_none_or(|policy| policy.rsa_key_bits().is_some());
    let code = match key {
        KeyAlgorithm::Rsa { .. } if is_for_rsa => Code::CertificateKeySize,
        _ => Code::CertificateKeyTypeUnsupported,
    };
    let by = policy.map_or("no security policy", SecurityPolicy::name);
    let not = if policy.is_some() { "not " } else { "" };
    let detail = format!("The certificate's key is {}, which {by} does {not}allow.", key_name(key));
    let mut verdict = refuse(code, detail.clone());
    verdict.causes.push(Cause::new(CauseCode::KeyUnfit, Confidence::Certain, KEY_UNFIT).because(detail));
    Err(verdict)
}

/// Whether a key fits the policy, or any policy of ours when none is asked for.
pub(crate) fn fits(key: &KeyAlgorithm, policy: Option<SecurityPolicy>) -> bool {
    let allows = |policy: SecurityPolicy| policy != SecurityPolicy::None && policy.allows_key(key);
    policy.map_or_else(|| SecurityPolicy::SECURE.into_iter().any(allows), allows)
}

/// A kind of key, for a person.
pub(crate) fn key_name(key: &KeyAlgorithm) -> String {
    match key {
        KeyAlgorithm::Rsa { bits } => format!("RSA with {bits} bits"),
        KeyAlgorithm::Ec { curve } => format!("an elliptic-curve key ({curve:?})"),
        KeyAlgorithm::Other { oid } => format!("of the kind {oid}"),
        _ => "of an unknown kind".to_owned(),
    }
}

fn judge_validity(leaf: &Certificate, clock: ClockReading) -> Result<Option<String>, Box<Verdict>> {
    let validity = leaf.validity();
    let (code, problem) = match validity.status_at(clock.now) {
        ValidityStatus::Valid => return Ok(None),
        ValidityStatus::Expired => {
            (Code::CertificateExpired, format!("The certificate expired at {}.", rfc3339(validity.not_after)))
        }
        ValidityStatus::NotYetValid => (
            Code::CertificateNotYetValid,
            format!("The certificate is valid only from {} on.", rfc3339(validity.not_before)),
        ),
    };
    if clock.trust == ClockTrust::Implausible {
        let warning =
            format!("{problem} It is presented all the same, since this machine's clock is plainly wrong.");
        return Ok(Some(warning));
    }
    let mut verdict = refuse(code, problem);
    verdict.causes.push(
        Cause::new(CauseCode::CertificateTime, Confidence::Certain, code.message())
            .because(format!("This machine's clock says {}.", rfc3339(clock.now))),
    );
    Err(verdict)
}

const KEY_UNFIT: &str = "The security policy takes no key of this kind and size.";

fn refuse(code: Code, detail: String) -> Box<Verdict> {
    Box::new(Verdict::failure(code, Stage::Certificate, ReportedBy::Koios, detail))
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::target::CertificateLabel;
    use crate::test_identity::{identity, label};

    fn ready() -> ClientCertificate {
        ClientCertificate::Ready { identity: identity(), label: None }
    }

    fn at(now: OffsetDateTime, trust: ClockTrust) -> ClockReading {
        ClockReading::new(now, trust)
    }

    fn code(client: &ClientCertificate, clock: ClockReading) -> Result<Preflight, Code> {
        preflight(SecurityMode::SignAndEncrypt, None, client, clock).map_err(|verdict| {
            assert_eq!(verdict.failed_stage, Some(Stage::Certificate));
            assert_eq!(verdict.reported_by, Some(ReportedBy::Koios));
            assert_eq!(verdict.status_code, None);
            verdict.code
        })
    }

    #[test]
    fn r1_mode_none_passes_whatever_the_certificate_is() {
        let clock = ClockReading::system();
        let unavailable = unavailable(UnavailableReason::Files);
        for client in [ClientCertificate::NotNeeded, ClientCertificate::None, unavailable] {
            assert_eq!(preflight(SecurityMode::None, None, &client, clock), Ok(Preflight::NotNeeded));
        }
    }

    #[test]
    fn a_valid_certificate_passes_with_each_policy_for_its_key_and_with_auto() {
        let clock = ClockReading::system();
        for policy in SecurityPolicy::RSA.into_iter().map(Some).chain([None]) {
            for mode in [SecurityMode::Sign, SecurityMode::SignAndEncrypt] {
                let passed = Ok(Preflight::Passed { warning: None });
                assert_eq!(preflight(mode, policy, &ready(), clock), passed);
            }
        }
    }

    #[test]
    fn validity_is_judged_to_the_second_and_both_ends_are_inside() {
        let validity = identity().leaf().validity();
        let second = time::Duration::SECOND;
        let began_just_now = Some("presented with findings: validity_began_just_now".to_owned());
        for (now, expected) in [
            (validity.not_before - second, Err(Code::CertificateNotYetValid)),
            (validity.not_before, Ok(Preflight::Passed { warning: began_just_now })),
            (validity.not_after, Ok(Preflight::Passed { warning: None })),
            (validity.not_after + second, Err(Code::CertificateExpired)),
        ] {
            assert_eq!(code(&ready(), at(now, ClockTrust::Plausible)), expected, "{now}");
        }
    }

    #[test]
    fn a_clock_that_is_plainly_wrong_warns_instead_of_refusing() {
        let validity = identity().leaf().validity();
        for now in [validity.not_before - time::Duration::DAY, validity.not_after + time::Duration::DAY] {
            let passed = code(&ready(), at(now, ClockTrust::Implausible));
            let Ok(Preflight::Passed { warning: Some(warning) }) = passed else { panic!("{passed:?}") };
            assert!(warning.contains("clock"));
        }
    }

    #[test]
    fn what_cannot_be_presented_is_refused_by_its_name() {
        let clock = ClockReading::system();
        assert_eq!(code(&ClientCertificate::None, clock), Err(Code::NoCertificate));
        for (reason, expected) in [
            (UnavailableReason::Files, Code::CertificateFilesMissing),
            (UnavailableReason::KeyMismatch, Code::CertificateKeyMismatch),
            (UnavailableReason::KeySize, Code::CertificateKeySize),
            (UnavailableReason::KeyType, Code::CertificateKeyTypeUnsupported),
        ] {
            assert_eq!(code(&unavailable(reason), clock), Err(expected));
        }
    }

    #[test]
    fn what_lies_on_this_machine_is_a_certain_cause() {
        let clock = ClockReading::system();
        for (client, code, evidence) in [
            (ClientCertificate::None, CauseCode::NoCertificate, None),
            (unavailable(UnavailableReason::Files), CauseCode::FilesMissing, Some("why".to_owned())),
            (unavailable(UnavailableReason::KeyMismatch), CauseCode::KeyMismatch, Some("why".to_owned())),
            (unavailable(UnavailableReason::KeySize), CauseCode::KeyUnfit, Some("why".to_owned())),
            (unavailable(UnavailableReason::KeyType), CauseCode::KeyUnfit, Some("why".to_owned())),
        ] {
            let verdict = preflight(SecurityMode::Sign, None, &client, clock).unwrap_err();
            let [cause] = verdict.causes.as_slice() else { panic!("{verdict:?}") };
            assert_eq!((cause.code, cause.confidence), (code, Confidence::Certain));
            assert!(cause.explanation.ends_with('.'));
            assert_eq!(cause.evidence.first(), evidence.as_ref());
        }
    }

    #[test]
    fn times_are_said_as_everywhere_else() {
        let late = identity().leaf().validity().not_after + time::Duration::DAY;
        let verdict =
            preflight(SecurityMode::Sign, None, &ready(), at(late, ClockTrust::Plausible)).unwrap_err();
        let texts = [verdict.detail.unwrap(), verdict.causes[0].evidence[0].clone()];
        assert!(texts.iter().all(|text| text.ends_with("Z.") && !text.contains("+00")), "{texts:?}");
    }

    #[test]
    fn keys_fit_the_policies_that_take_them() {
        for policy in SecurityPolicy::RSA.into_iter().map(Some).chain([None]) {
            for (bits, fit) in [(1024, false), (2047, false), (2048, true), (4096, true), (4097, false)] {
                assert_eq!(fits(&KeyAlgorithm::Rsa { bits }, policy), fit, "{bits} {policy:?}");
            }
        }
        for policy in SecurityPolicy::DEPRECATED {
            for (bits, fit) in [(1023, false), (1024, true), (2048, true), (2049, false)] {
                assert_eq!(fits(&KeyAlgorithm::Rsa { bits }, Some(policy)), fit, "{bits} {policy}");
            }
        }
        let curve = KeyAlgorithm::Ec { curve: koios_pki::Curve::P256 };
        assert!(fits(&curve, Some(SecurityPolicy::EccNistP256)) && fits(&curve, None));
        assert!(!fits(&curve, Some(SecurityPolicy::EccNistP384)));
        assert!(!fits(&KeyAlgorithm::Rsa { bits: 2048 }, Some(SecurityPolicy::EccNistP256)));
        assert!(!fits(&KeyAlgorithm::Rsa { bits: 2048 }, Some(SecurityPolicy::None)));
    }

    #[test]
    fn a_key_that_the_policy_does_not_take_is_named() {
        for (policy, expected) in [
            (SecurityPolicy::EccNistP256, Code::CertificateKeyTypeUnsupported),
            (SecurityPolicy::None, Code::CertificateKeyTypeUnsupported),
        ] {
            let verdict =
                preflight(SecurityMode::Sign, Some(policy), &ready(), ClockReading::system()).unwrap_err();
            let detail = verdict.detail.unwrap();
            assert_eq!(verdict.code, expected);
            assert!(detail.contains(&format!("which {policy} does not allow")), "{detail}");
        }
    }

    fn unavailable(reason: UnavailableReason) -> ClientCertificate {
        let label: Option<CertificateLabel> = Some(label());
        ClientCertificate::Unavailable { reason, detail: "why".to_owned(), label, chain: None }
    }
}

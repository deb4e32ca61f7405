//! What may be behind a handshake that fails without being a trust decision.

use koios_channel::{Fault, SecurityPolicy};

use super::answer;
use crate::verdict::refusal::step_name;
use crate::verdict::{Cause, CauseCode, Confidence, Facts, Observed, quoted};

pub(super) fn handshake(observed: &Observed<'_>, facts: &Facts<'_>) -> Vec<Cause> {
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

pub(super) fn silent(facts: &Facts<'_>) -> Vec<Cause> {
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
    cause.evidence.push(format!("The server says {}.", quoted(reason)));
}

fn policy_not_working(facts: &Facts<'_>) -> Cause {
    let policy = facts.security_policy.map_or("this security policy", SecurityPolicy::name);
    Cause::new(
        CauseCode::PolicyNotWorking,
        Confidence::Possible,
        format!("The server offers {policy} and cannot do it after all."),
    )
}

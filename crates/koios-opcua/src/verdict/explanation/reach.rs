//! What may be behind a server that is not reached, or answers something else.

use koios_channel::Fault;

use super::answer;
use crate::code::Code;
use crate::stage::Stage;
use crate::verdict::{Cause, CauseCode, Confidence, Observed};

pub(super) fn timeout(stage: Stage) -> Vec<Cause> {
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

pub(super) fn single(code: Code, observed: &Observed<'_>) -> Vec<Cause> {
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

// The server did answer, and we could not make sense of it.
pub(super) fn nonsense(observed: &Observed<'_>) -> Vec<Cause> {
    vec![
        Cause::new(
            CauseCode::Defect,
            Confidence::Likely,
            "The server does not follow the specification, or something on the way changes its messages.",
        )
        .because(answer(observed)),
    ]
}

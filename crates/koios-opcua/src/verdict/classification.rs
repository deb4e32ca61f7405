//! The code of a failure, from the stage, who said it, and what it said.
//!
//! The status code alone is ambiguous: the same one means other things from another mouth and at another stage.

use koios_channel::{Fault, KeyAlgorithm, SecurityMode, Stage as Step, StatusCode};

use super::Observed;
use crate::code::Code;
use crate::stage::Stage;

/// The code for what was observed while the attempt was at `stage`.
pub(super) fn classify(observed: &Observed<'_>, stage: Stage, mode: SecurityMode) -> Code {
    let handshake = is_handshake(observed.step, stage, mode);
    match observed.fault {
        Fault::NotResolved => Code::HostNotFound,
        Fault::TargetNotAllowed => Code::TargetNotAllowed,
        Fault::Refused => Code::ConnectionRefused,
        Fault::Unreachable => Code::HostUnreachable,
        Fault::Io(_) => match observed.step {
            Step::Resolve => Code::HostNotFound,
            Step::Connect => Code::HostUnreachable,
            _ => closed(handshake),
        },
        Fault::TimedOut if handshake => Code::ServerSilent,
        Fault::TimedOut => Code::Timeout,
        Fault::Closed { .. } => closed(handshake),
        Fault::NotOpcUa { .. } => Code::NotOpcUa,
        Fault::Err
        | Fault::MalformedErr
        | Fault::ServiceFault
        | Fault::ServiceResult
        | Fault::UnsecuredFault => said_by_server(observed, stage, mode),
        Fault::PasswordWouldBeInClear => Code::PasswordWouldBeInClear,
        Fault::NoUserTokenPolicy { .. }
        | Fault::OnlyIssuedTokens
        | Fault::UnsupportedUserTokenPolicy { .. }
        // Not a matter of what the device names: the server takes passwords in no better way.
        | Fault::PasswordUnderDeprecatedPolicy { .. } => Code::UserIdentityNotOffered,
        Fault::ServerCertificateDiffers | Fault::WrongSenderCertificate | Fault::ServerKey { .. } => {
            Code::ServerCertificateInvalid
        }
        Fault::KeyNotAllowed { key: KeyAlgorithm::Rsa { .. }, policy } if policy.rsa_key_bits().is_some() => {
            Code::CertificateKeySize
        }
        Fault::KeyNotAllowed { .. } => Code::CertificateKeyTypeUnsupported,
        Fault::BadPadding
        | Fault::BadSignature
        | Fault::Downgraded
        | Fault::EndpointsDiffer { .. }
        | Fault::NoEphemeralKey
        | Fault::ServerEphemeralKey
        | Fault::ServerNonce { .. }
        | Fault::WrongReceiver => Code::HandshakeFailed,
        // The first bytes from there: nothing has shown yet that it is an OPC UA server.
        Fault::Decoding { .. } | Fault::LimitExceeded { .. } | Fault::UnexpectedMessage { .. }
            if stage == Stage::Hello =>
        {
            Code::NotOpcUa
        }
        Fault::Decoding { .. }
        | Fault::LimitExceeded { .. }
        | Fault::SequenceNumber { .. }
        | Fault::UnexpectedMessage { .. }
        | Fault::UnknownToken { .. } => Code::ServerError,
        Fault::Crypto { .. } | Fault::NotReady | Fault::Random | Fault::UnsupportedSecurity { .. } => {
            Code::Internal
        }
        _ => said_by_server(observed, stage, mode),
    }
}

/// Whether a secured channel was being opened or renewed: there, silence and a closed connection are answers.
pub(super) fn is_handshake(step: Step, stage: Stage, mode: SecurityMode) -> bool {
    mode.needs_certificate()
        && stage >= Stage::SecureChannel
        && matches!(step, Step::OpenSecureChannel | Step::RenewSecureChannel)
}

// A close at OpenSecureChannel is not a lost connection: the server did not like what it read.
fn closed(handshake: bool) -> Code {
    if handshake { Code::HandshakeFailed } else { Code::ConnectionClosed }
}

fn said_by_server(observed: &Observed<'_>, stage: Stage, mode: SecurityMode) -> Code {
    let handshake = is_handshake(observed.step, stage, mode);
    let Some(status) = observed.status.filter(|status| status.is_bad()) else {
        return if handshake { Code::HandshakeFailed } else { Code::ServerError };
    };
    let name = status.name();
    // Without security no certificate of ours was sent that could be refused.
    if mode.needs_certificate() && stage >= Stage::SecureChannel {
        let code = match observed.step {
            Step::OpenSecureChannel | Step::RenewSecureChannel | Step::CreateSession => {
                certificate_code(&name)
            }
            // A session that was created has proven the certificate; only a code that names it is about it.
            Step::ActivateSession if name != "BadSecurityChecksFailed" => certificate_code(&name),
            _ => None,
        };
        if let Some(code) = code {
            return code;
        }
    }
    if let Some(code) = resource_code(&name) {
        return code;
    }
    match observed.step {
        Step::ActivateSession if is_identity_refusal(&name) => Code::UserIdentityRejected,
        Step::CreateSession | Step::ActivateSession if is_proof_refusal(&name) => Code::HandshakeFailed,
        Step::OpenSecureChannel | Step::RenewSecureChannel if handshake && !is_overload(&name) => {
            Code::HandshakeFailed
        }
        _ => Code::ServerError,
    }
}

/// The verdict on our certificate that a status names (OPC 10000-4 §6.1.3, OPC 10000-6 §6.7.7).
fn certificate_code(name: &str) -> Option<Code> {
    Some(match name {
        "BadSecurityChecksFailed" | "BadCertificateUntrusted" => Code::CertificateRejectedByServer,
        "BadCertificateTimeInvalid" | "BadCertificateIssuerTimeInvalid" => {
            Code::CertificateTimeInvalidAtServer
        }
        "BadCertificateUriInvalid" => Code::CertificateUriMismatch,
        "BadCertificateUseNotAllowed" | "BadCertificateIssuerUseNotAllowed" => {
            Code::CertificateUsageNotAllowed
        }
        "BadCertificateRevoked" | "BadCertificateIssuerRevoked" => Code::CertificateRevoked,
        "BadCertificateRevocationUnknown" | "BadCertificateIssuerRevocationUnknown" => {
            Code::CertificateRevocationUnknown
        }
        "BadCertificateChainIncomplete" => Code::CertificateChainIncomplete,
        "BadCertificateInvalid" | "BadCertificatePolicyCheckFailed" | "BadCertificateHostNameInvalid" => {
            Code::CertificateInvalidAtServer
        }
        _ => return None,
    })
}

fn resource_code(name: &str) -> Option<Code> {
    Some(match name {
        "BadTooManySessions" | "BadMaxConnectionsReached" => Code::TooManySessions,
        "BadInvalidTimestamp" => Code::ClockSkew,
        "BadTcpEndpointUrlInvalid" => Code::EndpointUrlRejected,
        _ => return None,
    })
}

fn is_identity_refusal(name: &str) -> bool {
    matches!(
        name,
        "BadUserAccessDenied"
            | "BadIdentityTokenRejected"
            | "BadIdentityTokenInvalid"
            | "BadUserSignatureInvalid"
            | "BadIdentityChangeNotSupported"
    )
}

fn is_proof_refusal(name: &str) -> bool {
    matches!(
        name,
        "BadApplicationSignatureInvalid"
            | "BadNonceInvalid"
            | "BadNoValidCertificates"
            | "BadSecurityChecksFailed"
            | "BadSecurityModeRejected"
            | "BadSecurityPolicyRejected"
    )
}

fn is_overload(name: &str) -> bool {
    matches!(
        name,
        "BadOutOfMemory"
            | "BadResourceUnavailable"
            | "BadServerHalted"
            | "BadShutdown"
            | "BadTcpNotEnoughResources"
            | "BadTcpServerTooBusy"
            | "BadTooManyOperations"
    )
}

/// Whether GetEndpoints was refused for the path of its URL, or for want of a channel without security there: what
/// servers answer that serve discovery at another path.
pub(crate) fn is_refused_for_its_path(status: Option<StatusCode>) -> bool {
    status.is_some_and(|status| {
        matches!(
            status.name().as_str(),
            "BadTcpEndpointUrlInvalid"
                | "BadSecurityModeRejected"
                | "BadSecurityPolicyRejected"
                | "BadServiceUnsupported"
        )
    })
}

#[cfg(test)]
mod tests {
    use koios_channel::Origin;

    use super::*;

    const SECURE: SecurityMode = SecurityMode::SignAndEncrypt;

    /// Status codes by their number in the OPC Foundation's table, so that the names are checked too.
    const SECURITY_CHECKS_FAILED: u32 = 0x8013_0000;

    fn code(stage: Stage, step: Step, mode: SecurityMode, fault: &Fault, status: Option<u32>) -> Code {
        let origin = if status.is_some() { Origin::Peer } else { Origin::Transport };
        let observed = Observed { step, origin, status: status.map(StatusCode), reason: None, fault };
        classify(&observed, stage, mode)
    }

    fn peer(stage: Stage, step: Step, status: u32) -> Code {
        let codes: Vec<_> = [Fault::Err, Fault::ServiceFault, Fault::ServiceResult, Fault::UnsecuredFault]
            .iter()
            .map(|fault| code(stage, step, SECURE, fault, Some(status)))
            .collect();
        assert!(
            codes.iter().all(|code| *code == codes[0]),
            "the wrapping of a status changes nothing: {codes:?}"
        );
        codes[0]
    }

    #[test]
    fn r14_what_the_server_says_of_our_certificate_is_named_at_both_stages_where_servers_say_it() {
        // interop.md §3: OPN on some stacks, CreateSession on others.
        for (status, expected) in [
            (SECURITY_CHECKS_FAILED, Code::CertificateRejectedByServer),
            (0x801A_0000, Code::CertificateRejectedByServer),
            (0x8014_0000, Code::CertificateTimeInvalidAtServer),
            (0x8015_0000, Code::CertificateTimeInvalidAtServer),
            (0x8016_0000, Code::CertificateInvalidAtServer),
            (0x8017_0000, Code::CertificateUriMismatch),
            (0x8018_0000, Code::CertificateUsageNotAllowed),
            (0x8019_0000, Code::CertificateUsageNotAllowed),
            (0x801B_0000, Code::CertificateRevocationUnknown),
            (0x801C_0000, Code::CertificateRevocationUnknown),
            (0x801D_0000, Code::CertificateRevoked),
            (0x801E_0000, Code::CertificateRevoked),
            (0x810D_0000, Code::CertificateChainIncomplete),
            (0x8012_0000, Code::CertificateInvalidAtServer),
            (0x8114_0000, Code::CertificateInvalidAtServer),
        ] {
            for (stage, step) in [
                (Stage::SecureChannel, Step::OpenSecureChannel),
                (Stage::Session, Step::CreateSession),
                (Stage::Read, Step::RenewSecureChannel),
            ] {
                assert_eq!(peer(stage, step, status), expected, "{status:#010X} at {step:?}");
            }
        }
    }

    #[test]
    fn handshake_failures_are_no_trust_decision() {
        // BadTcpInternalError, BadInternalError, BadNoValidCertificates, BadSecurityPolicyRejected, BadNonceInvalid.
        for status in [0x8082_0000, 0x8002_0000, 0x8059_0000, 0x8055_0000, 0x8024_0000] {
            assert_eq!(peer(Stage::SecureChannel, Step::OpenSecureChannel, status), Code::HandshakeFailed);
        }
    }

    #[test]
    fn an_overloaded_server_is_no_failed_handshake() {
        for (status, expected) in [(0x807D_0000, Code::ServerError), (0x80B7_0000, Code::TooManySessions)] {
            assert_eq!(peer(Stage::SecureChannel, Step::OpenSecureChannel, status), expected);
        }
    }

    #[test]
    fn a_malformed_err_is_read_by_the_status_in_it_and_otherwise_stays_unreadable() {
        let at = |status| {
            code(Stage::SecureChannel, Step::OpenSecureChannel, SECURE, &Fault::MalformedErr, Some(status))
        };
        assert_eq!(at(SECURITY_CHECKS_FAILED), Code::CertificateRejectedByServer);
        assert_eq!(at(0x8014_0000), Code::CertificateTimeInvalidAtServer);
        assert_eq!(at(0x8018_0000), Code::CertificateUsageNotAllowed);
        assert_eq!(at(0x0040_0000), Code::HandshakeFailed, "a good status refuses nothing");
        assert_eq!(
            code(Stage::SecureChannel, Step::OpenSecureChannel, SECURE, &Fault::MalformedErr, None),
            Code::HandshakeFailed
        );
    }

    #[test]
    fn silence_and_a_close_at_open_secure_channel_are_answers_and_elsewhere_they_are_not() {
        let transport = |stage, step, mode, fault| code(stage, step, mode, &fault, None);
        let (open, secure_channel) = (Step::OpenSecureChannel, Stage::SecureChannel);
        for received in [false, true] {
            let fault = Fault::Closed { received };
            assert_eq!(transport(secure_channel, open, SECURE, fault), Code::HandshakeFailed);
        }
        assert_eq!(transport(secure_channel, open, SECURE, Fault::TimedOut), Code::ServerSilent);
        let reset = Fault::Io(std::io::ErrorKind::ConnectionReset);
        assert_eq!(transport(secure_channel, open, SECURE, reset), Code::HandshakeFailed);

        for (stage, step, mode) in [
            (Stage::Hello, Step::Hello, SECURE),
            (Stage::Endpoints, open, SECURE),
            (Stage::Endpoints, Step::GetEndpoints, SECURE),
            (secure_channel, open, SecurityMode::None),
            (secure_channel, Step::Hello, SECURE),
            (Stage::Session, Step::CreateSession, SECURE),
            (Stage::UserIdentity, Step::ActivateSession, SECURE),
            (Stage::Read, Step::Read, SECURE),
        ] {
            assert_eq!(transport(stage, step, mode, Fault::TimedOut), Code::Timeout, "{stage}");
            assert_eq!(
                transport(stage, step, mode, Fault::Closed { received: false }),
                Code::ConnectionClosed
            );
        }
    }

    #[test]
    fn what_never_reached_a_server_says_so() {
        let connect = |fault| code(Stage::Connect, Step::Connect, SECURE, &fault, None);
        assert_eq!(connect(Fault::Refused), Code::ConnectionRefused);
        assert_eq!(connect(Fault::Unreachable), Code::HostUnreachable);
        assert_eq!(connect(Fault::TimedOut), Code::Timeout);
        assert_eq!(connect(Fault::Io(std::io::ErrorKind::PermissionDenied)), Code::HostUnreachable);
        assert_eq!(
            code(Stage::Resolve, Step::Resolve, SECURE, &Fault::NotResolved, None),
            Code::HostNotFound
        );
        for nonsense in [
            Fault::NotOpcUa { first_bytes: b"HTTP/1.1".to_vec() },
            Fault::LimitExceeded { what: "message", size: 2, limit: 1 },
            Fault::Decoding { detail: String::new() },
            Fault::UnexpectedMessage { detail: String::new() },
        ] {
            assert_eq!(code(Stage::Hello, Step::Hello, SECURE, &nonsense, None), Code::NotOpcUa);
        }
    }

    #[test]
    fn a_refused_user_proves_that_the_certificate_is_accepted() {
        // BadUserAccessDenied, BadIdentityTokenRejected, BadIdentityTokenInvalid, BadUserSignatureInvalid.
        for status in [0x801F_0000, 0x8021_0000, 0x8020_0000, 0x8057_0000] {
            for mode in [SECURE, SecurityMode::Sign, SecurityMode::None] {
                let fault = Fault::ServiceResult;
                let code = code(Stage::UserIdentity, Step::ActivateSession, mode, &fault, Some(status));
                assert_eq!(code, Code::UserIdentityRejected);
            }
        }
        let after_session = peer(Stage::UserIdentity, Step::ActivateSession, SECURITY_CHECKS_FAILED);
        assert_eq!(after_session, Code::HandshakeFailed);
    }

    #[test]
    fn without_security_no_refusal_is_blamed_on_a_certificate() {
        for status in [SECURITY_CHECKS_FAILED, 0x801A_0000, 0x8012_0000, 0x8014_0000] {
            for (stage, step) in [
                (Stage::Endpoints, Step::OpenSecureChannel),
                (Stage::SecureChannel, Step::OpenSecureChannel),
                (Stage::Session, Step::CreateSession),
            ] {
                let code = code(stage, step, SecurityMode::None, &Fault::Err, Some(status));
                assert!(!code.is_certificate_refusal(), "{status:#010X} at {stage}: {code}");
            }
        }
        // Discovery runs without security even when the device does not.
        let discovery = peer(Stage::Endpoints, Step::OpenSecureChannel, SECURITY_CHECKS_FAILED);
        assert!(!discovery.is_certificate_refusal());
    }

    #[test]
    fn our_own_findings_about_the_server_are_never_its_verdict_on_us() {
        for (fault, expected) in [
            (Fault::BadSignature, Code::HandshakeFailed),
            (Fault::BadPadding, Code::HandshakeFailed),
            (Fault::Downgraded, Code::HandshakeFailed),
            (Fault::WrongReceiver, Code::HandshakeFailed),
            (Fault::ServerNonce { len: 3 }, Code::HandshakeFailed),
            (Fault::EndpointsDiffer { detail: String::new() }, Code::HandshakeFailed),
            (Fault::WrongSenderCertificate, Code::ServerCertificateInvalid),
            (Fault::ServerCertificateDiffers, Code::ServerCertificateInvalid),
            (Fault::ServerKey { detail: String::new() }, Code::ServerCertificateInvalid),
            (Fault::Decoding { detail: String::new() }, Code::ServerError),
            (Fault::LimitExceeded { what: "message", size: 2, limit: 1 }, Code::ServerError),
            (Fault::SequenceNumber { previous: 1, received: 9 }, Code::ServerError),
            (Fault::UnknownToken { token: 1 }, Code::ServerError),
            (Fault::UnexpectedMessage { detail: String::new() }, Code::ServerError),
            (Fault::PasswordWouldBeInClear, Code::PasswordWouldBeInClear),
            (
                Fault::PasswordUnderDeprecatedPolicy { policy: koios_channel::SecurityPolicy::Basic256 },
                Code::UserIdentityNotOffered,
            ),
            (Fault::Random, Code::Internal),
            (Fault::NotReady, Code::Internal),
        ] {
            for stage in [Stage::SecureChannel, Stage::Session, Stage::UserIdentity] {
                let observed = Observed {
                    step: Step::OpenSecureChannel,
                    origin: Origin::Local,
                    status: None,
                    reason: None,
                    fault: &fault,
                };
                let code = classify(&observed, stage, SECURE);
                assert_eq!(code, expected, "{fault:?}");
                assert!(!code.is_certificate_refusal());
            }
        }
    }

    #[test]
    fn other_answers_of_the_server_keep_their_meaning() {
        for (stage, step, status, expected) in [
            (Stage::Hello, Step::Hello, 0x8083_0000, Code::EndpointUrlRejected),
            (Stage::Endpoints, Step::GetEndpoints, 0x8083_0000, Code::EndpointUrlRejected),
            (Stage::Session, Step::CreateSession, 0x8056_0000, Code::TooManySessions),
            (Stage::Session, Step::CreateSession, 0x8023_0000, Code::ClockSkew),
            (Stage::Session, Step::CreateSession, 0x8058_0000, Code::HandshakeFailed),
            (Stage::Session, Step::CreateSession, 0x8002_0000, Code::ServerError),
            (Stage::Hello, Step::Hello, 0x8081_0000, Code::ServerError),
            (Stage::Read, Step::Read, 0x801F_0000, Code::ServerError),
            (Stage::Endpoints, Step::GetEndpoints, 0x800B_0000, Code::ServerError),
        ] {
            assert_eq!(peer(stage, step, status), expected, "{status:#010X} at {stage}");
        }
    }

    #[test]
    fn discovery_is_tried_at_its_own_path_only_when_the_path_may_be_the_reason() {
        assert!(is_refused_for_its_path(Some(StatusCode(0x8083_0000))));
        assert!(is_refused_for_its_path(Some(StatusCode(0x8055_0000))));
        assert!(!is_refused_for_its_path(Some(StatusCode(0x8081_0000))));
        assert!(!is_refused_for_its_path(None));
    }
}

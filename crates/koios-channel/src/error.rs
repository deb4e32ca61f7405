use std::fmt;
use std::io;

use koios_pki::{KeyAlgorithm, SecurityMode, SecurityPolicy};

use crate::StatusCode;
use crate::endpoint::UserTokenKind;

/// Why a step of the conversation failed: where, who said so, and what.
///
/// [`origin`](Self::origin) separates a server's refusal from our own: the same status code means different things
/// in the two mouths. Nothing in it is proof by itself: an ERR message and an unsecured answer are not authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelError {
    /// The step that failed.
    pub stage: Stage,
    /// Who ended it.
    pub origin: Origin,
    /// The server's status code, when it named one.
    pub status: Option<StatusCode>,
    /// The server's own text: hostile, without control characters, at most 1,024 characters.
    pub reason: Option<String>,
    /// What happened.
    pub fault: Fault,
}

impl ChannelError {
    pub(crate) const fn transport(stage: Stage, fault: Fault) -> Self {
        Self { stage, origin: Origin::Transport, status: None, reason: None, fault }
    }

    pub(crate) const fn local(stage: Stage, fault: Fault) -> Self {
        Self { stage, origin: Origin::Local, status: None, reason: None, fault }
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.fault)?;
        if let Some(status) = self.status {
            write!(f, ", status {status}")?;
        }
        if let Some(reason) = &self.reason {
            write!(f, ", server says {reason:?}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ChannelError {}

/// A step of the conversation, in the order they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// Host name to addresses.
    Resolve,
    /// TCP.
    Connect,
    /// HELLO and ACK (OPC 10000-6 §7.1.2).
    Hello,
    /// The first `OpenSecureChannel` (OPC 10000-4 §5.6.2).
    OpenSecureChannel,
    /// `GetEndpoints` (OPC 10000-4 §5.5.4).
    GetEndpoints,
    /// `CreateSession` (OPC 10000-4 §5.7.2).
    CreateSession,
    /// `ActivateSession` (OPC 10000-4 §5.7.3).
    ActivateSession,
    /// `Read` (OPC 10000-4 §5.11.2).
    Read,
    /// `FindServers` (OPC 10000-4 §5.5.2).
    FindServers,
    /// `Browse` and `BrowseNext` (OPC 10000-4 §5.9.2).
    Browse,
    /// `Call` (OPC 10000-4 §5.12.2).
    Call,
    /// A service that the caller has encoded.
    OtherService,
    /// A later `OpenSecureChannel`, for a fresh token.
    RenewSecureChannel,
    /// `CloseSession` (OPC 10000-4 §5.7.4).
    CloseSession,
    /// `CloseSecureChannel` (OPC 10000-4 §5.6.3).
    CloseSecureChannel,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Hello => "hello",
            Self::OpenSecureChannel => "open secure channel",
            Self::GetEndpoints => "get endpoints",
            Self::CreateSession => "create session",
            Self::ActivateSession => "activate session",
            Self::Read => "read",
            Self::FindServers => "find servers",
            Self::Browse => "browse",
            Self::Call => "call",
            Self::OtherService => "other service",
            Self::RenewSecureChannel => "renew secure channel",
            Self::CloseSession => "close session",
            Self::CloseSecureChannel => "close secure channel",
        })
    }
}

/// Who ended a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is nobody else on the line")]
pub enum Origin {
    /// We refused what the peer sent, or could not do our part.
    Local,
    /// The peer refused.
    Peer,
    /// Neither spoke: the connection or the clock ended it.
    Transport,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// An abort chunk: the peer gave up in the middle of its answer (OPC 10000-6 §6.7.3).
    #[error("the server aborted its answer")]
    Aborted,
    /// Padding that no sender would write, behind a signature that holds.
    #[error("the padding of a message is malformed")]
    BadPadding,
    /// A signature or MAC of the peer does not hold, or its answer could not be decrypted.
    #[error("a signature of the server does not hold")]
    BadSignature,
    /// The connection was closed or reset by the peer.
    #[error("the server closed the connection{}", if *.received { " in the middle of its answer" } else { " without an answer" })]
    Closed {
        /// Whether any byte of the awaited answer had come.
        received: bool,
    },
    /// Our own part failed in the cryptographic library.
    #[error("{operation} failed")]
    Crypto {
        /// What was being done.
        operation: &'static str,
    },
    /// What the peer sent is not what OPC UA prescribes.
    #[error("the server's message cannot be read: {detail}")]
    Decoding {
        /// What is wrong with it.
        detail: String,
    },
    /// The reply to a secured `OpenSecureChannel` claims success without security.
    #[error("the answer to a secured request came without security")]
    Downgraded,
    /// The session's endpoint list is not the one discovery gave: somebody may have changed the unprotected one.
    #[error("the session's endpoints differ from those of discovery: {detail}")]
    EndpointsDiffer {
        /// The first difference.
        detail: String,
    },
    /// An ERR message (OPC 10000-6 §7.1.2.5); not authenticated.
    #[error("the server refused")]
    Err,
    /// Our key is not one the security policy allows: too short, too long, or of another kind.
    #[error("a key of the kind {key} cannot be used with {policy}")]
    KeyNotAllowed {
        /// What kind of key it is.
        key: KeyAlgorithm,
        /// The policy.
        policy: SecurityPolicy,
    },
    /// A limit of ours, or one the server announced, would be exceeded.
    #[error("{what} of {size} exceeds the limit of {limit}")]
    LimitExceeded {
        /// What is too large.
        what: &'static str,
        /// Its size, in bytes or pieces as `what` says.
        size: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// An ERR message without a readable code, or one that hides its code (node-opcua before 2.182).
    #[error("the server refused with a malformed message")]
    MalformedErr,
    /// The name has no address.
    #[error("the host name could not be resolved")]
    NotResolved,
    /// The name has addresses, and a connection may be made to none of them.
    #[error("no address of the host may be connected to")]
    TargetNotAllowed,
    /// The first bytes are not of an OPC UA server.
    #[error("the peer does not speak OPC UA")]
    NotOpcUa {
        /// What it sent, at most 64 bytes.
        first_bytes: Vec<u8>,
    },
    /// A method was called before the step it builds on, or after an exchange that did not end.
    #[error("the conversation is not ready for this step")]
    NotReady,
    /// The endpoint offers no token of the kind asked for.
    #[error("the endpoint takes no {kind} user identity")]
    NoUserTokenPolicy {
        /// The kind asked for.
        kind: UserTokenKind,
    },
    /// The endpoint takes issued tokens only (OPC 10000-4 §7.40.6), such as those of an identity provider; this crate has none.
    #[error("the endpoint takes only issued tokens, which are not supported")]
    OnlyIssuedTokens,
    /// What the caller wants to send has no encoding.
    #[error("{what} cannot be sent")]
    NotSendable {
        /// What it is.
        what: &'static str,
    },
    /// The server gave no key to encrypt the user's secret to, which a policy on a curve needs (OPC 10000-4 §7.40.2.5).
    #[error("the server gave no ephemeral key for the password")]
    NoEphemeralKey,
    /// A password is not sent where SHA-1 and, with `Basic128Rsa15`, PKCS#1 v1.5 protect it: neither in a channel of a
    /// deprecated policy nor encrypted under one.
    #[error("a password is never sent under the deprecated policy {policy}")]
    PasswordUnderDeprecatedPolicy {
        /// The policy.
        policy: SecurityPolicy,
    },
    /// The only way the endpoint takes a password would show it to anybody on the network.
    #[error("the password would travel in clear text")]
    PasswordWouldBeInClear,
    /// The random number generator of the system failed.
    #[error("no random numbers are available")]
    Random,
    /// Nobody listens on the port.
    #[error("the connection was refused")]
    Refused,
    /// The session's server certificate is not the endpoint's.
    #[error("the session's server certificate is another one than the endpoint's")]
    ServerCertificateDiffers,
    /// What the server gave for the agreement of keys is no point of the policy's curve.
    #[error("the server's ephemeral key is none of the policy's curve")]
    ServerEphemeralKey,
    /// The server's key cannot be used with the policy.
    #[error("the server certificate's key cannot be used: {detail}")]
    ServerKey {
        /// Why.
        detail: String,
    },
    /// The server's nonce is too short to be one, or has the wrong length.
    #[error("the server's nonce has {len} bytes")]
    ServerNonce {
        /// Its length in bytes.
        len: usize,
    },
    /// A sequence number that does not follow the one before: a message was lost, repeated or forged.
    #[error("sequence number {received} does not follow {previous}")]
    SequenceNumber {
        /// The number before.
        previous: u32,
        /// The one received.
        received: u32,
    },
    /// A `ServiceFault` on a channel whose security holds.
    #[error("the server refused the request")]
    ServiceFault,
    /// A response of the right type whose service result is not good.
    #[error("the server answered that the request failed")]
    ServiceResult,
    /// The deadline passed.
    #[error("the server did not answer in time")]
    TimedOut,
    /// A message that does not belong here.
    #[error("unexpected message: {detail}")]
    UnexpectedMessage {
        /// What came instead of what.
        detail: String,
    },
    /// A message secured with a token that is not ours.
    #[error("a message came under the unknown token {token}")]
    UnknownToken {
        /// The token's number.
        token: u32,
    },
    /// The address cannot be reached.
    #[error("the host cannot be reached")]
    Unreachable,
    /// A refusal of a secured `OpenSecureChannel` that came without security: a hint, not proof.
    #[error("the server refused without security")]
    UnsecuredFault,
    /// Policy and mode that do not belong together.
    #[error("policy {policy} cannot be used with mode {mode}")]
    UnsupportedSecurity {
        /// The policy.
        policy: SecurityPolicy,
        /// The mode.
        mode: SecurityMode,
    },
    /// The user token's security policies are all unknown to us.
    #[error("the endpoint's user token policy {uri} is not supported")]
    UnsupportedUserTokenPolicy {
        /// The policy's URI.
        uri: String,
    },
    /// The answer is addressed to another certificate than ours.
    #[error("the answer is addressed to another certificate")]
    WrongReceiver,
    /// The answer is signed by another certificate than the endpoint's.
    #[error("the answer comes from another certificate than the endpoint's")]
    WrongSenderCertificate,
    /// Any other failure of the operating system.
    #[error("the connection failed ({0})")]
    Io(io::ErrorKind),
}

impl Fault {
    pub(crate) fn decoding(detail: impl Into<String>) -> Self {
        Self::Decoding { detail: detail.into() }
    }

    pub(crate) fn unexpected(detail: impl Into<String>) -> Self {
        Self::UnexpectedMessage { detail: detail.into() }
    }
}

/// A failure whose stage the caller knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) origin: Origin,
    pub(crate) status: Option<StatusCode>,
    pub(crate) reason: Option<String>,
    pub(crate) fault: Fault,
}

impl Failure {
    pub(crate) const fn peer(fault: Fault, status: Option<StatusCode>, reason: Option<String>) -> Self {
        Self { origin: Origin::Peer, status, reason, fault }
    }

    pub(crate) fn at(self, stage: Stage) -> ChannelError {
        let Self { origin, status, reason, fault } = self;
        ChannelError { stage, origin, status, reason, fault }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { origin: Origin::Local, status: None, reason: None, fault }
    }
}

/// The peer's text made harmless: no control characters, bounded, `None` when nothing is left.
pub(crate) fn bounded_text(text: &str) -> Option<String> {
    let clean: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_REASON_CHARS).collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// Reason texts seen in the field have up to a few hundred characters; the rest is not for people.
pub(crate) const MAX_REASON_CHARS: usize = 1024;

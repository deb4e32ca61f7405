use std::fmt;

use koios_pki::{SecurityMode, SecurityPolicy};

/// One way to talk to a server, as it describes it (OPC 10000-4 §7.14). Everything here is the server's word.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// The URL the server advertises; often with a host name that only it knows.
    pub url: String,
    /// How messages are protected; `None` for a value OPC UA does not define.
    pub security_mode: Option<SecurityMode>,
    /// The URI of the security policy.
    pub security_policy_uri: String,
    /// The security policy, when it is one of ours.
    pub security_policy: Option<SecurityPolicy>,
    /// The server's own ranking of its endpoints; more is safer.
    pub security_level: u8,
    /// The server's certificate as sent, maybe followed by its issuers (OPC 10000-6 §6.2.6); not parsed.
    pub server_certificate: Option<Vec<u8>>,
    /// The URI of the transport profile.
    pub transport_profile_uri: String,
    /// The user identities the endpoint takes.
    pub user_tokens: Vec<UserTokenPolicy>,
    /// The server behind the endpoint.
    pub server: ApplicationDescription,
}

impl Endpoint {
    /// An endpoint over `opc.tcp` without certificate, user tokens or level; the other fields are the caller's to set.
    pub fn new(url: impl Into<String>, security_mode: SecurityMode, security_policy: SecurityPolicy) -> Self {
        Self {
            url: url.into(),
            security_mode: Some(security_mode),
            security_policy_uri: security_policy.uri().to_owned(),
            security_policy: Some(security_policy),
            security_level: 0,
            server_certificate: None,
            transport_profile_uri: OPC_TCP_PROFILE.to_owned(),
            user_tokens: Vec::new(),
            server: ApplicationDescription::default(),
        }
    }

    /// Whether the endpoint speaks `opc.tcp` with binary encoding, the only transport of this crate.
    pub fn is_opc_tcp(&self) -> bool {
        // An empty profile is written by some small servers, which speak nothing else.
        self.transport_profile_uri.is_empty() || self.transport_profile_uri == OPC_TCP_PROFILE
    }
}

/// How a server names itself (OPC 10000-4 §7.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplicationDescription {
    /// The name for people: without control characters, at most 1,024 characters.
    pub application_name: String,
    /// The URI of this installation.
    pub application_uri: String,
    /// The URI of the product, for people as well.
    pub product_uri: String,
    /// What it is.
    pub application_type: ApplicationType,
    /// Where its endpoints can be asked for.
    pub discovery_urls: Vec<String>,
}

/// What an application is (OPC 10000-4 §7.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApplicationType {
    /// A server.
    #[default]
    Server,
    /// A client.
    Client,
    /// Both.
    ClientAndServer,
    /// A server that knows others.
    DiscoveryServer,
    /// A number OPC UA does not define.
    Unknown(i32),
}

/// A way to prove who the user is (OPC 10000-4 §7.41).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct UserTokenPolicy {
    /// The server's name for it, sent back with the token.
    pub policy_id: String,
    /// The kind of token.
    pub kind: UserTokenKind,
    /// The policy that protects the token; `None`: the endpoint's.
    pub security_policy_uri: Option<String>,
}

impl UserTokenPolicy {
    /// A policy for tokens of this kind, protected by the endpoint's security policy.
    pub fn new(policy_id: impl Into<String>, kind: UserTokenKind) -> Self {
        Self { policy_id: policy_id.into(), kind, security_policy_uri: None }
    }
}

/// The kind of a user token (OPC 10000-4 §7.40).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum UserTokenKind {
    /// Nobody in particular.
    Anonymous,
    /// A name and a password.
    UserName,
    /// An X.509 certificate.
    Certificate,
    /// A token of another service.
    IssuedToken,
    /// A number OPC UA does not define.
    Unknown(i32),
}

impl fmt::Display for UserTokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::UserName => f.write_str("user name"),
            Self::Certificate => f.write_str("certificate"),
            Self::IssuedToken => f.write_str("issued token"),
            Self::Unknown(number) => write!(f, "unknown ({number})"),
        }
    }
}

/// OPC 10000-7: UA-TCP UA-SC UA-Binary.
const OPC_TCP_PROFILE: &str = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary";

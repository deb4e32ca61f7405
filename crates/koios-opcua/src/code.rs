//! The closed enumeration of connection codes.

use std::fmt;

/// What came of a connection attempt, for programs: `as_str` is stable, values are only ever added.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Code {
    /// The attempt succeeded.
    Connected,
    /// The server does not trust our certificate, or hides why it refuses it.
    CertificateRejectedByServer,
    /// The server says that our certificate, or one of its issuers, is expired or not yet valid.
    CertificateTimeInvalidAtServer,
    /// The server says that the ApplicationUri is not the one in our certificate.
    CertificateUriMismatch,
    /// The server says that our certificate may not be used for this purpose.
    CertificateUsageNotAllowed,
    /// The server says that our certificate, or one of its issuers, is revoked.
    CertificateRevoked,
    /// The server cannot build the chain of our certificate.
    CertificateChainIncomplete,
    /// The server has no revocation list of an issuer of our certificate.
    CertificateRevocationUnknown,
    /// The server calls our certificate invalid and says no more.
    CertificateInvalidAtServer,
    /// Our certificate is expired; nothing was sent.
    CertificateExpired,
    /// Our certificate is not valid yet; nothing was sent.
    CertificateNotYetValid,
    /// A file of our certificate is missing, or is not the one stored; nothing was sent.
    CertificateFilesMissing,
    /// Our private key does not belong to our certificate; nothing was sent.
    CertificateKeyMismatch,
    /// The size of our key does not fit the security policy; nothing was sent.
    CertificateKeySize,
    /// The kind of our key fits no security policy of this version; nothing was sent.
    CertificateKeyTypeUnsupported,
    /// A secure mode, and no certificate in the system.
    NoCertificate,
    /// The host name has no address.
    HostNotFound,
    /// The host's address is in none of the networks that may be connected to; nothing was sent.
    TargetNotAllowed,
    /// Nothing listens on that port.
    ConnectionRefused,
    /// No route to the host.
    HostUnreachable,
    /// No answer within the device's timeout.
    Timeout,
    /// Something that is no OPC UA server answered.
    NotOpcUa,
    /// The server does not know this endpoint URL.
    EndpointUrlRejected,
    /// The connection was closed without an answer.
    ConnectionClosed,
    /// The server offers no endpoint of this mode and policy that fits our key.
    NoMatchingEndpoint,
    /// The server's certificate is not trusted.
    ServerCertificateUntrusted,
    /// The server presents another certificate than the one known.
    ServerCertificateChanged,
    /// The server's certificate is outside its validity period.
    ServerCertificateExpired,
    /// The server's certificate does not name the host.
    ServerCertificateHostMismatch,
    /// The server's certificate does not name the server's ApplicationUri.
    ServerCertificateUriMismatch,
    /// The server's certificate is revoked.
    ServerCertificateRevoked,
    /// The chain of the server's certificate cannot be built.
    ServerCertificateChainIncomplete,
    /// Nothing tells whether the server's certificate is revoked.
    ServerCertificateRevocationUnknown,
    /// The server's certificate is missing, broken, or too weak.
    ServerCertificateInvalid,
    /// The secure channel failed for a reason that is no trust decision.
    HandshakeFailed,
    /// The server did not answer OpenSecureChannel.
    ServerSilent,
    /// The server refused the user.
    UserIdentityRejected,
    /// The endpoint offers no token of the kind that the device is set to.
    UserIdentityNotOffered,
    /// The target names a deprecated policy that is not used here, or not with a password.
    DeprecatedPolicyRefused,
    /// The password would have travelled in clear; it was not sent.
    PasswordWouldBeInClear,
    /// The server has no session or connection left.
    TooManySessions,
    /// The clocks of server and client differ too much.
    ClockSkew,
    /// The server answered with another error.
    ServerError,
    /// An error of ours.
    Internal,
}

impl Code {
    /// Every code, in the order of the REST contract, which allows more.
    pub const ALL: [Self; 44] = [
        Self::Connected,
        Self::CertificateRejectedByServer,
        Self::CertificateTimeInvalidAtServer,
        Self::CertificateUriMismatch,
        Self::CertificateUsageNotAllowed,
        Self::CertificateRevoked,
        Self::CertificateChainIncomplete,
        Self::CertificateRevocationUnknown,
        Self::CertificateInvalidAtServer,
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::CertificateFilesMissing,
        Self::CertificateKeyMismatch,
        Self::CertificateKeySize,
        Self::CertificateKeyTypeUnsupported,
        Self::NoCertificate,
        Self::DeprecatedPolicyRefused,
        Self::HostNotFound,
        Self::TargetNotAllowed,
        Self::ConnectionRefused,
        Self::HostUnreachable,
        Self::Timeout,
        Self::NotOpcUa,
        Self::EndpointUrlRejected,
        Self::ConnectionClosed,
        Self::NoMatchingEndpoint,
        Self::ServerCertificateUntrusted,
        Self::ServerCertificateChanged,
        Self::ServerCertificateExpired,
        Self::ServerCertificateHostMismatch,
        Self::ServerCertificateUriMismatch,
        Self::ServerCertificateRevoked,
        Self::ServerCertificateChainIncomplete,
        Self::ServerCertificateRevocationUnknown,
        Self::ServerCertificateInvalid,
        Self::HandshakeFailed,
        Self::ServerSilent,
        Self::UserIdentityRejected,
        Self::UserIdentityNotOffered,
        Self::PasswordWouldBeInClear,
        Self::TooManySessions,
        Self::ClockSkew,
        Self::ServerError,
        Self::Internal,
    ];

    /// The stable name, `snake_case`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.texts().0
    }

    /// What happened, for a person. Every refusal of our certificate begins with "Certificate rejected by server".
    #[must_use]
    pub fn message(self) -> &'static str {
        self.texts().1
    }

    /// The code of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// Whether the server refused our certificate.
    #[must_use]
    pub fn is_certificate_refusal(self) -> bool {
        matches!(
            self,
            Self::CertificateRejectedByServer
                | Self::CertificateTimeInvalidAtServer
                | Self::CertificateUriMismatch
                | Self::CertificateUsageNotAllowed
                | Self::CertificateRevoked
                | Self::CertificateChainIncomplete
                | Self::CertificateRevocationUnknown
                | Self::CertificateInvalidAtServer
        )
    }

    /// Whether our own preflight ended the attempt before anything was sent.
    #[must_use]
    pub fn is_preflight(self) -> bool {
        matches!(
            self,
            Self::CertificateExpired
                | Self::CertificateNotYetValid
                | Self::CertificateFilesMissing
                | Self::CertificateKeyMismatch
                | Self::CertificateKeySize
                | Self::CertificateKeyTypeUnsupported
                | Self::DeprecatedPolicyRefused
                | Self::NoCertificate
        )
    }

    // Name and message side by side: one line to add per code, and none can lack either.
    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Connected => ("connected", "Connected"),
            Self::CertificateRejectedByServer => {
                ("certificate_rejected_by_server", "Certificate rejected by server")
            }
            Self::CertificateTimeInvalidAtServer => (
                "certificate_time_invalid_at_server",
                "Certificate rejected by server: it is outside its validity period by the server's clock",
            ),
            Self::CertificateUriMismatch => (
                "certificate_uri_mismatch",
                "Certificate rejected by server: the application URI is not the one in the certificate",
            ),
            Self::CertificateUsageNotAllowed => (
                "certificate_usage_not_allowed",
                "Certificate rejected by server: its key usage does not allow this use",
            ),
            Self::CertificateRevoked => (
                "certificate_revoked",
                "Certificate rejected by server: the certificate or its issuer is revoked",
            ),
            Self::CertificateChainIncomplete => (
                "certificate_chain_incomplete",
                "Certificate rejected by server: the server lacks an issuer of the certificate",
            ),
            Self::CertificateRevocationUnknown => (
                "certificate_revocation_unknown",
                "Certificate rejected by server: the server lacks the revocation list of an issuer",
            ),
            Self::CertificateInvalidAtServer => (
                "certificate_invalid_at_server",
                "Certificate rejected by server: the server calls the certificate invalid",
            ),
            Self::CertificateExpired => ("certificate_expired", "The client certificate has expired"),
            Self::CertificateNotYetValid => {
                ("certificate_not_yet_valid", "The client certificate is not valid yet")
            }
            Self::CertificateFilesMissing => {
                ("certificate_files_missing", "Files of the client certificate are missing or changed")
            }
            Self::CertificateKeyMismatch => {
                ("certificate_key_mismatch", "The private key does not belong to the client certificate")
            }
            Self::CertificateKeySize => {
                ("certificate_key_size", "The client certificate's key size does not fit the security policy")
            }
            Self::CertificateKeyTypeUnsupported => (
                "certificate_key_type_unsupported",
                "The client certificate's kind of key fits no security policy of this version",
            ),
            Self::NoCertificate => {
                ("no_certificate", "The security mode needs a client certificate and there is none")
            }
            Self::DeprecatedPolicyRefused => {
                ("deprecated_policy_refused", "The deprecated security policy is not used")
            }
            Self::HostNotFound => ("host_not_found", "Host not found"),
            Self::TargetNotAllowed => ("target_not_allowed", "Koios may not connect to this network"),
            Self::ConnectionRefused => {
                ("connection_refused", "Connection refused: nothing listens on that port")
            }
            Self::HostUnreachable => ("host_unreachable", "Host unreachable"),
            Self::Timeout => ("timeout", "No answer within the timeout"),
            Self::NotOpcUa => ("not_opc_ua", "What answers there is not an OPC UA server"),
            Self::EndpointUrlRejected => {
                ("endpoint_url_rejected", "The server does not know this endpoint URL")
            }
            Self::ConnectionClosed => ("connection_closed", "The connection was closed without an answer"),
            Self::NoMatchingEndpoint => {
                ("no_matching_endpoint", "The server offers no endpoint with this security mode and policy")
            }
            Self::ServerCertificateUntrusted => {
                ("server_certificate_untrusted", "The server's certificate is not trusted")
            }
            Self::ServerCertificateChanged => {
                ("server_certificate_changed", "The server presents another certificate than before")
            }
            Self::ServerCertificateExpired => {
                ("server_certificate_expired", "The server's certificate is outside its validity period")
            }
            Self::ServerCertificateHostMismatch => {
                ("server_certificate_host_mismatch", "The server's certificate does not name this host")
            }
            Self::ServerCertificateUriMismatch => (
                "server_certificate_uri_mismatch",
                "The server's certificate does not name the server's application URI",
            ),
            Self::ServerCertificateRevoked => {
                ("server_certificate_revoked", "The server's certificate is revoked")
            }
            Self::ServerCertificateChainIncomplete => {
                ("server_certificate_chain_incomplete", "An issuer of the server's certificate is missing")
            }
            Self::ServerCertificateRevocationUnknown => (
                "server_certificate_revocation_unknown",
                "No revocation list tells whether the server's certificate is revoked",
            ),
            Self::ServerCertificateInvalid => {
                ("server_certificate_invalid", "The server's certificate is missing, broken or too weak")
            }
            Self::HandshakeFailed => ("handshake_failed", "The secure channel could not be opened"),
            Self::ServerSilent => {
                ("server_silent", "The server did not answer the request for a secure channel")
            }
            Self::UserIdentityRejected => ("user_identity_rejected", "The server refused the user"),
            Self::UserIdentityNotOffered => {
                ("user_identity_not_offered", "The server does not offer this kind of user identity")
            }
            Self::PasswordWouldBeInClear => {
                ("password_would_be_in_clear", "The password would travel unencrypted and was not sent")
            }
            Self::TooManySessions => ("too_many_sessions", "The server has no free session or connection"),
            Self::ClockSkew => ("clock_skew", "The clocks of server and client differ too much"),
            Self::ServerError => ("server_error", "The server answered with an error"),
            Self::Internal => ("internal", "Internal error"),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own_and_is_found_by_it() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(Code::from_name(code.as_str()), Some(code));
            assert!(code.as_str().chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{code}");
        }
        assert_eq!(Code::from_name("CONNECTED"), None);
    }

    #[test]
    fn r14_every_refusal_of_our_certificate_begins_with_the_same_words_and_nothing_else_does() {
        for code in Code::ALL {
            assert_eq!(
                code.message().starts_with("Certificate rejected by server"),
                code.is_certificate_refusal(),
                "{code}: {}",
                code.message()
            );
        }
        assert_eq!(Code::CertificateRejectedByServer.message(), "Certificate rejected by server");
    }

    #[test]
    fn messages_are_sentences_without_a_full_stop() {
        for code in Code::ALL {
            let message = code.message();
            assert!(message.starts_with(char::is_uppercase) && !message.ends_with('.'), "{code}: {message}");
        }
    }

    #[test]
    fn the_codes_of_the_rest_contract_are_all_here() {
        // rest-api.md §5, in its order.
        let contract = "connected certificate_rejected_by_server certificate_time_invalid_at_server \
            certificate_uri_mismatch certificate_usage_not_allowed certificate_revoked certificate_chain_incomplete \
            certificate_revocation_unknown certificate_invalid_at_server certificate_expired \
            certificate_not_yet_valid certificate_files_missing certificate_key_mismatch certificate_key_size \
            certificate_key_type_unsupported no_certificate host_not_found connection_refused host_unreachable \
            timeout not_opc_ua endpoint_url_rejected connection_closed no_matching_endpoint \
            server_certificate_untrusted server_certificate_changed server_certificate_expired \
            server_certificate_host_mismatch server_certificate_uri_mismatch server_certificate_revoked \
            server_certificate_chain_incomplete server_certificate_invalid handshake_failed server_silent \
            user_identity_rejected user_identity_not_offered password_would_be_in_clear too_many_sessions \
            clock_skew server_error internal";
        let beyond =
            [Code::DeprecatedPolicyRefused, Code::ServerCertificateRevocationUnknown, Code::TargetNotAllowed];
        let of_contract = Code::ALL.iter().filter(|code| !beyond.contains(code));
        let names: Vec<_> = of_contract.map(|code| code.as_str()).collect();
        assert_eq!(names, contract.split_whitespace().collect::<Vec<_>>());
    }
}

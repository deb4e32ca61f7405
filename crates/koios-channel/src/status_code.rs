use std::fmt;

use crate::service;

/// An OPC UA status code (OPC 10000-4 §7.39): what a server says about a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a status code is a 32-bit number and will stay one")]
pub struct StatusCode(pub u32);

impl StatusCode {
    /// The server could not verify a certificate it was sent.
    pub const BAD_CERTIFICATE_INVALID: Self = Self(0x8012_0000);
    /// The certificate is not in the server's trust list.
    pub const BAD_CERTIFICATE_UNTRUSTED: Self = Self(0x801A_0000);
    /// The server failed in a way it does not explain.
    pub const BAD_INTERNAL_ERROR: Self = Self(0x8002_0000);
    /// A security check failed; on purpose the server does not say which.
    pub const BAD_SECURITY_CHECKS_FAILED: Self = Self(0x8013_0000);
    /// The server does not speak the policy it was asked for.
    pub const BAD_SECURITY_POLICY_REJECTED: Self = Self(0x8055_0000);
    /// The URL in HELLO was refused.
    pub const BAD_TCP_ENDPOINT_URL_INVALID: Self = Self(0x8083_0000);
    /// The server holds as many sessions as it can.
    pub const BAD_TOO_MANY_SESSIONS: Self = Self(0x8056_0000);
    /// The user is known and not allowed, or the password is wrong.
    pub const BAD_USER_ACCESS_DENIED: Self = Self(0x801F_0000);
    /// Success.
    pub const GOOD: Self = Self(0);

    /// The name OPC 10000-6 Annex A gives the code, or the number in hexadecimal.
    ///
    /// The low 16 bits are flags about a value and do not belong to the name.
    pub fn name(self) -> String {
        service::status_name(self.0).map_or_else(|| format!("{:#010X}", self.0), str::to_owned)
    }

    /// Whether the code's severity is *Bad*.
    pub const fn is_bad(self) -> bool {
        self.0 & 0x8000_0000 != 0
    }

    /// Whether both codes say the same, whatever flags their low 16 bits hold.
    pub const fn is_same_as(self, other: Self) -> bool {
        self.0 >> 16 == other.0 >> 16
    }
}

impl fmt::Debug for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_code_has_its_name_and_an_unknown_one_its_number() {
        assert_eq!(StatusCode::BAD_SECURITY_CHECKS_FAILED.name(), "BadSecurityChecksFailed");
        assert_eq!(StatusCode(0x8013_0480).name(), "BadSecurityChecksFailed");
        assert_eq!(StatusCode(0x8FFF_0000).name(), "0x8FFF0000");
        assert_eq!(StatusCode::GOOD.name(), "Good");
    }

    #[test]
    fn the_constants_are_named_as_the_standard_names_them() {
        for (code, name) in [
            (StatusCode::BAD_CERTIFICATE_INVALID, "BadCertificateInvalid"),
            (StatusCode::BAD_CERTIFICATE_UNTRUSTED, "BadCertificateUntrusted"),
            (StatusCode::BAD_INTERNAL_ERROR, "BadInternalError"),
            (StatusCode::BAD_SECURITY_POLICY_REJECTED, "BadSecurityPolicyRejected"),
            (StatusCode::BAD_TCP_ENDPOINT_URL_INVALID, "BadTcpEndpointUrlInvalid"),
            (StatusCode::BAD_TOO_MANY_SESSIONS, "BadTooManySessions"),
            (StatusCode::BAD_USER_ACCESS_DENIED, "BadUserAccessDenied"),
        ] {
            assert_eq!(code.name(), name);
        }
    }
}

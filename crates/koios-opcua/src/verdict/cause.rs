//! The closed enumeration of causes.

use std::fmt;

/// What may be behind a failure, for programs; values are only ever added.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum CauseCode {
    /// The server's trust list does not hold our certificate.
    NotTrusted,
    /// Our certificate, or an issuer of it, is revoked.
    Revoked,
    /// The server does not know an issuer of our certificate.
    IssuerUnknown,
    /// The server has no revocation list of an issuer of our certificate.
    RevocationListMissing,
    /// Key or signature of our certificate are too weak for this server.
    TooWeakForServer,
    /// The server looks at an extension that our certificate lacks or fills differently.
    CertificateProfile,
    /// Our certificate names no ApplicationUri.
    NoApplicationUri,
    /// The ApplicationUri of the session is not the one in the certificate.
    ApplicationUriDiffers,
    /// Our certificate is outside its validity period.
    CertificateTime,
    /// A file of our certificate is missing, or is not the one that was stored.
    FilesMissing,
    /// The private key belongs to another certificate.
    KeyMismatch,
    /// The security policy does not take a key of this kind or size.
    KeyUnfit,
    /// There is no certificate to present.
    NoCertificate,
    /// The clocks of server and client differ.
    ClockSkew,
    /// The server did not accept our signature, or could not decrypt what we sent.
    KeyNotAccepted,
    /// The server uses another certificate than its endpoint shows.
    StaleServerCertificate,
    /// The server cannot do this security policy after all.
    PolicyNotWorking,
    /// A release that refuses certificates in its own way.
    OldServerRelease,
    /// Something else than an OPC UA server listens there.
    NotOpcUa,
    /// The server does not run.
    ServerDown,
    /// A firewall drops or refuses the connection.
    Firewall,
    /// The host name is misspelt or not known to this machine.
    HostNameWrong,
    /// The port is wrong.
    PortWrong,
    /// The path of the endpoint URL is wrong.
    PathWrong,
    /// The server is overloaded or frozen.
    ServerBusy,
    /// User name or password are wrong.
    CredentialsWrong,
    /// The user is known but may not log in.
    UserNotAllowed,
    /// The server's certificate was renewed.
    ServerCertificateRenewed,
    /// Our trust list holds neither the server's certificate nor an authority above it.
    ServerNotTrusted,
    /// An authority above the server's certificate is not known here.
    ServerIssuerMissing,
    /// A revocation list of an authority above the server's certificate is not here, or not current.
    ServerRevocationListMissing,
    /// The server's certificate, or an authority above it, is revoked.
    ServerRevoked,
    /// The server's certificate is outside its validity period.
    ServerCertificateTime,
    /// The server's certificate does not name the host.
    ServerHostName,
    /// The server's certificate does not hold the server's ApplicationUri.
    ServerApplicationUri,
    /// The server's certificate is not what OPC UA or the policy demand.
    ServerCertificateProfile,
    /// Somebody else answers in the server's place.
    Impostor,
    /// The server's settings do not offer what the device asks for.
    NotOffered,
    /// A defect on our side.
    Defect,
}

impl CauseCode {
    /// Every cause.
    pub const ALL: [Self; 39] = [
        Self::NotTrusted,
        Self::Revoked,
        Self::IssuerUnknown,
        Self::RevocationListMissing,
        Self::TooWeakForServer,
        Self::CertificateProfile,
        Self::NoApplicationUri,
        Self::ApplicationUriDiffers,
        Self::CertificateTime,
        Self::FilesMissing,
        Self::KeyMismatch,
        Self::KeyUnfit,
        Self::NoCertificate,
        Self::ClockSkew,
        Self::KeyNotAccepted,
        Self::StaleServerCertificate,
        Self::PolicyNotWorking,
        Self::OldServerRelease,
        Self::NotOpcUa,
        Self::ServerDown,
        Self::Firewall,
        Self::HostNameWrong,
        Self::PortWrong,
        Self::PathWrong,
        Self::ServerBusy,
        Self::CredentialsWrong,
        Self::UserNotAllowed,
        Self::ServerCertificateRenewed,
        Self::ServerNotTrusted,
        Self::ServerIssuerMissing,
        Self::ServerRevocationListMissing,
        Self::ServerRevoked,
        Self::ServerCertificateTime,
        Self::ServerHostName,
        Self::ServerApplicationUri,
        Self::ServerCertificateProfile,
        Self::Impostor,
        Self::NotOffered,
        Self::Defect,
    ];

    /// The stable name, `snake_case`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotTrusted => "not_trusted",
            Self::Revoked => "revoked",
            Self::IssuerUnknown => "issuer_unknown",
            Self::RevocationListMissing => "revocation_list_missing",
            Self::TooWeakForServer => "too_weak_for_server",
            Self::CertificateProfile => "certificate_profile",
            Self::NoApplicationUri => "no_application_uri",
            Self::ApplicationUriDiffers => "application_uri_differs",
            Self::CertificateTime => "certificate_time",
            Self::FilesMissing => "files_missing",
            Self::KeyMismatch => "key_mismatch",
            Self::KeyUnfit => "key_unfit",
            Self::NoCertificate => "no_certificate",
            Self::ClockSkew => "clock_skew",
            Self::KeyNotAccepted => "key_not_accepted",
            Self::StaleServerCertificate => "stale_server_certificate",
            Self::PolicyNotWorking => "policy_not_working",
            Self::OldServerRelease => "old_server_release",
            Self::NotOpcUa => "not_opc_ua",
            Self::ServerDown => "server_down",
            Self::Firewall => "firewall",
            Self::HostNameWrong => "host_name_wrong",
            Self::PortWrong => "port_wrong",
            Self::PathWrong => "path_wrong",
            Self::ServerBusy => "server_busy",
            Self::CredentialsWrong => "credentials_wrong",
            Self::UserNotAllowed => "user_not_allowed",
            Self::ServerCertificateRenewed => "server_certificate_renewed",
            Self::ServerNotTrusted => "server_not_trusted",
            Self::ServerIssuerMissing => "server_issuer_missing",
            Self::ServerRevocationListMissing => "server_revocation_list_missing",
            Self::ServerRevoked => "server_revoked",
            Self::ServerCertificateTime => "server_certificate_time",
            Self::ServerHostName => "server_host_name",
            Self::ServerApplicationUri => "server_application_uri",
            Self::ServerCertificateProfile => "server_certificate_profile",
            Self::Impostor => "impostor",
            Self::NotOffered => "not_offered",
            Self::Defect => "defect",
        }
    }
}

impl fmt::Display for CauseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_cause_has_a_name_of_its_own() {
        let names: HashSet<_> = CauseCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), CauseCode::ALL.len());
    }
}

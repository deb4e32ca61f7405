//! Which OPC UA stacks are known to refuse for a finding (`opcua-certificates.md` §1.3, §2.4, §6).

use std::fmt;

use super::FindingCode;

/// An OPC UA stack whose checks of certificates are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PeerStack {
    /// async-opcua (Rust).
    AsyncOpcua,
    /// opcua-asyncio (Python).
    Asyncua,
    /// gopcua, and whatever else reads certificates with Go's standard library.
    Gopcua,
    /// Eclipse Milo (Java).
    Milo,
    /// OPC UA .NET Standard.
    Net,
    /// node-opcua (JavaScript).
    NodeOpcua,
    /// open62541 (C).
    Open62541,
    /// S2OPC (C).
    S2opc,
}

impl PeerStack {
    /// The name its makers use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AsyncOpcua => "async-opcua",
            Self::Asyncua => "opcua-asyncio",
            Self::Gopcua => "gopcua",
            Self::Milo => "Eclipse Milo",
            Self::Net => "OPC UA .NET Standard",
            Self::NodeOpcua => "node-opcua",
            Self::Open62541 => "open62541",
            Self::S2opc => "S2OPC",
        }
    }
}

impl fmt::Display for PeerStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Those known to refuse, or to mistake the certificate; none where the specification alone speaks.
pub(super) const fn refusing(code: FindingCode) -> &'static [PeerStack] {
    use PeerStack::{AsyncOpcua, Gopcua, Milo, Net, NodeOpcua, Open62541, S2opc};
    match code {
        FindingCode::ApplicationUriNotFirst => &[AsyncOpcua],
        FindingCode::SeveralApplicationUris => &[AsyncOpcua, Milo, NodeOpcua],
        FindingCode::ApplicationUriInvalid => &[Milo],
        FindingCode::ApplicationUriInDnsName => &[Open62541],
        FindingCode::AuthorityKeyIdentifierMissing | FindingCode::IssuerNameReencoded => &[Net],
        FindingCode::CaCertificate
        | FindingCode::LegacyCaCertificate
        | FindingCode::CaCertificateSignsRevocationLists => &[Milo, NodeOpcua, Open62541],
        FindingCode::CertificateTooSmall => &[Open62541],
        FindingCode::ChainTooLarge | FindingCode::SubjectEmpty => &[Net],
        FindingCode::ExtendedKeyUsageIncomplete => &[Milo, Open62541, S2opc],
        FindingCode::IssuerKeyUsageIncomplete => &[Net, NodeOpcua],
        FindingCode::SelfSignedWithoutKeyCertSign => &[Milo],
        FindingCode::SerialNumberNotPositive => &[Gopcua],
        _ => &[],
    }
}

/// Those known to refuse an application's or a user's certificate whose key usage lacks `missing`.
pub(super) fn refusing_without(missing: &[&str], is_user: bool) -> &'static [PeerStack] {
    use PeerStack::{Milo, Net, S2opc};
    // .NET asks RSA keys for dataEncipherment, and those on curves for digitalSignature.
    let of_net = missing.contains(&"dataEncipherment") || missing == ["digitalSignature"];
    match (is_user, of_net) {
        (true, true) => &[Net],
        (true, false) => &[],
        (false, true) => &[Milo, Net, S2opc],
        (false, false) => &[Milo, S2opc],
    }
}

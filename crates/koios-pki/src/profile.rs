use std::fmt;

use x509_cert::ext::pkix::KeyUsages;

use crate::{Certificate, KeyAlgorithm};

/// What kind of application certificate is made: which usages and constraints it carries.
///
/// A profile is data ([`Profile::name`] and what the builder reads); there is one builder for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Profile {
    /// OPC 10000-6 §6.2.2 of release 1.05, `cA FALSE`: accepted by every stack whose rules are known.
    #[default]
    OpcUa105,
    /// The form of self-signed certificates of releases up to 1.04, `cA TRUE` with a path length of 0: for older peers
    /// that take a self-signed certificate only when it is marked as its own authority. Newer ones may refuse it
    /// (open62541, Milo and node-opcua did), so it is for the devices that need it.
    Legacy104,
    /// What is asked of an authority: as [`Profile::OpcUa105`], without `keyCertSign`, which is for self-signed
    /// certificates only.
    CaIssued,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::OpcUa105, Self::Legacy104, Self::CaIssued];

    /// The profile called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The name: `opcua-1.05`, `legacy-1.04` or `ca-issued`.
    pub const fn name(self) -> &'static str {
        self.rules().name
    }

    /// The profile whose self-signed certificates look like `certificate`, so that it can be made anew.
    pub fn of(certificate: &Certificate) -> Self {
        if certificate.basic_constraints().is_some_and(|constraints| constraints.ca) {
            Self::Legacy104
        } else {
            Self::OpcUa105
        }
    }

    pub(crate) const fn rules(self) -> &'static Rules {
        match self {
            Self::OpcUa105 => &OPC_UA_1_05,
            Self::Legacy104 => &LEGACY_1_04,
            Self::CaIssued => &CA_ISSUED,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the builder writes for a profile.
pub(crate) struct Rules {
    name: &'static str,
    rsa_key_usage: &'static [KeyUsages],
    ec_key_usage: &'static [KeyUsages],
    pub(crate) basic_constraints: Constraints,
}

/// basicConstraints (RFC 5280 §4.2.1.9), always critical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Constraints {
    /// `cA FALSE`, without a path length.
    EndEntity,
    /// `cA TRUE`, with this path length if any.
    Authority { path_len: Option<u8> },
}

impl Rules {
    pub(crate) const fn key_usage(&self, key: &KeyAlgorithm) -> &'static [KeyUsages] {
        match key {
            KeyAlgorithm::Ec { .. } => self.ec_key_usage,
            _ => self.rsa_key_usage,
        }
    }
}

/// OPC 10000-6 §6.2.2: all four usages of RSA; of ECC, whose keys encrypt nothing, the signature. keyCertSign because it
/// is self-signed, which RFC 5280 §4.2.1.3 would forbid without cA.
const OPC_UA_1_05: Rules = Rules {
    name: "opcua-1.05",
    rsa_key_usage: &[
        KeyUsages::DigitalSignature,
        KeyUsages::NonRepudiation,
        KeyUsages::KeyEncipherment,
        KeyUsages::DataEncipherment,
        KeyUsages::KeyCertSign,
    ],
    ec_key_usage: &[KeyUsages::DigitalSignature, KeyUsages::KeyCertSign],
    basic_constraints: Constraints::EndEntity,
};

/// No cRLSign: with it open62541 takes the certificate for an authority's (`opcua-certificates.md` §6, trap 2).
const LEGACY_1_04: Rules = Rules {
    name: "legacy-1.04",
    basic_constraints: Constraints::Authority { path_len: Some(0) },
    ..OPC_UA_1_05
};

const CA_ISSUED: Rules = Rules {
    name: "ca-issued",
    rsa_key_usage: &[
        KeyUsages::DigitalSignature,
        KeyUsages::NonRepudiation,
        KeyUsages::KeyEncipherment,
        KeyUsages::DataEncipherment,
    ],
    ec_key_usage: &[KeyUsages::DigitalSignature],
    basic_constraints: Constraints::EndEntity,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_name() {
        for profile in Profile::ALL {
            assert_eq!(Profile::from_name(profile.name()), Some(profile));
        }
        assert_eq!(Profile::from_name("OPCUA-1.05"), None);
    }
}

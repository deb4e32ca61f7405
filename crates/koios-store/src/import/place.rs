//! What a folder is for, by its name: the folders of OPC 10000-12 Annex F.1 and of the products that vary them.

use std::path::{Component, Path};

use crate::trust_lists::TrustListName;

/// What it means for a certificate that it lies there. A key needs no place: wherever it lies, it is the application's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Server certificates of this list.
    TrustList(TrustListName),
    /// Certificates of others that are not imported, and why.
    Others(&'static str),
    /// Anything.
    Any,
}

impl Place {
    /// The place of a file whose path begins with the folder that was asked for.
    pub(super) fn of(path: &Path) -> Self {
        let folders = path.parent().into_iter().flat_map(Path::components);
        let folders = folders.rev().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_string_lossy().to_ascii_lowercase()),
            _ => None,
        });
        let mut folders = folders.skip_while(|name| matches!(name.as_str(), "certs" | "crl" | "crls"));
        let Some(folder) = folders.next() else { return Self::Any };
        let place = match folder.as_str() {
            "trusted" => Self::TrustList(TrustListName::Trusted),
            // node-opcua and S2OPC have the plural.
            "issuer" | "issuers" => Self::TrustList(TrustListName::Issuer),
            "rejected" => Self::Others("rejected by the other product"),
            "trusteduser" | "issueruser" | "issuersuser" => OF_USERS,
            "trustedhttps" | "issuerhttps" => Self::Others("for HTTPS, not for OPC UA servers"),
            _ => Self::Any,
        };
        match place {
            // open62541 has all lists once per group.
            Self::TrustList(_) if folders.any(|name| name == "usertokencerts") => OF_USERS,
            place => place,
        }
    }

    pub(super) fn trust_list(self) -> Option<TrustListName> {
        match self {
            Self::TrustList(list) => Some(list),
            Self::Others(_) | Self::Any => None,
        }
    }
}

const OF_USERS: Place = Place::Others("about users, not servers");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_all_layouts_are_found() {
        for (path, list) in [
            ("pki/trusted/certs/a.der", Some(TrustListName::Trusted)),
            ("pki/trusted/crl/a.crl", Some(TrustListName::Trusted)),
            ("trusted/a.der", Some(TrustListName::Trusted)),
            ("pki/issuer/certs/a.der", Some(TrustListName::Issuer)),
            ("pki/issuers/crl/a.crl", Some(TrustListName::Issuer)),
            ("pki/ApplCerts/trusted/certs/a", Some(TrustListName::Trusted)),
            ("pki/UserTokenCerts/trusted/certs/a", None),
            ("pki/trustedUser/certs/a.der", None),
            ("pki/issuerHttps/certs/a.der", None),
            ("pki/own/certs/a.der", None),
            ("pki/rejected/certs/a.der", None),
            ("pki/trusted/old/a.der", None),
            ("trusted", None),
            ("a.der", None),
        ] {
            assert_eq!(Place::of(Path::new(path)).trust_list(), list, "{path}");
        }
        assert!(matches!(Place::of(Path::new("pki/rejected/a.pem")), Place::Others(_)));
        assert_eq!(Place::of(Path::new("pki/own/certs/a.der")), Place::Any);
    }
}

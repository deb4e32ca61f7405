//! Whose folders these look like: told to people, decides nothing.

use std::path::{Path, PathBuf};

text_enum! {
    /// A way in which products lay out certificates and keys.
    pub enum ForeignLayout {
        /// `ApplCerts` and `UserTokenCerts`: the file store of open62541.
        Open62541 = "open62541",
        /// `own/private/private_key.pem` and `issuers`: node-opcua.
        NodeOpcua = "node_opcua",
        /// `own/certs` and `own/private` with PFX files: UA-.NETStandard, OPC Publisher.
        DotNet = "dotnet",
        /// `own/cert.der` and `private/private.pem`: async-opcua and its predecessor.
        AsyncOpcua = "async_opcua",
        /// A key store in one file, as Java programs have them.
        KeyStore = "key_store",
        /// The folders of OPC 10000-12 Annex F.1.
        OpcUa = "opc_ua",
        /// None of these.
        Other = "other",
    }
}

impl ForeignLayout {
    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open62541 => "file store of open62541",
            Self::NodeOpcua => "folders of node-opcua",
            Self::DotNet => "folders of UA-.NETStandard or OPC Publisher",
            Self::AsyncOpcua => "folders of async-opcua",
            Self::KeyStore => "key stores",
            Self::OpcUa => "folders of OPC 10000-12",
            Self::Other => "no known layout",
        }
    }

    /// Tells by the paths below what was asked for, which they begin with.
    pub(super) fn of(paths: &[PathBuf]) -> Self {
        let lower: Vec<_> =
            paths.iter().map(|path| PathBuf::from(path.to_string_lossy().to_ascii_lowercase())).collect();
        let any = |is: &dyn Fn(&Path) -> bool| lower.iter().any(|path| is(path));
        let has_folder = |name: &'static str| {
            any(&|path| path.parent().is_some_and(|parent| parent.iter().any(|part| part == name)))
        };
        let is_pfx =
            |path: &Path| path.extension().is_some_and(|extension| extension == "pfx" || extension == "p12");
        if has_folder("applcerts") {
            Self::Open62541
        } else if any(&|path| path.ends_with("own/private/private_key.pem")) {
            Self::NodeOpcua
        } else if any(&|path| is_pfx(path) && path.parent().is_some_and(|parent| parent.ends_with("private")))
        {
            Self::DotNet
        } else if any(&|path| path.ends_with("own/cert.der"))
            && any(&|path| path.ends_with("private/private.pem"))
        {
            Self::AsyncOpcua
        } else if has_folder("own") {
            Self::OpcUa
        } else if any(&is_pfx) {
            Self::KeyStore
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_told_by_what_lies_there() {
        for (paths, layout) in [
            (&["pki/ApplCerts/own/certs/a[1].der"][..], ForeignLayout::Open62541),
            (&["own/private/private_key.pem", "own/openssl.cnf"], ForeignLayout::NodeOpcua),
            (&["pki/own/certs/A [1].der", "pki/own/private/A [1].pfx"], ForeignLayout::DotNet),
            (&["pki/own/cert.der", "pki/private/private.pem"], ForeignLayout::AsyncOpcua),
            (&["pki/own/certs/a.der", "pki/own/private/a.pem"], ForeignLayout::OpcUa),
            (&["client.pfx"], ForeignLayout::KeyStore),
            (&["client.pem"], ForeignLayout::Other),
            (&[], ForeignLayout::Other),
        ] {
            let paths: Vec<_> = paths.iter().map(PathBuf::from).collect();
            assert_eq!(ForeignLayout::of(&paths), layout, "{paths:?}");
        }
    }
}

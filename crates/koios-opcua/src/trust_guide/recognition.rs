use koios_channel::{ApplicationDescription, BuildInfo};
use serde::Deserialize;

use super::TrustGuide;
use super::catalogue::{generic, trust_guides};

/// What a server says of itself. Its word, which anybody on the network may have put into its mouth: good enough to choose
/// a guide for a person to read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServerIdentity {
    /// Of its application description.
    pub application_uri: String,
    /// Of its application description, or its build info.
    pub product_uri: String,
    /// Of its application description.
    pub application_name: String,
    /// Of its build info, which only a session shows.
    pub manufacturer_name: String,
    /// Of its build info.
    pub product_name: String,
}

impl ServerIdentity {
    /// From what GetEndpoints shows and, once a session stood, `Server_ServerStatus`.
    #[must_use]
    pub fn of(description: &ApplicationDescription, build_info: Option<&BuildInfo>) -> Self {
        let mut identity = Self {
            application_uri: description.application_uri.clone(),
            product_uri: description.product_uri.clone(),
            application_name: description.application_name.clone(),
            ..Self::default()
        };
        if let Some(info) = build_info {
            identity.manufacturer_name.clone_from(&info.manufacturer_name);
            identity.product_name.clone_from(&info.product_name);
            if identity.product_uri.is_empty() {
                identity.product_uri.clone_from(&info.product_uri);
            }
        }
        identity
    }
}

#[cfg(feature = "store")]
impl From<ServerIdentity> for koios_store::SaidServerIdentity {
    fn from(identity: ServerIdentity) -> Self {
        let ServerIdentity {
            application_uri,
            product_uri,
            application_name,
            manufacturer_name,
            product_name,
        } = identity;
        let mut said = Self::default();
        said.application_uri = application_uri;
        said.product_uri = product_uri;
        said.application_name = application_name;
        said.manufacturer_name = manufacturer_name;
        said.product_name = product_name;
        said
    }
}

#[cfg(feature = "store")]
impl From<koios_store::SaidServerIdentity> for ServerIdentity {
    fn from(said: koios_store::SaidServerIdentity) -> Self {
        Self {
            application_uri: said.application_uri,
            product_uri: said.product_uri,
            application_name: said.application_name,
            manufacturer_name: said.manufacturer_name,
            product_name: said.product_name,
        }
    }
}

/// Which guide fits a server, and what it was known by.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recognition {
    /// The guide; the generic one for a server that nobody has described.
    pub guide: &'static TrustGuide,
    /// `None` for the generic one.
    pub by: Option<RecognisedBy>,
}

/// By what a server was recognised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the fields of ServerIdentity")]
#[non_exhaustive]
pub enum RecognisedBy {
    ApplicationUri,
    ProductUri,
    ApplicationName,
    ManufacturerName,
    ProductName,
}

impl RecognisedBy {
    /// Every field.
    pub const ALL: [Self; 5] = [
        Self::ApplicationUri,
        Self::ProductUri,
        Self::ApplicationName,
        Self::ManufacturerName,
        Self::ProductName,
    ];

    /// The field's name, `snake_case`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApplicationUri => "application_uri",
            Self::ProductUri => "product_uri",
            Self::ApplicationName => "application_name",
            Self::ManufacturerName => "manufacturer_name",
            Self::ProductName => "product_name",
        }
    }
}

/// Parts of what servers of a product say, in lower case, as the catalogue has them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Marks {
    pub(super) application_uri: Vec<String>,
    pub(super) product_uri: Vec<String>,
    pub(super) application_name: Vec<String>,
    pub(super) manufacturer_name: Vec<String>,
    pub(super) product_name: Vec<String>,
    pub(super) endpoint_url: Vec<String>,
}

impl Marks {
    /// The longest mark that fits, and where.
    fn longest_in(&self, identity: &ServerIdentity) -> Option<(usize, RecognisedBy)> {
        let fields = [
            (&self.product_uri, &identity.product_uri, RecognisedBy::ProductUri),
            (&self.application_uri, &identity.application_uri, RecognisedBy::ApplicationUri),
            (&self.product_name, &identity.product_name, RecognisedBy::ProductName),
            (&self.application_name, &identity.application_name, RecognisedBy::ApplicationName),
            (&self.manufacturer_name, &identity.manufacturer_name, RecognisedBy::ManufacturerName),
        ];
        let found = fields.into_iter().filter_map(|(marks, text, by)| {
            let text = text.to_lowercase();
            let fits = |mark: &str| match by {
                // Names are free text, and what a product puts into them stands at their start.
                RecognisedBy::ApplicationName => text.starts_with(mark),
                _ => text.contains(mark),
            };
            Some((marks.iter().filter(|mark| fits(mark.as_str())).map(String::len).max()?, by))
        });
        // The last of equals wins in max_by_key; reversed, the more telling field does.
        found.rev().max_by_key(|(length, _)| *length)
    }
}

/// Chooses the guide for a server: the longest mark that fits wins, and between equals one whose URL fits as well.
#[must_use]
pub fn recognise(identity: &ServerIdentity, endpoint_url: &str) -> Recognition {
    let endpoint_url = endpoint_url.to_lowercase();
    let best = trust_guides()
        .iter()
        .rev()
        .filter_map(|guide| {
            let (length, by) = guide.marks.longest_in(identity)?;
            let fits = |mark: &String| endpoint_url.contains(mark.as_str());
            Some(((length, guide.marks.endpoint_url.iter().any(fits)), guide, by))
        })
        .max_by_key(|(strength, ..)| *strength);
    match best {
        Some((_, guide, by)) => Recognition { guide, by: Some(by) },
        None => Recognition { guide: generic(), by: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognised(
        change: impl FnOnce(&mut ServerIdentity),
        url: &str,
    ) -> (&'static str, Option<RecognisedBy>) {
        let mut identity = ServerIdentity::default();
        change(&mut identity);
        let Recognition { guide, by } = recognise(&identity, url);
        (guide.id.as_str(), by)
    }

    #[test]
    fn the_longest_mark_wins_whatever_its_field() {
        let named =
            |name: &str| recognised(|server| name.clone_into(&mut server.application_name), "opc.tcp://plc");
        assert_eq!(named("OPCUAServer@CODESYS-Pi"), ("codesys", Some(RecognisedBy::ApplicationName)));
        assert_eq!(named("TcOpcUaServer@CX-1"), ("beckhoff-tf6100", Some(RecognisedBy::ApplicationName)));
        assert_eq!(named("AcmeOpcUaServer@line3"), ("generic", None), "not at its start");
        assert_eq!(named("MySimulationServer@x"), ("generic", None));
        let uri = |uri: &str| recognised(|server| uri.clone_into(&mut server.product_uri), "opc.tcp://plc").0;
        assert_eq!(uri("NodeOPCUA-Server"), "node-opcua");
        assert_eq!(uri("Node-RED NodeOPCUA-Server"), "node-red-contrib-opcua");
        let by_manufacturer =
            recognised(|server| "Prosys OPC Ltd".clone_into(&mut server.manufacturer_name), "");
        assert_eq!(by_manufacturer, ("prosys-simulation-server", Some(RecognisedBy::ManufacturerName)));
    }

    #[test]
    fn a_url_alone_decides_nothing() {
        for url in ["opc.tcp://plc:53530/OPCUA/SimulationServer", "opc.tcp://plc:49320", "opc.tcp://plc:4840"]
        {
            assert_eq!(recognised(|_| (), url), ("generic", None), "{url}");
        }
    }

    #[test]
    fn every_guide_with_marks_is_found_by_each_of_them() {
        for guide in trust_guides() {
            for mark in &guide.marks.product_uri {
                let found = recognised(|server| server.product_uri = mark.to_uppercase(), "");
                assert_eq!(found.0, guide.id, "{mark}");
            }
            for mark in &guide.marks.application_uri {
                assert_eq!(
                    recognised(|server| server.application_uri.clone_from(mark), "").0,
                    guide.id,
                    "{mark}"
                );
            }
            for mark in &guide.marks.application_name {
                let found = recognised(|server| server.application_name.clone_from(mark), "");
                assert_eq!(found.0, guide.id, "{mark}");
            }
        }
    }
}

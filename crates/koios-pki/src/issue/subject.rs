//! Distinguished names as we write them, and as we copy them.

use der::asn1::{Any, ObjectIdentifier};
use der::{Encode, Tag};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RelativeDistinguishedName};

use super::{IssueError, unencodable};

/// Whom a certificate or a certificate request names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subject {
    /// CN, 1 to 64 characters; see [`crate::common_name_for`].
    pub common_name: String,
    /// O, 1 to 64 characters: who runs the application (OPC 10000-6 §6.2.2).
    pub organization: String,
    /// OU, 1 to 64 characters.
    pub organizational_unit: Option<String>,
    /// L, 1 to 128 characters.
    pub locality: Option<String>,
    /// ST, 1 to 128 characters.
    pub state: Option<String>,
    /// C: two upper-case letters (ISO 3166-1 alpha-2).
    pub country: Option<String>,
}

impl Subject {
    /// With nothing beside CN and O, which OPC 10000-6 §6.2.2 asks for.
    pub fn new(common_name: impl Into<String>, organization: impl Into<String>) -> Self {
        Self {
            common_name: common_name.into(),
            organization: organization.into(),
            organizational_unit: None,
            locality: None,
            state: None,
            country: None,
        }
    }

    /// One attribute per RDN, each a `UTF8String` (RFC 5280 §4.1.2.4), the country a `PrintableString` (appendix A.1), in
    /// the order of the fields; absent ones are left out.
    pub(crate) fn to_der(&self) -> Result<Vec<u8>, IssueError> {
        // Every field by name, so that a new one cannot be forgotten here.
        let Self { common_name, organization, organizational_unit, locality, state, country } = self;
        let mut rdns = Vec::new();
        for (attribute, value) in [
            (&COMMON_NAME, Some(common_name)),
            (&ORGANIZATION, Some(organization)),
            (&ORGANIZATIONAL_UNIT, organizational_unit.as_ref()),
            (&LOCALITY, locality.as_ref()),
            (&STATE, state.as_ref()),
        ] {
            let Some(value) = value else { continue };
            check_name(attribute, value)?;
            rdns.push(rdn(attribute.oid, Tag::Utf8String, value).map_err(unencodable)?);
        }
        if let Some(country) = country {
            if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
                return Err(IssueError::Country { country: country.clone() });
            }
            rdns.push(rdn(COUNTRY, Tag::PrintableString, country).map_err(unencodable)?);
        }
        Name::hazmat_from_rdn_sequence(rdns.into()).to_der().map_err(unencodable)
    }
}

struct Attribute {
    oid: ObjectIdentifier,
    field: &'static str,
    /// RFC 5280 appendix A.1, `ub-…`, in characters.
    max: usize,
}

fn check_name(attribute: &Attribute, name: &str) -> Result<(), IssueError> {
    let Attribute { field, max, .. } = *attribute;
    let len = name.chars().count();
    if name.trim().is_empty() || len > max {
        return Err(IssueError::NameLength { field, len, max });
    }
    if name.chars().any(char::is_control) {
        return Err(IssueError::NameCharacter { field });
    }
    Ok(())
}

fn rdn(oid: ObjectIdentifier, tag: Tag, value: &str) -> der::Result<RelativeDistinguishedName> {
    let value = Any::new(tag, value.as_bytes())?;
    RelativeDistinguishedName::try_from(vec![AttributeTypeAndValue { oid, value }])
}

const COMMON_NAME: Attribute =
    Attribute { oid: ObjectIdentifier::new_unwrap("2.5.4.3"), field: "common name", max: 64 };
const ORGANIZATION: Attribute =
    Attribute { oid: ObjectIdentifier::new_unwrap("2.5.4.10"), field: "organization", max: 64 };
const ORGANIZATIONAL_UNIT: Attribute =
    Attribute { oid: ObjectIdentifier::new_unwrap("2.5.4.11"), field: "organizational unit", max: 64 };
const LOCALITY: Attribute =
    Attribute { oid: ObjectIdentifier::new_unwrap("2.5.4.7"), field: "locality", max: 128 };
const STATE: Attribute = Attribute { oid: ObjectIdentifier::new_unwrap("2.5.4.8"), field: "state", max: 128 };
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");

//! How a server is made to trust a certificate, per product.

mod catalogue;
mod recognition;

use std::fmt;

use koios_pki::{Certificate, Sha1Thumbprint};

pub use catalogue::{trust_guide, trust_guides};
pub use recognition::{RecognisedBy, Recognition, ServerIdentity, recognise};

/// How one product is made to trust a client's certificate. Only confirmed facts; what is unknown is left out.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TrustGuide {
    /// The stable name, such as `node-opcua`; `generic` for servers that nobody has described.
    pub id: String,
    /// The product.
    pub name: String,
    /// Who makes it.
    pub vendor: String,
    /// How well the steps are confirmed.
    pub confidence: GuideConfidence,
    /// What to do, in order.
    pub steps: Vec<String>,
    /// Where a refused certificate lies, in the server's user interface or on its disk.
    pub rejected_location: Option<String>,
    /// Where a trusted one belongs.
    pub trusted_location: Option<String>,
    /// In which form a certificate can be imported.
    pub import_format: Option<String>,
    /// Whether the server must be restarted before it trusts.
    pub needs_restart: Known,
    /// How, and what it costs.
    pub needs_restart_note: Option<String>,
    /// Whether the server takes certificates by push management (OPC 10000-12 §7.10).
    pub push_management: Known,
    /// Under which conditions.
    pub push_management_note: Option<String>,
    /// What the server answers to a certificate that it does not trust.
    pub untrusted_signals: Vec<String>,
    /// What else helps.
    pub notes: Option<String>,
    /// Where all this is from.
    pub sources: Vec<String>,
    rejected_file_name: Option<String>,
    marks: recognition::Marks,
}

/// How well a guide is confirmed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum GuideConfidence {
    /// By documents or a server that was tried.
    High,
    /// By others' reports.
    Medium,
    /// Little is known.
    Low,
}

impl GuideConfidence {
    /// `high`, `medium` or `low`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// A fact that may be unknown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth answer")]
pub enum Known {
    /// It is so.
    Yes,
    /// It is not.
    No,
    /// Nobody has found out.
    Unknown,
}

impl Known {
    /// `yes`, `no` or `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

impl TrustGuide {
    /// Under which name the product writes this certificate when it refuses it; `None` where that is not known, or a name
    /// would need what the certificate does not have. Products differ in what they call a thumbprint.
    #[must_use]
    pub fn rejected_file_name(&self, certificate: &Certificate) -> Option<String> {
        let mut name = String::new();
        let mut rest = self.rejected_file_name.as_deref()?;
        while let Some((before, placeholder)) = rest.split_once('{') {
            let (placeholder, after) = placeholder.split_once('}')?;
            name.push_str(before);
            name.push_str(&Placeholder::named(placeholder)?.value(certificate)?);
            rest = after;
        }
        name.push_str(rest);
        Some(name)
    }
}

/// What a file name is made of.
#[derive(Clone, Copy)]
enum Placeholder {
    CommonName,
    /// With `_` for what node-opcua keeps out of file names.
    CommonNameLabel,
    /// Both names, of a subject that has these two in this order: open62541 takes all that follows the common name.
    CommonNameAndOrganization,
    ThumbprintLower,
    ThumbprintUpper,
    SignatureDigest,
}

impl Placeholder {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "cn" => Self::CommonName,
            "cn_label" => Self::CommonNameLabel,
            "cn_o" => Self::CommonNameAndOrganization,
            "sha1" => Self::ThumbprintLower,
            "SHA1" => Self::ThumbprintUpper,
            "signature_sha1" => Self::SignatureDigest,
            _ => return None,
        })
    }

    fn value(self, certificate: &Certificate) -> Option<String> {
        // Servers replace what a file name cannot hold in ways of their own: no name is better than a wrong one.
        let plain = |text: &str| {
            let is_plain = |c: char| c.is_alphanumeric() || " -_.@".contains(c);
            text.chars().all(is_plain).then(|| text.to_owned())
        };
        match self {
            Self::CommonName => plain(certificate.common_name()?),
            Self::CommonNameLabel => {
                let is_kept = |c: char| c.is_ascii_alphanumeric() || "._ -".contains(c);
                let label = |name: &str| name.chars().map(|c| if is_kept(c) { c } else { '_' }).collect();
                certificate.common_name().filter(|name| name.is_ascii()).map(label)
            }
            Self::CommonNameAndOrganization => {
                let (name, organization) = (certificate.common_name()?, certificate.organization()?);
                let is_all = certificate.subject() == format!("CN={name}, O={organization}");
                is_all.then(|| Some(format!("{}_O={}", plain(name)?, plain(organization)?)))?
            }
            Self::ThumbprintLower => Some(certificate.thumbprint_sha1().to_string().to_lowercase()),
            Self::ThumbprintUpper => Some(certificate.thumbprint_sha1().to_string()),
            Self::SignatureDigest => {
                Some(Sha1Thumbprint::of(certificate.signature()).to_string().to_lowercase())
            }
        }
    }
}

impl fmt::Display for TrustGuide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_identity::identity;

    fn name(id: &str) -> Option<String> {
        trust_guide(id).unwrap().rejected_file_name(identity().leaf())
    }

    #[test]
    fn files_are_named_as_each_product_names_them() {
        let leaf = identity();
        let leaf = leaf.leaf();
        let (cn, upper) = (leaf.common_name().unwrap(), leaf.thumbprint_sha1().to_string());
        let lower = upper.to_lowercase();
        assert_eq!(name("prosys-simulation-server"), Some(format!("{upper}.der")));
        let label = cn.replace('@', "_");
        assert_eq!(name("node-opcua"), Some(format!("{label}[{lower}].pem")));
        assert_eq!(name("opcf-net-reference-server"), Some(format!("{cn} [{upper}].der")));
        assert_eq!(name("async-opcua-rust"), Some(format!("CN={cn} [{lower}].der")));
        let signature = name("milo-demo-server").unwrap();
        assert_ne!(signature, format!("{lower}.der"), "the SHA-1 of its signature, not of the certificate");
        assert_eq!(signature.len(), 44);
        assert_eq!(name("generic"), None);
    }

    #[test]
    fn every_file_name_of_the_catalogue_can_be_made() {
        for guide in trust_guides() {
            let made = guide.rejected_file_name(identity().leaf());
            let template = guide.rejected_file_name.as_deref();
            let needs_both = template.is_some_and(|template| template.contains("{cn_o}"));
            let has_both = identity().leaf().subject().starts_with("CN=")
                && identity().leaf().subject().split(", ").count() == 2;
            assert_eq!(made.is_some(), template.is_some() && (has_both || !needs_both), "{guide}");
            assert!(made.is_none_or(|made| !made.contains(['{', '}'])), "{guide}");
        }
    }
}

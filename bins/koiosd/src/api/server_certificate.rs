//! The certificate of a server on the wire.

use koios_opcua::PresentedServerCertificate;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::certificates::{FindingBody, KeyBody};

/// A server's certificate and what is remarkable about it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServerCertificate)]
pub(crate) struct ServerCertificateBody {
    subject: String,
    issuer: String,
    #[schema(required = true)]
    common_name: Option<String>,
    #[schema(required = true)]
    application_uri: Option<String>,
    dns_names: Vec<String>,
    ip_addresses: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    not_before: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    not_after: OffsetDateTime,
    self_signed: bool,
    chain_length: usize,
    key: KeyBody,
    signature_algorithm: String,
    /// Upper-case hexadecimal.
    thumbprint_sha1: String,
    /// Upper-case hexadecimal.
    thumbprint_sha256: String,
    findings: Vec<FindingBody>,
}

impl From<PresentedServerCertificate> for ServerCertificateBody {
    fn from(presented: PresentedServerCertificate) -> Self {
        let leaf = presented.chain.leaf();
        let validity = leaf.validity();
        Self {
            subject: leaf.subject().to_owned(),
            issuer: leaf.issuer().to_owned(),
            common_name: leaf.common_name().map(str::to_owned),
            application_uri: leaf.application_uri().map(str::to_owned),
            dns_names: leaf.dns_names().to_vec(),
            ip_addresses: leaf.ip_addresses().iter().map(ToString::to_string).collect(),
            not_before: validity.not_before,
            not_after: validity.not_after,
            self_signed: leaf.is_self_signed(),
            chain_length: presented.chain.len(),
            key: leaf.key_algorithm().into(),
            signature_algorithm: leaf.signature_algorithm().to_owned(),
            thumbprint_sha1: leaf.thumbprint_sha1().to_string(),
            thumbprint_sha256: leaf.thumbprint_sha256().to_string(),
            findings: presented.findings.into_iter().map(Into::into).collect(),
        }
    }
}

//! Checks of the names in a certificate: its subject, and the hosts it is made for.

use std::net::IpAddr;

use super::{APPLICATION_CERTIFICATE, Collected, FindingCode, LintRole};
use crate::{Attribute, AttributeType, Certificate, StringKind};

pub(super) fn check_subject(certificate: &Certificate, role: LintRole<'_>, found: &mut Collected) {
    let subject = certificate.subject_name();
    if subject.is_empty() {
        let remedy = found.remedy("Have it issued with a Common Name and an Organization.");
        found.error(
            FindingCode::SubjectEmpty,
            APPLICATION_CERTIFICATE,
            format!("The subject is empty. {remedy}"),
        );
    }
    // One that issued itself has the fault above.
    if certificate.issuer_name().is_empty() && !certificate.is_self_issued() {
        let remedy = found.remedy("Have it issued by an authority with a name.");
        found.error(
            FindingCode::IssuerNameEmpty,
            "RFC 5280 §4.1.2.4",
            format!("The certificate does not name its issuer, which peers that validate refuse. {remedy}"),
        );
    }
    if let Some(name) = certificate.common_name()
        && name.chars().count() > MAX_COMMON_NAME
    {
        let remedy = found.remedy("Have it issued with a shorter one.");
        found.warning(
            FindingCode::CommonNameTooLong,
            "RFC 5280 §A.1",
            format!(
                "The Common Name has more than {MAX_COMMON_NAME} characters, which some peers refuse to read. {remedy}"
            ),
        );
    }
    if let Some(attribute) = subject.attributes().iter().find(|attribute| has_odd_encoding(attribute)) {
        found.info(
            FindingCode::DistinguishedNameEncoding,
            "RFC 5280 §4.1.2.4",
            format!(
                "The {} of the subject is not encoded as RFC 5280 wants it; authorities that encode it anew break the \
                 chain. Nothing needs to be done unless a peer refuses it.",
                attribute.kind
            ),
        );
    }
    // What a server is called says nothing to a client.
    if role.is_own() && !subject.is_empty() {
        check_own_subject(certificate, found);
    }
}

pub(super) fn check_alternative_names(certificate: &Certificate, role: LintRole<'_>, found: &mut Collected) {
    let names = certificate.dns_names();
    if let Some(address) = names.iter().find(|name| name.parse::<IpAddr>().is_ok()) {
        let remedy = found.remedy("Have it issued with the address as iPAddress.");
        found.warning(
            FindingCode::DnsNameIsAddress,
            "RFC 5280 §4.2.1.6",
            format!(
                "The address {address} stands among the host names, where peers do not look for it. {remedy}"
            ),
        );
    }
    if let Some(wildcard) = names.iter().find(|name| name.contains('*')) {
        let remedy = found.remedy("Have it issued with the full host names.");
        found.info(
            FindingCode::DnsNameWildcard,
            "OPC 10000-4 §6.1.3",
            format!("The host name {wildcard} is a wildcard, which OPC UA does not know. {remedy}"),
        );
    }
    let needs_host = !matches!(role, LintRole::Client | LintRole::User);
    // With a host to compare, the comparison says so.
    let is_compared = matches!(role, LintRole::Server { host: Some(_), .. });
    if needs_host && !is_compared && names.is_empty() && certificate.ip_addresses().is_empty() {
        let remedy = found.remedy("Have it issued with one.");
        found.warning(
            FindingCode::HostNameMissing,
            APPLICATION_CERTIFICATE,
            format!("The certificate holds no host name and no address, which a server's must. {remedy}"),
        );
    }
}

fn check_own_subject(certificate: &Certificate, found: &mut Collected) {
    if certificate.common_name().is_none_or(|name| name.trim().is_empty()) {
        found.warning(
            FindingCode::CommonNameMissing,
            APPLICATION_CERTIFICATE,
            "The subject has no Common Name, which some servers demand. Have it issued with one.",
        );
    }
    if certificate.organization().is_none_or(|name| name.trim().is_empty()) {
        found.warning(
            FindingCode::OrganizationMissing,
            APPLICATION_CERTIFICATE,
            "The subject has no Organization, which the specification demands. Have it issued with one.",
        );
    }
}

/// RFC 5280 §4.1.2.4 wants `UTF8String` or `PrintableString`, in new certificates; appendix A.1 has the exceptions.
fn has_odd_encoding(attribute: &Attribute) -> bool {
    let is_country = attribute.kind == AttributeType::Country;
    match attribute.encoding {
        StringKind::Printable if is_country => attribute.value.len() != 2,
        StringKind::Printable => !attribute.value.chars().all(is_printable),
        StringKind::Utf8 => is_country,
        StringKind::Ia5 => {
            !matches!(attribute.kind, AttributeType::DomainComponent | AttributeType::EmailAddress)
        }
        _ => true,
    }
}

/// X.680 §41.4.
fn is_printable(character: char) -> bool {
    character.is_ascii_alphanumeric() || " '()+,-./:=?".contains(character)
}

/// RFC 5280 appendix A.1, `ub-common-name`.
const MAX_COMMON_NAME: usize = 64;

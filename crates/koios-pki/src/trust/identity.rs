//! Steps 7 and 8: the leaf is made for this host and this application.

use super::TrustErrorKind;
use crate::{Certificate, HostName};

/// Names without regard to case, addresses by value, no wildcards, no Common Name (OPC 10000-4 §5.5.1).
pub(super) fn host_fault(certificate: &Certificate, host: &str) -> Option<TrustErrorKind> {
    let named = match HostName::parse(host) {
        Ok(HostName::Ip(address)) => certificate.ip_addresses().contains(&address),
        Ok(HostName::Dns { name, .. }) => has_dns_name(certificate, &name),
        Err(_) => false,
    };
    (!named).then(|| {
        let addresses = certificate.ip_addresses().iter().map(ToString::to_string);
        let found = certificate.dns_names().iter().cloned().chain(addresses).collect();
        TrustErrorKind::HostNameMismatch { expected: host.to_owned(), found }
    })
}

/// Byte for byte (OPC 10000-3 §4.2) one of the URIs, since a certificate may hold those of a gateway's servers.
pub(super) fn application_uri_fault(certificate: &Certificate, expected: &str) -> Option<TrustErrorKind> {
    let uris = certificate.application_uris();
    // Bytes that are no text were replaced when they were read, and then name nobody.
    let named = uris.iter().any(|uri| uri == expected && !uri.contains(char::REPLACEMENT_CHARACTER));
    (!named).then(|| TrustErrorKind::ApplicationUriMismatch {
        expected: expected.to_owned(),
        found: uris.to_vec(),
    })
}

fn has_dns_name(certificate: &Certificate, host: &str) -> bool {
    certificate
        .dns_names()
        .iter()
        .any(|name| name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(host))
}

//! Checks that concern a server's certificate only (OPC 10000-4 §6.1.3, the client's steps).

use super::leaf::is_usage_left_out;
use super::{APPLICATION_CERTIFICATE, Collected, FindingCode, VALIDATION};
use crate::{Certificate, HostName};

pub(super) fn check_usage(certificate: &Certificate, found: &mut Collected) {
    if is_usage_left_out(certificate) {
        return;
    }
    if !certificate.extended_key_usage().is_some_and(|usage| usage.server_auth()) {
        found.warning(
            FindingCode::ExtendedKeyUsageIncomplete,
            APPLICATION_CERTIFICATE,
            "The server's certificate lacks the extended key usage serverAuth; its operator should have it issued anew.",
        );
    }
}

/// Names without regard to case, addresses by value, no wildcards, no Common Name (OPC 10000-4 §5.5.1).
pub(super) fn check_host(certificate: &Certificate, endpoint_host: &str, found: &mut Collected) {
    let named = match HostName::parse(endpoint_host) {
        Ok(HostName::Ip(address)) => certificate.ip_addresses().contains(&address),
        Ok(HostName::Dns { name, .. }) => has_dns_name(certificate, &name),
        Err(_) => has_dns_name(certificate, endpoint_host),
    };
    if named {
        return;
    }
    let addresses = certificate.ip_addresses().iter().map(ToString::to_string);
    let names: Vec<_> = certificate.dns_names().iter().cloned().chain(addresses).collect();
    let held = if names.is_empty() { "no host name".to_owned() } else { names.join(", ") };
    found.warning(
        FindingCode::HostNameMismatch,
        VALIDATION,
        format!(
            "The server's certificate is not made for {endpoint_host} (it holds {held}); connect by a name it holds, \
             or have its operator add this one."
        ),
    );
}

/// Byte for byte (OPC 10000-3 §4.2).
pub(super) fn check_application_uri(
    certificate: &Certificate,
    application_uri: Option<&str>,
    found: &mut Collected,
) {
    let uris = certificate.application_uris();
    if uris.is_empty() {
        found.warning(
            FindingCode::NoApplicationUri,
            APPLICATION_CERTIFICATE,
            "The server's certificate holds no application URI; its operator should have it issued anew.",
        );
    } else if let Some(expected) = application_uri.filter(|expected| uris.iter().all(|uri| uri != expected)) {
        found.warning(
            FindingCode::ApplicationUriMismatch,
            VALIDATION,
            format!(
                "The server calls itself {expected}, but its certificate is made for {}; its operator should make \
                 them agree.",
                uris.join(", ")
            ),
        );
    }
}

fn has_dns_name(certificate: &Certificate, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    certificate.dns_names().iter().any(|name| name.trim_end_matches('.').eq_ignore_ascii_case(host))
}

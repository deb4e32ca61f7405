//! The subject alternative name of what we make: the URI first, since some stacks look at the first entry only
//! (`opcua-certificates.md` §6, trap 10).

use std::net::IpAddr;

use der::Encode;
use der::asn1::{Ia5String, OctetString};
use x509_cert::ext::pkix::name::GeneralName;

use super::{IssueError, unencodable};
use crate::ApplicationUri;

pub(crate) fn to_der(
    application_uri: &ApplicationUri,
    dns_names: &[String],
    ip_addresses: &[IpAddr],
) -> Result<Vec<u8>, IssueError> {
    let uri = Ia5String::new(application_uri.as_str()).map_err(unencodable)?;
    encoded(vec![GeneralName::UniformResourceIdentifier(uri)], dns_names, ip_addresses)
}

/// Without a URI.
pub(crate) fn of_hosts(dns_names: &[String], ip_addresses: &[IpAddr]) -> Result<Vec<u8>, IssueError> {
    encoded(Vec::new(), dns_names, ip_addresses)
}

fn encoded(
    mut names: Vec<GeneralName>,
    dns_names: &[String],
    ip_addresses: &[IpAddr],
) -> Result<Vec<u8>, IssueError> {
    for name in dns_names {
        let invalid = || IssueError::DnsName { name: name.clone() };
        // RFC 1035 §2.3.4, without the root's dot. Blanks and controls stand in no host name, and a NUL has made validators
        // read another one.
        if name.is_empty() || name.len() > 253 || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid());
        }
        names.push(GeneralName::DnsName(Ia5String::new(name).map_err(|_| invalid())?));
    }
    for address in ip_addresses {
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        names.push(GeneralName::IpAddress(OctetString::new(octets).map_err(unencodable)?));
    }
    names.to_der().map_err(unencodable)
}

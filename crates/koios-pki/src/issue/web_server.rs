//! The certificate of a web server, which is no OPC UA application.

use std::net::IpAddr;

use super::extensions::{Extensions, key_identifier};
use super::signed::CertificateBody;
use super::{IssueError, Subject, alternative_names, check_validity};
use crate::{Certificate, PrivateKey, SerialNumber, Validity};

/// What a self-signed certificate of a web server is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebServerParams {
    /// Whom it names, and who issued it: the same.
    pub subject: Subject,
    /// `dNSName` entries, in this order.
    pub dns_names: Vec<String>,
    /// `iPAddress` entries, in this order, after the names.
    pub ip_addresses: Vec<IpAddr>,
    /// The validity period.
    pub validity: Validity,
    /// The serial number.
    pub serial_number: SerialNumber,
}

impl WebServerParams {
    /// A certificate without host names, which browsers look at alone.
    pub fn new(subject: Subject, validity: Validity, serial_number: SerialNumber) -> Self {
        Self { subject, dns_names: Vec::new(), ip_addresses: Vec::new(), validity, serial_number }
    }
}

/// Makes a self-signed certificate with which a web server shows itself (RFC 9110 §4.3.4).
///
/// X.509 v3: basicConstraints (critical): cA FALSE. keyUsage (critical): digitalSignature. extKeyUsage: serverAuth. No
/// application URI, and no keyCertSign, which strict validators refuse beside cA FALSE.
///
/// # Errors
/// When a name is empty or longer than X.509 allows, the validity period is none, or signing fails.
pub fn self_signed_web_server(params: &WebServerParams, key: &PrivateKey) -> Result<Certificate, IssueError> {
    let WebServerParams { subject, dns_names, ip_addresses, validity, serial_number } = params;
    check_validity(*validity)?;
    let subject = subject.to_der()?;
    let mut extensions = Extensions::of_web_server()?;
    extensions.subject_alternative_name(alternative_names::of_hosts(dns_names, ip_addresses)?)?;
    extensions.subject_key_identifier(&key_identifier(key.public_key())?)?;
    let body = CertificateBody {
        serial: &serial_number.to_bytes(),
        issuer: &subject,
        validity: *validity,
        subject: &subject,
        spki: key.public_key().spki_der(),
        extensions: extensions.into_vec(),
    };
    Certificate::from_der(&body.sign(key)?).map_err(IssueError::Unreadable)
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::KeySpec;

    #[test]
    fn it_names_its_hosts_serves_and_is_no_application_and_no_authority() {
        let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
        let validity = Validity::starting_at(OffsetDateTime::UNIX_EPOCH + time::Duration::DAY, 825);
        let serial = SerialNumber::from_random_bytes([7; 16]);
        let mut params = WebServerParams::new(Subject::new("gw01", "Koios"), validity, serial);
        params.dns_names = vec!["gw01.plant.example".to_owned(), "localhost".to_owned()];
        params.ip_addresses = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        let certificate = self_signed_web_server(&params, &key).unwrap();
        assert_eq!(certificate.dns_names(), params.dns_names);
        assert_eq!(certificate.ip_addresses(), params.ip_addresses);
        assert_eq!(certificate.validity(), validity);
        assert_eq!(certificate.application_uri(), None);
        assert!(certificate.is_self_signed() && !certificate.basic_constraints().unwrap().ca);
        assert!(key.matches(&certificate));
        params.dns_names.push("a b".to_owned());
        assert!(matches!(self_signed_web_server(&params, &key), Err(IssueError::DnsName { .. })));
    }
}

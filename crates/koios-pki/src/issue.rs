use std::net::IpAddr;

use crate::{ApplicationUri, Certificate, PrivateKey, SerialNumber, Validity};

/// What a self-signed application instance certificate is to say.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SelfSignedParams {
    /// Subject CN, 1 to 64 characters.
    pub common_name: String,
    /// Subject O, 1 to 64 characters.
    pub organization: String,
    /// The first entry of the subject alternative name.
    pub application_uri: ApplicationUri,
    /// `dNSName` entries, in this order.
    pub dns_names: Vec<String>,
    /// `iPAddress` entries, in this order.
    pub ip_addresses: Vec<IpAddr>,
    /// The validity period.
    pub validity: Validity,
    /// The serial number.
    pub serial_number: SerialNumber,
}

impl SelfSignedParams {
    /// A certificate without host names.
    pub fn new(
        common_name: impl Into<String>,
        organization: impl Into<String>,
        application_uri: ApplicationUri,
        validity: Validity,
        serial_number: SerialNumber,
    ) -> Self {
        Self {
            common_name: common_name.into(),
            organization: organization.into(),
            application_uri,
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            validity,
            serial_number,
        }
    }
}

/// Makes a self-signed application instance certificate.
///
/// # Errors
/// When a parameter cannot stand in a certificate.
pub fn self_signed(_params: &SelfSignedParams, _key: &PrivateKey) -> Result<Certificate, IssueError> {
    todo!()
}

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The signing library refused.
    #[error("the certificate could not be signed")]
    Signing,
}

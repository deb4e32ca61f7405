//! Application instance certificates as every stack read for `opcua-certificates.md` §7 accepts them.

pub(crate) mod alternative_names;
pub(crate) mod extensions;
pub(crate) mod signed;
mod subject;
mod web_server;

use std::net::IpAddr;

use self::extensions::{Extensions, key_identifier};
use self::signed::CertificateBody;
pub use self::subject::Subject;
pub use self::web_server::{WebServerParams, self_signed_web_server};
use crate::{
    ApplicationUri, Certificate, CertificateError, KeyError, PrivateKey, Profile, SerialNumber, Validity,
};

/// What a self-signed application instance certificate is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelfSignedParams {
    /// Whom it names, and who issued it: the same.
    pub subject: Subject,
    /// The one URI, first in the subject alternative name.
    pub application_uri: ApplicationUri,
    /// `dNSName` entries, in this order.
    pub dns_names: Vec<String>,
    /// `iPAddress` entries, in this order, after the names.
    pub ip_addresses: Vec<IpAddr>,
    /// The validity period; see [`Validity::starting_at`].
    pub validity: Validity,
    /// The serial number.
    pub serial_number: SerialNumber,
    /// Usages and constraints.
    pub profile: Profile,
}

impl SelfSignedParams {
    /// A certificate of the default profile without host names, which clients do not need (OPC 10000-6 §6.2.2).
    pub fn new(
        common_name: impl Into<String>,
        organization: impl Into<String>,
        application_uri: ApplicationUri,
        validity: Validity,
        serial_number: SerialNumber,
    ) -> Self {
        Self {
            subject: Subject::new(common_name, organization),
            application_uri,
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            validity,
            serial_number,
            profile: Profile::default(),
        }
    }
}

/// Makes a self-signed application instance certificate for `key` (OPC 10000-6 §6.2.2).
///
/// X.509 v3, signed with SHA-256 (on P-384 with SHA-384). With the default profile: keyUsage (critical):
/// digitalSignature, nonRepudiation, keyEncipherment, dataEncipherment (for elliptic curves digitalSignature alone), and
/// keyCertSign, which OPC 10000-6 demands of self-signed certificates and RFC 5280 §4.2.1.3 would forbid. extKeyUsage:
/// clientAuth and serverAuth. basicConstraints (critical): cA FALSE. subjectKeyIdentifier, and authorityKeyIdentifier
/// with key, issuer and serial, as the .NET stack links certificates by.
///
/// # Errors
/// When a name is empty or longer than X.509 allows, the validity period is none, the profile is one for requests, or
/// signing fails.
pub fn self_signed(params: &SelfSignedParams, key: &PrivateKey) -> Result<Certificate, IssueError> {
    // Every field by name, so that a new one cannot be forgotten here.
    let SelfSignedParams {
        subject,
        application_uri,
        dns_names,
        ip_addresses,
        validity,
        serial_number,
        profile,
    } = params;
    if *profile == Profile::CaIssued {
        return Err(IssueError::ProfileOfRequests);
    }
    check_validity(*validity)?;
    let subject = subject.to_der()?;
    let serial = serial_number.to_bytes();
    let identifier = key_identifier(key.public_key())?;
    let mut extensions = Extensions::of_profile(profile.rules(), key.public_key())?;
    extensions.subject_alternative_name(alternative_names::to_der(
        application_uri,
        dns_names,
        ip_addresses,
    )?)?;
    extensions.subject_key_identifier(&identifier)?;
    extensions.authority_key_identifier(&identifier, &subject, &serial_number.to_integer())?;
    let body = CertificateBody {
        serial: &serial,
        issuer: &subject,
        validity: *validity,
        subject: &subject,
        spki: key.public_key().spki_der(),
        extensions: extensions.into_vec(),
    };
    Certificate::from_der(&body.sign(key)?).map_err(IssueError::Unreadable)
}

/// Why a certificate, a request or a revocation list could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// A name that is empty or longer than RFC 5280 appendix A.1 allows.
    #[error("the {field} has {len} characters; it must have 1 to {max}")]
    NameLength {
        /// Which name.
        field: &'static str,
        /// Its length in characters.
        len: usize,
        /// The most it may have.
        max: usize,
    },
    /// A name with a control character, which would deceive whoever reads it.
    #[error("the {field} holds a control character")]
    NameCharacter {
        /// Which name.
        field: &'static str,
    },
    /// A country that is no code of ISO 3166-1 in form.
    #[error("the country {country:?} is no code of two upper-case letters, such as DE")]
    Country {
        /// What was given.
        country: String,
    },
    /// An entry of the subject alternative name that is no ASCII text.
    #[error("the host name {name:?} cannot stand in a certificate")]
    DnsName {
        /// The name.
        name: String,
    },
    /// The period ends before it begins, or begins before 1970.
    #[error("the validity period ends before it begins, or begins before 1970")]
    Validity,
    /// [`Profile::CaIssued`] for a self-signed certificate.
    #[error("the profile ca-issued is that of certificate requests; nobody accepts it self-signed")]
    ProfileOfRequests,
    /// An authority would issue for longer than it is valid itself.
    #[error("the validity period does not lie inside of the issuer's, which ends {issuer_not_after}")]
    OutsideOfIssuersValidity {
        /// When the issuer's certificate expires.
        issuer_not_after: time::OffsetDateTime,
    },
    /// An issued key must not be longer than its issuer's (OPC 10000-6 §6.1).
    #[error("the key ({key}) is stronger than the issuer's ({issuer}), which OPC UA forbids")]
    KeyStrongerThanIssuers {
        /// The key that was to be certified.
        key: crate::KeyAlgorithm,
        /// The issuer's.
        issuer: crate::KeyAlgorithm,
    },
    /// The request asks for no certificate that OPC UA knows.
    #[error("the certificate request cannot be granted: {reason}")]
    RequestRefused {
        /// Why.
        reason: String,
    },
    /// A list would revoke what another authority issued, and with it whatever of its own has that serial number.
    #[error("the certificate of {subject:?} was not issued by this authority, which cannot revoke it")]
    NotIssuedHere {
        /// The subject of the certificate.
        subject: String,
    },
    /// The key usage of the authority lacks `cRLSign`: no peer would take its lists (RFC 5280 §4.2.1.3).
    #[error("the key usage of {subject:?} does not allow it to sign revocation lists")]
    MayNotSignLists {
        /// The subject of the authority's certificate.
        subject: String,
    },
    /// The certificate is not one that may issue others.
    #[error("{subject:?} is not the certificate of an authority, or its path length leaves no room")]
    NotAnAuthority {
        /// The subject of the certificate.
        subject: String,
    },
    /// The key refused.
    #[error("the certificate could not be signed with the key")]
    Key(#[source] KeyError),
    /// Something has no encoding; a defect.
    #[error("the certificate could not be built")]
    Encoding(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was built cannot be read back; a defect.
    #[error("the certificate made cannot be read back")]
    Unreadable(#[source] CertificateError),
}

/// Before 1970 the decoder's calendar ends, and no machine's clock is meant to be.
pub(crate) fn check_validity(validity: Validity) -> Result<(), IssueError> {
    if validity.not_after < validity.not_before || validity.not_before.unix_timestamp() < 0 {
        return Err(IssueError::Validity);
    }
    Ok(())
}

pub(crate) fn unencodable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> IssueError {
    IssueError::Encoding(error.into())
}

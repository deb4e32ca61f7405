//! What is signed: certificates, requests and revocation lists, all a SEQUENCE, an algorithm and a signature.
//!
//! Names are whole encodings, written as they were given: one that is re-encoded no longer links a certificate to its
//! issuer (`opcua-certificates.md` §6, trap 6), which is why no library builds these.

use der::asn1::{BitString, GeneralizedTime, ObjectIdentifier, SetOfVec, UintRef, UtcTime};
use der::{AnyRef, DateTime, Decode, Encode, Sequence};
use time::OffsetDateTime;
use x509_cert::attr::Attribute;
use x509_cert::ext::Extension;
use x509_cert::spki::AlgorithmIdentifier;
use x509_cert::time::Time;

use super::{IssueError, unencodable};
use crate::{Curve, KeyAlgorithm, PrivateKey, Validity};

/// RFC 5280 §4.1.
pub(crate) struct CertificateBody<'a> {
    pub(crate) serial: &'a [u8],
    pub(crate) issuer: &'a [u8],
    pub(crate) validity: Validity,
    pub(crate) subject: &'a [u8],
    pub(crate) spki: &'a [u8],
    pub(crate) extensions: Vec<Extension>,
}

impl CertificateBody<'_> {
    pub(crate) fn sign(self, key: &PrivateKey) -> Result<Vec<u8>, IssueError> {
        let algorithm = algorithm_of(key);
        let body = TbsCertificate {
            version: 2,
            serial: UintRef::new(self.serial).map_err(unencodable)?,
            algorithm,
            issuer: raw(self.issuer)?,
            validity: Period { from: time(self.validity.not_before)?, until: time(self.validity.not_after)? },
            subject: raw(self.subject)?,
            spki: raw(self.spki)?,
            extensions: self.extensions,
        };
        signed(&body.to_der().map_err(unencodable)?, algorithm, key)
    }
}

/// RFC 2986 §4.1.
pub(crate) struct RequestBody<'a> {
    pub(crate) subject: &'a [u8],
    pub(crate) spki: &'a [u8],
    pub(crate) attributes: Vec<Attribute>,
}

impl RequestBody<'_> {
    pub(crate) fn sign(self, key: &PrivateKey) -> Result<Vec<u8>, IssueError> {
        let body = CertificationRequestInfo {
            version: 0,
            subject: raw(self.subject)?,
            spki: raw(self.spki)?,
            attributes: SetOfVec::try_from(self.attributes).map_err(unencodable)?,
        };
        signed(&body.to_der().map_err(unencodable)?, algorithm_of(key), key)
    }
}

/// RFC 5280 §5.1; the entries are encoded by the caller.
pub(crate) struct RevocationListBody<'a> {
    pub(crate) issuer: &'a [u8],
    pub(crate) this_update: OffsetDateTime,
    pub(crate) next_update: OffsetDateTime,
    pub(crate) entries: Vec<RevokedEntry>,
    pub(crate) extensions: Vec<Extension>,
}

impl RevocationListBody<'_> {
    pub(crate) fn sign(self, key: &PrivateKey) -> Result<Vec<u8>, IssueError> {
        let algorithm = algorithm_of(key);
        let body = TbsCertList {
            version: 1,
            algorithm,
            issuer: raw(self.issuer)?,
            this_update: time(self.this_update)?,
            next_update: time(self.next_update)?,
            // RFC 5280 §5.1.2.6: absent rather than empty.
            entries: (!self.entries.is_empty()).then_some(self.entries),
            extensions: self.extensions,
        };
        signed(&body.to_der().map_err(unencodable)?, algorithm, key)
    }
}

/// One revoked certificate.
#[derive(Sequence)]
pub(crate) struct RevokedEntry {
    /// An INTEGER as it stands in the certificate.
    pub(crate) serial: der::asn1::Any,
    pub(crate) date: Time,
    pub(crate) extensions: Option<Vec<Extension>>,
}

/// `UTCTime` through 2049, `GeneralizedTime` from then on (RFC 5280 §4.1.2.5); fractions of seconds are cut.
pub(crate) fn time(instant: OffsetDateTime) -> Result<Time, IssueError> {
    let seconds = u64::try_from(instant.unix_timestamp()).map_err(|_| IssueError::Validity)?;
    let instant =
        DateTime::from_unix_duration(std::time::Duration::from_secs(seconds)).map_err(unencodable)?;
    if instant.year() < 2050 {
        UtcTime::from_date_time(instant).map(Time::UtcTime).map_err(unencodable)
    } else {
        Ok(Time::GeneralTime(GeneralizedTime::from_date_time(instant)))
    }
}

fn signed(body: &[u8], algorithm: Algorithm, key: &PrivateKey) -> Result<Vec<u8>, IssueError> {
    let signature = key.sign_certificate(body).map_err(IssueError::Key)?;
    let signature = BitString::from_bytes(&signature).map_err(unencodable)?;
    Signed { body: raw(body)?, algorithm, signature }.to_der().map_err(unencodable)
}

fn algorithm_of(key: &PrivateKey) -> Algorithm {
    // RSA has NULL parameters, ECDSA none (RFC 4055 §5, RFC 5758 §3.2).
    let (oid, parameters) = match key.algorithm() {
        KeyAlgorithm::Ec { curve: Curve::P256 } => (ECDSA_WITH_SHA256, None),
        KeyAlgorithm::Ec { curve: Curve::P384 } => (ECDSA_WITH_SHA384, None),
        _ => (SHA256_WITH_RSA, Some(der::asn1::Null)),
    };
    AlgorithmIdentifier { oid, parameters }
}

fn raw(der: &[u8]) -> Result<AnyRef<'_>, IssueError> {
    AnyRef::from_der(der).map_err(unencodable)
}

type Algorithm = AlgorithmIdentifier<der::asn1::Null>;

#[derive(Sequence)]
struct Signed<'a> {
    body: AnyRef<'a>,
    algorithm: Algorithm,
    signature: BitString,
}

#[derive(Sequence)]
struct TbsCertificate<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: u8,
    serial: UintRef<'a>,
    algorithm: Algorithm,
    issuer: AnyRef<'a>,
    validity: Period,
    subject: AnyRef<'a>,
    spki: AnyRef<'a>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct Period {
    from: Time,
    until: Time,
}

#[derive(Sequence)]
struct CertificationRequestInfo<'a> {
    version: u8,
    subject: AnyRef<'a>,
    spki: AnyRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    attributes: SetOfVec<Attribute>,
}

#[derive(Sequence)]
struct TbsCertList<'a> {
    version: u8,
    algorithm: Algorithm,
    issuer: AnyRef<'a>,
    this_update: Time,
    next_update: Time,
    entries: Option<Vec<RevokedEntry>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");

//! A small certification authority, for tests and for plants that have none.

use std::fmt;

use time::OffsetDateTime;
use x509_cert::ext::Extension;

use crate::distinguished_names;
use crate::issue::extensions::{Extensions, key_identifier};
use crate::issue::signed::{CertificateBody, RevocationListBody, RevokedEntry, time};
use crate::issue::{IssueError, Subject, alternative_names, check_validity, unencodable};
use crate::{
    ApplicationUri, Certificate, CertificateChain, CertificateRequest, PrivateKey, Profile, PublicKey,
    RevocationList, RevocationReason, SerialNumber, Validity,
};

/// What the certificate of an authority is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorityParams {
    /// Whom it names; it must be one authority only.
    pub subject: Subject,
    /// The validity period.
    pub validity: Validity,
    /// The serial number.
    pub serial_number: SerialNumber,
    /// How many authorities may stand between this one and the leaf; `None` for any number.
    pub path_len: Option<u8>,
}

impl AuthorityParams {
    /// An authority that issues to applications only: its path length is 0.
    pub fn new(
        common_name: impl Into<String>,
        organization: impl Into<String>,
        validity: Validity,
        serial_number: SerialNumber,
    ) -> Self {
        Self { subject: Subject::new(common_name, organization), validity, serial_number, path_len: Some(0) }
    }
}

/// A certification authority: its certificates and its private key.
///
/// For tests, and for plants that have no authority of their own and know what holding its key means. It keeps no
/// records: who uses it keeps the serial numbers issued and revoked, and publishes a [`RevocationList`] from the first
/// day on, since peers refuse certificates of an authority without one (OPC 10000-4 §6.1.3).
///
/// ```
/// use koios_pki::{
///     Authority, AuthorityParams, KeySpec, PrivateKey, RequestParams, RevocationListParams, SerialNumber, Validity,
///     certificate_request,
/// };
/// use time::{Duration, macros::datetime};
///
/// let now = datetime!(2026-11-23 10:00 UTC);
/// let serial = |number| SerialNumber::from_random_bytes([number; 16]); // of a random generator
/// let params = AuthorityParams::new("Plant CA", "Plant", Validity::starting_at(now, 3650), serial(1));
/// let authority = Authority::root(&params, PrivateKey::generate(KeySpec::EcP256)?)?;
///
/// let key = PrivateKey::generate(KeySpec::EcP256)?;
/// let request = certificate_request(&RequestParams::new("Koios", "Plant", "urn:plant:koios".parse()?)?, &key)?;
/// let certificate = authority.issue(&request, Validity::starting_at(now, 365), serial(2))?;
/// assert!(certificate.is_issued_by(authority.certificate()));
/// let list = authority.revocation_list(&RevocationListParams::new(serial(1), now, now + Duration::days(30)))?;
/// assert_eq!(list.revoked_count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Authority {
    chain: CertificateChain,
    key: PrivateKey,
}

impl Authority {
    /// Makes a root: a certificate that signed itself.
    ///
    /// # Errors
    /// When a name is empty or too long, the validity period is none, or signing fails.
    pub fn root(params: &AuthorityParams, key: PrivateKey) -> Result<Self, IssueError> {
        let subject = params.subject.to_der()?;
        let serial = params.serial_number.to_integer();
        let identifier = key_identifier(key.public_key())?;
        let issuer =
            Signer { subject: &subject, identifier: &identifier, parent: (&subject, &serial), key: &key };
        let certificate = issuer.certify_authority(params, key.public_key(), &subject)?;
        Ok(Self { chain: certificate.into(), key })
    }

    /// Makes an authority below this one.
    ///
    /// # Errors
    /// As [`Authority::root`], and when its validity does not lie inside of this one's, its key is longer, or this
    /// one's path length leaves no room for it.
    pub fn intermediate(&self, params: &AuthorityParams, key: PrivateKey) -> Result<Self, IssueError> {
        let own = self.certificate();
        let room = own.basic_constraints().and_then(|constraints| constraints.path_len);
        let fits =
            room.is_none_or(|room| room > 0 && params.path_len.is_some_and(|path_len| path_len < room));
        if !fits {
            return Err(IssueError::NotAnAuthority { subject: own.subject().to_owned() });
        }
        self.check(params.validity, key.public_key())?;
        let subject = params.subject.to_der()?;
        let certificate =
            self.signing(|signer| signer.certify_authority(params, key.public_key(), &subject))?;
        Ok(Self { chain: self.chain_below(certificate), key })
    }

    /// Takes an authority that exists: its certificates, its own first, and its key.
    ///
    /// # Errors
    /// When the key does not belong to the first certificate, or that one may not issue others.
    pub fn from_parts(chain: CertificateChain, key: PrivateKey) -> Result<Self, IssueError> {
        let own = chain.leaf();
        let may_issue = own.basic_constraints().is_some_and(|constraints| constraints.ca)
            && own.key_usage().is_none_or(|usage| usage.key_cert_sign());
        if !may_issue || !key.matches(own) {
            return Err(IssueError::NotAnAuthority { subject: own.subject().to_owned() });
        }
        Ok(Self { chain, key })
    }

    /// Issues an application instance certificate for a request ([`Profile::CaIssued`]).
    ///
    /// Taken from the request: subject, key, application URI, host names and addresses. Usages and constraints are the
    /// profile's, whatever the request asks for.
    ///
    /// # Errors
    /// When the request names not exactly one application URI, has no subject, or asks for what cannot be read; when
    /// the validity does not lie inside of this authority's, or the key is longer than this authority's (OPC 10000-6
    /// §6.1).
    pub fn issue(
        &self,
        request: &CertificateRequest,
        validity: Validity,
        serial_number: SerialNumber,
    ) -> Result<Certificate, IssueError> {
        let refused = |reason: &str| IssueError::RequestRefused { reason: reason.to_owned() };
        let [uri] = request.application_uris() else {
            return Err(refused("it must ask for exactly one application URI"));
        };
        let uri = ApplicationUri::parse(uri).map_err(|error| refused(&error.to_string()))?;
        if request.has_malformed_extensions() {
            return Err(refused("an extension it asks for cannot be read"));
        }
        if request.common_name().is_none_or(|name| name.trim().is_empty()) {
            return Err(refused("its subject has no Common Name"));
        }
        self.check(validity, request.public_key())?;
        let names = alternative_names::to_der(&uri, request.dns_names(), request.ip_addresses())?;
        let mut extensions = Extensions::of_profile(Profile::CaIssued.rules(), request.public_key())?;
        extensions.subject_alternative_name(names)?;
        self.signing(|signer| {
            signer.certify(extensions, validity, serial_number, request.subject_der(), request.public_key())
        })
    }

    /// Makes a revocation list of version 2 with `authorityKeyIdentifier` and `CRLNumber` (OPC 10000-6 §6.2.5).
    ///
    /// # Errors
    /// When the next update is not after this one, a certificate to revoke was not issued by this authority, its own key
    /// usage lacks `cRLSign`, or signing fails.
    pub fn revocation_list(&self, params: &RevocationListParams) -> Result<RevocationList, IssueError> {
        let RevocationListParams { number, this_update, next_update, revoked } = params;
        if next_update <= this_update {
            return Err(IssueError::Validity);
        }
        let own = self.certificate();
        if !own.may_sign_lists() {
            return Err(IssueError::MayNotSignLists { subject: own.subject().to_owned() });
        }
        if let Some(foreign) = revoked.iter().find(|revoked| !self.has_issued(&revoked.certificate)) {
            return Err(IssueError::NotIssuedHere { subject: foreign.certificate.subject().to_owned() });
        }
        let mut extensions = Extensions::default();
        extensions.authority_key(&self.identifier()?)?;
        extensions.crl_number(*number)?;
        let body = RevocationListBody {
            issuer: self.certificate().subject_der(),
            this_update: *this_update,
            next_update: *next_update,
            entries: revoked.iter().map(Revoked::to_entry).collect::<Result<_, _>>()?,
            extensions: extensions.into_vec(),
        };
        RevocationList::from_der(&body.sign(&self.key)?).map_err(unencodable)
    }

    /// By name and signature: another authority may have the same name.
    fn has_issued(&self, certificate: &Certificate) -> bool {
        let own = self.certificate();
        distinguished_names::same(certificate.issuer_der(), own.subject_der())
            && certificate.verifies_with(own)
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> &Certificate {
        self.chain.leaf()
    }

    /// The authority's certificate and those above it.
    pub fn chain(&self) -> &CertificateChain {
        &self.chain
    }

    /// A certificate that this authority issued, followed by the authority's.
    pub fn chain_below(&self, certificate: Certificate) -> CertificateChain {
        CertificateChain::new(certificate, self.chain.iter().cloned().collect())
    }

    /// The authority's private key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    fn check(&self, validity: Validity, key: &PublicKey) -> Result<(), IssueError> {
        check_validity(validity)?;
        let own = self.certificate().validity();
        if validity.not_after > own.not_after || validity.not_before < own.not_before {
            return Err(IssueError::OutsideOfIssuersValidity { issuer_not_after: own.not_after });
        }
        let (key, issuer) = (key.algorithm(), self.key.algorithm());
        if key.is_longer_than(&issuer) {
            return Err(IssueError::KeyStrongerThanIssuers { key, issuer });
        }
        Ok(())
    }

    /// That of its certificate, by which others link it, else the usual one of its key.
    fn identifier(&self) -> Result<Vec<u8>, IssueError> {
        match self.certificate().subject_key_identifier() {
            Some(identifier) => Ok(identifier.to_vec()),
            None => key_identifier(self.key.public_key()),
        }
    }

    fn signing<T>(&self, sign: impl FnOnce(Signer<'_>) -> Result<T, IssueError>) -> Result<T, IssueError> {
        let own = self.certificate();
        sign(Signer {
            subject: own.subject_der(),
            identifier: &self.identifier()?,
            parent: (own.issuer_der(), own.serial_content()),
            key: &self.key,
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain, key: _ } = self;
        f.debug_struct("Authority").field("chain", chain).field("key", &"[secret key elided]").finish()
    }
}

/// What a revocation list is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationListParams {
    /// The number of the list (RFC 5280 §5.2.3): greater with each list.
    pub number: SerialNumber,
    /// When it is made.
    pub this_update: OffsetDateTime,
    /// When the next one will be there at the latest; peers refuse the authority's certificates after that.
    pub next_update: OffsetDateTime,
    /// The certificates revoked.
    pub revoked: Vec<Revoked>,
}

impl RevocationListParams {
    /// A list that revokes nothing, which is the normal state of an authority.
    pub fn new(number: SerialNumber, this_update: OffsetDateTime, next_update: OffsetDateTime) -> Self {
        Self { number, this_update, next_update, revoked: Vec::new() }
    }

    /// Revokes `certificate`, which the authority must have issued, as of `at`.
    #[must_use]
    pub fn revoke(mut self, certificate: &Certificate, at: OffsetDateTime, reason: RevocationReason) -> Self {
        self.revoked.push(Revoked { certificate: certificate.clone(), at, reason });
        self
    }
}

/// One revoked certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    certificate: Certificate,
    at: OffsetDateTime,
    reason: RevocationReason,
}

impl Revoked {
    fn to_entry(&self) -> Result<RevokedEntry, IssueError> {
        // RFC 5280 §5.3.1: "unspecified" is left out.
        let reason = match self.reason.code() {
            0 => None,
            code => Some(vec![Extension {
                extn_id: REASON_CODE,
                critical: false,
                extn_value: der::asn1::OctetString::new([ENUMERATED, 1, code]).map_err(unencodable)?,
            }]),
        };
        let serial =
            der::asn1::Any::new(der::Tag::Integer, self.certificate.serial_content()).map_err(unencodable)?;
        Ok(RevokedEntry { serial, date: time(self.at)?, extensions: reason })
    }
}

/// Who signs, and by what others find it.
struct Signer<'a> {
    subject: &'a [u8],
    identifier: &'a [u8],
    /// Issuer and serial number of the signer's own certificate.
    parent: (&'a [u8], &'a [u8]),
    key: &'a PrivateKey,
}

impl Signer<'_> {
    fn certify_authority(
        &self,
        params: &AuthorityParams,
        key: &PublicKey,
        subject: &[u8],
    ) -> Result<Certificate, IssueError> {
        check_validity(params.validity)?;
        let extensions = Extensions::of_authority(params.path_len)?;
        self.certify(extensions, params.validity, params.serial_number, subject, key)
    }

    fn certify(
        &self,
        mut extensions: Extensions,
        validity: Validity,
        serial_number: SerialNumber,
        subject: &[u8],
        key: &PublicKey,
    ) -> Result<Certificate, IssueError> {
        let (parent_issuer, parent_serial) = self.parent;
        extensions.subject_key_identifier(&key_identifier(key)?)?;
        extensions.authority_key_identifier(self.identifier, parent_issuer, parent_serial)?;
        let body = CertificateBody {
            serial: &serial_number.to_bytes(),
            issuer: self.subject,
            validity,
            subject,
            spki: key.spki_der(),
            extensions: extensions.into_vec(),
        };
        Certificate::from_der(&body.sign(self.key)?).map_err(IssueError::Unreadable)
    }
}

/// RFC 5280 §5.3.1.
const REASON_CODE: der::asn1::ObjectIdentifier = der::asn1::ObjectIdentifier::new_unwrap("2.5.29.21");
const ENUMERATED: u8 = 0x0A;

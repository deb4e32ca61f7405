//! Application instance certificates as every stack read for `opcua-certificates.md` §7 accepts them.

use std::net::IpAddr;

use aws_lc_rs::digest;
use der::asn1::{ContextSpecificRef, OctetStringRef, UintRef};
use der::{Encode, TagMode, TagNumber};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyIdMethod, KeyUsagePurpose, PublicKeyData, SanType, SigningKey,
};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use crate::{
    ApplicationUri, Certificate, CertificateError, KeyError, PrivateKey, SerialNumber, SignatureScheme,
    Validity,
};

/// What a self-signed application instance certificate is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelfSignedParams {
    /// Subject CN, 1 to 64 characters; see [`crate::common_name_for`].
    pub common_name: String,
    /// Subject O, 1 to 64 characters: who runs the application (OPC 10000-6 §6.2.2).
    pub organization: String,
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
}

impl SelfSignedParams {
    /// A certificate without host names, which clients do not need (OPC 10000-6 §6.2.2).
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

/// Makes a self-signed application instance certificate for `key` (OPC 10000-6 §6.2.2).
///
/// X.509 v3, `sha256WithRSAEncryption`. keyUsage (critical): digitalSignature, nonRepudiation, keyEncipherment,
/// dataEncipherment and keyCertSign, which OPC 10000-6 demands of self-signed certificates and RFC 5280 §4.2.1.3 would
/// forbid. extKeyUsage: clientAuth and serverAuth. basicConstraints (critical): cA FALSE. subjectKeyIdentifier, and
/// authorityKeyIdentifier with key, issuer and serial, as the .NET stack links certificates by.
///
/// # Errors
/// When a name is empty or longer than X.509 allows, the validity period is none, or signing fails.
pub fn self_signed(params: &SelfSignedParams, key: &PrivateKey) -> Result<Certificate, IssueError> {
    // Every field by name, so that a new one cannot be forgotten here.
    let SelfSignedParams {
        common_name,
        organization,
        application_uri,
        dns_names,
        ip_addresses,
        validity,
        serial_number,
    } = params;
    check_name("common name", common_name)?;
    check_name("organization", organization)?;
    // Before 1970 the decoder's calendar ends, and no machine's clock is meant to be.
    if validity.not_after < validity.not_before || validity.not_before.unix_timestamp() < 0 {
        return Err(IssueError::Validity);
    }
    let signer = Signer::new(key)?;

    let mut certificate = CertificateParams::default();
    certificate.not_before = validity.not_before.to_offset(time::UtcOffset::UTC);
    certificate.not_after = validity.not_after.to_offset(time::UtcOffset::UTC);
    certificate.serial_number = Some(serial_number.to_bytes().into());
    // A Rust string becomes a `UTF8String` (RFC 5280 §4.1.2.4).
    certificate.distinguished_name = DistinguishedName::new();
    certificate.distinguished_name.push(DnType::CommonName, common_name.as_str());
    certificate.distinguished_name.push(DnType::OrganizationName, organization.as_str());
    certificate.subject_alt_names = subject_alt_names(application_uri, dns_names, ip_addresses)?;
    certificate.key_usages = KEY_USAGES.to_vec();
    certificate.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    certificate.is_ca = IsCa::ExplicitNoCa;
    let key_identifier = key_identifier(&signer.public_key);
    certificate.key_identifier_method = KeyIdMethod::PreSpecified(key_identifier.clone());
    // rcgen writes keyIdentifier only, so the extension is made here and rcgen's own left off.
    certificate.use_authority_key_identifier_extension = false;
    let authority = authority_key_identifier(&key_identifier, common_name, organization, *serial_number)?;
    certificate.custom_extensions =
        vec![CustomExtension::from_oid_content(AUTHORITY_KEY_IDENTIFIER, authority)];

    let signed = certificate.self_signed(&signer).map_err(|error| IssueError::Signing(Box::new(error)))?;
    Certificate::from_der(signed.der()).map_err(IssueError::Unreadable)
}

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// A name that is empty or over 64 characters (RFC 5280 appendix A.1).
    #[error("the {field} has {len} characters; it must have 1 to 64")]
    NameLength {
        /// Which name.
        field: &'static str,
        /// Its length in characters.
        len: usize,
    },
    /// A name with a control character, which would deceive whoever reads it.
    #[error("the {field} holds a control character")]
    NameCharacter {
        /// Which name.
        field: &'static str,
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
    /// The key refused.
    #[error("the certificate could not be signed with the key")]
    Key(#[source] KeyError),
    /// The certificate could not be built or signed.
    #[error("the certificate could not be built")]
    Signing(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was built cannot be read back; a defect.
    #[error("the certificate made cannot be read back")]
    Unreadable(#[source] CertificateError),
}

/// Lends the key to rcgen, which cannot take it apart.
struct Signer<'a> {
    key: &'a PrivateKey,
    /// `RSAPublicKey`, the content of the certificate's subjectPublicKey.
    public_key: Vec<u8>,
}

impl<'a> Signer<'a> {
    fn new(key: &'a PrivateKey) -> Result<Self, IssueError> {
        let spki = x509_cert::spki::SubjectPublicKeyInfoRef::try_from(key.public_key().spki_der());
        let public_key = spki.ok().and_then(|spki| Some(spki.subject_public_key.as_bytes()?.to_vec()));
        Ok(Self { key, public_key: public_key.ok_or(IssueError::Key(KeyError::Malformed))? })
    }
}

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.public_key
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.key.sign(SignatureScheme::RsaPkcs1Sha256, message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

fn check_name(field: &'static str, name: &str) -> Result<(), IssueError> {
    let len = name.chars().count();
    if name.trim().is_empty() || len > MAX_NAME {
        return Err(IssueError::NameLength { field, len });
    }
    if name.chars().any(char::is_control) {
        return Err(IssueError::NameCharacter { field });
    }
    Ok(())
}

/// The URI first: some stacks look at the first entry only (`opcua-certificates.md` §6, trap 10).
fn subject_alt_names(
    application_uri: &ApplicationUri,
    dns_names: &[String],
    ip_addresses: &[IpAddr],
) -> Result<Vec<SanType>, IssueError> {
    let uri = application_uri.as_str().try_into().map_err(|error| IssueError::Signing(Box::new(error)))?;
    let mut names = vec![SanType::URI(uri)];
    for name in dns_names {
        let invalid = || IssueError::DnsName { name: name.clone() };
        if name.is_empty() || name.len() > 253 {
            return Err(invalid());
        }
        names.push(SanType::DnsName(name.as_str().try_into().map_err(|_| invalid())?));
    }
    names.extend(ip_addresses.iter().copied().map(SanType::IpAddress));
    Ok(names)
}

/// RFC 5280 §4.2.1.2 (1): SHA-1 over the content of subjectPublicKey.
fn key_identifier(public_key: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, public_key).as_ref().to_vec()
}

/// RFC 5280 §4.2.1.1 with all three fields; in a self-signed certificate they are its own.
fn authority_key_identifier(
    key_identifier: &[u8],
    common_name: &str,
    organization: &str,
    serial_number: SerialNumber,
) -> Result<Vec<u8>, IssueError> {
    let encode = || -> der::Result<Vec<u8>> {
        let issuer = GeneralName::DirectoryName(directory_name(common_name, organization)?);
        let serial = serial_number.to_bytes();
        let mut content = Vec::new();
        implicit(0, &OctetStringRef::new(key_identifier)?).encode_to_vec(&mut content)?;
        implicit(1, &vec![issuer]).encode_to_vec(&mut content)?;
        implicit(2, &UintRef::new(&serial)?).encode_to_vec(&mut content)?;
        der::asn1::AnyRef::new(der::Tag::Sequence, &content)?.to_der()
    };
    encode().map_err(|error| IssueError::Signing(Box::new(error)))
}

fn implicit<T>(number: u32, value: &T) -> ContextSpecificRef<'_, T> {
    ContextSpecificRef { tag_number: TagNumber(number), tag_mode: TagMode::Implicit, value }
}

/// The subject once more, as rcgen writes it: one attribute per RDN, each a `UTF8String`.
fn directory_name(common_name: &str, organization: &str) -> der::Result<Name> {
    let attribute = |oid: &str, value: &str| {
        let value = der::asn1::Any::new(der::Tag::Utf8String, value.as_bytes())?;
        let oid = der::asn1::ObjectIdentifier::new(oid)?;
        let attribute = x509_cert::attr::AttributeTypeAndValue { oid, value };
        x509_cert::name::RelativeDistinguishedName::try_from(vec![attribute])
    };
    let rdns = vec![attribute("2.5.4.3", common_name)?, attribute("2.5.4.10", organization)?];
    Ok(Name::hazmat_from_rdn_sequence(rdns.into()))
}

/// OPC 10000-6 §6.2.2: all four RSA usages, and keyCertSign because it is self-signed.
const KEY_USAGES: [KeyUsagePurpose; 5] = [
    KeyUsagePurpose::DigitalSignature,
    KeyUsagePurpose::ContentCommitment,
    KeyUsagePurpose::KeyEncipherment,
    KeyUsagePurpose::DataEncipherment,
    KeyUsagePurpose::KeyCertSign,
];
const AUTHORITY_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 35];
/// RFC 5280 appendix A.1, `ub-common-name` and `ub-organization-name`.
const MAX_NAME: usize = 64;

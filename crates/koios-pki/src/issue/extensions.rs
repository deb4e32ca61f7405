//! The one builder of extensions, for every profile, for requests and for authorities.

use aws_lc_rs::digest;
use der::Encode;
use der::asn1::{ObjectIdentifier, OctetString, OctetStringRef};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{self, KeyUsages};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::{IssueError, unencodable};
use crate::profile::{Constraints, Rules};
use crate::{KeyError, PublicKey, SerialNumber, tlv};

/// Extensions in the order they are added.
#[derive(Default)]
pub(crate) struct Extensions(Vec<Extension>);

impl Extensions {
    /// What `rules` say of a certificate for `key`: basicConstraints, keyUsage, extKeyUsage.
    pub(crate) fn of_profile(rules: &Rules, key: &PublicKey) -> Result<Self, IssueError> {
        let mut extensions = Self::default();
        extensions.basic_constraints(rules.basic_constraints)?;
        extensions.key_usage(rules.key_usage(&key.algorithm()))?;
        // Both roles: older peers test for any of the two, newer ones for the exact role (`opcua-certificates.md` §1.1).
        let purposes = pkix::ExtendedKeyUsage(vec![CLIENT_AUTH, SERVER_AUTH]);
        extensions.add(EXTENDED_KEY_USAGE, false, purposes.to_der().map_err(unencodable)?)?;
        Ok(extensions)
    }

    /// What a web server needs, and nothing that it does not.
    pub(crate) fn of_web_server() -> Result<Self, IssueError> {
        let mut extensions = Self::default();
        extensions.basic_constraints(Constraints::EndEntity)?;
        extensions.key_usage(&[KeyUsages::DigitalSignature])?;
        let purposes = pkix::ExtendedKeyUsage(vec![SERVER_AUTH]);
        extensions.add(EXTENDED_KEY_USAGE, false, purposes.to_der().map_err(unencodable)?)?;
        Ok(extensions)
    }

    /// basicConstraints and keyUsage of an authority (OPC 10000-6 §6.2.4).
    pub(crate) fn of_authority(path_len: Option<u8>) -> Result<Self, IssueError> {
        let mut extensions = Self::default();
        extensions.basic_constraints(Constraints::Authority { path_len })?;
        extensions.key_usage(&[KeyUsages::KeyCertSign, KeyUsages::CRLSign])?;
        Ok(extensions)
    }

    /// subjectAltName, non-critical, since the subject is never empty (RFC 5280 §4.2.1.6).
    pub(crate) fn subject_alternative_name(&mut self, der: Vec<u8>) -> Result<(), IssueError> {
        self.add(SUBJECT_ALT_NAME, false, der)
    }

    pub(crate) fn subject_key_identifier(&mut self, identifier: &[u8]) -> Result<(), IssueError> {
        let content = OctetStringRef::new(identifier).and_then(|id| id.to_der()).map_err(unencodable)?;
        self.add(SUBJECT_KEY_IDENTIFIER, false, content)
    }

    /// With all three fields, as the .NET stack links certificates by; in a self-signed certificate they are its own.
    pub(crate) fn authority_key_identifier(
        &mut self,
        identifier: &[u8],
        issuer: &[u8],
        serial: &[u8],
    ) -> Result<(), IssueError> {
        self.add(
            AUTHORITY_KEY_IDENTIFIER,
            false,
            authority_key_identifier(identifier, Some((issuer, serial))),
        )
    }

    /// With the key alone, as in revocation lists (OPC 10000-6 §6.2.5).
    pub(crate) fn authority_key(&mut self, identifier: &[u8]) -> Result<(), IssueError> {
        self.add(AUTHORITY_KEY_IDENTIFIER, false, authority_key_identifier(identifier, None))
    }

    pub(crate) fn crl_number(&mut self, number: SerialNumber) -> Result<(), IssueError> {
        let number = number.to_bytes();
        let content = der::asn1::UintRef::new(&number).and_then(|number| number.to_der());
        self.add(CRL_NUMBER, false, content.map_err(unencodable)?)
    }

    pub(crate) fn into_vec(self) -> Vec<Extension> {
        self.0
    }

    fn basic_constraints(&mut self, constraints: Constraints) -> Result<(), IssueError> {
        let constraints = match constraints {
            Constraints::EndEntity => pkix::BasicConstraints { ca: false, path_len_constraint: None },
            Constraints::Authority { path_len } => {
                pkix::BasicConstraints { ca: true, path_len_constraint: path_len }
            }
        };
        self.add(BASIC_CONSTRAINTS, true, constraints.to_der().map_err(unencodable)?)
    }

    fn key_usage(&mut self, usages: &[KeyUsages]) -> Result<(), IssueError> {
        let flags = usages.iter().fold(pkix::KeyUsage(Default::default()), |mut flags, usage| {
            flags.0 |= *usage;
            flags
        });
        self.add(KEY_USAGE, true, flags.to_der().map_err(unencodable)?)
    }

    fn add(&mut self, oid: ObjectIdentifier, critical: bool, content: Vec<u8>) -> Result<(), IssueError> {
        let extn_value = OctetString::new(content).map_err(unencodable)?;
        self.0.push(Extension { extn_id: oid, critical, extn_value });
        Ok(())
    }
}

/// RFC 5280 §4.2.1.2 (1): SHA-1 over the content of subjectPublicKey.
pub(crate) fn key_identifier(key: &PublicKey) -> Result<Vec<u8>, IssueError> {
    let malformed = || IssueError::Key(KeyError::Malformed);
    let spki = SubjectPublicKeyInfoRef::try_from(key.spki_der()).map_err(|_| malformed())?;
    let bits = spki.subject_public_key.as_bytes().ok_or_else(malformed)?;
    Ok(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bits).as_ref().to_vec())
}

/// RFC 5280 §4.2.1.1. `issuer` is the whole name of the issuer's issuer and the content of the issuer's serial number, both
/// copied as they stand.
fn authority_key_identifier(identifier: &[u8], issuer: Option<(&[u8], &[u8])>) -> Vec<u8> {
    let mut content = tlv::encode(KEY_IDENTIFIER, &[identifier]);
    if let Some((issuer, serial)) = issuer {
        // A directoryName is explicitly tagged, because a Name is a CHOICE.
        content.extend(tlv::encode(AUTHORITY_CERT_ISSUER, &[&tlv::encode(DIRECTORY_NAME, &[issuer])]));
        content.extend(tlv::encode(AUTHORITY_CERT_SERIAL, &[serial]));
    }
    tlv::encode(tlv::SEQUENCE, &[&content])
}

/// The tags of its fields, and of one kind of name.
const KEY_IDENTIFIER: u8 = 0x80;
const AUTHORITY_CERT_ISSUER: u8 = 0xA1;
const AUTHORITY_CERT_SERIAL: u8 = 0x82;
const DIRECTORY_NAME: u8 = 0xA4;
pub(crate) const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

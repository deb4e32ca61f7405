//! The extensions of a certificate, typed. One that cannot be read is remembered as malformed, not fatal: a certificate
//! must be shown before it can be judged.

use std::net::IpAddr;

use der::asn1::ObjectIdentifier;

use super::DistinguishedName;
use super::layout;
use crate::Oid;
use crate::inspection::{CertificateSerial, Extension, ExtensionValue, GeneralName};
use crate::tlv::{self, Elements, Tlv, TlvError};

/// keyUsage (RFC 5280 §4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage {
    /// The first bit of RFC 5280 is the highest.
    bits: u16,
    critical: bool,
}

impl KeyUsage {
    /// Messages may be signed with the key.
    pub fn digital_signature(self) -> bool {
        self.has(0)
    }

    /// Signatures may serve as evidence; also called contentCommitment.
    pub fn non_repudiation(self) -> bool {
        self.has(1)
    }

    /// Keys may be encrypted to the key.
    pub fn key_encipherment(self) -> bool {
        self.has(2)
    }

    /// Data may be encrypted to the key.
    pub fn data_encipherment(self) -> bool {
        self.has(3)
    }

    /// Keys may be agreed upon with the key.
    pub fn key_agreement(self) -> bool {
        self.has(4)
    }

    /// Certificates may be signed with the key.
    pub fn key_cert_sign(self) -> bool {
        self.has(5)
    }

    /// Revocation lists may be signed with the key.
    pub fn crl_sign(self) -> bool {
        self.has(6)
    }

    /// Whether who does not understand the extension must refuse the certificate.
    pub fn is_critical(self) -> bool {
        self.critical
    }

    /// The usages that are set, as RFC 5280 §4.2.1.3 names them, in its order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        KEY_USAGES.iter().enumerate().filter(move |(index, _)| self.has(*index)).map(|(_, name)| *name)
    }

    fn has(self, index: usize) -> bool {
        self.bits.checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(0) & 0x8000 != 0
    }
}

/// extKeyUsage (RFC 5280 §4.2.1.12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedKeyUsage {
    purposes: Vec<Oid>,
    critical: bool,
}

impl ExtendedKeyUsage {
    /// Whether the certificate may stand for a client; `anyExtendedKeyUsage` does not count, as most peers ignore it.
    pub fn client_auth(&self) -> bool {
        self.purposes.contains(&Oid::new(CLIENT_AUTH))
    }

    /// Whether the certificate may stand for a server.
    pub fn server_auth(&self) -> bool {
        self.purposes.contains(&Oid::new(SERVER_AUTH))
    }

    /// All purposes.
    pub fn purposes(&self) -> &[Oid] {
        &self.purposes
    }

    /// Whether who does not understand the extension must refuse the certificate.
    pub fn is_critical(&self) -> bool {
        self.critical
    }
}

/// basicConstraints (RFC 5280 §4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BasicConstraints {
    /// Whether the certificate is one of an authority.
    pub ca: bool,
    /// How many authorities may stand between this one and the leaf.
    pub path_len: Option<u8>,
    /// Whether who does not understand the extension must refuse the certificate.
    pub critical: bool,
}

/// authorityKeyIdentifier (RFC 5280 §4.2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorityKeyIdentifier {
    /// The issuer's subjectKeyIdentifier.
    pub key_identifier: Option<Vec<u8>>,
    /// Whether the name of the issuer's issuer and the issuer's serial number are given.
    pub has_issuer_and_serial: bool,
    /// The names of the issuer's issuer; empty when there are none.
    pub issuer: Vec<GeneralName>,
    /// The issuer's serial number.
    pub serial_number: Option<CertificateSerial>,
}

/// A known extension whose content cannot be read, or that stands there twice.
pub(crate) struct MalformedExtension(pub(crate) &'static str);

/// All extensions, and those of OPC 10000-6 §6.2.2 where they are looked for.
#[derive(Default)]
pub(crate) struct Extensions {
    pub(crate) list: Vec<Extension>,
    pub(crate) uris: Vec<String>,
    pub(crate) uri_first: bool,
    pub(crate) dns_names: Vec<String>,
    pub(crate) ip_addresses: Vec<IpAddr>,
    pub(crate) malformed: Vec<MalformedExtension>,
    /// Those a validator must refuse because it does not apply them, as dotted object identifiers.
    pub(crate) limiting: Vec<String>,
    /// The first thing that is written as DER does not let it be (X.690 §11).
    pub(crate) not_der: Option<&'static str>,
}

impl Extensions {
    /// Reads extensions that stand one after the other, their grammar checked before.
    pub(crate) fn read(encoded: &[u8]) -> Self {
        let mut known = Self::default();
        let mut elements = Elements::new(encoded);
        let mut seen: Vec<ObjectIdentifier> = Vec::with_capacity(12);
        known.list.reserve_exact(12);
        while let Ok(element) = elements.expect(tlv::SEQUENCE) {
            let Ok((oid, critical, content)) = layout::extension(element) else { break };
            let critical = known.or_default(critical);
            let name = KNOWN.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name);
            // RFC 5280 §4.2: an extension stands there once; the first one counts.
            let repeated = seen.contains(&oid);
            seen.push(oid);
            let value =
                if repeated { ExtensionValue::Malformed } else { known.value(oid, critical, content) };
            match (&value, name) {
                (ExtensionValue::Malformed, Some(name)) => known.malformed.push(MalformedExtension(name)),
                (_, Some(_)) => {}
                // RFC 5280 §4.2. Name constraints are to be critical (§4.2.1.10): those that are not are meant no less.
                // Policies only bind who asks for some (§6.1.1 c).
                (_, None) if (critical && oid != CERTIFICATE_POLICIES) || oid == NAME_CONSTRAINTS => {
                    known.limiting.push(oid.to_string());
                }
                (_, None) => {}
            }
            known.list.push(Extension { oid: Oid::new(oid), name, critical, repeated, value });
        }
        known
    }

    /// The first readable extension that `select` takes.
    pub(crate) fn find<'a, T>(&'a self, select: impl Fn(&'a ExtensionValue) -> Option<T>) -> Option<T> {
        self.list.iter().find_map(|extension| select(&extension.value))
    }

    fn value(&mut self, oid: ObjectIdentifier, critical: bool, content: &[u8]) -> ExtensionValue {
        let read = match oid {
            SUBJECT_ALT_NAME => self.subject_alt_name(content),
            KEY_USAGE => self.key_usage(content, critical).map(ExtensionValue::KeyUsage),
            EXTENDED_KEY_USAGE => object_identifiers(content)
                .map(|purposes| ExtensionValue::ExtendedKeyUsage(ExtendedKeyUsage { purposes, critical })),
            BASIC_CONSTRAINTS => {
                self.basic_constraints(content, critical).map(ExtensionValue::BasicConstraints)
            }
            SUBJECT_KEY_IDENTIFIER => {
                let octets = single(content, tlv::OCTET_STRING);
                octets.map(|octets| ExtensionValue::SubjectKeyIdentifier(octets.content.to_vec()))
            }
            AUTHORITY_KEY_IDENTIFIER => {
                authority_key_identifier(content).map(ExtensionValue::AuthorityKeyIdentifier)
            }
            CRL_DISTRIBUTION_POINTS => {
                distribution_points(content).map(ExtensionValue::CrlDistributionPoints)
            }
            AUTHORITY_INFO_ACCESS => authority_info_access(content),
            CERTIFICATE_POLICIES => policies(content).map(ExtensionValue::CertificatePolicies),
            NAME_CONSTRAINTS => single(content, tlv::SEQUENCE).map(|_| ExtensionValue::NameConstraints),
            _ => Ok(ExtensionValue::Unknown { len: content.len() }),
        };
        read.unwrap_or(ExtensionValue::Malformed)
    }

    /// Entry by entry, because one odd entry must not hide the others.
    fn subject_alt_name(&mut self, content: &[u8]) -> Result<ExtensionValue, TlvError> {
        let names = general_names(single(content, tlv::SEQUENCE)?)?;
        let mut malformed = false;
        for (index, name) in names.iter().enumerate() {
            match name {
                GeneralName::Dns(name) => self.dns_names.push(name.clone()),
                GeneralName::Uri(uri) => {
                    self.uri_first |= index == 0;
                    self.uris.push(uri.clone());
                }
                GeneralName::Ip(address) => self.ip_addresses.push(*address),
                GeneralName::Malformed { .. } => malformed = true,
                // E-mail, directory and other names say nothing to OPC UA.
                _ => {}
            }
        }
        if malformed {
            self.malformed.push(MalformedExtension("subjectAltName"));
        }
        Ok(ExtensionValue::SubjectAltName(names))
    }

    fn key_usage(&mut self, content: &[u8], critical: bool) -> Result<KeyUsage, TlvError> {
        let content = single(content, tlv::BIT_STRING)?.content;
        // X.690 §11.2.2: of a list of named bits the zeros at its end are left out.
        if let [unused @ 0..=7, .., last] = content
            && last.trailing_zeros() != u32::from(*unused)
        {
            self.not_der.get_or_insert("trailing zero bits in the key usage");
        }
        match content {
            [0] => Ok(KeyUsage { bits: 0, critical }),
            [0..=7, high] => Ok(KeyUsage { bits: u16::from_be_bytes([*high, 0]), critical }),
            [0..=7, high, low] => Ok(KeyUsage { bits: u16::from_be_bytes([*high, *low]), critical }),
            _ => Err(TlvError::Malformed),
        }
    }

    fn basic_constraints(&mut self, content: &[u8], critical: bool) -> Result<BasicConstraints, TlvError> {
        let mut fields = single(content, tlv::SEQUENCE)?.elements();
        let ca = self.or_default(layout::optional_boolean(&mut fields)?);
        let path_len = match fields.optional(&[tlv::INTEGER])?.map(|integer| integer.content) {
            None => None,
            Some([len @ 0..=0x7F] | [0x00, len @ 0x80..=0xFF]) => Some(*len),
            Some(_) => return Err(TlvError::Malformed),
        };
        if fields.is_empty() {
            Ok(BasicConstraints { ca, path_len, critical })
        } else {
            Err(TlvError::Malformed)
        }
    }

    /// What a `BOOLEAN DEFAULT FALSE` says.
    fn or_default(&mut self, encoded: Option<bool>) -> bool {
        if encoded == Some(false) {
            self.not_der.get_or_insert("an encoded FALSE");
        }
        encoded.unwrap_or(false)
    }
}

/// Field by field, because the serial inside may break every rule the serial of a certificate may break.
pub(crate) fn authority_key_identifier(content: &[u8]) -> Result<AuthorityKeyIdentifier, TlvError> {
    let mut fields = single(content, tlv::SEQUENCE)?.elements();
    let key_identifier = fields.optional(&[0x80])?.map(|field| field.content.to_vec());
    let issuer = fields.optional(&[0xA1])?.map(general_names).transpose()?;
    let serial_number = fields.optional(&[0x82])?.map(|field| CertificateSerial::new(field.content));
    if !fields.is_empty() {
        return Err(TlvError::Malformed);
    }
    Ok(AuthorityKeyIdentifier {
        key_identifier,
        has_issuer_and_serial: issuer.is_some() && serial_number.is_some(),
        issuer: issuer.unwrap_or_default(),
        serial_number,
    })
}

/// The entries of `GeneralNames` (RFC 5280 §4.2.1.6); those that are none of its kinds are kept as malformed.
fn general_names(names: Tlv<'_>) -> Result<Vec<GeneralName>, TlvError> {
    let mut elements = names.elements();
    let mut names = Vec::with_capacity(4);
    while !elements.is_empty() {
        names.push(general_name(elements.element()?));
    }
    Ok(names)
}

fn general_name(entry: Tlv<'_>) -> GeneralName {
    let malformed = GeneralName::Malformed { tag: entry.tag };
    let text = || String::from_utf8_lossy(entry.content).into_owned();
    // Whether an entry is marked as constructed is not looked at: its number says what is meant.
    match entry.tag & !0x20 {
        0x80 => {
            let oid = entry.elements().expect(tlv::OBJECT_IDENTIFIER);
            let oid = oid.and_then(|oid| layout::object_identifier(oid.content));
            oid.map_or(malformed, |oid| GeneralName::Other { kind: Oid::new(oid) })
        }
        0x81 => GeneralName::Email(text()),
        0x82 => GeneralName::Dns(text()),
        0x83 => GeneralName::X400,
        0x84 => DistinguishedName::from_der(entry.content).map_or(malformed, GeneralName::Directory),
        0x85 => GeneralName::EdiParty,
        0x86 => GeneralName::Uri(text()),
        0x87 => match (<[u8; 4]>::try_from(entry.content), <[u8; 16]>::try_from(entry.content)) {
            (Ok(v4), _) => GeneralName::Ip(IpAddr::from(v4)),
            (_, Ok(v6)) => GeneralName::Ip(IpAddr::from(v6)),
            _ => malformed,
        },
        0x88 => layout::object_identifier(entry.content)
            .map_or(malformed, |oid| GeneralName::RegisteredId(Oid::new(oid))),
        _ => malformed,
    }
}

/// The URIs of the full names; other forms say nothing to who has no directory.
fn distribution_points(content: &[u8]) -> Result<Vec<String>, TlvError> {
    let mut points = single(content, tlv::SEQUENCE)?.elements();
    let mut uris = Vec::new();
    while !points.is_empty() {
        let Some(name) = points.expect(tlv::SEQUENCE)?.elements().optional(&[0xA0])? else { continue };
        let Some(full_name) = name.elements().optional(&[0xA0])? else { continue };
        uris.extend(general_names(full_name)?.into_iter().filter_map(GeneralName::into_uri));
    }
    Ok(uris)
}

fn authority_info_access(content: &[u8]) -> Result<ExtensionValue, TlvError> {
    let mut descriptions = single(content, tlv::SEQUENCE)?.elements();
    let (mut ocsp, mut ca_issuers) = (Vec::new(), Vec::new());
    while !descriptions.is_empty() {
        let mut fields = descriptions.expect(tlv::SEQUENCE)?.elements();
        let method = layout::object_identifier(fields.expect(tlv::OBJECT_IDENTIFIER)?.content)?;
        let uri = general_name(fields.element()?).into_uri();
        match method {
            OCSP => ocsp.extend(uri),
            CA_ISSUERS => ca_issuers.extend(uri),
            _ => {}
        }
    }
    Ok(ExtensionValue::AuthorityInfoAccess { ocsp, ca_issuers })
}

fn policies(content: &[u8]) -> Result<Vec<Oid>, TlvError> {
    let mut elements = single(content, tlv::SEQUENCE)?.elements();
    let mut oids = Vec::new();
    while !elements.is_empty() {
        let oid = elements.expect(tlv::SEQUENCE)?.elements().expect(tlv::OBJECT_IDENTIFIER)?;
        oids.push(Oid::new(layout::object_identifier(oid.content)?));
    }
    Ok(oids)
}

fn object_identifiers(content: &[u8]) -> Result<Vec<Oid>, TlvError> {
    let mut elements = single(content, tlv::SEQUENCE)?.elements();
    let mut oids = Vec::with_capacity(2);
    while !elements.is_empty() {
        let oid = elements.expect(tlv::OBJECT_IDENTIFIER)?;
        oids.push(Oid::new(layout::object_identifier(oid.content)?));
    }
    Ok(oids)
}

/// The one element there is.
fn single(content: &[u8], tag: u8) -> Result<Tlv<'_>, TlvError> {
    let mut elements = Elements::new(content);
    let element = elements.expect(tag)?;
    if elements.is_empty() { Ok(element) } else { Err(TlvError::Malformed) }
}

const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const CRL_DISTRIBUTION_POINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const CERTIFICATE_POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
const AUTHORITY_INFO_ACCESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.1");
const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
const CA_ISSUERS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");

/// Those a validator of OPC UA applies.
const KNOWN: [(ObjectIdentifier, &str); 6] = [
    (SUBJECT_ALT_NAME, "subjectAltName"),
    (KEY_USAGE, "keyUsage"),
    (EXTENDED_KEY_USAGE, "extKeyUsage"),
    (BASIC_CONSTRAINTS, "basicConstraints"),
    (SUBJECT_KEY_IDENTIFIER, "subjectKeyIdentifier"),
    (AUTHORITY_KEY_IDENTIFIER, "authorityKeyIdentifier"),
];

const KEY_USAGES: [&str; 9] = [
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
];

const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

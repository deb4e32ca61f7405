//! The extensions that OPC 10000-6 §6.2.2 speaks of. One that cannot be read is remembered as malformed, not fatal:
//! a certificate must be shown before it can be judged.

use std::net::IpAddr;

use der::asn1::{AnyRef, ObjectIdentifier, OctetString};
use der::{Class, Decode, Reader, SliceReader, Tagged as _};
use x509_cert::ext::{Extension, pkix};

/// keyUsage (RFC 5280 §4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage {
    flags: pkix::KeyUsage,
    critical: bool,
}

impl KeyUsage {
    /// Messages may be signed with the key.
    pub fn digital_signature(self) -> bool {
        self.flags.digital_signature()
    }

    /// Signatures may serve as evidence; also called contentCommitment.
    pub fn non_repudiation(self) -> bool {
        self.flags.non_repudiation()
    }

    /// Keys may be encrypted to the key.
    pub fn key_encipherment(self) -> bool {
        self.flags.key_encipherment()
    }

    /// Data may be encrypted to the key.
    pub fn data_encipherment(self) -> bool {
        self.flags.data_encipherment()
    }

    /// Certificates may be signed with the key.
    pub fn key_cert_sign(self) -> bool {
        self.flags.key_cert_sign()
    }

    /// Revocation lists may be signed with the key.
    pub fn crl_sign(self) -> bool {
        self.flags.crl_sign()
    }

    /// Whether who does not understand the extension must refuse the certificate.
    pub fn is_critical(self) -> bool {
        self.critical
    }
}

/// extKeyUsage (RFC 5280 §4.2.1.12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedKeyUsage {
    purposes: Vec<String>,
    critical: bool,
}

impl ExtendedKeyUsage {
    /// Whether the certificate may stand for a client; `anyExtendedKeyUsage` does not count, as most peers ignore it.
    pub fn client_auth(&self) -> bool {
        self.purposes.iter().any(|purpose| purpose == CLIENT_AUTH)
    }

    /// Whether the certificate may stand for a server.
    pub fn server_auth(&self) -> bool {
        self.purposes.iter().any(|purpose| purpose == SERVER_AUTH)
    }

    /// All purposes, as dotted object identifiers.
    pub fn purposes(&self) -> &[String] {
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
}

/// A known extension whose content cannot be read, or that stands there twice.
pub(crate) struct MalformedExtension(pub(crate) &'static str);

#[derive(Default)]
pub(crate) struct Extensions {
    pub(crate) uris: Vec<String>,
    pub(crate) uri_first: bool,
    pub(crate) dns_names: Vec<String>,
    pub(crate) ip_addresses: Vec<IpAddr>,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) extended_key_usage: Option<ExtendedKeyUsage>,
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) subject_key_identifier: Option<Vec<u8>>,
    pub(crate) authority_key_identifier: Option<AuthorityKeyIdentifier>,
    pub(crate) malformed: Vec<MalformedExtension>,
    /// Those a validator must refuse because it does not apply them, as dotted object identifiers.
    pub(crate) limiting: Vec<String>,
}

impl Extensions {
    pub(crate) fn new(extensions: &[Extension]) -> Self {
        let mut known = Self::default();
        let mut seen: Vec<ObjectIdentifier> = Vec::new();
        for extension in extensions {
            let Some((_, name)) = KNOWN.iter().find(|(oid, _)| *oid == extension.extn_id) else {
                // RFC 5280 §4.2. Name constraints are to be critical (§4.2.1.10): those that are not are meant no less.
                // Policies only bind who asks for some (§6.1.1 c).
                if (extension.critical && extension.extn_id != CERTIFICATE_POLICIES)
                    || extension.extn_id == NAME_CONSTRAINTS
                {
                    known.limiting.push(extension.extn_id.to_string());
                }
                continue;
            };
            // RFC 5280 §4.2: an extension stands there once; the first one counts.
            let repeated = seen.contains(&extension.extn_id);
            seen.push(extension.extn_id);
            if repeated || known.read(extension).is_err() {
                known.malformed.push(MalformedExtension(name));
            }
        }
        known
    }

    fn read(&mut self, extension: &Extension) -> der::Result<()> {
        let content = extension.extn_value.as_bytes();
        let critical = extension.critical;
        match extension.extn_id {
            SUBJECT_ALT_NAME => self.read_subject_alt_name(content)?,
            KEY_USAGE => {
                self.key_usage = Some(KeyUsage { flags: pkix::KeyUsage::from_der(content)?, critical });
            }
            EXTENDED_KEY_USAGE => {
                let purposes = pkix::ExtendedKeyUsage::from_der(content)?.0;
                let purposes = purposes.iter().map(ToString::to_string).collect();
                self.extended_key_usage = Some(ExtendedKeyUsage { purposes, critical });
            }
            BASIC_CONSTRAINTS => self.basic_constraints = Some(basic_constraints(content, critical)?),
            SUBJECT_KEY_IDENTIFIER => {
                self.subject_key_identifier = Some(OctetString::from_der(content)?.into_bytes().into());
            }
            AUTHORITY_KEY_IDENTIFIER => {
                self.authority_key_identifier = Some(authority_key_identifier(content)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Entry by entry, because one odd entry must not hide the others.
    fn read_subject_alt_name(&mut self, content: &[u8]) -> der::Result<()> {
        let mut malformed = None;
        for (index, entry) in elements(content)?.into_iter().enumerate() {
            let text = || String::from_utf8_lossy(entry.value()).into_owned();
            match context_number(entry) {
                Some(2) => self.dns_names.push(text()),
                Some(6) => {
                    self.uri_first |= index == 0;
                    self.uris.push(text());
                }
                Some(7) => match (<[u8; 4]>::try_from(entry.value()), <[u8; 16]>::try_from(entry.value())) {
                    (Ok(v4), _) => self.ip_addresses.push(IpAddr::from(v4)),
                    (_, Ok(v6)) => self.ip_addresses.push(IpAddr::from(v6)),
                    _ => malformed = Some(entry.tag().length_error()),
                },
                // E-mail, directory and other names say nothing to OPC UA.
                Some(_) => {}
                None => malformed = Some(entry.tag().unexpected_error(None)),
            }
        }
        malformed.map_or(Ok(()), |kind| Err(kind.into()))
    }
}

/// cA is read by its bytes: an encoded FALSE, which DER forbids (X.690 §11.5), is everyday.
fn basic_constraints(content: &[u8], critical: bool) -> der::Result<BasicConstraints> {
    let mut constraints = BasicConstraints { ca: false, path_len: None, critical };
    for (index, field) in elements(content)?.into_iter().enumerate() {
        match field.tag() {
            der::Tag::Boolean if index == 0 => constraints.ca = field.decode_as()?,
            der::Tag::Integer => constraints.path_len = Some(field.decode_as()?),
            tag => return Err(tag.unexpected_error(None).into()),
        }
    }
    Ok(constraints)
}

/// Field by field, because the serial inside may break every rule the serial of a certificate may break.
pub(crate) fn authority_key_identifier(content: &[u8]) -> der::Result<AuthorityKeyIdentifier> {
    let fields = elements(content)?;
    let field = |number| fields.iter().find(|field| context_number(**field) == Some(number));
    Ok(AuthorityKeyIdentifier {
        key_identifier: field(0).map(|field| field.value().to_vec()),
        has_issuer_and_serial: field(1).is_some() && field(2).is_some(),
    })
}

/// The elements of a SEQUENCE.
fn elements(content: &[u8]) -> der::Result<Vec<AnyRef<'_>>> {
    let sequence = AnyRef::from_der(content)?;
    if sequence.tag() != der::Tag::Sequence {
        return Err(sequence.tag().unexpected_error(Some(der::Tag::Sequence)).into());
    }
    let mut reader = SliceReader::new(sequence.value())?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(AnyRef::decode(&mut reader)?);
    }
    Ok(elements)
}

fn context_number(element: AnyRef<'_>) -> Option<u32> {
    let tag = element.tag();
    (tag.class() == Class::ContextSpecific).then(|| tag.number().value())
}

const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");

const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const CERTIFICATE_POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");

const KNOWN: [(ObjectIdentifier, &str); 6] = [
    (SUBJECT_ALT_NAME, "subjectAltName"),
    (KEY_USAGE, "keyUsage"),
    (EXTENDED_KEY_USAGE, "extKeyUsage"),
    (BASIC_CONSTRAINTS, "basicConstraints"),
    (SUBJECT_KEY_IDENTIFIER, "subjectKeyIdentifier"),
    (AUTHORITY_KEY_IDENTIFIER, "authorityKeyIdentifier"),
];

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

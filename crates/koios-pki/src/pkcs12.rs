//! PKCS#12 files (RFC 7292): certificates and keys under one password, as Windows, Java, .NET and OpenSSL write them.

mod mac;
mod write;

use der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

use crate::encryption::{Password, Scheme, Unopenable, WorkBudget};
use crate::tlv::{self, Elements, Tlv, TlvError};
use crate::{Certificate, CertificateChain, CertificateError, ber};

/// What a file holds, in its order.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) certificates: Vec<Certificate>,
    /// PKCS#8, unencrypted.
    pub(crate) keys: Vec<Zeroizing<Vec<u8>>>,
}

/// Why a file is not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// Not the encoding of a PKCS#12 file.
    Malformed,
    /// A certificate in it cannot be read.
    Certificate(CertificateError),
    /// More in it than is read.
    TooMuch,
    /// It opens without a password for nobody.
    PasswordRequired,
    PasswordWrong,
    Unopenable(Unopenable),
    /// Encrypted to a public key instead of a password.
    PublicKeyMode,
}

impl From<TlvError> for OpenError {
    fn from(_: TlvError) -> Self {
        Self::Malformed
    }
}

impl From<Unopenable> for OpenError {
    fn from(reason: Unopenable) -> Self {
        match reason {
            Unopenable::Damaged => Self::Malformed,
            reason => Self::Unopenable(reason),
        }
    }
}

/// How much a file may hold.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    certificates: usize,
    bags: usize,
}

impl Limits {
    /// One pair with its chain: files in use have two content infos and a handful of bags.
    pub(crate) const PAIR: Self = Self { certificates: CertificateChain::MAX_LEN, bags: 64 };
    /// A key store of several pairs, or one of all authorities that somebody trusts: a bag for each of them and for each key.
    pub(crate) const STORE: Self = Self { certificates: MAX_STORED, bags: 4 * MAX_STORED };
}

/// Opens a file. Without a password the empty one is tried, in both ways that there are of writing none.
pub(crate) fn open(bytes: &[u8], password: Option<&str>, limits: Limits) -> Result<Contents, OpenError> {
    let (der, _) = ber::first_to_der(bytes).ok_or(OpenError::Malformed)?;
    let mut pfx = Elements::new(&der).expect(tlv::SEQUENCE)?.elements();
    if pfx.expect(tlv::INTEGER)?.content != [3] {
        return Err(OpenError::Malformed);
    }
    let authenticated = match content_info(pfx.expect(tlv::SEQUENCE)?)? {
        (DATA, content) => content.expect_inner(tlv::OCTET_STRING)?.content,
        (SIGNED_DATA, _) => return Err(OpenError::PublicKeyMode),
        _ => return Err(OpenError::Malformed),
    };
    let mut budget = WorkBudget::new();
    let fault = if password.is_some() { OpenError::PasswordWrong } else { OpenError::PasswordRequired };
    let mut passwords = match password {
        None | Some("") => vec![Password::Text(""), Password::Absent],
        Some(text) => vec![Password::Text(text)],
    };
    if let Some(mac) = pfx.optional(&[tlv::SEQUENCE])? {
        match mac::verifies(mac, &passwords, authenticated, &mut budget)? {
            // What the MAC was made with, the rest most likely was as well.
            Some(place) => passwords.rotate_left(place),
            None => return Err(fault),
        }
    }
    let mut reader = Reader { passwords, fault, budget, limits, bags: 0, contents: Contents::default() };
    reader.authenticated_safe(authenticated)?;
    Ok(reader.contents)
}

struct Reader<'a> {
    /// To be tried in this order.
    passwords: Vec<Password<'a>>,
    /// What it means when something does not decrypt.
    fault: OpenError,
    budget: WorkBudget,
    limits: Limits,
    bags: usize,
    contents: Contents,
}

impl Reader<'_> {
    /// What the MAC protects byte for byte, and what may be BER like the file around it.
    fn authenticated_safe(&mut self, ber: &[u8]) -> Result<(), OpenError> {
        let der = ber::whole_to_der(ber).ok_or(OpenError::Malformed)?;
        let mut infos = Elements::new(&der).expect(tlv::SEQUENCE)?.elements();
        while !infos.is_empty() {
            self.count()?;
            match content_info(infos.expect(tlv::SEQUENCE)?)? {
                (DATA, content) => {
                    let ber = content.expect_inner(tlv::OCTET_STRING)?.content;
                    self.safe_contents(&ber::whole_to_der(ber).ok_or(OpenError::Malformed)?, 0)?;
                }
                (ENCRYPTED_DATA, content) => {
                    let safe = self.encrypted_data(content.expect_inner(tlv::SEQUENCE)?)?;
                    self.safe_contents(&safe, 0)?;
                }
                (ENVELOPED_DATA, _) => return Err(OpenError::PublicKeyMode),
                _ => return Err(OpenError::Malformed),
            }
        }
        Ok(())
    }

    /// RFC 5652 §8.
    fn encrypted_data(&mut self, data: Tlv<'_>) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let mut fields = data.elements();
        fields.expect(tlv::INTEGER)?;
        let mut info = fields.expect(tlv::SEQUENCE)?.elements();
        info.expect(tlv::OBJECT_IDENTIFIER)?;
        let algorithm = info.expect(tlv::SEQUENCE)?;
        let encrypted = match info.element()? {
            primitive @ Tlv { tag: CONTEXT_0_PRIMITIVE, .. } => primitive.content.to_vec(),
            // BER in pieces.
            Tlv { tag: tlv::CONTEXT_0, content, .. } => pieces(content)?,
            _ => return Err(OpenError::Malformed),
        };
        self.decrypt(algorithm, &encrypted)
    }

    /// One SEQUENCE, as DER.
    fn decrypt(&mut self, algorithm: Tlv<'_>, encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let scheme = Scheme::read(algorithm, encrypted)?;
        for (place, password) in self.passwords.iter().enumerate() {
            if place > 0 && !scheme.tells_empty_from_absent() || !self.budget.attempt(place, scheme.work())? {
                break;
            }
            let plain = scheme.decrypt(*password, encrypted);
            // One wrong password in 256 leaves padding that looks right, and noise before it.
            let der = plain.and_then(|plain| ber::whole_to_der(&plain));
            if let Some(der) = der.filter(|der| der.first() == Some(&tlv::SEQUENCE)) {
                return Ok(der);
            }
        }
        Err(self.fault.clone())
    }

    fn safe_contents(&mut self, der: &[u8], depth: u32) -> Result<(), OpenError> {
        if depth > MAX_NESTING {
            return Err(OpenError::TooMuch);
        }
        let mut bags = Elements::new(der).expect(tlv::SEQUENCE)?.elements();
        while !bags.is_empty() {
            self.count()?;
            let mut bag = bags.expect(tlv::SEQUENCE)?.elements();
            let kind = object_identifier(bag.expect(tlv::OBJECT_IDENTIFIER)?)?;
            let value = bag.expect(tlv::CONTEXT_0)?;
            match kind {
                KEY_BAG => {
                    let key = value.expect_inner(tlv::SEQUENCE)?.whole;
                    self.contents.keys.push(Zeroizing::new(key.to_vec()));
                }
                SHROUDED_KEY_BAG => {
                    let mut fields = value.expect_inner(tlv::SEQUENCE)?.elements();
                    let algorithm = fields.expect(tlv::SEQUENCE)?;
                    let key = self.decrypt(algorithm, fields.expect(tlv::OCTET_STRING)?.content)?;
                    self.contents.keys.push(key);
                }
                CERTIFICATE_BAG => self.certificate(value.expect_inner(tlv::SEQUENCE)?)?,
                SAFE_CONTENTS_BAG => {
                    self.safe_contents(value.expect_inner(tlv::SEQUENCE)?.whole, depth + 1)?;
                }
                // Revocation lists and secrets are not asked for.
                _ => {}
            }
        }
        Ok(())
    }

    fn certificate(&mut self, bag: Tlv<'_>) -> Result<(), OpenError> {
        let mut fields = bag.elements();
        if object_identifier(fields.expect(tlv::OBJECT_IDENTIFIER)?)? != X509_CERTIFICATE {
            return Ok(());
        }
        let der = fields.expect(tlv::CONTEXT_0)?.expect_inner(tlv::OCTET_STRING)?.content;
        let certificate = Certificate::from_der(der).map_err(OpenError::Certificate)?;
        if !self.contents.certificates.contains(&certificate) {
            self.contents.certificates.push(certificate);
        }
        let max = self.limits.certificates;
        if self.contents.certificates.len() > max {
            return Err(OpenError::Certificate(CertificateError::TooMany { max }));
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), OpenError> {
        self.bags += 1;
        if self.bags > self.limits.bags { Err(OpenError::TooMuch) } else { Ok(()) }
    }
}

/// Type and explicit content of a `ContentInfo`.
fn content_info(info: Tlv<'_>) -> Result<(ObjectIdentifier, Tlv<'_>), OpenError> {
    let mut fields = info.elements();
    let kind = object_identifier(fields.expect(tlv::OBJECT_IDENTIFIER)?)?;
    Ok((kind, fields.expect(tlv::CONTEXT_0)?))
}

fn object_identifier(element: Tlv<'_>) -> Result<ObjectIdentifier, OpenError> {
    ObjectIdentifier::from_bytes(element.content).map_err(|_| OpenError::Malformed)
}

/// The OCTET STRINGs one after the other, joined.
fn pieces(content: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut pieces = Elements::new(content);
    let mut joined = Vec::with_capacity(content.len());
    while !pieces.is_empty() {
        joined.extend_from_slice(pieces.expect(tlv::OCTET_STRING)?.content);
    }
    Ok(joined)
}

/// RFC 5652 §4 to §8.
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const SIGNED_DATA: ObjectIdentifier = crate::pkcs7::SIGNED_DATA;
const ENVELOPED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.3");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
/// RFC 7292 §4.2.
const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const SAFE_CONTENTS_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.6");
const X509_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
/// `[0]`, primitive.
const CONTEXT_0_PRIMITIVE: u8 = 0x80;
/// As many as fit into the longest file that is read, at less than a kilobyte each.
pub(crate) const MAX_STORED: usize = 256;
const MAX_NESTING: u32 = 4;

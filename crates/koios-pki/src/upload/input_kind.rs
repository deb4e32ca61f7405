use std::fmt;

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, Tagged as _};

use super::MAX_PART;
use crate::chain::PEM_LABELS;
use crate::{CertificateError, ber, certificate::first_element, pem};

/// What bytes look like that are not what was asked for; displayed with what to do instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InputKind {
    /// Base64 without BEGIN and END lines.
    Base64,
    /// Neither text nor DER.
    Binary,
    /// An X.509 certificate.
    Certificate,
    /// A PKCS#10 request.
    CertificateRequest,
    /// DER that is none of the others.
    Der,
    /// Nothing, or blanks.
    Empty,
    /// A key store of Java in its own format.
    JavaKeyStore,
    /// JSON.
    Json,
    /// A web page.
    Html,
    /// PEM of some other kind.
    Pem,
    /// A PKCS#7 or CMS file.
    Pkcs7,
    /// A PKCS#12 file.
    Pkcs12,
    /// A private key.
    PrivateKey,
    /// A public key.
    PublicKey,
    /// A certificate revocation list.
    RevocationList,
    /// A key of OpenSSH or PuTTY.
    SshKey,
    /// Text that is no PEM.
    Text,
    /// A certificate with OpenSSL's trust settings behind it.
    TrustedCertificate,
    /// Text in two bytes per character.
    Utf16Text,
    /// A ZIP archive.
    Zip,
}

impl InputKind {
    /// The kind of bytes that are no PEM.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let text = bytes.trim_ascii();
        if text.is_empty() {
            return Self::Empty;
        }
        if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
            return Self::Utf16Text;
        }
        if bytes.starts_with(&[0xFE, 0xED, 0xFE, 0xED]) || bytes.starts_with(&[0xCE, 0xCE, 0xCE, 0xCE]) {
            return Self::JavaKeyStore;
        }
        if bytes.starts_with(b"PK\x03\x04") {
            return Self::Zip;
        }
        match Self::of_der(bytes) {
            Some(kind) if kind != Self::Der => return kind,
            kind => {
                if let Some(kind) = Self::of_ber(bytes).or(kind) {
                    return kind;
                }
            }
        }
        if str::from_utf8(text).is_err() || text.contains(&0) {
            return Self::Binary;
        }
        Self::of_text(text)
    }

    /// PKCS#7 and PKCS#12 in BER: with indefinite lengths, or lengths longer than they need be, at any depth.
    fn of_ber(bytes: &[u8]) -> Option<Self> {
        if bytes.first() != Some(&0x30) || bytes.is_ascii() || bytes.len() > MAX_PART {
            return None;
        }
        let (der, _) = ber::first_to_der(bytes)?;
        Self::of_der(&der).filter(|kind| matches!(kind, Self::Pkcs7 | Self::Pkcs12))
    }

    /// The kind of a PEM text by its labels; the first known one tells.
    pub(super) fn of_pem(blocks: &[pem::Block<'_>]) -> Self {
        blocks
            .iter()
            .map(|block| Self::of_label(block.label))
            .find(|kind| *kind != Self::Pem)
            .unwrap_or(Self::Pem)
    }

    fn of_label(label: &str) -> Self {
        match label {
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Self::CertificateRequest,
            "TRUSTED CERTIFICATE" => Self::TrustedCertificate,
            "X509 CRL" => Self::RevocationList,
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Self::PublicKey,
            "PKCS7" | "CMS" => Self::Pkcs7,
            "OPENSSH PRIVATE KEY" => Self::SshKey,
            label if PEM_LABELS.contains(&label) => Self::Certificate,
            label if label.ends_with("PRIVATE KEY") => Self::PrivateKey,
            _ => Self::Pem,
        }
    }

    fn of_text(text: &[u8]) -> Self {
        let text = text.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(text);
        let start: String =
            String::from_utf8_lossy(text.get(..1024).unwrap_or(text)).trim_start().to_ascii_lowercase();
        // Comments and an XML declaration may stand first.
        if start.starts_with('<')
            && ["<!doctype html", "<html", "<head"].iter().any(|tag| start.contains(tag))
        {
            return Self::Html;
        }
        if start.starts_with("ssh-") || start.starts_with("putty-user-key-file") {
            return Self::SshKey;
        }
        if start.starts_with(['{', '[']) {
            return Self::Json;
        }
        // The DER of certificates and keys begins with 30 82, in base64 "MI".
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(byte);
        if start.starts_with("mi") && text.len() > 64 && text.iter().all(is_base64) {
            return Self::Base64;
        }
        Self::Text
    }

    /// The kind of DER by its outermost elements; `None` when it is no DER SEQUENCE.
    fn of_der(bytes: &[u8]) -> Option<Self> {
        // Every certificate and key is long enough for a length byte beyond ASCII; text may begin with "0" too.
        if bytes.first() != Some(&0x30) || bytes.is_ascii() {
            return None;
        }
        let element = match first_element(bytes) {
            Ok(element) => element,
            // Cut off, and so nothing inside can be told.
            Err(CertificateError::Truncated) => return Some(Self::Der),
            Err(_) => return None,
        };
        let fields = fields(element)?;
        let tags: Vec<_> = fields.iter().take(3).map(|field| field.tag()).collect();
        let kind = match tags.as_slice() {
            [Tag::ObjectIdentifier, ..] => match fields.first()?.decode_as::<ObjectIdentifier>() {
                Ok(SIGNED_DATA) => Self::Pkcs7,
                _ => Self::Der,
            },
            [Tag::Integer, Tag::Sequence] | [Tag::Integer, Tag::Sequence, Tag::Sequence]
                if fields.first()?.value() == [3] =>
            {
                Self::Pkcs12
            }
            [Tag::Integer, Tag::Sequence, Tag::OctetString]
            | [Tag::Integer, Tag::OctetString, ..]
            | [Tag::Integer, Tag::Integer, Tag::Integer]
            | [Tag::Sequence, Tag::OctetString] => Self::PrivateKey,
            [Tag::Sequence, Tag::BitString] | [Tag::Integer, Tag::Integer] => Self::PublicKey,
            [Tag::Sequence, Tag::Sequence, Tag::BitString] => Self::of_signed(*fields.first()?),
            _ => Self::Der,
        };
        Some(kind)
    }

    /// Certificates, requests and revocation lists are each a SEQUENCE, an algorithm and a signature; the first
    /// fields of the signed SEQUENCE tell them apart (RFC 5280 §4.1, §5.1; RFC 2986 §4.2).
    fn of_signed(signed: AnyRef<'_>) -> Self {
        let Some(fields) = fields_of(signed) else { return Self::Der };
        let tags: Vec<_> = fields.iter().map(|field| field.tag()).collect();
        match tags.as_slice() {
            [Tag::ContextSpecific { .. }, ..] => Self::Certificate,
            [Tag::Integer, Tag::Sequence, Tag::Sequence, Tag::ContextSpecific { .. }] => {
                Self::CertificateRequest
            }
            [Tag::Integer, Tag::Sequence, Tag::Sequence, Tag::Sequence, Tag::Sequence, ..] => {
                Self::Certificate
            }
            [Tag::Integer, Tag::Sequence, Tag::Sequence, Tag::UtcTime | Tag::GeneralizedTime, ..]
            | [Tag::Sequence, Tag::Sequence, Tag::UtcTime | Tag::GeneralizedTime, ..] => Self::RevocationList,
            _ => Self::Der,
        }
    }
}

impl fmt::Display for InputKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base64 => {
                "base64 without its BEGIN and END lines; give the file with them, or the DER file it was made from"
            }
            Self::Binary => "binary data that is neither a certificate nor a key; give a DER or PEM file",
            Self::Certificate => "a certificate; give the private key that belongs to it",
            Self::CertificateRequest => {
                "a certificate request (CSR); give the certificate that the authority issued for it"
            }
            Self::Der => "DER data of another kind, or a damaged file; give a certificate or a private key",
            Self::Empty => "an empty file",
            Self::JavaKeyStore => {
                "a Java key store (JKS); convert it with keytool -importkeystore -deststoretype pkcs12"
            }
            Self::Json => "JSON; give the certificate in it as a DER or PEM file, with real line breaks",
            Self::Html => "an HTML page; the download may have been answered by a login or error page",
            Self::Pem => "a PEM file of another kind; give one with a CERTIFICATE or PRIVATE KEY block",
            Self::Pkcs7 => "a PKCS#7 file, which holds certificates only; give it as the certificate",
            Self::Pkcs12 => "a PKCS#12 file; upload it as the certificate, with its passphrase and no private key",
            Self::PrivateKey => "a private key without a certificate; give the certificate as well, in its own field",
            Self::PublicKey => "a public key alone; give the certificate or the private key",
            Self::RevocationList => "a certificate revocation list (CRL); give the certificate itself",
            Self::SshKey => "a key of SSH; give an X.509 certificate with its PKCS#8 or PKCS#1 key",
            Self::Text => "text without any PEM block; give a DER or PEM file",
            Self::TrustedCertificate => {
                "a certificate with OpenSSL trust settings; convert it with openssl x509 -in FILE -out NEW"
            }
            Self::Utf16Text => "text in UTF-16; save it as UTF-8 or ASCII",
            Self::Zip => "a ZIP archive; unpack it and give the certificate in it",
        })
    }
}

fn fields(element: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    fields_of(AnyRef::from_der(element).ok()?)
}

/// The first fields of a SEQUENCE: seven tell all kinds apart.
fn fields_of(sequence: AnyRef<'_>) -> Option<Vec<AnyRef<'_>>> {
    if sequence.tag() != Tag::Sequence {
        return None;
    }
    let mut reader = SliceReader::new(sequence.value()).ok()?;
    let mut fields = Vec::new();
    while !reader.is_finished() && fields.len() < 7 {
        fields.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(fields)
}

/// RFC 5652 §5.1.
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");

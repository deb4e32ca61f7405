//! Certificates out of PKCS#7 (RFC 2315 §9, RFC 5652 §5): the SET in a `SignedData`, whatever else is in it.

use der::asn1::ObjectIdentifier;

use crate::tlv::{self, Elements, TlvError};
use crate::{Certificate, CertificateChain, CertificateError, ber};

/// The certificates of a `ContentInfo` with `SignedData`: the one that issued no other first, then its issuers.
pub(crate) fn certificates(bytes: &[u8]) -> Result<CertificateChain, CertificateError> {
    let malformed = || CertificateError::Malformed { reason: "the PKCS#7 around it".to_owned() };
    let (der, _) = ber::first_to_der(bytes).ok_or_else(malformed)?;
    let set = certificate_set(&der).map_err(|_| malformed())?;
    let mut certificates = Vec::new();
    let mut elements = Elements::new(set);
    while !elements.is_empty() {
        let element = elements.element().map_err(|_| malformed())?;
        // Attribute certificates and those of PKCS#6 have other tags.
        if element.tag != tlv::SEQUENCE {
            continue;
        }
        if certificates.len() == CertificateChain::MAX_LEN {
            return Err(CertificateError::TooMany { max: CertificateChain::MAX_LEN });
        }
        let certificate = Certificate::from_der(element.whole)?;
        if !certificates.contains(&certificate) {
            certificates.push(certificate);
        }
    }
    CertificateChain::from_unordered(certificates)
}

/// The content of `certificates [0]`; nothing when the field is absent.
fn certificate_set(der: &[u8]) -> Result<&[u8], TlvError> {
    let mut info = Elements::new(der).expect(tlv::SEQUENCE)?.elements();
    let content_type = ObjectIdentifier::from_bytes(info.expect(tlv::OBJECT_IDENTIFIER)?.content);
    if content_type != Ok(SIGNED_DATA) {
        return Err(TlvError::Malformed);
    }
    let mut signed = info.expect(tlv::CONTEXT_0)?.elements().expect(tlv::SEQUENCE)?.elements();
    signed.expect(tlv::INTEGER)?;
    signed.expect(tlv::SET)?;
    signed.expect(tlv::SEQUENCE)?;
    Ok(signed.optional(&[tlv::CONTEXT_0])?.map_or(&[], |set| set.content))
}

/// RFC 5652 §5.1.
pub(crate) const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");

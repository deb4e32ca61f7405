//! Writing PKCS#12 in its present form: PBES2 for certificates and key, HMAC-SHA-256 for the file.

use aws_lc_rs::hmac;
use der::Encode as _;
use der::asn1::ObjectIdentifier;

use super::{
    CERTIFICATE_BAG, CONTEXT_0_PRIMITIVE, DATA, ENCRYPTED_DATA, SHROUDED_KEY_BAG, X509_CERTIFICATE, mac,
};
use crate::encryption::pbes2::Encryption;
use crate::encryption::pkcs12_kdf::{self, Hash, Purpose};
use crate::encryption::{EncryptionSeed, Password};
use crate::tlv::{self, encode};
use crate::{CertificateChain, KeyError, PrivateKey};

impl PrivateKey {
    /// The key with its certificates as a PKCS#12 file (RFC 7292) under a passphrase, as Windows, Java, .NET and OpenSSL
    /// import it.
    ///
    /// Certificates and key are encrypted with PBES2 (PBKDF2 over HMAC-SHA-256, AES-256-CBC); an HMAC-SHA-256 protects the
    /// file. `friendly_name` is what key stores show. It takes about half a second.
    ///
    /// # Errors
    /// [`KeyError::PassphraseMissing`] when the passphrase is empty; [`KeyError::Mismatch`] when the key does not belong to
    /// the first certificate.
    pub fn to_pkcs12(
        &self,
        chain: &CertificateChain,
        friendly_name: &str,
        passphrase: &str,
        seed: &EncryptionSeed,
    ) -> Result<Vec<u8>, KeyError> {
        if passphrase.is_empty() {
            return Err(KeyError::PassphraseMissing);
        }
        if !self.matches(chain.leaf()) {
            return Err(KeyError::Mismatch);
        }
        let key_id = chain.leaf().thumbprint_sha1();
        let attributes = attributes(friendly_name, key_id.as_bytes())?;
        let [(key_salt, key_iv), (certificate_salt, certificate_iv)] = seed.halves();

        let mut bags = Vec::new();
        for (index, certificate) in chain.iter().enumerate() {
            let value = encode(
                tlv::SEQUENCE,
                &[&oid(X509_CERTIFICATE)?, &explicit(&encode(tlv::OCTET_STRING, &[certificate.der()]))],
            );
            // Attributes tie the leaf to the key; its issuers have none.
            let attributes = if index == 0 { attributes.as_slice() } else { &[] };
            bags.extend(encode(tlv::SEQUENCE, &[&oid(CERTIFICATE_BAG)?, &explicit(&value), attributes]));
        }
        let safe = encode(tlv::SEQUENCE, &[&bags]);
        let (algorithm, encrypted) =
            Encryption::pbkdf2(certificate_salt, certificate_iv, ITERATIONS).encrypt(passphrase, &safe)?;
        let encrypted = encode(CONTEXT_0_PRIMITIVE, &[&encrypted]);
        let info = encode(tlv::SEQUENCE, &[&oid(DATA)?, &algorithm, &encrypted]);
        let certificates = encode(tlv::SEQUENCE, &[&encode(tlv::INTEGER, &[&[0]]), &info]);
        let certificates = encode(tlv::SEQUENCE, &[&oid(ENCRYPTED_DATA)?, &explicit(&certificates)]);

        let key = self.to_encrypted_pkcs8(&Encryption::pbkdf2(key_salt, key_iv, ITERATIONS), passphrase)?;
        let key = encode(tlv::SEQUENCE, &[&oid(SHROUDED_KEY_BAG)?, &explicit(&key), &attributes]);
        let key = data(&encode(tlv::SEQUENCE, &[&key]))?;

        let authenticated = encode(tlv::SEQUENCE, &[&certificates, &key]);
        let mac = mac_data(&authenticated, passphrase, key_salt)?;
        Ok(encode(tlv::SEQUENCE, &[&encode(tlv::INTEGER, &[&[3]]), &data(&authenticated)?, &mac]))
    }
}

/// friendlyName and localKeyId (RFC 2985 §5.5.1, §5.5.2).
fn attributes(friendly_name: &str, key_id: &[u8]) -> Result<Vec<u8>, KeyError> {
    let units: Vec<u8> = friendly_name.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let attribute = |kind, value: Vec<u8>| -> Result<Vec<u8>, KeyError> {
        Ok(encode(tlv::SEQUENCE, &[&oid(kind)?, &encode(tlv::SET, &[&value])]))
    };
    let name = attribute(FRIENDLY_NAME, encode(BMP_STRING, &[&units]))?;
    let id = attribute(LOCAL_KEY_ID, encode(tlv::OCTET_STRING, &[key_id]))?;
    // A SET OF in the order of its encodings (X.690 §11.6).
    let (first, second) = if name <= id { (name, id) } else { (id, name) };
    Ok(encode(tlv::SET, &[&first, &second]))
}

fn mac_data(content: &[u8], passphrase: &str, salt: &[u8]) -> Result<Vec<u8>, KeyError> {
    let password = Password::Text(passphrase).bmp();
    let key = pkcs12_kdf::derive(Hash::Sha256, Purpose::Mac, &password, salt, MAC_ITERATIONS, 32);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), content);
    let algorithm = encode(tlv::SEQUENCE, &[&oid(mac::SHA256)?, &[0x05, 0x00]]);
    let digest = encode(tlv::SEQUENCE, &[&algorithm, &encode(tlv::OCTET_STRING, &[tag.as_ref()])]);
    let iterations = MAC_ITERATIONS.to_der().map_err(|_| KeyError::Encoding)?;
    Ok(encode(tlv::SEQUENCE, &[&digest, &encode(tlv::OCTET_STRING, &[salt]), &iterations]))
}

fn data(content: &[u8]) -> Result<Vec<u8>, KeyError> {
    Ok(encode(tlv::SEQUENCE, &[&oid(DATA)?, &explicit(&encode(tlv::OCTET_STRING, &[content]))]))
}

fn explicit(element: &[u8]) -> Vec<u8> {
    encode(tlv::CONTEXT_0, &[element])
}

fn oid(oid: ObjectIdentifier) -> Result<Vec<u8>, KeyError> {
    oid.to_der().map_err(|_| KeyError::Encoding)
}

const FRIENDLY_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.20");
const LOCAL_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.21");
const BMP_STRING: u8 = 0x1E;
/// The most that .NET's loader takes by default for one key, with at most 1,000,000 for the file. A guess at the passphrase
/// costs one of the three derivations: for this one 300,000 HMACs, half of what OWASP advises for passwords on a server.
const ITERATIONS: u32 = 300_000;
/// The most that .NET's loader takes by default. Each is one hash where an HMAC is two, so that a guess at the MAC costs
/// half of one at the key: as strong as this format's own MAC can be made without losing a reader.
const MAC_ITERATIONS: u32 = 300_000;

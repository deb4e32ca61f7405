//! Private keys in the encodings people have them in.

use der::asn1::AnyRef;
use der::{Decode, SliceReader, Tag, Tagged as _};
use zeroize::Zeroizing;

use super::{InputKind, ReadError, Unreadable, check_size};
use crate::encryption::legacy_pem::DekInfo;
use crate::encryption::{EncryptedKeyInfo, Password, Unopenable};
use crate::{KeyError, PrivateKey, pem};

/// One private key, still encoded and perhaps encrypted.
#[derive(PartialEq, Eq)]
pub(super) struct KeyInput {
    encoding: Encoding,
    dek_info: Option<DekInfo>,
    der: Zeroizing<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// RFC 5958 `PrivateKeyInfo`.
    Pkcs8,
    /// RFC 5958 `EncryptedPrivateKeyInfo`.
    EncryptedPkcs8,
    /// RFC 8017 `RSAPrivateKey`.
    Pkcs1,
    /// RFC 1421 encryption of any traditional encoding.
    LegacyEncrypted,
    /// RFC 5915 `ECPrivateKey`.
    Sec1,
    OpenSsh,
    /// Some other `… PRIVATE KEY` block.
    Unknown,
}

/// The private keys of a part that is given as a private key; never empty.
pub(super) fn keys_of(bytes: &[u8]) -> Result<Vec<KeyInput>, Unreadable> {
    check_size(bytes)?;
    if pem::is_pem(bytes) {
        let blocks = pem::blocks(bytes).map_err(Unreadable::Pem)?;
        let kind = InputKind::of_pem(&blocks);
        let keys = keys_of_blocks(blocks);
        return if keys.is_empty() { Err(Unreadable::LooksLike(kind)) } else { Ok(keys) };
    }
    match InputKind::of_bytes(bytes) {
        InputKind::PrivateKey => {
            let encoding = encoding_of_der(bytes).ok_or(Unreadable::KeyMalformed)?;
            Ok(vec![KeyInput { encoding, dek_info: None, der: Zeroizing::new(bytes.to_vec()) }])
        }
        kind => Err(Unreadable::LooksLike(kind)),
    }
}

/// The private keys among PEM blocks; `EC PARAMETERS` and certificates are none.
pub(super) fn keys_of_blocks(blocks: Vec<pem::Block<'_>>) -> Vec<KeyInput> {
    let keys = blocks.into_iter().filter_map(|block| {
        let encoding = match block.label {
            label if !label.ends_with("PRIVATE KEY") => return None,
            _ if block.legacy_encrypted => Encoding::LegacyEncrypted,
            "PRIVATE KEY" => Encoding::Pkcs8,
            "ENCRYPTED PRIVATE KEY" => Encoding::EncryptedPkcs8,
            "RSA PRIVATE KEY" => Encoding::Pkcs1,
            "EC PRIVATE KEY" => Encoding::Sec1,
            "OPENSSH PRIVATE KEY" => Encoding::OpenSsh,
            _ => Encoding::Unknown,
        };
        let dek_info = block.dek_info.and_then(DekInfo::parse);
        Some(KeyInput { encoding, dek_info, der: block.der })
    });
    keys.collect()
}

impl KeyInput {
    /// A key that PKCS#12 held.
    pub(super) fn pkcs8(der: Zeroizing<Vec<u8>>) -> Self {
        Self { encoding: Encoding::Pkcs8, dek_info: None, der }
    }

    /// Decrypts and parses the key.
    pub(super) fn open(&self, passphrase: Option<&str>) -> Result<PrivateKey, ReadError> {
        // An empty form field is a passphrase left out.
        let passphrase = passphrase.filter(|passphrase| !passphrase.is_empty());
        let unsupported =
            |what: &str, remedy| Err(ReadError::UnsupportedKey { what: what.to_owned(), remedy });
        match self.encoding {
            Encoding::Pkcs8 => PrivateKey::from_pkcs8_der(&self.der).map_err(read_error),
            Encoding::Pkcs1 => PrivateKey::from_pkcs1_der(&self.der).map_err(read_error),
            Encoding::Sec1 => PrivateKey::from_sec1_der(&self.der).map_err(read_error),
            Encoding::EncryptedPkcs8 => {
                open_encrypted(&self.der, passphrase.ok_or(ReadError::PassphraseRequired))
            }
            Encoding::LegacyEncrypted => open_legacy(
                self.dek_info.as_ref(),
                &self.der,
                passphrase.ok_or(ReadError::PassphraseRequired),
            ),
            Encoding::OpenSsh => unsupported(
                "the private key is in the format of OpenSSH",
                "convert it with ssh-keygen -p -m PKCS8 -f FILE, which rewrites the file",
            ),
            Encoding::Unknown => unsupported("the private key is of an unknown kind", USE_RSA),
        }
    }
}

/// Opens an `EncryptedPrivateKeyInfo`; its algorithm is judged before a passphrase is asked for.
fn open_encrypted(der: &[u8], passphrase: Result<&str, ReadError>) -> Result<PrivateKey, ReadError> {
    let info = EncryptedKeyInfo::read(der).map_err(|_| key_malformed())?;
    let scheme = info.scheme().map_err(unopenable)?;
    let opened =
        scheme.decrypt(Password::Text(passphrase?), info.encrypted).ok_or(ReadError::PassphraseWrong)?;
    match PrivateKey::from_pkcs8_der(&opened) {
        // One wrong passphrase in 256 leaves padding that looks right, and noise before it.
        Err(KeyError::Malformed) if !is_private_key_info(&opened) => Err(ReadError::PassphraseWrong),
        other => other.map_err(read_error),
    }
}

/// Opens a key in OpenSSL's traditional encryption, whichever of the traditional encodings it is in.
fn open_legacy(
    dek_info: Option<&DekInfo>,
    der: &[u8],
    passphrase: Result<&str, ReadError>,
) -> Result<PrivateKey, ReadError> {
    let scheme = dek_info.ok_or_else(key_malformed)?.check(der).map_err(unopenable)?;
    let opened = scheme.decrypt(passphrase?, der).ok_or(ReadError::PassphraseWrong)?;
    let key = match encoding_of_der(&opened) {
        Some(Encoding::Pkcs1) => PrivateKey::from_pkcs1_der(&opened),
        Some(Encoding::Sec1) => PrivateKey::from_sec1_der(&opened),
        Some(Encoding::Pkcs8) => PrivateKey::from_pkcs8_der(&opened),
        // Noise: one wrong passphrase in 256 leaves padding that looks right.
        _ => return Err(ReadError::PassphraseWrong),
    };
    key.map_err(read_error)
}

/// Why an encrypted key is not opened, whatever the passphrase.
fn unopenable(reason: Unopenable) -> ReadError {
    match reason {
        Unopenable::Damaged => key_malformed(),
        reason => unsupported_encryption(
            "the private key",
            &reason,
            "convert it with openssl pkcs8 -topk8 -v2 aes-256-cbc -provider legacy -provider default -in FILE -out NEW \
             (without -provider before OpenSSL 3)",
        ),
    }
}

/// An encryption that is not opened, of which `what` says whose it is.
pub(super) fn unsupported_encryption(what: &str, reason: &Unopenable, remedy: &'static str) -> ReadError {
    let what = match reason {
        Unopenable::Algorithm(name) => {
            format!("{what} is protected in a way that is not opened here ({name})")
        }
        Unopenable::TooMuchWork => {
            format!("the encryption of {what} asks for more work than is done for an upload")
        }
        Unopenable::Damaged => format!("{what} is damaged"),
    };
    ReadError::UnsupportedKey { what, remedy }
}

fn key_malformed() -> ReadError {
    ReadError::PrivateKeyUnreadable { reason: Unreadable::KeyMalformed }
}

fn is_private_key_info(der: &[u8]) -> bool {
    pkcs8::PrivateKeyInfoRef::try_from(der).is_ok()
}

fn read_error(error: KeyError) -> ReadError {
    match error {
        KeyError::UnsupportedAlgorithm { algorithm } => {
            let name = match algorithm.as_str() {
                "1.3.132.0.35" => "a key on the curve P-521".to_owned(),
                "1.3.132.0.10" => "a key on the curve secp256k1".to_owned(),
                "1.2.840.113549.1.1.10" => "an RSA key that may be used for PSS only".to_owned(),
                "1.2.840.10040.4.1" => "a DSA key".to_owned(),
                "1.3.101.112" | "1.3.101.113" => "an Edwards-curve key".to_owned(),
                oid => format!("a key of algorithm {oid}"),
            };
            ReadError::UnsupportedKey { what: format!("the private key is {name}"), remedy: USE_RSA }
        }
        KeyError::UnsupportedSize { bits } => ReadError::UnsupportedKey {
            what: format!("the private key is an RSA key of {bits} bits"),
            remedy: USE_RSA,
        },
        KeyError::CurveNotNamed => ReadError::UnsupportedKey {
            what: "the private key does not name its elliptic curve".to_owned(),
            remedy: "convert it with openssl pkcs8 -topk8 -nocrypt -in FILE -out NEW",
        },
        _ => key_malformed(),
    }
}

/// The encoding of a DER key by its outermost elements.
fn encoding_of_der(bytes: &[u8]) -> Option<Encoding> {
    let mut reader = SliceReader::new(AnyRef::from_der(bytes).ok()?.value()).ok()?;
    let mut tag = || AnyRef::decode(&mut reader).ok().map(|field| field.tag());
    match (tag()?, tag()?) {
        (Tag::Integer, Tag::Sequence) => Some(Encoding::Pkcs8),
        (Tag::Integer, Tag::Integer) => Some(Encoding::Pkcs1),
        (Tag::Integer, Tag::OctetString) => Some(Encoding::Sec1),
        (Tag::Sequence, Tag::OctetString) => Some(Encoding::EncryptedPkcs8),
        _ => None,
    }
}

const USE_RSA: &str = "the security policies take RSA keys of 2048 to 4096 bits and keys on P-256 or P-384: give such a \
                       pair, or generate a certificate";

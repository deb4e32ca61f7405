//! Private keys in the encodings people have them in.

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, SliceReader, Tag, Tagged as _};
use pkcs8::pkcs5::pbes2::{Kdf, Parameters, Pbkdf2Params, ScryptParams};
use pkcs8::spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use super::{InputKind, ReadError, Unreadable, check_size};
use crate::{KeyError, PrivateKey, pem};

/// One private key, still encoded and perhaps encrypted.
#[derive(PartialEq, Eq)]
pub(super) struct KeyInput {
    encoding: Encoding,
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
            Ok(vec![KeyInput { encoding, der: Zeroizing::new(bytes.to_vec()) }])
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
        Some(KeyInput { encoding, der: block.der })
    });
    keys.collect()
}

impl KeyInput {
    /// Decrypts and parses the key.
    pub(super) fn open(&self, passphrase: Option<&str>) -> Result<PrivateKey, ReadError> {
        let unsupported =
            |what: &str, remedy| Err(ReadError::UnsupportedKey { what: what.to_owned(), remedy });
        match self.encoding {
            Encoding::Pkcs8 => PrivateKey::from_pkcs8_der(&self.der).map_err(read_error),
            Encoding::Pkcs1 => PrivateKey::from_pkcs1_der(&self.der).map_err(read_error),
            Encoding::Sec1 => PrivateKey::from_sec1_der(&self.der).map_err(read_error),
            Encoding::EncryptedPkcs8 => {
                // An empty form field is a passphrase left out.
                let passphrase = passphrase.filter(|passphrase| !passphrase.is_empty());
                open_encrypted(&self.der, passphrase.ok_or(ReadError::PassphraseRequired))
            }
            Encoding::LegacyEncrypted => unsupported(
                "the private key is in OpenSSL's traditional encryption (Proc-Type: 4,ENCRYPTED)",
                REENCRYPT,
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
    let malformed = |_| ReadError::PrivateKeyUnreadable { reason: Unreadable::KeyMalformed };
    let (algorithm, encrypted) = AnyRef::from_der(der)
        .and_then(|info| info.sequence(|reader| Ok((reader.decode()?, reader.decode()?))))
        .map_err(malformed)?;
    let parameters = pbes2(algorithm)?;
    let encrypted: &OctetStringRef = encrypted;
    let mut plain = Zeroizing::new(encrypted.as_bytes().to_vec());
    let passphrase = passphrase?;
    let opened =
        parameters.decrypt_in_place(passphrase, &mut plain).map_err(|_| ReadError::PassphraseWrong)?;
    match PrivateKey::from_pkcs8_der(opened) {
        // One wrong passphrase in 256 leaves padding that looks right, and noise before it.
        Err(KeyError::Malformed) if !is_private_key_info(opened) => Err(ReadError::PassphraseWrong),
        other => other.map_err(read_error),
    }
}

/// The parameters of PBES2 (RFC 8018 §6.2), if this crate opens it and it asks for no more work than it may.
fn pbes2(algorithm: AlgorithmIdentifierRef<'_>) -> Result<Parameters, ReadError> {
    let unsupported = || ReadError::UnsupportedKey {
        what: format!("the private key is encrypted in a way that is not opened here ({})", algorithm.oid),
        remedy: REENCRYPT,
    };
    if algorithm.oid != PBES2 {
        return Err(unsupported());
    }
    let parameters = algorithm.parameters.ok_or_else(unsupported)?;
    let parameters = Parameters::try_from(parameters).map_err(|_| unsupported())?;
    if is_affordable(&parameters.kdf) {
        Ok(parameters)
    } else {
        Err(ReadError::UnsupportedKey {
            what: "the private key's encryption asks for more work than is done for an upload".to_owned(),
            remedy: REENCRYPT,
        })
    }
}

/// Iterations and memory come from the file, so a hostile one could otherwise keep a thread busy for hours.
fn is_affordable(kdf: &Kdf) -> bool {
    match kdf {
        Kdf::Pbkdf2(Pbkdf2Params { iteration_count, .. }) => {
            (1..=MAX_PBKDF2_ITERATIONS).contains(iteration_count)
        }
        Kdf::Scrypt(ScryptParams { cost_parameter, block_size, parallelization, .. }) => {
            let blocks = u128::from(*cost_parameter) * u128::from(*block_size);
            cost_parameter.is_power_of_two()
                && *cost_parameter > 1
                && (1..=MAX_SCRYPT_BLOCKS).contains(&blocks)
                && (1..=MAX_SCRYPT_PARALLELIZATION).contains(parallelization)
        }
        _ => false,
    }
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
        _ => ReadError::PrivateKeyUnreadable { reason: Unreadable::KeyMalformed },
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
const REENCRYPT: &str = "convert it with openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -out NEW";

/// RFC 8018 appendix A.4.
const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
/// OpenSSL writes 2,048; OWASP advises 600,000 for stored passwords. About two seconds at the limit.
const MAX_PBKDF2_ITERATIONS: u32 = 2_000_000;
/// N times r: OpenSSL writes 2^17. At the limit 64 MiB of memory.
const MAX_SCRYPT_BLOCKS: u128 = 1 << 19;
const MAX_SCRYPT_PARALLELIZATION: u16 = 4;

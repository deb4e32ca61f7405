//! Certificates and keys as people upload them: DER or PEM by content, chains, keys in either part, encrypted keys.
//! Every refusal says what the input looks like and what to do.

mod contents;
mod input_kind;
mod private_key;

pub use self::contents::{FileContents, read_contents};
pub use self::input_kind::InputKind;
use self::private_key::KeyInput;
use crate::pem::{self, PemError};
use crate::{CertificateChain, CertificateError, PrivateKey, pkcs7, pkcs12};

/// Reads an uploaded pair: a certificate or chain, and the one private key that belongs to it.
///
/// What each part is, its content tells. Certificates: DER, one or several in a row, PEM, PKCS#7, or PKCS#12, which holds
/// the key as well. The key may stand in `private_key` or beside the certificate in `certificate`; an empty part counts as
/// left out. Keys: PKCS#8, PKCS#1 and SEC1, encrypted with PBES2 (RFC 8018), with the older schemes of PKCS#12, or in
/// OpenSSL's traditional way, when `passphrase` fits. A chain keeps its order, save that the certificate the key belongs
/// to comes first.
///
/// # Errors
/// Exactly one [`ReadError`]; the certificate is judged before the key, and both before their match.
pub fn read_pair(
    certificate: &[u8],
    private_key: Option<&[u8]>,
    passphrase: Option<&str>,
) -> Result<(CertificateChain, PrivateKey), ReadError> {
    let part = Part::read(certificate, passphrase)?;
    let key_unreadable = |reason| ReadError::PrivateKeyUnreadable { reason };
    let chain = part.chain.map_err(|reason| ReadError::CertificateUnreadable { reason })?;
    let mut keys = part.keys;
    if let Some(private_key) = private_key.filter(|bytes| !bytes.trim_ascii().is_empty()) {
        let given = private_key::keys_of(private_key).map_err(key_unreadable)?;
        // A file with both in it is often given in both fields.
        if keys != given {
            keys.extend(given);
        }
    }
    let key = match keys.as_slice() {
        [] => Err(key_unreadable(Unreadable::NoPrivateKey)),
        [key] => key.open(passphrase),
        keys => Err(key_unreadable(Unreadable::SeveralPrivateKeys { count: keys.len() })),
    }?;
    let chain = chain.for_key(key.public_key()).ok_or(ReadError::KeyMismatch)?;
    Ok((chain, key))
}

/// Reads an uploaded certificate or chain: DER or PEM in its order, or PKCS#7, whose certificates have none and are put in
/// the order of issue; private keys beside it are ignored.
///
/// # Errors
/// [`ReadError::CertificateUnreadable`], also for PKCS#12, which is there for keys.
pub fn read_certificates(bytes: &[u8]) -> Result<CertificateChain, ReadError> {
    let unreadable = |reason| ReadError::CertificateUnreadable { reason };
    check_size(bytes).map_err(unreadable)?;
    if !pem::is_pem(bytes) && InputKind::of_bytes(bytes) == InputKind::Pkcs12 {
        return Err(unreadable(Unreadable::LooksLike(InputKind::Pkcs12)));
    }
    Part::read(bytes, None)?.chain.map_err(unreadable)
}

/// Why an upload was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The part holds no readable certificate, or something beside it that should not be there.
    #[error("the certificate cannot be read: {reason}")]
    CertificateUnreadable {
        /// What is wrong with it.
        reason: Unreadable,
    },
    /// There is not exactly one readable private key.
    #[error("the private key cannot be read: {reason}")]
    PrivateKeyUnreadable {
        /// What is wrong with it.
        reason: Unreadable,
    },
    /// The key is encrypted and no passphrase was given.
    #[error("the private key is encrypted; give its passphrase")]
    PassphraseRequired,
    /// The passphrase does not open the key.
    #[error("the passphrase does not open the private key; check it and try again")]
    PassphraseWrong,
    /// A readable key that no supported security policy takes, or one in an encryption that is not opened.
    #[error("{what}; {remedy}")]
    UnsupportedKey {
        /// What it is: "the private key is …".
        what: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The key belongs to none of the certificates.
    #[error(
        "the private key does not belong to the certificate; give the key that the certificate was made for"
    )]
    KeyMismatch,
}

/// What is wrong with bytes that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// Over the 256 KiB of an upload.
    #[error("it has {len} bytes, more than the {max} that are read")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// Something else than what was asked for.
    #[error("it looks like {0}")]
    LooksLike(InputKind),
    /// PEM that is damaged.
    #[error(transparent)]
    Pem(PemError),
    /// A damaged certificate, or bytes after one.
    #[error(transparent)]
    Certificate(CertificateError),
    /// A damaged PKCS#12 file.
    #[error("it is a damaged PKCS#12 file, or one of a form that is not read")]
    Pkcs12Malformed,
    /// A PKCS#12 file that no passphrase opens.
    #[error("the PKCS#12 file is protected by a public key; export it with a passphrase instead")]
    Pkcs12PublicKeyMode,
    /// A PKCS#12 file with more than is read.
    #[error(
        "the PKCS#12 file holds more than is read; export the one certificate with its key and its chain"
    )]
    Pkcs12TooMuch,
    /// A damaged private key.
    #[error("it is damaged or not the encoding of a private key")]
    KeyMalformed,
    /// No private key in either part.
    #[error("there is none; give the key that belongs to the certificate")]
    NoPrivateKey,
    /// A damaged revocation list.
    #[error("the revocation list in it cannot be read: {reason}")]
    RevocationList {
        /// What is wrong with it.
        reason: String,
    },
    /// More than one private key.
    #[error("there are {count} of them; give only the one that belongs to the certificate")]
    SeveralPrivateKeys {
        /// How many.
        count: usize,
    },
}

/// The largest part read, in bytes: that of an upload (`rest-api.md` §3).
pub(crate) const MAX_PART: usize = 256 * 1024;
const CONVERT_PKCS12: &str = "convert it with openssl pkcs12 -in FILE -out NEW.pem, from OpenSSL 3 on also with \
                              -legacy, and give NEW.pem as the certificate, with its new passphrase";

/// What the certificate's part holds.
struct Part {
    chain: Result<CertificateChain, Unreadable>,
    keys: Vec<KeyInput>,
}

impl Part {
    fn read(bytes: &[u8], passphrase: Option<&str>) -> Result<Self, ReadError> {
        let unreadable = |reason| ReadError::CertificateUnreadable { reason };
        check_size(bytes).map_err(unreadable)?;
        if !pem::is_pem(bytes) {
            return match InputKind::of_bytes(bytes) {
                InputKind::Pkcs12 => Self::of_pkcs12(bytes, passphrase),
                InputKind::Pkcs7 => {
                    let chain = pkcs7::certificates(bytes).map_err(Unreadable::Certificate);
                    Ok(Self { chain, keys: Vec::new() })
                }
                _ => {
                    let chain = chain_of_der(bytes, CertificateChain::MAX_LEN);
                    Ok(Self { chain, keys: Vec::new() })
                }
            };
        }
        let blocks = pem::blocks(bytes).map_err(|error| unreadable(Unreadable::Pem(error)))?;
        let chain = chain_of_blocks(&blocks);
        Ok(Self { chain, keys: private_key::keys_of_blocks(blocks) })
    }

    fn of_pkcs12(bytes: &[u8], passphrase: Option<&str>) -> Result<Self, ReadError> {
        let pkcs12::Contents { certificates, keys } = open_pkcs12(bytes, passphrase, pkcs12::Limits::PAIR)?;
        let chain = CertificateChain::from_unordered(certificates).map_err(Unreadable::Certificate);
        Ok(Self { chain, keys: keys.into_iter().map(KeyInput::pkcs8).collect() })
    }
}

fn open_pkcs12(
    bytes: &[u8],
    passphrase: Option<&str>,
    limits: pkcs12::Limits,
) -> Result<pkcs12::Contents, ReadError> {
    let unreadable = |reason| ReadError::CertificateUnreadable { reason };
    // An empty form field is a passphrase left out.
    let passphrase = passphrase.filter(|passphrase| !passphrase.is_empty());
    pkcs12::open(bytes, passphrase, limits).map_err(|error| match error {
        pkcs12::OpenError::PasswordRequired => ReadError::PassphraseRequired,
        pkcs12::OpenError::PasswordWrong => ReadError::PassphraseWrong,
        pkcs12::OpenError::Unopenable(reason) => {
            private_key::unsupported_encryption("the PKCS#12 file", &reason, CONVERT_PKCS12)
        }
        pkcs12::OpenError::Certificate(error) => unreadable(Unreadable::Certificate(error)),
        pkcs12::OpenError::Malformed => unreadable(Unreadable::Pkcs12Malformed),
        pkcs12::OpenError::PublicKeyMode => unreadable(Unreadable::Pkcs12PublicKeyMode),
        pkcs12::OpenError::TooMuch => unreadable(Unreadable::Pkcs12TooMuch),
    })
}

/// The certificates of `CERTIFICATE` blocks, or else those of the first PKCS#7 block.
fn chain_of_blocks(blocks: &[pem::Block<'_>]) -> Result<CertificateChain, Unreadable> {
    match CertificateChain::from_pem_blocks(blocks) {
        Err(CertificateError::Empty) => {
            match blocks.iter().find(|block| matches!(block.label, "PKCS7" | "CMS")) {
                Some(block) => pkcs7::certificates(&block.der).map_err(Unreadable::Certificate),
                None => Err(Unreadable::LooksLike(InputKind::of_pem(blocks))),
            }
        }
        other => other.map_err(Unreadable::Certificate),
    }
}

fn check_size(bytes: &[u8]) -> Result<(), Unreadable> {
    if bytes.len() > MAX_PART {
        return Err(Unreadable::TooLarge { len: bytes.len(), max: MAX_PART });
    }
    Ok(())
}

fn chain_of_der(bytes: &[u8], max: usize) -> Result<CertificateChain, Unreadable> {
    CertificateChain::from_der_blob(bytes, max).map_err(|error| {
        match (InputKind::of_bytes(bytes), error) {
            (InputKind::Certificate, error) => Unreadable::Certificate(error),
            // A certificate damaged at its end is still better named by what the decoder says.
            (InputKind::Der, error) if !matches!(error, CertificateError::Empty) => {
                Unreadable::Certificate(error)
            }
            (kind, _) => Unreadable::LooksLike(kind),
        }
    })
}

use crate::{CertificateChain, PrivateKey};

/// Reads an uploaded pair.
///
/// # Errors
/// When it is unreadable or does not belong together.
pub fn read_pair(
    _certificate: &[u8],
    _private_key: Option<&[u8]>,
    _passphrase: Option<&str>,
) -> Result<(CertificateChain, PrivateKey), ReadError> {
    todo!()
}

/// Reads an uploaded certificate or chain without a key.
///
/// # Errors
/// When it is unreadable.
pub fn read_certificates(_bytes: &[u8]) -> Result<CertificateChain, ReadError> {
    todo!()
}

/// What unreadable bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InputKind {
    /// Nothing at all.
    Empty,
}

/// Why a part could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// Nothing was given.
    #[error("it is empty")]
    Empty,
}

/// Why an upload was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The certificate's part holds no readable certificate.
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
    #[error("the passphrase does not open the private key")]
    PassphraseWrong,
    /// A key of a kind that cannot be used.
    #[error("{what}; {remedy}")]
    UnsupportedKey {
        /// What it is.
        what: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The key belongs to another certificate.
    #[error(
        "the private key does not belong to the certificate; give the key that the certificate was made for"
    )]
    KeyMismatch,
}

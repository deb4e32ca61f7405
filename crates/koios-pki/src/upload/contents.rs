//! Files of which nobody said what they hold: everything in them, none of it paired.

use super::private_key::{KeyInput, keys_of, keys_of_blocks};
use super::{InputKind, ReadError, Unreadable, chain_of_der, check_size, open_pkcs12};
use crate::chain::PEM_LABELS;
use crate::pkcs12::{self, Limits, MAX_STORED};
use crate::{Certificate, CertificateError, PrivateKey, RevocationList, pem, pkcs7};

/// What one file holds, each in its order.
#[derive(Default)]
#[non_exhaustive]
pub struct FileContents {
    /// Certificates; those that stand there twice, once.
    pub certificates: Vec<Certificate>,
    /// Private keys, with those that cannot be read or opened.
    pub private_keys: Vec<Result<PrivateKey, ReadError>>,
    /// Revocation lists.
    pub revocation_lists: Vec<RevocationList>,
}

impl std::fmt::Debug for FileContents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileContents")
            .field("certificates", &self.certificates)
            .field("private_keys", &self.private_keys.len())
            .field("revocation_lists", &self.revocation_lists)
            .finish()
    }
}

/// Reads whatever a file holds of certificates, private keys and revocation lists: in DER, PEM, PKCS#7, or PKCS#12, of
/// which key stores with several entries may be.
///
/// What is protected is tried without a passphrase, then with each of `passphrases`. At most 256 certificates are read.
///
/// # Errors
/// [`ReadError::CertificateUnreadable`] when it holds none of the three, or damaged certificates or revocation lists;
/// [`ReadError::PassphraseRequired`], [`ReadError::PassphraseWrong`] and [`ReadError::UnsupportedKey`] for PKCS#12 as a
/// whole. A single key that is not to be had is an error in [`FileContents::private_keys`].
pub fn read_contents(bytes: &[u8], passphrases: &[&str]) -> Result<FileContents, ReadError> {
    let unreadable = |reason| ReadError::CertificateUnreadable { reason };
    if pem::is_pem(bytes) {
        return read_pem(bytes, passphrases).map_err(unreadable);
    }
    let kind = InputKind::of_bytes(bytes);
    if kind == InputKind::RevocationList {
        let list = RevocationList::from_der(bytes)
            .map_err(|error| unreadable(Unreadable::RevocationList { reason: error.to_string() }))?;
        return Ok(FileContents { revocation_lists: vec![list], ..FileContents::default() });
    }
    check_size(bytes).map_err(unreadable)?;
    match kind {
        InputKind::Pkcs12 => {
            let pkcs12::Contents { certificates, keys } =
                first_that_opens(passphrases, |passphrase| open_pkcs12(bytes, passphrase, Limits::STORE))?;
            let keys = keys.into_iter().map(|der| KeyInput::pkcs8(der).open(None)).collect();
            Ok(FileContents { certificates, private_keys: keys, revocation_lists: Vec::new() })
        }
        InputKind::Pkcs7 => {
            let chain = pkcs7::certificates(bytes).map_err(Unreadable::Certificate).map_err(unreadable)?;
            Ok(FileContents { certificates: chain.iter().cloned().collect(), ..FileContents::default() })
        }
        InputKind::PrivateKey => {
            // The same file would be refused as a key for the same reason.
            let keys = keys_of(bytes).map_err(|reason| ReadError::PrivateKeyUnreadable { reason })?;
            Ok(FileContents { private_keys: open_keys(&keys, passphrases), ..FileContents::default() })
        }
        _ => {
            let chain = chain_of_der(bytes, MAX_STORED).map_err(unreadable)?;
            Ok(FileContents { certificates: once(chain.iter().cloned()), ..FileContents::default() })
        }
    }
}

fn read_pem(bytes: &[u8], passphrases: &[&str]) -> Result<FileContents, Unreadable> {
    // Only a revocation list may be longer than an upload.
    let blocks = match check_size(bytes) {
        Ok(()) => pem::blocks(bytes).map_err(Unreadable::Pem)?,
        Err(too_large) => {
            let list = RevocationList::from_pem(bytes).map_err(|_| too_large)?;
            return Ok(FileContents { revocation_lists: vec![list], ..FileContents::default() });
        }
    };
    let kind = InputKind::of_pem(&blocks);
    let mut certificates = Vec::new();
    let mut revocation_lists = Vec::new();
    for block in &blocks {
        match block.label {
            label if PEM_LABELS.contains(&label) => {
                certificates.push(Certificate::from_der(&block.der).map_err(Unreadable::Certificate)?);
            }
            "PKCS7" | "CMS" => {
                let chain = pkcs7::certificates(&block.der).map_err(Unreadable::Certificate)?;
                certificates.extend(chain.iter().cloned());
            }
            "X509 CRL" => revocation_lists.push(
                RevocationList::from_der(&block.der)
                    .map_err(|error| Unreadable::RevocationList { reason: error.to_string() })?,
            ),
            _ => {}
        }
        if certificates.len() > MAX_STORED {
            return Err(Unreadable::Certificate(CertificateError::TooMany { max: MAX_STORED }));
        }
    }
    let private_keys = open_keys(&keys_of_blocks(blocks), passphrases);
    if certificates.is_empty() && private_keys.is_empty() && revocation_lists.is_empty() {
        return Err(Unreadable::LooksLike(kind));
    }
    Ok(FileContents { certificates: once(certificates), private_keys, revocation_lists })
}

fn open_keys(keys: &[KeyInput], passphrases: &[&str]) -> Vec<Result<PrivateKey, ReadError>> {
    keys.iter().map(|key| first_that_opens(passphrases, |passphrase| key.open(passphrase))).collect()
}

/// What the first passphrase gives that is not refused, none being the first of all.
fn first_that_opens<T>(
    passphrases: &[&str],
    open: impl Fn(Option<&str>) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let mut last = open(None);
    for passphrase in passphrases {
        match last {
            Err(ReadError::PassphraseRequired | ReadError::PassphraseWrong) => last = open(Some(passphrase)),
            decided => return decided,
        }
    }
    last
}

fn once(certificates: impl IntoIterator<Item = Certificate>) -> Vec<Certificate> {
    let mut kept = Vec::new();
    for certificate in certificates {
        if !kept.contains(&certificate) {
            kept.push(certificate);
        }
    }
    kept
}

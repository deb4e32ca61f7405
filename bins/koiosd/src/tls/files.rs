//! Certificate and key from files that somebody else writes.

use std::{fs::Metadata, io, path::Path, time::SystemTime};

use rustls::{
    Error, InconsistentKeys,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use super::TlsError;

/// Longest file that is read; a long chain takes a few kilobytes.
const MAX_BYTES: u64 = 1 << 20;

const CERTIFICATE: &str = "tls.certificate";
const PRIVATE_KEY: &str = "tls.private_key";

/// Reads a pair, which must belong together.
pub(super) fn load(
    certificate: &Path,
    private_key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = chain_of(certificate, &read(CERTIFICATE, certificate)?)?;
    let key = key_of(private_key, &read(PRIVATE_KEY, private_key)?)?;
    let supported = provider.key_provider.load_private_key(key).map_err(|_| TlsError::Unusable {
        setting: PRIVATE_KEY,
        path: private_key.to_owned(),
        problem: "holds a key that TLS cannot use; RSA from 2048 bits, P-256, P-384 and Ed25519 would do",
    })?;
    let pair = CertifiedKey::new(chain, supported);
    match pair.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
        Err(Error::InconsistentKeys(_)) => Err(TlsError::Mismatch {
            certificate: certificate.to_owned(),
            private_key: private_key.to_owned(),
        }),
        Err(source) => Err(TlsError::Refused { certificate: certificate.to_owned(), source }),
    }
}

fn read(setting: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let failed = |source| TlsError::Unreadable { setting, path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    // A pipe would make the reader wait for ever.
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is no file of at most 1 MiB")));
    }
    std::fs::read(path).map(Zeroizing::new).map_err(failed)
}

fn chain_of(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |problem| TlsError::Unusable { setting: CERTIFICATE, path: path.to_owned(), problem };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| unusable("is broken: a PEM block in it cannot be read"))?;
    if chain.is_empty() {
        return Err(unusable(
            "holds no certificate; PEM blocks `CERTIFICATE` are expected, the server's first",
        ));
    }
    Ok(chain)
}

fn key_of(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let unusable = |problem| TlsError::Unusable { setting: PRIVATE_KEY, path: path.to_owned(), problem };
    let is_encrypted = [&b"BEGIN ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| pem.windows(mark.len()).any(|window| window == *mark));
    if is_encrypted {
        return Err(unusable("is encrypted; it must be there in plain form, readable for the daemon alone"));
    }
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| unusable("holds no private key; PKCS#8, PKCS#1 or SEC1 in PEM would do"))
}

/// What tells that files were written anew.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Stamps(Vec<Option<(Option<SystemTime>, u64, u64)>>);

impl Stamps {
    pub(super) fn of(paths: &[&Path]) -> Self {
        let stamp = |metadata: Metadata| (metadata.modified().ok(), metadata.len(), inode(&metadata));
        Self(paths.iter().map(|path| std::fs::metadata(path).ok().map(stamp)).collect())
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

//! Device passwords and other small secrets, encrypted under the master key, which is in `secrets.key` unless one from
//! outside is given.
//!
//! AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce; what a secret belongs to is the associated data, so that a
//! password moved to another device's row does not open.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use crate::atomic::{self, Access};
use crate::error::{BoxError, OpenError, StoreError};
use crate::id::DeviceId;
use crate::key_files::read_bounded;
use crate::layout::Layout;

/// Length of the key in `secrets.key`, in bytes.
pub(crate) const KEY_LEN: usize = 32;

/// First byte of a sealed password, so that another way of sealing can come beside this one.
const FORMAT: u8 = 1;

/// What wraps device passwords and the keys of the database: the master key.
pub(crate) struct SecretsKey(RandomizedNonceKey);

impl SecretsKey {
    /// Reads the key, or makes one.
    ///
    /// Without the file, passwords sealed before cannot be opened any more
    /// ([`StoreError::PasswordUnreadable`]); all else works, so a lost key is a warning and no reason to keep
    /// every device disconnected.
    pub(crate) fn open(layout: &Layout, passwords_stored: bool) -> Result<Self, OpenError> {
        let path = layout.secrets_key();
        match read_bounded(&path, 4096) {
            Ok(bytes) => {
                let bytes = Zeroizing::new(bytes);
                tighten(&path).map_err(|source| OpenError::io(&path, source))?;
                Self::from_bytes(&bytes).ok_or_else(|| damaged(&path, None))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if passwords_stored {
                    tracing::warn!(
                        path = %path.display(),
                        "secrets.key is missing: a new one is made, and stored device passwords must be entered again"
                    );
                }
                Self::create(&path)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(damaged(&path, Some(error.into())))
            }
            Err(error) => Err(OpenError::io(&path, error)),
        }
    }

    /// Reads a key, which must be there.
    pub(crate) fn read(path: &Path) -> Result<Self, OpenError> {
        let bytes = read_bounded(path, 4096).map_err(|source| OpenError::io(path, source))?;
        Self::from_bytes(&Zeroizing::new(bytes)).ok_or_else(|| damaged(path, None))
    }

    fn create(path: &Path) -> Result<Self, OpenError> {
        let bytes = random_key().map_err(|error| OpenError::io(path, io::Error::other(error)))?;
        atomic::replace(path, bytes.as_ref(), Access::Secret)
            .map_err(|source| OpenError::io(path, source))?;
        Self::from_bytes(bytes.as_ref()).ok_or_else(|| damaged(path, None))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != KEY_LEN {
            return None;
        }
        RandomizedNonceKey::new(&AES_256_GCM, bytes).ok().map(Self)
    }

    /// Seals a device's password.
    pub(crate) fn seal(&self, device: DeviceId, password: &str) -> Result<Vec<u8>, StoreError> {
        self.seal_bytes(&associated_data(device), password.as_bytes())
    }

    /// Format byte, nonce, ciphertext and tag.
    pub(crate) fn seal_bytes(&self, associated_data: &[u8], secret: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut sealed = Zeroizing::new(Vec::with_capacity(secret.len().saturating_add(64)));
        sealed.extend_from_slice(secret);
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(associated_data), &mut *sealed)
            .map_err(|source| StoreError::corrupt("a secret that cannot be encrypted", source))?;
        let mut stored = Vec::with_capacity(sealed.len().saturating_add(1 + NONCE_LEN));
        stored.push(FORMAT);
        stored.extend_from_slice(nonce.as_ref());
        stored.extend_from_slice(&sealed);
        Ok(stored)
    }

    /// Opens what [`SecretsKey::seal`] made for the same device.
    pub(crate) fn open_password(
        &self,
        device: DeviceId,
        stored: &[u8],
    ) -> Result<Zeroizing<String>, StoreError> {
        let unreadable = || StoreError::PasswordUnreadable { device };
        let plain = self.open_bytes(&associated_data(device), stored).ok_or_else(unreadable)?;
        std::str::from_utf8(&plain).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| unreadable())
    }

    /// Seals under `new` what this key opens; `None` when it does not open it.
    pub(crate) fn seal_anew(
        &self,
        new: &Self,
        associated_data: &[u8],
        stored: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let opened = self.open_bytes(associated_data, stored);
        opened.map(|plain| new.seal_bytes(associated_data, &plain)).transpose()
    }

    /// Opens what [`SecretsKey::seal_bytes`] made with the same associated data; `None` when this is not that key, or
    /// those are other bytes.
    pub(crate) fn open_bytes(&self, associated_data: &[u8], stored: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (FORMAT, rest) = stored.split_first().map(|(format, rest)| (*format, rest))? else { return None };
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.0.open_in_place(nonce, Aad::from(associated_data), &mut opened).ok()?.len();
        opened.truncate(plain);
        Some(opened)
    }
}

impl std::fmt::Debug for SecretsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretsKey([key elided])")
    }
}

/// A new key.
pub(crate) fn random_key() -> Result<Zeroizing<[u8; KEY_LEN]>, StoreError> {
    let mut bytes = Zeroizing::new([0; KEY_LEN]);
    aws_lc_rs::rand::fill(bytes.as_mut())
        .map_err(|source| StoreError::corrupt("the system's source of randomness", source))?;
    Ok(bytes)
}

pub(crate) fn associated_data(device: DeviceId) -> Vec<u8> {
    [b"koios device password ".as_slice(), device.as_uuid().as_bytes()].concat()
}

/// Takes read rights away that a copy or a restore may have given to others.
fn tighten(path: &Path) -> io::Result<()> {
    let file: File = OpenOptions::new().read(true).open(path)?;
    atomic::restrict(&file, Access::Secret)
}

fn damaged(path: &Path, source: Option<BoxError>) -> OpenError {
    OpenError::Damaged {
        path: path.to_owned(),
        problem: format!("it does not hold {KEY_LEN} bytes"),
        remedy: "put the file back from a backup, or move it away and enter the devices' passwords again",
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SecretsKey {
        SecretsKey::from_bytes(&[7; KEY_LEN]).unwrap()
    }

    #[test]
    fn a_password_opens_for_its_own_device_alone() {
        let (device, other) = (DeviceId::generate(), DeviceId::generate());
        let sealed = key().seal(device, "pässword").unwrap();
        assert_eq!(*key().open_password(device, &sealed).unwrap(), "pässword");
        assert!(matches!(key().open_password(other, &sealed), Err(StoreError::PasswordUnreadable { .. })));
    }

    #[test]
    fn a_sealed_password_shows_nothing_and_differs_each_time() {
        let device = DeviceId::generate();
        let (one, two) = (key().seal(device, "secret").unwrap(), key().seal(device, "secret").unwrap());
        assert_ne!(one, two);
        assert!(!one.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn damaged_bytes_are_refused_without_a_panic() {
        let device = DeviceId::generate();
        let sealed = key().seal(device, "secret").unwrap();
        for len in 0..sealed.len() {
            assert!(key().open_password(device, &sealed[..len]).is_err(), "{len}");
        }
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(key().open_password(device, &changed).is_err(), "{index}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", key()), "SecretsKey([key elided])");
    }
}

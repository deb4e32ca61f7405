//! Where a master key outside of the data directory comes from.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use koios_store::MasterKey;
use zeroize::Zeroizing;

use super::ConfigError;

/// The master key itself, for machines that keep secrets in the environment.
const VARIABLE: &str = "KOIOS_MASTER_KEY";

/// The name of the systemd credential (`LoadCredential=`, `LoadCredentialEncrypted=`).
const CREDENTIAL: &str = "koios-master-key";

/// Longer than any form of a key, with white space around it.
const MAX_BYTES: u64 = 4096;

/// The one key that is given, if any.
pub(super) fn find(file: Option<&Path>) -> Result<Option<MasterKey>, ConfigError> {
    let mut given = Vec::new();
    if let Some(path) = file {
        given.push((format!("master_key_file ({})", path.display()), read(path)));
    }
    if let Some(text) = env::var_os(VARIABLE) {
        let text = text.into_string().map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
        given.push((VARIABLE.to_owned(), text.map(|text| Zeroizing::new(text.into_bytes()))));
    }
    if let Some(path) = credential() {
        given.push((format!("the systemd credential {CREDENTIAL}"), read(&path)));
    }
    let mut given = given.into_iter();
    let Some((origin, contents)) = given.next() else { return Ok(None) };
    if let Some((other, _)) = given.next() {
        return Err(ConfigError::SeveralMasterKeys(origin, other));
    }
    let unusable = |source: Box<dyn std::error::Error + Send + Sync>| ConfigError::MasterKey {
        origin: origin.clone(),
        source,
    };
    let contents = contents.map_err(|source| unusable(source.into()))?;
    MasterKey::parse(&contents, origin.clone()).map(Some).map_err(|source| unusable(source.into()))
}

/// systemd.exec(5) names the folder in the environment; without the credential there is no such file in it.
fn credential() -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os("CREDENTIALS_DIRECTORY")?).join(CREDENTIAL);
    path.exists().then_some(path)
}

/// Reads a key's file.
pub(crate) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let metadata = fs::metadata(path)?;
    // A pipe or a device would be read for ever.
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no file of a key's length"));
    }
    fs::read(path).map(Zeroizing::new)
}

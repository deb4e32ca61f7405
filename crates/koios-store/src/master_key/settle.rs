//! What a start does about the master key: the one that was given is made the one in force, or the start is refused.

use crate::atomic;
use crate::audit::AuditEntry;
use crate::blocking::store_blocking;
use crate::database::{Connection, Database};
use crate::error::{OpenError, StoreError};
use crate::facts;
use crate::instant;
use crate::layout::Layout;
use crate::secrets::SecretsKey;
use crate::store::blocking_open;

use super::MasterKey;
use super::rewrap::{put_next_in_place, rewrap};
use super::witness::{InForce, NotInForce, Witness};

/// Where the master key in force is kept.
const FACT: &str = "master key";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    DataDirectory,
    External,
}

impl Place {
    fn as_str(self) -> &'static str {
        match self {
            Self::DataDirectory => "data directory",
            Self::External => "external",
        }
    }
}

/// What to do when a master key is kept outside, and not given.
pub(crate) const NAME_IT: &str = "name it with the setting master_key_file, in the environment's KOIOS_MASTER_KEY or as the systemd \
                                  credential koios-master-key";

/// What depends on the master key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetUp {
    /// Whether any device has a password.
    pub(crate) passwords_stored: bool,
    /// Whether private keys are encrypted, wholly or in part.
    pub(crate) keys_encrypted: bool,
}

/// Whether the master key in force is kept outside of the data directory.
pub(crate) async fn is_external(connection: &mut Connection) -> Result<bool, StoreError> {
    Ok(facts::read(connection, FACT).await?.as_deref() == Some(Place::External.as_str()))
}

pub(super) async fn note_place(connection: &mut Connection, place: Place) -> Result<(), StoreError> {
    facts::write(connection, FACT, place.as_str()).await
}

/// The master key in force. A given one takes the place of `secrets.key`, which goes; a change that was cut off is
/// completed or taken back.
pub(crate) async fn settle(
    layout: &Layout,
    database: &Database,
    given: Option<&MasterKey>,
    set_up: SetUp,
) -> Result<SecretsKey, OpenError> {
    let InForce { witness, is_external } = read(layout, database).await?;
    let layout = layout.clone();
    match given {
        Some(master) => {
            let key = master.secrets_key().ok_or_else(|| not_this_one(&layout, master))?;
            match make_external(&layout, database, &key, witness, is_external).await {
                Ok(Since::Before) => {}
                Ok(Since::Now) => tracing::info!(
                    origin = master.origin(),
                    "this master key is in force now, in the place of secrets.key, which is removed: keep a copy of it, \
                     without it passwords and encrypted private keys are lost"
                ),
                Ok(Since::Never) => return Err(not_this_one(&layout, master)),
                Err(error) => return Err(OpenError::store(&layout, error)),
            }
            Ok(key)
        }
        None if is_external => Err(none_given(&layout)),
        None => blocking_open(move || keep_internal(&layout, witness.as_ref(), set_up)).await,
    }
}

/// The master key in force, for a process that changes nothing.
pub(crate) async fn for_reading(
    layout: &Layout,
    database: &Database,
    given: Option<&MasterKey>,
) -> Result<SecretsKey, OpenError> {
    let in_force = read(layout, database).await?;
    if in_force.is_external {
        return in_force.external_key(given).map_err(|why| match why {
            NotInForce::NoneGiven => none_given(layout),
            NotInForce::Another(master) => not_this_one(layout, master),
        });
    }
    // One that is given is not in force before the next start.
    let layout = layout.clone();
    blocking_open(move || {
        let next = SecretsKey::read(&layout.next_secrets_key())
            .ok()
            .filter(|key| in_force.witness.is_some_and(|witness| witness.opens(key)));
        next.map_or_else(|| SecretsKey::read(&layout.secrets_key()), Ok)
    })
    .await
}

async fn read(layout: &Layout, database: &Database) -> Result<InForce, OpenError> {
    let read = async { InForce::read(&mut *database.read().await?).await };
    read.await.map_err(|error| OpenError::store(layout, error))
}

fn not_this_one(layout: &Layout, master: &MasterKey) -> OpenError {
    OpenError::MasterKey {
        path: layout.root().to_owned(),
        problem: format!("its secrets are sealed under another master key than {}", master.origin()),
        remedy: "give the one that it was last started with; `koiosd master-key rotate` puts another one in its place",
    }
}

fn none_given(layout: &Layout) -> OpenError {
    OpenError::MasterKey {
        path: layout.root().to_owned(),
        problem: "its secrets are sealed under a master key from outside, and none is given".to_owned(),
        remedy: NAME_IT,
    }
}

/// Since when a key from outside is the master key.
enum Since {
    Before,
    Now,
    /// Neither it nor one in the data directory is the one that everything is sealed under.
    Never,
}

async fn make_external(
    layout: &Layout,
    database: &Database,
    key: &SecretsKey,
    witness: Option<Witness>,
    external: bool,
) -> Result<Since, StoreError> {
    let (root, kept) = (layout.clone(), layout.clone());
    let kept = store_blocking(move || Ok(kept_keys(&kept))).await?;
    let opens = |key: &SecretsKey| witness.as_ref().is_some_and(|witness| witness.opens(key));
    if witness.is_none() || opens(key) {
        if !external {
            let (_turn, mut write) = database.write().await?;
            note_place(&mut write, Place::External).await?;
            database.commit(write).await?;
        }
        // A file of the directory may have been given as the one from outside.
        if !kept.iter().any(opens) {
            store_blocking(move || remove_kept_keys(&root)).await?;
        }
        return Ok(Since::Before);
    }
    let Some(old) = kept.iter().find(|kept| opens(kept)) else { return Ok(Since::Never) };
    let entry = AuditEntry::new(instant::now(), "koios", "master_key.replaced");
    rewrap(database, old, key, Place::External, entry).await?;
    store_blocking(move || remove_kept_keys(&root)).await?;
    Ok(Since::Now)
}

fn keep_internal(layout: &Layout, witness: Option<&Witness>, set_up: SetUp) -> Result<SecretsKey, OpenError> {
    let opens = |key: &SecretsKey| witness.is_some_and(|witness| witness.opens(key));
    let next = layout.next_secrets_key();
    if next.symlink_metadata().is_ok() {
        let settled = match SecretsKey::read(&next).is_ok_and(|key| opens(&key)) {
            true => put_next_in_place(layout),
            false => atomic::remove_file(&next).map_err(|source| StoreError::io(&next, source)),
        };
        settled.map_err(|error| OpenError::store(layout, error))?;
    }
    let path = layout.secrets_key();
    let lost = |problem: &str| OpenError::Damaged {
        path: path.clone(),
        problem: problem.to_owned(),
        remedy: "put back the secrets.key that belongs to this koios.db, or restore a backup: without it, the private keys are \
                 lost",
        source: None,
    };
    if set_up.keys_encrypted && path.symlink_metadata().is_err() {
        return Err(lost("it is missing, and the private keys are encrypted under it"));
    }
    let key = SecretsKey::open(layout, set_up.passwords_stored)?;
    if set_up.keys_encrypted && !opens(&key) {
        return Err(lost("it is not the key that the private keys are encrypted under"));
    }
    Ok(key)
}

/// The keys in the data directory that can be read.
fn kept_keys(layout: &Layout) -> Vec<SecretsKey> {
    let paths = [layout.secrets_key(), layout.next_secrets_key()];
    paths.iter().filter_map(|path| SecretsKey::read(path).ok()).collect()
}

/// Removes keys of the data directory that open nothing any more.
pub(super) fn remove_kept_keys(layout: &Layout) -> Result<(), StoreError> {
    for path in [layout.secrets_key(), layout.next_secrets_key()] {
        atomic::remove_file(&path).map_err(|source| StoreError::io(&path, source))?;
    }
    atomic::sync_folder(layout.root()).map_err(|source| StoreError::io(layout.root(), source))
}

//! What tells whether a key is the master key: something that only that one opens.

use super::MasterKey;
use super::settle::is_external;
use crate::database::Connection;
use crate::error::StoreError;
use crate::sealed_keys::{SealedKey, SealedKeys};
use crate::secrets::SecretsKey;

/// A sealed key of the database.
#[derive(Debug)]
pub(crate) struct Witness(SealedKey);

impl Witness {
    /// `None` in a database in which nothing was ever sealed.
    pub(crate) async fn find(connection: &mut Connection) -> Result<Option<Self>, StoreError> {
        let newest = match SealedKeys::DATA.newest(&mut *connection).await? {
            // A database that an earlier version wrote last.
            None => SealedKeys::AUDIT.newest(connection).await?,
            newest => newest,
        };
        Ok(newest.map(Self))
    }

    pub(crate) fn opens(&self, key: &SecretsKey) -> bool {
        self.0.open(key).is_some()
    }
}

/// What a database says about the master key that is in force.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) witness: Option<Witness>,
    /// Whether it is kept outside of the data directory.
    pub(crate) is_external: bool,
}

/// Why a master key from outside is not the one in force.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NotInForce<'a> {
    NoneGiven,
    Another(&'a MasterKey),
}

impl InForce {
    pub(crate) async fn read(connection: &mut Connection) -> Result<Self, StoreError> {
        Ok(Self {
            witness: Witness::find(&mut *connection).await?,
            is_external: is_external(connection).await?,
        })
    }

    /// The one that is kept outside, when it is the one that was given.
    pub(crate) fn external_key<'a>(
        &self,
        given: Option<&'a MasterKey>,
    ) -> Result<SecretsKey, NotInForce<'a>> {
        let master = given.ok_or(NotInForce::NoneGiven)?;
        let opens = |key: &SecretsKey| self.witness.as_ref().is_none_or(|witness| witness.opens(key));
        master.secrets_key().filter(opens).ok_or(NotInForce::Another(master))
    }
}

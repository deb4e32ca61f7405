//! The master key, in `secrets.key` or from outside.

use super::finding::{CheckCode, CheckFinding, CheckPart};
use crate::database::Database;
use crate::error::{StoreError, with_causes};
use crate::layout::Layout;
use crate::master_key::{InForce, MasterKey, NAME_IT, NotInForce};
use crate::secrets::SecretsKey;

/// Finds the master key in force, or says why that cannot be.
pub(super) async fn open(
    layout: &Layout,
    database: Option<&Database>,
    given: Option<&MasterKey>,
) -> Result<Result<SecretsKey, CheckFinding>, StoreError> {
    let in_force = match database {
        Some(database) => InForce::read(&mut *database.read().await?).await?,
        None => InForce { witness: None, is_external: given.is_some() },
    };
    // One that is given is not in force before the next start.
    if !in_force.is_external {
        return Ok(internal(layout));
    }
    Ok(in_force.external_key(given).map_err(|why| match why {
        NotInForce::NoneGiven => finding(
            CheckCode::MasterKeyMissing,
            "the master key",
            "it is kept outside of the data directory, and not given: passwords, encrypted keys and the audit trail cannot be \
             examined",
            NAME_IT,
        ),
        NotInForce::Another(master) => finding(
            CheckCode::MasterKeyWrong,
            master.origin(),
            "it is not the master key that the secrets are sealed under",
            "give the one that the daemon was last started with; without it, passwords and encrypted private keys are lost",
        ),
    }))
}

fn internal(layout: &Layout) -> Result<SecretsKey, CheckFinding> {
    let subject = "secrets.key";
    if layout.secrets_key().symlink_metadata().is_err() {
        return Err(finding(
            CheckCode::SecretsKeyMissing,
            subject,
            "it is not there: stored passwords and encrypted private keys cannot be opened, nor the audit trail verified",
            "put it back from a backup before the next start, which would make a new one; without a backup, start the \
             daemon and enter the devices' passwords again",
        ));
    }
    SecretsKey::read(&layout.secrets_key()).map_err(|error| {
        finding(
            CheckCode::SecretsKeyDamaged,
            subject,
            with_causes(&error),
            "put it back from a backup; without one, move it away, start the daemon and enter the devices' passwords \
             again",
        )
    })
}

fn finding(code: CheckCode, subject: &str, problem: impl Into<String>, remedy: &str) -> CheckFinding {
    CheckFinding::new(CheckPart::Secrets, code, subject, problem, remedy)
}

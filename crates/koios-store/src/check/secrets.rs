//! The master key, in `secrets.key` or from outside.

use super::finding::{CheckCode, CheckFinding, CheckPart};
use crate::database::Database;
use crate::error::{StoreError, with_causes};
use crate::layout::Layout;
use crate::master_key::{self, MasterKey, Witness};
use crate::secrets::SecretsKey;

/// Finds the master key in force, or says why that cannot be.
pub(super) async fn open(
    layout: &Layout,
    database: Option<&Database>,
    given: Option<&MasterKey>,
) -> Result<Result<SecretsKey, CheckFinding>, StoreError> {
    let (witness, external) = match database {
        Some(database) => {
            let mut connection = database.read().await?;
            (Witness::find(&mut connection).await?, master_key::is_external(&mut connection).await?)
        }
        None => (None, given.is_some()),
    };
    // One that is given is not in force before the next start.
    if !external {
        return Ok(internal(layout));
    }
    let Some(master) = given else {
        return Ok(Err(finding(
            CheckCode::MasterKeyMissing,
            "the master key",
            "it is kept outside of the data directory, and not given: passwords, encrypted keys and the audit trail cannot be \
             examined",
            "name it with the setting master_key_file, in the environment's KOIOS_MASTER_KEY or as the systemd credential \
             koios-master-key",
        )));
    };
    let opens = |key: &SecretsKey| witness.as_ref().is_none_or(|witness| witness.opens(key));
    Ok(master.secrets_key().filter(opens).ok_or_else(|| {
        finding(
            CheckCode::MasterKeyWrong,
            master.origin(),
            "it is not the master key that the secrets are sealed under",
            "give the one that the daemon was last started with; without it, passwords and encrypted private keys are lost",
        )
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

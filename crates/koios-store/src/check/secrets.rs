//! `secrets.key`.

use super::finding::{CheckCode, CheckFinding, CheckPart};
use crate::error::with_causes;
use crate::layout::Layout;
use crate::secrets::SecretsKey;

/// Reads the key, or says why that cannot be.
pub(super) fn open(layout: &Layout) -> Result<SecretsKey, CheckFinding> {
    let finding =
        |code, problem, remedy| CheckFinding::new(CheckPart::Secrets, code, "secrets.key", problem, remedy);
    if layout.secrets_key().symlink_metadata().is_err() {
        return Err(finding(
            CheckCode::SecretsKeyMissing,
            "it is not there: stored passwords cannot be opened, nor the audit trail verified".to_owned(),
            "put it back from a backup before the next start, which would make a new one; without a backup, start the \
             daemon and enter the devices' passwords again",
        ));
    }
    SecretsKey::open_existing(layout).map_err(|error| {
        finding(
            CheckCode::SecretsKeyDamaged,
            with_causes(&error),
            "put it back from a backup; without one, move it away, start the daemon and enter the devices' passwords \
             again",
        )
    })
}

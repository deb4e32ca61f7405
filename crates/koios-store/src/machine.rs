//! On which machine the data directory was used last: a copy that runs on another one has the same keys.

use std::path::Path;

use crate::audit::AuditEntry;
use crate::error::StoreError;
use crate::facts;
use crate::file_digest::{hex, sha256};
use crate::instant;
use crate::key_files::read_bounded;
use crate::store::{Apply, Store};

/// Where systemd and its like keep what tells one machine from another (machine-id(5)).
pub(crate) const MACHINE_ID: &str = "/etc/machine-id";

const FACT: &str = "machine";

impl Store {
    /// Warns, and leaves a trace, when the directory was last used on another machine.
    pub(crate) async fn notice_machine(&self, machine_id: &Path) -> Result<(), StoreError> {
        let Some(machine) = fingerprint(machine_id) else { return Ok(()) };
        let known = facts::read(&mut *self.inner.database.read().await?, FACT).await?;
        if known.as_deref() == Some(&machine) {
            return Ok(());
        }
        let mut store = self.clone();
        if known.is_some() {
            tracing::warn!(
                path = %self.data_dir().display(),
                "this data directory was last used on another machine: if that one still runs with its copy, two gateways \
                 have the same private keys; stop one of them, or regenerate its certificates"
            );
            store = self.recording(AuditEntry::new(instant::now(), "koios", "data_directory.moved"));
        }
        let mut write = store.begin().await?;
        facts::write(write.connection(), FACT, &machine).await?;
        write.finish(Apply::Commit).await
    }
}

/// machine-id(5): the id itself is not to be given away, so a hash of it is kept. `None` where there is none, as in many
/// containers.
fn fingerprint(machine_id: &Path) -> Option<String> {
    let text = String::from_utf8(read_bounded(machine_id, 1024).ok()?).ok()?;
    let id = text.trim();
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hash = sha256(&[b"koios data directory ", id.as_bytes()]);
    is_id.then(|| hex(&hash))
}

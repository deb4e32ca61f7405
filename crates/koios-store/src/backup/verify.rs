//! Whether what a backup holds belongs together: rows with files, keys with certificates, and the default.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use koios_pki::{CertificateRequest, PrivateKey};
use zeroize::Zeroizing;

use super::collect::blocking;
use super::manifest::{Place, SECRETS_KEY};
use super::rows::{CertificateRows, Rows};
use super::{BackupError, Unpacked};
use crate::audit;
use crate::data_key;
use crate::database::Database;
use crate::error::StoredFile;
use crate::file_digest::FileDigest;
use crate::key_files::{KeyFile, KeyFiles, KeyForm};
use crate::master_key::{InForce, MasterKey, NotInForce};
use crate::progress::Progress;
use crate::secrets::SecretsKey;

const MAX_PROBLEMS: usize = 100;

/// A backup whose parts belong together.
pub(crate) struct Verified {
    pub(crate) rows: Rows,
    /// What was wrong already when the backup was made: for a person to know, and no reason not to restore it.
    pub(crate) warnings: Vec<String>,
}

/// Looks at everything. `database` is the one of the backup, in the present format.
pub(crate) async fn verify(
    database: &Database,
    unpacked: &Arc<Unpacked>,
    master: Option<&MasterKey>,
    progress: &Progress,
) -> Result<Verified, BackupError> {
    progress.tell("verifying the database", 0, None);
    let mut problems = database.damage().await?;
    problems.extend(database.broken_references().await?.iter().map(ToString::to_string));
    if !problems.is_empty() {
        return Err(BackupError::Contradictory { problems });
    }
    let rows = Rows::read(database).await?;
    let secrets = secrets(database, &rows, unpacked, master).await?;
    let data_key = data_key::newest(&mut *database.read().await?, &secrets).await?;
    let keys = KeyFiles::new(data_key, KeyForm::Encrypted);
    progress.tell("verifying the audit trail", 0, None);
    let audit = audit::verify(database, &secrets, &[]).await?;
    let (unpacked, progress) = (Arc::clone(unpacked), progress.clone());
    blocking(move || {
        let mut found = Findings { keys, problems: Vec::new(), warnings: Vec::new() };
        found.files(&rows, &unpacked, &progress);
        found.invariants(&rows);
        let unreadable = rows.devices.iter().filter(|device| {
            device.password.as_ref().is_some_and(|sealed| secrets.open_password(device.id, sealed).is_err())
        });
        found.warnings.extend(
            unreadable
                .map(|device| format!("the password of device {:?} must be entered again", device.name)),
        );
        found.warnings.extend(audit.faults.iter().map(|fault| format!("audit trail: {fault}")));
        found.problems.truncate(MAX_PROBLEMS);
        match found.problems.is_empty() {
            true => Ok(Verified { rows, warnings: found.warnings }),
            false => Err(BackupError::Contradictory { problems: found.problems }),
        }
    })
    .await
}

/// The master key that was in force.
async fn secrets(
    database: &Database,
    rows: &Rows,
    unpacked: &Unpacked,
    master: Option<&MasterKey>,
) -> Result<SecretsKey, BackupError> {
    if !rows.external_master_key {
        let bytes = unpacked.files.get(SECRETS_KEY);
        let bytes = bytes.ok_or_else(|| BackupError::damaged(format!("{SECRETS_KEY} is not in it")))?;
        return SecretsKey::from_bytes(bytes)
            .ok_or_else(|| BackupError::damaged("its secrets.key holds no key"));
    }
    let in_force = InForce::read(&mut *database.read().await?).await?;
    in_force.external_key(master).map_err(|why| BackupError::MasterKey {
        problem: match why {
            NotInForce::NoneGiven => "none is given".to_owned(),
            NotInForce::Another(master) => format!("{} is another one", master.origin()),
        },
    })
}

struct Findings {
    keys: KeyFiles,
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Findings {
    fn files(&mut self, rows: &Rows, unpacked: &Unpacked, progress: &Progress) {
        let left_out: BTreeMap<&str, &str> =
            unpacked.manifest.left_out.iter().map(|left| (left.path.as_str(), left.why.as_str())).collect();
        let mut named = BTreeSet::new();
        for row in progress.over("verifying certificates", &rows.certificates) {
            for (path, file, digest) in row.files() {
                match (unpacked.files.get(&path), left_out.get(path.as_str())) {
                    (Some(contents), _) if FileDigest::of(contents) == digest => {
                        if file == StoredFile::PrivateKey {
                            self.key(row, &path, contents);
                        }
                    }
                    (Some(_), _) => self.problems.push(format!("{path} is not the file that its row names")),
                    (None, Some(why)) => self.warnings.push(format!(
                        "{path} of {:?} is not in the backup: when it was made, {why}",
                        row.name
                    )),
                    (None, None) => {
                        self.problems.push(format!("{path}, which the database names, is not there"));
                    }
                }
                named.insert(path);
            }
            if row.digests.certificate != FileDigest::of(row.chain.leaf().der()) {
                self.problems.push(format!("the row of {:?} names another certificate's file", row.name));
            }
        }
        let certificate = |path: &&String| matches!(Place::parse(path), Some(Place::Certificate(..)));
        let unnamed = unpacked.files.keys().filter(certificate).filter(|path| !named.contains(*path));
        self.problems.extend(unnamed.map(|path| format!("{path} is no file that the database names")));
    }

    /// A key of a generation in use belongs to the certificate, that of another one to the request that waits.
    fn key(&mut self, row: &CertificateRows, path: &str, contents: &Zeroizing<Vec<u8>>) {
        let pem = self.keys.key_of(KeyFile::from_bytes(contents.to_vec()));
        let key = match pem.and_then(|pem| PrivateKey::from_pem(&pem)) {
            Ok(key) => key,
            Err(error) => {
                self.warnings.push(format!(
                    "{path} of {:?} is as it was stored, but cannot be examined: {error}",
                    row.name
                ));
                return;
            }
        };
        let staged = row.staged.as_ref().filter(|staged| {
            matches!(Place::parse(path), Some(Place::Certificate(_, generation, _)) if generation == staged.generation)
        });
        let belongs = match staged {
            None => key.matches(row.chain.leaf()),
            Some(staged) => CertificateRequest::from_der(&staged.request)
                .is_ok_and(|request| request.public_key().spki_der() == key.public_key().spki_der()),
        };
        if !belongs {
            self.problems.push(format!("{path} is not the key of {:?}", row.name));
        }
    }

    fn invariants(&mut self, rows: &Rows) {
        let defaults = rows.certificates.iter().filter(|row| row.is_default).count();
        if !rows.certificates.is_empty() && defaults != 1 {
            self.problems.push(format!("{defaults} certificates are the default, not one"));
        }
        if rows.trust_moving {
            self.problems.push("a change of the trust lists was under way".to_owned());
        }
    }
}

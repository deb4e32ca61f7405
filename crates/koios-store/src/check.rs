//! Examines a data directory without opening it for use: what is wrong, what to do about it, and the mends that cannot
//! lose anything.

mod certificates;
mod database;
mod devices;
mod directory;
mod finding;
mod generations;
mod repair;
mod secrets;
mod trust_lists;

use std::collections::HashSet;
use std::time::Duration;

pub use finding::{CheckCode, CheckFinding, CheckPart, Repair, RepairKind};

use crate::audit;
use crate::blocking::store_blocking;
use crate::database::Database;
use crate::directory_lock::{self, DirectoryLock};
use crate::error::{OpenError, StoreError};
use crate::layout::Layout;
use crate::master_key::MasterKey;
use crate::progress::Progress;
use crate::restore::require_settled;
use crate::secrets::SecretsKey;
use crate::store::StoreOptions;
use crate::trust_lists::noted_file_moves;

/// Beside a running process a change may be under way: what it may account for is looked at so often, and what is gone
/// at one of the looks is none of it.
const LOOKS: u32 = 20;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// A data directory that is examined, in whatever state it is.
///
/// # Examples
/// ```
/// use koios_store::{DirectoryCheck, Store, StoreOptions};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let options = StoreOptions::new(folder.path().join("data"));
/// Store::open(options.clone()).await?.close().await;
/// let check = DirectoryCheck::to_repair(options)?;
/// for finding in check.examine(|_, _| {}).await {
///     println!("{}: {}; {}", finding.subject, finding.problem, finding.remedy);
///     if let Some(repair) = &finding.repair {
///         check.repair(repair).await?;
///     }
/// }
/// assert!(check.examine(|_, _| {}).await.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DirectoryCheck {
    layout: Layout,
    master_key: Option<MasterKey>,
    progress: Progress,
    /// Held while mends may be carried out.
    lock: Option<DirectoryLock>,
}

impl DirectoryCheck {
    /// To look only, also beside a running daemon.
    ///
    /// # Errors
    /// [`OpenError`] when there is no such directory, or a restore is half done in it.
    pub fn to_read(options: StoreOptions) -> Result<Self, OpenError> {
        let root = std::path::absolute(&options.data_dir)
            .map_err(|source| OpenError::io(&options.data_dir, source))?;
        match std::fs::read_dir(&root) {
            Ok(_) => {
                let layout = Layout::new(root);
                require_settled(&layout)?;
                Ok(Self { layout, master_key: options.master_key, progress: Progress::default(), lock: None })
            }
            Err(source) => Err(OpenError::Unavailable { path: root, source: source.into() }),
        }
    }

    /// To mend too: no other process may use the directory meanwhile.
    ///
    /// # Errors
    /// [`OpenError::InUse`] names the process that uses it; [`OpenError`] when there is no such directory, or no database
    /// in it: it may not be ours.
    pub fn to_repair(options: StoreOptions) -> Result<Self, OpenError> {
        let check = Self::to_read(options)?;
        let layout = &check.layout;
        if database::is_missing(layout) {
            return Err(OpenError::Damaged {
                path: layout.database(),
                problem: "it is missing or empty".to_owned(),
                remedy: "nothing is repaired in a directory without one: name the right one, or check without repairing",
                source: None,
            });
        }
        let lock = DirectoryLock::acquire(layout)?;
        Ok(Self { lock: Some(lock), ..check })
    }

    /// Tells how far an examination has come.
    #[must_use]
    pub fn with_progress(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// Goes through everything; `told` hears each part when it is done.
    ///
    /// What cannot be examined is a finding ([`CheckCode::NotExamined`]). Nothing is changed, except that SQLite writes
    /// back what a killed process left in its write-ahead log, as the next start would.
    pub async fn examine(&self, mut told: impl FnMut(CheckPart, &[CheckFinding])) -> Vec<CheckFinding> {
        let mut look = Look { check: self, database: None, secrets: None };
        let mut all = Vec::new();
        for part in CheckPart::ALL {
            self.progress.tell(part.under_way(), 0, None);
            let findings = match look.part(*part).await {
                Ok(findings) => findings,
                Err(error) => {
                    let error = error.located(self.layout.root());
                    vec![CheckFinding::not_examined(*part, part.as_str(), &error)]
                }
            };
            told(*part, &findings);
            all.extend(findings);
        }
        if let Some(database) = look.database {
            database.close().await;
        }
        all
    }

    /// Carries out the mend of a finding; it loses nothing.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like; [`StoreError::Unavailable`] too when this check only looks.
    pub async fn repair(&self, repair: &Repair) -> Result<(), StoreError> {
        if self.lock.is_none() {
            return Err(StoreError::Unavailable {
                path: self.layout.root().to_owned(),
                source: "it was opened to be looked at only".into(),
            });
        }
        repair::carry_out(&self.layout, repair).await.map_err(|error| error.located(self.layout.root()))
    }

    fn is_beside_a_process(&self) -> bool {
        self.lock.is_none() && directory_lock::holder(&self.layout).is_some()
    }

    /// Waits while a change may be under way; answers when the last look may be believed.
    async fn is_settled(&self, looks: u32) -> bool {
        if looks >= LOOKS || !self.is_beside_a_process() {
            return true;
        }
        tokio::time::sleep(PAUSE).await;
        false
    }
}

/// An examination under way.
struct Look<'a> {
    check: &'a DirectoryCheck,
    database: Option<Database>,
    secrets: Option<SecretsKey>,
}

impl Look<'_> {
    async fn part(&mut self, part: CheckPart) -> Result<Vec<CheckFinding>, StoreError> {
        let layout = &self.check.layout;
        match part {
            CheckPart::Directory => {
                let (layout, beside) = (layout.clone(), self.check.is_beside_a_process());
                blocking(move || directory::examine(&layout, beside)).await
            }
            CheckPart::Database => match database::open(layout).await {
                Ok(database) => Ok(database::examine(self.database.insert(database)).await),
                Err(finding) => Ok(vec![finding]),
            },
            CheckPart::Secrets => {
                let master = self.check.master_key.as_ref();
                match secrets::open(layout, self.database.as_ref(), master).await? {
                    Ok(key) => {
                        self.secrets = Some(key);
                        Ok(Vec::new())
                    }
                    Err(finding) => Ok(vec![finding]),
                }
            }
            CheckPart::Certificates => {
                let Some(database) = &self.database else { return Ok(needs(part, "the database")) };
                let mut findings =
                    certificates::examine(database, layout, self.secrets.as_ref(), &self.check.progress)
                        .await?;
                // A row that cannot be read does not take away what was found of the others.
                findings.extend(self.generations(database).await.unwrap_or_else(|error| {
                    vec![CheckFinding::not_examined(part, "the folders that no row names", &error)]
                }));
                Ok(findings)
            }
            CheckPart::Devices => {
                let Some(database) = &self.database else { return Ok(needs(part, "the database")) };
                devices::examine(database, self.secrets.as_ref()).await
            }
            CheckPart::TrustLists => self.trust_lists().await,
            CheckPart::Audit => {
                let Some(database) = &self.database else { return Ok(needs(part, "the database")) };
                let Some(secrets) = &self.secrets else { return Ok(needs(part, "the master key")) };
                let verified = audit::verify(database, secrets, &[]).await?;
                Ok(verified.faults.iter().map(audit_fault).collect())
            }
        }
    }

    async fn generations(&self, database: &Database) -> Result<Vec<CheckFinding>, StoreError> {
        let layout = &self.check.layout;
        let (mut known, mut leftovers) = generations::survey(database, layout).await?;
        let mut looks = 1;
        while !leftovers.is_empty() && !self.check.is_settled(looks).await {
            let (known_now, now) = generations::survey(database, layout).await?;
            let now: HashSet<_> = now.into_iter().collect();
            leftovers.retain(|leftover| now.contains(leftover));
            known = known_now;
            looks = looks.saturating_add(1);
        }
        Ok(generations::findings(layout, &known, &leftovers))
    }

    async fn trust_lists(&self) -> Result<Vec<CheckFinding>, StoreError> {
        let layout = self.check.layout.clone();
        let mut findings = blocking(move || trust_lists::unreadable(&layout)).await??;
        let layout = &self.check.layout;
        if let Some(database) = &self.database {
            let mut moves = noted_file_moves(database).await?;
            let mut looks = 1;
            while !moves.is_empty() && !self.check.is_settled(looks).await {
                let now: HashSet<_> = noted_file_moves(database).await?.into_iter().collect();
                moves.retain(|step| now.contains(step));
                looks = looks.saturating_add(1);
            }
            findings.extend(trust_lists::unfinished_change(layout, &moves));
            // Files that such a change has on their way are needed to take it back.
            if moves.is_empty() && !self.check.is_beside_a_process() {
                findings.extend(trust_lists::leftover_files(layout));
            }
        }
        Ok(findings)
    }
}

fn needs(part: CheckPart, what: &str) -> Vec<CheckFinding> {
    vec![CheckFinding::new(
        part,
        CheckCode::NotExamined,
        part.as_str(),
        format!("it cannot be examined without {what}"),
        format!("mend {what} first, and check again"),
    )]
}

fn audit_fault(fault: &audit::AuditFault) -> CheckFinding {
    CheckFinding::new(
        CheckPart::Audit,
        CheckCode::AuditFault,
        "the audit trail",
        fault.to_string(),
        "find out who changed the database; what was written stands in a backup from before",
    )
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    store_blocking(move || Ok(work())).await
}

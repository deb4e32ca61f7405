//! The handle on a data directory.

use std::path::{Path, PathBuf};

use tokio::sync::broadcast;

use crate::change::Change;
use crate::error::OpenError;

/// Where the data lies.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The data directory; created with mode 0700 when it does not exist.
    pub data_dir: PathBuf,
}

impl StoreOptions {
    /// A store in that directory.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into() }
    }
}

/// Whether a change is carried out or only shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a change happens or it does not")]
pub enum Apply {
    /// Carry it out.
    Commit,
    /// Make every check and compute the answer, then roll back; no file is touched.
    DryRun,
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Certificates.
    pub certificates: u64,
    /// Devices.
    pub devices: u64,
    /// Devices that connect by themselves.
    pub enabled_devices: u64,
}

/// A handle on a data directory; clones are handles on the same one.
#[derive(Clone, Debug)]
pub struct Store {}

impl Store {
    /// Opens a data directory, or makes a new one.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way.
    pub async fn open(_options: StoreOptions) -> Result<Self, OpenError> {
        todo!()
    }

    /// Whether setting up is not done yet: it is done when the first token is stored ([`Store::create_token`]).
    ///
    /// So make the default certificate first and the token last, and look whether a default exists: a start that was
    /// cut off in between is a first start again.
    #[must_use]
    pub fn is_first_start(&self) -> bool {
        todo!()
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        todo!()
    }

    /// Waits for running writes, writes everything back and lets the directory go; other handles fail from then on.
    pub async fn close(self) {
        todo!()
    }

    /// Every change from now on, after its commit. A receiver that lags behind by 1,024 changes loses some, is told so,
    /// and must then read everything anew.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        todo!()
    }
}

//! Clients in other languages, in `fixtures/clients/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::foreign;
use crate::skip::{ran, skip};

/// An installed folder of `fixtures/clients/`.
#[derive(Clone, Debug)]
pub struct ClientFixture {
    folder: PathBuf,
    interpreter: PathBuf,
}

impl ClientFixture {
    /// Finds it by the name of its folder; where it is not installed, the running test is [skipped](crate::skip()).
    ///
    /// # Panics
    ///
    /// As [`skip`](crate::skip()) does.
    pub fn find_or_skip(name: &str) -> Option<Self> {
        if let Some(reason) = foreign::missing(name) {
            skip(name, &reason);
            return None;
        }
        ran(name);
        let interpreter = foreign::interpreter(name)?;
        Some(Self { folder: foreign::folder(name), interpreter })
    }

    /// Where its files lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its interpreter, with the packages that its lockfile names.
    pub fn command(&self) -> Command {
        Command::new(&self.interpreter)
    }
}

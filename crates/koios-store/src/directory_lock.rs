//! One process per data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::atomic::{self, Access};
use crate::error::OpenError;
use crate::layout::Layout;

/// The lock on a data directory; the system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    /// Holds the lock for as long as it is open.
    file: File,
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // A process id that is left behind may be another process' later.
        let _ = self.file.set_len(0);
        // Said aloud, because a process being forked at this moment holds the file open too, until it starts its program.
        // The system takes the lock back anyway.
        let _ = self.file.unlock();
    }
}

impl DirectoryLock {
    /// Takes the lock and leaves the process id in the file, for whoever comes later.
    pub(crate) fn acquire(layout: &Layout) -> Result<Self, OpenError> {
        let path = layout.lock();
        let failed = |source| OpenError::io(&path, source);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { path: layout.root().to_owned(), pid: read_pid(&path) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        atomic::restrict(&file, Access::Secret).map_err(failed)?;
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { file })
    }
}

/// The process that has the directory open, if one does: it said so, and it runs.
///
/// Takes no lock: that could refuse the directory to a daemon that starts at this moment.
pub(crate) fn holder(layout: &Layout) -> Option<u32> {
    let pid = read_pid(&layout.lock())?;
    let processes = Path::new("/proc");
    // Where they cannot be listed, it is taken at its word.
    let runs = !processes.join("self").exists() || processes.join(pid.to_string()).exists();
    runs.then_some(pid)
}

fn read_pid(path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path).ok()?.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

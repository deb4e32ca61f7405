//! By what a file that was written again, or put in another one's place, is told without reading it.

use std::fs::Metadata;
use std::time::{Duration, SystemTime};

/// Length, times, inode and device of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileStamp {
    length: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    unix: [i64; 4],
}

/// File systems keep times no finer than a clock tick, some than two seconds: a file that was written within the same one
/// as before looks the same.
const COARSEST_TIME: Duration = Duration::from_secs(3);

impl FileStamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            unix: [
                metadata.ctime(),
                metadata.ctime_nsec(),
                metadata.ino().cast_signed(),
                metadata.dev().cast_signed(),
            ],
        }
    }

    /// Whether the file was changed so long ago that a change from now on shows in the stamp.
    pub(crate) fn is_settled(&self) -> bool {
        let now = SystemTime::now();
        let is_old = |time: SystemTime| now.duration_since(time).is_ok_and(|age| age > COARSEST_TIME);
        let modified = self.modified.is_some_and(is_old);
        #[cfg(unix)]
        {
            let [seconds, ..] = self.unix;
            let changed = u64::try_from(seconds)
                .ok()
                .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
            // Another clock may have set the time of modification; nobody sets that of the change.
            modified
                && changed.is_some_and(|changed| {
                    now.duration_since(changed).is_ok_and(|age| age > COARSEST_TIME + Duration::from_secs(1))
                })
        }
        #[cfg(not(unix))]
        modified
    }
}

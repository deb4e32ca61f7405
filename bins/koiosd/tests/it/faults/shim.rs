//! The library that stands between the daemon and libc: built when the tests run, told what to do through a shared file.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use tempfile::TempDir;

use crate::{
    daemon::Setup,
    preload::{self, Library},
};

/// An error that the system gives for a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Errno {
    /// `ENOSPC`
    NoSpace,
    /// `EACCES`
    Refused,
    /// `EIO`
    Broken,
    /// `EROFS`
    ReadOnly,
}

impl Errno {
    pub(crate) const ALL: [Self; 4] = [Self::NoSpace, Self::Refused, Self::Broken, Self::ReadOnly];

    /// Its number on Linux.
    fn number(self) -> u64 {
        match self {
            Self::NoSpace => 28,
            Self::Refused => 13,
            Self::Broken => 5,
            Self::ReadOnly => 30,
        }
    }

    /// The kinds of calls that can fail so: a full or a read-only disk can be read.
    fn classes(self, lasting: Lasting) -> u64 {
        const CHANGES: u64 = 1;
        const READS: u64 = 2;
        const LOCKS: u64 = 4;
        match self {
            Self::NoSpace | Self::ReadOnly => CHANGES,
            // A lock that is refused is one that another process has.
            Self::Refused => CHANGES | READS,
            // SQLite takes every failure of a lock for a lock that another process has, and waits.
            Self::Broken if lasting == Lasting::Once => CHANGES | READS | LOCKS,
            Self::Broken => CHANGES | READS,
        }
    }
}

/// How long calls fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lasting {
    Once,
    FromThenOn,
}

impl Lasting {
    pub(crate) const ALL: [Self; 2] = [Self::Once, Self::FromThenOn];
}

/// The library, in front of the daemons of one data directory.
#[derive(Debug)]
pub(crate) struct Shim {
    folder: TempDir,
    control: File,
}

/// Numbers before the text, in the file that is shared.
const NUMBERS: u64 = 6;

/// Length of the shared file.
const LENGTH: u64 = 8 * NUMBERS + 400 + 100;

impl Shim {
    /// `None`, and the running test is reported as skipped, where there is no C compiler.
    pub(crate) fn before(setup: Setup) -> Option<(Setup, Self)> {
        let library = library()?;
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("control");
        let control =
            File::options().read(true).write(true).create_new(true).open(&path).expect("a control file");
        control.set_len(LENGTH).expect("a control file");
        let data_dir = setup.data_dir();
        let text = |path: &Path| path.to_str().expect("paths are text").to_owned();
        let setup = setup
            .with_environment("LD_PRELOAD", &text(library))
            .with_environment("SHIM_FOLDER", &text(&data_dir))
            .with_environment("SHIM_CONTROL", &text(&path));
        Some((setup, Self { folder, control }))
    }

    /// Writes down what is done from the next start on.
    pub(crate) fn traced(&self, setup: Setup) -> Setup {
        setup.with_environment("SHIM_TRACE", self.trace_path().to_str().expect("paths are text"))
    }

    /// Keeps everything that is written to files from the next start on.
    pub(crate) fn copying(&self, setup: Setup) -> Setup {
        setup.with_environment("SHIM_WRITTEN", self.written_path().to_str().expect("paths are text"))
    }

    /// What was written to files since the last call of this.
    pub(crate) fn take_written(&self) -> Vec<u8> {
        let written = fs::read(self.written_path()).expect("something is written");
        // The daemon has it open, to append.
        File::options()
            .write(true)
            .open(self.written_path())
            .and_then(|file| file.set_len(0))
            .expect("a file");
        written
    }

    fn written_path(&self) -> PathBuf {
        self.folder.path().join("written")
    }

    /// Makes calls fail from now on, counting from 1.
    pub(crate) fn arm(&self, errno: Errno, lasting: Lasting, nth: u64) {
        self.disarm();
        for (place, value) in [(1, errno.classes(lasting)), (2, nth), (3, errno.number()), (4, 0), (5, 0)] {
            self.put(place, value);
        }
        self.put(0, if lasting == Lasting::Once { 1 } else { 2 });
    }

    /// Lets only such calls count from now on, as [`last`](Self::last) tells them; all do when it is empty.
    pub(crate) fn count_only(&self, call: &str) {
        let mut bytes = [0; 100];
        bytes[..call.len()].copy_from_slice(call.as_bytes());
        self.control.write_all_at(&bytes, 8 * NUMBERS + 400).expect("the control file");
    }

    pub(crate) fn disarm(&self) {
        self.put(0, 0);
    }

    /// How many calls that can fail so there were since it was armed.
    pub(crate) fn calls(&self) -> u64 {
        self.number(4)
    }

    /// How many calls have failed since it was armed.
    pub(crate) fn failed(&self) -> u64 {
        self.number(5)
    }

    fn number(&self, place: u64) -> u64 {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, 8 * place).expect("the control file");
        u64::from_ne_bytes(bytes)
    }

    /// The last call that failed, and the path below the data directory; a look at the disk only where nothing else failed.
    pub(crate) fn last(&self) -> String {
        let mut bytes = [0; 400];
        self.control.read_exact_at(&mut bytes, 8 * NUMBERS).expect("the control file");
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    /// What was done so far: names of calls with one or two paths.
    pub(crate) fn trace(&self) -> Vec<[String; 3]> {
        let text = fs::read_to_string(self.trace_path()).expect("a trace");
        let lines = text.lines().map(|line| {
            let mut parts = line.split('\t').map(str::to_owned);
            std::array::from_fn(|_| parts.next().unwrap_or_default())
        });
        lines.collect()
    }

    fn trace_path(&self) -> PathBuf {
        self.folder.path().join("trace")
    }

    fn put(&self, place: u64, value: u64) {
        self.control.write_all_at(&value.to_ne_bytes(), 8 * place).expect("the control file");
    }
}

fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    match LIBRARY.get_or_init(|| preload::compile(include_str!("shim.c"))) {
        Ok(library) => Some(&library.path),
        Err(reason) => {
            koios_testkit::skip("a preloaded library", reason);
            None
        }
    }
}

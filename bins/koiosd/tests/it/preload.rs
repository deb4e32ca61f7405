//! Libraries in C that stand between the daemon and libc (`LD_PRELOAD`), built when the tests run.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

/// A library, which is there as long as its folder.
#[derive(Debug)]
pub(crate) struct Library {
    _folder: TempDir,
    pub(crate) path: PathBuf,
}

/// The error says why there is no compiler.
pub(crate) fn compile(source: &str) -> Result<Library, String> {
    let folder = TempDir::new().expect("a folder");
    let (file, path) = (folder.path().join("shim.c"), folder.path().join("shim.so"));
    fs::write(&file, source).expect("the source is written");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&path).arg(&file).arg("-ldl");
    match compiler.output() {
        Err(error) => Err(format!("cc cannot be started: {error}")),
        Ok(output) if !output.status.success() => {
            panic!("the library is not compiled: {}", String::from_utf8_lossy(&output.stderr))
        }
        Ok(_) => Ok(Library { _folder: folder, path }),
    }
}

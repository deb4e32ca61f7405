//! Where data lies when nobody says where.

use std::{env, path::PathBuf};

/// The platform's folder for a user's data.
pub(super) fn user_data_dir() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = if cfg!(windows) {
        folder("LOCALAPPDATA")?
    } else if cfg!(target_os = "macos") {
        folder("HOME")?.join("Library/Application Support")
    } else {
        // A relative XDG_DATA_HOME is to be ignored (XDG Base Directory Specification 0.8).
        match folder("XDG_DATA_HOME") {
            Some(path) => path,
            None => folder("HOME")?.join(".local/share"),
        }
    };
    Some(base.join("koios"))
}

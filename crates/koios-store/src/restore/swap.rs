//! The one step of a restore: from the moment on at which a marker is on the disk, what was unpacked is the data directory.
//!
//! The files change places inside the data directory, because that may be the mount point of a volume, which nobody can
//! rename, in a folder that only root may write; and because the lock stays where it is. It takes many renames: whoever
//! finds the marker makes those that are left, in the same order, before anything else is read.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::atomic::{self, Access};
use crate::backup::database_files;
use crate::error::{OpenError, StoreError};
use crate::layout::Layout;
use crate::owner;

/// Where the files that were there before go.
pub(crate) const KEPT_BY_RESTORE: &str = "before-restore-";

/// What the marker says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marker {
    /// The folder for what was there before.
    keep: String,
    /// What was unpacked. Once it is no longer in its folder, it is in its place.
    unpacked: Vec<String>,
}

/// Decides: from here on the restore is finished, by this process or by the next start. Answers where the present files go.
pub(super) fn begin(layout: &Layout, now: OffsetDateTime) -> Result<PathBuf, StoreError> {
    let staging = layout.restoring();
    let failed = |source| StoreError::io(&staging, source);
    let mut unpacked = Vec::new();
    for place in places(layout) {
        let name = name_of(&place).map_err(failed)?;
        if exists(&staging.join(&name)) {
            unpacked.push(name);
        }
    }
    let stamp = now
        .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
        .map_err(|error| failed(io::Error::other(error)))?;
    let mut keep = format!("{KEPT_BY_RESTORE}{stamp}");
    let mut copy = 2_u32;
    while exists(&layout.root().join(&keep)) {
        keep = format!("{KEPT_BY_RESTORE}{stamp}-{copy}");
        copy = copy.saturating_add(1);
    }
    let kept = layout.root().join(&keep);
    let text = serde_json::to_vec(&Marker { keep, unpacked }).map_err(|error| failed(error.into()))?;
    let marker = layout.restore_marker();
    write_marker(&marker, &text, layout.root()).map_err(|source| StoreError::io(&marker, source))?;
    Ok(kept)
}

/// As [`atomic::replace`], and readable for whoever finishes.
fn write_marker(marker: &Path, text: &[u8], root: &Path) -> io::Result<()> {
    let temporary = marker.with_extension("new");
    atomic::remove_file(&temporary)?;
    atomic::write_new(&temporary, text, Access::Secret)?;
    owner::give(&temporary, root)?;
    std::fs::rename(&temporary, marker)?;
    atomic::sync_folder(root)
}

/// Finishes a restore that was decided, and takes away what one left that was not. The caller holds the lock.
pub(crate) fn settle(layout: &Layout) -> Result<(), OpenError> {
    settle_with(layout, &mut || Ok(()))
}

/// Refuses a directory in which a restore is half done.
pub(crate) fn require_settled(layout: &Layout) -> Result<(), OpenError> {
    match exists(&layout.restore_marker()) {
        false => Ok(()),
        true => Err(OpenError::Damaged {
            path: layout.restore_marker(),
            problem: "a restore was cut off while it put the files in place".to_owned(),
            remedy: "start the daemon, which finishes it, or run the restore again",
            source: None,
        }),
    }
}

/// As [`settle`]; `step` runs before every change.
fn settle_with(layout: &Layout, step: &mut dyn FnMut() -> io::Result<()>) -> Result<(), OpenError> {
    let marker_path = layout.restore_marker();
    let marker = match std::fs::read(&marker_path) {
        Ok(text) => Some(parse(&text).ok_or_else(|| damaged(&marker_path))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(OpenError::io(&marker_path, source)),
    };
    let staging = layout.restoring();
    if let Some(marker) = marker {
        move_all(layout, &marker, step).map_err(|source| OpenError::io(&staging, source))?;
        let forgotten = step().and_then(|()| atomic::remove_file(&marker_path));
        forgotten
            .and_then(|()| atomic::sync_folder(layout.root()))
            .map_err(|source| OpenError::io(&marker_path, source))?;
        tracing::info!(kept = %layout.root().join(&marker.keep).display(), "a backup was restored");
    }
    step().and_then(|()| atomic::remove_folder(&staging)).map_err(|source| OpenError::io(&staging, source))
}

fn parse(text: &[u8]) -> Option<Marker> {
    let marker: Marker = serde_json::from_slice(text).ok()?;
    let plain = |name: &str| !name.contains(['/', '\\']) && name != "..";
    (marker.keep.starts_with(KEPT_BY_RESTORE) && plain(&marker.keep)).then_some(marker)
}

fn damaged(path: &Path) -> OpenError {
    OpenError::Damaged {
        path: path.to_owned(),
        problem: "it is not what a restore wrote".to_owned(),
        remedy: "remove it together with the folder .restoring, and restore the backup again",
        source: None,
    }
}

fn move_all(layout: &Layout, marker: &Marker, step: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
    let root = layout.root();
    let (staging, keep) = (layout.restoring(), root.join(&marker.keep));
    let waits = |name: &String| exists(&staging.join(name));
    for place in places(layout) {
        let name = name_of(&place)?;
        // What came from the backup stays where it is.
        let old = waits(&name) || !marker.unpacked.contains(&name);
        if old && exists(&place) {
            step()?;
            atomic::create_folder(&keep)?;
            owner::give(&keep, root)?;
            std::fs::rename(&place, keep.join(&name))?;
        }
    }
    // What leaves is on the disk in its new place before anything takes the old one.
    step()?;
    if exists(&keep) {
        atomic::sync_folder(&keep)?;
    }
    atomic::sync_folder(root)?;
    for place in places(layout) {
        let name = name_of(&place)?;
        if marker.unpacked.contains(&name) && waits(&name) {
            step()?;
            std::fs::rename(staging.join(&name), &place)?;
        }
    }
    step()?;
    if exists(&staging) {
        atomic::sync_folder(&staging)?;
    }
    atomic::sync_folder(root)
}

/// Everything that a restore replaces. Whatever else lies in the data directory is not Koios', or the lock.
fn places(layout: &Layout) -> impl Iterator<Item = PathBuf> {
    database_files(&layout.database()).into_iter().chain([
        layout.certificates(),
        layout.trust(),
        layout.secrets_key(),
        layout.initial_admin_token(),
        layout.orphaned(),
    ])
}

fn name_of(place: &Path) -> io::Result<String> {
    let name = place.file_name().and_then(|name| name.to_str());
    name.map(ToOwned::to_owned).ok_or_else(|| io::ErrorKind::InvalidFilename.into())
}

fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [&str; 6] = [
        "koios.db",
        "koios.db-wal",
        "secrets.key",
        "initial-admin-token",
        "certificates/a/1/x",
        "orphaned/y",
    ];
    const NEW: [&str; 4] = ["koios.db", "secrets.key", "certificates/b/1/x", "trust/trusted/certs/z"];

    fn write(root: &Path, names: &[&str], contents: &str) {
        for name in names {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, contents).unwrap();
        }
    }

    fn files(root: &Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                    found.push((name, std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }

    fn named(prefix: &str, names: &[&str], contents: &str) -> Vec<(String, String)> {
        names.iter().map(|name| (format!("{prefix}{name}"), contents.to_owned())).collect()
    }

    fn prepared() -> (tempfile::TempDir, Layout) {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().to_owned());
        write(layout.root(), &OLD, "old");
        write(layout.root(), &["koios.lock", "notes of the operator"], "stays");
        write(&layout.restoring(), &NEW, "new");
        (folder, layout)
    }

    fn restored(kept: &Path) -> Vec<(String, String)> {
        let kept = format!("{}/", kept.file_name().unwrap().to_str().unwrap());
        let mut expected = [
            named(&kept, &OLD, "old"),
            named("", &NEW, "new"),
            named("", &["koios.lock", "notes of the operator"], "stays"),
        ]
        .concat();
        expected.sort();
        expected
    }

    #[test]
    fn a_restore_cut_off_before_each_of_its_steps_is_finished_by_the_next_start() {
        for survives in 0.. {
            let (_folder, layout) = prepared();
            let kept = begin(&layout, OffsetDateTime::UNIX_EPOCH).unwrap();
            let mut steps = 0;
            let cut_off = settle_with(&layout, &mut || {
                steps += 1;
                if steps > survives { Err(io::Error::other("cut off")) } else { Ok(()) }
            });
            if steps <= survives {
                assert!(survives > 12, "each rename is a step");
                cut_off.unwrap();
                return;
            }
            cut_off.unwrap_err();
            settle(&layout).unwrap();
            require_settled(&layout).unwrap();
            assert_eq!(files(layout.root()), restored(&kept), "{survives}");
        }
    }

    #[test]
    fn a_restore_cut_off_before_it_was_decided_leaves_nothing() {
        let (_folder, layout) = prepared();
        settle(&layout).unwrap();
        let mut expected =
            [named("", &OLD, "old"), named("", &["koios.lock", "notes of the operator"], "stays")].concat();
        expected.sort();
        assert_eq!(files(layout.root()), expected);
    }

    #[test]
    fn what_an_earlier_restore_kept_is_never_written_over() {
        let (_folder, layout) = prepared();
        let first = begin(&layout, OffsetDateTime::UNIX_EPOCH).unwrap();
        settle(&layout).unwrap();
        write(&layout.restoring(), &NEW, "newer");
        let second = begin(&layout, OffsetDateTime::UNIX_EPOCH).unwrap();
        settle(&layout).unwrap();
        assert_ne!(first, second);
        let mut kept = named("", &OLD, "old");
        kept.sort();
        assert_eq!(files(&first), kept);
    }

    #[test]
    fn a_marker_that_leads_out_of_the_directory_is_refused() {
        let (_folder, layout) = prepared();
        for keep in ["before-restore-/../../x", "elsewhere", ""] {
            let text = serde_json::to_vec(&Marker { keep: keep.to_owned(), unpacked: vec![] }).unwrap();
            std::fs::write(layout.restore_marker(), text).unwrap();
            assert!(matches!(settle(&layout), Err(OpenError::Damaged { .. })), "{keep}");
            assert!(matches!(require_settled(&layout), Err(OpenError::Damaged { .. })), "{keep}");
        }
    }
}

//! Reading the folders: every file is looked at, none is taken for what its name says, and no more is read than makes sense.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use koios_pki::{FileContents, InputKind, ReadError, Unreadable, read_contents};
use zeroize::Zeroizing;

use super::place::Place;
use super::report::FileNote;
use super::{ForeignLayout, ImportRefused, ReadFile};
use crate::file_stamp::FileStamp;
use crate::progress::Progress;

/// What has been read so far.
pub(super) struct Walk<'a> {
    passphrases: &'a [&'a str],
    progress: &'a Progress,
    pub(super) layouts: Vec<(PathBuf, ForeignLayout)>,
    pub(super) files: Vec<ReadFile>,
    pub(super) contents: Vec<Contents>,
    /// Files that were read, by their real paths: sources may overlap.
    seen: HashSet<PathBuf>,
}

/// What one file holds.
pub(super) struct Contents {
    /// Its place among the files.
    pub(super) file: usize,
    pub(super) place: Place,
    pub(super) held: FileContents,
}

/// Somewhere in a source.
struct Entry {
    /// As the user would name it.
    shown: PathBuf,
    /// Below the source, which it begins with.
    below: PathBuf,
    depth: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(passphrases: &'a [&'a str], progress: &'a Progress) -> Self {
        Self {
            passphrases,
            progress,
            layouts: Vec::new(),
            files: Vec::new(),
            contents: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// Reads one of the sources. The user has named it, so that a link is followed here.
    pub(super) fn source(&mut self, source: &Path) -> Result<(), ImportRefused> {
        let failed = |error| ImportRefused::Source { path: source.to_owned(), source: error };
        let metadata = fs::metadata(source).map_err(failed)?;
        let real = fs::canonicalize(source).map_err(failed)?;
        let entry = Entry { shown: source.to_owned(), below: below(&real), depth: 0 };
        let mut paths = Vec::new();
        if metadata.is_dir() {
            // That one cannot be listed is no reason to go on as if it were empty.
            fs::read_dir(source).map_err(failed)?;
            self.folder(entry, &real, &mut paths);
        } else {
            paths.push(entry.below.clone());
            self.file(&entry, &real, &metadata);
        }
        self.layouts.push((source.to_owned(), ForeignLayout::of(&paths)));
        Ok(())
    }

    fn folder(&mut self, top: Entry, real: &Path, paths: &mut Vec<PathBuf>) {
        let mut folders = vec![(top, real.to_owned())];
        while let Some((folder, real)) = folders.pop() {
            if folder.depth > MAX_DEPTH {
                self.note(
                    folder.shown,
                    FileNote::unreadable(format!("folders deeper than {MAX_DEPTH} are not read")),
                );
                continue;
            }
            let names = match names_in(&real) {
                Ok(names) => names,
                Err(error) => {
                    self.note(folder.shown, FileNote::unreadable(error.to_string()));
                    continue;
                }
            };
            let mut below_it = Vec::new();
            for name in names {
                if self.files.len() >= MAX_FILES {
                    let why = format!("more than {MAX_FILES} files: name the folder that is meant");
                    self.note(folder.shown, FileNote::unreadable(why));
                    return;
                }
                let entry = Entry {
                    shown: folder.shown.join(&name),
                    below: folder.below.join(&name),
                    depth: folder.depth + 1,
                };
                let real = real.join(&name);
                match fs::symlink_metadata(&real) {
                    Err(error) => self.note(entry.shown, FileNote::unreadable(error.to_string())),
                    Ok(metadata) if metadata.is_symlink() => self.link(entry.shown, &real),
                    Ok(metadata) if metadata.is_dir() => below_it.push((entry, real)),
                    Ok(metadata) => {
                        paths.push(entry.below.clone());
                        self.file(&entry, &real, &metadata);
                    }
                }
            }
            // In the order of their names, the last in being the first out.
            folders.extend(below_it.into_iter().rev());
        }
    }

    /// What a link leads to is read where it is, or named by the user: a link out of the folder may lead to anything.
    fn link(&mut self, shown: PathBuf, real: &Path) {
        match fs::canonicalize(real) {
            Ok(target) => self.note(shown, FileNote::Link { target }),
            Err(error) => self.note(shown, FileNote::unreadable(format!("a link to nothing: {error}"))),
        }
    }

    fn file(&mut self, entry: &Entry, real: &Path, metadata: &Metadata) {
        if !self.seen.insert(real.to_owned()) {
            return;
        }
        let place = Place::of(&entry.below);
        let file = self.files.len();
        self.progress.tell("reading files", file, None);
        self.files.push(ReadFile { path: entry.shown.clone(), notes: Vec::new() });
        let note = match self.read(real, metadata, place.trust_list().is_some()) {
            Ok(Outcome::Held(held)) => {
                self.contents.push(Contents { file, place, held });
                return;
            }
            Ok(Outcome::Noted(note)) => note,
            Err(error) => FileNote::unreadable(error.to_string()),
        };
        if let Some(read) = self.files.get_mut(file) {
            read.notes.push(note);
        }
    }

    fn read(&self, real: &Path, metadata: &Metadata, in_trust_list: bool) -> io::Result<Outcome> {
        if !metadata.is_file() {
            // Opening a pipe would wait for whoever writes into it.
            return Ok(Outcome::Noted(FileNote::not_needed("neither a file nor a folder")));
        }
        let max = if in_trust_list { MAX_REVOCATION_LIST } else { MAX_FILE };
        if metadata.len() > max {
            let why = format!("{} bytes, longer than any certificate or key", metadata.len());
            return Ok(Outcome::Noted(FileNote::not_needed(why)));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1));
        let file = File::open(real)?;
        // Else a link has been put in its place, or it is being written.
        if FileStamp::of(&file.metadata()?) != FileStamp::of(metadata) {
            return Err(io::Error::other("it changed while it was read"));
        }
        file.take(max).read_to_end(&mut bytes)?;
        Ok(match read_contents(&bytes, self.passphrases) {
            Ok(held) => Outcome::Held(held),
            Err(error) => Outcome::Noted(note_of(error, real)),
        })
    }

    fn note(&mut self, path: PathBuf, note: FileNote) {
        self.files.push(ReadFile { path, notes: vec![note] });
    }
}

enum Outcome {
    Held(FileContents),
    Noted(FileNote),
}

/// What a file is worth that holds nothing to import.
fn note_of(error: ReadError, path: &Path) -> FileNote {
    match error {
        ReadError::CertificateUnreadable { reason: Unreadable::LooksLike(kind) } => match kind {
            InputKind::JavaKeyStore => FileNote::JavaKeyStore { keytool: keytool(path) },
            // It may be a damaged certificate or key.
            InputKind::Der | InputKind::Base64 => FileNote::unreadable(format!("it looks like {kind}")),
            InputKind::SshKey => FileNote::not_needed("a key of SSH"),
            InputKind::CertificateRequest => FileNote::not_needed("a certificate request"),
            InputKind::PublicKey => FileNote::not_needed("a public key alone"),
            InputKind::Empty => FileNote::not_needed("an empty file"),
            _ => FileNote::not_needed("neither certificate nor key"),
        },
        // Files that are no PEM may speak of it.
        ReadError::CertificateUnreadable { reason: Unreadable::TooLarge { len, .. } } => {
            FileNote::not_needed(format!("{len} bytes, longer than any certificate or key"))
        }
        ReadError::CertificateUnreadable { reason } => FileNote::unreadable(reason.to_string()),
        other => FileNote::Key(other),
    }
}

/// The command that turns a key store of Java's own format into one that is read.
fn keytool(path: &Path) -> String {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    format!(
        "keytool -importkeystore -srckeystore {} -destkeystore {} -deststoretype PKCS12",
        quoted(path),
        quoted(&path.with_extension("p12"))
    )
}

/// The end of a source's own path: its name may say what it is for, as that of the folder around it.
fn below(real: &Path) -> PathBuf {
    let mut names: Vec<_> = real.iter().rev().take(3).collect();
    names.reverse();
    names.into_iter().filter(|name| *name != "/").collect()
}

fn names_in(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort();
    Ok(names)
}

/// The longest file that is read, in bytes: that of an upload.
const MAX_FILE: u64 = 256 * 1024;
/// The longest revocation list in the trust lists of the store, as PEM.
const MAX_REVOCATION_LIST: u64 = 24 * 1024 * 1024;
/// Folders of applications have four below their root.
const MAX_DEPTH: usize = 8;
/// As many as are read of a folder of the trust lists.
const MAX_FILES: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(walk: &Walk<'_>) -> Vec<String> {
        walk.files.iter().map(|file| file.path.display().to_string()).collect()
    }

    #[test]
    fn folders_are_read_in_order_and_no_file_twice() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["b/2", "b/1", "a/1", "c"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "text").unwrap();
        }
        let nobody = Progress::default();
        let mut walk = Walk::new(&[], &nobody);
        walk.source(folder.path()).unwrap();
        walk.source(&folder.path().join("b/../b")).unwrap();
        walk.source(&folder.path().join("c")).unwrap();
        let expected = ["c", "a/1", "b/1", "b/2"].map(|path| folder.path().join(path).display().to_string());
        assert_eq!(shown(&walk), expected);
        assert_eq!(walk.layouts.len(), 3);
    }

    #[test]
    fn nothing_is_read_below_the_deepest_folder() {
        let folder = tempfile::tempdir().unwrap();
        let deep = (0..=MAX_DEPTH).fold(folder.path().to_owned(), |path, _| path.join("d"));
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("key.pem"), "text").unwrap();
        fs::write(deep.parent().unwrap().join("key.pem"), "text").unwrap();
        let nobody = Progress::default();
        let mut walk = Walk::new(&[], &nobody);
        walk.source(folder.path()).unwrap();
        let [read, left] = walk.files.as_slice() else { panic!("{:?}", walk.files) };
        assert!(matches!(read.notes.as_slice(), [FileNote::NotNeeded { .. }]), "{read:?}");
        assert!(matches!(left.notes.as_slice(), [FileNote::Unreadable { why }] if why.contains("deeper")));
    }

    #[test]
    fn a_source_that_is_not_there_is_an_error_and_one_by_a_link_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let nobody = Progress::default();
        let mut walk = Walk::new(&[], &nobody);
        assert!(matches!(walk.source(&folder.path().join("x")), Err(ImportRefused::Source { .. })));
        fs::create_dir(folder.path().join("real")).unwrap();
        fs::write(folder.path().join("real/1"), "text").unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(folder.path().join("real"), folder.path().join("link")).unwrap();
            walk.source(&folder.path().join("link")).unwrap();
            assert_eq!(shown(&walk), [folder.path().join("link/1").display().to_string()]);
        }
    }

    #[test]
    fn the_command_for_a_java_key_store_can_be_typed() {
        assert_eq!(
            keytool(Path::new("/opt/a b/it's.jks")),
            r"keytool -importkeystore -srckeystore '/opt/a b/it'\''s.jks' -destkeystore '/opt/a b/it'\''s.p12' -deststoretype PKCS12"
        );
    }
}

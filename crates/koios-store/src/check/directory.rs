//! The folder itself: who may read what, whose it is, and what is in it that is not ours.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use super::finding::{CheckCode, CheckFinding, CheckPart, RepairKind};
use crate::error::{OpenError, StoredFile};
use crate::file_system;
use crate::id::CertificateId;
use crate::layout::{DATABASE, Layout, NEXT_SECRETS_KEY};
use crate::restore::KEPT_BY_RESTORE;
use crate::tls_identity;
use crate::trust_lists::TrustListName;

const PART: CheckPart = CheckPart::Directory;

/// Files that hold secrets, or lead to them.
const SECRET_FILES: [&str; 7] = [
    DATABASE,
    "koios.db-wal",
    "koios.db-shm",
    "koios.db-journal",
    "secrets.key",
    NEXT_SECRETS_KEY,
    "initial-admin-token",
];

/// Files that are needed for a moment only.
const MOMENTARY_FILES: [&str; 6] = [
    ".restoring",
    ".write-probe",
    "initial-admin-token.new",
    "restore-under-way.new",
    "secrets.key.new",
    "secrets.new",
];

/// Everything else that has its place at the top.
const OTHER_ENTRIES: [&str; 5] = ["koios.lock", "certificates", "trust", "tls", "orphaned"];

const FILES: [StoredFile; 3] = [StoredFile::Certificate, StoredFile::Chain, StoredFile::PrivateKey];

/// What a running process needs for a moment is no leftover.
pub(super) fn examine(layout: &Layout, beside_a_process: bool) -> Vec<CheckFinding> {
    let mut found = Look { layout, owner: owner(&layout.database()), findings: Vec::new() };
    match file_system::require_local(layout.root()) {
        Ok(()) => {}
        Err(OpenError::NetworkFileSystem { file_system, .. }) => found.findings.push(CheckFinding::new(
            PART,
            CheckCode::NetworkFileSystem,
            layout.root().display().to_string(),
            format!("it lies on a network file system ({file_system}), where the database gets damaged"),
            "move it to a local disk",
        )),
        Err(error) => found.not_examined(layout.root(), &error),
    }
    found.closed(layout.root());
    found.top(beside_a_process);
    found.tls(beside_a_process);
    found.certificates();
    found.trust();
    found.orphaned();
    found.findings
}

struct Look<'a> {
    layout: &'a Layout,
    /// Of the database: the user as whom the daemon runs. The folder may be a volume's, and another user's.
    owner: Option<u32>,
    findings: Vec<CheckFinding>,
}

impl Look<'_> {
    fn top(&mut self, beside_a_process: bool) {
        for name in self.names(self.layout.root()) {
            let path = self.layout.root().join(&name);
            let is = |names: &[&str]| names.iter().any(|known| name == OsStr::new(known));
            if is(&SECRET_FILES) {
                self.closed(&path);
            } else if is(&MOMENTARY_FILES) {
                self.momentary(path, beside_a_process);
            } else if name.as_encoded_bytes().starts_with(KEPT_BY_RESTORE.as_bytes()) {
                self.closed(&path);
                let finding = self.finding(
                    CheckCode::KeptByRestore,
                    &path,
                    "a restore kept here what was there before it, private keys too",
                    "delete it when you are content with what was restored",
                );
                self.findings.push(finding);
            } else if !is(&OTHER_ENTRIES) {
                self.not_ours(&path);
            }
        }
    }

    /// The certificate of the listener, which the next start makes anew if it is not as it should be.
    fn tls(&mut self, beside_a_process: bool) {
        let root = self.layout.tls();
        if !root.exists() {
            return;
        }
        self.closed(&root);
        for name in self.names(&root) {
            let path = root.join(&name);
            match name.to_str() {
                Some(tls_identity::PRIVATE_KEY) => self.closed(&path),
                Some(tls_identity::CERTIFICATE) => self.owned(&path),
                Some(name) if tls_identity::MOMENTARY.contains(&name) => {
                    self.momentary(path, beside_a_process);
                }
                _ => self.not_ours(&path),
            }
        }
    }

    fn momentary(&mut self, path: PathBuf, beside_a_process: bool) {
        if !beside_a_process {
            let finding = self.finding(
                CheckCode::LeftoverFile,
                &path,
                "it was needed for a moment only and left behind",
                "remove it",
            );
            self.findings.push(finding.mended_by(RepairKind::ClearLeftover, path));
        }
    }

    fn certificates(&mut self) {
        let root = self.layout.certificates();
        if !root.exists() {
            return;
        }
        self.closed(&root);
        for folder in self.folders::<CertificateId>(&root) {
            self.closed(&folder);
            for generation in self.folders::<u32>(&folder) {
                self.generation(&generation);
            }
        }
    }

    fn generation(&mut self, folder: &Path) {
        self.closed(folder);
        for name in self.names(folder) {
            let path = folder.join(&name);
            match FILES.iter().find(|file| name == OsStr::new(file.file_name())) {
                Some(StoredFile::PrivateKey) => self.closed(&path),
                Some(_) => self.owned(&path),
                None => self.not_ours(&path),
            }
        }
    }

    fn trust(&mut self) {
        let lists: Vec<&str> =
            TrustListName::ALL.iter().map(|list| list.as_str()).chain([".incoming", ".outgoing"]).collect();
        let root = self.layout.trust();
        if !root.exists() {
            return;
        }
        for name in self.names(&root) {
            if !lists.iter().any(|list| name == OsStr::new(list)) {
                self.not_ours(&root.join(&name));
            }
        }
    }

    /// What was moved aside is told, and kept as closed as it was.
    fn orphaned(&mut self) {
        let root = self.layout.orphaned();
        if !root.exists() {
            return;
        }
        self.closed(&root);
        for name in self.names(&root) {
            let path = root.join(&name);
            if !path.is_dir() {
                self.not_ours(&path);
                continue;
            }
            self.generation(&path);
            let finding = self.finding(
                CheckCode::OrphanedKeyPair,
                &path,
                "a key pair that the database did not know was moved aside",
                "put it to use by uploading it with its certificate, or delete it",
            );
            self.findings.push(finding);
        }
    }

    /// Names in order; a folder that is gone meanwhile is empty.
    fn names(&mut self, folder: &Path) -> Vec<std::ffi::OsString> {
        let listed = std::fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>());
        match listed {
            Ok(mut names) => {
                names.sort();
                names
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                self.not_examined(folder, &error);
                Vec::new()
            }
        }
    }

    /// The folders that are named as a `T`; whatever else lies beside them is not ours.
    fn folders<T: std::str::FromStr + ToString>(&mut self, root: &Path) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        for name in self.names(root) {
            let path = root.join(&name);
            // Gone since the folder was listed.
            let Ok(metadata) = path.symlink_metadata() else { continue };
            let named =
                name.to_str().is_some_and(|text| text.parse::<T>().is_ok_and(|id| id.to_string() == text));
            if named && metadata.is_dir() {
                folders.push(path);
            } else {
                self.not_ours(&path);
            }
        }
        folders
    }

    /// Tells what others than the owner can get at, and what belongs to somebody else.
    fn closed(&mut self, path: &Path) {
        self.owned(path);
        let Ok(metadata) = std::fs::metadata(path) else { return };
        let forbidden = forbidden_mode(self.layout, path);
        let Some(mode) = mode(&metadata).filter(|mode| mode & forbidden != 0) else { return };
        let finding = self.finding(
            CheckCode::OpenToOthers,
            path,
            format!("its mode is {mode:04o}: others than its owner may get at it"),
            format!("set its mode to {:04o}", mode & !forbidden),
        );
        // The mode of what a link leads to is not ours to set.
        let is_link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        self.findings.push(if is_link { finding } else { finding.mended_by(RepairKind::TightenMode, path) });
    }

    fn owned(&mut self, path: &Path) {
        let (Some(expected), Some(actual)) = (self.owner, owner(path)) else { return };
        if expected != actual {
            let finding = self.finding(
                CheckCode::OwnerDiffers,
                path,
                format!("it belongs to user {actual}, the database to user {expected}"),
                format!(
                    "give it to user {expected}: a daemon that runs as that user may not be able to use it"
                ),
            );
            self.findings.push(finding);
        }
    }

    fn not_ours(&mut self, path: &Path) {
        let finding = self.finding(CheckCode::FileNotOurs, path, "Koios did not put it there", "");
        self.findings.push(finding);
    }

    fn not_examined(&mut self, path: &Path, error: &(dyn std::error::Error + 'static)) {
        let subject = below(self.layout, path);
        self.findings.push(CheckFinding::not_examined(PART, subject, error));
    }

    fn finding(
        &self,
        code: CheckCode,
        path: &Path,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> CheckFinding {
        CheckFinding::new(PART, code, below(self.layout, path), problem, remedy)
    }
}

/// The rights that nobody but the owner may have. A volume may be mounted for a group; what lies in it is closed.
pub(super) fn forbidden_mode(layout: &Layout, path: &Path) -> u32 {
    if path == layout.root() { 0o007 } else { 0o077 }
}

/// A path as findings name it.
pub(super) fn below(layout: &Layout, path: &Path) -> String {
    match path.strip_prefix(layout.root()) {
        Ok(relative) if !relative.as_os_str().is_empty() => relative.display().to_string(),
        _ => path.display().to_string(),
    }
}

#[cfg(unix)]
fn owner(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata))
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> Option<u32> {
    Some(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777)
}

#[cfg(not(unix))]
fn owner(_path: &Path) -> Option<u32> {
    None
}

#[cfg(not(unix))]
fn mode(_metadata: &Metadata) -> Option<u32> {
    None
}

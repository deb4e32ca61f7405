//! The server's trusted and rejected certificates, as its operator handles them: files.
//!
//! A certificate is known by its bytes, so that it does not matter how a server names its files.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};

use super::failure::{Failure, Kind};
use super::settings::{PKI, REJECTED, TRUSTED};

/// Where they lie.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Folders {
    pub(super) trusted: PathBuf,
    pub(super) rejected: PathBuf,
}

impl Folders {
    /// The product's layout.
    pub(super) fn of_pki(pki: &Path) -> Self {
        Self { trusted: pki.join("CA/certs"), rejected: pki.join("CA/rejected") }
    }

    /// Whether both can be read.
    pub(super) fn check(&self) -> Result<(), Failure> {
        for (folder, variable) in [(&self.trusted, TRUSTED), (&self.rejected, REJECTED)] {
            if let Err(error) = fs::read_dir(folder) {
                let failure =
                    Failure::new(Kind::Folders, format!("{} cannot be read: {error}", folder.display()));
                return Err(match error.kind() {
                    ErrorKind::NotFound | ErrorKind::NotADirectory => failure
                        .advising(format!(
                            "Is {PKI} the folder that holds CA? The server makes it when it is first started; by default it is \
                             ~/.prosysopc/prosys-opc-ua-simulation-server/PKI of the user who runs the server."
                        ))
                        .advising(format!("Where this folder lies elsewhere, name it in {variable}.")),
                    _ => failure.advising("Run this as the user who runs the server, or share the folder with it."),
                });
            }
        }
        Ok(())
    }

    /// The rejected file with this certificate.
    pub(super) fn find_rejected(&self, der: &[u8]) -> Result<Option<PathBuf>, Failure> {
        find(&self.rejected, der).map_err(|error| unreadable(&self.rejected, &error))
    }

    /// The names of all rejected files, to be shown.
    pub(super) fn rejected_names(&self) -> Vec<String> {
        let files = files_in(&self.rejected).unwrap_or_default();
        files.iter().map(|file| name_of(file)).collect()
    }

    /// Moves a rejected file to the trusted ones, under its name.
    pub(super) fn trust(&self, rejected: &Path) -> Result<PathBuf, Failure> {
        let trusted = self.trusted.join(name_of(rejected));
        rename(rejected, &trusted).map_err(|error| {
            Failure::new(
                Kind::Folders,
                format!("{} cannot be moved to {}: {error}", rejected.display(), trusted.display()),
            )
            .advising("Run this as the user who runs the server, or let it write to both folders.")
        })?;
        Ok(trusted)
    }

    /// Takes every file with one of these certificates away.
    pub(super) fn forget(&self, certificates: &[Vec<u8>]) -> Result<Vec<PathBuf>, Failure> {
        let mut gone = Vec::new();
        for folder in [&self.trusted, &self.rejected] {
            for der in certificates {
                while let Some(file) = find(folder, der).map_err(|error| unreadable(folder, &error))? {
                    fs::remove_file(&file).map_err(|error| {
                        Failure::new(Kind::Folders, format!("{} cannot be removed: {error}", file.display()))
                    })?;
                    gone.push(file);
                }
            }
        }
        Ok(gone)
    }
}

pub(super) fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn unreadable(folder: &Path, error: &io::Error) -> Failure {
    Failure::new(Kind::Folders, format!("{} cannot be read: {error}", folder.display()))
}

/// Between file systems (a container's volumes) as well; the old file goes last, and only then the server is asked again.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            fs::copy(from, to)?;
            fs::remove_file(from)
        }
        result => result,
    }
}

fn find(folder: &Path, der: &[u8]) -> io::Result<Option<PathBuf>> {
    Ok(files_in(folder)?.into_iter().find(|file| {
        // A server may be writing it, or take it away while we look.
        fs::read(file).is_ok_and(|content| holds(&content, der))
    }))
}

fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a file's content is this certificate, as DER or as PEM.
fn holds(content: &[u8], der: &[u8]) -> bool {
    if content == der {
        return true;
    }
    let Ok(text) = std::str::from_utf8(content) else { return false };
    let Some((_, rest)) = text.split_once("-----BEGIN CERTIFICATE-----") else { return false };
    let Some((body, _)) = rest.split_once("-----END CERTIFICATE-----") else { return false };
    let body: String = body.split_whitespace().collect();
    BASE64_STANDARD.decode(body).is_ok_and(|decoded| decoded == der)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Certificates are bytes here.
    const OURS: &[u8] = b"\x30\x03our";
    const THEIRS: &[u8] = b"\x30\x05their";

    fn pki() -> (tempfile::TempDir, Folders) {
        let pki = tempfile::tempdir().unwrap();
        let folders = Folders::of_pki(pki.path());
        fs::create_dir_all(&folders.trusted).unwrap();
        fs::create_dir_all(&folders.rejected).unwrap();
        (pki, folders)
    }

    fn pem(der: &[u8]) -> String {
        let body = BASE64_STANDARD.encode(der);
        let (first, second) = body.split_at(4);
        format!(
            "subject=our\n-----BEGIN CERTIFICATE-----\r\n{first}\r\n{second}\r\n-----END CERTIFICATE-----\r\n"
        )
    }

    #[test]
    fn a_certificate_is_found_by_its_bytes_whatever_the_file_is_called() {
        let (_pki, folders) = pki();
        for (name, content) in [
            ("0A.der", THEIRS.to_vec()),
            ("our [0B].der", b"\x30\x03ou".to_vec()),
            ("their.pem", pem(THEIRS).into_bytes()),
            ("notes.txt", b"-----BEGIN CERTIFICATE-----\nno".to_vec()),
        ] {
            fs::write(folders.rejected.join(name), content).unwrap();
        }
        fs::create_dir(folders.rejected.join("folder")).unwrap();
        assert_eq!(folders.find_rejected(OURS).unwrap(), None);

        let file = folders.rejected.join("any name");
        for content in [OURS.to_vec(), pem(OURS).into_bytes()] {
            fs::write(&file, content).unwrap();
            assert_eq!(folders.find_rejected(OURS).unwrap().as_ref(), Some(&file));
        }
    }

    #[test]
    fn a_trusted_file_keeps_its_name_and_leaves_nothing_behind() {
        let (_pki, folders) = pki();
        let rejected = folders.rejected.join("0B.der");
        fs::write(&rejected, OURS).unwrap();
        let trusted = folders.trust(&rejected).unwrap();
        assert_eq!(trusted, folders.trusted.join("0B.der"));
        assert_eq!(fs::read(&trusted).unwrap(), OURS);
        assert!(!rejected.exists());
        assert_eq!(folders.trust(&rejected).unwrap_err().kind, Kind::Folders);
    }

    #[test]
    fn forgetting_takes_ours_from_both_folders_and_nothing_else() {
        let (_pki, folders) = pki();
        for (file, content) in [
            (folders.trusted.join("a"), OURS),
            (folders.trusted.join("b"), THEIRS),
            (folders.rejected.join("c"), OURS),
            (folders.rejected.join("d"), OURS),
        ] {
            fs::write(file, content).unwrap();
        }
        let gone = folders.forget(&[OURS.to_vec()]).unwrap();
        assert_eq!(gone.iter().map(|file| name_of(file)).collect::<Vec<_>>(), ["a", "c", "d"]);
        assert_eq!(fs::read(folders.trusted.join("b")).unwrap(), THEIRS);
        assert!(folders.rejected_names().is_empty());
    }

    #[test]
    fn a_folder_that_is_not_there_is_named_with_what_to_set() {
        let (_pki, folders) = pki();
        assert!(folders.check().is_ok());
        fs::remove_dir(&folders.rejected).unwrap();
        let failure = folders.check().unwrap_err();
        assert_eq!(failure.kind, Kind::Folders);
        assert!(failure.seen.contains("CA/rejected cannot be read"), "{failure:?}");
        assert!(failure.advice.join(" ").contains(REJECTED), "{failure:?}");
    }
}

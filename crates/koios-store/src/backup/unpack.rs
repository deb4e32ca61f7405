//! Reading a backup, whole, before anything is made of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use super::BackupError;
use super::archive::{Member, Reader};
use super::encryption::{Decryptor, is_encrypted};
use super::manifest::{MANIFEST, MAX_MANIFEST, Manifest};
use crate::atomic::{self, Access};
use crate::error::StoreError;
use crate::file_digest::hex;
use crate::layout::DATABASE;
use crate::progress::Progress;

/// A backup that was read to its end, every file of it being what its manifest says.
pub(crate) struct Unpacked {
    pub(crate) manifest: Manifest,
    /// All but the database, by path below the data directory.
    pub(crate) files: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

/// Reads a backup; the database, which may be large, goes to a new file.
pub(crate) fn unpack(
    file: &Path,
    passphrase: Option<&str>,
    database: &Path,
    progress: &Progress,
) -> Result<Unpacked, BackupError> {
    let mut input = BufReader::with_capacity(128 * 1024, File::open(file).map_err(BackupError::file(file))?);
    let encrypted = is_encrypted(input.fill_buf().map_err(BackupError::file(file))?);
    match (encrypted, passphrase) {
        (true, Some(passphrase)) => read(Decryptor::new(input, passphrase)?, database, progress),
        (true, None) => Err(BackupError::PassphraseRequired),
        (false, Some(_)) => Err(BackupError::NotEncrypted),
        (false, None) => read(input, database, progress),
    }
}

fn read(input: impl Read, database: &Path, progress: &Progress) -> Result<Unpacked, BackupError> {
    let mut archive = Reader::new(input);
    let not_first = || BackupError::damaged("it does not begin with its manifest");
    let first = archive.next()?.filter(|member| member.path == MANIFEST).ok_or_else(not_first)?;
    if first.size > MAX_MANIFEST {
        return Err(BackupError::damaged("its manifest is too long"));
    }
    let mut text = Vec::new();
    archive.copy_contents(first.size, &mut text)?;
    let manifest = Manifest::parse(&text)?;
    let mut files = BTreeMap::new();
    for expected in progress.over("reading the backup", &manifest.members) {
        let found = archive.next()?;
        if found != Some(Member { path: expected.path.clone(), size: expected.size }) {
            return Err(BackupError::damaged(format!("{} is not where its manifest says", expected.path)));
        }
        let sha256 = if expected.path == DATABASE {
            let failed = |source| StoreError::io(database, source);
            atomic::write_new(database, b"", Access::Secret).map_err(failed)?;
            let mut out = Digesting::new(File::options().append(true).open(database).map_err(failed)?);
            archive.copy_contents(expected.size, &mut out)?;
            out.inner.sync_all().map_err(failed)?;
            out.sha256()
        } else {
            // As long as its kind may be at most: the manifest has looked. Allocated once, so that no copy stays behind.
            let length = usize::try_from(expected.size).unwrap_or(0);
            let mut out = Digesting::new(Zeroizing::new(Vec::with_capacity(length)));
            archive.copy_contents(expected.size, &mut out)?;
            let sha256 = digest_text(&out.context);
            files.insert(expected.path.clone(), out.inner);
            sha256
        };
        if sha256 != expected.sha256 {
            return Err(BackupError::damaged(format!("{} was changed after it was made", expected.path)));
        }
    }
    if archive.next()?.is_some() {
        return Err(BackupError::damaged("it holds more than its manifest says"));
    }
    Ok(Unpacked { manifest, files })
}

/// Passes on what is written, and computes its SHA-256.
struct Digesting<W> {
    inner: W,
    context: digest::Context,
}

impl<W> Digesting<W> {
    fn new(inner: W) -> Self {
        Self { inner, context: digest::Context::new(&digest::SHA256) }
    }

    fn sha256(&self) -> String {
        digest_text(&self.context)
    }
}

fn digest_text(context: &digest::Context) -> String {
    hex(context.clone().finish().as_ref())
}

impl Write for Digesting<File> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.context.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl Write for Digesting<Zeroizing<Vec<u8>>> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.inner.extend_from_slice(bytes);
        self.context.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

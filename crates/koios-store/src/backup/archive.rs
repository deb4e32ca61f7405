//! The one file of a backup: a tar archive that every tar opens. Headers are read and written by the crate `tar`, the
//! archive around them here: what is read must be, to the bit, what is written, and nothing but plain files.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

use super::BackupError;

const BLOCK: usize = 512;
const BLOCK_BYTES: u64 = 512;

/// Longest path of a member.
const MAX_PATH: u64 = 1024;

/// What the entry is called that says a path too long for a header.
const LONG_PATH: &str = "././@LongLink";

/// Writes a member of exactly `size` bytes.
pub(super) fn append(
    out: &mut impl Write,
    path: &str,
    size: u64,
    modified: u64,
    contents: impl Read,
) -> io::Result<()> {
    let mut header_path = path;
    if path.len() > 100 {
        let with_end = [path.as_bytes(), &[0]].concat();
        let length = u64::try_from(with_end.len()).map_err(io::Error::other)?;
        let header =
            header(LONG_PATH, length, modified, EntryType::GNULongName).ok_or(io::ErrorKind::InvalidInput)?;
        out.write_all(header.as_bytes())?;
        out.write_all(&with_end)?;
        pad(out, length)?;
        header_path = shortened(path);
    }
    let header =
        header(header_path, size, modified, EntryType::Regular).ok_or(io::ErrorKind::InvalidInput)?;
    out.write_all(header.as_bytes())?;
    let copied = io::copy(&mut contents.take(size), out)?;
    if copied != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    pad(out, size)
}

/// Ends the archive.
pub(super) fn finish(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

/// Reads an archive, member by member.
pub(super) struct Reader<R> {
    inner: R,
    modified: Option<u64>,
}

/// A member whose contents come next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) path: String,
    pub(super) size: u64,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, modified: None }
    }

    /// The next member, or `None` at the end of the archive, which must be the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Member>, BackupError> {
        let Some(first) = self.header()? else { return Ok(None) };
        if first.kind != EntryType::GNULongName {
            self.require_canonical(&first, &first.path.clone(), EntryType::Regular)?;
            return Ok(Some(Member { path: first.path, size: first.size }));
        }
        if first.size > MAX_PATH {
            return Err(BackupError::damaged("it has a member whose path is too long"));
        }
        self.require_canonical(&first, LONG_PATH, EntryType::GNULongName)?;
        let mut path = Vec::new();
        self.copy_contents(first.size, &mut path)?;
        let path = path.strip_suffix(&[0]).and_then(|path| std::str::from_utf8(path).ok());
        let path = path.ok_or_else(malformed)?.to_owned();
        let second = self.header()?.ok_or_else(malformed)?;
        if path.len() <= 100 {
            return Err(malformed());
        }
        self.require_canonical(&second, shortened(&path), EntryType::Regular)?;
        Ok(Some(Member { path, size: second.size }))
    }

    /// The time that every member says.
    #[cfg(feature = "fuzzing")]
    pub(super) fn modified(&self) -> Option<u64> {
        self.modified
    }

    /// Copies the contents of the member that [`Reader::next`] gave, once.
    pub(super) fn copy_contents(&mut self, size: u64, out: &mut impl Write) -> Result<(), BackupError> {
        let copied = io::copy(&mut self.inner.by_ref().take(size), out).map_err(BackupError::read)?;
        let mut padding = Vec::new();
        let padded = padding_of(size);
        self.inner.by_ref().take(padded).read_to_end(&mut padding).map_err(BackupError::read)?;
        let whole = copied == size && u64::try_from(padding.len()).is_ok_and(|read| read == padded);
        if !whole {
            return Err(cut_off());
        }
        if padding.iter().any(|byte| *byte != 0) { Err(malformed()) } else { Ok(()) }
    }

    fn header(&mut self) -> Result<Option<Head>, BackupError> {
        let bytes = self.block()?;
        if bytes == [0; BLOCK] {
            if self.block()? != [0; BLOCK] {
                return Err(malformed());
            }
            let mut rest = [0; 1];
            return match self.inner.read(&mut rest).map_err(BackupError::read)? {
                0 => Ok(None),
                _ => Err(BackupError::damaged("something follows its end")),
            };
        }
        let header = Header::from_byte_slice(&bytes);
        let path = String::from_utf8(header.path_bytes().into_owned()).map_err(|_| malformed())?;
        let size = header.entry_size().map_err(|_| malformed())?;
        let modified = header.mtime().map_err(|_| malformed())?;
        Ok(Some(Head { bytes, path, size, modified, kind: header.entry_type() }))
    }

    /// A header has one form: with it come neither links, devices, owners nor anything else that could matter.
    fn require_canonical(&mut self, head: &Head, path: &str, kind: EntryType) -> Result<(), BackupError> {
        if head.kind != kind {
            return Err(BackupError::damaged("it has a member that is no plain file"));
        }
        let modified = *self.modified.get_or_insert(head.modified);
        match header(path, head.size, modified, kind) {
            Some(expected) if *expected.as_bytes() == head.bytes => Ok(()),
            _ => Err(malformed()),
        }
    }

    fn block(&mut self) -> Result<[u8; BLOCK], BackupError> {
        let mut block = [0; BLOCK];
        self.inner.read_exact(&mut block).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => cut_off(),
            _ => BackupError::read(error),
        })?;
        Ok(block)
    }
}

struct Head {
    bytes: [u8; BLOCK],
    path: String,
    size: u64,
    modified: u64,
    kind: EntryType,
}

fn header(path: &str, size: u64, modified: u64, kind: EntryType) -> Option<Header> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    let field = header.as_gnu_mut()?.name.get_mut(..path.len())?;
    field.copy_from_slice(path.as_bytes());
    header.set_size(size);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(modified);
    header.set_cksum();
    Some(header)
}

/// As much of a path as a header holds.
fn shortened(path: &str) -> &str {
    let end = (0..=100).rev().find(|end| path.is_char_boundary(*end)).unwrap_or(0);
    path.get(..end).unwrap_or_default()
}

fn padding_of(size: u64) -> u64 {
    (BLOCK_BYTES - size % BLOCK_BYTES) % BLOCK_BYTES
}

fn pad(out: &mut impl Write, size: u64) -> io::Result<()> {
    let padding = usize::try_from(padding_of(size)).map_err(io::Error::other)?;
    out.write_all([0; BLOCK].get(..padding).unwrap_or_default())
}

fn malformed() -> BackupError {
    BackupError::damaged("it is not the archive that Koios writes")
}

fn cut_off() -> BackupError {
    BackupError::damaged("it is cut off")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long() -> String {
        format!("trust/trusted/certs/{}.der", "ü".repeat(90))
    }

    fn archive() -> Vec<u8> {
        let mut out = Vec::new();
        append(&mut out, "koios.db", 3, 1_700_000_000, b"abc".as_slice()).unwrap();
        append(&mut out, &long(), 600, 1_700_000_000, [9; 600].as_slice()).unwrap();
        append(&mut out, "empty", 0, 1_700_000_000, io::empty()).unwrap();
        finish(&mut out).unwrap();
        out
    }

    fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, BackupError> {
        let mut reader = Reader::new(bytes);
        let mut members = Vec::new();
        while let Some(Member { path, size }) = reader.next()? {
            let mut contents = Vec::new();
            reader.copy_contents(size, &mut contents)?;
            members.push((path, contents));
        }
        Ok(members)
    }

    #[test]
    fn members_are_read_back_as_they_were_written() {
        let members = read(&archive()).unwrap();
        let expected =
            [("koios.db".to_owned(), b"abc".to_vec()), (long(), vec![9; 600]), ("empty".to_owned(), vec![])];
        assert_eq!(members, expected);
    }

    #[test]
    fn an_archive_cut_off_anywhere_or_with_more_behind_it_is_refused() {
        let archive = archive();
        for end in 0..archive.len() {
            assert!(read(&archive[..end]).is_err(), "{end}");
        }
        assert!(read(&[&archive[..], &[0]].concat()).is_err());
    }

    #[test]
    fn no_changed_bit_goes_unnoticed() {
        let archive = archive();
        let whole = read(&archive).unwrap();
        for index in 0..archive.len() {
            let mut changed = archive.clone();
            changed[index] ^= 1;
            // What is left are paths and contents, which the manifest covers.
            if let Ok(members) = read(&changed) {
                assert_ne!(members, whole, "{index}");
            }
        }
    }

    #[test]
    fn whatever_is_no_plain_file_is_refused() {
        for kind in
            [EntryType::Symlink, EntryType::Link, EntryType::Directory, EntryType::Fifo, EntryType::Char]
        {
            let mut out = header("koios.db", 0, 0, kind).unwrap().as_bytes().to_vec();
            finish(&mut out).unwrap();
            assert!(matches!(read(&out), Err(BackupError::Damaged { .. })), "{kind:?}");
        }
    }
}

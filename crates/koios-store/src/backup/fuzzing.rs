//! A backup of a stranger.

use std::io::BufRead;

use super::archive::{self, Member, Reader};
use super::encryption::{Decryptor, is_encrypted};
use super::manifest::Manifest;

/// Work that a fuzzer can do many times a second.
const MOST_WORK: u8 = 4;

/// Any bytes are a manifest, an archive or an encrypted one, or are refused; an archive that is read is, to the bit, the
/// one that is written of what was read.
pub fn fuzz(mut data: &[u8]) {
    let _ = Manifest::parse(data);
    if !is_encrypted(data.fill_buf().unwrap_or_default()) {
        archive(data);
    } else if let Ok(mut decrypted) = Decryptor::with_most_work(data, "open sesame", MOST_WORK) {
        let mut contents = Vec::new();
        if std::io::Read::read_to_end(&mut decrypted, &mut contents).is_ok() {
            archive(&contents);
        }
    }
}

fn archive(data: &[u8]) {
    let mut reader = Reader::new(data);
    let mut written = Vec::new();
    while let Ok(next) = reader.next() {
        let Some(Member { path, size }) = next else {
            let ended = archive::finish(&mut written);
            assert!(ended.is_ok() && written == data, "it was read and is written otherwise");
            return;
        };
        let mut contents = Vec::new();
        if reader.copy_contents(size, &mut contents).is_err() {
            return;
        }
        let modified = reader.modified().unwrap_or_default();
        let appended = archive::append(&mut written, &path, size, modified, contents.as_slice());
        assert!(appended.is_ok(), "{path:?} was read and cannot be written");
    }
}

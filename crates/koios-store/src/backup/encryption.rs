//! Encryption of a backup under a passphrase, in the format of age (<https://age-encryption.org/v1>), so that in ten years
//! other programs than this one open it: scrypt (RFC 7914) makes a key of the passphrase, ChaCha20-Poly1305 (RFC 8439)
//! seals 64 KiB at a time, numbered and the last one marked, so that nothing can be cut off, reordered or left out.

use std::io::{self, BufRead, Read, Write};

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, hkdf, hmac};
use base64ct::{Base64Unpadded, Encoding};
use zeroize::Zeroizing;

use super::BackupError;

const VERSION_LINE: &str = "age-encryption.org/v1";

/// The work of a passphrase that is tried: 128 MiB and about half a second.
const WORK_FACTOR: u8 = 17;

/// The most that is accepted: 1 GiB, eight times the work. A stranger's file must not ask for more.
const MAX_WORK_FACTOR: u8 = 20;

/// Longest line of the header.
const MAX_LINE: u64 = 128;

const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;
const FILE_KEY: usize = 16;
const SALT: usize = 16;

/// Whether a file that begins so is encrypted.
pub(super) fn is_encrypted(start: &[u8]) -> bool {
    start.starts_with(VERSION_LINE.as_bytes())
}

/// Encrypts what is written to it; [`Encryptor::finish`] ends it.
pub(super) struct Encryptor<W> {
    inner: W,
    chunks: Chunks,
    buffer: Zeroizing<Vec<u8>>,
}

impl<W: Write> Encryptor<W> {
    pub(super) fn new(inner: W, passphrase: &str) -> io::Result<Self> {
        Self::with_work_factor(inner, passphrase, WORK_FACTOR)
    }

    fn with_work_factor(mut inner: W, passphrase: &str, work_factor: u8) -> io::Result<Self> {
        let file_key = Zeroizing::new(random::<FILE_KEY>()?);
        let salt = random::<SALT>()?;
        let wrap_key = wrap_key(passphrase, &salt, work_factor).ok_or_else(failed)?;
        let mut wrapped = file_key.to_vec();
        // The key is used this once.
        wrap_key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut wrapped)
            .map_err(|_| failed())?;
        let mut header = format!(
            "{VERSION_LINE}\n-> scrypt {} {work_factor}\n{}\n---",
            Base64Unpadded::encode_string(&salt),
            Base64Unpadded::encode_string(&wrapped)
        );
        let mac = hmac::sign(&mac_key(file_key.as_ref())?, header.as_bytes());
        header.push(' ');
        header.push_str(&Base64Unpadded::encode_string(mac.as_ref()));
        header.push('\n');
        inner.write_all(header.as_bytes())?;
        let nonce = random::<16>()?;
        inner.write_all(&nonce)?;
        let chunks = Chunks::new(file_key.as_ref(), &nonce)?;
        Ok(Self { inner, chunks, buffer: Zeroizing::new(Vec::with_capacity(CHUNK + TAG)) })
    }

    /// Writes the last chunk.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.write_chunk(true)?;
        Ok(self.inner)
    }

    fn write_chunk(&mut self, last: bool) -> io::Result<()> {
        let nonce = self.chunks.next(last).ok_or_else(failed)?;
        self.chunks
            .key
            .seal_in_place_append_tag(nonce, Aad::empty(), &mut *self.buffer)
            .map_err(|_| failed())?;
        self.inner.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Write for Encryptor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits until more comes: it may be the last one.
        if self.buffer.len() == CHUNK && !bytes.is_empty() {
            self.write_chunk(false)?;
        }
        let taken = bytes.get(..CHUNK - self.buffer.len()).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Decrypts what it reads. An end that is not the marked one is an error, as is every bit that was changed.
pub(super) struct Decryptor<R> {
    inner: R,
    chunks: Chunks,
    opened: Zeroizing<Vec<u8>>,
    taken: usize,
    ended: bool,
}

impl<R: BufRead> Decryptor<R> {
    pub(super) fn new(inner: R, passphrase: &str) -> Result<Self, BackupError> {
        Self::with_most_work(inner, passphrase, MAX_WORK_FACTOR)
    }

    /// Refuses a file whose passphrase asks for more work than `most`.
    pub(super) fn with_most_work(mut inner: R, passphrase: &str, most: u8) -> Result<Self, BackupError> {
        let mut header = String::new();
        let mut next = |header: &mut String| -> Result<String, BackupError> {
            let mut line = Vec::new();
            inner.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(BackupError::read)?;
            let line = String::from_utf8(line).map_err(|_| damaged())?;
            let line = line.strip_suffix('\n').ok_or_else(damaged)?.to_owned();
            if !line.starts_with("---") {
                header.push_str(&line);
                header.push('\n');
            }
            Ok(line)
        };
        if next(&mut header)? != VERSION_LINE {
            return Err(damaged());
        }
        let stanza = next(&mut header)?;
        let Some((salt, work_factor)) =
            stanza.strip_prefix("-> scrypt ").and_then(|rest| rest.split_once(' '))
        else {
            return Err(BackupError::damaged("it is encrypted, but not under a passphrase"));
        };
        let salt: [u8; SALT] = decode(salt)?;
        let work_factor = work_factor.parse::<u8>().map_err(|_| damaged())?;
        if work_factor == 0 || work_factor > most {
            return Err(BackupError::damaged("its passphrase asks for more work than is done"));
        }
        let mut wrapped: Zeroizing<[u8; FILE_KEY + TAG]> = Zeroizing::new(decode(&next(&mut header)?)?);
        let end = next(&mut header)?;
        let mac: [u8; 32] = decode(end.strip_prefix("--- ").ok_or_else(damaged)?)?;
        header.push_str("---");

        let wrap_key = wrap_key(passphrase, &salt, work_factor).ok_or_else(damaged)?;
        let file_key = wrap_key
            .open_in_place(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), wrapped.as_mut_slice())
            .map_err(|_| BackupError::PassphraseWrong)?;
        let file_key = Zeroizing::new(file_key.to_vec());
        let expected = hmac::sign(&mac_key(&file_key).map_err(BackupError::read)?, header.as_bytes());
        constant_time::verify_slices_are_equal(expected.as_ref(), &mac).map_err(|_| damaged())?;
        let mut nonce = [0; 16];
        inner.read_exact(&mut nonce).map_err(BackupError::read)?;
        let chunks = Chunks::new(&file_key, &nonce).map_err(BackupError::read)?;
        Ok(Self { inner, chunks, opened: Zeroizing::new(Vec::new()), taken: 0, ended: false })
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let sealed = &mut *self.opened;
        sealed.clear();
        let longest = u64::try_from(CHUNK + TAG).map_err(io::Error::other)?;
        self.inner.by_ref().take(longest).read_to_end(sealed)?;
        let last = self.inner.fill_buf()?.is_empty();
        let first = self.chunks.number == 0;
        let nonce = self.chunks.next(last).ok_or_else(changed)?;
        let len = self.chunks.key.open_in_place(nonce, Aad::empty(), sealed).map_err(|_| changed())?.len();
        // Only an empty file ends with an empty chunk.
        if len == 0 && !first {
            return Err(changed());
        }
        sealed.truncate(len);
        (self.taken, self.ended) = (0, last);
        Ok(())
    }
}

impl<R: BufRead> Read for Decryptor<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.opened.len() {
            if self.ended {
                return Ok(0);
            }
            self.next_chunk()?;
        }
        let taken = self.opened.get(self.taken..).unwrap_or_default().read(bytes)?;
        self.taken += taken;
        Ok(taken)
    }
}

/// The key of the contents, and the number of the next chunk.
struct Chunks {
    key: LessSafeKey,
    number: u64,
}

impl Chunks {
    fn new(file_key: &[u8], nonce: &[u8; 16]) -> io::Result<Self> {
        let key = derive(file_key, nonce, b"payload")?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).map_err(|_| failed())?;
        Ok(Self { key: LessSafeKey::new(key), number: 0 })
    }

    /// Eleven bytes of number, one that says whether it is the last.
    fn next(&mut self, last: bool) -> Option<Nonce> {
        let [a, b, c, d, e, f, g, h] = self.number.to_be_bytes();
        self.number = self.number.checked_add(1)?;
        Some(Nonce::assume_unique_for_key([0, 0, 0, a, b, c, d, e, f, g, h, u8::from(last)]))
    }
}

fn wrap_key(passphrase: &str, salt: &[u8; SALT], work_factor: u8) -> Option<LessSafeKey> {
    let salt = [b"age-encryption.org/v1/scrypt".as_slice(), salt].concat();
    let cost = scrypt::Params::new(work_factor, 8, 1).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(passphrase.as_bytes(), &salt, &cost, key.as_mut()).ok()?;
    UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).ok().map(LessSafeKey::new)
}

fn mac_key(file_key: &[u8]) -> io::Result<hmac::Key> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, derive(file_key, &[], b"header")?.as_ref()))
}

fn derive(file_key: &[u8], salt: &[u8], info: &[u8]) -> io::Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(file_key)
        .expand(&[info], hkdf::HKDF_SHA256)
        .and_then(|derived| derived.fill(key.as_mut()))
        .map_err(|_| failed())?;
    Ok(key)
}

fn decode<const LEN: usize>(text: &str) -> Result<[u8; LEN], BackupError> {
    let mut bytes = [0; LEN];
    match Base64Unpadded::decode(text, &mut bytes) {
        Ok(decoded) if decoded.len() == LEN => Ok(bytes),
        _ => Err(damaged()),
    }
}

fn random<const LEN: usize>() -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| failed())?;
    Ok(bytes)
}

fn failed() -> io::Error {
    io::Error::other("the backup cannot be encrypted")
}

fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it was cut off, or changed after it was made")
}

fn damaged() -> BackupError {
    BackupError::damaged("the header of its encryption is not one")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Little work: what is tested is not how long a guess takes.
    const QUICK: u8 = 4;

    fn encrypted(contents: &[u8]) -> Vec<u8> {
        let mut writer = Encryptor::with_work_factor(Vec::new(), "open sesame", QUICK).unwrap();
        // Uneven pieces, so that chunks do not end with them.
        contents.chunks(10_007).for_each(|piece| writer.write_all(piece).unwrap());
        writer.finish().unwrap()
    }

    fn decrypted(file: &[u8], passphrase: &str) -> Result<Vec<u8>, BackupError> {
        let mut contents = Vec::new();
        Decryptor::new(file, passphrase)?.read_to_end(&mut contents).map_err(BackupError::read)?;
        Ok(contents)
    }

    #[test]
    fn what_was_encrypted_is_read_back_whatever_its_length() {
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let contents: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            let file = encrypted(&contents);
            assert!(is_encrypted(&file));
            assert_eq!(decrypted(&file, "open sesame").unwrap(), contents, "{len}");
        }
    }

    #[test]
    fn another_passphrase_is_told_from_damage() {
        let file = encrypted(b"secret");
        assert!(matches!(decrypted(&file, "open"), Err(BackupError::PassphraseWrong)));
        assert!(!file.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn no_bit_can_be_changed_and_no_end_cut_off() {
        let file = encrypted(&[7; 300]);
        for index in 0..file.len() {
            let mut changed = file.clone();
            changed[index] ^= 1;
            assert!(decrypted(&changed, "open sesame").is_err(), "{index}");
            assert!(decrypted(&file[..index], "open sesame").is_err(), "{index}");
        }
        assert!(decrypted(&[&file[..], b"x"].concat(), "open sesame").is_err());
    }

    #[test]
    fn chunks_are_neither_reordered_nor_left_out() {
        let file = encrypted(&vec![7; 3 * CHUNK]);
        let sealed = CHUNK + TAG;
        let start = file.len() - 3 * sealed;
        let (head, body) = file.split_at(start);
        let chunks: Vec<&[u8]> = body.chunks(sealed).collect();
        for order in [vec![1, 0, 2], vec![0, 2], vec![0, 1], vec![0, 1, 1, 2]] {
            let body: Vec<u8> = order.iter().flat_map(|index| chunks[*index]).copied().collect();
            assert!(decrypted(&[head, &body].concat(), "open sesame").is_err(), "{order:?}");
        }
    }

    /// Made by age 1.1.1, `age --passphrase`.
    #[test]
    fn what_age_encrypted_is_read() {
        let file = base64ct::Base64::decode_vec(concat!(
            "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBxWVlEYTZqZTQxZER5eFJKUURWQ01RIDE4CnlPbnpIL1BFbmJVU2JSVDZX",
            "dGNLNnlaSjZjeWNaWmRTMy9XMGlpREo4bkUKLS0tIFB1ZEQ0ZzlvbzRIcDRwckxFdHpBUWZrMVdJczFLZVFRaFQ4WjlVYXc4ODQK",
            "xS8kW1hR71N4PA8f3LAn9Qwb/AnMB/tcocsXojAm1VWV+pv/lqO0GW6sQD1wEA==",
        ))
        .unwrap();
        assert_eq!(decrypted(&file, "open sesame").unwrap(), b"written by age");
    }

    #[test]
    fn a_file_that_asks_for_too_much_work_is_refused_before_it() {
        let text = String::from_utf8_lossy(&encrypted(b"x")).replacen(" 4\n", " 30\n", 1).into_bytes();
        assert!(matches!(decrypted(&text, "open sesame"), Err(BackupError::Damaged { .. })));
    }
}

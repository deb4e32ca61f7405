use crate::error::Fault;

/// Reads OPC UA binary from bytes that are all there; every length is checked against what is left of them.
#[derive(Debug)]
pub(crate) struct ByteReader<'a> {
    rest: &'a [u8],
}

impl<'a> ByteReader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        let (value, rest) = self.rest.split_first().ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(*value)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Fault> {
        Ok(i32::from_le_bytes(self.u32()?.to_le_bytes()))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Fault> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn f64(&mut self) -> Result<f64, Fault> {
        self.array().map(f64::from_le_bytes)
    }

    pub(crate) fn length(&mut self) -> Result<usize, Fault> {
        Ok(usize::try_from(self.u32()?).unwrap_or(usize::MAX))
    }

    pub(crate) fn skip(&mut self, len: usize) -> Result<(), Fault> {
        self.take(len).map(|_| ())
    }

    /// A byte string of at most `max` bytes; a null one is empty.
    pub(crate) fn byte_string(&mut self, max: usize) -> Result<&'a [u8], Fault> {
        // Negative: null.
        let Ok(len) = usize::try_from(self.i32()?) else { return Ok(&[]) };
        if len > max {
            return Err(Fault::decoding(format!("a field of {len} bytes where at most {max} are allowed")));
        }
        self.take(len)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (value, rest) = self.rest.split_first_chunk::<N>().ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(*value)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (value, rest) = self.rest.split_at_checked(len).ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(value)
    }
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// A byte string; `None` is a null one.
pub(crate) fn put_byte_string(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    // What we write is far below 2 GiB; a longer one would be refused by the limit on a message.
    let len = bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes.unwrap_or_default());
}

fn cut_short() -> Fault {
    Fault::decoding("it ends too early")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_string_reads_back_and_a_null_one_is_empty() {
        let mut out = Vec::new();
        put_byte_string(&mut out, Some(b"abc"));
        put_byte_string(&mut out, None);
        let mut reader = ByteReader::new(&out);
        assert_eq!(reader.byte_string(3).unwrap(), b"abc");
        assert_eq!(reader.byte_string(0).unwrap(), b"");
        assert!(reader.rest().is_empty());
    }

    #[test]
    fn a_length_beyond_the_bytes_or_the_limit_is_refused() {
        assert!(ByteReader::new(b"\x04\0\0\0abc").byte_string(100).is_err());
        assert!(ByteReader::new(b"\x03\0\0\0abc").byte_string(2).is_err());
        assert!(ByteReader::new(b"\xff\xff\xff\x7fabc").byte_string(usize::MAX).is_err());
        assert!(ByteReader::new(b"\x03\0").u32().is_err());
    }
}

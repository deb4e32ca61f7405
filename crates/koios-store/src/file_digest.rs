//! SHA-256 of a file's contents.

use aws_lc_rs::digest;

use crate::error::StoreError;

/// SHA-256 of a file's contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileDigest([u8; 32]);

impl FileDigest {
    pub(crate) fn of(contents: &[u8]) -> Self {
        Self(sha256(&[contents]))
    }

    /// Reads back what [`FileDigest::as_bytes`] gave to the column `what`.
    pub(crate) fn from_bytes(bytes: &[u8], what: &str) -> Result<Self, StoreError> {
        bytes.try_into().map(Self).map_err(|source| StoreError::corrupt(what, source))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// SHA-256 of several parts, one behind the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut bytes = [0; 32];
    // Both are 32 bytes long: the algorithm says so.
    bytes.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

/// As text in lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

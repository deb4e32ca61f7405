//! Deriving keys as PKCS#12 did before PBES2 (RFC 7292 appendix B); of no use elsewhere.

use aws_lc_rs::digest::{self, Algorithm};
use zeroize::Zeroizing;

/// The hashes that files use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub(crate) fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha224 => &digest::SHA224,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// What the bits are for (RFC 7292 appendix B.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Key,
    InitializationVector,
    Mac,
}

/// What `len` bytes cost, in the units of [`super::WorkBudget`].
pub(crate) fn work(hash: Hash, iterations: u32, len: usize) -> u64 {
    let blocks = u64::try_from(len.div_ceil(hash.algorithm().output_len())).unwrap_or(u64::MAX);
    u64::from(iterations).saturating_mul(blocks)
}

/// RFC 7292 appendix B.2; `password` is that of [`super::Password::bmp`].
pub(crate) fn derive(
    hash: Hash,
    purpose: Purpose,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    len: usize,
) -> Zeroizing<Vec<u8>> {
    let algorithm = hash.algorithm();
    let block_len = algorithm.block_len();
    let id = match purpose {
        Purpose::Key => 1,
        Purpose::InitializationVector => 2,
        Purpose::Mac => 3,
    };
    let (salt_len, password_len) = (whole_blocks(salt, block_len), whole_blocks(password, block_len));
    // Both parts at once: a vector that grows leaves copies behind.
    let mut input = Zeroizing::new(Vec::with_capacity(salt_len + password_len));
    input.extend(salt.iter().cycle().take(salt_len));
    input.extend(password.iter().cycle().take(password_len));
    let diversifier = vec![id; block_len];
    let mut derived = Zeroizing::new(Vec::with_capacity(len + algorithm.output_len()));
    while derived.len() < len {
        let mut context = digest::Context::new(algorithm);
        context.update(&diversifier);
        context.update(&input);
        let mut block = context.finish();
        for _ in 1..iterations {
            block = digest::digest(algorithm, block.as_ref());
        }
        derived.extend_from_slice(block.as_ref());
        let mut addend = Zeroizing::new(Vec::with_capacity(block_len));
        addend.extend(block.as_ref().iter().cycle().take(block_len));
        input.chunks_mut(block_len).for_each(|part| add_one_more(part, &addend));
    }
    derived.truncate(len);
    derived
}

/// The length of `bytes` repeated up to a whole number of blocks; nothing of nothing.
fn whole_blocks(bytes: &[u8], block_len: usize) -> usize {
    bytes.len().div_ceil(block_len) * block_len
}

/// `part += addend + 1`, as numbers of that many bytes.
fn add_one_more(part: &mut [u8], addend: &[u8]) {
    let mut carry = 1_u16;
    for (byte, add) in part.iter_mut().zip(addend).rev() {
        let sum = u16::from(*byte) + u16::from(*add) + carry;
        let [high, low] = sum.to_be_bytes();
        *byte = low;
        carry = u16::from(high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encryption::Password;

    /// Published with Bouncy Castle and repeated by other implementations: "smeg", and "queeg".
    #[test]
    fn published_vectors_are_derived() {
        let derived = |purpose, password: &str, salt: [u8; 8], iterations, len| {
            derive(Hash::Sha1, purpose, &Password::Text(password).bmp(), &salt, iterations, len).to_vec()
        };
        let salt = [0x0A, 0x58, 0xCF, 0x64, 0x53, 0x0D, 0x82, 0x3F];
        assert_eq!(
            derived(Purpose::Key, "smeg", salt, 1, 24),
            hex("8AAAE6297B6CB04642AB5B077851284EB7128F1A2A7FBCA3")
        );
        assert_eq!(derived(Purpose::InitializationVector, "smeg", salt, 1, 8), hex("79993DFE048D3B76"));
        let salt = [0x05, 0xDE, 0xC9, 0x59, 0xAC, 0xFF, 0x72, 0xF7];
        assert_eq!(
            derived(Purpose::Key, "queeg", salt, 1000, 24),
            hex("ED2034E36328830FF09DF1E1A07DD357185DAC0D4F9EB3D4")
        );
        let salt = [0x3D, 0x83, 0xC0, 0xE4, 0x54, 0x6A, 0xC1, 0x40];
        assert_eq!(
            derived(Purpose::Mac, "smeg", salt, 1, 20),
            hex("8D967D88F6CAA9D714800AB3D48051D63F73A312")
        );
    }

    fn hex(text: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(digit).collect()
    }
}

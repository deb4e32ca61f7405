/// A certificate's serial number as we issue it: positive, 1 to 16 octets (RFC 5280 §4.1.2.2).
///
/// Serials found in certificates of others may be zero, negative or longer; those are shown as text by
/// [`crate::Certificate::serial_number`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SerialNumber([u8; 16]);

impl SerialNumber {
    /// Makes a serial number of 127 bits of the caller's randomness.
    ///
    /// The top bit is cleared, because the DER integer would be negative otherwise, and zero becomes one.
    pub const fn from_random_bytes(mut bytes: [u8; 16]) -> Self {
        let [first, ..] = &mut bytes;
        *first &= 0x7F;
        if u128::from_be_bytes(bytes) == 0 {
            return Self(1_u128.to_be_bytes());
        }
        Self(bytes)
    }

    /// The content of the DER INTEGER (X.690 §8.3): the bytes, after a zero when their top bit is set.
    pub(crate) fn to_integer(self) -> Vec<u8> {
        let mut bytes = self.to_bytes();
        if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
            bytes.insert(0, 0);
        }
        bytes
    }

    /// The big-endian bytes without leading zeros.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        self.0.into_iter().skip_while(|byte| *byte == 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_bit_is_cleared() {
        assert_eq!(SerialNumber::from_random_bytes([0xFF; 16]).to_bytes()[0], 0x7F);
    }

    #[test]
    fn zero_becomes_one_also_when_only_the_top_bit_was_set() {
        let mut top = [0; 16];
        top[0] = 0x80;
        assert_eq!(SerialNumber::from_random_bytes([0; 16]).to_bytes(), [1]);
        assert_eq!(SerialNumber::from_random_bytes(top).to_bytes(), [1]);
    }

    #[test]
    fn leading_zeros_are_no_part_of_the_number() {
        let mut bytes = [0; 16];
        bytes[14..].copy_from_slice(&[0x80, 0x01]);
        assert_eq!(SerialNumber::from_random_bytes(bytes).to_bytes(), [0x80, 0x01]);
    }
}

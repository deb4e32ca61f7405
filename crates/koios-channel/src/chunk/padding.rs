use crate::error::Fault;

/// How a message is filled up to whole blocks before it is signed and encrypted (OPC 10000-6 §6.7.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Padding {
    /// Length of a block of plain text.
    pub(super) block_len: usize,
    /// Length of the signature that follows the padding.
    pub(super) signature_len: usize,
    /// Whether a second size byte exists: when the **receiver's** key is longer than 256 bytes.
    pub(super) extra_size: bool,
}

impl Padding {
    /// Appends the padding to `message`, whose part from `from` on will be encrypted.
    pub(super) fn append(self, message: &mut Vec<u8>, from: usize) {
        let used = message.len() - from + self.signature_len + 1 + usize::from(self.extra_size);
        let len = used.next_multiple_of(self.block_len) - used;
        // Less than a block of plain text, which is less than 512 bytes: two bytes hold it.
        let [low, high, ..] = len.to_le_bytes();
        message.push(low);
        message.resize(message.len() + len, low);
        if self.extra_size {
            message.push(high);
        }
    }

    /// The part of `plain` before the padding. The signature is already checked and cut off.
    pub(super) fn strip(self, plain: &[u8]) -> Result<&[u8], Fault> {
        let (rest, high) = match plain.split_last() {
            Some((high, rest)) if self.extra_size => (rest, *high),
            _ => (plain, 0),
        };
        let low = *rest.last().ok_or(Fault::BadPadding)?;
        let len = usize::from(u16::from_le_bytes([low, high]));
        // The size byte itself repeats the value, so one more byte than the padding is cut off.
        let end = rest.len().checked_sub(len + 1).ok_or(Fault::BadPadding)?;
        let (body, padding) = rest.split_at_checked(end).ok_or(Fault::BadPadding)?;
        if padding.iter().any(|byte| *byte != low) {
            return Err(Fault::BadPadding);
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_padded_fills_whole_blocks_and_strips_to_what_it_was(
            body in prop::collection::vec(any::<u8>(), 0..1200),
            from in 0usize..20,
            (block_len, signature_len, extra_size) in prop_oneof![
                Just((16, 32, false)), Just((214, 256, false)), Just((342, 256, true)), Just((446, 512, true)),
            ],
        ) {
            let padding = Padding { block_len, signature_len, extra_size };
            let from = from.min(body.len());
            let mut padded = body.clone();
            padding.append(&mut padded, from);
            prop_assert_eq!((padded.len() - from + signature_len) % block_len, 0);
            prop_assert_eq!(padding.strip(&padded).unwrap(), &body[..]);
        }

        #[test]
        fn stripping_anything_never_panics(plain in prop::collection::vec(any::<u8>(), 0..600), extra_size: bool) {
            let _ = Padding { block_len: 16, signature_len: 32, extra_size }.strip(&plain);
        }
    }

    #[test]
    fn padding_of_other_bytes_or_longer_than_the_message_is_refused() {
        let padding = Padding { block_len: 16, signature_len: 0, extra_size: false };
        assert_eq!(padding.strip(&[9, 2, 2, 2]).unwrap(), [9]);
        assert_eq!(padding.strip(&[9, 2, 1, 2]), Err(Fault::BadPadding));
        assert_eq!(padding.strip(&[4, 4, 4, 4]), Err(Fault::BadPadding));
        assert_eq!(padding.strip(&[]), Err(Fault::BadPadding));
        let padding = Padding { extra_size: true, ..padding };
        let plain = [vec![7; 5], vec![1; 258], vec![1]].concat();
        assert_eq!(padding.strip(&plain).unwrap(), [7; 5]);
        assert_eq!(padding.strip(&[0]), Err(Fault::BadPadding));
    }
}

//! Chunks of MSG and CLO: secured with the keys of a token, or plain.

use super::padding::Padding;
use super::{CHANNEL_HEADER_LEN, Numbers, Opened, SEQUENCE_HEADER_LEN, put_content, start};
use crate::error::Fault;
use crate::policy::AES_BLOCK_LEN;
use crate::symmetric::{Position, ReceivingKeys, SendingKeys, Trailer, too_short};
use crate::wire::{ByteReader, ChunkKind, FrameType, finish, finish_as, put_u32};

/// Writes one chunk; `keys` is `None` on a channel without security.
pub(crate) fn seal(
    kind: FrameType,
    chunk: ChunkKind,
    token: u32,
    keys: Option<&SendingKeys>,
    numbers: Numbers,
    body: &[u8],
) -> Result<Vec<u8>, Fault> {
    let mut message = start(kind, chunk, numbers.channel_id, HEADERS_LEN + body.len() + MAX_OVERHEAD);
    put_u32(&mut message, token);
    put_content(&mut message, numbers, body);
    let Some(keys) = keys else {
        finish(&mut message);
        return Ok(message);
    };
    let trailer = keys.trailer();
    if trailer.padded {
        padding(trailer).append(&mut message, HEADERS_LEN);
    }
    // The size is part of what is signed.
    let size = message.len() + trailer.signature_len;
    finish_as(&mut message, size);
    // Where authenticated encryption counts by the number before, numbers follow each other without a gap.
    let previous_sequence_number = numbers.sequence_number.wrapping_sub(1);
    keys.protect(&mut message, HEADERS_LEN, Position { token_id: token, previous_sequence_number })?;
    Ok(message)
}

/// Opens one whole frame, which came after the one with the number `previous`; nothing of its content is looked at
/// before its signature holds.
pub(crate) fn open(keys: Option<&ReceivingKeys>, previous: u32, frame: &[u8]) -> Result<Opened, Fault> {
    let (headers, content) = frame.split_at_checked(HEADERS_LEN).ok_or_else(too_short)?;
    let Some(keys) = keys else { return Opened::read(content) };
    let mut header = ByteReader::new(headers);
    header.skip(CHANNEL_HEADER_LEN)?;
    let position = Position { token_id: header.u32()?, previous_sequence_number: previous };
    let mut message = frame.to_vec();
    keys.unprotect(&mut message, HEADERS_LEN, position)?;
    let plain = message.get(HEADERS_LEN..).unwrap_or_default();
    let trailer = keys.trailer();
    Opened::read(if trailer.padded { padding(trailer).strip(plain)? } else { plain })
}

/// The longest body in a chunk of at most `chunk_len` bytes.
pub(crate) fn max_body_len(chunk_len: usize, keys: Option<&SendingKeys>) -> usize {
    let room = chunk_len.saturating_sub(HEADERS_LEN);
    let used = match keys.map(SendingKeys::trailer) {
        None => 0,
        Some(Trailer { signature_len, padded: false }) => signature_len,
        Some(Trailer { signature_len, padded: true }) => {
            room % AES_BLOCK_LEN + PADDING_SIZE_LEN + signature_len
        }
    };
    let used = SEQUENCE_HEADER_LEN + used;
    room.saturating_sub(used)
}

const fn padding(trailer: Trailer) -> Padding {
    Padding { block_len: AES_BLOCK_LEN, signature_len: trailer.signature_len, extra_size: false }
}

/// Message header, channel id and token: what is signed and not encrypted.
const HEADERS_LEN: usize = CHANNEL_HEADER_LEN + 4;
const PADDING_SIZE_LEN: usize = 1;
const MAX_OVERHEAD: usize = SEQUENCE_HEADER_LEN + PADDING_SIZE_LEN + AES_BLOCK_LEN + MAX_MAC_LEN;
/// HMAC-SHA-384.
const MAX_MAC_LEN: usize = 48;

#[cfg(test)]
mod tests {
    use koios_pki::{SecurityMode, SecurityPolicy};
    use proptest::prelude::*;

    use super::*;
    use crate::kdf::{KeyMaterial, Label};
    use crate::policy::{Algorithms, is_spoken};

    fn keys(policy: SecurityPolicy, mode: SecurityMode) -> (SendingKeys, ReceivingKeys) {
        let algorithms = Algorithms::of(policy).unwrap();
        let nonces: [&[u8]; 2] = [&[1; 32], &[2; 32]];
        let material =
            KeyMaterial::of_shared_secret(&algorithms, mode, &[3; 32], Label::Client, nonces).unwrap();
        (
            SendingKeys::of(mode, algorithms.symmetric, &material).unwrap(),
            ReceivingKeys::of(mode, algorithms.symmetric, &material).unwrap(),
        )
    }

    fn policies_and_modes() -> impl Strategy<Value = (SecurityPolicy, SecurityMode)> {
        let modes = [SecurityMode::Sign, SecurityMode::SignAndEncrypt];
        let policies = SecurityPolicy::SECURE.into_iter().chain(SecurityPolicy::DEPRECATED);
        let policies = policies.filter(|policy| is_spoken(*policy)).collect::<Vec<_>>();
        (prop::sample::select(policies), prop::sample::select(modes.to_vec()))
    }

    const NUMBERS: Numbers = Numbers { channel_id: 7, sequence_number: 51, request_id: 3 };

    proptest! {
        #[test]
        fn what_is_sealed_opens_to_what_it_was(
            (policy, mode) in policies_and_modes(),
            chunk_len in 100usize..9000,
            fill: u8,
        ) {
            let (sending, receiving) = keys(policy, mode);
            let body = vec![fill; max_body_len(chunk_len, Some(&sending))];
            let frame = seal(FrameType::Message, ChunkKind::Final, 9, Some(&sending), NUMBERS, &body).unwrap();
            prop_assert!(frame.len() <= chunk_len && frame.len() + AES_BLOCK_LEN > chunk_len);
            prop_assert_eq!(
                open(Some(&receiving), 50, &frame).unwrap(),
                Opened { sequence_number: 51, request_id: 3, body }
            );
        }

        #[test]
        fn a_flipped_bit_is_refused(
            (policy, mode) in policies_and_modes(),
            body in prop::collection::vec(any::<u8>(), 0..200),
            bit: prop::sample::Index,
        ) {
            let (sending, receiving) = keys(policy, mode);
            let mut frame = seal(FrameType::Message, ChunkKind::Final, 9, Some(&sending), NUMBERS, &body).unwrap();
            let bit = bit.index(frame.len() * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(Some(&receiving), 50, &frame), Err(Fault::BadSignature));
        }

        #[test]
        fn opening_anything_never_panics(
            (policy, mode) in policies_and_modes(),
            frame in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let (_, receiving) = keys(policy, mode);
            let _ = open(Some(&receiving), 50, &frame);
            let _ = open(None, 50, &frame);
        }

        #[test]
        fn a_plain_chunk_reads_back(chunk_len in 24usize..300) {
            let body = vec![1; max_body_len(chunk_len, None)];
            let frame = seal(FrameType::CloseSecureChannel, ChunkKind::Final, 0, None, NUMBERS, &body).unwrap();
            prop_assert_eq!(frame.len(), chunk_len);
            prop_assert_eq!(open(None, 50, &frame).unwrap().body, body);
        }
    }
}

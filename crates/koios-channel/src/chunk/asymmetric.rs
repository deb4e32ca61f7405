//! Chunks of OPN: signed with one certificate's key, encrypted to the other's, or plain (OPC 10000-6 §6.7.2.3).

use koios_pki::{CertificateChain, RsaPublicKey, SecurityPolicy, Sha1Thumbprint};
use zeroize::Zeroizing;

use super::padding::Padding;
use super::{CHANNEL_HEADER_LEN, Numbers, Opened, SEQUENCE_HEADER_LEN, put_content, start};
use crate::error::Fault;
use crate::keys::{OwnKey, Peer};
use crate::policy::{Algorithms, Asymmetric, RsaAlgorithms};
use crate::wire::{ByteReader, ChunkKind, FrameType, finish, finish_as, limit, put_byte_string};

/// What our side of an asymmetric chunk needs.
#[derive(Clone, Copy)]
pub(crate) struct Own<'a> {
    /// Sent along, leaf first.
    pub(crate) certificates: &'a CertificateChain,
    /// Whether only the leaf is sent.
    pub(crate) leaf_only: bool,
    pub(crate) key: &'a OwnKey,
    pub(crate) thumbprint: Sha1Thumbprint,
}

/// Writes an OPN without security.
pub(crate) fn seal_plain(numbers: Numbers, body: &[u8]) -> Vec<u8> {
    let mut message =
        start(FrameType::OpenSecureChannel, ChunkKind::Final, numbers.channel_id, 128 + body.len());
    put_byte_string(&mut message, Some(SecurityPolicy::None.uri().as_bytes()));
    put_byte_string(&mut message, None);
    put_byte_string(&mut message, None);
    put_content(&mut message, numbers, body);
    finish(&mut message);
    message
}

/// An OPN and the signature in it.
pub(crate) struct Signed<T> {
    pub(crate) message: T,
    pub(crate) signature: Vec<u8>,
}

/// Writes an OPN signed by us and, under a policy for RSA keys, encrypted to `peer`. The signature covers `bound_to` too,
/// which is the signature of the request that a first answer answers, where sessions are bound to their channel.
pub(crate) fn seal(
    policy: SecurityPolicy,
    own: Own<'_>,
    peer: &Peer,
    numbers: Numbers,
    body: &[u8],
    bound_to: &[u8],
) -> Result<Signed<Vec<u8>>, Fault> {
    let algorithms = Algorithms::of(policy).ok_or(Fault::Crypto { operation: "choosing algorithms" })?;
    let certificates =
        if own.leaf_only { own.certificates.leaf().der().to_vec() } else { own.certificates.to_der_blob() };
    let mut message = start(FrameType::OpenSecureChannel, ChunkKind::Final, numbers.channel_id, 4096);
    put_byte_string(&mut message, Some(policy.uri().as_bytes()));
    put_byte_string(&mut message, Some(&certificates));
    put_byte_string(&mut message, Some(peer.thumbprint().as_bytes()));
    let headers_len = message.len();

    put_content(&mut message, numbers, body);
    match (algorithms.asymmetric, peer.key().as_rsa()) {
        (Asymmetric::Rsa(rsa), Some(key)) => {
            let padding = Padding {
                block_len: key.max_plain_len(rsa.encryption),
                signature_len: own.key.signature_len(),
                extra_size: needs_extra_size(key.modulus_len()),
            };
            padding.append(&mut message, headers_len);
            // The size in the header is that of the encrypted message, and it is part of what is signed.
            let plain_len = message.len() - headers_len + padding.signature_len;
            let size = headers_len + plain_len / padding.block_len * key.modulus_len();
            finish_as(&mut message, size);
            let signature = own.key.sign(&algorithms, &message)?;
            message.extend_from_slice(&signature);

            let (headers, plain) = message.split_at_checked(headers_len).unwrap_or_default();
            let mut sealed = Vec::with_capacity(size);
            sealed.extend_from_slice(headers);
            encrypt_blocks(&rsa, key, plain, &mut sealed)?;
            Ok(Signed { message: sealed, signature })
        }
        // OPC 10000-6 §6.8.1: nothing in it is secret.
        (Asymmetric::Ecc(_), _) => {
            let size = message.len() + own.key.signature_len();
            finish_as(&mut message, size);
            let signature = own.key.sign(&algorithms, &[&message, bound_to].concat())?;
            message.extend_from_slice(&signature);
            Ok(Signed { message, signature })
        }
        (Asymmetric::Rsa(_), None) => Err(Fault::Crypto { operation: "RSA encryption" }),
    }
}

/// Encrypts `plain` to `key` block by block (OPC 10000-6 §6.7.2.5) and appends the result to `out`.
pub(crate) fn encrypt_blocks(
    algorithms: &RsaAlgorithms,
    key: &RsaPublicKey,
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let failed = || Fault::Crypto { operation: "RSA encryption" };
    let block_len = key.max_plain_len(algorithms.encryption);
    if block_len == 0 {
        return Err(failed());
    }
    for block in plain.chunks(block_len) {
        let cipher = key.encrypt_block(algorithms.encryption, block).map_err(|_| failed())?;
        out.extend_from_slice(&cipher);
    }
    Ok(())
}

/// The security header of an OPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SecurityHeader<'a> {
    pub(crate) policy_uri: &'a [u8],
    /// Leaf first; empty without security.
    pub(crate) certificates: &'a [u8],
    thumbprint: &'a [u8],
    /// Where the header ends in the frame.
    end: usize,
}

impl<'a> SecurityHeader<'a> {
    /// Reads the header of a whole frame.
    pub(crate) fn read(frame: &'a [u8]) -> Result<Self, Fault> {
        let mut reader = ByteReader::new(frame);
        reader.skip(CHANNEL_HEADER_LEN)?;
        let policy_uri = reader.byte_string(MAX_POLICY_URI_LEN)?;
        let certificates = reader.byte_string(MAX_CERTIFICATES_LEN)?;
        let thumbprint = reader.byte_string(MAX_THUMBPRINT_LEN)?;
        Ok(Self { policy_uri, certificates, thumbprint, end: frame.len() - reader.rest().len() })
    }

    /// Whether the message claims to be without security.
    pub(crate) fn is_unsecured(&self) -> bool {
        self.policy_uri.is_empty() || self.is(SecurityPolicy::None)
    }

    fn is(&self, policy: SecurityPolicy) -> bool {
        self.policy_uri == policy.uri().as_bytes()
    }
}

/// Opens an OPN without security.
pub(crate) fn open_plain(header: &SecurityHeader<'_>, frame: &[u8]) -> Result<Opened, Fault> {
    Opened::read(frame.get(header.end..).unwrap_or_default())
}

/// Opens an OPN: sender's leaf, our thumbprint, then signature, then padding, then content. `bound_to` as in [`seal`].
pub(crate) fn open(
    policy: SecurityPolicy,
    own: Own<'_>,
    peer: &Peer,
    header: &SecurityHeader<'_>,
    frame: &[u8],
    bound_to: &[u8],
) -> Result<Signed<Opened>, Fault> {
    let algorithms = Algorithms::of(policy).ok_or(Fault::Crypto { operation: "choosing algorithms" })?;
    if !header.is(policy) {
        let uri = String::from_utf8_lossy(header.policy_uri);
        return Err(Fault::unexpected(format!("an answer under the policy {uri:?}, asked was {policy}")));
    }
    if !peer.is_leaf_of(header.certificates) {
        return Err(Fault::WrongSenderCertificate);
    }
    if header.thumbprint != own.thumbprint.as_bytes() {
        return Err(Fault::WrongReceiver);
    }
    match algorithms.asymmetric {
        Asymmetric::Rsa(rsa) => {
            let least = SEQUENCE_HEADER_LEN + peer.signature_len();
            let Decrypted { message, whole } = decrypt_blocks(&rsa, own, header, frame, least)?;
            let verified = verified(&algorithms, peer, header, &message, &[]);
            if !whole {
                return Err(Fault::BadSignature);
            }
            let (plain, signature) = verified?;
            let block_len = own.key.signature_len();
            let padding = Padding { block_len, signature_len: 0, extra_size: needs_extra_size(block_len) };
            Ok(Signed { message: Opened::read(padding.strip(plain)?)?, signature: signature.to_vec() })
        }
        Asymmetric::Ecc(_) => {
            let (plain, signature) = verified(&algorithms, peer, header, frame, bound_to)?;
            Ok(Signed { message: Opened::read(plain)?, signature: signature.to_vec() })
        }
    }
}

/// A message with its content decrypted.
struct Decrypted {
    message: Zeroizing<Vec<u8>>,
    /// Whether every block was encrypted for us.
    whole: bool,
}

/// `least` is how much the blocks must hold, which is judged before any of them is decrypted.
fn decrypt_blocks(
    algorithms: &RsaAlgorithms,
    own: Own<'_>,
    header: &SecurityHeader<'_>,
    frame: &[u8],
    least: usize,
) -> Result<Decrypted, Fault> {
    let key = own.key.as_rsa().ok_or(Fault::Crypto { operation: "RSA decryption" })?;
    let (headers, cipher) = frame.split_at_checked(header.end).ok_or_else(too_short)?;
    let block_len = key.modulus_len();
    if cipher.is_empty() || !cipher.len().is_multiple_of(block_len) {
        return Err(Fault::decoding(format!(
            "a cipher text of {} bytes for a key of {block_len}",
            cipher.len()
        )));
    }
    let blocks = cipher.len() / block_len;
    if blocks > MAX_BLOCKS {
        return Err(limit("answer to OPN in blocks", blocks, MAX_BLOCKS));
    }
    let mut message = Zeroizing::new(Vec::with_capacity(frame.len()));
    message.extend_from_slice(headers);
    let plain_len = key.public_key().max_plain_len(algorithms.encryption);
    if blocks * plain_len < least {
        return Err(too_short());
    }
    let mut whole = true;
    for block in cipher.chunks(block_len) {
        match key.decrypt_block(algorithms.encryption, block) {
            // Messages are padded to whole blocks.
            Ok(plain) if plain.secret_bytes().len() == plain_len => {
                message.extend_from_slice(plain.secret_bytes());
            }
            // With OAEP nobody learns from it which block was forged.
            _ if algorithms.decryption_is_plain() => return Err(Fault::BadSignature),
            // After PKCS#1 v1.5 the sender of forged blocks would learn plain texts, and have us sign
            // (Bleichenbacher's attack): whatever is wrong with a block, all that follows is the same, up to a signature
            // that does not hold.
            _ => {
                whole = false;
                let len = message.len() + plain_len;
                message.resize(len, 0);
            }
        }
    }
    Ok(Decrypted { message, whole })
}

/// What follows the security header of `message`, once the peer's signature at its end, over `bound_to` too, holds; and
/// the signature.
fn verified<'a>(
    algorithms: &Algorithms,
    peer: &Peer,
    header: &SecurityHeader<'_>,
    message: &'a [u8],
    bound_to: &[u8],
) -> Result<(&'a [u8], &'a [u8]), Fault> {
    let signature_at = message
        .len()
        .checked_sub(peer.signature_len())
        .filter(|at| *at >= header.end + SEQUENCE_HEADER_LEN)
        .ok_or_else(too_short)?;
    let (signed, signature) = message.split_at_checked(signature_at).ok_or_else(too_short)?;
    let holds = if bound_to.is_empty() {
        // What RSA decrypted is not copied: keys are made of the nonce in it.
        algorithms.verify(peer.key(), signed, signature)
    } else {
        algorithms.verify(peer.key(), &[signed, bound_to].concat(), signature)
    };
    if !holds {
        return Err(Fault::BadSignature);
    }
    Ok((signed.get(header.end..).unwrap_or_default(), signature))
}

/// OPC 10000-6 §6.7.2.5: a second size byte when the receiver's key is longer than 2,048 bits.
const fn needs_extra_size(receiver_modulus_len: usize) -> bool {
    receiver_modulus_len > 256
}

fn too_short() -> Fault {
    Fault::decoding("an OPN is shorter than its headers and signature")
}

/// OPC 10000-6 §6.7.2.3.
const MAX_POLICY_URI_LEN: usize = 255;
/// A few hold any answer; each costs a private operation before anything is authenticated.
const MAX_BLOCKS: usize = 16;
/// One chunk of ours holds it.
const MAX_CERTIFICATES_LEN: usize = 65_536;
/// SHA-1.
const MAX_THUMBPRINT_LEN: usize = 20;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use proptest::prelude::*;

    use super::*;
    use crate::ClientIdentity;
    use crate::test_server::{identity, own};

    /// A key of each length; both sides draw from them.
    static IDENTITIES: LazyLock<[Arc<ClientIdentity>; 3]> =
        LazyLock::new(|| [2048, 3072, 4096].map(|bits| identity(bits, 0)));

    /// On P-256 and on P-384.
    static ON_CURVES: LazyLock<[Arc<ClientIdentity>; 2]> =
        LazyLock::new(|| [256, 384].map(|bits| identity(bits, 0)));

    const NUMBERS: Numbers = Numbers { channel_id: 7, sequence_number: 51, request_id: 3 };
    const BOUND_TO: &[u8] = b"the signature of a request";

    fn seal_and_open(
        policy: SecurityPolicy,
        sender: &ClientIdentity,
        receiver: &ClientIdentity,
        body: &[u8],
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Opened, Fault> {
        let peer = |identity: &ClientIdentity| Peer::new(identity.leaf(), policy).unwrap();
        let sealed = seal(policy, own(sender), &peer(receiver), NUMBERS, body, BOUND_TO).unwrap();
        let mut frame = sealed.message;
        let size = u32::from_le_bytes(frame[4..8].try_into().unwrap());
        assert_eq!(usize::try_from(size).unwrap(), frame.len());
        change(&mut frame);
        let header = SecurityHeader::read(&frame)?;
        let opened = open(policy, own(receiver), &peer(sender), &header, &frame, BOUND_TO)?;
        assert_eq!(opened.signature, sealed.signature);
        Ok(opened.message)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn what_is_sealed_opens_to_what_it_was(
            policy in prop::sample::select(SecurityPolicy::RSA.to_vec()),
            sender in 0usize..3,
            receiver in 0usize..3,
            body in prop::collection::vec(any::<u8>(), 0..1200),
        ) {
            let opened = seal_and_open(policy, &IDENTITIES[sender], &IDENTITIES[receiver], &body, |_| ());
            prop_assert_eq!(opened.unwrap(), Opened { sequence_number: 51, request_id: 3, body });
        }

        #[test]
        fn a_flipped_bit_is_refused(
            policy in prop::sample::select(SecurityPolicy::RSA.to_vec()),
            sender in 0usize..3,
            receiver in 0usize..3,
            bit: prop::sample::Index,
        ) {
            let opened = seal_and_open(policy, &IDENTITIES[sender], &IDENTITIES[receiver], b"body", |frame| {
                let bit = bit.index(frame.len() * 8);
                frame[bit / 8] ^= 1 << (bit % 8);
            });
            prop_assert!(opened.is_err());
        }

        #[test]
        fn what_is_signed_on_a_curve_opens_and_a_flipped_bit_is_refused(
            (policy, sender, receiver) in prop::sample::select(vec![
                (SecurityPolicy::EccNistP256, 0, 0),
                (SecurityPolicy::EccNistP256, 1, 0),
                (SecurityPolicy::EccNistP256, 0, 1),
                (SecurityPolicy::EccNistP384, 1, 1),
                (SecurityPolicy::EccNistP256AesGcm, 0, 0),
                (SecurityPolicy::EccNistP384ChaChaPoly, 1, 1),
            ]),
            body in prop::collection::vec(any::<u8>(), 0..1200),
            bit: prop::sample::Index,
        ) {
            let (sender, receiver) = (&ON_CURVES[sender], &ON_CURVES[receiver]);
            let opened = seal_and_open(policy, sender, receiver, &body, |_| ());
            prop_assert_eq!(opened.unwrap(), Opened { sequence_number: 51, request_id: 3, body: body.clone() });
            let opened = seal_and_open(policy, sender, receiver, &body, |frame| {
                let bit = bit.index(frame.len() * 8);
                frame[bit / 8] ^= 1 << (bit % 8);
            });
            prop_assert!(opened.is_err());
        }

        #[test]
        #[cfg(feature = "deprecated-policies")]
        fn the_deprecated_policies_open_what_they_seal_and_refuse_a_flipped_bit(
            policy in prop::sample::select(SecurityPolicy::DEPRECATED.to_vec()),
            sender in prop::sample::select(vec![1024, 2048]),
            receiver in prop::sample::select(vec![1024, 2048]),
            body in prop::collection::vec(any::<u8>(), 0..600),
            bit: prop::sample::Index,
        ) {
            let [sender, receiver] = [identity(sender, 0), identity(receiver, 0)];
            let opened = seal_and_open(policy, &sender, &receiver, &body, |_| ());
            prop_assert_eq!(opened.unwrap(), Opened { sequence_number: 51, request_id: 3, body: body.clone() });
            let mut content = false;
            let opened = seal_and_open(policy, &sender, &receiver, &body, |frame| {
                let bit = bit.index(frame.len() * 8);
                frame[bit / 8] ^= 1 << (bit % 8);
                content = SecurityHeader::read(frame).is_ok_and(|header| bit / 8 >= header.end);
            });
            // A block that does not decrypt is not told from a signature that does not hold.
            prop_assert!(if content { opened == Err(Fault::BadSignature) } else { opened.is_err() }, "{opened:?}");
        }

        #[test]
        fn a_shortened_or_lengthened_message_is_refused(cut in 1usize..600, lengthen: bool) {
            let opened =
                seal_and_open(SecurityPolicy::Basic256Sha256, &IDENTITIES[0], &IDENTITIES[0], b"body", |frame| {
                    frame.resize(if lengthen { frame.len() + cut } else { frame.len() - cut }, 0);
                });
            prop_assert!(opened.is_err());
        }

        #[test]
        fn reading_any_header_never_panics(frame in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(header) = SecurityHeader::read(&frame) {
                let _ = open_plain(&header, &frame);
            }
        }
    }

    /// A frame from the first identity to itself that ends with this cipher text.
    fn forged(policy: SecurityPolicy, cipher: &[u8]) -> Result<Opened, Fault> {
        let identity = &IDENTITIES[0];
        let peer = Peer::new(identity.leaf(), policy).unwrap();
        let sealed = seal(policy, own(identity), &peer, NUMBERS, b"body", &[]).unwrap().message;
        let end = SecurityHeader::read(&sealed).unwrap().end;
        let frame = [&sealed[..end], cipher].concat();
        let header = SecurityHeader::read(&frame).unwrap();
        open(policy, own(identity), &peer, &header, &frame, &[]).map(|opened| opened.message)
    }

    #[test]
    fn no_more_blocks_are_decrypted_than_an_answer_can_have() {
        let policy = SecurityPolicy::Basic256Sha256;
        let refused = forged(policy, &[0x5A; 17 * 256]);
        assert!(matches!(refused, Err(Fault::LimitExceeded { size: 17, limit: 16, .. })), "{refused:?}");
        assert_eq!(forged(policy, &[0x5A; 16 * 256]), Err(Fault::BadSignature));
    }

    /// Bleichenbacher's attack lives on telling blocks that are padded well from those that are not.
    #[test]
    #[cfg(feature = "deprecated-policies")]
    fn well_padded_blocks_of_any_length_are_not_told_from_others() {
        use koios_pki::EncryptionScheme;
        let policy = SecurityPolicy::Basic128Rsa15;
        let leaf_key = IDENTITIES[0].leaf().public_key().unwrap();
        let key = leaf_key.as_rsa().unwrap();
        for plain_len in [0, 1, 7, 8, 100, 244, 245] {
            let block = key.encrypt_block(EncryptionScheme::Pkcs1V15, &vec![7; plain_len]).unwrap();
            for blocks in [vec![block.clone()], vec![block.clone(), vec![0x11; 256]], vec![block.clone(); 3]]
            {
                assert_eq!(forged(policy, &blocks.concat()), forged(policy, &vec![0x11; blocks.len() * 256]));
            }
        }
    }

    #[test]
    fn a_plain_message_reads_back() {
        let frame = seal_plain(NUMBERS, b"body");
        let header = SecurityHeader::read(&frame).unwrap();
        assert!(header.is_unsecured());
        assert_eq!(open_plain(&header, &frame).unwrap().body, b"body");
    }
}

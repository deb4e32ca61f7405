//! Entry points for the fuzz targets in `fuzz/`: each takes any bytes and panics only when a promise is broken. Not
//! part of the API.
#![expect(clippy::expect_used, reason = "a fuzz target that cannot be set up must say so")]

use std::sync::LazyLock;
use std::time::Duration;

use koios_pki::{
    ApplicationUri, KeySpec, PrivateKey, SecurityMode, SecurityPolicy, SelfSignedParams, SerialNumber,
    Validity, self_signed,
};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::chunk::asymmetric::{self, Own, SecurityHeader};
use crate::chunk::symmetric;
use crate::conversation::{Conversation, Timing};
use crate::kdf::KeyMaterial;
use crate::keys::{Peer, Security};
use crate::policy::{AES_BLOCK_LEN, Algorithms, Asymmetric, is_spoken};
use crate::random::SystemRandom;
use crate::service::{any_answer, nodes, response};
use crate::symmetric::{Position, ReceivingKeys, SendingKeys, Trailer};
use crate::wire::{self, put_byte_string, put_u32, refusal};
use crate::{ClientIdentity, EndpointUrl, Limits};

/// What a server sends, from the first byte on: frames, ACK, the answers of a channel without security.
pub fn conversation(data: &[u8]) {
    let timing = Timing { now: OffsetDateTime::UNIX_EPOCH, timeout: Duration::from_secs(1) };
    let url = EndpointUrl::parse("opc.tcp://h").expect("a URL");
    let mut conversation = Conversation::new(Limits::default(), SystemRandom);
    conversation.hello(&url).expect("HELLO is the first step");
    conversation.receive(data);
    let mut steps = 0;
    while let Ok(Some(_)) = conversation.poll() {
        steps += 1;
        let _ = match steps {
            1 => conversation.open(Security::None, timing),
            _ => conversation.get_endpoints(&url, timing),
        };
    }
    let _ = (conversation.closed(), conversation.timed_out());
}

/// The body of an ERR message.
pub fn err(data: &[u8]) {
    let failure = refusal(data);
    assert!(failure.status.is_none_or(crate::StatusCode::is_bad), "a refusal with a good code");
}

/// What a server says that connects by itself.
pub fn reverse_hello(data: &[u8]) {
    let _ = wire::reverse_hello(data);
    assert!(wire::reverse_hello_wants(data) > 0, "the listener would wait for nothing");
    let whole =
        [b"RHEF".as_slice(), &u32::try_from(data.len() + 8).unwrap_or(u32::MAX).to_le_bytes(), data].concat();
    let _ = wire::reverse_hello(&whole);
}

/// An OPN answer: as it comes, and as the content behind a signature that holds.
pub fn asymmetric(data: &[u8]) {
    asymmetric_on_a_curve(data);
    // OAEP, and PKCS#1 v1.5 where it is built in.
    for policy in [SecurityPolicy::Basic256Sha256, SecurityPolicy::Basic128Rsa15] {
        if is_spoken(policy) {
            asymmetric_of_rsa(policy, data);
        }
    }
}

fn asymmetric_of_rsa(policy: SecurityPolicy, data: &[u8]) {
    static IDENTITY: LazyLock<ClientIdentity> = LazyLock::new(|| new_identity(KeySpec::Rsa2048));
    let algorithms = Algorithms::of(policy).expect("a policy that secures");
    let identity = &*IDENTITY;
    let own = own(identity);
    let peer = Peer::new(identity.leaf(), policy).expect("a peer");
    if let Ok(header) = SecurityHeader::read(data) {
        let _ = asymmetric::open_plain(&header, data);
        let _ = asymmetric::open(policy, own, &peer, &header, data, &[]);
    }
    // What lies behind the signature is read by the same code, and one of SHA-1 takes a hundred times as long.
    if policy.is_deprecated() {
        return;
    }
    let mut message = opn_headers(policy, identity);
    let headers_len = message.len();
    // A few blocks: each costs a decryption.
    message.extend(data.iter().take(1000));
    let signature = identity.key().sign(&algorithms, &message).expect("a signature");
    message.extend(signature);
    let (headers, plain) = message.split_at_checked(headers_len).expect("headers are there");
    let mut frame = headers.to_vec();
    let Asymmetric::Rsa(rsa) = algorithms.asymmetric else { return };
    let key = peer.key().as_rsa().expect("an RSA key");
    asymmetric::encrypt_blocks(&rsa, key, plain, &mut frame).expect("an encryption");
    let header = SecurityHeader::read(&frame).expect("a header of our own");
    let _ = asymmetric::open(policy, own, &peer, &header, &frame, &[]);
}

fn new_identity(key: KeySpec) -> ClientIdentity {
    let params = SelfSignedParams::new(
        "fuzz",
        "fuzz",
        ApplicationUri::parse("urn:koios:fuzz").expect("a URI"),
        Validity::starting_at(datetime!(2026-01-01 0:00 UTC), 1),
        SerialNumber::from_random_bytes([1; 16]),
    );
    let key = PrivateKey::generate(key).expect("a key");
    let certificate = self_signed(&params, &key).expect("a certificate");
    ClientIdentity::new(certificate.into(), key).expect("an identity")
}

fn own(identity: &ClientIdentity) -> Own<'_> {
    Own {
        certificates: identity.chain(),
        leaf_only: true,
        key: identity.key(),
        thumbprint: identity.thumbprint(),
    }
}

/// What stands before the content of an OPN from this identity to itself.
fn opn_headers(policy: SecurityPolicy, identity: &ClientIdentity) -> Vec<u8> {
    let mut message = b"OPNF\0\0\0\0\x01\0\0\0".to_vec();
    put_byte_string(&mut message, Some(policy.uri().as_bytes()));
    put_byte_string(&mut message, Some(identity.leaf().der()));
    put_byte_string(&mut message, Some(identity.thumbprint().as_bytes()));
    message
}

/// An OPN answer under a policy on a curve: as it comes, and as the content behind a signature that holds.
fn asymmetric_on_a_curve(data: &[u8]) {
    static IDENTITY: LazyLock<ClientIdentity> = LazyLock::new(|| new_identity(KeySpec::EcP256));
    let policy = SecurityPolicy::EccNistP256;
    let algorithms = Algorithms::of(policy).expect("a policy that secures");
    let identity = &*IDENTITY;
    let own = own(identity);
    let peer = Peer::new(identity.leaf(), policy).expect("a peer");
    if let Ok(header) = SecurityHeader::read(data) {
        let _ = asymmetric::open(policy, own, &peer, &header, data, &[]);
    }
    let mut frame = opn_headers(policy, identity);
    frame.extend_from_slice(data);
    let signature = identity.key().sign(&algorithms, &frame).expect("a signature");
    frame.extend(signature);
    let header = SecurityHeader::read(&frame).expect("a header of our own");
    let _ = asymmetric::open(policy, own, &peer, &header, &frame, &[]);
}

/// A chunk under known keys: as it comes, and as the content behind a signature that holds.
pub fn symmetric(data: &[u8]) {
    let policies = [
        SecurityPolicy::Aes128Sha256RsaOaep,
        SecurityPolicy::EccNistP384,
        SecurityPolicy::EccNistP256AesGcm,
        SecurityPolicy::Basic256,
    ];
    let policies = policies.into_iter().filter(|policy| is_spoken(*policy));
    let modes = [SecurityMode::Sign, SecurityMode::SignAndEncrypt];
    for (policy, mode) in policies.flat_map(|policy| modes.map(|mode| (policy, mode))) {
        let algorithms = Algorithms::of(policy).expect("a policy that secures");
        let material = KeyMaterial::of_nonces(&algorithms, &[1; 32], &[2; 32]);
        let sending = SendingKeys::of(mode, algorithms.symmetric, &material).expect("keys");
        let receiving = ReceivingKeys::of(mode, algorithms.symmetric, &material).expect("keys");
        let _ = symmetric::open(Some(&receiving), 0, data);
        let _ = symmetric::open(None, 0, data);
        let mut frame = b"MSGF\0\0\0\0\x01\0\0\0\x01\0\0\0".to_vec();
        let headers_len = frame.len();
        let Trailer { signature_len, padded } = sending.trailer();
        let block_len = if padded { AES_BLOCK_LEN } else { 1 };
        let whole = (data.len() + signature_len) / block_len * block_len;
        // With less data there is no whole block for the signature.
        let Some(content_len) = whole.checked_sub(signature_len) else { continue };
        frame.extend(data.iter().take(content_len));
        let position = Position { token_id: 1, previous_sequence_number: 0 };
        sending.protect(&mut frame, headers_len, position).expect("a protected chunk");
        let _ = symmetric::open(Some(&receiving), 0, &frame);
    }
}

/// The body of an answer, by every reader; the first byte that fits a type decides which one goes far.
pub fn answer(data: &[u8]) {
    const TYPES: [u16; 10] = [449, 431, 464, 470, 634, 476, 425, 530, 536, 715];
    read_all(data);
    for id in TYPES {
        let mut body = vec![1, 0];
        body.extend(id.to_le_bytes());
        // Time, handle, a good result; what follows is the target's.
        body.extend([0; 8]);
        put_u32(&mut body, 1);
        put_u32(&mut body, 0);
        body.extend(data);
        read_all(&body);
    }
}

fn read_all(body: &[u8]) {
    let _ = response::opened_channel(body, 1);
    let _ = response::found_endpoints(body);
    let _ = response::created_session(body);
    let _ = response::activated_session(body);
    let _ = response::server_status(body);
    let _ = response::closed_session(body);
    if let Ok((_, answer)) = any_answer(body) {
        let _ = (nodes::found_servers(&answer), nodes::browsed(&answer), nodes::called(&answer));
    }
}

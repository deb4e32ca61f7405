//! A server in memory for unit tests: the other half of the protocol, made from this crate's own pieces. What it shares
//! with the client is judged elsewhere: by vectors, and by the real servers of `tests/it`.

use std::sync::{Arc, LazyLock};

use koios_pki::{
    Certificate, CertificateChain, PrivateKey, PrivateKeyPem, SecurityMode, SecurityPolicy, SignatureScheme,
};
use koios_testkit::CertificateSpec;
use time::macros::datetime;

use crate::chunk::asymmetric::{self, Own, SecurityHeader, Signed};
use crate::chunk::{Numbers, Opened, symmetric};
use crate::conversation::Timing;
use crate::error::Fault;
use crate::kdf::Label;
use crate::key_share::{ChainedSecret, EphemeralKey, KeyShare};
use crate::keys::{CertificateSending, ClientIdentity, Peer, Security};
use crate::policy::{Algorithms, Asymmetric};
use crate::random::RandomSource;
use crate::symmetric::{ReceivingKeys, SendingKeys};
use crate::wire::{ByteReader, ChunkKind, Frame, FrameBuffer, FrameType, finish, put_byte_string, put_u32};

/// An identity with a key of `bits` bits, the same for the same slot.
pub(crate) fn identity(bits: u32, slot: u32) -> Arc<ClientIdentity> {
    let made = CertificateSpec::application("urn:koios:test").with_shared_key(bits, slot).make();
    let leaf = Certificate::from_der(made.der()).unwrap();
    let key = PrivateKey::from_pem(&PrivateKeyPem::from_bytes(made.key_pem().as_bytes().to_vec())).unwrap();
    Arc::new(ClientIdentity::new(CertificateChain::new(leaf, Vec::new()), key).unwrap())
}

pub(crate) static CLIENT: LazyLock<Arc<ClientIdentity>> = LazyLock::new(|| identity(2048, 0));
pub(crate) static SERVER: LazyLock<Arc<ClientIdentity>> = LazyLock::new(|| identity(2048, 1));

/// Client and server on P-256, client and server on P-384.
static ON_CURVES: LazyLock<[Arc<ClientIdentity>; 4]> =
    LazyLock::new(|| [(256, 0), (256, 1), (384, 0), (384, 1)].map(|(bits, slot)| identity(bits, slot)));

/// [`CLIENT`], or one with a key for the policy.
pub(crate) fn client_for(policy: SecurityPolicy) -> Arc<ClientIdentity> {
    Arc::clone(match policy {
        policy if policy.name().starts_with("ECC_nistP256") => &ON_CURVES[0],
        policy if policy.name().starts_with("ECC_nistP384") => &ON_CURVES[2],
        _ => &CLIENT,
    })
}

/// [`SERVER`], or one with a key for the policy.
pub(crate) fn server_for(policy: SecurityPolicy) -> Arc<ClientIdentity> {
    Arc::clone(match policy {
        policy if policy.name().starts_with("ECC_nistP256") => &ON_CURVES[1],
        policy if policy.name().starts_with("ECC_nistP384") => &ON_CURVES[3],
        _ => &SERVER,
    })
}

pub(crate) const TIMING: Timing =
    Timing { now: datetime!(2026-11-23 12:00 UTC), timeout: std::time::Duration::from_secs(5) };

pub(crate) fn own(identity: &ClientIdentity) -> Own<'_> {
    Own {
        certificates: identity.chain(),
        leaf_only: false,
        key: identity.key(),
        thumbprint: identity.thumbprint(),
    }
}

/// A client's security towards [`server_for`] the policy, which is [`SERVER`] for policies of RSA.
pub(crate) fn security(policy: SecurityPolicy, mode: SecurityMode) -> Security {
    Security::Secure {
        policy,
        mode,
        identity: client_for(policy),
        server_certificate: server_for(policy).chain().clone(),
        sending: CertificateSending::Chain,
    }
}

/// Counts instead of drawing lots.
pub(crate) struct Counter(pub(crate) u8);

impl RandomSource for Counter {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        for byte in bytes {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        Ok(())
    }
}

/// The server's end of a channel.
pub(crate) struct TestServer {
    frames: FrameBuffer,
    security: Option<(SecurityPolicy, SecurityMode)>,
    pub(crate) channel_id: u32,
    pub(crate) token_id: u32,
    pub(crate) sequence_number: u32,
    pub(crate) nonce: Vec<u8>,
    /// The life of its tokens in milliseconds.
    pub(crate) token_lifetime: u32,
    keys: Option<(SendingKeys, ReceivingKeys)>,
    /// The keys of the token before.
    old_keys: Option<(SendingKeys, ReceivingKeys)>,
    chained: Option<ChainedSecret>,
    /// The number of the client's last message.
    received: u32,
    /// The signature of the client's last OPN.
    asked: Vec<u8>,
    /// The signature of the first answer to one.
    pub(crate) thumbprint: Option<Vec<u8>>,
}

/// A request as the server sees it.
pub(crate) struct Request {
    pub(crate) request_id: u32,
    pub(crate) body: Vec<u8>,
}

impl TestServer {
    pub(crate) fn new(security: Option<(SecurityPolicy, SecurityMode)>) -> Self {
        Self {
            frames: FrameBuffer::new(65_536),
            security,
            channel_id: 0,
            token_id: 0,
            sequence_number: 50,
            nonce: vec![0xA5; 32],
            token_lifetime: 60_000,
            keys: None,
            old_keys: None,
            chained: None,
            received: 0,
            asked: Vec::new(),
            thumbprint: None,
        }
    }

    fn algorithms(&self) -> Algorithms {
        Algorithms::of(self.security.unwrap().0).unwrap()
    }

    fn numbers(&mut self, request_id: u32) -> Numbers {
        self.sequence_number += 1;
        Numbers { channel_id: self.channel_id, sequence_number: self.sequence_number, request_id }
    }

    /// The answer to any HELLO.
    pub(crate) fn acknowledge(chunk_len: u32) -> Vec<u8> {
        let mut message = b"ACKF\0\0\0\0".to_vec();
        for value in [0, chunk_len, chunk_len, 0, 0] {
            put_u32(&mut message, value);
        }
        finish(&mut message);
        message
    }

    /// Reads an OPN request.
    pub(crate) fn read_open(&mut self, bytes: &[u8]) -> Request {
        self.frames.extend(bytes);
        let frame = self.frames.next().unwrap().unwrap();
        assert_eq!(frame.kind, FrameType::OpenSecureChannel);
        let header = SecurityHeader::read(&frame.bytes).unwrap();
        let opened = match self.security {
            None => asymmetric::open_plain(&header, &frame.bytes).unwrap(),
            Some((policy, _)) => {
                let client = Peer::new(client_for(policy).leaf(), policy).unwrap();
                let server = server_for(policy);
                let opened = asymmetric::open(policy, own(&server), &client, &header, &frame.bytes, &[]);
                let Signed { message, signature } = opened.unwrap();
                self.asked = signature;
                message
            }
        };
        let Opened { request_id, body, sequence_number } = opened;
        self.received = sequence_number;
        Request { request_id, body }
    }

    /// Answers an OPN request as a good server does, with a new token.
    pub(crate) fn answer_open(&mut self, request: &Request) -> Vec<u8> {
        self.channel_id = 7;
        self.token_id += 1;
        if let Some((_, mode)) = self.security {
            let algorithms = self.algorithms();
            let share = match algorithms.asymmetric {
                Asymmetric::Rsa(_) => KeyShare::Nonce(self.nonce.clone()),
                Asymmetric::Ecc(curve) => KeyShare::Ephemeral(EphemeralKey::generate(curve).unwrap()),
            };
            self.nonce = share.nonce().to_vec();
            // The request ends with its nonce, as long as ours, and its lifetime of 4 bytes.
            let end = request.body.len() - 4;
            let client_nonce = &request.body[end - self.nonce.len()..end];
            let keys = match self.nonce.len() {
                // What a broken server sends has no keys.
                0..32 => None,
                _ => {
                    let chained = self.chained.as_ref();
                    let keys = share.keys(&algorithms, mode, client_nonce, Label::Server, chained).unwrap();
                    self.chained = keys.chained;
                    Some((keys.sending, keys.receiving))
                }
            };
            self.old_keys = std::mem::replace(&mut self.keys, keys);
        }
        let body = self.open_response();
        self.seal_open(request.request_id, &body)
    }

    pub(crate) fn open_response(&self) -> Vec<u8> {
        let mut body = response(449, 0);
        for value in [0, self.channel_id, self.token_id] {
            put_u32(&mut body, value);
        }
        body.extend(0i64.to_le_bytes());
        put_u32(&mut body, self.token_lifetime);
        put_byte_string(&mut body, Some(&self.nonce));
        body
    }

    pub(crate) fn seal_open(&mut self, request_id: u32, body: &[u8]) -> Vec<u8> {
        let numbers = self.numbers(request_id);
        match self.security {
            None => asymmetric::seal_plain(numbers, body),
            Some((policy, _)) => {
                let client = Peer::new(client_for(policy).leaf(), policy).unwrap();
                let binds = self.thumbprint.is_none() && self.algorithms().binds_sessions();
                let bound_to = if binds { self.asked.as_slice() } else { &[] };
                let sealed =
                    asymmetric::seal(policy, own(&server_for(policy)), &client, numbers, body, bound_to);
                let Signed { message, signature } = sealed.unwrap();
                self.thumbprint.get_or_insert(signature);
                message
            }
        }
    }

    /// Reads a request in as many chunks as it has.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Request {
        self.frames.extend(bytes);
        let mut body = Vec::new();
        loop {
            let frame: Frame = self.frames.next().unwrap().unwrap();
            let keys = self.keys.as_ref().map(|(_, receiving)| receiving);
            let opened = symmetric::open(keys, self.received, &frame.bytes).unwrap();
            self.received = opened.sequence_number;
            let mut reader = ByteReader::new(frame.body());
            assert_eq!((reader.u32().unwrap(), reader.u32().unwrap()), (self.channel_id, self.token_id));
            body.extend(opened.body);
            if frame.chunk == ChunkKind::Final {
                return Request { request_id: opened.request_id, body };
            }
        }
    }

    /// One chunk of an answer under the current token.
    pub(crate) fn chunk(&mut self, chunk: ChunkKind, request_id: u32, body: &[u8]) -> Vec<u8> {
        let numbers = self.numbers(request_id);
        let keys = self.keys.as_ref().map(|(sending, _)| sending);
        symmetric::seal(FrameType::Message, chunk, self.token_id, keys, numbers, body).unwrap()
    }

    pub(crate) fn answer(&mut self, request: &Request, body: &[u8]) -> Vec<u8> {
        self.chunk(ChunkKind::Final, request.request_id, body)
    }

    /// An answer under the token before the current one.
    pub(crate) fn answer_with_old_token(&mut self, request: &Request, body: &[u8]) -> Vec<u8> {
        let numbers = self.numbers(request.request_id);
        let keys = self.old_keys.as_ref().map(|(sending, _)| sending);
        symmetric::seal(FrameType::Message, ChunkKind::Final, self.token_id - 1, keys, numbers, body).unwrap()
    }

    /// A `CreateSessionResponse` with everything in it that the client checks.
    pub(crate) fn created_session(&self, session: &CreatedSession) -> Vec<u8> {
        let mut body = response(464, 0);
        body.extend([0x01, 0, 1, 0]); // session id
        body.extend([0x01, 0, 2, 0]); // authentication token
        body.extend(30_000f64.to_le_bytes());
        put_byte_string(&mut body, Some(&session.nonce));
        put_byte_string(&mut body, Some(&session.certificate));
        put_u32(&mut body, 0); // endpoints
        put_u32(&mut body, 0); // software certificates
        put_byte_string(&mut body, Some(session.algorithm.as_bytes()));
        let signature = SERVER.key().as_rsa().unwrap().sign(session.scheme, &session.signed).unwrap();
        put_byte_string(&mut body, Some(&signature));
        put_u32(&mut body, 0);
        body
    }
}

/// What a `CreateSessionResponse` claims and signs.
pub(crate) struct CreatedSession {
    pub(crate) nonce: Vec<u8>,
    pub(crate) certificate: Vec<u8>,
    pub(crate) algorithm: &'static str,
    pub(crate) scheme: SignatureScheme,
    pub(crate) signed: Vec<u8>,
}

/// A response's type and header; no text.
pub(crate) fn response(type_id: u16, status: u32) -> Vec<u8> {
    let mut body = vec![0x01, 0];
    body.extend(type_id.to_le_bytes());
    body.extend(134_000_000_000_000_000_i64.to_le_bytes());
    put_u32(&mut body, 1); // request handle
    put_u32(&mut body, status);
    body.push(0); // diagnostics
    put_u32(&mut body, 0); // string table
    body.extend([0, 0, 0]); // additional header
    body
}

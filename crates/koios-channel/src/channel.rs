//! The client side of one secure channel: tokens, sequence numbers, chunks (OPC 10000-6 §6.7). No clock, no socket.

mod sequence;
mod token;

use std::time::Duration;

use koios_pki::CertificateChain;

use self::sequence::{Numbering, ReceivedSequence, SentSequence};
use self::token::{Token, Tokens};
use crate::chunk::asymmetric::{self, Own, SecurityHeader, Signed};
use crate::chunk::{CHANNEL_HEADER_LEN, Numbers, Opened, symmetric};
use crate::error::{Failure, Fault, bounded_text};
use crate::kdf::Label;
use crate::key_share::{ChainedSecret, KeyShare, TokenKeys};
use crate::keys::{CertificateSending, Peer, Security};
use crate::policy::{Algorithms, Asymmetric, binds_sessions};
use crate::random::RandomSource;
use crate::service::{ResponseHeader, response};
use crate::wire::{ByteReader, ChunkKind, Frame, FrameType, SendLimits, limit};
use crate::{Limits, SecurityMode, StatusCode};

/// A channel that is open, or about to be.
pub(crate) struct Channel {
    security: Security,
    peer: Option<Peer>,
    server_chain: Option<CertificateChain>,
    receive: Limits,
    send: SendLimits,
    /// Zero until the server has named it.
    id: u32,
    tokens: Tokens,
    sent: SentSequence,
    received: ReceivedSequence,
    next_request_id: u32,
    partial: Option<Partial>,
    thumbprint: Thumbprint,
    /// What the keys of the next token are chained to, where they are.
    chained: Option<ChainedSecret>,
}

/// The signature of the first OPN answer, over that of its request, where sessions are bound to their channel (OPC
/// 10000-6 §6.7.5). Renewals leave it as it is.
#[derive(Default)]
enum Thumbprint {
    #[default]
    None,
    /// Our signature has been sent.
    Asked(Vec<u8>),
    Known(Vec<u8>),
}

/// The chunks of a message so far.
struct Partial {
    request_id: u32,
    body: Vec<u8>,
    chunks: usize,
}

/// A request as it goes out.
pub(crate) struct Sent {
    pub(crate) request_id: u32,
    pub(crate) bytes: Vec<u8>,
}

/// A whole message that came in.
pub(crate) struct Received {
    pub(crate) request_id: u32,
    pub(crate) body: Vec<u8>,
}

impl Channel {
    /// # Errors
    /// When policy, mode and keys do not fit together.
    pub(crate) fn new(security: Security, receive: Limits, send: SendLimits) -> Result<Self, Fault> {
        let peer = match &security {
            Security::None => None,
            Security::Secure { policy, mode, identity, server_certificate, .. } => {
                if Algorithms::of(*policy).is_none() || *mode == SecurityMode::None {
                    return Err(Fault::UnsupportedSecurity { policy: *policy, mode: *mode });
                }
                let key = identity.key().algorithm();
                if !policy.allows_key(&key) {
                    return Err(Fault::KeyNotAllowed { key, policy: *policy });
                }
                Some(Peer::new(server_certificate.leaf(), *policy)?)
            }
        };
        let numbering = match asymmetric_of(&security) {
            Some(Asymmetric::Ecc(_)) => Numbering::Full,
            Some(Asymmetric::Rsa(_)) | None => Numbering::Legacy,
        };
        Ok(Self {
            security,
            peer,
            server_chain: None,
            receive,
            send,
            id: 0,
            tokens: Tokens::default(),
            sent: SentSequence::new(numbering),
            received: ReceivedSequence::new(numbering),
            next_request_id: 1,
            partial: None,
            thumbprint: Thumbprint::None,
            chained: None,
        })
    }

    pub(crate) const fn security(&self) -> &Security {
        &self.security
    }

    pub(crate) const fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// What the server sent in its OPN answer; its leaf is the expected one.
    pub(crate) const fn server_chain(&self) -> Option<&CertificateChain> {
        self.server_chain.as_ref()
    }

    /// What the proofs of a session begin with; empty where they are not bound to a channel.
    pub(crate) fn thumbprint(&self) -> &[u8] {
        match &self.thumbprint {
            Thumbprint::Known(thumbprint) => thumbprint,
            Thumbprint::None | Thumbprint::Asked(_) => &[],
        }
    }

    /// A fresh share of the keys of the next token.
    pub(crate) fn key_share(&self, random: &mut dyn RandomSource) -> Result<KeyShare, Fault> {
        KeyShare::new(Algorithms::of(self.security.policy()).as_ref(), random)
    }

    /// Writes an OPN. Signs, and encrypts, with RSA: milliseconds.
    pub(crate) fn send_open(&mut self, body: &[u8]) -> Result<Sent, Fault> {
        let numbers = self.numbers();
        let bytes = match (&self.security, &self.peer) {
            (Security::Secure { policy, .. }, Some(peer)) => {
                let own = self.own().ok_or(Fault::NotReady)?;
                let Signed { message, signature } = asymmetric::seal(*policy, own, peer, numbers, body, &[])?;
                if binds_sessions(*policy) && !matches!(self.thumbprint, Thumbprint::Known(_)) {
                    self.thumbprint = Thumbprint::Asked(signature);
                }
                message
            }
            _ => asymmetric::seal_plain(numbers, body),
        };
        if bytes.len() > self.send.chunk {
            return Err(limit("OpenSecureChannel request in bytes", bytes.len(), self.send.chunk));
        }
        Ok(Sent { request_id: numbers.request_id, bytes })
    }

    /// Writes a request in as many chunks as it needs.
    pub(crate) fn send(&mut self, kind: FrameType, body: &[u8]) -> Result<Sent, Fault> {
        if body.len() > self.send.message {
            return Err(limit("request in bytes", body.len(), self.send.message));
        }
        let token = self.tokens.current_mut().ok_or(Fault::NotReady)?;
        let keys = token.keys().map(|(sending, _)| sending);
        let chunk_len = symmetric::max_body_len(self.send.chunk, keys);
        if chunk_len == 0 {
            return Err(limit("chunk header in bytes", self.send.chunk, self.send.chunk));
        }
        let count = body.len().div_ceil(chunk_len).max(1);
        if count > self.send.chunks {
            return Err(limit("request in chunks", count, self.send.chunks));
        }
        token.count_sent(count)?;
        let keys = token.keys().map(|(sending, _)| sending);
        let request_id = self.next_request_id;
        self.next_request_id = after(request_id);
        let mut bytes = Vec::with_capacity(body.len() + count * MAX_CHUNK_OVERHEAD);
        for (index, part) in body.chunks(chunk_len).enumerate() {
            let chunk = if index + 1 == count { ChunkKind::Final } else { ChunkKind::Intermediate };
            let numbers = Numbers { channel_id: self.id, sequence_number: self.sent.next(), request_id };
            bytes.extend(symmetric::seal(kind, chunk, token.id(), keys, numbers, part)?);
        }
        Ok(Sent { request_id, bytes })
    }

    /// Reads the answer to an OPN and, when all of it holds, takes its token. Decrypts with RSA: milliseconds.
    ///
    /// A reply without security to a request with security is never believed: success is [`Fault::Downgraded`], a
    /// refusal is [`Fault::UnsecuredFault`].
    pub(crate) fn receive_open(
        &mut self,
        frame: &Frame,
        request_id: u32,
        share: KeyShare,
    ) -> Result<(ResponseHeader, Duration), Failure> {
        if frame.kind != FrameType::OpenSecureChannel || frame.chunk != ChunkKind::Final {
            return Err(Fault::unexpected(format!("{:?} instead of the answer to OPN", frame.kind)).into());
        }
        let security_header = SecurityHeader::read(&frame.bytes)?;
        let Signed { message: opened, signature } = match (&self.security, &self.peer) {
            (Security::Secure { policy, .. }, Some(peer)) => {
                if security_header.is_unsecured() {
                    return Err(unsecured(&security_header, frame));
                }
                let own = self.own().ok_or(Fault::NotReady)?;
                let bound_to = match &self.thumbprint {
                    Thumbprint::Asked(signature) => signature.as_slice(),
                    Thumbprint::None | Thumbprint::Known(_) => &[],
                };
                asymmetric::open(*policy, own, peer, &security_header, &frame.bytes, bound_to)?
            }
            _ => {
                if !security_header.is_unsecured() {
                    return Err(Fault::unexpected("a secured answer to a request without security").into());
                }
                let message = asymmetric::open_plain(&security_header, &frame.bytes)?;
                Signed { message, signature: Vec::new() }
            }
        };
        self.received.accept(opened.sequence_number)?;
        if opened.request_id != request_id {
            return Err(wrong_request(opened.request_id, request_id).into());
        }
        let stray = usize::from(matches!(asymmetric_of(&self.security), Some(Asymmetric::Ecc(_))));
        let (header, answer) = response::opened_channel(&opened.body, stray)?;
        if self.id != 0 && answer.channel_id != self.id {
            return Err(Fault::unexpected("the renewal names another channel").into());
        }
        let keys =
            self.derive_keys(share, &answer.nonce)?.map(|TokenKeys { sending, receiving, chained }| {
                self.chained = chained;
                (sending, receiving)
            });
        if let Thumbprint::Asked(_) = self.thumbprint {
            self.thumbprint = Thumbprint::Known(signature);
        }
        self.note_server_chain(security_header.certificates);
        self.id = answer.channel_id;
        self.tokens.install(Token::new(answer.token_id, keys));
        Ok((header, answer.lifetime))
    }

    /// Takes one frame of an answer; `None` while chunks are missing.
    pub(crate) fn receive(&mut self, frame: &Frame) -> Result<Option<Received>, Failure> {
        if frame.kind != FrameType::Message {
            return Err(Fault::unexpected(format!("{:?} instead of an answer", frame.kind)).into());
        }
        let opened = self.open_symmetric(frame)?;
        self.received.accept(opened.sequence_number)?;
        if frame.chunk == ChunkKind::Abort {
            self.partial = None;
            return Err(aborted(&opened.body));
        }
        let Opened { request_id, body, .. } = opened;
        let mut partial = self.partial.take().unwrap_or(Partial { request_id, body: Vec::new(), chunks: 0 });
        if partial.request_id != request_id {
            return Err(wrong_request(request_id, partial.request_id).into());
        }
        partial.chunks += 1;
        let max_chunks = usize::try_from(self.receive.max_chunks).unwrap_or(usize::MAX);
        if partial.chunks > max_chunks {
            return Err(limit("answer in chunks", partial.chunks, max_chunks).into());
        }
        let max_message = usize::try_from(self.receive.max_message).unwrap_or(usize::MAX);
        let size = partial.body.len() + body.len();
        if size > max_message {
            return Err(limit("answer in bytes", size, max_message).into());
        }
        partial.body.extend_from_slice(&body);
        if frame.chunk == ChunkKind::Intermediate {
            self.partial = Some(partial);
            return Ok(None);
        }
        Ok(Some(Received { request_id, body: partial.body }))
    }

    fn open_symmetric(&mut self, frame: &Frame) -> Result<Opened, Fault> {
        let mut reader = ByteReader::new(frame.body());
        let channel_id = reader.u32()?;
        if channel_id != self.id {
            return Err(Fault::unexpected(format!(
                "a message for channel {channel_id}, ours is {}",
                self.id
            )));
        }
        let token_id = reader.u32()?;
        match self.security {
            // Nothing is derived from the token here, and not all servers count it up.
            Security::None => symmetric::open(None, self.received.last(), &frame.bytes),
            Security::Secure { .. } => {
                let token = self.tokens.by_id(token_id).ok_or(Fault::UnknownToken { token: token_id })?;
                let keys = token.keys().map(|(_, receiving)| receiving);
                let opened = symmetric::open(keys, self.received.last(), &frame.bytes)?;
                self.tokens.used(token_id);
                Ok(opened)
            }
        }
    }

    fn own(&self) -> Option<Own<'_>> {
        match &self.security {
            Security::None => None,
            Security::Secure { identity, sending, .. } => Some(Own {
                certificates: identity.chain(),
                leaf_only: *sending == CertificateSending::LeafOnly,
                key: identity.key(),
                thumbprint: identity.thumbprint(),
            }),
        }
    }

    fn derive_keys(&self, ours: KeyShare, theirs: &[u8]) -> Result<Option<TokenKeys>, Fault> {
        let Security::Secure { policy, mode, .. } = &self.security else { return Ok(None) };
        let algorithms = Algorithms::of(*policy).ok_or(Fault::NotReady)?;
        ours.keys(&algorithms, *mode, theirs, Label::Client, self.chained.as_ref()).map(Some)
    }

    fn note_server_chain(&mut self, blob: &[u8]) {
        let Security::Secure { server_certificate, .. } = &self.security else { return };
        let leaf = server_certificate.leaf();
        // Issuers that cannot be read are the trust list's loss, not the channel's: its leaf has proven itself.
        let sent = (blob.len() > leaf.der().len())
            .then(|| CertificateChain::from_der_blob(blob, self.receive.max_chain).ok())
            .flatten();
        self.server_chain = Some(sent.unwrap_or_else(|| CertificateChain::new(leaf.clone(), Vec::new())));
    }

    fn numbers(&mut self) -> Numbers {
        let request_id = self.next_request_id;
        self.next_request_id = after(request_id);
        Numbers { channel_id: self.id, sequence_number: self.sent.next(), request_id }
    }
}

fn asymmetric_of(security: &Security) -> Option<Asymmetric> {
    Algorithms::of(security.policy()).map(|algorithms| algorithms.asymmetric)
}

/// What an OPN reply without security may be taken for: a hint at a refusal, or an attempt to fool us.
fn unsecured(header: &SecurityHeader<'_>, frame: &Frame) -> Failure {
    let answer = asymmetric::open_plain(header, &frame.bytes)
        .map_err(Failure::from)
        .and_then(|opened| response::opened_channel(&opened.body, 0));
    match answer {
        Err(Failure { fault: Fault::ServiceFault | Fault::ServiceResult, status, reason, .. }) => {
            Failure::peer(Fault::UnsecuredFault, status.filter(|status| status.is_bad()), reason)
        }
        Ok(_) => Fault::Downgraded.into(),
        Err(unreadable) => unreadable,
    }
}

/// The body of an abort chunk: a status and a reason (OPC 10000-6 §6.7.3).
fn aborted(body: &[u8]) -> Failure {
    let mut reader = ByteReader::new(body);
    let status = reader.u32().ok().map(StatusCode);
    let reason = reader.byte_string(MAX_REASON_LEN).ok().map(String::from_utf8_lossy);
    Failure::peer(Fault::Aborted, status, reason.and_then(|text| bounded_text(&text)))
}

fn wrong_request(received: u32, expected: u32) -> Fault {
    Fault::unexpected(format!("an answer to request {received}, expected was {expected}"))
}

/// Zero is no request's number.
const fn after(request_id: u32) -> u32 {
    match request_id.checked_add(1) {
        Some(next) => next,
        None => 1,
    }
}

/// Headers, padding and MAC of a symmetric chunk.
const MAX_CHUNK_OVERHEAD: usize = CHANNEL_HEADER_LEN + 4 + 8 + 17 + 48;
/// OPC 10000-6 §7.1.2.5.
const MAX_REASON_LEN: usize = 4096;

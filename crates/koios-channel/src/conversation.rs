use std::fmt;
use std::time::Duration;

use koios_pki::CertificateChain;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::channel::{Channel, Received, Sent};
use crate::error::{Failure, Fault, Stage};
use crate::key_share::KeyShare;
use crate::keys::Security;
use crate::random::RandomSource;
use crate::service::{
    AuthenticationToken, RequestHeader, ResponseHeader, ServiceAnswer, ServiceRequest, any_answer, response,
};
use crate::session::{RequestedSession, Session};
use crate::wire::{self, Frame, FrameBuffer, FrameType, SendLimits};
use crate::{ChannelError, Endpoint, EndpointUrl, Limits, ServerStatus, SessionRequest, UserIdentity};

/// The client's side of one connection, without socket and clock: bytes in, bytes and events out.
///
/// Each step has a method that gives the bytes to send; [`receive`](Self::receive) takes what comes back and
/// [`poll`](Self::poll) tells what it means. One request is under way at a time. The crate page draws the order of the
/// steps; a step out of order is [`Fault::NotReady`]. After an error other than a service's refusal, a conversation is
/// over; after our own refusal of a session that the server has created, all that is left is to close it.
pub struct Conversation {
    limits: Limits,
    random: Box<dyn RandomSource>,
    frames: FrameBuffer,
    /// Whether anything came since the last request went out.
    received: bool,
    stage: Stage,
    pending: Option<Pending>,
    state: State,
    server_time: Option<OffsetDateTime>,
}

/// What is known of the other end.
enum State {
    Connected,
    Acknowledged(SendLimits),
    Open(Box<Open>),
    Over,
}

struct Open {
    channel: Channel,
    /// The server's name of the session it has created, proven or not.
    token: Option<AuthenticationToken>,
    /// The session, once its server has proven itself.
    session: Option<Session>,
    next_handle: u32,
}

/// A session without a channel: who has it can go on with it, as long as the server keeps it.
pub struct DetachedSession {
    token: AuthenticationToken,
    session: Session,
}

impl DetachedSession {
    /// The time of silence after which the server drops it.
    pub const fn timeout(&self) -> Duration {
        self.session.timeout
    }
}

impl fmt::Debug for DetachedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token is as good as a password.
        f.debug_struct("DetachedSession").field("timeout", &self.timeout()).finish_non_exhaustive()
    }
}

/// The answer that is awaited.
enum Pending {
    Acknowledge,
    Open { request_id: u32, share: KeyShare, renewal: bool },
    Endpoints { request_id: u32 },
    Created { request_id: u32, requested: Box<RequestedSession> },
    Activated { request_id: u32 },
    Status { request_id: u32 },
    Service { request_id: u32 },
    Closed { request_id: u32 },
}

/// The time of a request, by the caller's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a request has these two times")]
pub struct Timing {
    /// The wall clock, for the server's diagnostics.
    pub now: OffsetDateTime,
    /// How long we shall wait, as a hint for the server.
    pub timeout: Duration,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// ACK: a channel can be opened.
    Acknowledged,
    /// The channel is open; with security, the server has proven to hold its certificate's key.
    ChannelOpened {
        /// The life of its token.
        token_lifetime: Duration,
    },
    /// A fresh token is in use.
    ChannelRenewed {
        /// The life of the new token.
        token_lifetime: Duration,
    },
    /// The server's endpoints.
    Endpoints(Vec<Endpoint>),
    /// A session exists, and what the server had to prove is proven.
    SessionCreated {
        /// The time of silence after which the server drops it.
        timeout: Duration,
    },
    /// The session belongs to the user.
    SessionActivated,
    /// The value of `Server_ServerStatus`.
    ServerStatus(ServerStatus),
    /// The answer to a service that the caller has encoded.
    Service(ServiceAnswer),
    /// The session is closed.
    SessionClosed,
}

impl Conversation {
    /// A conversation on a fresh connection.
    pub fn new(limits: Limits, random: impl RandomSource + 'static) -> Self {
        Self {
            frames: FrameBuffer::new(usize::try_from(limits.buffer_size).unwrap_or(usize::MAX)),
            limits,
            random: Box::new(random),
            received: false,
            stage: Stage::Hello,
            pending: None,
            state: State::Connected,
            server_time: None,
        }
    }

    /// The HELLO; [`Event::Acknowledged`] follows.
    ///
    /// # Errors
    /// [`Fault::NotReady`] when it was said before.
    pub fn hello(&mut self, url: &EndpointUrl) -> Result<Vec<u8>, ChannelError> {
        self.begin(Stage::Hello)?;
        if !matches!(self.state, State::Connected) {
            return Err(self.local(Fault::NotReady));
        }
        self.pending = Some(Pending::Acknowledge);
        Ok(wire::hello(url, &self.limits))
    }

    /// The first `OpenSecureChannel`; [`Event::ChannelOpened`] follows. With security it costs milliseconds of CPU, as
    /// does polling its answer.
    ///
    /// # Errors
    /// When policy, mode and keys do not fit together, or the request does not fit into the server's buffer.
    pub fn open(&mut self, security: Security, timing: Timing) -> Result<Vec<u8>, ChannelError> {
        self.begin(Stage::OpenSecureChannel)?;
        let State::Acknowledged(send) = self.state else { return Err(self.local(Fault::NotReady)) };
        let channel = Channel::new(security, self.limits, send).map_err(|fault| self.local(fault))?;
        self.state = State::Open(Box::new(Open { channel, token: None, session: None, next_handle: 1 }));
        self.open_request(false, timing)
    }

    /// Another `OpenSecureChannel`, for a fresh token; [`Event::ChannelRenewed`] follows. Costs as much as the first.
    ///
    /// # Errors
    /// [`Fault::NotReady`] without an open channel.
    pub fn renew(&mut self, timing: Timing) -> Result<Vec<u8>, ChannelError> {
        self.begin(Stage::RenewSecureChannel)?;
        self.open_request(true, timing)
    }

    /// `GetEndpoints`; [`Event::Endpoints`] follows.
    ///
    /// # Errors
    /// [`Fault::NotReady`] without an open channel.
    pub fn get_endpoints(&mut self, url: &EndpointUrl, timing: Timing) -> Result<Vec<u8>, ChannelError> {
        self.begin(Stage::GetEndpoints)?;
        let Sent { request_id, bytes } = self.request(timing, |header, _| header.get_endpoints(url))?;
        self.pending = Some(Pending::Endpoints { request_id });
        Ok(bytes)
    }

    /// `CreateSession`; [`Event::SessionCreated`] follows.
    ///
    /// # Errors
    /// [`Fault::NotReady`] without an open channel or when there is a session.
    pub fn create_session(
        &mut self,
        request: SessionRequest,
        timing: Timing,
    ) -> Result<Vec<u8>, ChannelError> {
        self.begin(Stage::CreateSession)?;
        let nonce = self.nonce(CLIENT_NONCE_LEN)?;
        let limits = self.limits;
        let mut requested = None;
        let Sent { request_id, bytes } = self.request(timing, |header, open| {
            if open.token.is_some() {
                return Err(Fault::NotReady);
            }
            let new = RequestedSession::new(request, open.channel.security(), nonce);
            let body = new.encode(header, &limits);
            requested = Some(Box::new(new));
            body
        })?;
        let Some(requested) = requested else { return Err(self.local(Fault::NotReady)) };
        self.pending = Some(Pending::Created { request_id, requested });
        Ok(bytes)
    }

    /// `ActivateSession`; [`Event::SessionActivated`] follows. With security it costs milliseconds of CPU.
    ///
    /// # Errors
    /// [`Fault::NotReady`] without a session; when the endpoint takes no such user, or would have the password in
    /// clear text.
    pub fn activate_session(&mut self, user: &UserIdentity, timing: Timing) -> Result<Vec<u8>, ChannelError> {
        self.begin(Stage::ActivateSession)?;
        let limits = self.limits;
        let Sent { request_id, bytes } = self.request(timing, |header, open| {
            let session = open.session.as_ref().ok_or(Fault::NotReady)?;
            session.activation(header, &open.channel, user, &limits)
        })?;
        self.pending = Some(Pending::Activated { request_id });
        Ok(bytes)
    }

    /// Takes the session out of a conversation whose connection is lost, to go on with it in another one
    /// ([`attach_session`](Self::attach_session)). `None` when there is none, or when the server has broken the rules: then
    /// nothing it has said is worth keeping.
    pub fn detach_session(&mut self) -> Option<DetachedSession> {
        let State::Open(open) = &mut self.state else { return None };
        let token = open.token.take()?;
        Some(DetachedSession { token, session: open.session.take()? })
    }

    /// Puts a session of an earlier conversation with the same server on this channel; it is to be activated next, with the
    /// same user (OPC 10000-4 §5.7.3).
    ///
    /// # Errors
    /// [`Fault::NotReady`] without an open channel or when there is a session; [`Fault::UnsupportedSecurity`] when this
    /// channel protects otherwise than the session's first one.
    pub fn attach_session(&mut self, detached: DetachedSession) -> Result<(), ChannelError> {
        self.begin(Stage::ActivateSession)?;
        let stage = self.stage;
        let refused = |fault| Err(ChannelError::local(stage, fault));
        let State::Open(open) = &mut self.state else { return refused(Fault::NotReady) };
        if open.token.is_some() {
            return refused(Fault::NotReady);
        }
        let DetachedSession { token, session } = detached;
        let security = open.channel.security();
        if !session.fits(security) {
            return refused(Fault::UnsupportedSecurity { policy: security.policy(), mode: security.mode() });
        }
        open.token = Some(token);
        open.session = Some(session);
        Ok(())
    }

    /// `Read` of `Server_ServerStatus`; [`Event::ServerStatus`] follows.
    ///
    /// # Errors
    /// [`Fault::NotReady`] without a session.
    pub fn read_server_status(&mut self, timing: Timing) -> Result<Vec<u8>, ChannelError> {
        self.begin(Stage::Read)?;
        let Sent { request_id, bytes } = self.request(timing, |header, open| match open.session {
            Some(_) => header.read_server_status(),
            None => Err(Fault::NotReady),
        })?;
        self.pending = Some(Pending::Status { request_id });
        Ok(bytes)
    }

    /// Any other service; [`Event::Service`] follows.
    ///
    /// # Errors
    /// [`Fault::NotReady`] without an open channel.
    pub fn request_service(
        &mut self,
        request: &ServiceRequest,
        timing: Timing,
    ) -> Result<Vec<u8>, ChannelError> {
        self.request_service_at(Stage::OtherService, request, timing)
    }

    pub(crate) fn request_service_at(
        &mut self,
        stage: Stage,
        request: &ServiceRequest,
        timing: Timing,
    ) -> Result<Vec<u8>, ChannelError> {
        self.begin(stage)?;
        let Sent { request_id, bytes } = self.request(timing, |header, _| header.service(request))?;
        self.pending = Some(Pending::Service { request_id });
        Ok(bytes)
    }

    /// `CloseSession`, also of a session that we refused; [`Event::SessionClosed`] follows.
    ///
    /// # Errors
    /// [`Fault::NotReady`] without a session.
    pub fn close_session(&mut self, timing: Timing) -> Result<Vec<u8>, ChannelError> {
        self.begin(Stage::CloseSession)?;
        let Sent { request_id, bytes } = self.request(timing, |header, open| match open.token {
            Some(_) => header.close_session(),
            None => Err(Fault::NotReady),
        })?;
        self.pending = Some(Pending::Closed { request_id });
        Ok(bytes)
    }

    /// `CloseSecureChannel`, which has no answer; the conversation is over.
    ///
    /// # Errors
    /// [`Fault::NotReady`] without an open channel.
    pub fn close(&mut self, timing: Timing) -> Result<Vec<u8>, ChannelError> {
        self.stage = Stage::CloseSecureChannel;
        let stage = self.stage;
        let not_ready = ChannelError::local(stage, Fault::NotReady);
        let State::Open(mut open) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(not_ready);
        };
        let body = open.header(timing).close_secure_channel();
        let sent = body.and_then(|body| open.channel.send(FrameType::CloseSecureChannel, &body));
        sent.map(|sent| sent.bytes).map_err(|fault| ChannelError::local(stage, fault))
    }

    /// Takes bytes that came in. Poll until there is nothing more to say before bringing the next ones: then never
    /// more than one frame and one read are kept.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.received |= !bytes.is_empty();
        self.frames.extend(bytes);
    }

    /// What the bytes received so far mean; `Ok(None)` when more are needed.
    ///
    /// # Errors
    /// The server's refusal, or ours of what it sent.
    pub fn poll(&mut self) -> Result<Option<Event>, ChannelError> {
        if matches!(self.state, State::Over) {
            return Err(self.local(Fault::NotReady));
        }
        let outcome = self.next_event();
        outcome.map_err(|failure| {
            // A service that refuses leaves its channel as it was, and a session we refuse is there to be closed;
            // everything else ends the conversation.
            let refused = matches!(failure.fault, Fault::ServiceFault | Fault::ServiceResult);
            let opening = matches!(self.stage, Stage::OpenSecureChannel | Stage::RenewSecureChannel);
            let unproven = self.stage == Stage::CreateSession
                && matches!(&self.state, State::Open(open) if open.token.is_some());
            if !(refused || unproven) || opening {
                self.state = State::Over;
            }
            self.pending = None;
            failure.at(self.stage)
        })
    }

    /// Whether the next [`poll`](Self::poll) decrypts with RSA and takes more than about a millisecond of CPU for it: with
    /// keys of more than 2048 bits, and under a deprecated policy.
    pub fn poll_is_costly(&self) -> bool {
        let costly = matches!(&self.state, State::Open(open) if open.channel.security().is_costly());
        costly && matches!(self.pending, Some(Pending::Open { .. })) && self.frames.is_ready()
    }

    /// What it means that the peer closed the connection now.
    pub fn closed(&self) -> ChannelError {
        self.cut_off(Fault::Closed { received: self.received })
    }

    /// What it means that the time is up now.
    pub fn timed_out(&self) -> ChannelError {
        self.cut_off(Fault::TimedOut)
    }

    /// The server's clock in its last answer.
    pub const fn server_time(&self) -> Option<OffsetDateTime> {
        self.server_time
    }

    /// The certificates the server sent in its `OpenSecureChannel` answer; their leaf is the expected one. `None`
    /// without security.
    pub fn server_chain(&self) -> Option<&CertificateChain> {
        match &self.state {
            State::Open(open) => open.channel.server_chain(),
            _ => None,
        }
    }

    /// The stage of the step under way, or of the last one.
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    fn cut_off(&self, fault: Fault) -> ChannelError {
        if self.stage == Stage::Hello && !self.frames.is_empty() && !self.frames.may_be_opc_ua() {
            return self.local(Fault::NotOpcUa { first_bytes: self.frames.first_bytes() });
        }
        ChannelError::transport(self.stage, fault)
    }

    fn local(&self, fault: Fault) -> ChannelError {
        ChannelError::local(self.stage, fault)
    }

    fn begin(&mut self, stage: Stage) -> Result<(), ChannelError> {
        if self.pending.is_some() {
            return Err(ChannelError::local(stage, Fault::NotReady));
        }
        self.stage = stage;
        self.received = !self.frames.is_empty();
        Ok(())
    }

    fn nonce(&mut self, len: usize) -> Result<Vec<u8>, ChannelError> {
        let mut nonce = vec![0; len];
        match self.random.fill(&mut nonce) {
            Ok(()) => Ok(nonce),
            Err(fault) => Err(self.local(fault)),
        }
    }

    fn open_request(&mut self, renewal: bool, timing: Timing) -> Result<Vec<u8>, ChannelError> {
        let State::Open(open) = &self.state else { return Err(self.local(Fault::NotReady)) };
        let share = open.channel.key_share(&mut *self.random).map_err(|fault| self.local(fault))?;
        let lifetime = self.limits.token_lifetime;
        let State::Open(open) = &mut self.state else { return Err(self.local(Fault::NotReady)) };
        let header = open.header(timing);
        let mode = open.channel.security().mode();
        let sent = header
            .open_secure_channel(mode, renewal, share.nonce(), lifetime)
            .and_then(|body| open.channel.send_open(&body));
        let Sent { request_id, bytes } = sent.map_err(|fault| self.local(fault))?;
        self.pending = Some(Pending::Open { request_id, share, renewal });
        Ok(bytes)
    }

    fn request(
        &mut self,
        timing: Timing,
        encode: impl FnOnce(RequestHeader, &Open) -> Result<Vec<u8>, Fault>,
    ) -> Result<Sent, ChannelError> {
        let stage = self.stage;
        let State::Open(open) = &mut self.state else {
            return Err(ChannelError::local(stage, Fault::NotReady));
        };
        let header = open.header(timing);
        encode(header, open)
            .map(Zeroizing::new)
            .and_then(|body| open.channel.send(FrameType::Message, &body))
            .map_err(|fault| ChannelError::local(stage, fault))
    }

    fn next_event(&mut self) -> Result<Option<Event>, Failure> {
        while let Some(frame) = self.frames.next().map_err(|fault| self.not_opc_ua_only_at_first(fault))? {
            if frame.kind == FrameType::Error {
                return Err(wire::refusal(frame.body()));
            }
            if let Some(event) = self.frame(&frame)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// After ACK, a frame that is none is a broken server, not another protocol.
    fn not_opc_ua_only_at_first(&self, fault: Fault) -> Fault {
        match fault {
            Fault::NotOpcUa { first_bytes } if !matches!(self.state, State::Connected) => {
                Fault::decoding(format!("no frame begins with {:?}", String::from_utf8_lossy(&first_bytes)))
            }
            other => other,
        }
    }

    fn frame(&mut self, frame: &Frame) -> Result<Option<Event>, Failure> {
        match (self.pending.take(), &mut self.state) {
            (Some(Pending::Acknowledge), State::Connected) => {
                if frame.kind != FrameType::Acknowledge {
                    return Err(Fault::unexpected(format!("{:?} instead of ACK", frame.kind)).into());
                }
                self.state = State::Acknowledged(SendLimits::from_acknowledge(frame.body(), &self.limits)?);
                Ok(Some(Event::Acknowledged))
            }
            (Some(Pending::Open { request_id, share, renewal }), State::Open(open)) => {
                let (header, lifetime) = open.channel.receive_open(frame, request_id, share)?;
                self.note(&header);
                // A server that names none takes the one that was asked for.
                let token_lifetime = if lifetime.is_zero() { self.limits.token_lifetime } else { lifetime };
                Ok(Some(if renewal {
                    Event::ChannelRenewed { token_lifetime }
                } else {
                    Event::ChannelOpened { token_lifetime }
                }))
            }
            (Some(pending), State::Open(open)) => match open.channel.receive(frame)? {
                None => {
                    self.pending = Some(pending);
                    Ok(None)
                }
                Some(message) => self.answer(pending, &message).map(Some),
            },
            _ => Err(Fault::unexpected(format!("{:?} to no request", frame.kind)).into()),
        }
    }

    fn answer(&mut self, pending: Pending, message: &Received) -> Result<Event, Failure> {
        let State::Open(open) = &mut self.state else { return Err(Fault::NotReady.into()) };
        let expected = pending.request_id();
        if expected != Some(message.request_id) {
            let detail = format!("an answer to request {}, expected was {expected:?}", message.request_id);
            return Err(Fault::unexpected(detail).into());
        }
        let (header, event) = match pending {
            Pending::Endpoints { .. } => {
                let (header, endpoints) = response::found_endpoints(&message.body)?;
                (header, Event::Endpoints(endpoints))
            }
            Pending::Created { requested, .. } => {
                let (header, created) = response::created_session(&message.body)?;
                open.token = Some(created.token.clone());
                let session = requested.check(&open.channel, created)?;
                let timeout = session.timeout;
                open.session = Some(session);
                (header, Event::SessionCreated { timeout })
            }
            Pending::Activated { .. } => {
                let (mut header, nonce) = response::activated_session(&message.body)?;
                let session = open.session.as_mut().ok_or(Fault::NotReady)?;
                // The user is in; without these the session cannot be taken to another channel, and that is all.
                let _ = session.note_proofs(&open.channel, nonce, header.ephemeral_key.take());
                (header, Event::SessionActivated)
            }
            Pending::Status { .. } => {
                let (header, status) = response::server_status(&message.body)?;
                (header, Event::ServerStatus(status))
            }
            Pending::Service { .. } => {
                let (header, answer) = any_answer(&message.body)?;
                (header, Event::Service(answer))
            }
            Pending::Closed { .. } => {
                let header = response::closed_session(&message.body)?;
                open.session = None;
                open.token = None;
                (header, Event::SessionClosed)
            }
            Pending::Acknowledge | Pending::Open { .. } => return Err(Fault::NotReady.into()),
        };
        self.note(&header);
        Ok(event)
    }

    fn note(&mut self, header: &ResponseHeader) {
        self.server_time = header.time.or(self.server_time);
    }
}

impl Pending {
    const fn request_id(&self) -> Option<u32> {
        match self {
            Self::Acknowledge => None,
            Self::Open { request_id, .. }
            | Self::Endpoints { request_id }
            | Self::Created { request_id, .. }
            | Self::Activated { request_id }
            | Self::Status { request_id }
            | Self::Service { request_id }
            | Self::Closed { request_id } => Some(*request_id),
        }
    }
}

impl Open {
    fn header(&mut self, timing: Timing) -> RequestHeader {
        let handle = self.next_handle;
        self.next_handle = handle.checked_add(1).unwrap_or(1);
        RequestHeader { token: self.token.clone(), handle, time: timing.now, timeout: timing.timeout }
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation").field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// OPC 10000-4 §5.7.2: at least 32 bytes.
const CLIENT_NONCE_LEN: usize = 32;

#[cfg(test)]
mod tests;

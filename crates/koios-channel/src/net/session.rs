use std::time::Duration;

use koios_pki::CertificateChain;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::link::Cost;
use super::secure_channel::{FAREWELL, Renewal, SecureChannel, unexpected};
use super::{Deadline, link::Link};
use crate::conversation::{Conversation, DetachedSession, Event};
use crate::error::{ChannelError, Stage};
use crate::service::nodes;
use crate::{NodeId, Reference, ServerStatus, ServiceAnswer, ServiceRequest, UserIdentity, Value};

/// A session that no user has yet.
#[derive(Debug)]
pub struct CreatedSession {
    channel: SecureChannel,
    timeout: Duration,
}

impl CreatedSession {
    pub(super) const fn new(channel: SecureChannel, timeout: Duration) -> Self {
        Self { channel, timeout }
    }

    /// The time of silence after which the server drops the session.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The certificates the server sent in its `OpenSecureChannel` answer.
    pub fn server_chain(&self) -> Option<&CertificateChain> {
        self.channel.server_chain()
    }

    /// The server's clock in its last answer.
    pub fn server_time(&self) -> Option<OffsetDateTime> {
        self.channel.server_time()
    }

    /// Gives the session to a user. When the server or we refuse, the session is closed: small servers have few.
    ///
    /// # Errors
    /// At [`Stage::ActivateSession`].
    pub async fn activate(
        mut self,
        user: &UserIdentity,
        deadline: Deadline,
    ) -> Result<Session, ChannelError> {
        let stage = Stage::ActivateSession;
        let cost = self.channel.renewal.cost.with_user(user);
        let user = user.clone();
        let outcome = self
            .channel
            .link
            .exchange(stage, deadline, cost, move |conversation, timing| {
                conversation.activate_session(&user, timing)
            })
            .await;
        match outcome {
            Ok(Event::SessionActivated) => Ok(Session::new(self.channel, self.timeout)),
            Ok(other) => Err(unexpected(stage, &other)),
            Err(error) => {
                self.close(deadline.at_most(FAREWELL)).await;
                Err(error)
            }
        }
    }

    /// Closes session, channel and connection; says so to the server if it can before the deadline.
    pub async fn close(mut self, deadline: Deadline) {
        // Nobody uses the session: whether the server has closed it or will forget it makes no difference here.
        let _ = close_session(&mut self.channel.link, deadline).await;
        self.channel.close(deadline).await;
    }
}

/// An active session.
///
/// Dropped without [`close`](Self::close), the connection ends without a word and the server keeps the session until
/// its timeout.
#[derive(Debug)]
pub struct Session {
    channel: SecureChannel,
    timeout: Duration,
}

impl Session {
    pub(super) const fn new(channel: SecureChannel, timeout: Duration) -> Self {
        Self { channel, timeout }
    }

    /// The server's clock in its last answer.
    pub fn server_time(&self) -> Option<OffsetDateTime> {
        self.channel.server_time()
    }

    /// The certificates the server sent in its `OpenSecureChannel` answer.
    pub fn server_chain(&self) -> Option<&CertificateChain> {
        self.channel.server_chain()
    }

    /// The time of silence after which the server drops the session.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When [`Session::renew`] should be called: after three quarters of the token's life.
    pub const fn needs_renewal_at(&self) -> Instant {
        self.channel.renewal.due
    }

    /// Reads `Server_ServerStatus`.
    ///
    /// # Errors
    /// At [`Stage::Read`]. After [`Fault::ServiceFault`](crate::Fault::ServiceFault) and
    /// [`Fault::ServiceResult`](crate::Fault::ServiceResult) the session can be used further, after others not.
    pub async fn read_server_status(&mut self, deadline: Deadline) -> Result<ServerStatus, ChannelError> {
        let stage = Stage::Read;
        let event = self
            .channel
            .link
            .exchange(stage, deadline, Cost::Small, Conversation::read_server_status)
            .await?;
        match event {
            Event::ServerStatus(status) => Ok(status),
            other => Err(unexpected(stage, &other)),
        }
    }

    /// The hierarchical references of a node, such as [`NodeId::SERVER_CONFIGURATION`], in the server's order.
    ///
    /// # Errors
    /// At [`Stage::Browse`], as [`read_server_status`](Self::read_server_status); [`Fault::LimitExceeded`](crate::Fault::LimitExceeded) when there are
    /// more than 10,000.
    pub async fn browse(
        &mut self,
        node: &NodeId,
        deadline: Deadline,
    ) -> Result<Vec<Reference>, ChannelError> {
        let stage = Stage::Browse;
        let mut request = nodes::browse(node);
        let mut references = Vec::new();
        loop {
            let answer = self.channel.link.service(stage, request, deadline).await?;
            let browsed = nodes::browsed(&answer).map_err(|failure| failure.at(stage))?;
            references.extend(browsed.references);
            if browsed.continuation.is_empty() {
                return Ok(references);
            }
            let (found, most) = (references.len(), MAX_REFERENCES);
            // The server keeps a place for us until it is told.
            let is_enough = found > most;
            request = nodes::browse_next(&browsed.continuation, is_enough);
            if is_enough {
                let _ = self.channel.link.service(stage, request, deadline).await;
                return Err(ChannelError::local(stage, crate::wire::limit("references", found, most)));
            }
        }
    }

    /// Calls a method of an object and gives its output arguments.
    ///
    /// # Errors
    /// At [`Stage::Call`], as [`read_server_status`](Self::read_server_status): what the method says is the status of
    /// [`Fault::ServiceResult`](crate::Fault::ServiceResult), that of the first bad argument when there is one. [`Fault::NotSendable`](crate::Fault::NotSendable) for an array of
    /// several types.
    pub async fn call(
        &mut self,
        object: &NodeId,
        method: &NodeId,
        arguments: &[Value],
        deadline: Deadline,
    ) -> Result<Vec<Value>, ChannelError> {
        let stage = Stage::Call;
        let request =
            nodes::call(object, method, arguments).map_err(|fault| ChannelError::local(stage, fault))?;
        let answer = self.channel.link.service(stage, request, deadline).await?;
        nodes::called(&answer).map_err(|failure| failure.at(stage))
    }

    /// Any other service, whose fields the caller encodes and decodes: headers, security and limits are as ever.
    ///
    /// # Errors
    /// At [`Stage::OtherService`], as [`read_server_status`](Self::read_server_status).
    pub async fn request_service(
        &mut self,
        request: ServiceRequest,
        deadline: Deadline,
    ) -> Result<ServiceAnswer, ChannelError> {
        self.channel.link.service(Stage::OtherService, request, deadline).await
    }

    /// Lets go of the connection, which is lost or will be, and keeps the session, to go on with it on another channel
    /// ([`SecureChannel::attach_session`]). `None` when the conversation ended with a fault of the server.
    pub fn detach(mut self) -> Option<DetachedSession> {
        self.channel.link.conversation_mut()?.detach_session()
    }

    /// Renews the channel's token; the old one is still taken for what the server sends before it has seen the new.
    ///
    /// # Errors
    /// At [`Stage::RenewSecureChannel`]; the session can no longer be used.
    pub async fn renew(&mut self, deadline: Deadline) -> Result<(), ChannelError> {
        let stage = Stage::RenewSecureChannel;
        let cost = self.channel.renewal.cost;
        let event = self.channel.link.exchange(stage, deadline, cost, Conversation::renew).await?;
        let Event::ChannelRenewed { token_lifetime } = event else { return Err(unexpected(stage, &event)) };
        self.channel.renewal = Renewal::new(cost, token_lifetime);
        Ok(())
    }

    /// Closes session, channel and connection.
    ///
    /// # Errors
    /// At [`Stage::CloseSession`]; the connection is closed all the same.
    pub async fn close(mut self, deadline: Deadline) -> Result<(), ChannelError> {
        let outcome = close_session(&mut self.channel.link, deadline).await;
        self.channel.close(deadline).await;
        outcome
    }
}

pub(super) async fn close_session(link: &mut Link, deadline: Deadline) -> Result<(), ChannelError> {
    let stage = Stage::CloseSession;
    match link.exchange(stage, deadline, Cost::Small, Conversation::close_session).await? {
        Event::SessionClosed => Ok(()),
        other => Err(unexpected(stage, &other)),
    }
}

/// More than this below one node is not for a certificate manager.
const MAX_REFERENCES: usize = 10_000;

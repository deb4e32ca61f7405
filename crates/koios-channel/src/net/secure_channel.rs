use std::time::Duration;

use koios_pki::CertificateChain;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::link::{Cost, Link};
use super::session::close_session;
use super::{CreatedSession, Deadline, Session};
use crate::conversation::{Conversation, DetachedSession, Event};
use crate::error::{ChannelError, Fault, Stage};
use crate::service::nodes;
use crate::{ApplicationDescription, Endpoint, EndpointUrl, Security, SessionRequest, UserIdentity};

/// A connection whose HELLO was acknowledged.
#[derive(Debug)]
pub struct Transport {
    link: Link,
}

impl Transport {
    pub(super) const fn new(link: Link) -> Self {
        Self { link }
    }

    /// Opens the secure channel. RSA with keys of more than 2048 bits is done on a thread for blocking work.
    ///
    /// # Errors
    /// At [`Stage::OpenSecureChannel`]. A refusal of the server that came without security is
    /// [`Fault::UnsecuredFault`] or [`Fault::Err`]: a hint, not proof.
    pub async fn open(
        mut self,
        security: Security,
        deadline: Deadline,
    ) -> Result<SecureChannel, ChannelError> {
        let stage = Stage::OpenSecureChannel;
        let cost = Cost::of(security.is_costly());
        let event = self
            .link
            .exchange(stage, deadline, cost, move |conversation, timing| conversation.open(security, timing))
            .await?;
        let Event::ChannelOpened { token_lifetime } = event else { return Err(unexpected(stage, &event)) };
        Ok(SecureChannel { link: self.link, renewal: Renewal::new(cost, token_lifetime) })
    }
}

/// An open secure channel. With security, the server has proven to hold its certificate's key.
///
/// Dropped without [`close`](Self::close), the connection ends without a word.
#[derive(Debug)]
pub struct SecureChannel {
    pub(super) link: Link,
    pub(super) renewal: Renewal,
}

/// When the channel's token needs to be renewed, and what that costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Renewal {
    pub(super) cost: Cost,
    pub(super) due: Instant,
}

impl Renewal {
    pub(super) fn new(cost: Cost, token_lifetime: Duration) -> Self {
        // OPC 10000-4 §5.6.2: after 75 % of the life.
        let due = (token_lifetime / 4 * 3).max(MIN_RENEWAL_PACE);
        Self { cost, due: Deadline::after(due).instant() }
    }
}

impl SecureChannel {
    /// The server's clock in its last answer.
    pub fn server_time(&self) -> Option<OffsetDateTime> {
        self.link.conversation().and_then(Conversation::server_time)
    }

    /// The certificates the server sent in its `OpenSecureChannel` answer; their leaf is the expected one. `None`
    /// without security.
    pub fn server_chain(&self) -> Option<&CertificateChain> {
        self.link.conversation().and_then(Conversation::server_chain)
    }

    /// Asks for the server's endpoints.
    ///
    /// # Errors
    /// At [`Stage::GetEndpoints`].
    pub async fn get_endpoints(
        &mut self,
        url: &EndpointUrl,
        deadline: Deadline,
    ) -> Result<Vec<Endpoint>, ChannelError> {
        let stage = Stage::GetEndpoints;
        let url = url.clone();
        let event = self
            .link
            .exchange(stage, deadline, Cost::Small, move |conversation, timing| {
                conversation.get_endpoints(&url, timing)
            })
            .await?;
        match event {
            Event::Endpoints(endpoints) => Ok(endpoints),
            other => Err(unexpected(stage, &other)),
        }
    }

    /// Asks for the servers that this one knows (OPC 10000-4 §5.5.2); a server that knows no others names itself.
    ///
    /// # Errors
    /// At [`Stage::FindServers`].
    pub async fn find_servers(
        &mut self,
        url: &EndpointUrl,
        deadline: Deadline,
    ) -> Result<Vec<ApplicationDescription>, ChannelError> {
        let stage = Stage::FindServers;
        let answer = self.link.service(stage, nodes::find_servers(url), deadline).await?;
        nodes::found_servers(&answer).map_err(|failure| failure.at(stage))
    }

    /// Creates a session and checks the server's part of it: certificate, signature, nonce and, when the request
    /// holds discovery's endpoints, that nobody changed them.
    ///
    /// # Errors
    /// At [`Stage::CreateSession`]; the channel is closed, and before it a session that the server created and we
    /// refused.
    pub async fn create_session(
        mut self,
        request: SessionRequest,
        deadline: Deadline,
    ) -> Result<CreatedSession, ChannelError> {
        let stage = Stage::CreateSession;
        let outcome = self
            .link
            .exchange(stage, deadline, Cost::Small, move |conversation, timing| {
                conversation.create_session(request, timing)
            })
            .await;
        match outcome {
            Ok(Event::SessionCreated { timeout }) => Ok(CreatedSession::new(self, timeout)),
            Ok(other) => Err(unexpected(stage, &other)),
            Err(error) => {
                let farewell = deadline.at_most(FAREWELL);
                // Says nothing when the server has created no session; else it would keep a dead one.
                let _ = close_session(&mut self.link, farewell).await;
                self.link.close(farewell).await;
                Err(error)
            }
        }
    }

    /// Goes on with a session whose connection was lost: activates it on this channel, for the same user
    /// (OPC 10000-4 §5.7.3). The server must be the same, and so must be our certificate and the protection.
    ///
    /// # Errors
    /// At [`Stage::ActivateSession`]; the channel is closed. A server that has dropped the session meanwhile says
    /// `BadSessionIdInvalid` or `BadSessionClosed`: then a new one is to be created. Some (asyncua) drop a session with its
    /// connection.
    pub async fn attach_session(
        mut self,
        detached: DetachedSession,
        user: &UserIdentity,
        deadline: Deadline,
    ) -> Result<Session, ChannelError> {
        let stage = Stage::ActivateSession;
        let timeout = detached.timeout();
        let user = user.clone();
        let attached = self
            .link
            .exchange(stage, deadline, self.renewal.cost.with_user(&user), move |conversation, timing| {
                conversation.attach_session(detached)?;
                conversation.activate_session(&user, timing)
            })
            .await;
        match attached {
            Ok(Event::SessionActivated) => Ok(Session::new(self, timeout)),
            Ok(other) => Err(unexpected(stage, &other)),
            Err(error) => {
                self.link.close(deadline.at_most(FAREWELL)).await;
                Err(error)
            }
        }
    }

    /// Closes the channel and the connection; says so to the server if it can before the deadline.
    pub async fn close(self, deadline: Deadline) {
        self.link.close(deadline).await;
    }
}

/// An event the conversation never gives to this request.
pub(super) fn unexpected(stage: Stage, event: &Event) -> ChannelError {
    ChannelError::local(stage, Fault::unexpected(format!("the event {event:?}")))
}

/// A server that grants next to nothing would have us renew all the time.
const MIN_RENEWAL_PACE: Duration = Duration::from_secs(1);

/// How long a failed step may be held up by good manners.
pub(super) const FAREWELL: Duration = Duration::from_millis(500);

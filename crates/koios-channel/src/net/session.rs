use std::time::Duration;

use koios_pki::CertificateChain;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::Deadline;
use crate::{ChannelError, ServerStatus, UserIdentity};

/// A session that no user has yet.
#[derive(Debug)]
pub struct CreatedSession {}

impl CreatedSession {
    /// The time of silence after which the server drops the session.
    pub fn timeout(&self) -> Duration {
        todo!()
    }

    /// The certificates the server sent in its `OpenSecureChannel` answer.
    pub fn server_chain(&self) -> Option<&CertificateChain> {
        todo!()
    }

    /// The server's clock in its last answer.
    pub fn server_time(&self) -> Option<OffsetDateTime> {
        todo!()
    }

    /// Gives the session to a user. When the server or we refuse, the session is closed.
    ///
    /// # Errors
    /// At [`Stage::ActivateSession`](crate::Stage::ActivateSession).
    pub async fn activate(self, _user: &UserIdentity, _deadline: Deadline) -> Result<Session, ChannelError> {
        todo!()
    }

    /// Closes session, channel and connection.
    pub async fn close(self, _deadline: Deadline) {
        todo!()
    }
}

/// An active session.
#[derive(Debug)]
pub struct Session {}

impl Session {
    /// The server's clock in its last answer.
    pub fn server_time(&self) -> Option<OffsetDateTime> {
        todo!()
    }

    /// The time of silence after which the server drops the session.
    pub fn timeout(&self) -> Duration {
        todo!()
    }

    /// When [`Session::renew`] should be called: after three quarters of the token's life.
    pub fn needs_renewal_at(&self) -> Instant {
        todo!()
    }

    /// Reads `Server_ServerStatus`.
    ///
    /// # Errors
    /// At [`Stage::Read`](crate::Stage::Read).
    pub async fn read_server_status(&mut self, _deadline: Deadline) -> Result<ServerStatus, ChannelError> {
        todo!()
    }

    /// Renews the channel's token.
    ///
    /// # Errors
    /// At [`Stage::RenewSecureChannel`](crate::Stage::RenewSecureChannel).
    pub async fn renew(&mut self, _deadline: Deadline) -> Result<(), ChannelError> {
        todo!()
    }

    /// Closes session, channel and connection.
    ///
    /// # Errors
    /// At [`Stage::CloseSession`](crate::Stage::CloseSession).
    pub async fn close(self, _deadline: Deadline) -> Result<(), ChannelError> {
        todo!()
    }
}

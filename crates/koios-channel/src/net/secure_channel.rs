use koios_pki::CertificateChain;
use time::OffsetDateTime;

use super::{CreatedSession, Deadline};
use crate::{ChannelError, Endpoint, EndpointUrl, Security, SessionRequest};

/// A connection whose HELLO was acknowledged.
#[derive(Debug)]
pub struct Transport {}

impl Transport {
    /// Opens the secure channel.
    ///
    /// # Errors
    /// At [`Stage::OpenSecureChannel`](crate::Stage::OpenSecureChannel).
    pub async fn open(self, _security: Security, _deadline: Deadline) -> Result<SecureChannel, ChannelError> {
        todo!()
    }
}

/// An open secure channel. With security, the server has proven to hold its certificate's key.
#[derive(Debug)]
pub struct SecureChannel {}

impl SecureChannel {
    /// The server's clock in its last answer.
    pub fn server_time(&self) -> Option<OffsetDateTime> {
        todo!()
    }

    /// The certificates the server sent in its `OpenSecureChannel` answer; its leaf is the expected one.
    pub fn server_chain(&self) -> Option<&CertificateChain> {
        todo!()
    }

    /// Asks for the server's endpoints.
    ///
    /// # Errors
    /// At [`Stage::GetEndpoints`](crate::Stage::GetEndpoints).
    pub async fn get_endpoints(
        &mut self,
        _url: &EndpointUrl,
        _deadline: Deadline,
    ) -> Result<Vec<Endpoint>, ChannelError> {
        todo!()
    }

    /// Creates a session and checks the server's part of it.
    ///
    /// # Errors
    /// At [`Stage::CreateSession`](crate::Stage::CreateSession); the connection is closed.
    pub async fn create_session(
        self,
        _request: SessionRequest,
        _deadline: Deadline,
    ) -> Result<CreatedSession, ChannelError> {
        todo!()
    }

    /// Closes the channel and the connection; says so to the server if it can before the deadline.
    pub async fn close(self, _deadline: Deadline) {
        todo!()
    }
}

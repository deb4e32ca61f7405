//! The proofs of a session that is bound to its channel, as the policies with authenticated encryption demand it
//! (`SecureChannelEnhancements` of OPC 10000-4 §5.7.2 and §5.7.3, 1.05.07): nobody can carry them to another channel.

use crate::channel::Channel;
use crate::keys::Security;
use crate::policy::Algorithms;

/// What the proofs sign. In this crate one certificate is an application's and its channel's, so that hashes repeat.
pub(super) struct Binding<'a> {
    algorithms: Algorithms,
    thumbprint: &'a [u8],
    client_certificate: &'a [u8],
    server_certificate: &'a [u8],
    client_nonce: &'a [u8],
    server_nonce: &'a [u8],
}

impl<'a> Binding<'a> {
    /// `None` where the channel's policy binds nothing.
    pub(super) fn of(channel: &'a Channel, client_nonce: &'a [u8], server_nonce: &'a [u8]) -> Option<Self> {
        let Security::Secure { policy, identity, .. } = channel.security() else { return None };
        Some(Self {
            algorithms: Algorithms::of(*policy).filter(Algorithms::binds_sessions)?,
            thumbprint: channel.thumbprint(),
            client_certificate: identity.leaf().der(),
            server_certificate: channel.peer()?.leaf_der(),
            client_nonce,
            server_nonce,
        })
    }

    /// What the server signs in CreateSession.
    pub(super) fn server_message(&self) -> Vec<u8> {
        let Self { client_certificate: client, server_certificate: server, .. } = self;
        self.message(self.client_nonce, &[server, client], self.server_nonce)
    }

    /// What our certificate's key signs in ActivateSession.
    pub(super) fn client_message(&self) -> Vec<u8> {
        let Self { client_certificate: client, server_certificate: server, .. } = self;
        self.message(self.server_nonce, &[server, server, client], self.client_nonce)
    }

    /// What the key of a user's certificate signs there.
    pub(super) fn user_message(&self) -> Vec<u8> {
        let Self { client_certificate: client, server_certificate: server, .. } = self;
        self.message(self.server_nonce, &[server, server, client, client], self.client_nonce)
    }

    fn message(&self, first: &[u8], certificates: &[&[u8]], last: &[u8]) -> Vec<u8> {
        let mut message = [self.thumbprint, first].concat();
        for certificate in certificates {
            message.extend_from_slice(self.algorithms.hash(certificate).as_ref());
        }
        message.extend_from_slice(last);
        message
    }
}

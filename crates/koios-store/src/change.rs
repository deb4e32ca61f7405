//! What changed, told to whoever listens.

use crate::id::{CertificateId, DeviceId};

/// A change that has been committed; sent in the order of the commits ([`crate::Store::changes`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A certificate was added.
    CertificateCreated(CertificateId),
    /// A certificate is no more; devices that named it got a [`Change::DeviceUpdated`] first.
    CertificateDeleted(CertificateId),
    /// A certificate has another key pair: devices using it must reconnect.
    CertificateRegenerated(CertificateId),
    /// Name or description of a certificate changed.
    CertificateUpdated(CertificateId),
    /// The default is now this certificate; devices that name none use another one than before.
    DefaultChanged(CertificateId),
    /// A device was added.
    DeviceCreated(DeviceId),
    /// A device is no more.
    DeviceDeleted(DeviceId),
    /// Any setting of a device changed, its certificate and whether it is enabled included.
    DeviceUpdated(DeviceId),
    /// A device has no pinned server certificate any more.
    PinForgotten(DeviceId),
    /// A person approved the server certificate that this device now pins.
    ServerCertificateApproved(DeviceId),
    /// A device pinned the first server certificate it met; its running connection is already on it.
    ServerCertificatePinned(DeviceId),
    /// Trusted or issuer certificates or revocation lists changed, by a call or by whoever changed the folders: a
    /// validation may come to another result.
    TrustListsChanged,
}

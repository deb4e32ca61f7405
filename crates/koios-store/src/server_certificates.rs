//! Server certificates: what servers presented, what devices pin, and what was ever seen.

mod inventory;
mod pin;
mod seen;

use koios_pki::CertificateChain;
use time::OffsetDateTime;

use crate::device::DeviceRef;

pub(crate) use seen::forget_presented;

/// The certificate a device's server presented last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Presented {
    /// Leaf first.
    pub chain: CertificateChain,
    /// When, to within a minute ([`crate::Store::record_presented`]).
    pub seen_at: OffsetDateTime,
}

/// What became of the wish to pin the first certificate seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it was pinned, or something else was before")]
pub enum PinOutcome {
    /// It is pinned now.
    Pinned,
    /// This one was pinned before, and stays.
    AlreadyPinned(CertificateChain),
}

/// A server certificate seen at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenServerCertificate {
    /// The endpoint, as devices name it.
    pub endpoint_url: String,
    /// Leaf first.
    pub chain: CertificateChain,
    /// When it was seen first.
    pub first_seen: OffsetDateTime,
    /// When it was seen last, to within a minute.
    pub last_seen: OffsetDateTime,
}

/// An endpoint and the server certificates seen there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenEndpoint {
    /// The endpoint, as devices name it.
    pub endpoint_url: String,
    /// The one seen last first; at most 16.
    pub certificates: Vec<SeenServerCertificate>,
    /// The devices with this very URL.
    pub devices: Vec<DeviceRef>,
}

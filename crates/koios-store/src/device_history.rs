//! What became of a device, newest first and bounded.

use time::OffsetDateTime;

text_enum! {
    /// The state of a device.
    pub enum DeviceState {
        /// Disabled.
        Stopped = "stopped",
        /// Not connected yet.
        Starting = "starting",
        /// Connected and scanning.
        Running = "running",
        /// Not connected, for the reason given.
        Failed = "failed",
    }
}

/// A change of a device's state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// When.
    pub at: OffsetDateTime,
    /// The state since then.
    pub state: DeviceState,
    /// Why it failed, for machines.
    pub error_code: Option<String>,
    /// Why it failed, for people.
    pub error_message: Option<String>,
}

impl Transition {
    /// A transition without an error.
    #[must_use]
    pub fn new(at: OffsetDateTime, state: DeviceState) -> Self {
        Self { at, state, error_code: None, error_message: None }
    }
}

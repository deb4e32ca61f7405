//! Who is told of the attempts.

use std::fmt::Debug;
use std::time::Duration;

use crate::code::Code;

/// Is told how each attempt of an enabled device ended; for metrics. Tests are not told.
pub trait ConnectObserver: Debug + Send + Sync {
    /// An attempt came to `code` after `duration`, the wait for its turn not included. Must not block.
    fn attempted(&self, code: Code, duration: Duration);
}

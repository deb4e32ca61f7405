use std::time::Duration;

use tokio::time::Instant;

use crate::{ChannelError, Fault, Stage};

/// The moment by which a step must have ended; every step takes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// `timeout` from now.
    pub fn after(timeout: Duration) -> Self {
        let now = Instant::now();
        // A sum that overflows is further away than any machine runs.
        Self(now.checked_add(timeout).unwrap_or_else(|| now + FAR))
    }

    /// At `instant`.
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// The moment itself.
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// The time left; zero when it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// This deadline, or `timeout` from now when that is sooner.
    pub(crate) fn at_most(self, timeout: Duration) -> Self {
        self.min(Self::after(timeout))
    }

    /// Runs `step` until it ends or the deadline passes.
    pub(crate) async fn bound<T>(
        self,
        stage: Stage,
        step: impl Future<Output = Result<T, ChannelError>>,
    ) -> Result<T, ChannelError> {
        tokio::time::timeout_at(self.0, step)
            .await
            .unwrap_or(Err(ChannelError::transport(stage, Fault::TimedOut)))
    }
}

/// A year.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

//! Points between the steps of a change at which a test can stop it for ever, as a power cut would.
//!
//! Outside of this crate's own tests they do nothing.

/// A moment between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultPoint {
    /// The rows are written, no file is.
    BeforeFiles,
    /// The files are on the disk, nothing is committed.
    BeforeCommit,
    /// The new state is committed, the old files are still there.
    AfterCommit,
}

/// The fault a test asked for.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    #[cfg(test)]
    armed: std::sync::Mutex<Option<(FaultPoint, std::sync::Arc<tokio::sync::Notify>)>>,
}

impl Faults {
    /// Goes on, unless a test wants the change to end here.
    #[cfg(not(test))]
    #[expect(clippy::unused_async, reason = "the same signature as in tests")]
    pub(crate) async fn pass(&self, _point: FaultPoint) {}

    /// Goes on, unless a test wants the change to end here.
    #[cfg(test)]
    pub(crate) async fn pass(&self, point: FaultPoint) {
        let armed = self.armed.lock().unwrap().clone();
        if let Some((at, reached)) = armed
            && at == point
        {
            reached.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Stops the next change at that point; the handle tells when it got there.
    #[cfg(test)]
    pub(crate) fn arm(&self, point: FaultPoint) -> std::sync::Arc<tokio::sync::Notify> {
        let reached = std::sync::Arc::<tokio::sync::Notify>::default();
        *self.armed.lock().unwrap() = Some((point, std::sync::Arc::clone(&reached)));
        reached
    }
}

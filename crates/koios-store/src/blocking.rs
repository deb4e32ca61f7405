//! File work and other work that blocks, on a thread that may wait.

use tokio::task::{JoinError, spawn_blocking};

/// A panic goes on in the caller; the error says that the runtime is being shut down.
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    spawn_blocking(work).await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => error,
    })
}

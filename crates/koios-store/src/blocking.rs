//! File work and other work that blocks, on a thread that may wait.

use tokio::task::{JoinError, spawn_blocking};

use crate::error::StoreError;

/// A panic goes on in the caller; the error says that the runtime is being shut down.
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    spawn_blocking(work).await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => error,
    })
}

/// The same for work of a store; that the runtime is being shut down is [`StoreError::Interrupted`].
pub(crate) async fn store_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    run_blocking(work).await.map_err(|_| StoreError::Interrupted)?
}

//! A panic in one attempt fails that attempt only.

use std::future::Future;

use tokio::task::JoinSet;

use crate::verdict::Verdict;

/// Runs `work` as a task of its own. Dropping the answer's future ends the task.
///
/// # Errors
/// [`crate::Code::Internal`] when it panicked. The panic's text stays in the log of the panic hook: it could hold
/// anything.
pub(super) async fn isolated<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Box<Verdict>> {
    // A set aborts its tasks when it is dropped; a bare JoinHandle would let them run on.
    let mut tasks = JoinSet::new();
    tasks.spawn(work);
    match tasks.join_next().await {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(_)) | None => Err(Box::new(Verdict::internal(
            None,
            "The attempt was ended by an error of this program; the log has the place.",
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::code::Code;

    #[tokio::test]
    async fn a_panic_becomes_a_verdict_and_nothing_else_ends() {
        let verdict = isolated(async { panic!("secret") }).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(verdict.code, Code::Internal);
        assert!(!verdict.detail.unwrap().contains("secret"));
        assert_eq!(isolated(async { 7 }).await, Ok(7));
    }

    #[tokio::test]
    async fn dropping_the_answer_ends_the_work() {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let work = isolated(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        tokio::time::timeout(Duration::from_millis(20), work).await.unwrap_err();
        let gone = async {
            while Arc::strong_count(&alive) > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the task is dropped");
    }
}

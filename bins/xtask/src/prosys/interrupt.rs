//! Ctrl-C and a pipeline's SIGTERM end the story early, so that it still tidies up.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use super::failure::{Failure, Kind};

/// Signals are sent to the process as a whole.
static REQUESTED: AtomicBool = AtomicBool::new(false);

/// From now on a signal is remembered instead of ending the process.
pub(super) fn watch() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupted, mut terminated) = {
        let _context = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
            }
        });
        REQUESTED.store(true, Ordering::SeqCst);
    });
    Ok(())
}

pub(super) fn is_requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// Asks until there is an answer, for that long at most.
pub(super) fn wait_for<T>(
    patience: Duration,
    mut ask: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    let end = Instant::now() + patience;
    loop {
        if is_requested() {
            return Err(Failure::new(Kind::Interrupted, "interrupted"));
        }
        if let Some(answer) = ask()? {
            return Ok(Some(answer));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(200));
    }
}

//! Ctrl-C and a pipeline's SIGTERM end a chore early, so that it still tidies up.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// Signals are sent to the process as a whole.
static REQUESTED: AtomicBool = AtomicBool::new(false);

/// From now on a signal is remembered instead of ending the process.
pub(crate) fn watch() -> io::Result<()> {
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

pub(crate) fn is_requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

//! What runs the commands that end by themselves.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// On the thread that asks.
pub(crate) fn command_runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

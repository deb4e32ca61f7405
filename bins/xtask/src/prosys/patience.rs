//! Waiting for something, until a signal comes.

use std::thread;
use std::time::{Duration, Instant};

use super::failure::{Failure, Kind};
use crate::interrupt;

/// Asks until there is an answer, for that long at most.
pub(super) fn wait_for<T>(
    patience: Duration,
    mut ask: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    let end = Instant::now() + patience;
    loop {
        if interrupt::is_requested() {
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

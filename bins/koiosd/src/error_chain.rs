//! An error as one line of text.

use std::error::Error;

/// An error and its causes, `error: its cause: the cause of that`: `Display` never repeats a source.
#[must_use]
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

//! One line on a terminal that says how far a command has come, and goes when it is done.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use koios_store::{Progress, Step};

/// Between two changes of the line: more often, nobody could read it.
const PAUSE: Duration = Duration::from_millis(100);

/// Back to the begin of the line, and nothing from there on (ECMA-48 EL).
const ERASE: &str = "\r\x1b[K";

/// The line on standard error, where that is a terminal; else nothing is written at all.
#[derive(Clone, Debug)]
pub(crate) struct ProgressLine(Option<Arc<Mutex<Line>>>);

#[derive(Debug, Default)]
struct Line {
    /// What is being done, of how many, and since when the line says so.
    shown: Option<(&'static str, Option<usize>, Instant)>,
}

impl ProgressLine {
    /// `quiet`: a program reads the output.
    pub(crate) fn on_stderr(quiet: bool) -> Self {
        let shown = !quiet && io::stderr().is_terminal();
        Self(shown.then(Arc::default))
    }

    /// For the work to tell.
    pub(crate) fn progress(&self) -> Progress {
        match &self.0 {
            None => Progress::default(),
            Some(line) => {
                let line = Arc::clone(line);
                Progress::new(move |step| lock(&line).show(step))
            }
        }
    }

    /// Takes the line away: something else is written, or the work is done.
    pub(crate) fn erase(&self) {
        if let Some(line) = &self.0 {
            lock(line).erase();
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.erase();
    }
}

fn lock(line: &Mutex<Line>) -> impl std::ops::DerefMut<Target = Line> + '_ {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    fn show(&mut self, step: Step) {
        let is_due = self.shown.is_none_or(|(what, total, at)| {
            (what, total) != (step.what, step.total) || at.elapsed() >= PAUSE
        });
        if is_due {
            self.shown = Some((step.what, step.total, Instant::now()));
            write(&format!("{ERASE}{}", text(step)));
        }
    }

    fn erase(&mut self) {
        if self.shown.take().is_some() {
            write(ERASE);
        }
    }
}

/// What cannot be shown is not worth an error.
fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

fn text(Step { what, done, total, .. }: Step) -> String {
    match total {
        Some(total) => format!("{what} {} of {}", grouped(done), grouped(total)),
        None if done == 0 => format!("{what} ..."),
        None => format!("{what} {}", grouped(done)),
    }
}

/// `1,200`: digits in groups of three.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_are_grouped() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1200, "1,200"), (10_000, "10,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}

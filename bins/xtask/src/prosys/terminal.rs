//! What a person sees, step by step; plain lines, so that a pipeline's log shows the same.

use std::time::Instant;

use super::failure::Failure;

pub(super) struct Terminal {
    started: Instant,
    steps: u32,
    /// The first one that failed: those after it tidy up.
    failed: Option<u32>,
}

impl Terminal {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), steps: 0, failed: None }
    }

    pub(super) fn say(&self, line: &str) {
        println!("{line}");
    }

    /// Says what is done, does it, and says what was seen.
    pub(super) fn step<T>(
        &mut self,
        title: &str,
        work: impl FnOnce() -> Result<Seen<T>, Failure>,
    ) -> Result<T, Failure> {
        if self.steps == 0 {
            // Building may take minutes, and is not what is proven.
            self.started = Instant::now();
        }
        self.steps += 1;
        println!("{:3}. {title}", self.steps);
        let started = Instant::now();
        match work() {
            Ok(Seen { what, value }) => {
                for line in what {
                    println!("     {line}");
                }
                println!("     passed ({:.1} s)", started.elapsed().as_secs_f64());
                Ok(value)
            }
            Err(failure) => {
                self.failed.get_or_insert(self.steps);
                println!("     FAILED ({:.1} s): {}", started.elapsed().as_secs_f64(), failure.seen);
                Err(failure)
            }
        }
    }

    pub(super) fn summary(&self, result: &Result<(), Failure>, interrupted: bool) {
        let seconds = self.started.elapsed().as_secs_f64();
        let place = match self.failed {
            Some(step) => format!("in step {step}"),
            None => "before the first step".to_owned(),
        };
        match result {
            Ok(()) => println!("\nPASSED: {} steps in {seconds:.1} s", self.steps),
            Err(_) if interrupted => println!("\nINTERRUPTED {place} after {seconds:.1} s"),
            Err(failure) => {
                println!("\nFAILED {place}: {}", failure.seen);
                for advice in &failure.advice {
                    println!("  - {advice}");
                }
                println!(
                    "Exit code {} after {seconds:.1} s; docs/CI-PROSYS.md has them all.",
                    failure.kind.number()
                );
            }
        }
    }
}

/// What a step has seen, in lines, and what it hands to the next ones.
pub(super) struct Seen<T> {
    what: Vec<String>,
    value: T,
}

impl<T> Seen<T> {
    pub(super) fn new(what: Vec<String>, value: T) -> Self {
        Self { what, value }
    }

    /// With this seen before.
    pub(super) fn after(mut self, mut before: Vec<String>) -> Self {
        before.append(&mut self.what);
        self.what = before;
        self
    }
}

//! Two pieces of code, timed in turn so that both meet the same disturbances.

use std::time::{Duration, Instant};

/// What one comparison found: times per call.
pub struct Comparison {
    pub ours: Duration,
    pub theirs: Duration,
}

impl Comparison {
    /// Medians over `blocks` alternating blocks, each long enough for the clock to be exact.
    pub fn of(blocks: usize, mut ours: impl FnMut(), mut theirs: impl FnMut()) -> Self {
        let (our_calls, their_calls) = (calls_per_block(&mut ours), calls_per_block(&mut theirs));
        let mut our_times = Vec::with_capacity(blocks);
        let mut their_times = Vec::with_capacity(blocks);
        for _ in 0..blocks {
            our_times.push(per_call(our_calls, &mut ours));
            their_times.push(per_call(their_calls, &mut theirs));
        }
        Self { ours: median(our_times), theirs: median(their_times) }
    }

    pub fn row(&self, what: &str) -> String {
        let ratio = self.ours.as_secs_f64() / self.theirs.as_secs_f64();
        format!("| {what} | {} | {} | {ratio:.2} |", show(self.ours), show(self.theirs))
    }
}

pub const HEADER: &str = "| what | koios-pki | OpenSSL | ratio |\n| --- | --- | --- | --- |";

pub fn show(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    if micros < 1e3 { format!("{micros:.2} µs") } else { format!("{:.2} ms", micros / 1e3) }
}

fn calls_per_block(run: &mut impl FnMut()) -> u32 {
    let start = Instant::now();
    run();
    let once = start.elapsed().max(Duration::from_nanos(50));
    u32::try_from((BLOCK.as_nanos() / once.as_nanos()).clamp(1, 20_000)).unwrap_or(1)
}

fn per_call(calls: u32, run: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        run();
    }
    start.elapsed() / calls
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

const BLOCK: Duration = Duration::from_millis(5);

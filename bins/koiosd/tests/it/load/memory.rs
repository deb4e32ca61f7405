//! The memory of a process over time.

use std::{
    fmt, fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Asks again and again.
#[derive(Debug)]
pub(super) struct Memory {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<u64>>,
}

/// Resident memory in KiB, one value per second.
#[derive(Debug)]
pub(super) struct Course(Vec<u64>);

impl Memory {
    pub(super) fn watch(pid: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut course = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                course.extend(resident(pid));
                thread::sleep(Duration::from_secs(1));
            }
            course
        });
        Self { stop, thread }
    }

    pub(super) fn end(self) -> Course {
        self.stop.store(true, Ordering::Relaxed);
        Course(self.thread.join().expect("it only reads"))
    }
}

impl Course {
    /// Whether the last tenth is hardly above the third tenth, in which everything that is kept for a while is there.
    pub(super) fn is_flat(&self) -> bool {
        self.tenth(9) <= self.tenth(2) + self.tenth(2) / 10
    }

    /// The median of a tenth, from 0.
    fn tenth(&self, number: usize) -> u64 {
        let length = self.0.len();
        let mut part =
            self.0.get(length * number / 10..length * (number + 1) / 10).unwrap_or_default().to_vec();
        part.sort_unstable();
        part.get(part.len() / 2).copied().unwrap_or_default()
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "median of each tenth, MiB:")?;
        for number in 0..10 {
            write!(f, " {}", self.tenth(number) / 1024)?;
        }
        write!(f, ", most {}", self.0.iter().max().copied().unwrap_or_default() / 1024)
    }
}

fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

//! Wall and CPU time.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

#[derive(Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) wall_ms: f64,
    pub(crate) cpu_ms: f64,
}

impl Spent {
    /// As every client tells it.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        Some(Self { wall_ms: value["wall_ms"].as_f64()?, cpu_ms: value["cpu_ms"].as_f64()? })
    }

    pub(crate) fn to_json(self) -> Value {
        json!({ "wall_ms": self.wall_ms, "cpu_ms": self.cpu_ms })
    }
}

pub(crate) struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu_time() }
    }

    pub(crate) fn spent(&self) -> Spent {
        Spent {
            cpu_ms: (cpu_time() - self.cpu).as_secs_f64() * 1e3,
            wall_ms: self.wall.elapsed().as_secs_f64() * 1e3,
        }
    }
}

/// CPU time of all threads of this process.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

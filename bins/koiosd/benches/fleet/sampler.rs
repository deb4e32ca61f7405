//! How quickly a daemon answers, asked again and again while something else goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, TOKEN, agent};

/// What is asked for.
const ROUTES: [&str; 3] = ["/api/v1/certificates", "/api/v1/devices?limit=50", "/metrics"];

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(25);

pub(crate) struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<[Latencies; ROUTES.len()]>,
}

/// In milliseconds.
#[derive(Default)]
pub(crate) struct Latencies(Vec<f64>);

impl Sampler {
    pub(crate) fn start(daemon: &Daemon) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let urls = ROUTES.map(|route| format!("{}{route}", daemon.url));
        let thread = thread::spawn(move || {
            let agent = agent();
            let mut all = ROUTES.map(|_| Latencies::default());
            while !stopped.load(Ordering::Relaxed) {
                for (url, latencies) in urls.iter().zip(&mut all) {
                    let begun = Instant::now();
                    let request = agent.get(url).header("Authorization", format!("Bearer {TOKEN}"));
                    let answered =
                        request.call().is_ok_and(|mut answer| answer.body_mut().read_to_vec().is_ok());
                    if answered {
                        latencies.0.push(begun.elapsed().as_secs_f64() * 1e3);
                    }
                    thread::sleep(PAUSE);
                }
            }
            all
        });
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Vec<(&'static str, Latencies)> {
        self.stop.store(true, Ordering::Relaxed);
        let all = self.thread.join().unwrap_or_default();
        ROUTES.into_iter().zip(all).collect()
    }
}

impl Latencies {
    pub(crate) fn text(mut self) -> String {
        self.0.sort_by(f64::total_cmp);
        let at =
            |percent: usize| self.0.get((self.0.len() * percent / 100).min(self.0.len().saturating_sub(1)));
        match (at(50), at(99)) {
            (Some(median), Some(high)) => format!("{median:.1} · {high:.1} of {}", self.0.len()),
            _ => "none answered".to_owned(),
        }
    }
}

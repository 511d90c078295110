//! How much of what was planned is left.

use std::time::{Duration, Instant};

pub(super) struct Progress {
    began: Instant,
    planned: f64,
    done: f64,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), planned: 0.0, done: 0.0 }
    }

    pub(super) fn plan(&mut self, runs: usize, seconds: f64) {
        self.planned += runs as f64 * seconds;
    }

    /// A line on what was just found, which had been planned with so many seconds.
    pub(super) fn passed(&mut self, seconds: f64, text: &str) {
        self.done += seconds;
        let left = Duration::from_secs_f64((self.planned - self.done).max(0.0)).as_secs();
        println!("[{:>2}:{:02} left] {text}", left / 60, left % 60);
    }

    pub(super) fn took(&self) -> Duration {
        self.began.elapsed()
    }
}

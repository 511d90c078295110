//! The last seconds of snapshots, so that rates and percentiles are about now and not about the life of the process.

use std::collections::VecDeque;
use std::time::Duration;

use crate::snapshot::Snapshot;
use crate::status::Status;

/// However short the steps between snapshots are, no more than this many are kept.
const SNAPSHOTS_MAX: usize = 64;

/// Snapshots of one process over a recent stretch of time. A snapshot of three instances is 12 KiB, one of two hundred 600 KiB.
#[derive(Debug)]
pub struct Window {
    span: Duration,
    /// Oldest first.
    snapshots: VecDeque<Snapshot>,
}

impl Default for Window {
    /// Ten seconds: long enough for a p99 at 10 requests a second to mean something, short enough to see a change happen.
    fn default() -> Self {
        Self::new(Duration::from_secs(10))
    }
}

impl Window {
    pub fn new(span: Duration) -> Self {
        Self { span, snapshots: VecDeque::new() }
    }

    /// Adds the newest snapshot and forgets those that are no longer needed.
    ///
    /// ```
    /// use plimsoll_telemetry::{Snapshot, Window};
    ///
    /// let mut window = Window::default();
    /// for second in 0..=60 {
    ///     let mut snapshot = Snapshot { uptime_ms: second * 1_000, ..Snapshot::default() };
    ///     snapshot.edge.responses_total[1] = if second > 50 { (second - 50) * 7 } else { 0 };
    ///     window.push(snapshot);
    /// }
    /// assert_eq!(window.status().edge.rate_per_second, 7.0);
    /// ```
    pub fn push(&mut self, snapshot: Snapshot) {
        // An uptime that jumps back means another process: what the old one counted says nothing about it.
        if self.snapshots.back().is_some_and(|newest| newest.uptime_ms > snapshot.uptime_ms) {
            self.snapshots.clear();
        }
        let start_ms = snapshot.uptime_ms.saturating_sub(self.span.as_millis() as u64);
        self.snapshots.push_back(snapshot);
        // The front stays one step older than the window's start, so that the window is covered in full.
        while self.snapshots.len() > SNAPSHOTS_MAX || self.snapshots.get(1).is_some_and(|second| second.uptime_ms <= start_ms) {
            self.snapshots.pop_front();
        }
    }

    /// The fleet over the window that ends with the newest snapshot. Empty before the first.
    pub fn status(&self) -> Status {
        self.snapshots.back().map(|newest| self.status_at(newest)).unwrap_or_default()
    }

    /// The fleet at a moment after the newest snapshot, without waiting for the next step.
    pub fn status_at(&self, now: &Snapshot) -> Status {
        let oldest = self.snapshots.front().filter(|oldest| oldest.uptime_ms < now.uptime_ms);
        // A single snapshot has nothing to be compared with but the start of the process.
        oldest.map_or_else(|| Status::between(&Snapshot::default(), now), |oldest| Status::between(oldest, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(uptime_ms: u64, answers: u64) -> Snapshot {
        let mut snapshot = Snapshot { uptime_ms, ..Snapshot::default() };
        snapshot.edge.responses_total[1] = answers;
        snapshot
    }

    fn rate(window: &Window) -> f64 {
        window.status().edge.rate_per_second
    }

    #[test]
    fn the_rate_moves_with_each_second_and_forgets_after_the_span() {
        let mut window = Window::new(Duration::from_secs(10));
        // 100 answers in second 20, silence before and after.
        let rates: Vec<_> = (0..40)
            .map(|second| {
                window.push(snapshot(second * 1_000, if second < 20 { 0 } else { 100 }));
                rate(&window)
            })
            .collect();
        assert!(rates[..20].iter().all(|rate| *rate < 0.001), "{rates:?}");
        assert!(rates[20..30].iter().all(|rate| (*rate - 10.0).abs() < 0.001), "{rates:?}");
        assert!(rates[30..].iter().all(|rate| *rate < 0.001), "{rates:?}");
    }

    #[test]
    fn late_steps_still_cover_the_whole_span() {
        let mut window = Window::new(Duration::from_secs(10));
        for uptime_ms in [0, 3_100, 6_300, 9_400, 12_700] {
            window.push(snapshot(uptime_ms, uptime_ms / 100));
        }
        assert!((rate(&window) - 10.0).abs() < 0.001);
        assert_eq!(window.snapshots.front().unwrap().uptime_ms, 0);
    }

    #[test]
    fn holds_no_more_than_its_bound_when_steps_are_tiny() {
        let mut window = Window::default();
        for uptime_ms in 0..10_000 {
            window.push(snapshot(uptime_ms, uptime_ms));
        }
        assert_eq!(window.snapshots.len(), SNAPSHOTS_MAX);
        assert!((rate(&window) - 1_000.0).abs() < 0.001);
    }

    #[test]
    fn another_process_starts_from_nothing() {
        let mut window = Window::default();
        window.push(snapshot(60_000, 6_000));
        window.push(snapshot(2_000, 10));
        assert!((rate(&window) - 5.0).abs() < 0.001);
        window.push(snapshot(3_000, 40));
        assert!((rate(&window) - 30.0).abs() < 0.001, "only the new process counts");
    }
}

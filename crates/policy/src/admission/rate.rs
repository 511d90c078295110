//! Events per second, lately: a count that decays.

/// What happened this long ago weighs a third.
const MEMORY_S: f64 = 1.0;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    level: f64,
    at_ns: u64,
}

impl Rate {
    pub(super) fn add(&mut self, now_ns: u64) {
        self.level = self.per_second(now_ns) + 1.0 / MEMORY_S;
        self.at_ns = self.at_ns.max(now_ns);
    }

    pub(super) fn per_second(&self, now_ns: u64) -> f64 {
        let age_s = now_ns.saturating_sub(self.at_ns) as f64 / 1e9;
        self.level * (-age_s / MEMORY_S).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_is_counted_and_forgotten() {
        let mut rate = Rate::default();
        for event in 0..1_000 {
            rate.add(event * 10_000_000);
        }
        let end = 10_000_000_000;
        assert!((rate.per_second(end) - 100.0).abs() < 2.0, "{}", rate.per_second(end));
        assert!(rate.per_second(end + 7_000_000_000) < 0.1);
    }
}

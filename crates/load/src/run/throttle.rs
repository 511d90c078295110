//! Keeps a closed loop, whose pace is the server's, below a rate of ours.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// How far behind its turns a loop may fall and still catch up: what a timer is late by must not cost rate, a stall must not be made up for.
const CATCH_UP: Duration = Duration::from_millis(5);
/// In seconds: longer than any run.
const BETWEEN_MAX: f64 = 1e6;

/// Turns at even distances, for whoever asks next.
pub(super) struct Throttle {
    between: Duration,
    next: Cell<Option<Instant>>,
}

impl Throttle {
    /// At most `rate` turns per second; any number of them when it is infinite.
    pub(super) fn new(rate: f64) -> Self {
        Self { between: Duration::from_secs_f64((1.0 / rate).min(BETWEEN_MAX)), next: Cell::new(None) }
    }

    /// Takes a turn, and says when it comes; `None` when it has come.
    pub(super) fn turn(&self, now: Instant) -> Option<Instant> {
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let turn = self.next.get().map_or(now, |next| next.max(earliest));
        self.next.set(Some(turn + self.between));
        (turn > now).then_some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many turns come within `seconds` when each is taken `late` after it has come.
    fn turns(rate: f64, seconds: f64, late: Duration) -> usize {
        let (throttle, start) = (Throttle::new(rate), Instant::now());
        let (mut now, mut turns) = (start, 0);
        while now < start + Duration::from_secs_f64(seconds) {
            turns += 1;
            if let Some(turn) = throttle.turn(now) {
                now = turn + late;
            }
        }
        turns
    }

    #[test]
    fn as_many_turns_come_as_the_rate_says_even_when_timers_are_late() {
        for (rate, late) in [(20.0, 0), (2_000.0, 1), (5_000.0, 2)] {
            let came = turns(rate, 2.0, Duration::from_millis(late)) as f64;
            assert!((came / (2.0 * rate) - 1.0).abs() < 0.03, "{came} at {rate}/s");
        }
    }

    #[test]
    fn a_stall_is_not_made_up_for() {
        let (throttle, start) = (Throttle::new(1_000.0), Instant::now());
        throttle.turn(start);
        let later = start + Duration::from_secs(10);
        let at_once = (0..100).take_while(|_| throttle.turn(later).is_none()).count();
        assert!(at_once <= 6, "{at_once} at once");
    }
}

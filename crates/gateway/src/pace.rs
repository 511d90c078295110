//! A client's pace: how fast it sends what is due, or takes what is ready.
//!
//! A limit on silence alone lets a client hold a connection for hours with a byte every half minute. Here only the time counts in which
//! this side waited for the client, so neither a slow instance nor a stream with little to say makes a client slow. The pace is judged when
//! the next wait begins and all is counted that the last one brought, in however many pieces. It costs no timer: for silence there are the
//! idle limits.

use std::time::Duration;

use tokio::time::Instant;

/// Slower than this, on average over `window` of waiting, is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// 0: any pace will do.
    pub(crate) bytes_per_second_min: u64,
    pub(crate) window: Duration,
}

impl Pace {
    /// What could have been expected of somebody who was waited for this long.
    fn bytes_due(self, waited: Duration) -> u64 {
        (self.bytes_per_second_min as f64 * waited.as_secs_f64()) as u64
    }
}

/// Measures one body on its way.
#[derive(Debug)]
pub(crate) struct Meter {
    pace: Pace,
    waits_since: Option<Instant>,
    /// Within the present window.
    waited: Duration,
    bytes: u64,
    begun: bool,
}

/// The client keeps too slow a pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooSlow;

impl Meter {
    /// Of what has not begun to move. The wait for its first byte is not counted: the client may have been asked to hold it back.
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, waits_since: None, waited: Duration::ZERO, bytes: 0, begun: false }
    }

    /// Of what has begun.
    pub(crate) fn begun(pace: Pace) -> Self {
        Self { begun: true, ..Self::new(pace) }
    }

    /// Nothing moves until the client does something.
    pub(crate) fn waits(&mut self) -> Result<(), TooSlow> {
        if !self.begun || self.pace.bytes_per_second_min == 0 || self.waits_since.is_some() {
            return Ok(());
        }
        self.waits_since = Some(Instant::now());
        if self.waited < self.pace.window {
            return Ok(());
        }
        let is_too_slow = self.bytes < self.pace.bytes_due(self.waited);
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        if is_too_slow { Err(TooSlow) } else { Ok(()) }
    }

    /// This many bytes have moved. Costs nothing where nobody had to wait.
    pub(crate) fn moved(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.begun = true;
        self.bytes += bytes;
        if let Some(since) = self.waits_since.take() {
            self.waited += since.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    const PACE: Pace = Pace { bytes_per_second_min: 100, window: Duration::from_secs(10) };

    /// Moves `bytes` after each wait of `wait_ms`, for as long as that is allowed; the seconds it took, up to a minute.
    async fn lasts(pace: Pace, bytes: u64, wait_ms: u64) -> u64 {
        let mut meter = Meter::new(pace);
        let started = Instant::now();
        meter.moved(1);
        while started.elapsed() < Duration::from_mins(1) {
            if meter.waits().is_err() {
                return started.elapsed().as_secs();
            }
            advance(Duration::from_millis(wait_ms)).await;
            meter.moved(bytes);
        }
        60
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_the_pace_may_take_for_ever_and_who_does_not_has_one_window() {
        let cases = [(100, 1_000, 60), (99, 1_000, 10), (1, 9_000, 18), (1, 29_000, 29), (1_000, 5_000, 60), (50, 100, 60), (5, 100, 10)];
        for (bytes, wait_ms, seconds) in cases {
            assert_eq!(lasts(PACE, bytes, wait_ms).await, seconds, "{bytes} bytes every {wait_ms} ms");
        }
        assert_eq!(lasts(Pace { bytes_per_second_min: 0, ..PACE }, 1, 29_000).await, 60, "any pace");
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_beginning_buys_no_slow_end() {
        let mut meter = Meter::new(PACE);
        meter.moved(1 << 30);
        let mut waits = 0;
        while meter.waits().is_ok() {
            advance(Duration::from_secs(5)).await;
            meter.moved(1);
            waits += 1;
        }
        assert_eq!(waits, 4, "the first two are a fast window, the second two are not");
    }

    #[tokio::test(start_paused = true)]
    async fn all_counts_that_comes_at_the_end_of_a_wait() {
        let mut meter = Meter::begun(PACE);
        for _ in 0..10 {
            assert_eq!(meter.waits(), Ok(()));
            advance(Duration::from_secs(32)).await;
            meter.moved(10);
            meter.moved(64_000);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waited_for_the_client_does_not_count() {
        let mut meter = Meter::new(PACE);
        for _ in 0..100 {
            meter.moved(1);
            advance(Duration::from_mins(1)).await;
        }
        assert_eq!(meter.waits(), Ok(()));
        let mut meter = Meter::new(PACE);
        meter.waits().unwrap();
        advance(Duration::from_mins(1)).await;
        meter.moved(1);
        assert_eq!(meter.waits(), Ok(()), "before the first byte the idle limit rules");
    }

    proptest! {
        #[test]
        fn nobody_is_too_slow_within_a_window(waits_ms in prop::collection::vec(0_u64..3_000, 1..4)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let mut meter = Meter::new(PACE);
                meter.moved(1);
                for wait_ms in waits_ms {
                    meter.waits().unwrap();
                    advance(Duration::from_millis(wait_ms)).await;
                    meter.moved(1);
                }
                meter.waits().unwrap();
            });
        }
    }
}

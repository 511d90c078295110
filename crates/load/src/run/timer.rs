//! Sleeps until a moment to within microseconds: tokio's own timers are a millisecond apart, which is longer than many an answer takes.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// Requests that are due closer together than this leave together: a wake-up costs about as much as a request.
const APART_MIN: Duration = Duration::from_micros(50);

pub(super) struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    #[expect(
        deprecated,
        reason = "its successor is unsafe for types that may close the descriptor behind its back, which an OwnedFd cannot"
    )]
    pub(super) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self(AsyncFd::with_interest(timer, Interest::READABLE)?))
    }

    pub(super) async fn sleep_until(&self, moment: Instant) -> io::Result<()> {
        let wait = moment.saturating_duration_since(Instant::now()).max(APART_MIN);
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: wait.subsec_nanos().into() },
        };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        // Setting it anew forgets what fired before, so the count need not be read.
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn never_wakes_early_and_wakes_again_each_time() {
        let timer = Timer::new().unwrap();
        for us in [0, 100, 1_500, 5_000, 50] {
            let moment = Instant::now() + Duration::from_micros(us);
            timer.sleep_until(moment).await.unwrap();
            assert!(Instant::now() >= moment, "{us} µs");
        }
    }
}

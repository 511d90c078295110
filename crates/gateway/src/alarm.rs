//! A timer that is moved for every request and almost never rings.
//!
//! Moving a tokio sleep means leaving and entering the timer wheel. An alarm that is only ever pushed later leaves the wheel alone: it lets
//! the old sleep end and looks at the real time then.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use plimsoll_policy::clock;
use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    rings_at: Option<Instant>,
    latest: Option<Instant>,
}

impl Alarm {
    /// An alarm that is off.
    pub(crate) fn new() -> Self {
        Self { sleep: Box::pin(sleep_until(Instant::now())), rings_at: None, latest: None }
    }

    /// However late it is set from now on, it rings then.
    pub(crate) fn no_later_than(&mut self, latest: Option<Instant>) {
        self.latest = latest;
    }

    pub(crate) fn set(&mut self, rings_at: Instant) {
        let rings_at = self.latest.map_or(rings_at, |latest| latest.min(rings_at));
        self.rings_at = Some(rings_at);
        if rings_at < self.sleep.deadline() {
            self.sleep.as_mut().reset(rings_at);
        }
    }

    pub(crate) fn set_after(&mut self, wait: Duration) {
        self.set(clock::now() + wait);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.rings_at.is_some()
    }

    pub(crate) fn off(&mut self) {
        self.rings_at = None;
    }

    /// Ready once the time has come; pending for ever while the alarm is off.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(rings_at) = self.rings_at else { return Poll::Pending };
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if self.sleep.deadline() >= rings_at {
                self.rings_at = None;
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(rings_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(start_paused = true)]
    async fn rings_at_the_last_time_it_was_set_to() {
        let start = Instant::now();
        let mut alarm = Alarm::new();
        alarm.set_after(Duration::from_secs(5));
        alarm.set_after(Duration::from_secs(9));
        poll_fn(|cx| alarm.poll(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 9);
        alarm.set_after(Duration::from_mins(1));
        alarm.set_after(Duration::from_secs(1));
        poll_fn(|cx| alarm.poll(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 10);
        alarm.no_later_than(Some(Instant::now() + Duration::from_secs(3)));
        alarm.set_after(Duration::from_mins(1));
        poll_fn(|cx| alarm.poll(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 13);
    }
}

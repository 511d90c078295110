//! A timer that is moved for every request and almost never rings.
//!
//! Moving a tokio sleep means leaving and entering the timer wheel. An alarm that is only ever pushed later leaves the wheel alone: it lets
//! the old sleep end and looks at the real time then. Nor does a task that was woken by something else register again with a sleep that has
//! not ended.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use plimsoll_policy::clock;
use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    rings_at: Option<Instant>,
    latest: Option<Instant>,
    /// Whom the sleep will wake, as long as it has not ended.
    waiter: Option<Waker>,
}

impl Alarm {
    /// An alarm that is off.
    pub(crate) fn new() -> Self {
        Self { sleep: Box::pin(sleep_until(Instant::now())), rings_at: None, latest: None, waiter: None }
    }

    /// However late it is set from now on, it rings then.
    pub(crate) fn no_later_than(&mut self, latest: Option<Instant>) {
        self.latest = latest;
    }

    pub(crate) fn set(&mut self, rings_at: Instant) {
        let rings_at = self.latest.map_or(rings_at, |latest| latest.min(rings_at));
        self.rings_at = Some(rings_at);
        if rings_at < self.sleep.deadline() {
            self.move_to(rings_at);
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
            ready!(self.poll_sleep(cx));
            if self.sleep.deadline() >= rings_at {
                self.rings_at = None;
                return Poll::Ready(());
            }
            self.move_to(rings_at);
        }
    }

    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_known = self.waiter.as_ref().is_some_and(|waiter| waiter.will_wake(cx.waker()));
        if is_known && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        // A task that has used up its turn is sent away without being registered.
        let registers = has_budget_remaining();
        let ended = self.sleep.as_mut().poll(cx);
        self.waiter = (ended.is_pending() && registers).then(|| cx.waker().clone());
        ended
    }

    /// It may have ended, and woken its waiter, already.
    fn move_to(&mut self, rings_at: Instant) {
        self.waiter = None;
        self.sleep.as_mut().reset(rings_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    /// Connections between two requests keep their alarm and change the task.
    #[tokio::test(start_paused = true)]
    async fn wakes_whoever_asked_last() {
        let mut alarm = Alarm::new();
        alarm.set_after(Duration::from_secs(5));
        let mut alarm = tokio::spawn(async move {
            assert!(poll_fn(|cx| Poll::Ready(alarm.poll(cx))).await.is_pending());
            alarm
        })
        .await
        .unwrap();
        let started = Instant::now();
        poll_fn(|cx| alarm.poll(cx)).await;
        assert_eq!(started.elapsed().as_secs(), 5);
    }

    /// Its sleep ends while nobody looks, and takes with it whom it was to wake.
    #[tokio::test(start_paused = true)]
    async fn rings_again_after_it_was_moved_when_it_had_rung_unheard() {
        let mut alarm = Alarm::new();
        alarm.set_after(Duration::from_secs(1));
        for _ in 0..2 {
            assert!(poll_fn(|cx| Poll::Ready(alarm.poll(cx))).await.is_pending());
            tokio::time::sleep(Duration::from_secs(2)).await;
            alarm.off();
            alarm.set_after(Duration::from_secs(1));
            let started = Instant::now();
            poll_fn(|cx| alarm.poll(cx)).await;
            assert_eq!(started.elapsed().as_secs(), 1);
            alarm.set_after(Duration::from_secs(1));
        }
    }

    /// Whoever has used up its turn is sent away by tokio before it is registered.
    #[tokio::test(start_paused = true)]
    async fn rings_for_a_task_that_had_no_turn_left_when_it_asked() {
        let mut alarm = Alarm::new();
        alarm.set_after(Duration::from_secs(1));
        let mut exhausted = false;
        poll_fn(|cx| {
            while !exhausted && has_budget_remaining() {
                if let Poll::Ready(turn) = tokio::task::coop::poll_proceed(cx) {
                    turn.made_progress();
                }
            }
            exhausted = true;
            alarm.poll(cx)
        })
        .await;
    }

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

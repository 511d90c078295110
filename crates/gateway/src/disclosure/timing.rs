//! Where the time of a request went, for `Server-Timing`: parts that follow each other and add up to the time from the end of the request's
//! head to the head of its answer.

use std::fmt::Write as _;
use std::time::Duration;

use plimsoll_policy::access_log::milliseconds;
use tokio::time::Instant;

/// Less is what the edge's own steps take on the way from one mark to the next.
const WORTH_TELLING: Duration = Duration::from_micros(50);

/// When a request got how far. Kept only for those who are told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timing {
    /// What must be in hand before an upstream is asked was.
    received: Option<Instant>,
    /// Without a body there was nothing to wait for: what it took is the edge's own.
    has_body: bool,
    first_attempt: Option<Instant>,
    last_attempt: Option<Instant>,
    /// The part of the last attempt in which its connection was opened.
    connect: Duration,
    /// The answer came.
    answered: Option<Instant>,
}

impl Timing {
    /// Again is as if once: a fallback does not receive the request a second time.
    pub(crate) fn received(&mut self, now: Instant, has_body: bool) {
        self.received.get_or_insert(now);
        self.has_body = has_body;
    }

    pub(crate) fn attempts(&mut self, now: Instant) {
        self.first_attempt.get_or_insert(now);
        self.last_attempt = Some(now);
    }

    pub(crate) fn answered(&mut self, now: Instant, connect: Duration) {
        (self.answered, self.connect) = (Some(now), connect);
    }

    /// The value of the field. Parts that took no time worth telling are left out, but for the edge's own.
    pub(crate) fn text(&self, started: Instant, now: Instant) -> String {
        let between = |from: Option<Instant>, to: Option<Instant>| match (from, to) {
            (Some(from), Some(to)) => to.saturating_duration_since(from),
            _ => Duration::ZERO,
        };
        let attempt = between(self.last_attempt, self.answered.or(Some(now)));
        let connect = self.connect.min(attempt);
        let parts = [
            ("receive", between(Some(started).filter(|_| self.has_body), self.received)),
            ("queue", between(self.received, self.first_attempt.or(Some(now)))),
            ("retry", between(self.first_attempt, self.last_attempt)),
            ("connect", connect),
            ("upstream", attempt.saturating_sub(connect)),
        ];
        let total = now.saturating_duration_since(started);
        let elsewhere: Duration = parts.iter().map(|(_, took)| *took).sum();
        let mut text = format!("edge;dur={}", milliseconds(total.saturating_sub(elsewhere)));
        for (name, took) in parts.iter().filter(|(_, took)| *took >= WORTH_TELLING) {
            write!(text, ", {name};dur={}", milliseconds(*took)).expect("writing to a string cannot fail");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(started: Instant, ms: u64) -> Instant {
        started + Duration::from_millis(ms)
    }

    #[test]
    fn parts_add_up_to_the_time_until_the_answer() {
        let started = Instant::now();
        let at = |ms| at(started, ms);
        let mut timing = Timing::default();
        timing.received(at(20), true);
        timing.attempts(at(50));
        timing.attempts(at(90));
        timing.answered(at(190), Duration::from_millis(3));
        assert_eq!(timing.text(started, at(195)), "edge;dur=5, receive;dur=20, queue;dur=30, retry;dur=40, connect;dur=3, upstream;dur=97");
    }

    #[test]
    fn who_sends_no_body_is_not_waited_for() {
        let started = Instant::now();
        let mut timing = Timing::default();
        timing.received(at(started, 20), false);
        timing.attempts(at(started, 50));
        assert_eq!(timing.text(started, at(started, 90)), "edge;dur=20, queue;dur=30, upstream;dur=40");
    }

    #[test]
    fn what_has_not_happened_is_not_told() {
        let started = Instant::now();
        let at = |ms| at(started, ms);
        let mut timing = Timing::default();
        assert_eq!(timing.text(started, at(2)), "edge;dur=2", "the edge's own answer");
        timing.received(started, false);
        assert_eq!(timing.text(started, at(750)), "edge;dur=0, queue;dur=750", "it never got a place");
        timing.attempts(at(10));
        assert_eq!(timing.text(started, at(110)), "edge;dur=0, queue;dur=10, upstream;dur=100", "the instance never answered");
    }
}

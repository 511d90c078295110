//! The breaker of a whole upstream, around all attempts of a request.
//!
//! It opens when requests are left without an answer although several instances may have been asked, for longer than a restart takes; or when
//! one has waited in vain for any instance to come, for as long as a restart may take. An answer of the application never opens it.

use std::time::Duration;

use http::StatusCode;
use plimsoll_policy::breaker::{Breaker, Call, Failure, Opened};
use plimsoll_policy::clock::{now_ns, to_ns};
use plimsoll_policy::{Reason, Refusal};
use tokio::time::Instant;

use crate::message::{Name, Response};
use crate::outlier;
use crate::upstream::Upstream;

/// One request behind the breaker. Dropped without a word, it says nothing.
pub(crate) struct Circuit<'a> {
    upstream: &'a Upstream,
    entered: Option<(&'a Breaker, Call)>,
}

/// What is known of a request's time when it ends.
pub(crate) struct Work {
    /// Since when the upstream could have answered; `None`: it has not had the whole request.
    pub(crate) began: Option<Instant>,
    /// How much of the time after that went by in a queue of ours.
    pub(crate) queued: Duration,
    /// When its own limits would have ended it.
    pub(crate) end: Option<Instant>,
}

impl Work {
    /// How long the upstream took. An answer that came before the request was sent is not slow, however slow the client.
    fn took(&self, entered_ns: u64, now_ns: u64) -> Duration {
        let since_ns = self.began.map_or(now_ns, |began| to_ns(began).max(entered_ns));
        Duration::from_nanos(now_ns.saturating_sub(since_ns)).saturating_sub(self.queued)
    }

    /// Whether it may have been given up before a restart would have been over.
    fn is_cut_short(&self, now_ns: u64) -> bool {
        self.end.is_some_and(|end| to_ns(end) <= now_ns)
    }
}

/// What the end of a request says about its upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Well,
    Failing(Failure),
    Nothing,
}

impl<'a> Circuit<'a> {
    pub(crate) fn enter(upstream: &'a Upstream) -> Result<Self, Refusal> {
        let Some(breaker) = &upstream.resilience.breaker else { return Ok(Self { upstream, entered: None }) };
        match breaker.enter(now_ns()) {
            Ok(call) => Ok(Self { upstream, entered: Some((breaker, call)) }),
            Err(refused) => {
                let detail = format!("upstream `{}` is failing; it is tried again soon", upstream.config.name);
                Err(Refusal::new(Reason::CircuitOpen, detail).with_retry_after(refused.retry_after))
            }
        }
    }

    pub(crate) fn ended(mut self, result: &Result<Response, Refusal>, work: &Work) {
        let Some((breaker, call)) = &mut self.entered else { return };
        let now = now_ns();
        let verdict = match result {
            Ok(response) => of_answer(response),
            Err(refusal) => of_refusal(refusal.reason, work.is_cut_short(now)),
        };
        let opened = match verdict {
            Verdict::Well => breaker.succeeded(call, work.took(call.began_ns, now), now),
            Verdict::Failing(failure) => breaker.failed(call, failure, now),
            Verdict::Nothing => None,
        };
        if let Some(Opened { lasts, .. }) = opened {
            let duration_ms = lasts.as_millis() as u64;
            tracing::warn!(upstream = self.upstream.config.name, duration_ms, "upstream failing: its requests are refused at once");
        }
    }
}

impl Drop for Circuit<'_> {
    fn drop(&mut self) {
        if let Some((breaker, call)) = &mut self.entered {
            breaker.abandoned(call);
        }
    }
}

/// The same statuses count as against an instance; so does the same exception, for those who refuse on purpose.
fn of_answer(response: &Response) -> Verdict {
    let status: StatusCode = response.head.status;
    let is_failure = outlier::Failure::of_status(status).is_some() && response.head.headers.first(Name::RetryAfter).is_none();
    if is_failure { Verdict::Failing(Failure::Ordinary) } else { Verdict::Well }
}

fn of_refusal(reason: Reason, is_cut_short: bool) -> Verdict {
    match reason {
        // Otherwise it was waited for as long as a restart may take, whatever else the request had to wait for before.
        Reason::NoInstance if !is_cut_short => Verdict::Failing(Failure::Conclusive),
        Reason::UpstreamFailed | Reason::FirstByteTimeout | Reason::TotalTimeout => Verdict::Failing(Failure::Ordinary),
        // The client's doing, its own limits, or a policy of ours: no evidence of anything.
        _ => Verdict::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_left_a_request_without_an_answer_counts() {
        assert_eq!(of_refusal(Reason::UpstreamFailed, false), Verdict::Failing(Failure::Ordinary));
        assert_eq!(of_refusal(Reason::NoInstance, false), Verdict::Failing(Failure::Conclusive));
        assert_eq!(of_refusal(Reason::NoInstance, true), Verdict::Nothing, "its own limit was shorter than a restart");
        for reason in [Reason::Overloaded, Reason::DeadlinePassed, Reason::BodyTooLarge, Reason::MalformedRequest, Reason::BodyTimeout] {
            assert_eq!(of_refusal(reason, false), Verdict::Nothing, "{reason:?}");
        }
    }

    #[test]
    fn a_wait_that_ended_with_the_request_is_cut_short_however_long_the_request_had_been_under_way() {
        let now = Instant::now();
        let work = |end| Work { began: Some(now), queued: Duration::ZERO, end };
        let six_seconds_later = to_ns(now + Duration::from_secs(6));
        assert!(work(Some(now + Duration::from_secs(6))).is_cut_short(six_seconds_later));
        assert!(!work(Some(now + Duration::from_secs(7))).is_cut_short(six_seconds_later));
        assert!(!work(None).is_cut_short(six_seconds_later));
    }

    #[test]
    fn only_what_comes_after_the_whole_request_and_outside_of_the_queue_is_the_upstreams_time() {
        // The clock begins with its first reading.
        now_ns();
        let entered = Instant::now();
        let after = |seconds| entered + Duration::from_secs(seconds);
        let took = |began, queued| {
            let work = Work { began, queued: Duration::from_secs(queued), end: None };
            work.took(to_ns(entered), to_ns(after(10))).as_secs()
        };
        assert_eq!(took(Some(entered), 0), 10);
        assert_eq!(took(Some(after(7)), 0), 3, "an upload of seven seconds");
        assert_eq!(took(Some(after(7)), 2), 1, "and two in the queue before another attempt");
        assert_eq!(took(None, 0), 0, "answered before all of it was sent");
    }
}

//! The breaker of a whole upstream, around all attempts of a request.
//!
//! It opens when requests are left without an answer although several instances may have been asked, for longer than a restart takes; or when
//! one has waited in vain for any instance to come, for as long as a restart may take. An answer of the application never opens it.

use std::time::Duration;

use http::StatusCode;
use plimsoll_policy::breaker::{Breaker, Call, Failure, Opened};
use plimsoll_policy::clock::now_ns;
use plimsoll_policy::{Reason, Refusal};

use crate::message::{Name, Response};
use crate::outlier;
use crate::upstream::{Upstream, WAIT_FOR_INSTANCE};

/// One request behind the breaker. Dropped without a word, it says nothing.
pub(crate) struct Circuit<'a> {
    upstream: &'a Upstream,
    entered: Option<(&'a Breaker, Call)>,
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

    /// `queued`: how much of its time it spent in a queue of ours.
    pub(crate) fn ended(mut self, result: &Result<Response, Refusal>, queued: Duration) {
        let Some((breaker, call)) = &mut self.entered else { return };
        let now = now_ns();
        let took = Duration::from_nanos(now.saturating_sub(call.began_ns));
        let verdict = match result {
            Ok(response) => of_answer(response),
            Err(refusal) => of_refusal(refusal.reason, took),
        };
        let opened = match verdict {
            Verdict::Well => breaker.succeeded(call, took.saturating_sub(queued), now),
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

fn of_refusal(reason: Reason, took: Duration) -> Verdict {
    match reason {
        Reason::NoInstance if took >= WAIT_FOR_INSTANCE => Verdict::Failing(Failure::Conclusive),
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
        let restart = WAIT_FOR_INSTANCE;
        assert_eq!(of_refusal(Reason::UpstreamFailed, Duration::ZERO), Verdict::Failing(Failure::Ordinary));
        assert_eq!(of_refusal(Reason::NoInstance, restart), Verdict::Failing(Failure::Conclusive));
        assert_eq!(of_refusal(Reason::NoInstance, restart / 2), Verdict::Nothing, "its own limit was shorter than a restart");
        for reason in [Reason::Overloaded, Reason::DeadlinePassed, Reason::BodyTooLarge, Reason::MalformedRequest, Reason::BodyTimeout] {
            assert_eq!(of_refusal(reason, restart), Verdict::Nothing, "{reason:?}");
        }
    }
}

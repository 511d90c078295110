//! Which attempts a request gets, and when a failed one may be made again elsewhere.
//!
//! Safe means: the instance cannot have seen any of it, or doing it twice is the same as doing it once (RFC 9110, section 9.2.2) and no byte
//! of an answer has gone to the client. Anything else is answered with the truth: 502 or 504.
//!
//! Safe is not enough: a further attempt is also paid for from the upstream's retry budget, so that trouble is not multiplied, and it waits
//! a little, at random, unless the failed one has cost nobody anything.

mod once;
mod race;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_policy::admission::{self, Ask};
use plimsoll_policy::clock::now_ns;
use plimsoll_policy::hedge::Hedge;
use plimsoll_policy::{Reason, Refusal};
use tokio::time::{Instant, sleep};

use crate::circuit::{Circuit, Work};
use crate::config::Config;
use crate::failure::{Failed, Failure};
use crate::forward::Terms;
use crate::interim::Interim;
use crate::journey::Journey;
use crate::message::{BodyError, Framing, Name, Request, RequestBody, Response};
use crate::pool::{Pool, Reuse};
use crate::upstream::{Permit, Upstream, with_rng};
use once::{Answered, Once, Setback};
use race::Race;

/// How much of an answer is held until it is whole: one read's worth, so that streams and downloads flow.
const HELD_BYTES_MAX: u64 = 16 * 1024;

#[derive(Clone, Copy)]
pub(crate) struct Attempts<'a> {
    pub(crate) config: &'a Config,
    pub(crate) upstream: &'a Upstream,
    pub(crate) pool: &'a Rc<Pool>,
    /// How it asks for a place below the load line; `None` where it needs none.
    pub(crate) ask: Option<Ask>,
    /// What consistent hashing keeps together: of the request as its client sent it, like the sender in `ask`.
    pub(crate) key: Option<u64>,
    /// Where two attempts at a time are allowed.
    pub(crate) hedge: Option<&'a Hedge>,
    /// Attempts for this request, those made elsewhere included.
    pub(crate) max: u32,
}

/// What one request has behind it.
#[derive(Default)]
struct Tries {
    /// The members asked so far, in vain.
    slots: Vec<u64>,
    /// The best answer so far, from an instance that could not.
    declined: Option<Box<Answered>>,
    /// A place below the load line that was not used up.
    place: Option<admission::Permit>,
    began_ns: u64,
    total_ends: Option<Instant>,
    /// How long it had stood in a queue before the upstream could begin.
    queued_before: Duration,
}

impl Tries {
    /// When all attempts must be over, as far as it is known.
    fn end(&self, request: &Request) -> Option<Instant> {
        [self.total_ends, request.deadline].into_iter().flatten().min()
    }
}

impl Attempts<'_> {
    pub(crate) async fn run(&self, request: &mut Request, interim: &Interim, journey: &mut Journey) -> Result<Response, Refusal> {
        self.receive(request, journey).await?;
        journey.has_received(!request.framing.is_empty());
        let circuit = Circuit::enter(self.upstream)?;
        let mut tries = Tries { queued_before: journey.queued, ..Tries::default() };
        let result = self.answer(&mut tries, request, interim, journey).await;
        circuit.ended(&result, &self.work(&tries, request, journey));
        result
    }

    /// Takes what must be in hand before anything else is done. Twice is once.
    pub(crate) async fn receive(&self, request: &mut Request, journey: &mut Journey) -> Result<(), Refusal> {
        if request.framing == Framing::None {
            return Ok(());
        }
        request.body.keep_for_replay(self.config.retry.replay_bytes_max);
        self.receive_short_body(request, journey).await
    }

    /// What was the upstream's of the time that has passed: not the waits in our queue, and nothing before it had the whole request.
    fn work(&self, tries: &Tries, request: &Request, journey: &Journey) -> Work {
        Work {
            began: tries.total_ends.map(|end| end - self.config.timeouts.total),
            queued: journey.queued.saturating_sub(tries.queued_before),
            end: tries.end(request),
        }
    }

    async fn answer(
        &self,
        tries: &mut Tries,
        request: &mut Request,
        interim: &Interim,
        journey: &mut Journey,
    ) -> Result<Response, Refusal> {
        tries.began_ns = now_ns();
        self.upstream.resilience.retries.request(tries.began_ns);
        let hedge = self.hedge_of(request);
        tries.total_ends = (request.framing == Framing::None).then(|| journey.started() + self.config.timeouts.total);
        loop {
            let permit = match self.permit(tries, request, journey).await {
                Ok(permit) => permit,
                // Nobody does better: what was said first is the answer.
                Err(refusal) => return tries.declined.take().map_or(Err(refusal), |answered| Ok(answered.response)),
            };
            journey.attempts();
            journey.instance = Some(permit.member().endpoint.id.clone());
            let slot = permit.member().slot;
            let body = std::mem::replace(&mut request.body, RequestBody::empty());
            let is_decided = Cell::new(false);
            let race = Race {
                once: Once { config: self.config, terms: self.terms(request, journey, tries.total_ends), interim, is_decided: &is_decided },
                upstream: self.upstream,
                // Only the first attempt is raced: after a failure there are two already.
                hedge: hedge.filter(|_| journey.attempts == 1),
                ask: self.ask.as_ref(),
                slot,
                key: self.key,
            };
            let ended = race.run(body, permit).await;
            if tries.total_ends.is_none() && ended.total_ends.is_some() {
                // What it waited for before it was sent is no part of what came after.
                tries.queued_before = journey.queued;
            }
            tries.total_ends = ended.total_ends;
            if let Some(second) = &ended.second {
                journey.attempts += 1;
                journey.count_hedge(second.won);
                if second.won {
                    journey.instance = Some(Arc::clone(&second.instance));
                }
            }
            let setback = match ended.result {
                Ok(answered) => {
                    journey.bytes_in = answered.bytes_in;
                    journey.instance_answered(answered.connect_us);
                    return Ok(answered.response);
                }
                Err(setback) => setback,
            };
            tries.slots.push(slot);
            tries.slots.extend(ended.second.map(|second| second.slot));
            if let Some(end) = self.after(setback, tries, request, journey).await {
                return end;
            }
        }
    }

    /// An instance, and a place there.
    async fn permit(&self, tries: &mut Tries, request: &Request, journey: &mut Journey) -> Result<Permit, Refusal> {
        let wait_ends = tries.end(request);
        if tries.place.is_none() {
            let now_ns = if tries.slots.is_empty() { tries.began_ns } else { now_ns() };
            tries.place = self.enter(now_ns, wait_ends, journey).await?;
        }
        if tries.declined.is_some() {
            return self.upstream.other(&tries.slots, self.key, tries.place.take());
        }
        self.upstream.acquire(&tries.slots, self.key, tries.place.take(), wait_ends).await
    }

    /// A place below the load line, unless the route needs none.
    async fn enter(&self, now_ns: u64, wait_ends: Option<Instant>, journey: &mut Journey) -> Result<Option<admission::Permit>, Refusal> {
        let Some(ask) = &self.ask else { return Ok(None) };
        journey.queues(now_ns);
        let result = self.upstream.enter(ask, wait_ends).await;
        journey.has_queued(match &result {
            Ok(place) => place.as_ref().map_or(Duration::ZERO, admission::Permit::waited),
            // Nobody was there to queue for.
            Err(refusal) if refusal.reason == Reason::NoInstance => Duration::ZERO,
            Err(_) => journey.queues_for(),
        });
        result
    }

    /// A slow client must not hold a place while it sends: what is short is received before the request asks for one. A client that wants
    /// to be told to go on waits for the instance's word.
    async fn receive_short_body(&self, request: &mut Request, journey: &mut Journey) -> Result<(), Refusal> {
        let Framing::Length(length) = request.framing else { return Ok(()) };
        if length > self.config.retry.replay_bytes_max as u64 || request.headers.first(Name::Expect).is_some() {
            return Ok(());
        }
        let received = request.body.receive(length, self.config.timeouts.body_idle, request.deadline).await;
        received.map_err(|failure| {
            if matches!(failure, Failure::Client(BodyError::Gone)) {
                journey.client_left();
            }
            failure.refusal(false, self.config)
        })
    }

    /// The request may be made twice, and there is nothing of it to be sent twice.
    fn hedge_of(&self, request: &Request) -> Option<&Hedge> {
        let hedge = self.hedge.filter(|_| request.is_idempotent() && request.framing == Framing::None)?;
        hedge.request(now_ns());
        Some(hedge)
    }

    fn terms<'a>(&'a self, request: &'a Request, journey: &'a Journey, total_ends: Option<Instant>) -> Terms<'a> {
        let reuse = match journey.attempts {
            1 if request.is_idempotent() => Reuse::Any,
            1 => Reuse::Fresh,
            _ => Reuse::Nothing,
        };
        Terms { request, hop: &journey.hop, pool: self.pool, reuse, timeouts: &self.config.timeouts, total_ends }
    }

    /// What follows an attempt that brought no answer to pass on: the end, or (`None`) another attempt.
    async fn after(
        &self,
        setback: Setback,
        tries: &mut Tries,
        request: &mut Request,
        journey: &mut Journey,
    ) -> Option<Result<Response, Refusal>> {
        let (may_repeat, worth_it, costs_nothing, end) = match setback {
            Setback::Declined(answered, body) => {
                journey.note(format!("the instance answered {}", answered.response.head.status.as_u16()));
                journey.bytes_in = answered.bytes_in;
                request.body = body;
                tries.declined = Some(answered);
                (true, self.upstream.has_other(&tries.slots), false, None)
            }
            Setback::Failed(failed) => {
                let Failed { failure, sent, body, place } = *failed;
                journey.note(failure.describe());
                if matches!(failure, Failure::Client(BodyError::Gone)) {
                    journey.client_left();
                }
                request.body = body;
                tries.place = place;
                (!sent || request.is_idempotent(), failure.is_about_instance(), !sent, Some(failure.refusal(sent, self.config)))
            }
        };
        journey.may_repeat = may_repeat && request.body.rewind();
        if journey.may_repeat && worth_it && self.may_go_on(tries, costs_nothing, request, journey).await {
            journey.count_retry();
            return None;
        }
        let declined = tries.declined.take().map(|answered| Ok(answered.response));
        declined.or_else(|| end.map(Err))
    }

    /// Whether a further attempt is allowed; if so, it is paid for, and has been waited for.
    async fn may_go_on(&self, tries: &Tries, costs_nothing: bool, request: &Request, journey: &mut Journey) -> bool {
        if journey.attempts >= self.max {
            return false;
        }
        let left = tries.end(request).map(|end| end.saturating_duration_since(Instant::now()));
        let wait = if costs_nothing && journey.attempts == 1 {
            left.is_none_or(|left| !left.is_zero()).then_some(Duration::ZERO)
        } else {
            with_rng(|rng| self.config.retry.backoff.wait_within(journey.attempts, None, left, rng))
        };
        let Some(wait) = wait else { return false };
        if !self.upstream.resilience.retries.try_spend(now_ns()) {
            journey.retry_denied();
            return false;
        }
        if !wait.is_zero() {
            sleep(wait).await;
        }
        true
    }
}

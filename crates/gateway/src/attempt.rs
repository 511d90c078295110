//! Which attempts a request gets, and when a failed one may be made again elsewhere.
//!
//! Safe means: the instance cannot have seen any of it, or doing it twice is the same as doing it once (RFC 9110, section 9.2.2) and no byte
//! of an answer has gone to the client. Anything else is answered with the truth: 502 or 504.

use std::rc::Rc;
use std::time::Duration;

use http::StatusCode;
use plimsoll_policy::admission::{self, Ask};
use plimsoll_policy::{Reason, Refusal};
use tokio::time::{Instant, timeout};

use crate::config::Config;
use crate::forward::{Exchange, Failed, Failure, Said};
use crate::interim::Interim;
use crate::journey::Journey;
use crate::message::{BodyError, Framing, Request, Response, ResponseBody};
use crate::pool::{Pool, Reuse};
use crate::upstream::{Permit, Upstream};

/// How much of an answer is held until it is whole: one read's worth, so that streams and downloads flow.
const HELD_BYTES_MAX: u64 = 16 * 1024;

/// Answers before the answer (1xx) that one attempt may send.
const INTERIM_MAX: usize = 32;

pub(crate) struct Attempts<'a> {
    pub(crate) config: &'a Config,
    pub(crate) upstream: &'a Upstream,
    pub(crate) pool: &'a Rc<Pool>,
    /// How it asks for a place below the load line; `None` where it needs none.
    pub(crate) ask: Option<Ask>,
}

impl Attempts<'_> {
    pub(crate) async fn run(&self, request: &mut Request, interim: &Interim, journey: &mut Journey) -> Result<Response, Refusal> {
        if request.framing != Framing::None {
            request.body.keep_for_replay(self.config.retry.replay_bytes_max);
            self.receive_short_body(request).await?;
        }
        let key = self.upstream.hash_key(request, journey.hop.client);
        let mut total_ends = (request.framing == Framing::None).then(|| Instant::now() + self.config.timeouts.total);
        let is_over = |end: Option<Instant>| end.is_some_and(|end| end <= Instant::now());
        let mut tried = Vec::new();
        let mut place = None;
        loop {
            let wait_ends = [total_ends, request.deadline].into_iter().flatten().min();
            if place.is_none() {
                place = self.enter(wait_ends, journey).await?;
            }
            let permit = self.upstream.acquire(&tried, key, place.take(), wait_ends).await?;
            journey.attempts += 1;
            journey.instance = Some(permit.member().endpoint.id.clone());
            let slot = permit.member().slot;
            let failed = match self.once(request, permit, interim, journey, &mut total_ends).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            tried.push(slot);
            request.body = failed.body;
            place = failed.place;
            journey.note(describe(&failed.failure));
            let may_repeat = !failed.sent || request.is_idempotent();
            let time_is_left = !is_over(total_ends) && !is_over(request.deadline);
            let again = may_repeat
                && time_is_left
                && journey.attempts < self.config.retry.attempts_max
                && is_about_instance(&failed.failure)
                && request.body.rewind();
            if matches!(failed.failure, Failure::Client(BodyError::Gone)) {
                journey.client_left();
            }
            if !again {
                return Err(refusal(&failed.failure, failed.sent, self.config));
            }
            journey.count_retry();
        }
    }

    /// A place below the load line, unless the route needs none.
    async fn enter(&self, wait_ends: Option<Instant>, journey: &mut Journey) -> Result<Option<admission::Permit>, Refusal> {
        let Some(ask) = &self.ask else { return Ok(None) };
        let place = self.upstream.enter(ask, wait_ends).await?;
        journey.queued += place.as_ref().map_or(Duration::ZERO, admission::Permit::waited);
        Ok(place)
    }

    /// A slow client must not hold a place while it sends: what is short is received before the request asks for one. A client that wants
    /// to be told to go on waits for the instance's word.
    async fn receive_short_body(&self, request: &mut Request) -> Result<(), Refusal> {
        let Framing::Length(length) = request.framing else { return Ok(()) };
        if length > self.config.retry.replay_bytes_max as u64 || request.headers.first_named("expect").is_some() {
            return Ok(());
        }
        let received = timeout(self.config.timeouts.body_idle, request.body.receive(length)).await;
        received.unwrap_or(Err(BodyError::Idle)).map_err(|error| refusal(&Failure::Client(error), false, self.config))
    }

    async fn once(
        &self,
        request: &mut Request,
        permit: Permit,
        interim: &Interim,
        journey: &mut Journey,
        total_ends: &mut Option<Instant>,
    ) -> Result<Response, Failed> {
        let reuse = match journey.attempts {
            1 if request.is_idempotent() => Reuse::Any,
            1 => Reuse::Fresh,
            _ => Reuse::Nothing,
        };
        let mut exchange = Exchange::begin(request, &journey.hop, permit, self.pool, reuse, &self.config.timeouts, *total_ends).await?;
        for _ in 0..=INTERIM_MAX {
            let said = exchange.head().await;
            *total_ends = exchange.total_ends();
            let head = match said {
                Ok(Said::Interim(head)) => {
                    // A client that does not take it will not take the answer either, and is noticed then.
                    let _ = timeout(self.config.timeouts.write_idle, interim.send(&head)).await;
                    continue;
                }
                Ok(Said::Final(head)) if head.status == StatusCode::SWITCHING_PROTOCOLS && request.upgrade.is_none() => {
                    return Err(exchange.failed(Failure::Malformed("101 to a request that asked for no upgrade")));
                }
                Ok(Said::Final(head)) => head,
                Err(failure) => return Err(exchange.failed(failure)),
            };
            journey.bytes_in = exchange.request_bytes();
            // Many servers send the head first and die between the two. A short answer is passed on when it is whole, so that its loss is
            // the next instance's to mend.
            if let Framing::Length(1..=HELD_BYTES_MAX) = head.framing
                && request.is_idempotent()
            {
                return match exchange.short_body().await {
                    Ok(body) => Ok(Response { head, body: ResponseBody::Full(body) }),
                    Err(_) => Err(exchange.broken_off()),
                };
            }
            exchange.commit(&head);
            let body = if head.framing == Framing::None && head.status != StatusCode::SWITCHING_PROTOCOLS {
                ResponseBody::Empty
            } else {
                ResponseBody::Exchange(Box::new(exchange))
            };
            return Ok(Response { head, body });
        }
        Err(exchange.failed(Failure::Malformed("more than 32 answers before the answer")))
    }
}

fn is_about_instance(failure: &Failure) -> bool {
    !matches!(failure, Failure::Client(_) | Failure::TotalTimeout | Failure::DeadlinePassed)
}

/// For the log.
fn describe(failure: &Failure) -> String {
    match failure {
        Failure::Connect(error) => format!("connect: {error}"),
        Failure::ConnectTimeout => "connect: timed out".to_owned(),
        Failure::Closed => "the instance closed the connection before it answered".to_owned(),
        Failure::Malformed(what) => format!("the instance sent {what}"),
        Failure::Stalled => "the instance stopped reading the request".to_owned(),
        Failure::FirstByteTimeout => "no first byte in time".to_owned(),
        Failure::TotalTimeout => "no answer in time".to_owned(),
        Failure::DeadlinePassed => "no answer before the deadline".to_owned(),
        Failure::Client(error) => format!("request body: {error:?}"),
    }
}

/// For the client.
fn refusal(failure: &Failure, sent: bool, config: &Config) -> Refusal {
    let (reason, detail) = match failure {
        Failure::Connect(_) | Failure::ConnectTimeout => (Reason::UpstreamFailed, "no instance could be reached".to_owned()),
        Failure::Closed if sent => {
            (Reason::UpstreamFailed, "the instance broke off; whether it acted on the request is not known".to_owned())
        }
        Failure::Closed => (Reason::UpstreamFailed, "the instance broke off".to_owned()),
        Failure::Stalled => (Reason::UpstreamFailed, "the instance stopped reading the request".to_owned()),
        Failure::Malformed(_) => (Reason::UpstreamFailed, "the instance sent an invalid answer".to_owned()),
        Failure::FirstByteTimeout => (Reason::FirstByteTimeout, format!("no answer began within {:?}", config.timeouts.first_byte)),
        Failure::TotalTimeout => (Reason::TotalTimeout, format!("no answer within {:?}", config.timeouts.total)),
        Failure::DeadlinePassed => (Reason::DeadlinePassed, "no answer within the time that was allowed for it".to_owned()),
        Failure::Client(BodyError::TooLarge) => (Reason::BodyTooLarge, format!("a body may have {} bytes", config.limits.body_bytes_max)),
        Failure::Client(BodyError::Malformed(what)) => (Reason::MalformedRequest, (*what).to_owned()),
        Failure::Client(BodyError::Gone) => (Reason::MalformedRequest, "the body ended before its announced end".to_owned()),
        Failure::Client(BodyError::Idle) => (Reason::BodyTimeout, format!("nothing of the body came for {:?}", config.timeouts.body_idle)),
    };
    Refusal::new(reason, detail)
}

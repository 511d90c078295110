//! Copies of some requests, for an upstream that is being tried out.
//!
//! A copy is nobody's answer, so it may cost nobody anything: it is made only of requests that are in hand anyway, sent beside the original
//! and not waited for, bounded in number and size, takes only a place below the mirror's load line that is free, and there are none while
//! the upstream of the originals has more to do than it can. What the mirror answers is read and thrown away.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use plimsoll_policy::admission::Ask;
use tokio::time::{Instant, timeout};

use super::Error;
use crate::bounded::{Count, Counted};
use crate::config::Config;
use crate::forward::{Exchange, Said, Terms};
use crate::forwarded::Hop;
use crate::message::{BodyStream, Frame, Framing, Request, RequestBody};
use crate::plan::Plan;
use crate::pool::{Pool, Reuse};
use crate::stats::EdgeStats;
use crate::upstream::{Upstream, with_rng};
use crate::worker::Worker;

/// Tells a mirror that it is one. Anybody can send it: it is a mark, no proof.
pub const HEADER: &str = "x-plimsoll-mirror";

/// Of an answer that nobody gets, this much is read so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
const INTERIM_MAX: usize = 32;

/// Who gets copies, and how many.
#[derive(Debug)]
pub struct Mirror {
    upstream: usize,
    share: f32,
    in_flight_max: usize,
    body_bytes_max: u64,
    in_flight: Arc<Count>,
}

impl Mirror {
    /// `upstream`: its position in the list; `share`: of the requests, above 0 and up to 1. At most `in_flight_max` copies are under way at a
    /// time, and requests with larger bodies than `body_bytes_max` have none.
    pub fn new(upstream: usize, share: f64, in_flight_max: usize, body_bytes_max: u64) -> Result<Self, Error> {
        if !(share > 0.0 && share <= 1.0) {
            return Err(Error::Share(share.to_string()));
        }
        Ok(Self { upstream, share: share as f32, in_flight_max, body_bytes_max, in_flight: Arc::default() })
    }

    /// The same, which counts on where another is.
    pub(crate) fn count_with(&self, count: Arc<Count>) -> Self {
        Self { in_flight: count, ..*self }
    }

    pub(crate) fn in_flight(&self) -> &Arc<Count> {
        &self.in_flight
    }

    pub(crate) fn upstream(&self) -> usize {
        self.upstream
    }

    /// Whether a request is to be copied, and leave for the copy.
    pub(crate) fn choose(self: &Arc<Self>, request: &Request, config: &Config, from: &Upstream, edge: &EdgeStats) -> Option<Leave> {
        if with_rng(fastrand::Rng::f32) >= self.share || request.upgrade.is_some() || request.headers.first_named(HEADER).is_some() {
            return None;
        }
        let leave = if self.can_copy(request, config) && !from.is_strained() { self.enter() } else { None };
        if leave.is_none() {
            edge.mirrors_lost.fetch_add(1, Relaxed);
        }
        leave
    }

    /// Whether its body is received as a whole, whether it is copied or not.
    fn can_copy(&self, request: &Request, config: &Config) -> bool {
        match request.framing {
            Framing::None => true,
            Framing::Length(length) => {
                length <= self.body_bytes_max.min(config.retry.replay_bytes_max as u64) && request.headers.first_named("expect").is_none()
            }
            Framing::Chunked | Framing::UntilClose => false,
        }
    }

    fn enter(self: &Arc<Self>) -> Option<Leave> {
        let counted = self.in_flight.enter(self.in_flight_max)?;
        Some(Leave { mirror: Arc::clone(self), _counted: counted })
    }
}

/// Leave for one copy, until it has ended.
pub(crate) struct Leave {
    mirror: Arc<Mirror>,
    _counted: Counted,
}

/// One copy, and all it needs to get there.
struct Delivery {
    leave: Leave,
    plan: Rc<Plan>,
    pool: Rc<Pool>,
    edge: Arc<EdgeStats>,
    request: Request,
    hop: Hop,
    ask: Ask,
}

impl Leave {
    /// Sends a copy of a request whose body has been received. Nobody waits for it.
    pub(crate) fn send(self, worker: &Worker, plan: &Rc<Plan>, request: &Request, hop: Hop, ask: Option<Ask>) {
        let mut copy = Request {
            version: request.version,
            method: request.method.clone(),
            target: request.target.clone(),
            host: request.host.clone(),
            host_rewritten: request.host_rewritten.clone(),
            headers: request.headers.clone(),
            framing: request.framing,
            body: request.body.copy(),
            upgrade: None,
            deadline: request.deadline,
        };
        copy.headers.push(HEADER.as_bytes(), b"1");
        let (plan, pool, edge) = (Rc::clone(plan), Rc::clone(&worker.pool), Arc::clone(&worker.edge));
        let delivery = Delivery { leave: self, plan, pool, edge, request: copy, hop, ask: ask.unwrap_or_default() };
        worker.mirrors.spawn_local(delivery.run());
    }
}

impl Delivery {
    async fn run(mut self) {
        let limit = self.plan.config.timeouts.total;
        let is_answered = timeout(limit, self.exchange()).await.unwrap_or(false);
        let count = if is_answered { &self.edge.mirrored } else { &self.edge.mirrors_lost };
        count.fetch_add(1, Relaxed);
    }

    /// Whether the mirror has answered.
    async fn exchange(&mut self) -> bool {
        let timeouts = &self.plan.config.timeouts;
        let upstream = &self.plan.upstreams[self.leave.mirror.upstream];
        let Some(permit) = upstream.spare(&[], None, Some(&self.ask)) else { return false };
        let body = std::mem::replace(&mut self.request.body, RequestBody::empty());
        let reuse = if self.request.is_idempotent() { Reuse::Any } else { Reuse::Fresh };
        let total_ends = Some(Instant::now() + timeouts.total);
        let terms = Terms { request: &self.request, hop: &self.hop, pool: &self.pool, reuse, timeouts, total_ends };
        let Ok(mut exchange) = Exchange::begin(terms, body, permit).await else { return false };
        for _ in 0..=INTERIM_MAX {
            match exchange.head().await {
                Ok(Said::Interim(_)) => {}
                Ok(Said::Final(head)) => {
                    exchange.commit(&head);
                    discard(exchange).await;
                    return true;
                }
                Err(failure) => {
                    drop(exchange.failed(failure));
                    return false;
                }
            }
        }
        false
    }
}

/// Reads an answer to its end. Beyond the bound its connection is closed instead.
async fn discard(mut exchange: Exchange) {
    let mut left = ANSWER_BYTES_MAX;
    while let Some(Ok(frame)) = poll_fn(|cx| exchange.poll_frame(cx)).await {
        let Frame::Data(data) = frame else { continue };
        match left.checked_sub(data.len()) {
            Some(less) => left = less,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_has_no_more_copies_under_way_than_it_may() {
        let mirror = Arc::new(Mirror::new(0, 1.0, 2, 0).unwrap());
        let copies = [mirror.enter(), mirror.enter()];
        assert!(copies.iter().all(Option::is_some) && mirror.enter().is_none());
        drop(copies);
        assert!(mirror.enter().is_some());
    }

    #[test]
    fn a_share_is_a_share() {
        for share in [0.0, -0.1, 1.1, f64::NAN] {
            assert!(Mirror::new(0, share, 1, 0).is_err(), "{share}");
        }
    }
}

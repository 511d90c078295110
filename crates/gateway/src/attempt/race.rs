//! Hedging: after most answers would have come, a second attempt at another instance races the first. The loser is cancelled by dropping
//! its exchange, which closes its connection. It has not failed, and nobody has left; its place stays taken for as long as the instance is
//! likely to work on.

use std::pin::pin;
use std::sync::Arc;

use plimsoll_policy::admission::Ask;
use plimsoll_policy::clock::now_ns;
use plimsoll_policy::hedge::{Hedge, Worth, better};
use tokio::time::Instant;

use super::once::{Answered, Once, Setback};
use crate::interim::Interim;
use crate::message::RequestBody;
use crate::upstream::{Permit, Upstream};

/// How an attempt ended, with or without a second one beside it.
pub(super) struct Ended {
    pub(super) result: Result<Answered, Setback>,
    pub(super) total_ends: Option<Instant>,
    /// Who was asked beside the first, if anybody was.
    pub(super) second: Option<Second>,
}

pub(super) struct Second {
    pub(super) slot: u64,
    pub(super) instance: Arc<str>,
    /// The result is from there.
    pub(super) won: bool,
}

pub(super) struct Race<'a> {
    pub(super) once: Once<'a>,
    pub(super) upstream: &'a Upstream,
    /// `None` where a second attempt is not allowed.
    pub(super) hedge: Option<&'a Hedge>,
    /// How the second attempt asks for a place; `None` where it needs none.
    pub(super) ask: Option<&'a Ask>,
    /// The member of the first attempt.
    pub(super) slot: u64,
    pub(super) key: Option<u64>,
}

impl Race<'_> {
    pub(super) async fn run(&self, body: RequestBody, permit: Permit) -> Ended {
        match self.hedge {
            None => self.alone(body, permit).await,
            // Boxed, and so is the second attempt: what is raced is rare, and futures of other requests stay small.
            Some(hedge) => Box::pin(self.raced(hedge, body, permit)).await,
        }
    }

    async fn alone(&self, body: RequestBody, permit: Permit) -> Ended {
        let (result, total_ends) = self.once.run(body, permit).await;
        Ended { result, total_ends, second: None }
    }

    async fn raced(&self, hedge: &Hedge, body: RequestBody, permit: Permit) -> Ended {
        let began = Instant::now();
        let mut first = pin!(self.once.run(body, permit));
        let early = hedge.early(first.as_mut()).await;
        let second = if early.is_none() { self.second(hedge) } else { None };
        let Some(second) = second else {
            let (result, total_ends) = match early {
                Some(outcome) => outcome,
                None => first.await,
            };
            if result.is_ok() {
                hedge.answered(began.elapsed(), now_ns());
            }
            return Ended { result, total_ends, second: None };
        };
        let (slot, instance) = (second.member().slot, Arc::clone(&second.member().endpoint.id));
        // The first one's early hints reach the client; the same again would be of no use.
        let nowhere = Interim::Nowhere;
        let beside = Once { interim: &nowhere, ..self.once };
        let mut second = Box::pin(beside.run(RequestBody::empty(), second));
        let ((result, total_ends), won) = better(first, second.as_mut(), |(result, _)| worth(result)).await;
        self.once.is_decided.set(true);
        // Had it not been for the second, the first would have taken at least as long.
        if result.is_ok() {
            hedge.answered(began.elapsed(), now_ns());
        }
        Ended { result, total_ends, second: Some(Second { slot, instance, won }) }
    }

    /// A place for a second attempt: where one is free, and the budget allows it.
    fn second(&self, hedge: &Hedge) -> Option<Permit> {
        if !hedge.try_start(now_ns()) {
            return None;
        }
        let second = self.upstream.spare(&[self.slot], self.key, self.ask);
        if second.is_none() {
            hedge.not_started(now_ns());
        }
        second
    }
}

fn worth(result: &Result<Answered, Setback>) -> Worth {
    match result {
        Ok(_) => Worth::Answer,
        Err(Setback::Declined(..)) => Worth::Declined,
        Err(Setback::Failed(_)) => Worth::Nothing,
    }
}

//! One attempt at one instance, to the answer or to the reason why there is none.

use std::cell::Cell;

use http::StatusCode;
use tokio::time::{Instant, timeout};

use super::HELD_BYTES_MAX;
use crate::config::Config;
use crate::failure::{Failed, Failure};
use crate::forward::{Exchange, Said, Terms};
use crate::interim::Interim;
use crate::message::{Framing, RequestBody, Response, ResponseBody, ResponseHead};
use crate::upstream::Permit;

/// Answers before the answer (1xx) that one attempt may send.
const INTERIM_MAX: usize = 32;

/// An answer, and what is known by then.
pub(super) struct Answered {
    pub(super) response: Response,
    /// Of the request's body.
    pub(super) bytes_in: u64,
    /// How long the connection took to open, if it was not there.
    pub(super) connect_us: u32,
}

/// Why an attempt is not the last one.
pub(super) enum Setback {
    Failed(Box<Failed>),
    /// The instance said that it could not, and another may. The answer is whole: it is what the client gets if nobody does better.
    Declined(Box<Answered>, RequestBody),
}

impl From<Failed> for Setback {
    fn from(failed: Failed) -> Self {
        Self::Failed(Box::new(failed))
    }
}

/// What all attempts of one request share.
#[derive(Clone, Copy)]
pub(super) struct Once<'a> {
    pub(super) config: &'a Config,
    pub(super) terms: Terms<'a>,
    pub(super) interim: &'a Interim,
    /// Another attempt beside this one has won.
    pub(super) is_decided: &'a Cell<bool>,
}

impl Once<'_> {
    /// Also tells when all attempts must be over, which is known once the request has been received.
    pub(super) async fn run(&self, body: RequestBody, permit: Permit) -> (Result<Answered, Setback>, Option<Instant>) {
        let mut total_ends = self.terms.total_ends;
        let result = self.answer(body, permit, &mut total_ends).await;
        (result, total_ends)
    }

    async fn answer(&self, body: RequestBody, permit: Permit, total_ends: &mut Option<Instant>) -> Result<Answered, Setback> {
        let mut exchange = Exchange::begin(self.terms, body, permit).await.map_err(Setback::from)?;
        let heard = self.hear(&mut Racer { exchange: &mut exchange, is_decided: self.is_decided }, total_ends).await;
        let (bytes_in, connect_us) = (exchange.request_bytes(), exchange.connect_us());
        let (head, held) = match heard {
            Ok(heard) => heard,
            Err(Unheard::Failed(failure)) => return Err(exchange.failed(failure).into()),
            Err(Unheard::BrokenOff) => return Err(exchange.broken_off().into()),
        };
        let declines = self.terms.request.is_idempotent() && self.config.retry.on_status.contains(&head.status.as_u16());
        match held {
            Some(body) if declines => {
                Err(Setback::Declined(Box::new(Answered { response: Response { head, body }, bytes_in, connect_us }), exchange.into_body()))
            }
            Some(body) => Ok(Answered { response: Response { head, body }, bytes_in, connect_us }),
            None => {
                exchange.commit(&head);
                Ok(Answered { response: Response { head, body: ResponseBody::Stream(Box::new(exchange)) }, bytes_in, connect_us })
            }
        }
    }

    /// The head of the answer, with its body if that is held until it is whole.
    async fn hear(&self, racer: &mut Racer<'_>, total_ends: &mut Option<Instant>) -> Result<(ResponseHead, Option<ResponseBody>), Unheard> {
        let request = self.terms.request;
        for _ in 0..=INTERIM_MAX {
            let said = racer.exchange.head().await;
            *total_ends = racer.exchange.total_ends();
            let head = match said? {
                Said::Interim(mut head) => {
                    head.headers.remove(&self.config.removed);
                    // A client that does not take it will not take the answer either, and is noticed then.
                    let _ = timeout(self.config.timeouts.write_idle, self.interim.send(&head)).await;
                    continue;
                }
                Said::Final(head) if head.status == StatusCode::SWITCHING_PROTOCOLS && request.upgrade.is_none() => {
                    return Err(Failure::Malformed("101 to a request that asked for no upgrade").into());
                }
                Said::Final(head) => head,
            };
            // Many servers send the head first and die between the two. A short answer is passed on when it is whole, so that its loss is
            // the next instance's to mend.
            let held = match head.framing {
                Framing::Length(1..=HELD_BYTES_MAX) if request.is_idempotent() => {
                    let body = racer.exchange.short_body().await.map_err(|_| Unheard::BrokenOff)?;
                    Some(ResponseBody::Full(body))
                }
                framing if framing.is_empty() && head.status != StatusCode::SWITCHING_PROTOCOLS => Some(ResponseBody::Empty),
                _ => None,
            };
            return Ok((head, held));
        }
        Err(Failure::Malformed("more than 32 answers before the answer").into())
    }
}

/// Why there is no answer to pass on.
enum Unheard {
    Failed(Failure),
    /// It broke off after its head, and was counted then.
    BrokenOff,
}

impl From<Failure> for Unheard {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// An exchange of which nothing has been passed on. Dropped when another attempt has won, it has lost; dropped before, the client has left.
struct Racer<'a> {
    exchange: &'a mut Exchange,
    is_decided: &'a Cell<bool>,
}

impl Drop for Racer<'_> {
    fn drop(&mut self) {
        if self.is_decided.get() {
            self.exchange.lost();
        }
    }
}

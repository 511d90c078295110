//! One attempt at one instance, to the answer or to the reason why there is none.

use http::StatusCode;
use tokio::time::{Instant, timeout};

use super::HELD_BYTES_MAX;
use crate::config::Config;
use crate::failure::{Failed, Failure};
use crate::forward::{Exchange, Said, Terms};
use crate::interim::Interim;
use crate::message::{Framing, RequestBody, Response, ResponseBody};
use crate::upstream::Permit;

/// Answers before the answer (1xx) that one attempt may send.
const INTERIM_MAX: usize = 32;

/// An answer, and what is known by then.
pub(super) struct Answered {
    pub(super) response: Response,
    /// Of the request's body.
    pub(super) bytes_in: u64,
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
}

impl Once<'_> {
    /// Also tells when all attempts must be over, which is known once the request has been received.
    pub(super) async fn run(self, body: RequestBody, permit: Permit) -> (Result<Answered, Setback>, Option<Instant>) {
        let mut total_ends = self.terms.total_ends;
        let result = self.answer(body, permit, &mut total_ends).await;
        (result, total_ends)
    }

    async fn answer(self, body: RequestBody, permit: Permit, total_ends: &mut Option<Instant>) -> Result<Answered, Setback> {
        let request = self.terms.request;
        let failed = |exchange: Exchange, failure| Err(Setback::from(exchange.failed(failure)));
        let mut exchange = Exchange::begin(self.terms, body, permit).await.map_err(Setback::from)?;
        for _ in 0..=INTERIM_MAX {
            let said = exchange.head().await;
            *total_ends = exchange.total_ends();
            let head = match said {
                Ok(Said::Interim(head)) => {
                    // A client that does not take it will not take the answer either, and is noticed then.
                    let _ = timeout(self.config.timeouts.write_idle, self.interim.send(&head)).await;
                    continue;
                }
                Ok(Said::Final(head)) if head.status == StatusCode::SWITCHING_PROTOCOLS && request.upgrade.is_none() => {
                    return failed(exchange, Failure::Malformed("101 to a request that asked for no upgrade"));
                }
                Ok(Said::Final(head)) => head,
                Err(failure) => return failed(exchange, failure),
            };
            let bytes_in = exchange.request_bytes();
            // Many servers send the head first and die between the two. A short answer is passed on when it is whole, so that its loss is
            // the next instance's to mend.
            let held = match head.framing {
                Framing::Length(1..=HELD_BYTES_MAX) if request.is_idempotent() => match exchange.short_body().await {
                    Ok(body) => Some(ResponseBody::Full(body)),
                    Err(_) => return Err(exchange.broken_off().into()),
                },
                Framing::None if head.status != StatusCode::SWITCHING_PROTOCOLS => Some(ResponseBody::Empty),
                _ => None,
            };
            let declines = request.is_idempotent() && self.config.retry.on_status.contains(&head.status.as_u16());
            return match held {
                Some(body) if declines => {
                    Err(Setback::Declined(Box::new(Answered { response: Response { head, body }, bytes_in }), exchange.into_body()))
                }
                Some(body) => Ok(Answered { response: Response { head, body }, bytes_in }),
                None => {
                    exchange.commit(&head);
                    Ok(Answered { response: Response { head, body: ResponseBody::Exchange(Box::new(exchange)) }, bytes_in })
                }
            };
        }
        failed(exchange, Failure::Malformed("more than 32 answers before the answer"))
    }
}

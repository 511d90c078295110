//! The client's side: a connection's requests, one after the other.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Method;
use plimsoll_policy::{Reason, Refusal};
use tokio::time::timeout;

use super::encode::{self, Client};
use super::head::{BARE_NEWLINE, RequestHead, parse_request};
use super::wire::{HeadError, Wire};
use crate::alarm::Alarm;
use crate::connection::{LINGER_BYTES, LINGER_TIME};
use crate::forward::Exchange;
use crate::interim::Interim;
use crate::journey::Journey;
use crate::message::{Frame, Framing, Request, RequestBody, Response, ResponseBody, Version};
use crate::pace::Meter;
use crate::peer::Peer;
use crate::pipeline;
use crate::tunnel;
use crate::worker::Worker;

/// Thousands of connections that are kept for the next request wait for it without buffers and without the room that a request's work takes;
/// one that asks all the time keeps its own.
const RESTS_AFTER: Duration = Duration::from_secs(1);

pub(crate) struct Server {
    worker: Rc<Worker>,
    wire: Rc<RefCell<Wire>>,
    peer: Rc<Peer>,
    alarm: Alarm,
    /// What had been sent when the alarm was last set for a client that accepts nothing.
    sent: u64,
    /// How fast the present answer is taken.
    pace: Option<Meter>,
    /// Ready once idle connections end.
    drained: Pin<Box<dyn Future<Output = ()>>>,
    /// It has been polled, and wakes this task by itself.
    hears_drain: bool,
}

/// The method of a request that could not be read.
fn unknown() -> Method {
    Method::from_bytes(b"-").expect("a hyphen is a token")
}

/// What follows an answer.
enum Next {
    Request,
    /// The connection now speaks another protocol.
    Switched(Box<Exchange>, Box<Journey>),
    Close,
    /// The client may still be sending: let it read its answer first.
    Linger,
}

/// The client cannot be reached any more, or not without breaking the protocol.
struct Gone;

/// What came of waiting for a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waited {
    /// Its first byte is here.
    Begun,
    /// Nothing came for so long.
    Silent,
    /// Nothing will come, or may: the client has left, or idle connections end.
    Over,
}

impl Server {
    pub(crate) fn new(worker: Rc<Worker>, wire: Wire, peer: Rc<Peer>) -> Self {
        let drained = Box::pin(worker.drain.clone().idle_ends());
        Self { worker, wire: Rc::new(RefCell::new(wire)), peer, alarm: Alarm::new(), sent: 0, pace: None, drained, hears_drain: false }
    }

    pub(crate) async fn run(mut self) {
        let mut rested = Duration::ZERO;
        // Asked each time: a reload may have changed it.
        while self.rests(self.worker.plan().config.timeouts.idle.saturating_sub(rested)).await == Waited::Begun {
            // Boxed: only while it asks does a connection hold the kilobytes that the work for a request takes.
            let next = Box::pin(self.work()).await;
            match next {
                Ok(Next::Request) => rested = RESTS_AFTER,
                Ok(Next::Linger) => return self.linger().await,
                Ok(Next::Switched(exchange, journey)) => return self.tunnel(exchange, journey).await,
                Ok(Next::Close) => break,
                Err(Gone) => return,
            }
        }
        self.wire.borrow_mut().say_goodbye();
    }

    /// Answers requests for as long as one follows the other.
    async fn work(&mut self) -> Result<Next, Gone> {
        loop {
            let next = match self.head().await {
                Ok(Some(head)) => self.exchange(head).await?,
                Ok(None) => Next::Close,
                Err(refusal) => self.refuse(&refusal).await?,
            };
            if !matches!(next, Next::Request) {
                return Ok(next);
            }
            let idle = self.worker.plan().config.timeouts.idle;
            match self.begun(idle.min(RESTS_AFTER)).await {
                Waited::Begun => {}
                Waited::Silent => return Ok(Next::Request),
                Waited::Over => return Ok(Next::Close),
            }
        }
    }

    /// Answers a connection that is one too many.
    pub(crate) async fn turn_away(mut self, reason: Reason) {
        let limits = self.worker.plan().config.limits;
        let detail = match reason {
            Reason::TooManyFromClient => format!("one client may have {} connections", limits.connections_per_client_max),
            _ => format!("the gateway holds {} connections", limits.connections_max),
        };
        let refusal = Refusal::new(reason, detail).with_retry_after(Duration::from_secs(1));
        if self.refuse(&refusal).await.is_ok() {
            self.linger().await;
        }
    }

    /// Waits for a request's first byte, and holds no buffer meanwhile.
    async fn rests(&mut self, patience: Duration) -> Waited {
        self.alarm.set_after(patience);
        poll_fn(|cx| {
            let waited = self.poll_begun(cx);
            if waited.is_pending() {
                self.wire.borrow_mut().rest();
            }
            waited
        })
        .await
    }

    /// Waits for a request's first byte.
    async fn begun(&mut self, patience: Duration) -> Waited {
        self.alarm.set_after(patience);
        poll_fn(|cx| self.poll_begun(cx)).await
    }

    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<Waited> {
        let begun = self.wire.borrow_mut().poll_begun(cx);
        match begun {
            Poll::Ready(Ok(())) => Poll::Ready(Waited::Begun),
            Poll::Ready(Err(())) => Poll::Ready(Waited::Over),
            Poll::Pending if self.idle_ends(cx) => Poll::Ready(Waited::Over),
            Poll::Pending => self.alarm.poll(cx).map(|()| Waited::Silent),
        }
    }

    /// Whether idle connections end; if not, the task is woken when they do. Asked once for the connection until a drain begins, not once for
    /// each request.
    fn idle_ends(&mut self, cx: &mut Context<'_>) -> bool {
        let knows = std::mem::replace(&mut self.hears_drain, true) && !self.worker.drain.is_set();
        !knows && self.drained.as_mut().poll(cx).is_ready()
    }

    async fn head(&mut self) -> Result<Option<RequestHead>, Refusal> {
        let plan = self.worker.plan();
        let limits = &plan.config.limits;
        self.alarm.set_after(plan.config.timeouts.head);
        let (wire, alarm) = (&self.wire, &mut self.alarm);
        let block = poll_fn(|cx| match wire.borrow_mut().poll_head(cx, limits.head_bytes_max) {
            Poll::Ready(block) => Poll::Ready(Some(block)),
            Poll::Pending => alarm.poll(cx).map(|()| None),
        });
        match block.await {
            Some(Ok(block)) => parse_request(&block, limits).map(Some),
            Some(Err(HeadError::Closed | HeadError::NotAccepted(_))) => Ok(None),
            Some(Err(HeadError::TooLarge(true))) => {
                Err(Refusal::new(Reason::TargetTooLong, format!("a request target may have {} bytes", limits.target_bytes_max)))
            }
            Some(Err(HeadError::TooLarge(false))) => {
                Err(Refusal::new(Reason::HeadTooLarge, format!("a request head may have {} bytes", limits.head_bytes_max)))
            }
            Some(Err(HeadError::BareNewline)) => Err(Refusal::new(Reason::MalformedRequest, BARE_NEWLINE)),
            None => Err(Refusal::new(Reason::HeadTimeout, "the request head did not arrive in time")),
        }
    }

    /// Answers what could not even be read as a request, and closes: where the next request would begin is anybody's guess.
    async fn refuse(&mut self, refusal: &Refusal) -> Result<Next, Gone> {
        let (response, mut journey) = pipeline::refuse(&self.worker, Rc::clone(&self.peer), unknown(), bytes::Bytes::new(), refusal);
        let client = Client { is_http10: false, is_head: false, keep_alive: false };
        self.answer(response, client, &mut journey).await?;
        journey.complete();
        Ok(Next::Linger)
    }

    async fn exchange(&mut self, head: RequestHead) -> Result<Next, Gone> {
        self.alarm.off();
        self.wire.borrow_mut().begin_body(head.framing);
        let (is_http10, is_head, asked_to_stay) = (head.is_http10, head.method == Method::HEAD, head.keep_alive);
        let interim = if is_http10 { Interim::Nowhere } else { Interim::Http1(Rc::clone(&self.wire)) };
        let mut request = self.request(head);
        let mut journey = pipeline::begin(&self.worker, Rc::clone(&self.peer), &request);
        let answered = {
            // Pinned where it is made: it is some kilobytes large, and handing it on would copy them.
            let work = pin!(pipeline::run(&self.worker, &mut request, &interim, &mut journey));
            self.while_present(work).await
        };
        let Some(response) = answered else { return Err(Gone) };
        if response.head.status == http::StatusCode::SWITCHING_PROTOCOLS {
            return self.switch(response, journey).await;
        }
        let keep_alive = asked_to_stay && self.wire.borrow().body_is_done() && !self.worker.drain.is_set();
        let answered = self.answer(response, Client { is_http10, is_head, keep_alive }, &mut journey).await;
        let ends = answered.inspect_err(|_| journey.broke_off(&request))?;
        journey.complete();
        Ok(if !self.wire.borrow().body_is_done() {
            Next::Linger
        } else if keep_alive && ends {
            Next::Request
        } else {
            Next::Close
        })
    }

    fn request(&self, head: RequestHead) -> Request {
        let body = match head.framing {
            Framing::None | Framing::Length(0) => RequestBody::empty(),
            _ => RequestBody::http1(Rc::clone(&self.wire), &self.worker.plan().config),
        };
        let RequestHead { method, target, host, headers, framing, upgrade, is_http10, .. } = head;
        let version = Version::http1(is_http10);
        Request { version, method, target, host, host_rewritten: None, headers, framing, body, upgrade, deadline: None }
    }

    /// Runs the work for a request for as long as its client is there; dropping it cancels what the instance was asked to do.
    async fn while_present<T>(&self, work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let bytes_max = self.worker.plan().config.limits.head_bytes_max;
        tokio::select! {
            biased;
            done = work => Some(done),
            () = poll_fn(|cx| self.wire.borrow_mut().poll_gone(cx, bytes_max)) => None,
        }
    }

    /// Writes an answer; true if its end is visible without closing the connection.
    async fn answer(&mut self, response: Response, client: Client, journey: &mut Journey) -> Result<bool, Gone> {
        let Response { head, mut body } = response;
        let framing = encode::response_head(&mut self.wire.borrow_mut().out.front, &head, journey.hop.request_id.as_bytes(), client);
        if client.is_head {
            body = ResponseBody::Empty;
        }
        let mut ended = false;
        self.pace = None;
        let result = poll_fn(|cx| self.poll_answer(cx, &mut body, framing, &mut ended, journey)).await;
        self.alarm.off();
        result.map(|()| framing != Framing::UntilClose)
    }

    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut ResponseBody,
        framing: Framing,
        ended: &mut bool,
        journey: &mut Journey,
    ) -> Poll<Result<(), Gone>> {
        let mut pushed = false;
        loop {
            let mut starved = false;
            while !*ended && !starved && self.wire.borrow().out.has_room() {
                match body.poll_frame(cx) {
                    Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                        journey.bytes_out += data.len() as u64;
                        let mut wire = self.wire.borrow_mut();
                        encode::data(&mut wire.out, data, framing);
                        if body.is_over() {
                            encode::end(&mut wire.out, None, framing);
                            *ended = true;
                        }
                    }
                    Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => {
                        encode::end(&mut self.wire.borrow_mut().out, Some(&trailers), framing);
                        *ended = true;
                    }
                    Poll::Ready(None) => {
                        encode::end(&mut self.wire.borrow_mut().out, None, framing);
                        *ended = true;
                    }
                    Poll::Ready(Some(Err(error))) => {
                        journey.note(format!("the answer broke off: {error}"));
                        return Poll::Ready(Err(Gone));
                    }
                    Poll::Pending => starved = true,
                }
            }
            let mut wire = self.wire.borrow_mut();
            if wire.out.is_empty() {
                if *ended {
                    return Poll::Ready(Ok(()));
                }
                return wire.poll_gone(cx, self.worker.plan().config.limits.head_bytes_max).map(|()| Err(Gone));
            }
            let flushed = wire.poll_flush(cx);
            let sent = wire.sent();
            drop(wire);
            let moved = sent - std::mem::replace(&mut self.sent, sent);
            if let Some(pace) = &mut self.pace {
                pace.moved(moved);
            }
            match flushed {
                Poll::Ready(Ok(())) => self.alarm.off(),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Gone)),
                Poll::Pending if pushed && moved == 0 => return self.give_up(journey, "the client accepted nothing for too long"),
                Poll::Pending => {
                    body.keep_sending(cx);
                    // A slow reader is fine as long as it reads.
                    if !self.alarm.is_set() || moved > 0 {
                        let plan = self.worker.plan();
                        let pace = self.pace.get_or_insert_with(|| Meter::begun(plan.config.answer_pace()));
                        if pace.waits().is_err() {
                            return self.give_up(journey, "the client took its answer too slowly");
                        }
                        self.alarm.set_after(plan.config.timeouts.write_idle);
                    }
                    ready!(self.alarm.poll(cx));
                    self.wire.borrow_mut().push();
                    pushed = true;
                }
            }
        }
    }

    /// Breaks an answer off because its client does not take it.
    fn give_up(&self, journey: &mut Journey, cause: &str) -> Poll<Result<(), Gone>> {
        journey.note(cause.to_owned());
        self.wire.borrow().reset_on_close();
        Poll::Ready(Err(Gone))
    }

    async fn switch(&mut self, response: Response, journey: Journey) -> Result<Next, Gone> {
        let client = Client { is_http10: false, is_head: false, keep_alive: true };
        encode::response_head(&mut self.wire.borrow_mut().out.front, &response.head, journey.hop.request_id.as_bytes(), client);
        poll_fn(|cx| self.wire.borrow_mut().poll_flush(cx)).await.map_err(|_| Gone)?;
        let exchange = response.body.downcast::<Exchange>().ok_or(Gone)?;
        Ok(Next::Switched(exchange, Box::new(journey)))
    }

    async fn tunnel(self, exchange: Box<Exchange>, mut journey: Box<Journey>) {
        // In this order: the exchange may hold the request's body, and that the client's wire.
        let Some((instance, _permit)) = exchange.into_pipe() else { return };
        let Some(client) = Rc::into_inner(self.wire) else { return };
        let idle = self.worker.plan().config.timeouts.stream_idle;
        (journey.bytes_in, journey.bytes_out) = tunnel::run(client.into_inner().into_parts(), instance, idle).await;
        journey.complete();
    }

    /// Closes so that the client can read its answer although it has not stopped sending (RFC 9112, section 9.6).
    async fn linger(&self) {
        let _ = poll_fn(|cx| self.wire.borrow_mut().poll_shutdown(cx)).await;
        let discard = async {
            let mut total = 0;
            while let Ok(count @ 1..) = poll_fn(|cx| self.wire.borrow_mut().poll_discard(cx)).await {
                total += count;
                if total > LINGER_BYTES {
                    break;
                }
            }
        };
        let _ = timeout(LINGER_TIME, discard).await;
    }
}

//! One attempt: a request to one instance, and its answer back, with both bodies in motion.
//!
//! Both directions are driven by whoever waits for the answer, so an instance that answers early, or streams both ways, needs no second task.
//! Dropping an exchange closes its connection, or resets its stream: that is how a client that left cancels the work it asked for.
//!
//! | file | does |
//! |---|---|
//! | `line` | what it speaks on, the same for both versions of HTTP |
//! | `http1` | a connection of its own |
//! | `open` | which line it gets |

mod http1;
mod line;
mod open;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use plimsoll_policy::clock;
use tokio::time::Instant;

use crate::config::Timeouts;
use crate::failure::{Failed, Failure};
use crate::forwarded::Hop;
use crate::http1::WireError;
use crate::message::{BodyError, BodyStream, Frame, Framing, Request, RequestBody, ResponseHead};
use crate::pool::{Pool, Reuse};
use crate::upstream::Permit;
pub(crate) use line::FarEnd;
use line::Line;
use open::Opened;

/// An instance's head may be this large; larger is taken for a fault of the instance.
pub(crate) const RESPONSE_HEAD_BYTES_MAX: usize = 256 * 1024;

/// A body that takes longer than this, either way, is a stream or a slow client: it gives back its place below the load line.
const BODY_WORK_MAX: Duration = Duration::from_secs(1);

/// What an attempt must know, besides the instance it goes to.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) request: &'a Request,
    pub(crate) hop: &'a Hop,
    pub(crate) pool: &'a Rc<Pool>,
    pub(crate) reuse: Reuse,
    pub(crate) timeouts: &'a Timeouts,
    pub(crate) total_ends: Option<Instant>,
}

pub(crate) struct Exchange {
    line: Option<Line>,
    body: RequestBody,
    sending: Sending,
    request_framing: Framing,
    method: Method,
    /// The line may be kept after this request.
    reusable: bool,
    bytes_before: u64,
    permit: Permit,
    pool: Rc<Pool>,
    timeouts: Timeouts,
    /// When all attempts together must have led to an answer; known once the request has been received.
    total_ends: Option<Instant>,
    deadline: Option<Instant>,
    /// When a body that is still coming stops counting as work.
    work_ends: Option<Instant>,
    waiting: bool,
    over: bool,
    /// Doing it twice is the same as doing it once.
    repeatable: bool,
    /// How long its connection took to open; 0 if it was there.
    connect_us: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sending {
    Body,
    /// All of it is on the wire or in its output.
    Done,
    /// The instance does not read it any more; it may still answer.
    Abandoned,
}

/// What an instance says before its answer, or the answer.
pub(crate) enum Said {
    Interim(ResponseHead),
    Final(ResponseHead),
}

impl Exchange {
    /// Takes or opens a connection and puts the request's head into its output. The body moves in; on failure it comes back.
    pub(crate) async fn begin(terms: Terms<'_>, body: RequestBody, mut permit: Permit) -> Result<Self, Failed> {
        let Terms { request, pool, timeouts, total_ends, .. } = terms;
        let Opened { mut line, bytes_before, connect_us } = match open::line(&terms, permit.member()).await {
            Ok(opened) => opened,
            Err(failure) => {
                permit.failed(&failure);
                return Err(Failed { failure, sent: false, body, place: permit.take_place() });
            }
        };
        line.alarm().no_later_than(request.deadline);
        let work_ends = if request.framing == Framing::None {
            permit.begins();
            None
        } else {
            permit.uploading();
            let work_ends = Some(clock::now() + BODY_WORK_MAX);
            line.alarm().set(silence_ends(timeouts.body_idle, work_ends, &permit));
            work_ends
        };
        Ok(Self {
            bytes_before,
            line: Some(line),
            body,
            sending: Sending::Body,
            request_framing: request.framing,
            method: request.method.clone(),
            reusable: true,
            permit,
            pool: Rc::clone(pool),
            timeouts: *timeouts,
            total_ends,
            deadline: request.deadline,
            work_ends,
            waiting: false,
            over: false,
            repeatable: request.is_idempotent(),
            connect_us,
        })
    }

    /// The next head that the instance sends.
    pub(crate) async fn head(&mut self) -> Result<Said, Failure> {
        poll_fn(|cx| self.poll_head(cx)).await
    }

    /// Ends an attempt without an answer: counted against the instance unless it was the client's doing.
    pub(crate) fn failed(mut self, failure: Failure) -> Failed {
        self.permit.failed(&failure);
        let sent = self.line.as_ref().is_some_and(|line| line.was_sent(self.bytes_before, &failure));
        let works_on = sent && !matches!(failure, Failure::Closed | Failure::Reset(_) | Failure::Malformed(_));
        let place = if works_on { None } else { self.permit.take_place() };
        Failed { failure, sent, body: self.body, place }
    }

    /// Another attempt has won.
    pub(crate) fn lost(&mut self) {
        self.permit.lost();
    }

    /// The whole of a short body, in one piece.
    pub(crate) async fn short_body(&mut self) -> Result<Bytes, WireError> {
        let mut whole = BytesMut::new();
        while let Some(frame) = poll_fn(|cx| self.poll_frame(cx)).await {
            let Frame::Data(data) = frame? else { continue };
            if self.over && whole.is_empty() {
                return Ok(data);
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }

    /// An answer that broke off before any of it was passed on. It was counted when it broke.
    pub(crate) fn broken_off(self) -> Failed {
        Failed { failure: Failure::Closed, sent: true, body: self.body, place: None }
    }

    /// From here on the answer goes to the client: the request will not be sent again.
    pub(crate) fn commit(&mut self, head: &ResponseHead) {
        self.body.forget();
        self.body.take_your_time();
        if head.status == StatusCode::SWITCHING_PROTOCOLS || head.is_event_stream() {
            self.permit.streams();
        }
        self.work_ends = Some(clock::now() + BODY_WORK_MAX);
    }

    /// For an answer that is not passed on: the request may be sent again.
    pub(crate) fn into_body(self) -> RequestBody {
        self.body
    }

    pub(crate) fn total_ends(&self) -> Option<Instant> {
        self.total_ends
    }

    /// How long its connection took to open, if it was not there.
    pub(crate) fn connect_us(&self) -> u32 {
        self.connect_us
    }

    pub(crate) fn request_bytes(&self) -> u64 {
        self.body.bytes_seen()
    }

    /// After a 101: the instance's end of a pipe, what was read from it too early, and the permit that covers it.
    pub(crate) fn into_pipe(mut self) -> Option<((FarEnd, BytesMut), Permit)> {
        Some((self.line.take()?.into_far_end()?, self.permit))
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Said, Failure>> {
        if let Poll::Ready(Err(error)) = self.poll_send(cx) {
            return Poll::Ready(Err(Failure::Client(error)));
        }
        let Some(line) = &mut self.line else { return Poll::Ready(Err(Failure::Closed)) };
        match line.poll_head(cx, &self.method) {
            Poll::Ready(Ok((head, reusable))) => Poll::Ready(Ok(self.heard(head, reusable))),
            Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
            Poll::Pending => {
                ready!(line.alarm().poll(cx));
                if self.uploads_slowly() {
                    return self.poll_head(cx);
                }
                Poll::Ready(Err(self.alarm_failure()))
            }
        }
    }

    /// Gives back the place of a request whose body is still coming: others need it more.
    fn uploads_slowly(&mut self) -> bool {
        let is_slow = self.sending == Sending::Body && self.outlasts_work() && !self.deadline_has_passed();
        if is_slow {
            drop(self.permit.take_place());
            if let Some(line) = &mut self.line {
                line.alarm().set_after(self.timeouts.body_idle);
            }
        }
        is_slow
    }

    /// A body, either way, holds a place for longer than it counts as work.
    fn outlasts_work(&self) -> bool {
        self.permit.holds_place() && self.work_ends.is_some_and(|ends| ends <= clock::now())
    }

    /// Which time limit the alarm stood for.
    fn alarm_failure(&self) -> Failure {
        let output_is_stuck = self.line.as_ref().is_some_and(|line| !line.is_flushed());
        let failure = match self.total_ends {
            _ if self.deadline_has_passed() => Failure::DeadlinePassed,
            Some(end) if end <= clock::now() => Failure::TotalTimeout,
            _ if output_is_stuck => Failure::Stalled,
            None => Failure::Client(BodyError::Idle),
            _ => Failure::FirstByteTimeout,
        };
        if let Some(line) = self.line.as_ref().filter(|_| !matches!(failure, Failure::Client(_))) {
            line.waited_in_vain();
        }
        failure
    }

    fn heard(&mut self, head: ResponseHead, reusable: bool) -> Said {
        if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
            return Said::Interim(head);
        }
        self.reusable = reusable;
        self.permit.answered(&head);
        if let Some(line) = &mut self.line {
            line.begin_body(head.framing);
            line.alarm().off();
        }
        if head.framing.is_empty() && head.status != StatusCode::SWITCHING_PROTOCOLS {
            self.release();
        }
        Said::Final(head)
    }

    /// Moves the request's body to the instance. Only the client's errors count: an instance that stops reading may still answer.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let Some(line) = &mut self.line else { return Poll::Ready(Ok(())) };
        loop {
            while self.sending == Sending::Body && line.has_room() {
                let Poll::Ready(frame) = self.body.poll_frame(cx) else { break };
                match frame {
                    Some(Ok(Frame::Data(data))) => {
                        line.put_data(data, self.request_framing);
                        line.alarm().set(silence_ends(self.timeouts.body_idle, self.work_ends, &self.permit));
                        break;
                    }
                    Some(Ok(Frame::Trailers(trailers))) => line.put_end(Some(trailers), self.request_framing),
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                    None => line.put_end(None, self.request_framing),
                }
                self.sending = Sending::Done;
                self.work_ends = None;
                if self.request_framing != Framing::None {
                    self.permit.uploaded();
                }
                let now = clock::now();
                let total_ends = *self.total_ends.get_or_insert(now + self.timeouts.total);
                line.alarm().set(total_ends.min(now + self.timeouts.first_byte));
            }
            if line.is_flushed() {
                return if self.sending == Sending::Body { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
            let flushed = line.poll_flush(cx);
            if !self.repeatable && line.is_beyond_recall(self.bytes_before) {
                self.body.forget();
            }
            if ready!(flushed).is_err() {
                self.sending = Sending::Abandoned;
                self.reusable = false;
                line.abandon();
            }
        }
    }

    /// Keeps the request's body moving while the answer is on its way.
    fn poll_send_on(&mut self, cx: &mut Context<'_>) {
        let progress = |exchange: &Self| exchange.line.as_ref().map(|line| (line.bytes_total(), exchange.sending));
        let before = progress(self);
        if matches!(self.poll_send(cx), Poll::Ready(Err(_))) {
            // The client broke off its own request; it may still read the answer.
            self.sending = Sending::Abandoned;
            self.reusable = false;
        }
        if progress(self) != before {
            // The alarm now stands for a limit on requests, but since the answer began only silence both ways ends it.
            self.waiting = false;
        }
    }

    /// Gives back the place of an answer that takes so long that it is a stream.
    fn has_stopped_working(&mut self) -> bool {
        let stopped = self.outlasts_work();
        if stopped {
            self.permit.streams();
            self.waiting = false;
        }
        stopped
    }

    /// Breaks an answer off whose rest would come too late. Nobody's fault: the instance may have been asked for too much.
    fn give_up<T>(&mut self) -> Poll<Option<Result<T, WireError>>> {
        self.line = None;
        Poll::Ready(Some(Err(WireError::Malformed("the deadline passed before the answer was complete"))))
    }

    fn deadline_has_passed(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= clock::now())
    }

    fn fail(&mut self) {
        self.permit.broke_off();
        self.line = None;
    }

    /// The answer is complete: the connection goes back to the pool, if both sides are at a boundary.
    fn release(&mut self) {
        self.over = true;
        self.permit.release();
        if !self.reusable || self.sending != Sending::Done {
            return;
        }
        if let Some(line) = self.line.take_if(|line| line.is_at_boundary()) {
            line.release(&self.pool, self.permit.member().slot);
        }
    }
}

impl BodyStream for Exchange {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, WireError>>> {
        self.poll_send_on(cx);
        if self.over {
            return Poll::Ready(None);
        }
        if self.deadline_has_passed() {
            return self.give_up();
        }
        let Some(line) = &mut self.line else { return Poll::Ready(Some(Err(WireError::Closed))) };
        match line.poll_frame(cx) {
            Poll::Ready(frame) => {
                self.waiting = false;
                let is_done = line.body_is_done();
                match &frame {
                    Some(Err(_)) => self.fail(),
                    // An instance that has answered may end its stream by a reset: then no frame was the last.
                    None => self.release(),
                    Some(Ok(_)) if is_done => self.release(),
                    Some(Ok(_)) => {}
                }
                Poll::Ready(frame)
            }
            Poll::Pending => {
                if !self.waiting {
                    self.waiting = true;
                    line.alarm().set(silence_ends(self.timeouts.stream_idle, self.work_ends, &self.permit));
                }
                ready!(line.alarm().poll(cx));
                if self.deadline_has_passed() {
                    return self.give_up();
                }
                if self.has_stopped_working() {
                    return self.poll_frame(cx);
                }
                if let Some(line) = &self.line {
                    line.waited_in_vain();
                }
                self.fail();
                Poll::Ready(Some(Err(WireError::Malformed("the instance sent nothing for too long"))))
            }
        }
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn may_pause(&self) -> bool {
        true
    }

    fn read_at_most(&mut self, bytes: usize) {
        if let Some(line) = &mut self.line {
            line.read_at_most(bytes);
        }
    }

    /// The client takes nothing just now: the instance cannot go on, which is no work.
    fn keep_sending(&mut self, cx: &mut Context<'_>) {
        self.permit.streams();
        self.poll_send_on(cx);
        if let Some(line) = &mut self.line {
            line.rest(cx);
        }
    }

    fn into_request_body(self: Box<Self>) -> RequestBody {
        self.body
    }
}

/// When to look again if nothing moves: after this much silence or, before that, when a body stops counting as work and holds a place.
fn silence_ends(idle: Duration, work_ends: Option<Instant>, permit: &Permit) -> Instant {
    let idle_ends = clock::now() + idle;
    work_ends.filter(|_| permit.holds_place()).map_or(idle_ends, |ends| ends.min(idle_ends))
}

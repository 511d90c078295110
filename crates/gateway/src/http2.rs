//! HTTP/2 without TLS, by prior knowledge (RFC 9113, section 3.3): each stream becomes a request for the pipeline.

mod io;
mod translate;

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason as H2Reason, RecvStream, SendStream};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;

pub(crate) use io::{Sniffed, sniff};

use crate::alarm::Alarm;
use crate::interim::Interim;
use crate::journey::Journey;
use crate::message::{Frame, Response, ResponseBody};
use crate::peer::Peer;
use crate::pipeline;
use crate::transport::Transport;
use crate::worker::Worker;

const STREAMS_MAX: u32 = 128;
/// What a client may send on one stream before the instance has taken any of it.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// How long a client has to close an idle connection after it was told to.
const GOODBYE: Duration = Duration::from_secs(1);
/// The library answers a larger head by itself, without a word why; what lies between is refused by us.
const HEAD_CEILING: usize = 4;

pub(crate) async fn serve(worker: Rc<Worker>, transport: Transport, prefix: BytesMut, peer: Peer) {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size((HEAD_CEILING * worker.plan().config.limits.head_bytes_max) as u32)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES);
    let io = io::Prefixed::new(transport, prefix);
    let Ok(Ok(mut connection)) = timeout(worker.plan().config.timeouts.head, builder.handshake(io)).await else { return };
    let streams = TaskTracker::new();
    let mut drained = Box::pin(worker.drain.clone().wait());
    let mut stopping = false;
    let mut idle_ends = Instant::now() + worker.plan().config.timeouts.idle;
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                idle_ends = Instant::now() + worker.plan().config.timeouts.idle;
                streams.spawn_local(stream(Rc::clone(&worker), request, respond, peer));
            }
            () = &mut drained, if !stopping => {
                stopping = true;
                connection.graceful_shutdown();
                idle_ends = Instant::now() + GOODBYE;
            }
            () = sleep_until(idle_ends) => {
                // A client that answers no GOAWAY, or takes none of its last bytes, is not waited for.
                if stopping && streams.is_empty() {
                    return;
                }
                if streams.is_empty() {
                    stopping = true;
                    connection.graceful_shutdown();
                }
                idle_ends = Instant::now() + if stopping { GOODBYE } else { worker.plan().config.timeouts.idle };
            }
        }
    }
}

async fn stream(worker: Rc<Worker>, request: http::Request<RecvStream>, respond: SendResponse<Bytes>, peer: Peer) {
    let interim = Interim::Http2(RefCell::new(respond));
    let is_head = request.method() == http::Method::HEAD;
    let (method, target) = (request.method().clone(), Bytes::copy_from_slice(request.uri().path().as_bytes()));
    let (response, mut journey) = match translate::request(request, &worker.plan().config.limits) {
        Ok(mut request) => {
            let answered = tokio::select! {
                biased;
                answered = pipeline::run(&worker, peer, &mut request, &interim) => answered,
                () = poll_fn(|cx| poll_reset(&interim, cx)) => return,
            };
            answered
        }
        Err(refusal) => pipeline::refuse(&worker, peer, method, target, &refusal),
    };
    let Interim::Http2(respond) = interim else { return };
    if answer(&worker, respond.into_inner(), response, is_head, &mut journey).await.is_ok() {
        journey.complete();
    }
}

fn poll_reset(interim: &Interim, cx: &mut Context<'_>) -> Poll<()> {
    match interim {
        Interim::Http2(respond) => respond.borrow_mut().poll_reset(cx).map(|_| ()),
        _ => Poll::Pending,
    }
}

async fn answer(
    worker: &Worker,
    mut respond: SendResponse<Bytes>,
    response: Response,
    is_head: bool,
    journey: &mut Journey,
) -> Result<(), ()> {
    let Response { head, body } = response;
    let mut body = if is_head { ResponseBody::Empty } else { body };
    let ends_here = body.is_over();
    let head = translate::response(&head, is_head, journey.hop.request_id.as_str());
    let stream = respond.send_response(head, ends_here).map_err(|_| ())?;
    if ends_here {
        return Ok(());
    }
    let mut sender = Sender { stream, alarm: Alarm::new(), pending: Bytes::new(), write_idle: worker.plan().config.timeouts.write_idle };
    poll_fn(|cx| sender.poll(cx, &mut body, journey)).await
}

/// Moves a body onto a stream as fast as the client opens its window.
struct Sender {
    stream: SendStream<Bytes>,
    alarm: Alarm,
    pending: Bytes,
    write_idle: Duration,
}

impl Sender {
    fn poll(&mut self, cx: &mut Context<'_>, body: &mut ResponseBody, journey: &mut Journey) -> Poll<Result<(), ()>> {
        loop {
            while !self.pending.is_empty() {
                ready!(self.poll_send_pending(cx, body, journey))?;
                if body.is_over() && self.pending.is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
            match body.poll_frame(cx) {
                Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                    self.pending = data;
                    self.stream.reserve_capacity(self.pending.len());
                }
                Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => {
                    return Poll::Ready(self.stream.send_trailers(trailers).map_err(|_| ()));
                }
                Poll::Ready(None) => return Poll::Ready(self.stream.send_data(Bytes::new(), true).map_err(|_| ())),
                Poll::Ready(Some(Err(error))) => {
                    journey.note(format!("the answer broke off: {error}"));
                    self.stream.send_reset(H2Reason::INTERNAL_ERROR);
                    return Poll::Ready(Err(()));
                }
                Poll::Pending => return self.stream.poll_reset(cx).map(|_| Err(())),
            }
        }
    }

    fn poll_send_pending(&mut self, cx: &mut Context<'_>, body: &mut ResponseBody, journey: &mut Journey) -> Poll<Result<(), ()>> {
        match self.stream.poll_capacity(cx) {
            Poll::Ready(Some(Ok(capacity))) => {
                self.alarm.off();
                let data = self.pending.split_to(capacity.min(self.pending.len()));
                journey.bytes_out += data.len() as u64;
                let is_last = self.pending.is_empty() && body.is_over();
                Poll::Ready(self.stream.send_data(data, is_last).map_err(|_| ()))
            }
            Poll::Ready(_) => Poll::Ready(Err(())),
            Poll::Pending => {
                body.keep_sending(cx);
                if !self.alarm.is_set() {
                    self.alarm.set_after(self.write_idle);
                }
                ready!(self.alarm.poll(cx));
                journey.note("the client accepted nothing for too long".to_owned());
                self.stream.send_reset(H2Reason::CANCEL);
                Poll::Ready(Err(()))
            }
        }
    }
}

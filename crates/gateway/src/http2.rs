//! HTTP/2, over TLS by ALPN or without it by prior knowledge (RFC 9113, section 3): each stream becomes a request for the pipeline.
//!
//! | file | does |
//! |---|---|
//! | `sniff` | which HTTP a connection speaks |
//! | `io` | a connection's bytes on their way to and from the library |
//! | `flood` | frames that cost their sender nothing, counted |
//! | `room` | what the answers of a connection may hold for a client that does not take them |
//! | `sender` | one of them, on its way |
//! | `translate` | between HTTP/2's fields and the pipeline's |
//! | `uploads` | how much a client may send before anybody takes it |
//! | `websocket` | extended CONNECT, and streams as pipes |

mod flood;
mod io;
mod room;
mod sender;
mod sniff;
mod translate;
mod uploads;
mod websocket;

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::{Connection, SendResponse};
use h2::{Reason as H2Reason, RecvStream};
use http::StatusCode;
use plimsoll_policy::clock;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

pub(crate) use sniff::{Sniffed, sniff};
pub(crate) use websocket::Pipe;

use crate::alarm::Alarm;
use crate::connection::{LINGER_BYTES, LINGER_TIME};
use crate::forward::Exchange;
use crate::interim::Interim;
use crate::journey::Journey;
use crate::message::{RequestBody, Response, ResponseBody};
use crate::pace::Meter;
use crate::peer::Peer;
use crate::pipeline;
use crate::transport::Transport;
use crate::tunnel;
use crate::worker::Worker;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use flood::Allowance;
use io::Io;
use room::{Room, Share};
use sender::Sender;
use translate::Asked;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use translate::{fields, response};
use uploads::Uploads;

const STREAMS_MAX: u32 = 128;
/// What one stream holds for a client that does not read.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Streams that were reset before anybody looked at them, and streams that the client made this side reset.
const RESETS_PENDING_MAX: usize = 20;
const RESETS_PROVOKED_MAX: usize = STREAMS_MAX as usize;
/// How long a client has to close an idle connection after it was told to.
const GOODBYE: Duration = Duration::from_secs(1);
/// The library answers a larger head by itself, without a word why; what lies between is refused by us.
const HEAD_CEILING: usize = 4;

type Accepted = (http::Request<RecvStream>, SendResponse<Bytes>);

pub(crate) async fn serve(worker: Rc<Worker>, transport: Transport, prefix: BytesMut, peer: Rc<Peer>) {
    let io = Io::new(transport, prefix);
    let Ok(Ok(mut connection)) = timeout(worker.plan().config.timeouts.head, handshake(&worker, &io)).await else { return };
    let (streams, room, mut uploads) = (TaskTracker::new(), Rc::new(Room::default()), Uploads::new());
    let mut drained = Box::pin(worker.drain.clone().begun());
    let mut stopping = false;
    let mut idle = Alarm::new();
    idle.set_after(worker.plan().config.timeouts.idle);
    loop {
        tokio::select! {
            biased;
            () = &mut drained, if !stopping => {
                stopping = true;
                connection.graceful_shutdown();
                idle.set_after(GOODBYE);
            }
            accepted = poll_fn(|cx| poll_accept(&mut connection, &io, &room, &mut uploads, cx)) => {
                let Some(Ok(accepted)) = accepted else { break };
                idle.set_after(worker.plan().config.timeouts.idle);
                let sends = (!accepted.0.body().is_end_stream()).then(|| uploads.begins(&mut connection));
                let stream = stream(Rc::clone(&worker), Rc::clone(&room), accepted, Rc::clone(&peer), sends);
                // Boxed: a task is moved several times before it begins, and once more when it is over.
                streams.spawn_local(clock::held(Box::pin(stream)));
            }
            () = poll_fn(|cx| idle.poll(cx)) => {
                // A client that answers no GOAWAY, or takes none of its last bytes, is not waited for.
                if stopping && streams.is_empty() {
                    return;
                }
                if streams.is_empty() {
                    stopping = true;
                    connection.graceful_shutdown();
                }
                idle.set_after(if stopping { GOODBYE } else { worker.plan().config.timeouts.idle });
            }
        }
    }
    if io.allowance().is_used_up()
        && let Some(left_out) = worker.floods.take()
    {
        tracing::warn!(client = %peer.address, left_out, "an HTTP/2 client sent too many frames that carry nothing: its connection was ended");
    }
}

async fn handshake(worker: &Worker, io: &Io) -> Result<Connection<Io, Bytes>, h2::Error> {
    let mut handshake = builder(worker).handshake(io.clone());
    poll_fn(|cx| {
        let done = Pin::new(&mut handshake).poll(cx);
        // What goes wrong here is seen by whoever reads next.
        let _ = io.poll_flush(cx);
        done
    })
    .await
}

fn builder(worker: &Worker) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size((HEAD_CEILING * worker.plan().config.limits.head_bytes_max) as u32)
        .initial_window_size(uploads::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(uploads::CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(Some(RESETS_PROVOKED_MAX))
        .enable_connect_protocol();
    builder
}

/// The next stream. A client that has used up its allowance is told so and left; what it sent on top is not looked at.
fn poll_accept(
    connection: &mut Connection<Io, Bytes>,
    io: &Io,
    room: &Room,
    uploads: &mut Uploads,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Accepted, h2::Error>>> {
    let mut accepted = connection.poll_accept(cx);
    if accepted.is_pending() && uploads.catches_up(connection) {
        accepted = connection.poll_accept(cx);
    }
    if io.allowance().runs_out() {
        connection.abrupt_shutdown(H2Reason::ENHANCE_YOUR_CALM);
        accepted = connection.poll_accept(cx);
    }
    if accepted.is_ready() {
        return accepted;
    }
    // Everything that is ready leaves together.
    match io.poll_flush(cx) {
        Poll::Ready(Ok(())) if !io.has_refused() => room.drained(),
        Poll::Ready(Err(_)) => return Poll::Ready(None),
        _ => {}
    }
    accepted
}

async fn stream(worker: Rc<Worker>, room: Rc<Room>, (request, respond): Accepted, peer: Rc<Peer>, _sends: Option<Rc<()>>) {
    let interim = Interim::Http2(RefCell::new(respond));
    let (parts, receive) = request.into_parts();
    let is_head = parts.method == http::Method::HEAD;
    let (mut pipe, mut unsent, mut asked) = (None, RequestBody::empty(), None);
    let (mut response, mut journey) = match translate::request(&parts, receive, &peer, &worker.plan().config) {
        Ok(Asked { mut request, receive }) => {
            drop(parts);
            pipe = receive;
            let mut journey = pipeline::begin(&worker, peer, &request);
            let response = tokio::select! {
                biased;
                response = pipeline::run(&worker, &mut request, &interim, &mut journey) => response,
                () = poll_fn(|cx| poll_reset(&interim, cx)) => return,
            };
            unsent = std::mem::replace(&mut request.body, RequestBody::empty());
            // Of all others the journey knows by now what it will say.
            asked = matches!(response.body, ResponseBody::Full(_)).then_some(request);
            (response, journey)
        }
        Err(refusal) => {
            let target = Bytes::copy_from_slice(parts.uri.path().as_bytes());
            pipeline::refuse(&worker, peer, parts.method, target, &refusal)
        }
    };
    let Interim::Http2(respond) = interim else { return };
    let respond = respond.into_inner();
    if let Some(receive) = pipe {
        if response.head.status == StatusCode::SWITCHING_PROTOCOLS {
            return tunnel(&worker, room, respond, receive, response, journey).await;
        }
        response = websocket::instead(response, &mut journey);
    }
    let Ok(with_answer) = answer(&worker, room, respond, response, is_head, &mut journey).await else {
        return asked.iter().for_each(|request| journey.broke_off(request));
    };
    journey.complete();
    drop(journey);
    linger([unsent, with_answer]).await;
}

/// Listens to a client that is still sending, or the reset that tells it to stop might overtake its answer: some then look at neither.
async fn linger(bodies: [RequestBody; 2]) {
    if bodies.iter().all(RequestBody::is_none) {
        return;
    }
    let discard = async {
        for mut body in bodies {
            body.discard(LINGER_BYTES).await;
        }
    };
    let _ = timeout(LINGER_TIME, discard).await;
}

fn poll_reset(interim: &Interim, cx: &mut Context<'_>) -> Poll<()> {
    match interim {
        Interim::Http2(respond) => respond.borrow_mut().poll_reset(cx).map(|_| ()),
        _ => Poll::Pending,
    }
}

/// The instance has switched: from here on the stream is a pipe to it.
async fn tunnel(
    worker: &Worker,
    room: Rc<Room>,
    mut respond: SendResponse<Bytes>,
    receive: RecvStream,
    response: Response,
    mut journey: Journey,
) {
    let Some(exchange) = response.body.downcast::<Exchange>() else { return };
    let head = translate::response(&websocket::opened(&response.head), false, &journey.hop.request_id);
    let Ok(send) = respond.send_response(head, false) else { return };
    let Some((instance, _permit)) = exchange.into_pipe() else { return };
    let client = (Pipe { receive, send, unread: Bytes::new(), share: Some(Share::of(room)) }, BytesMut::new());
    let idle = worker.plan().config.timeouts.stream_idle;
    (journey.bytes_in, journey.bytes_out) = tunnel::run(client, instance, idle).await;
    journey.complete();
}

/// Returns what the client has not sent yet of its request, if that was going to an instance.
async fn answer(
    worker: &Worker,
    room: Rc<Room>,
    mut respond: SendResponse<Bytes>,
    response: Response,
    is_head: bool,
    journey: &mut Journey,
) -> Result<RequestBody, ()> {
    let Response { head, mut body } = response;
    if is_head {
        body = ResponseBody::Empty;
    }
    let ends_here = body.is_over();
    let head = translate::response(&head, is_head, &journey.hop.request_id);
    let stream = respond.send_response(head, ends_here).map_err(|_| ())?;
    if ends_here {
        return Ok(body.into_request_body());
    }
    // The answer may outlive many plans.
    let (pace, write_idle) = {
        let config = &worker.plan().config;
        (Meter::begun(config.answer_pace()), config.timeouts.write_idle)
    };
    let mut sender = Sender::new(stream, Share::of(room), pace, write_idle);
    poll_fn(|cx| sender.poll(cx, &mut body, journey)).await?;
    Ok(body.into_request_body())
}

//! One request at a time, one after the other: a connection's life, or a place on a shared one.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::recorder::{Ended, Job};
use super::worker::Worker;
use crate::record::ErrorKind;
use crate::scenario::{Jar, PreparedRequest, Values};
use crate::send::connect::Spoken;
use crate::send::http1::Http1;
use crate::send::{Answered, Failure, http2};

/// In closed pace, after a connection that did not come about: without it a server that is down would be asked in a tight loop.
const PAUSE_AFTER_FAILED_CONNECT: Duration = Duration::from_millis(100);

/// What the rest of the thread sees of a lane.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Put here by the schedule while the lane is idle.
    pub(super) job: Cell<Option<Job>>,
    /// When the client of the request under way gives up.
    pub(super) deadline: Cell<Option<Instant>>,
    is_expired: Cell<bool>,
    /// Its connection closed while it was idle: it must not be given work.
    pub(super) is_gone: Cell<bool>,
    /// Among all lanes of the thread.
    pub(super) place: Cell<usize>,
    waker: RefCell<Option<Waker>>,
}

impl Lane {
    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Ends the request under way.
    pub(super) fn expire(&self) {
        self.deadline.set(None);
        self.is_expired.set(true);
        self.wake();
    }

    fn remember(&self, waker: &Waker) {
        let mut own = self.waker.borrow_mut();
        if own.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            *own = Some(waker.clone());
        }
    }
}

/// The connection that a lane has, if any.
pub(super) enum Line {
    None,
    Http1(Box<Http1>),
    Http2(http2::Place),
}

impl Line {
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::None => false,
            Self::Http1(connection) => connection.is_open(),
            Self::Http2(place) => place.is_open(),
        }
    }
}

/// Lives until there is no more for it to do.
pub(super) async fn run(worker: Rc<Worker>, lane: Rc<Lane>) {
    let mut line = Line::None;
    let mut bytes = Vec::new();
    while let Some(job) = next(&worker, &lane, &mut line).await {
        let ended = carry_out(&worker, &lane, &mut line, &mut bytes, &job).await;
        let failed_to_connect = ended.sent.is_none();
        worker.ended(&job, &ended);
        if failed_to_connect && worker.is_closed_pace() {
            sleep(PAUSE_AFTER_FAILED_CONNECT).await;
        }
    }
}

/// The next request for this lane. In open pace a lane without a connection ends: the next one due opens its own.
async fn next(worker: &Worker, lane: &Rc<Lane>, line: &mut Line) -> Option<Job> {
    if worker.is_closed_pace() {
        return worker.closed_job().await;
    }
    if let Some(job) = lane.job.take().or_else(|| worker.take_queued()) {
        return Some(job);
    }
    if !line.is_open() {
        return None;
    }
    worker.idle.borrow_mut().push(Rc::clone(lane));
    poll_fn(|context| {
        if let Some(job) = lane.job.take() {
            return Poll::Ready(Some(job));
        }
        lane.remember(context.waker());
        let Line::Http1(connection) = &mut *line else { return Poll::Pending };
        connection.poll_idle(context).map(|()| {
            lane.is_gone.set(true);
            None
        })
    })
    .await
}

async fn carry_out(worker: &Worker, lane: &Lane, line: &mut Line, bytes: &mut Vec<u8>, job: &Job) -> Ended {
    let request = &worker.prepared.requests[job.request];
    let mut sent = None;
    let mut resent = false;
    lane.is_expired.set(false);
    lane.deadline.set(Some(job.due + worker.timeout));
    let values = worker.values(job.user, job.n);
    let result = within_patience(lane, async {
        loop {
            let was_open = line.is_open();
            if !was_open {
                // Boxed: a handshake's state is many times that of a lane, and seldom needed.
                *line = Box::pin(connect(worker)).await?;
            }
            if sent.is_none() {
                let now = Instant::now();
                sent = Some(now);
                if was_open {
                    worker.note_late(job, now);
                }
            }
            match ask(worker, line, bytes, request, &values, worker.jar(job)).await {
                // The server may close a connection at any moment between two requests. Then this one never reached it.
                Err(failure) if was_open && !resent && failure.before_answer && request.is_idempotent => {
                    resent = true;
                    *line = Line::None;
                }
                result => return result,
            }
        }
    })
    .await;
    lane.deadline.set(None);
    let at = Instant::now();
    if result.is_err() {
        *line = Line::None;
    }
    Ended { sent, at, resent, result }
}

/// What the future gives, unless the client loses patience first.
async fn within_patience<T>(lane: &Lane, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut future = pin!(future);
    poll_fn(|context| {
        lane.remember(context.waker());
        if lane.is_expired.get() {
            return Poll::Ready(Err(Failure::new(ErrorKind::Timeout, "no whole answer within the client's patience")));
        }
        future.as_mut().poll(context)
    })
    .await
}

pub(super) async fn connect(worker: &Worker) -> Result<Line, Failure> {
    if worker.spoken == Spoken::Http2 {
        let place = worker.http2.place(&worker.connector, worker.streams_max, || worker.note_connection()).await?;
        return Ok(Line::Http2(place));
    }
    let (stream, _) = worker.connector.connect().await?;
    worker.note_connection();
    Ok(Line::Http1(Box::new(Http1::new(stream))))
}

pub(super) async fn ask(
    worker: &Worker,
    line: &mut Line,
    bytes: &mut Vec<u8>,
    request: &PreparedRequest,
    values: &Values,
    jar: Option<&RefCell<Jar>>,
) -> Result<Answered, Failure> {
    let unusable = |reason| Failure::new(ErrorKind::Protocol, reason);
    match line {
        Line::None => Err(unusable("there is no connection")),
        Line::Http1(connection) => {
            bytes.clear();
            request.render(values, jar.map(RefCell::borrow).as_deref(), bytes);
            connection.exchange(bytes, request.method == http::Method::HEAD, &worker.scratch, jar, &worker.samples).await
        }
        Line::Http2(place) => {
            let (message, body) = request.message(values, jar.map(RefCell::borrow).as_deref()).map_err(unusable)?;
            place.exchange(message, body, jar, &worker.samples).await
        }
    }
}

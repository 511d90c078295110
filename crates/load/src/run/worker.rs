//! One thread of the generator: its own runtime, schedule, connections and notes. Threads share nothing on a request's way.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::lane::{self, Lane};
use super::recorder::{Ended, Job, Recorder};
use super::throttle::Throttle;
use super::timer::Timer;
use crate::histogram::Histogram;
use crate::record::ErrorKind;
use crate::scenario::{Jar, Prepared, Values};
use crate::schedule::{Schedule, Share};
use crate::send::Failure;
use crate::send::connect::{Connector, Spoken};
use crate::send::http1::Scratch;
use crate::send::http2;
use crate::send::sample::{Sample, Samples};

/// How often those who lost patience are looked for, at most.
const PATIENCE_EVERY: Duration = Duration::from_millis(1);

/// What a thread is told.
pub(super) struct Orders {
    pub(super) prepared: Arc<Prepared>,
    pub(super) connector: Connector,
    pub(super) spoken: Spoken,
    pub(super) share: Share,
    pub(super) timeout: Duration,
    pub(super) seed: u64,
    pub(super) stages: usize,
    /// This thread's part of the bounds.
    pub(super) lanes_max: usize,
    pub(super) queue_max: usize,
    pub(super) streams_max: usize,
    pub(super) pace: ThreadPace,
}

/// This thread's part of the pace.
pub(super) enum ThreadPace {
    Open(Box<Schedule>),
    Closed { lanes: usize, lasts: Duration, rate_max: f64 },
}

pub(super) struct Worker {
    pub(super) prepared: Arc<Prepared>,
    pub(super) connector: Connector,
    pub(super) spoken: Spoken,
    pub(super) http2: http2::Connections,
    pub(super) streams_max: usize,
    pub(super) scratch: Scratch,
    pub(super) samples: Samples,
    pub(super) timeout: Duration,
    /// Lanes with a connection and nothing to do; the last to become idle is the first to work, so that few stay warm.
    pub(super) idle: RefCell<Vec<Rc<Lane>>>,
    pub(super) recorder: RefCell<Recorder>,
    lanes: RefCell<Vec<Rc<Lane>>>,
    lanes_max: usize,
    queue: RefCell<VecDeque<Job>>,
    queue_max: usize,
    share: Share,
    jars: Vec<RefCell<Jar>>,
    random: RefCell<fastrand::Rng>,
    numbers: Cell<u64>,
    /// Taken when the run begins.
    pace: RefCell<Option<ThreadPace>>,
    /// In closed pace: when no further request is begun.
    closes: Cell<Option<Instant>>,
    /// In closed pace: what keeps it below the plan's highest rate.
    throttle: Throttle,
    is_stopped: Cell<bool>,
    under_way: Cell<u64>,
    finished: Notify,
    queued: Cell<u64>,
    connections_opened: Cell<u64>,
    connections_peak: Cell<usize>,
}

/// What a thread leaves behind.
pub(super) struct Notes {
    pub(super) recorder: Recorder,
    pub(super) samples: Vec<Sample>,
    pub(super) cpu: Duration,
    /// When it was stopped, from the start, if it was.
    pub(super) stopped_after: Option<Duration>,
    pub(super) queued: u64,
    pub(super) connections_opened: u64,
    pub(super) connections_peak: usize,
}

/// A look at a thread that is under way.
pub(super) struct Glimpse {
    pub(super) thread: usize,
    pub(super) counts: super::recorder::Counts,
    pub(super) under_way: u64,
    pub(super) connections: usize,
    pub(super) latency: Histogram,
}

impl Worker {
    pub(super) fn new(orders: Orders) -> Rc<Self> {
        let users = orders.share.part(orders.prepared.users);
        // Not the seed of the schedule: what is asked must not depend on when.
        let random = fastrand::Rng::with_seed(orders.seed.rotate_left(32) ^ orders.share.index as u64);
        let throttle = match orders.pace {
            ThreadPace::Closed { rate_max, .. } => Throttle::new(rate_max),
            ThreadPace::Open(_) => Throttle::new(f64::INFINITY),
        };
        Rc::new(Self {
            prepared: orders.prepared,
            connector: orders.connector,
            spoken: orders.spoken,
            http2: http2::Connections::default(),
            streams_max: orders.streams_max,
            scratch: Scratch::new(),
            samples: Samples::default(),
            timeout: orders.timeout,
            idle: RefCell::default(),
            recorder: RefCell::new(Recorder::new(Instant::now(), orders.timeout, orders.stages, 0)),
            lanes: RefCell::default(),
            lanes_max: orders.lanes_max,
            queue: RefCell::default(),
            queue_max: orders.queue_max,
            share: orders.share,
            jars: vec![RefCell::default(); users],
            random: RefCell::new(random),
            numbers: Cell::new(0),
            pace: RefCell::new(Some(orders.pace)),
            closes: Cell::new(None),
            throttle,
            is_stopped: Cell::new(false),
            under_way: Cell::new(0),
            finished: Notify::new(),
            queued: Cell::new(0),
            connections_opened: Cell::new(0),
            connections_peak: Cell::new(0),
        })
    }

    /// Carries out the thread's part of the plan, to the last answer or the end of the last client's patience.
    pub(super) async fn run(self: &Rc<Self>, starts: Instant, stop: &CancellationToken) -> io::Result<Notes> {
        let stages = self.recorder.borrow().stages.len();
        self.recorder.replace(Recorder::new(starts, self.timeout, stages, self.prepared.requests.len()));
        sleep_until(starts).await;
        let cpu_before = cpu();
        let patience = tokio::task::spawn_local(Rc::clone(self).watch_patience());
        match self.pace.take() {
            Some(ThreadPace::Open(schedule)) => self.keep_schedule(*schedule, starts, stop).await?,
            Some(ThreadPace::Closed { lanes, lasts, .. }) => {
                let closes = starts + lasts;
                self.closes.set(Some(closes));
                (0..lanes).for_each(|_| self.open_lane(None));
                let _ = stop.run_until_cancelled(sleep_until(closes)).await;
            }
            None => {}
        }
        let stopped_after = stop.is_cancelled().then(|| starts.elapsed());
        self.is_stopped.set(true);
        while self.under_way.get() > 0 {
            self.finished.notified().await;
        }
        patience.abort();
        Ok(self.notes(cpu().saturating_sub(cpu_before), stopped_after))
    }

    fn notes(&self, cpu: Duration, stopped_after: Option<Duration>) -> Notes {
        Notes {
            recorder: self.recorder.replace(Recorder::new(Instant::now(), self.timeout, 0, 0)),
            samples: self.samples.take(),
            cpu,
            stopped_after,
            queued: self.queued.get(),
            connections_opened: self.connections_opened.get(),
            connections_peak: self.connections_peak.get(),
        }
    }

    pub(super) fn glimpse(&self) -> Glimpse {
        let mut recorder = self.recorder.borrow_mut();
        Glimpse {
            thread: self.share.index,
            counts: recorder.counts(),
            under_way: self.under_way.get(),
            connections: self.connections(),
            latency: recorder.take_recent(),
        }
    }

    async fn keep_schedule(self: &Rc<Self>, schedule: Schedule, starts: Instant, stop: &CancellationToken) -> io::Result<()> {
        let timer = Timer::new()?;
        for due in schedule {
            let moment = starts + due.at;
            while Instant::now() < moment {
                match stop.run_until_cancelled(timer.sleep_until(moment)).await {
                    Some(slept) => slept?,
                    None => return Ok(()),
                }
            }
            if stop.is_cancelled() {
                return Ok(());
            }
            self.dispatch(self.new_job(moment, due.stage));
        }
        Ok(())
    }

    /// A request is due: it goes to an idle lane, a new one, or the queue.
    fn dispatch(self: &Rc<Self>, job: Job) {
        self.begin(&job);
        while let Some(lane) = self.idle.borrow_mut().pop() {
            if !lane.is_gone.get() {
                lane.job.set(Some(job));
                return lane.wake();
            }
        }
        if self.lanes.borrow().len() < self.lanes_max {
            self.note_late(&job, Instant::now());
            return self.open_lane(Some(job));
        }
        if self.queue.borrow().len() < self.queue_max {
            self.queued.set(self.queued.get() + 1);
            return self.queue.borrow_mut().push_back(Job { was_queued: true, ..job });
        }
        self.fail(&job, Failure::new(ErrorKind::Overflow, "too many requests waited for a connection inside the generator"));
    }

    fn open_lane(self: &Rc<Self>, job: Option<Job>) {
        let lane = Rc::new(Lane::default());
        lane.job.set(job);
        let mut lanes = self.lanes.borrow_mut();
        lane.place.set(lanes.len());
        lanes.push(Rc::clone(&lane));
        let worker = Rc::clone(self);
        // It ends with its connection, and all do with the thread's runtime.
        tokio::task::spawn_local(async move {
            lane::run(Rc::clone(&worker), Rc::clone(&lane)).await;
            worker.close_lane(&lane);
        });
    }

    fn close_lane(&self, lane: &Lane) {
        let mut lanes = self.lanes.borrow_mut();
        let place = lane.place.get();
        lanes.swap_remove(place);
        if let Some(moved) = lanes.get(place) {
            moved.place.set(place);
        }
    }

    fn new_job(&self, due: Instant, stage: usize) -> Job {
        let mut random = self.random.borrow_mut();
        let request = if self.prepared.requests.len() == 1 { 0 } else { self.prepared.choose(random.f64()) };
        let user = (!self.jars.is_empty()).then(|| random.usize(..self.jars.len()));
        let number = self.numbers.replace(self.numbers.get() + 1);
        Job { due, stage, request, user, n: number * self.share.of as u64 + self.share.index as u64, was_queued: false }
    }

    fn begin(&self, job: &Job) {
        self.under_way.set(self.under_way.get() + 1);
        self.recorder.borrow_mut().due(job);
    }

    pub(super) fn ended(&self, job: &Job, ended: &Ended) {
        self.recorder.borrow_mut().ended(job, ended);
        let left = self.under_way.get() - 1;
        self.under_way.set(left);
        if left == 0 && self.is_stopped.get() {
            self.finished.notify_one();
        }
    }

    fn fail(&self, job: &Job, failure: Failure) {
        self.ended(job, &Ended { sent: None, at: Instant::now(), resent: false, result: Err(failure) });
    }

    pub(super) fn is_closed_pace(&self) -> bool {
        self.closes.get().is_some()
    }

    /// In closed pace: a request that is due now, until the end.
    pub(super) async fn closed_job(&self) -> Option<Job> {
        if let Some(turn) = self.throttle.turn(Instant::now()) {
            sleep_until(self.closes.get().map_or(turn, |closes| turn.min(closes))).await;
        }
        let now = Instant::now();
        if self.is_stopped.get() || self.closes.get().is_some_and(|closes| now >= closes) {
            return None;
        }
        let job = self.new_job(now, 0);
        self.begin(&job);
        Some(job)
    }

    pub(super) fn take_queued(&self) -> Option<Job> {
        self.queue.borrow_mut().pop_front()
    }

    /// Notes when the request left, unless it had to wait for a connection. In closed pace nothing is ever late.
    pub(super) fn note_late(&self, job: &Job, left: Instant) {
        if !job.was_queued && !self.is_closed_pace() {
            self.recorder.borrow_mut().late(job, left);
        }
    }

    pub(super) fn note_connection(&self) {
        self.connections_opened.set(self.connections_opened.get() + 1);
        self.connections_peak.set(self.connections_peak.get().max(self.connections()));
    }

    pub(super) fn jar(&self, job: &Job) -> Option<&RefCell<Jar>> {
        self.jars.get(job.user?)
    }

    pub(super) fn jars(&self) -> &[RefCell<Jar>] {
        &self.jars
    }

    /// What is filled into a request's places.
    pub(super) fn values(&self, user: Option<usize>, n: u64) -> Values {
        let uuid = self.random.borrow_mut().u128(..);
        // The user's number among all threads.
        let user = user.map_or(0, |user| (user * self.share.of + self.share.index) as u64);
        Values { uuid, n, user }
    }

    fn connections(&self) -> usize {
        match self.spoken {
            Spoken::Http1 => self.lanes.borrow().len(),
            Spoken::Http2 => self.http2.count(),
        }
    }

    /// Ends every request whose client has waited long enough. Patience is the same for all, so nothing that begins later ends before
    /// the earliest of those under way, and between two looks there is nothing to do: a timer for each request would cost more.
    async fn watch_patience(self: Rc<Self>) {
        loop {
            let now = Instant::now();
            let mut earliest = now + self.timeout;
            for lane in self.lanes.borrow().iter() {
                match lane.deadline.get() {
                    Some(deadline) if deadline <= now => lane.expire(),
                    Some(deadline) => earliest = earliest.min(deadline),
                    None => {}
                }
            }
            while let Some(job) = self.queue.borrow_mut().pop_front_if(|job| job.due + self.timeout <= now) {
                self.fail(&job, Failure::new(ErrorKind::Timeout, "no connection became free within the client's patience"));
            }
            if let Some(job) = self.queue.borrow().front() {
                earliest = earliest.min(job.due + self.timeout);
            }
            sleep_until(earliest.max(now + PATIENCE_EVERY)).await;
        }
    }
}

/// Processor time that this thread has used.
fn cpu() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.cast_unsigned(), spent.tv_nsec as u32)
}

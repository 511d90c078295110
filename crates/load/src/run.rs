//! Carries a plan out: reaches the target, starts the threads, and puts together what they noted.

mod lane;
mod login;
mod recorder;
mod report;
mod throttle;
mod timer;
mod worker;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::process::{Resource, getrlimit};
use tokio::runtime::LocalRuntime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::histogram::Histogram;
use crate::plan::{Pace, Plan};
use crate::record::{ErrorKind, Recording};
use crate::scenario::Prepared;
use crate::schedule::{Schedule, Share};
use crate::send::connect::Connector;
use report::Live;
use worker::{Glimpse, Notes, Orders, ThreadPace, Worker};

/// For the connection that only finds out whether there is anybody.
const REACH_WITHIN: Duration = Duration::from_secs(5);
/// Between everybody being ready and the first request, so that all threads hear of it in time.
const START_AFTER: Duration = Duration::from_millis(10);
const GLIMPSE_EVERY: Duration = Duration::from_millis(250);
/// One thread sends about twice this on a modest core.
const RATE_PER_THREAD: f64 = 20_000.0;
const CONNECTIONS_PER_THREAD: usize = 32;
/// Open files that are no connections.
const OTHER_FILES: usize = 100;

/// How far a run is, for a live view. Sent about four times a second.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Since the first request was due; zero while users log in.
    pub elapsed: Duration,
    pub lasts: Duration,
    /// The schedule's rate at this moment; `None` in closed pace.
    pub offered_rate: Option<f64>,
    pub due: u64,
    pub sent: u64,
    pub good: u64,
    /// Ended without a good answer.
    pub failed: u64,
    pub in_flight: u64,
    pub connections: usize,
    /// What ended since the last report.
    pub recent: Recent,
}

#[derive(Clone, Debug, Default)]
pub struct Recent {
    pub spans: Duration,
    pub good: u64,
    pub failed: u64,
    /// Of all answers, with the client's patience for each time-out.
    pub latency: Histogram,
}

/// Carries the plan out and returns what came back. Cancelling `stop` ends it early with what there is: nothing further becomes due, and
/// requests under way are waited for no longer than the plan's timeout. Dropping the future ends it at once.
pub async fn run(plan: Plan, progress: watch::Sender<Progress>, stop: CancellationToken) -> Result<Recording, Error> {
    plan.check()?;
    let files = files()?;
    if let Pace::Closed { connections, .. } = plan.pace
        && connections > files
    {
        return Err(Error::BadPlan(format!(
            "{connections} connections are more than the {files} files that may be open; raise `ulimit -n`"
        )));
    }
    let reach = Connector::reach(&plan.target, plan.protocol, &plan.trust);
    let (connector, spoken) = timeout(REACH_WITHIN, reach).await.unwrap_or_else(|_| {
        let reason = format!("no connection within {REACH_WITHIN:?}");
        Err(Error::Unreachable { target: plan.target.to_string(), kind: ErrorKind::Timeout, reason })
    })?;
    let prepared = Arc::new(Prepared::new(&plan.scenario, &plan.target).map_err(Error::BadScenario)?);
    let of = threads(&plan);
    let orders = |share: Share| Orders {
        prepared: Arc::clone(&prepared),
        connector: connector.clone(),
        spoken,
        share,
        timeout: plan.timeout,
        seed: plan.seed,
        stages: if let Pace::Open(stages) = &plan.pace { stages.len() } else { 1 },
        lanes_max: share.part(plan.connections_max.min(files)).max(1),
        queue_max: share.part(plan.queue_max),
        streams_max: plan.streams_max,
        pace: thread_pace(&plan, share),
    };
    let (start, starts) = watch::channel(None);
    let ended = CancellationToken::new();
    let _end_with_us = ended.clone().drop_guard();
    let (glimpses_in, glimpses) = mpsc::channel(of * 2);
    let mut threads = Vec::with_capacity(of);
    for index in 0..of {
        let line = Line { starts: starts.clone(), stop: stop.clone(), ended: ended.clone(), glimpses: glimpses_in.clone() };
        threads.push(start_thread(orders(Share { index, of }), line).map_err(Error::Start)?);
    }
    drop(glimpses_in);
    for thread in &mut threads {
        (&mut thread.ready).await.map_err(|_| Error::Lost)??;
    }
    let (started, starts) = (SystemTime::now() + START_AFTER, Instant::now() + START_AFTER);
    start.send_replace(Some(starts));
    watch_over(&plan, starts, glimpses, &progress).await;
    let mut notes = Vec::with_capacity(of);
    for thread in threads {
        notes.push(thread.notes.await.map_err(|_| Error::Lost)?.map_err(Error::Start)?);
    }
    let lasted = notes.iter().filter_map(|notes| notes.stopped_after).max();
    Ok(report::recording(&plan, started, lasted, notes))
}

/// What ties a thread to its run.
struct Line {
    starts: watch::Receiver<Option<Instant>>,
    stop: CancellationToken,
    ended: CancellationToken,
    glimpses: mpsc::Sender<Glimpse>,
}

struct Thread {
    ready: oneshot::Receiver<Result<(), Error>>,
    notes: oneshot::Receiver<io::Result<Notes>>,
}

fn start_thread(orders: Orders, line: Line) -> io::Result<Thread> {
    let (ready_in, ready) = oneshot::channel();
    let (notes_in, notes) = oneshot::channel();
    let runtime = LocalRuntime::new;
    thread::Builder::new().name(format!("load-{}", orders.share.index)).spawn(move || {
        let worked = runtime().and_then(|runtime| {
            let ended = line.ended.clone();
            let work = ended.run_until_cancelled(work(orders, line, ready_in));
            runtime.block_on(work).unwrap_or(Ok(None))
        });
        // Nobody listens any more when the run was dropped.
        if let Some(notes) = worked.transpose() {
            let _ = notes_in.send(notes);
        }
    })?;
    Ok(Thread { ready, notes })
}

/// A thread's life: log in, say so, wait for the start, carry out.
async fn work(orders: Orders, mut line: Line, ready: oneshot::Sender<Result<(), Error>>) -> io::Result<Option<Notes>> {
    let worker = Worker::new(orders);
    let logged_in = login::log_in(&worker).await;
    let is_ready = logged_in.is_ok();
    if ready.send(logged_in).is_err() || !is_ready {
        return Ok(None);
    }
    let Ok(Some(starts)) = line.starts.wait_for(Option::is_some).await.map(|starts| *starts) else { return Ok(None) };
    let glimpses = line.glimpses;
    let report = async {
        let mut tick = interval(GLIMPSE_EVERY);
        loop {
            tick.tick().await;
            // A full channel only means that the view is behind.
            if let Ok(place) = glimpses.try_reserve() {
                place.send(worker.glimpse());
            }
        }
    };
    tokio::select! {
        notes = worker.run(starts, &line.stop) => notes.map(Some),
        () = report => Ok(None),
    }
}

/// Tells how far the threads are until the last of them has ended.
async fn watch_over(plan: &Plan, starts: Instant, mut glimpses: mpsc::Receiver<Glimpse>, progress: &watch::Sender<Progress>) {
    let mut live = Live::default();
    let mut tick = interval(GLIMPSE_EVERY);
    loop {
        tokio::select! {
            glimpse = glimpses.recv() => match glimpse {
                Some(glimpse) => live.take(glimpse),
                None => break,
            },
            _ = tick.tick() => {
                progress.send_replace(live.progress(plan, starts));
            }
        }
    }
    progress.send_replace(live.progress(plan, starts));
}

fn thread_pace(plan: &Plan, share: Share) -> ThreadPace {
    match &plan.pace {
        Pace::Open(stages) => ThreadPace::Open(Box::new(Schedule::new(stages, plan.arrivals, plan.seed, share))),
        Pace::Closed { connections, lasts } => {
            let rate_max = plan.bounds.rate_max / share.of as f64;
            ThreadPace::Closed { lanes: share.part(*connections), lasts: *lasts, rate_max }
        }
    }
}

/// How many threads the pace needs, on this machine, with somebody to be for each.
fn threads(plan: &Plan) -> usize {
    let needed = match &plan.pace {
        Pace::Open(_) => (plan.pace.peak_rate().unwrap_or(0.0) / RATE_PER_THREAD).ceil() as usize,
        Pace::Closed { connections, .. } => connections.div_ceil(CONNECTIONS_PER_THREAD),
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let work_for = match &plan.pace {
        Pace::Open(_) => plan.connections_max,
        Pace::Closed { connections, .. } => *connections,
    };
    let users = if plan.scenario.users == 0 { usize::MAX } else { plan.scenario.users };
    plan.threads.unwrap_or_else(|| needed.clamp(1, cores)).min(work_for).min(users).max(1)
}

/// Connections that the limit on open files leaves room for.
fn files() -> Result<usize, Error> {
    let limit = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| limit as usize);
    match limit.saturating_sub(OTHER_FILES) {
        0 => Err(Error::BadPlan(format!("only {limit} files may be open; raise `ulimit -n`"))),
        files => Ok(files),
    }
}
